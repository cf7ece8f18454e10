// Every form in which a user holds memory is taken wherever a view is, with the same result. What must not compile is no_compile's.
#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

MarginSoftmax const arc{ArcMargin{0.5}, 16.0};
std::vector<float> const cosines{0.6F, 0.1F, -0.2F, 0.3F, 0.5F, 0.4F};

// The 2 x 3 batch that all cases share, with other labels or weights.
template <class Y>
auto batch_of(Y&& labels) {
  return Batch{matrix(cosines, 2, 3), static_cast<Y&&>(labels)};
}
std::vector<int> const labels{0, 2};
std::vector<float> const weights{0.5F, 2};

template <class B>
double loss_of(B const& batch, MarginSoftmax<ArcMargin<>> const& loss = arc) {
  std::vector<std::byte> workspace(workspace_bytes<float>(on::serial{}, 2, 3, Placement::no_gradient));
  return loss_value(on::serial{}, loss, batch, workspace).loss;
}

}  // namespace

TEST_CASE("labels") {
  double const loss = loss_of(batch_of(labels));
  std::vector<long> const longs{0, 2};
  std::vector<std::size_t> const sizes{0, 2};
  std::array<int, 2> const array{0, 2};
  int const c_array[] = {0, 2};
  CHECK(loss_of(batch_of(longs)) == loss);
  CHECK(loss_of(batch_of(sizes)) == loss);
  CHECK(loss_of(batch_of(array)) == loss);
  CHECK(loss_of(batch_of(c_array)) == loss);
  CHECK(loss_of(batch_of(std::span(labels))) == loss);
  CHECK(loss_of(batch_of(view(labels))) == loss);
  CHECK(loss_of(batch_of(VectorView{labels.data(), 2})) == loss);
}

TEST_CASE("weights") {
  auto batch = batch_of(labels);
  double const unweighted = loss_of(batch);
  batch.weights = view(weights);
  double const loss = loss_of(batch);
  CHECK(loss != unweighted);
  std::array<float, 2> array{0.5F, 2};
  float c_array[] = {0.5F, 2};
  auto const check = [&](auto&& given) {
    auto of_given = batch_of(labels);
    of_given.weights = given;
    CHECK(of_given.weights.size == 2);
    CHECK(loss_of(of_given) == loss);
  };
  check(weights);
  check(array);
  check(c_array);
  check(std::span(array));
  check(VectorView<float>{array.data(), 2});
}

TEST_CASE("workspace, gradient and outputs") {
  std::size_t const bytes = workspace_bytes<float>(on::serial{}, 2, 3, Placement::out_of_place);
  std::vector<std::byte> workspace(bytes);
  std::array<std::byte, 4096> array{};
  std::byte c_array[4096];
  REQUIRE(bytes <= 4096);
  Report first;
  std::vector<float> first_gradient, first_losses;
  auto const check = [&](auto&& given) {
    std::vector<float> gradient(6, 7.0F), losses(2, 7.0F);
    Report const report =
        loss_and_gradient(on::serial{}, arc, batch_of(labels), matrix(gradient, 2, 3), given, {.upstream = 2}, {.row_losses = losses});
    if (first_losses.empty()) first = report, first_gradient = gradient, first_losses = losses;
    CHECK(report.loss == first.loss);
    CHECK(gradient == first_gradient);
    CHECK(losses == first_losses);
  };
  check(view(workspace));
  check(workspace);
  check(array);
  check(c_array);
  check(std::span(workspace));
  CHECK(first.loss == doctest::Approx((double(first_losses[0]) + double(first_losses[1])) / 2));
}

TEST_CASE("what a saved pass writes and reads") {
  std::vector<std::byte> workspace(workspace_bytes<float>(on::serial{}, 2, 3, Placement::out_of_place));
  std::vector<SavedRow> saved(2);
  std::vector<float> gradient(6), later(6), by_scale(2), by_scale_later(2);
  loss_and_gradient(on::serial{}, arc, batch_of(labels), matrix(gradient, 2, 3), workspace, {}, {.scale_gradient = by_scale});
  loss_value(on::serial{}, arc, batch_of(labels), workspace, {}, {.saved = saved});
  loss_gradient(on::serial{}, arc, batch_of(labels), saved, matrix(later, 2, 3), {}, by_scale_later);
  CHECK(later == gradient);
  CHECK(by_scale_later == by_scale);
}

TEST_CASE("a state in a vector of one") {
  std::vector<std::byte> workspace(advance_workspace_bytes(2));
  AdaCosScale const scale(3);
  std::vector<AdaCosState> states{scale.start()};
  AdaCosState const next = advance(on::serial{}, scale, states[0], batch_of(labels), workspace);
  advance(on::serial{}, scale, states, batch_of(labels), workspace);
  CHECK(states[0].scale == next.scale);
  auto batch = batch_of(labels);
  batch.scale = scale_of(states);
  CHECK(loss_of(batch) == loss_of(batch_of(labels), MarginSoftmax{ArcMargin{0.5}, next.scale}));
}

TEST_CASE("point losses and the cosine layer") {
  std::vector<float> const truth(6, 0.5F);
  std::vector<float> gradient(6), losses(6), norms_x(2), norms_w(3), unit_x(8), unit_w(12), c(6);
  std::vector<std::byte> workspace(point_workspace_bytes(2, 3));
  auto const report = loss_and_gradient(on::serial{}, WingLoss{}, cosines, truth, gradient, workspace, {.reduction = Reduction::sum},
                                        {.element_losses = matrix(losses, 1, 6)});
  CHECK(report.elements == 6);
  CHECK(report.loss > 0);
  CosineLayer<float> const layer{matrix(unit_x, 2, 4), matrix(unit_w, 3, 4), norms_x, norms_w};
  std::vector<float> const x{1, 0, 0, 0, 0, 2, 0, 0}, w{3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  cosine_layer(on::serial{}, matrix(x, 2, 4), matrix(w, 3, 4), layer, matrix(c, 2, 3));
  CHECK(c == std::vector<float>{1, 0, 0, 0, 1, 0});
  CHECK(norms_w == std::vector<float>{3, 1, 1});
}

TEST_CASE("a rule past pi made from its number") {
  CHECK(ArcMargin<Easy>{0.5, 0.2}.target(Scalar<double>(0.1)).value.v == ArcMargin{0.5, Easy{0.2}}.target(Scalar<double>(0.1)).value.v);
  CHECK(ArcMargin<Easy>{0.5, 0.2}.target(Scalar<double>(0.1)).value.v == 0.1);
}
