// A margin of one's own: one class with one formula, checked by losskit's laws, then used like every other margin.
//
// LiArc: a margin that is a straight line in the angle. With theta = acos(c):
//
//   psi(c)      = 1 - 2 (theta + m) / pi            1 - 2m/pi at theta = 0, falling with the same slope everywhere
//   d psi / d c = 2 / (pi sqrt((1 - c)(1 + c)))     since d theta / d c = -1 / sin(theta)
//
// The slope grows without end as |c| -> 1; it is taken at the nearest cosine inside (-1, 1), as losskit's own margins do.
#include <cstddef>
#include <cstdio>
#include <vector>

#include "losskit/losskit.hpp"
#include "losskit/testing/laws.hpp"

class LiArc {
 public:
  static constexpr char const* name = "LiArc";
  static constexpr bool monotone = true;  // psi never falls as the cosine rises: a promise, checked below

  explicit LiArc(double m = 0.45) : m_(m) {
    if (!(m >= 0 && m < 3.14)) losskit::fail<losskit::ParameterError>("LiArc: m = %g is outside [0, 3.14) radians", m);
  }

  template <losskit::Number X>
  losskit::Jet<X> target(X c) const {
    X const v = min(max(c, X(-1)), X(1));  // out of range: the value at the end
    double const nearest = 1 - losskit::below_one<X>;
    X const inside = min(max(c, X(-nearest)), X(nearest));
    X const theta = atan2(sqrt((1 - v) * (1 + v)), v);
    return {1 - two_over_pi * (theta + m_), two_over_pi / sqrt((1 - inside) * (1 + inside))};
  }

 private:
  static constexpr double two_over_pi = 0.63661977236758134308;
  double m_;
};

int main() {
  using namespace losskit;

  // 1. Does it keep the laws? The slope is the derivative of the value, nothing finite makes a NaN, psi never falls ...
  testing::Verdict const margin = testing::check_margin(LiArc{});
  testing::Verdict const whole = testing::check_loss(serial{}, MarginSoftmax{LiArc{}, 16.0, FocalLoss{2}});
  std::printf("%s\n%s\n\n", margin.text, whole.text);
  if (!margin || !whole) return 1;

  // 2. Use it: three samples, four classes.
  std::vector<float> cosines{0.8F,  0.1F, -0.2F, 0.3F,   //
                             0.2F,  0.5F, 0.4F,  -0.1F,  //
                             -0.3F, 0.6F, 0.1F,  0.0F};
  std::vector<int> const labels{0, 1, 2};
  std::vector<float> gradient(cosines.size());
  MarginSoftmax const loss{LiArc{0.45}, 16.0};
  Batch const batch(matrix(cosines, 3, 4), labels);
  std::vector<std::byte> workspace(workspace_bytes<float>(serial{}, 3, 4, Placement::out_of_place));
  Report const report = loss_and_gradient(serial{}, loss, batch, matrix(gradient, 3, 4), view(workspace));

  std::printf("loss %.6f, %d of %d right, mean angle %.3f rad\n", report.loss, static_cast<int>(report.top1),
              static_cast<int>(report.valid), report.mean_target_angle);
  std::printf("gradient of the first sample: %+.6f %+.6f %+.6f %+.6f\n", double(gradient[0]), double(gradient[1]),
              double(gradient[2]), double(gradient[3]));
}
