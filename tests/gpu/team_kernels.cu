// Every kernel of a loss: a warp, a block or a cluster, blocks that read twice, blocks that meet in global memory; each stored type.
// cmake/nvcc.cmake compares what they take of a GPU with tests/gpu/kernels.txt.
#include "kernels.cuh"

using namespace test;

template <class S, bool Moment>
void kernels() {
  using L = MarginSoftmax<ArcMargin<>>;
  using T = computed<S>;
  using Near = Row<L, S, Moment, Bounded<T>>;
  using Far = Row<L, S, Moment, Relative<T>>;
  compile(detail::warp_rows<S, true, Near>, detail::block_rows<S, true, Near>, detail::block_rows<S, false, Near>,
          detail::grid_rows<S, Near>);
  compile(detail::warp_rows<S, false, Far>, detail::block_rows<S, false, Far>, detail::grid_rows<S, Far>);
}

void all() {
  kernels<float, false>();
  kernels<float, true>();
  kernels<double, false>();
  kernels<__half, false>();
  kernels<__nv_bfloat16, false>();
  compile(detail::block_rows<float, false, detail::PointBlock<true, false, WingLoss, float, device>>,
          detail::block_rows<float, false, detail::PointBlock<true, false, SigmoidFocalLoss, float, device>>);
}
