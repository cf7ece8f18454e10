// Every kernel of a loss: a warp, a block or a cluster, blocks that read twice, blocks that meet in global memory; each stored type.
// cmake/nvcc.cmake compares what they take of a GPU with tests/gpu/kernels.txt.
#include "kernels.cuh"

using namespace test;

template <class S, class Row>
void every_length() {
  compile(detail::warp_rows<S, Row::keeps, Row>, detail::block_rows<S, Row::keeps, Row>, detail::block_rows<S, false, Row>,
          detail::grid_rows<S, Row>);
}
template <class S, bool Moment>
void kernels() {
  using L = MarginSoftmax<ArcMargin<>>;
  every_length<S, Row<L, S, Moment, Bounded>>();
  every_length<S, Row<L, S, Moment, Paired>>();
}

void all() {
  kernels<float, false>();
  kernels<float, true>();
  kernels<double, false>();
  kernels<__half, false>();
  kernels<__nv_bfloat16, false>();
  every_length<float, Row<SoftmaxLoss<>, float, false, Paired>>();
  every_length<__half, Row<SoftmaxLoss<>, __half, false, Paired>>();
  every_length<float, Row<MarginSoftmax<ArcMargin<>, LabelSmoothing>>>();
  every_length<float, Row<MarginSoftmax<ArcMargin<>, CrossEntropy, CurricularRest>>>();
  compile(detail::block_rows<float, false, detail::PointBlock<true, false, WingLoss, float, device>>,
          detail::block_rows<float, false, detail::PointBlock<true, false, SigmoidFocalLoss, float, device>>);
}
