// FixedScale: s is a number. 64 is ArcFace's and CosFace's for large face sets; for C classes and a wanted probability P of a
// perfect target, s >= (C - 1) / C ln((C - 1) P / (1 - P)) (recognition/suggest_scale.hpp). Wang et al. 2018, arXiv:1801.09414.
#pragma once
#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

class FixedScale {
 public:
  static constexpr char const* name = "FixedScale";
  // Throws ParameterError outside the range.
  static constexpr Parameter parameters[] = {{"s", "", 64, {0, largest_scale, false}}};
  explicit FixedScale(double s = parameters[0].standard) : s_(checked(name, parameters[0], s)) {}
  double scale() const { return s_; }

 private:
  double s_;
};

}  // namespace losskit::inline LOSSKIT_ISA
