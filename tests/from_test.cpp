// README.md's table "From X to losskit": what its second column says, made by named.hpp, has the numbers of the peer in its first
// (golden/peers.py). The texts are read from the page, so that the table and this test cannot drift apart.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "golden/peers.inc"
#include "losskit/backend/serial.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/losskit.hpp"
#include "losskit/named.hpp"

using namespace losskit;

namespace {

constexpr std::size_t rows = golden::peer_rows, classes = golden::peer_classes;
constexpr double unit = std::numeric_limits<double>::epsilon() / 2;

struct TableRow {
  std::string theirs;                // the heading above it, and its first cell without backticks
  std::vector<std::string> losskit;  // what stands between backticks in the second

  [[nodiscard]] std::string const& text() const { return losskit.front(); }
  [[nodiscard]] bool says(char const* word) const { return std::find(losskit.begin() + 1, losskit.end(), word) != losskit.end(); }
};

std::string without(std::string text, char mark) {
  std::erase(text, mark);
  return text;
}

// The rows between the page's two marks. One with nothing in its second cell is the heading of those that follow.
std::vector<TableRow> table() {
  std::vector<TableRow> all;
  std::ifstream page(LOSSKIT_README);
  std::string line, heading;
  while (std::getline(page, line) && line.rfind("<!-- from:", 0) != 0) {}
  std::getline(page, line), std::getline(page, line);  // the names of the columns
  while (std::getline(page, line) && line.rfind("| ", 0) == 0) {
    std::size_t const first = line.find('|', 1), second = line.find('|', first + 1);
    REQUIRE(second != line.npos);
    std::string const theirs = without(line.substr(2, first - 3), '`'), cell = line.substr(first + 1, second - first - 1);
    std::vector<std::string> texts;
    for (std::size_t from = cell.find('`'), to; from != cell.npos; from = cell.find('`', to + 1)) {
      to = cell.find('`', from + 1);
      texts.push_back(cell.substr(from + 1, to - from - 1));
    }
    if (texts.empty()) heading = without(theirs, '*') + ": ";
    else all.push_back({heading + theirs, texts});
  }
  REQUIRE_MESSAGE(line.rfind("<!-- end of from", 0) == 0, "README.md: the table does not end");
  return all;
}

// The row for a peer of the golden values.
TableRow row_of(char const* theirs) {
  for (TableRow const& row : table())
    if (row.theirs == theirs) return row;
  FAIL("README.md's table has no row ", std::string(theirs));
  return {};
}

struct Result {
  std::vector<double> losses, gradient;  // by row; of the rows' mean
  double loss, scale;                    // their mean, and the loss's own scale
};

// What the row's text gives, its scale or scales given where it says so.
Result run(TableRow const& row, std::vector<double> const& cosines, std::vector<std::int64_t> const& labels, double scale) {
  idx const n = static_cast<idx>(labels.size()), cols = static_cast<idx>(classes);
  Result result{std::vector<double>(labels.size()), std::vector<double>(cosines.size()), 0, 0};
  with_loss_named(row.text(), [&](auto const& loss) {
    Batch batch(matrix(cosines, n, cols), labels);
    std::vector<double> const norms(golden::peer_norms, golden::peer_norms + rows);
    if (row.says("Batch::scales")) batch.scales = view(norms);
    if (row.says("Batch::scale")) batch.scale = {&scale, 1};
    std::vector<std::byte> workspace(workspace_bytes<double>(on::serial{}, n, cols, Placement::out_of_place));
    Outputs<double> outputs;
    outputs.row_losses = view(result.losses);
    result.loss = loss_and_gradient(on::serial{}, loss, batch, matrix(result.gradient, n, cols), view(workspace), Options{}, outputs).loss;
    result.scale = loss.scale;
  });
  return result;
}

TEST_CASE("the table has a row for every golden peer, and none without") {
  std::vector<std::string> golden{golden::peer_layer};
  for (auto const& at : golden::peer_cases) golden.emplace_back(at.theirs);
  for (auto const& at : golden::peer_points)
    if (*at.what == 0) golden.emplace_back(at.theirs);
  std::vector<TableRow> const all = table();
  for (TableRow const& row : all) {
    CAPTURE(row.theirs);
    CHECK(std::find(golden.begin(), golden.end(), row.theirs) != golden.end());
  }
  for (std::string const& theirs : golden) row_of(theirs.c_str());
  CHECK(all.size() == golden.size());
}

// A logit s psi carries a rounding error of s |psi| units, which the exponential turns into a relative error of p: s (|psi| + |c|) is at
// most 64 * 3, and 15 * 8 where s is a norm. With a few for the rest that is 200, relative to the largest entry of the row; three times as
// many under a focal loss, (1 - p)^2.
TEST_CASE("losses and gradients are the peer's") {
  std::vector<double> const cosines(std::begin(golden::peer_cosines), std::end(golden::peer_cosines));
  std::vector<std::int64_t> const labels(std::begin(golden::peer_labels), std::end(golden::peer_labels));
  double worst = 0;
  for (golden::PeerCase const& at : golden::peer_cases) {
    CAPTURE(std::string(at.theirs));
    TableRow const row = row_of(at.theirs);
    CHECK((at.scale != 0) == row.says("Batch::scale"));
    Result const ours = run(row, cosines, labels, at.scale);
    double const tolerance = (row.text().find("FocalLoss") == std::string::npos ? 200 : 600) * unit;
    double mean = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      CAPTURE(i);
      double const loss = golden::peer_losses[static_cast<std::size_t>(at.loss) + i];
      double const* const g = golden::peer_gradients + static_cast<std::size_t>(at.gradient) + i * classes;
      double const largest = std::abs(*std::max_element(g, g + classes, [](double a, double b) { return std::abs(a) < std::abs(b); }));
      mean += loss / static_cast<double>(rows);
      CHECK(std::abs(ours.losses[i] - loss) <= tolerance * loss);
      for (std::size_t j = 0; j < classes; ++j) {
        double const off = std::abs(ours.gradient[i * classes + j] - g[j]) / (tolerance * largest);
        CHECK(off <= 1);
        worst = std::max(worst, off);
      }
    }
    CHECK(std::abs(ours.loss - mean) <= tolerance * mean);
  }
  MESSAGE("largest error of a gradient: ", worst, " of the tolerance");
}

