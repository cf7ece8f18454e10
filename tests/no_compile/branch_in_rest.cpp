// A rest rule with a plain `if`: it would compile for one number at a time.
// first error: select\(condition, a, b\), not if or
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

struct MyRest {
  static constexpr char const* name = "MyRest";
  double bound() const { return 2; }
  template <losskit::Number X>
  losskit::Jet<X> rest(X c, X threshold) const {
#ifdef MISTAKE
    if (c > threshold) return {2 * c, X(2)};
    return {c, X(1)};
#else
    return select(c > threshold, losskit::Jet<X>{2 * c, X(2)}, losskit::Jet<X>{c, X(1)});
#endif
  }
};

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace) {
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0, losskit::CrossEntropy{}, MyRest{}};
  losskit::Batch batch{cosines, labels};
  losskit::loss_and_gradient(losskit::on::serial{}, loss, batch, cosines, workspace);
}
