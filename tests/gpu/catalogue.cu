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
template <class Scale>
void a_scale() {
  if constexpr (DynamicScale<Scale>) compile(detail::block_rows<float, false, detail::NextState<Scale, float>>);
}
template <class... Scale>
void each_scale(Policies<Scale...>) {
  (a_scale<Scale>(), ...);
}

void catalogue() {
  each_margin(margins{});
  each_rest(rests{});
  each_objective(objectives{});
  each_point_loss(point_losses{});
  each_scale(scales{});
  compile(detail::block_rows<float, true, Row<MarginSoftmax<LiArc>>>);  // a user's own, from examples/
}