TEST_CASE("where a peer is said to differ it does, and ours is a number") {
  for (golden::PeerApart const& at : golden::peers_apart) {
    CAPTURE(std::string(at.theirs));
    CAPTURE(std::string(at.what));
    Result const ours = run(row_of(at.theirs), {at.cosines, at.cosines + classes}, {at.label}, 0);
    auto const apart = [](double a, double theirs, double size) {
      return theirs != golden::unsaid && !(std::abs(a - theirs) <= 1e-9 * size);
    };
    bool differs = apart(ours.loss, at.loss, ours.loss);
    for (std::size_t j = 0; j < classes; ++j) {
      CHECK(std::isfinite(ours.gradient[j]));
      differs = differs || apart(ours.gradient[j], at.gradient[j], ours.scale);
    }
    CHECK(std::isfinite(ours.loss));
    CHECK(differs);
  }
}

TEST_CASE("AdaCos: the scale starts as the peer's, and then follows the median") {
  std::vector<double> const cosines(std::begin(golden::peer_cosines), std::end(golden::peer_cosines));
  std::vector<std::int64_t> const labels(std::begin(golden::peer_labels), std::end(golden::peer_labels));
  auto const at = std::find_if(std::begin(golden::peer_cases), std::end(golden::peer_cases), [](auto const& p) { return p.scale != 0; });
  REQUIRE(at != std::end(golden::peer_cases));
  AdaCosScale const policy{golden::peer_classes};
  CHECK(policy.start().scale == doctest::Approx(std::sqrt(2.0) * std::log(golden::peer_classes - 1)).epsilon(1e-15));
  Batch const batch(matrix(cosines, golden::peer_rows, golden::peer_classes), labels);
  std::vector<std::byte> workspace(workspace_bytes<double>(on::serial{}, golden::peer_rows, golden::peer_classes, Placement::no_gradient));
  double const ours = advance(on::serial{}, policy, policy.start(), batch, view(workspace)).scale;
  CHECK(std::abs(ours - at->scale) > 0.1);
}

TEST_CASE("wespeaker's lambda is LambdaSchedule from 1") {
  idx const steps[] = {1, 2, 3, 4, 5000};
  for (std::size_t k = 0; k < std::size(steps); ++k)
    CHECK(LambdaSchedule{}(steps[k]) == doctest::Approx(golden::peer_lambdas[k]).epsilon(1e-15));
}

