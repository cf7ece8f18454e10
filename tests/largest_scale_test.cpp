// The scales that calls accept: numbers from 0 to the largest scale, which is at least 1e6 for every type. Any other is a
// ParameterError before anything is written, wherever it stands and whenever it was set; on a device a Fault.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "lanes.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/margin/none.hpp"

using namespace test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
enum class Place { loss, row, batch };

// Every call over a batch with a scale at one place; each either throws or computes.
template <class T, class B>
class Calls {
 public:
  Calls(B const& backend, Place place, double s) : p_(4, 9), loss_{NoMargin{}, 16}, s_(s) {
    workspace_.resize(workspace_bytes<T>(backend, 4, 9, Placement::accumulate));
    if (place == Place::loss) loss_.scale = s;  // after construction, which checks
    if (place == Place::row) p_.scales[2] = T(s);
    auto const batch = [this, place] {
      auto b = p_.plain();
      if (place == Place::row) b.scales = view(p_.scales);
      if (place == Place::batch) b.scale = {&s_, 1};
      return b;
    };
    Outputs<T> const outputs{view(losses_), {}, view(saved_)};
    all = {{"loss_and_gradient", [=, this] { loss_and_gradient(backend, loss_, batch(), g_.matrix(), view(workspace_), {}, outputs); }},
           {"loss_value", [=, this] { loss_value(backend, loss_, batch(), view(workspace_), {}, outputs); }},
           {"loss_gradient", [=, this] { loss_gradient(backend, loss_, batch(), saved_, g_.matrix()); }},
           {"logits", [=, this] { logits(backend, loss_, batch(), g_.matrix(), view(workspace_)); }},
           {"logits_backward", [=, this] { logits_backward(backend, loss_, batch(), p_.cosines.matrix(), g_.matrix()); }}};
  }
  Calls(Calls const&) = delete;
  bool untouched() const { return g_.same_bits(Guarded<T>(4, 9, 0, 0, 9)) && losses_ == std::vector<T>(4, 7); }

  std::vector<std::pair<char const*, std::function<void()>>> all;

 private:
  Problem<T> p_;
  MarginSoftmax<NoMargin> loss_;
  double s_;
  Guarded<T> g_{4, 9, 0, 0, 9};
  std::vector<T> losses_ = std::vector<T>(4, 7);
  std::vector<SavedRow> saved_ = std::vector<SavedRow>(4);
  std::vector<std::byte> workspace_;
};

template <class T, class B>
void on_a_host(B const& backend) {
  for (Place const place : {Place::loss, Place::row, Place::batch}) {
    for (double const s : {-5.0, double(NAN), 1e31, 1e39, inf, -inf}) {
      Calls<T, B> calls(backend, place, s);
      for (auto const& each : calls.all) {
        INFO(std::string(each.first) << ", place " << int(place) << ", s = " << s << ", " << sizeof(T) << " bytes");
        std::string text = "nothing was thrown";
        try {
          each.second();
        } catch (ParameterError const& e) { text = e.what(); }
        INFO(text);
        CHECK(text.find("scale") != std::string::npos);
        CHECK(calls.untouched());
      }
    }
    for (double const s : {0.0, 1e-3, 64.0, 1e6}) {
      if (s == 0 && place == Place::loss) continue;
      Calls<T, B> calls(backend, place, s);
      for (auto const& each : calls.all) CHECK_NOTHROW(each.second());
      CHECK(!calls.untouched());
    }
  }
}

}  // namespace

TEST_CASE("a scale below 0, above the largest, or NaN is a ParameterError at every call") {
  SUBCASE("serial") { on_a_host<float>(on::serial{}), on_a_host<double>(on::serial{}); }
  SUBCASE("eigen") { on_a_host<float>(losskit::on::eigen{}), on_a_host<double>(losskit::on::eigen{}); }
  SUBCASE("lanes") { on_a_host<float>(Few<true>{}); }
}

TEST_CASE("a scale above the largest is a fault on a device") {
  Few<true, device> const backend;
  Problem<float> p(4, 9);
  double state = 16;
  std::vector<std::byte> memory(workspace_bytes<float>(backend, 4, 9, Placement::out_of_place));
  MarginSoftmax const loss{NoMargin{}, 16.0};
  auto const run = [&](bool own_scales, Guarded<float>& g) {
    Batch<float, std::int64_t, device> batch(MatrixView<float, device>{p.cosines.row(0), 4, 9, 9},
                                             VectorView<std::int64_t, device>{p.labels.data(), 4});
    if (own_scales) batch.scales = {p.scales.data(), 4};
    else batch.scale = {&state, 1};
    return loss_and_gradient(backend, loss, batch, MatrixView<float, device>{g.row(0), 4, 9, 9},
                             WorkspaceIn<device>{memory.data(), static_cast<idx>(memory.size())});
  };
  auto const zero_rows = [](Guarded<float> const& g) {
    idx count = 0;
    for (idx i = 0; i < 4; ++i) {
      bool zero = true;
      for (idx j = 0; j < 9; ++j) zero = zero && g.at(i, j) == 0;
      count += zero;
    }
    return count;
  };
  for (double const s : {1e31, 1e39}) {
    state = s;
    Guarded<float> g(4, 9, 0, 0, 9);
    Report const r = run(false, g);
    CHECK(r.fault.what == Fault::scale);
    CHECK(r.fault.row == 0);
    CHECK(r.fault.value == s);
    CHECK(r.loss == 0);
    CHECK(zero_rows(g) == 4);
  }
  p.scales[2] = 1e31F;
  Guarded<float> g(4, 9, 0, 0, 9);
  Report const r = run(true, g);
  CHECK(r.fault.what == Fault::scale);
  CHECK(r.fault.row == 2);
  CHECK(zero_rows(g) == 1);
  state = 1e6;
  Guarded<float> h(4, 9, 0, 0, 9);
  CHECK(run(false, h).fault.what == Fault::none);
}
