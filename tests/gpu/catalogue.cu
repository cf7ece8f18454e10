// Each policy of the catalogue once, and one that a user wrote, the others at their default, in the kernel that trains with it.
#include "kernels.cuh"
#include "li_arc.hpp"

using namespace test;

template <class... M>
void each_margin(Policies<M...>) {
  (compile(detail::block_rows<float, true, Row<MarginSoftmax<M>>>), ...);
}
template <class... R>
void each_rest(Policies<R...>) {
  (compile(detail::block_rows<float, true, Row<MarginSoftmax<ArcMargin<>, CrossEntropy, R>>>), ...);
}
template <class... O>
void each_objective(Policies<O...>) {
  (compile(detail::block_rows<float, true, Row<MarginSoftmax<ArcMargin<>, O>>>), ...);
}
template <class... L>
void each_point_loss(Policies<L...>) {
  (compile(detail::block_rows<float, false, detail::PointBlock<true, false, L, float, device>>), ...);
}
// The next state of what follows the batch.
template <class P>
void a_state() {
  if constexpr (Stateful<P>) {
    if constexpr (std::is_same_v<typename P::Statistics, ScaleStatistics>)
      compile(detail::block_rows<float, false, detail::NextByScale<P, float>>);
    else
      compile(detail::block_rows<float, false, detail::TallyEnd<detail::TargetSum, detail::NextByTargets<P>>>);
  }
}
template <class... P>
void each_state(Policies<P...>) {
  (a_state<P>(), ...);
}

void catalogue() {
  each_margin(margins{});
  each_rest(rests{});
  each_objective(objectives{});
  each_point_loss(point_losses{});
  each_state(scales{});
  each_state(rests{});
  compile(detail::block_rows<float, true, Row<MarginSoftmax<LiArc>>>);  // a user's own, from examples/
}
