// The same inside a loss of one's own, which nothing checks before the packets do.
// first error: select\(condition, a, b\), not if or
#include <cstddef>
#include <vector>

#include "losskit/backend/eigen.hpp"
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
struct MyLoss {
  losskit::NoMargin margin;
  MyRest rest;
  losskit::CrossEntropy objective;
  double scale = 16;
};

void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace);
void call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::loss_and_gradient(losskit::on::eigen{}, MyLoss{}, batch, cosines, workspace);
}