// Values of up to 25, of a few operations each.
TEST_CASE("point losses are the peer's, and differ where it is said") {
  for (golden::PeerPoints const& at : golden::peer_points) {
    CAPTURE(std::string(at.theirs));
    CAPTURE(std::string(at.what));
    TableRow const row = row_of(at.theirs);
    std::size_t const size = static_cast<std::size_t>(at.rows * at.cols), first = static_cast<std::size_t>(at.first);
    std::vector<double> const prediction(golden::peer_predictions + first, golden::peer_predictions + first + size);
    std::vector<double> const truth(golden::peer_truths + first, golden::peer_truths + first + size);
    std::vector<double> gradient(size);
    double value = 0;
    with_point_loss_named(row.text(), [&](auto const& loss) {
      PointOptions options;
      if (row.says("Reduction::batch_mean")) options.reduction = Reduction::batch_mean;
      std::vector<std::byte> workspace(point_workspace_bytes(at.rows, at.cols));
      value = loss_and_gradient(on::serial{}, loss, matrix(prediction, at.rows, at.cols), matrix(truth, at.rows, at.cols),
                                matrix(gradient, at.rows, at.cols), view(workspace), options)
                  .loss;
    });
    double off = std::abs(value - at.loss) / std::max(1.0, at.loss);
    for (std::size_t k = 0; k < size; ++k) off = std::max(off, std::abs(gradient[k] - golden::peer_slopes[first + k]));
    if (*at.what == 0) CHECK(off <= 1e-14);
    else CHECK(off > 1e-3);
  }
}

// What is added to the squared norms, 1e-7 and 1e-6 beside squares of 0.3 and more, moves cosines and gradients by less than 2e-6 of
// their size. The peer's dw is dc^T times the unit rows; of it, what is not along w is ours, for its w, whose rows it has normalised.
TEST_CASE("the cosine layer is the peer's, its dw without the part along w") {
  CHECK(row_of(golden::peer_layer).text() == "cosine_layer");
  constexpr std::size_t b = 2, c = 4, d = 3;
  std::vector<double> const x(std::begin(golden::peer_layer_x), std::end(golden::peer_layer_x));
  std::vector<double> const dc(std::begin(golden::peer_layer_dc), std::end(golden::peer_layer_dc));
  std::vector<double> w(std::begin(golden::peer_layer_w), std::end(golden::peer_layer_w));
  for (std::size_t j = 0; j < c; ++j) {
    double square = 1e-6;
    for (std::size_t k = 0; k < d; ++k) square += w[j * d + k] * w[j * d + k];
    for (std::size_t k = 0; k < d; ++k) w[j * d + k] /= std::sqrt(square);
  }
  std::vector<double> unit_x(b * d), unit_w(c * d), x_norms(b), w_norms(c), cosines(b * c), dx(b * d), dw(c * d);
  CosineLayer<double> layer{matrix(unit_x, b, d), matrix(unit_w, c, d), view(x_norms), view(w_norms)};
  cosine_layer(on::serial{}, matrix(x, b, d), matrix(w, c, d), layer, matrix(cosines, b, c));
  cosine_layer_backward(on::serial{}, layer, matrix(dc, b, c), matrix(dx, b, d), matrix(dw, c, d));
  for (std::size_t k = 0; k < b * c; ++k) CHECK(std::abs(cosines[k] - golden::peer_layer_cosines[k]) <= 2e-6);
  for (std::size_t k = 0; k < b * d; ++k) CHECK(std::abs(dx[k] - golden::peer_layer_dx[k]) <= 2e-6);
  bool differs = false;
  for (std::size_t j = 0; j < c; ++j) {
    double along = 0;
    for (std::size_t k = 0; k < d; ++k) along += unit_w[j * d + k] * golden::peer_layer_dw[j * d + k];
    for (std::size_t k = 0; k < d; ++k)
      CHECK(std::abs(dw[j * d + k] - (golden::peer_layer_dw[j * d + k] - along * unit_w[j * d + k])) <= 1e-5);
    differs = differs || std::abs(along) > 0.1;
  }
  CHECK(differs);
}

}  // namespace
