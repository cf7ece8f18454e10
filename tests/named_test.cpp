// Policies by name: AnyMargin and AnyObjective are what they hold, to the bit, and a text makes what the C++ makes.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "expect_error.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"
#include "losskit/named.hpp"

using namespace losskit;
using test::expect_error;

namespace {

template <class X>
bool same_bits(X a, X b) { return std::memcmp(&a, &b, sizeof a) == 0; }

template <class S, class A, class B>
void same_margin(A const& a, B const& b) {
  using X = Scalar<double, S>;
  for (double const c : {-1.5, -1.0, -0.9, -0.3, 0.0, 0.1, 0.77, 0.9999999, 1.0, 2.0}) {
    INFO(c);
    MarginJet<X> const x = margin_jet_of(a, X(c)), y = margin_jet_of(b, X(c));
    CHECK(same_bits(x, y));
  }
}
template <class A, class B>
void same_margins(A const& a, B const& b) {
  same_margin<float>(a, b), same_margin<double>(a, b);
}

}  // namespace

TEST_CASE("every margin of the catalogue, held by AnyMargin and named by its text") {
  for_each(margins{}, []<class M>(M margin) {
    std::string const text = text_of<M>();
    INFO(text);
    same_margins(AnyMargin(margin), margin);
    same_margins(margin_named(text), margin);
    AnyMargin const any(margin);
    if constexpr (requires(RowContext row) { margin.at_row(row); }) {
      RowContext const row{0, 0, true, 0.125};
      CHECK(any.row_numbers.contains(0.125));
      CHECK_FALSE(any.row_numbers.contains(std::numeric_limits<double>::infinity()));
      same_margins(at_row(any, row), at_row(margin, row));
    } else {
      CHECK(any.row_numbers.empty());
    }
  });
  same_margins(margin_named("CombinedMargin(1.5, m3=0.1, m2=-0.25, rule=Clamp(eps=0.25), gradient=Detached)"),
               CombinedMargin<Clamp, Detached>(1.5, -0.25, 0.1, Clamp(0.25)));
  same_margins(margin_named("CosMargin(m=0.3,rule=Easy(0.3))"), CosMargin<Easy>(0.3, Easy(0.3)));
  same_margins(margin_named("Annealed(margin=ArcMargin(0.25, rule=NoRule), lambda=2)"), Annealed(ArcMargin<NoRule>(0.25), 2));
  same_margins(margin_named(" Annealed ( 2 ) "), Annealed<>(SphereMargin<>{}, 2));
}

TEST_CASE("every other policy of the catalogue by its text") {
  for_each(objectives{}, []<class O>(O objective) {
    losskit::detail::visit_objective(O::name, [&](auto const& any) {
      using X = Scalar<double>;
      for (double const log_p : {0.0, -1e-9, -0.5, -3.0, -90.0})
        CHECK(same_bits(objective_jet_of(any, X(log_p), X(-7)), objective_jet_of(objective, X(log_p), X(-7))));
    });
  });
  auto const same_type = []<class P>(auto const& visit, P) {
    bool found = false;
    visit(text_of<P>(), [&](auto const& made) {
      found = std::is_same_v<std::remove_cvref_t<decltype(made)>, P>;
    });
    INFO(std::string(P::name));
    CHECK(found);
  };
  for_each(rests{}, [&](auto p) { same_type([](std::string const& t, auto f) { with_rest_named(t, f); }, p); });
  for_each(point_losses{}, [&](auto p) { same_type([](std::string const& t, auto f) { with_point_loss_named(t, f); }, p); });
  for_each(scales{}, [&](auto p) { same_type([](std::string const& t, auto f) { with_scale_named(t, f); }, p); });
  for_each(schedules{}, [&](auto p) { same_type([](std::string const& t, auto f) { with_schedule_named(t, f); }, p); });
  with_rest_named("HardNegatives(t=0.5, weight=Fixed)", []<class R>(R const& rest) {
    CHECK(std::is_same_v<R, HardNegatives<Fixed>>);
    CHECK(rest.bound() == 1.5);
  });
  with_point_loss_named("WingLoss(eps=0.5, w=3)", [](auto const& loss) {
    using X = Scalar<double>;
    CHECK(same_bits(loss(X(0.75), X(0.5)), WingLoss(3, 0.5)(X(0.75), X(0.5))));
  });
}

TEST_CASE("a loss by its text, and numbers of each row through AnyMargin") {
  std::vector<float> cosines{0.6F, 0.1F, -0.2F, 0.3F, 0.5F, 0.4F}, g(6), h(6), m{0.25F, 0.5F}, dm(2), em(2);
  std::vector<int> labels{0, 2};
  std::vector<std::byte> memory(1 << 12);
  Batch batch(matrix(cosines, 2, 3), labels);
  batch.margins = view(m);
  Report const r = loss_and_gradient(on::eigen{}, MarginSoftmax{ArcMargin{}, 8.0, FocalLoss{1.5}, HardNegatives{0.25}}, batch, matrix(g, 2, 3),
                                     view(memory), {}, {{}, {}, {}, view(dm)});
  with_loss_named("MarginSoftmax(ArcMargin, objective=FocalLoss(1.5), scale=8, rest=HardNegatives(t=0.25))", [&](auto const& loss) {
    CHECK(loss_and_gradient(on::eigen{}, loss, batch, matrix(h, 2, 3), view(memory), {}, {{}, {}, {}, view(em)}).loss == r.loss);
    CHECK(g == h);
    CHECK(dm == em);
    m[1] = 4;
    expect_error<ParameterError>([&] { loss_value(on::eigen{}, loss, batch, view(memory)); }, {"margins[1] = 4", "(-pi, pi)"});
    m[1] = 0.5F;
  });
  with_loss_named("MarginSoftmax(SphereMargin)", [&](auto const& loss) {
    expect_error<ParameterError>([&] { loss_value(on::eigen{}, loss, batch, view(memory)); }, {"margins", "takes no number"});
  });
  expect_error<ParameterError>([&] { with_loss_named("Softmax", [](auto const&) {}); }, {"Softmax", "SoftmaxLoss"});
  expect_error<ParameterError>([&] { margin_named("CosMagin"); }, {"CosMagin", "did you mean CosMargin"});
  expect_error<ParameterError>([&] { margin_named("Annealed(margin=Annealed)"); }, {"margin to anneal", "ArcMargin"});
}
