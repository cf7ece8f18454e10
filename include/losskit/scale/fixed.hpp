// FixedScale: s is a number. 64 is ArcFace's and CosFace's for large face sets; for C classes and a wanted probability P of a
// perfect target, s >= (C - 1) / C ln((C - 1) P / (1 - P)) (recognition/suggest_scale.hpp). Wang et al. 2018, arXiv:1801.09414.
#pragma once
#include "losskit/concepts.hpp"
#include "losskit/core/expects.hpp"

namespace losskit::inline LOSSKIT_ISA {

class FixedScale {
 public:
  static constexpr char const* name = "FixedScale";
  // s in (0, largest_scale]. Throws ParameterError otherwise.
  explicit FixedScale(double s = 64) : s_(s) {
    if (!(s > 0 && s <= largest_scale)) fail<ParameterError>("FixedScale: s = %g is outside (0, largest_scale = %g]", s, largest_scale);
  }
  double scale() const { return s_; }

 private:
  double s_;
};

}  // namespace losskit::inline LOSSKIT_ISA
