// A point loss with `?:`: it would compile for one number at a time.
// first error: select\(condition, a, b\), not if or
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

struct MyLoss {
  static constexpr char const* name = "MyLoss";
  template <losskit::Number X>
  losskit::Jet<X> operator()(X prediction, X truth) const {
    X const d = prediction - truth;
#ifdef MISTAKE
    return {abs(d), d < 0 ? X(-1) : X(1)};
#else
    return {abs(d), select(d < 0, X(-1), X(1))};
#endif
  }
};

void call(std::vector<float>& prediction, std::vector<float> const& truth, losskit::Workspace workspace);
void call(std::vector<float>& prediction, std::vector<float> const& truth, losskit::Workspace workspace) {
  losskit::loss_and_gradient(losskit::on::serial{}, MyLoss{}, prediction, truth, prediction, workspace);
}
