// Presets of peers with easy margins and hard classes, against what the peers' code says, written out here plainly.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

constexpr int rows = 12, classes = 7;
doctest::Approx near(long double x) { return doctest::Approx(static_cast<double>(x)).epsilon(1e-12); }
constexpr double some_cosines[] = {-0.96875, -0.5, -0.125, 0.0, 0.125, 0.34375, 0.359375, 0.5, 0.8125, 0.96875};

// Cosines of a batch: targets from -0.9 to 0.95, the others spread so that every row has hard classes and others.
struct Problem {
  std::vector<double> cosines, gradient;
  std::vector<int> labels;
  Problem() : cosines(rows * classes), gradient(cosines.size()) {
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < classes; ++j) cosines[at(i, j)] = 0.8 * std::sin(1.7 * i + 2.3 * j + 0.1);
      labels.push_back(i % classes), cosines[at(i, labels.back())] = -0.9 + 0.168 * i;
    }
  }
  static std::size_t at(int i, int j) { return static_cast<std::size_t>(i * classes + j); }
};

// FaceX-Zoo's and SV-X's forward, in their order: mask, final target, weighted hard classes, the target put back, the scale; then
// cross-entropy. hard = w c + b.
long double peer_loss(Problem const& p, bool arc, double m, double above, long double w, long double b, double scale, int& hard) {
  long double sum = 0;
  hard = 0;
  for (int i = 0; i < rows; ++i) {
    long double const gt = p.cosines[Problem::at(i, p.labels[static_cast<std::size_t>(i)])];
    long double const margined = arc ? gt * std::cos((long double)m) - std::sqrt(1 - gt * gt) * std::sin((long double)m) : gt - m;
    long double const target = gt > above ? margined : gt;
    long double z = std::exp(scale * target);
    for (int j = 0; j < classes; ++j) {
      if (j == p.labels[static_cast<std::size_t>(i)]) continue;
      long double const c = p.cosines[Problem::at(i, j)];
      hard += c > margined;
      z += std::exp(scale * (c > margined ? w * c + b : c));
    }
    sum += std::log(z) - scale * target;
  }
  return sum / rows;
}

template <class L>
void as_the_peer(L const& loss, bool arc, double m, double above, long double w, long double b) {
  Problem p;
  std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, classes, Placement::out_of_place));
  auto const report = loss_and_gradient(on::serial{}, loss, Batch(matrix(p.cosines, rows, classes), p.labels),
                                        matrix(p.gradient, rows, classes), view(memory));
  int hard = 0;
  CHECK(report.loss == near(peer_loss(p, arc, m, above, w, b, loss.scale, hard)));
  CHECK(report.hard_negatives == hard);
  CHECK(hard > 10);
  CHECK(hard < rows * (classes - 1) - 10);
  for (std::size_t k = 0; k < p.cosines.size(); ++k) {
    Problem up, down;
    up.cosines[k] += 1e-7, down.cosines[k] -= 1e-7;
    int hard_up = 0, hard_down = 0;
    long double const a = peer_loss(up, arc, m, above, w, b, loss.scale, hard_up),
                      c = peer_loss(down, arc, m, above, w, b, loss.scale, hard_down);
    if (hard_up == hard_down) CHECK(p.gradient[k] == doctest::Approx(static_cast<double>((a - c) / 2e-7)).epsilon(1e-4));
  }
}

}  // namespace

TEST_CASE("MV-AM and MV-Arc of FaceX-Zoo and of SV-X-Softmax: loss, hard classes and gradient") {
  as_the_peer(presets::facex_zoo_mv_am(), false, 0.35, 0.35, 1.12L, 1.12L - 1);
  as_the_peer(presets::facex_zoo_mv_arc(), true, 0.35, 0, 1.12L, 1.12L - 1);
  as_the_peer(presets::sv_x_mv_am(), false, 0.35, 0, 1.2L, 0.2L);
  as_the_peer(presets::sv_x_mv_arc(), true, 0.35, 0, 1.2L, 0.2L);
  CHECK(presets::facex_zoo_mv_am().scale == 32);
  CHECK(presets::sv_x_mv_arc().scale == 32);
}

TEST_CASE("easy margins of SV-X, FaceX-Zoo, MagFace and NPCFace: only where c > 0, or c > m") {
  for (double const c : some_cosines) {
    auto const arc = [&](double m) { return c > 0 ? std::cos(std::acos(c) + m) : c; };
    CHECK(presets::sv_x_am().target(c).value == near(c > 0 ? c - 0.35 : c));
    CHECK(presets::sv_x_arc().target(c).value == near(arc(0.35)));
    CHECK(presets::facex_zoo_easy_am().target(c).value == near(c > 0.35 ? c - 0.35 : c));
    CHECK(presets::magface(0.6).target(c).value == near(arc(0.6)));
    CHECK(presets::npcface(0.5).target(c).value == near(arc(0.5)));
  }
  CHECK(presets::npcface_margin(0) == 0.40);  // no hard class
  CHECK(presets::npcface_margin(0.75) == near(0.55));
}

TEST_CASE("MagFace: the margin of a length, and dL/d|x| through it, by central differences") {
  CHECK(presets::magface_margin(3).value == 0.45);
  CHECK(presets::magface_margin(3).slope == 0);
  CHECK(presets::magface_margin(60).value == near(0.625));
  CHECK(presets::magface_margin(60).slope == near(0.0035));
  CHECK(presets::magface_margin(110).value == near(0.8));
  CHECK(presets::magface_margin(110).slope == near(0.0035));
  CHECK(presets::magface_margin(500).value == near(0.8));
  CHECK(presets::magface_margin(500).slope == 0);

  Problem p;
  auto const loss_of = [&](std::vector<double> const& norms, std::vector<double>& by_norm) {
    std::vector<double> margins(norms.size()), by_margin(norms.size());
    for (std::size_t i = 0; i < norms.size(); ++i) margins[i] = presets::magface_margin(norms[i]).value;
    Batch batch(matrix(p.cosines, rows, classes), p.labels);
    batch.margins = view(margins);
    std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, classes, Placement::out_of_place));
    auto const report = loss_and_gradient(on::serial{}, MarginSoftmax{presets::magface(), 64.0}, batch, matrix(p.gradient, rows, classes),
                                          view(memory), {}, Outputs<double>{.margin_gradient = view(by_margin)});
    for (std::size_t i = 0; i < norms.size(); ++i) by_norm[i] = by_margin[i] * presets::magface_margin(norms[i]).slope;
    return report.loss;
  };
  std::vector<double> norms, by_norm(rows), unused(rows);
  for (int i = 0; i < rows; ++i) norms.push_back(5 + 11 * i);  // 5 and 126 are outside [10, 110]
  loss_of(norms, by_norm);
  int reached = 0;
  for (std::size_t i = 0; i < norms.size(); ++i) {
    auto up = norms, down = norms;
    up[i] += 1e-4, down[i] -= 1e-4;
    CHECK(std::fabs(by_norm[i] - (loss_of(up, unused) - loss_of(down, unused)) / 2e-4) < 1e-7);
    reached += by_norm[i] != 0;
  }
  CHECK(reached >= 4);  // rows with c > 0, inside
}
