// Policies two by two: every margin with every rest rule, every margin with every objective, every rest rule with every objective.
#include "kernels.cuh"

using namespace test;

template <class M, class O, class R>
void pair() {
  compile(detail::warp_rows<float, true, Row<MarginSoftmax<M, O, R>>>);
}
template <class M, class... R>
void with_rests(Policies<R...>) {
  (pair<M, CrossEntropy, R>(), ...);
}
template <class M, class... O>
void with_objectives(Policies<O...>) {
  (pair<M, O, PlainRest>(), ...);
}
template <class... M>
void each_margin(Policies<M...>) {
  (with_rests<M>(rests{}), ...);
  (with_objectives<M>(objectives{}), ...);
}
template <class R, class... O>
void with_objectives_too(Policies<O...>) {
  (pair<ArcMargin<>, O, R>(), ...);
}
template <class... R>
void each_rest(Policies<R...>) {
  (with_objectives_too<R>(objectives{}), ...);
}

void pairs() {
  each_margin(margins{});
  each_rest(rests{});
}
