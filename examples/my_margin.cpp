// A margin of one's own (li_arc.hpp), checked by losskit's laws, then used like every other margin.
#include <cstddef>
#include <cstdio>
#include <vector>

#include "li_arc.hpp"
#include "losskit/losskit.hpp"
#include "losskit/testing/laws.hpp"

int main() {
  using namespace losskit;

  // 1. Does it keep the laws? The slope is the derivative of the value, nothing finite makes a NaN, psi never falls ...
  testing::Verdict const margin = testing::check_margin(LiArc{});
  testing::Verdict const whole = testing::check_loss(on::serial{}, MarginSoftmax{LiArc{}, 16.0, FocalLoss{2}});
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
  std::vector<std::byte> workspace(workspace_bytes<float>(on::serial{}, 3, 4, Placement::out_of_place));
  Report const report = loss_and_gradient(on::serial{}, loss, batch, matrix(gradient, 3, 4), workspace);

  std::printf("loss %.6f, %d of %d right, mean angle %.3f rad\n", report.loss, static_cast<int>(report.top1),
              static_cast<int>(report.valid), report.mean_target_angle);
  std::printf("gradient of the first sample: %+.6f %+.6f %+.6f %+.6f\n", double(gradient[0]), double(gradient[1]),
              double(gradient[2]), double(gradient[3]));
}
