// The catalogue: every policy by kind. Tests, benchmarks and the README's table are made from these lists; a new policy is one
// header, one include and one word here.
//
//   for_each(margins{}, [](auto margin) { ... });      each policy with its paper's defaults
#pragma once
#include "losskit/margin/annealed.hpp"
#include "losskit/margin/arc.hpp"
#include "losskit/margin/combined.hpp"
#include "losskit/margin/cos.hpp"
#include "losskit/margin/none.hpp"
#include "losskit/margin/sphere.hpp"
#include "losskit/objective/cross_entropy.hpp"
#include "losskit/objective/focal.hpp"
#include "losskit/objective/label_smoothing.hpp"
#include "losskit/point/adaptive_wing.hpp"
#include "losskit/point/sigmoid_focal.hpp"
#include "losskit/point/smooth_l1.hpp"
#include "losskit/point/wing.hpp"
#include "losskit/rest/curricular.hpp"
#include "losskit/rest/hard_negatives.hpp"
#include "losskit/rest/plain.hpp"
#include "losskit/scale/adacos.hpp"
#include "losskit/scale/feature_norm.hpp"
#include "losskit/scale/fixed.hpp"
#include "losskit/schedule/lambda.hpp"
#include "losskit/schedule/warm_up.hpp"

namespace losskit::inline LOSSKIT_ISA {

template <class... P>
struct Policies {
  static constexpr int count = sizeof...(P);
};
template <class... P, class F>
void for_each(Policies<P...>, F f) {
  (f(P{}), ...);
}

// Each rule past pi and each gradient mode of a margin is an entry of its own.
using margins = Policies<NoMargin, CosMargin<>, CosMargin<Easy>, ArcMargin<>, ArcMargin<NoRule>, ArcMargin<LegacyLinear>,
                         ArcMargin<ContinuousLinear>, ArcMargin<Clamp>, ArcMargin<FallToCosine>, ArcMargin<Easy>,
                         ArcMargin<NoRule, Detached>, SphereMargin<>, SphereMargin<Clamp>, CombinedMargin<>, CombinedMargin<NoRule>,
                         CombinedMargin<ContinuousLinear>, Annealed<>>;
// What the margins' two template parameters may be, the defaults first; and HardNegatives' one.
using past_pi_rules = Policies<Monotone, NoRule, LegacyLinear, ContinuousLinear, Clamp, FallToCosine, Easy>;
using gradient_modes = Policies<Exact, Detached>;
using hard_weights = Policies<Adaptive, Fixed>;
using rests = Policies<PlainRest, HardNegatives<>, HardNegatives<Fixed>, CurricularRest>;
using objectives = Policies<CrossEntropy, FocalLoss, LabelSmoothing>;
using scales = Policies<FixedScale, FeatureNorm, AdaCosScale>;
using point_losses = Policies<WingLoss, AdaptiveWingLoss, SmoothL1Loss, HuberLoss, SigmoidFocalLoss>;
using schedules = Policies<LambdaSchedule, LinearWarmUp, ExponentialWarmUp>;

}  // namespace losskit::inline LOSSKIT_ISA
