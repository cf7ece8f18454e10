// A call with options, whose arguments are in the wrong order: the options do not hide the words.
// first error: do not fit.*loss_value\(backend, loss, Batch{cosines, labels}, workspace, {\.reduction = Reduction::mean}
#include <cstddef>
#include <vector>

#include "losskit/losskit.hpp"

double call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace);
double call(losskit::MatrixView<float> cosines, std::vector<int> const& labels, losskit::Workspace workspace) {
  losskit::Batch batch{cosines, labels};
  losskit::MarginSoftmax const loss{losskit::ArcMargin{0.5}, 64.0};
#ifdef MISTAKE
  return losskit::loss_value(losskit::on::serial{}, loss, workspace, batch, {.upstream = 2}).loss;
#else
  return losskit::loss_value(losskit::on::serial{}, loss, batch, workspace, {.upstream = 2}).loss;
#endif
}
