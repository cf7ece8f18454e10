#pragma once
// Types of the golden values. Plain data: nothing here depends on the library under test.
#include <cstdint>
#include <limits>

namespace golden {

enum class Kind { none, arc, cos, sphere, combined };
enum class Rule { none, legacy_linear, continuous_linear, monotone, clamp, fall_to_cosine, easy };
enum class Rest { plain, adaptive, fixed };
enum class PointKind { wing, adaptive_wing, smooth_l1, huber, sigmoid_focal };

/// A cosine, psi(c) and d psi / d c.
struct Point {
  double c, value, slope;
};

/// psi(m1 theta + m2) - m3 under a past-pi rule; eps belongs to Clamp; lambda < 0 means: not annealed.
struct MarginCase {
  Kind kind;
  Rule rule;
  double m1, m2, m3, eps, lambda;
  int first, count;  // its points in margin_points
};

struct PresetPoint {
  char const* preset;
  double scale, c, value, slope;
};

struct RestPoint {
  Rest kind;
  double t, c, threshold, value, slope;
};

struct ObjectivePoint {
  double gamma, alpha, log_p, value, slope;
};

/// Parameters in the order of the constructor: wing (w, eps), adaptive wing (alpha, omega, eps, theta),
/// smooth L1 (sigma), Huber (delta), sigmoid focal (gamma, alpha). Unused ones are 0.
struct PointLossPoint {
  PointKind kind;
  double a, b, c, d, prediction, truth, value, slope;
};

/// Five rows; the cosines start at `first` of matrix_cosines, row-major and dense.
struct Matrix {
  int classes, first;
  int labels[5];
};

/// Sum over the five rows of weight_i * O(log p_i). `gamma`, `alpha`: the objective (0, 1 is cross-entropy).
struct WholeCase {
  Kind kind;
  Rule rule;
  double m1, m2, m3, eps, lambda;
  bool detached;
  double gamma, alpha;
  Rest rest;
  double t, scale;
  int matrix;
  bool weighted;    // whole_weights, else all 1
  bool row_scales;  // whole_row_scales take the place of `scale`
  int first;        // its gradient in whole_gradients
};

/// The rows' losses without weights, and d(weighted sum) / ds_i.
struct WholeRows {
  double loss[5];
  double scale_gradient[5];
};

struct AdaCosStep {
  int sequence, step, rows;
  int first_cosine, first_label;
  double before, after;
  bool kept;  // ln B_avg <= 0: the state stays
};

struct AdaCosFixed {
  int classes;
  double scale;
};

struct LambdaStep {
  double base, gamma, power, minimum;
  std::int64_t step;
  double lambda;
};

struct WarmUpStep {
  bool exponential;
  double from, to;
  std::int64_t start, end, step;
  double margin;
};

/// One row of cross-entropy with label smoothing. Its inputs start at `input` of smoothing_inputs: cosines whose logits are
/// scale * c, or, where scale is 0, logits. d loss / d inputs start at `slope` of smoothing_slopes.
struct SmoothingCase {
  int classes, label;
  double scale, epsilon;
  int input, slope;
  double loss;
};

/// One row of CurricularFace for a given t. Its cosines start at `input` of curricular_inputs, d loss / d cosines at `slope` of
/// curricular_slopes.
struct CurricularCase {
  Kind kind;
  double m, t, scale;
  int classes, label, input, slope;
  double loss;
};

/// A row of README.md's table "From X to losskit"; `theirs`: the heading above it, and its first cell without backticks. The losses of peer_rows rows, and the
/// gradient of their mean, start at `loss` of peer_losses and at `gradient` of peer_gradients. scale: the peer's own for this batch, or 0.
struct PeerCase {
  char const* theirs;
  double scale;
  int loss, gradient;
};

/// Where a peer is known to differ: one row, its loss and gradient; nan where it has no number, `unsaid` where it is not what differs.
inline constexpr double nan = std::numeric_limits<double>::quiet_NaN(), unsaid = std::numeric_limits<double>::max();
struct PeerApart {
  char const *theirs, *what;
  double cosines[5];
  int label;
  double loss, gradient[5];
};

/// A point loss, sum / rows. what: where the peer is known to differ, or empty.
struct PeerPoints {
  char const *theirs, *what;
  int rows, cols, first;
  double loss;
};

}  // namespace golden
