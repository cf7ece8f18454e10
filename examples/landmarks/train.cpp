#include "train.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <mutex>
#include <numbers>
#include <numeric>
#include <tuple>

#include <torch/torch.h>

#include <losskit/adapt/torch.hpp>
#include <losskit/point/adaptive_wing.hpp>
#include <losskit/point/adaptive_wing_weights.hpp>
#include <losskit/point/smooth_l1.hpp>
#include <losskit/point/wing.hpp>

#include "../support/random.hpp"
#include "../support/runtime.hpp"

namespace demo {
namespace {

constexpr int map_side = 16,
              map_cells = map_side * map_side;  // of a heatmap; a cell is two pixels of the scene
constexpr float cell = static_cast<float>(scene_side) / map_side;
constexpr int batch_rows = 64;
constexpr double peak_rate = 2e-3;  // of Adam
constexpr std::uint64_t seed = 1;

// d^2 / 2: Huber's square, with its linear part beyond every error.
losskit::HuberLoss square() { return losskit::HuberLoss{1e9}; }

// ---- what a network may give ------------------------------------------------------------------------------

// The points' coordinates in pixels, from the middle of the scene.
struct Coordinates {
  static constexpr char const* name = "coordinates";
  static constexpr int outputs = coordinates;
  static constexpr float middle = 0.5F * (scene_side - 1);

  static void encode(float const* points, float* out) {
    std::transform(points, points + coordinates, out, [](float x) { return x - middle; });
  }
  static void decode(float const* out, float* points) {
    std::transform(out, out + outputs, points, [](float x) { return x + middle; });
  }
};

// A bump of height 1 for each point.
struct Heatmaps {
  static constexpr char const* name = "heatmaps";
  static constexpr int outputs = key_points * map_cells;

  static void encode(float const* points, float* out) {
    for (int k = 0; k < key_points; ++k) {
      float const x = to_cell(points[2 * k]), y = to_cell(points[2 * k + 1]);
      for (int row = 0; row < map_side; ++row) {
        for (int column = 0; column < map_side; ++column) {
          float const dx = static_cast<float>(column) - x, dy = static_cast<float>(row) - y;
          *out++ = std::exp(-0.5F * (dx * dx + dy * dy));
        }
      }
    }
  }

  // The highest cell, and the top of the Gaussian through it and its neighbours: a parabola in the logarithm.
  static void decode(float const* out, float* points) {
    for (int k = 0; k < key_points; ++k, out += map_cells) {
      auto const peak = static_cast<int>(std::max_element(out, out + map_cells) - out);
      int const column = peak % map_side, row = peak / map_side;
      points[2 * k] = from_cell(static_cast<float>(column) + top(out + peak, 1, column));
      points[2 * k + 1] = from_cell(static_cast<float>(row) + top(out + peak, map_side, row));
    }
  }

 private:
  static float to_cell(float x) { return (x + 0.5F) / cell - 0.5F; }
  static float from_cell(float x) { return (x + 0.5F) * cell - 0.5F; }

  static float top(float const* peak, int step, int place) {
    if (place == 0 || place == map_side - 1) return 0;
    auto const height = [](float value) { return std::log(std::max(value, 1e-3F)); };
    float const before = height(peak[-step]), here = height(*peak), after = height(peak[step]);
    float const bend = before - 2 * here + after;
    return bend < 0 ? std::clamp(0.5F * (before - after) / bend, -0.5F, 0.5F) : 0;
  }
};

// ---- the losses that are compared -------------------------------------------------------------------------

struct SquareOnCoordinates {
  using Output = Coordinates;
  static constexpr char const* name = "L2";
  static auto loss() { return square(); }
};
struct SmoothL1OnCoordinates {
  using Output = Coordinates;
  static constexpr char const* name = "SmoothL1";
  static auto loss() { return losskit::SmoothL1Loss{}; }
};
// The paper's w = 10 and eps = 2 are pixels of faces 256 across; these scenes are an eighth of that.
struct WingOnCoordinates {
  using Output = Coordinates;
  static constexpr char const* name = "Wing";
  static auto loss() { return losskit::WingLoss{10.0 / 4, 2.0 / 4}; }
};
struct SquareOnHeatmaps {
  using Output = Heatmaps;
  static constexpr char const* name = "L2";
  static auto loss() { return square(); }
};
struct SmoothL1OnHeatmaps {
  using Output = Heatmaps;
  static constexpr char const* name = "SmoothL1";
  // Linear beyond 1/9, since heatmaps end at 1. Robust, and worse for it: most cells of a heatmap are background,
  // and to a robust loss the bump itself is the outlier. That is what Adaptive Wing is for.
  static auto loss() { return losskit::SmoothL1Loss{3}; }
};
struct AdaptiveWingOnHeatmaps {
  using Output = Heatmaps;
  static constexpr char const* name = "Adaptive Wing";
  static constexpr bool weighs_foreground = true;
  static auto loss() { return losskit::AdaptiveWingLoss{}; }
};

using Recipes = std::tuple<SquareOnCoordinates, SmoothL1OnCoordinates, WingOnCoordinates, SquareOnHeatmaps,
                           SmoothL1OnHeatmaps, AdaptiveWingOnHeatmaps>;

// ---- training ---------------------------------------------------------------------------------------------

torch::nn::Sequential fresh_network(int outputs) {
  namespace nn = torch::nn;
  auto const shrink = [](int64_t in, int64_t out) {
    return nn::Conv2d(nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false));
  };
  static std::mutex turn;  // LibTorch's generator is one for all threads
  std::lock_guard const lock(turn);
  torch::manual_seed(seed);
  constexpr int64_t last = 64 * (scene_side / 8) * (scene_side / 8);
  return nn::Sequential(shrink(1, 16), nn::BatchNorm2d(16), nn::ReLU(), shrink(16, 32), nn::BatchNorm2d(32),
                        nn::ReLU(), shrink(32, 64), nn::BatchNorm2d(64), nn::ReLU(), nn::Flatten(),
                        nn::Linear(last, 128), nn::BatchNorm1d(128), nn::ReLU(), nn::Linear(128, outputs));
}

at::Tensor images_of(Scenes const& scenes, std::size_t first, std::size_t count) {
  auto const begin =
      const_cast<float*>(scenes.pixels.data()) + first * scene_pixels;  // from_blob only reads here
  return torch::from_blob(begin, {static_cast<int64_t>(count), 1, scene_side, scene_side});
}

template <class Output>
std::vector<float> predict(torch::nn::Sequential& network, Scenes const& scenes) {
  torch::NoGradGuard const only_looking;
  network->eval();
  constexpr std::size_t chunk = 256;
  std::vector<float> points(scenes.truth.size());
  for (std::size_t first = 0; first < scenes.size(); first += chunk) {
    std::size_t const count = std::min(chunk, scenes.size() - first);
    at::Tensor const out = network->forward(images_of(scenes, first, count)).contiguous();
    for (std::size_t i = 0; i < count; ++i) {
      Output::decode(out.data_ptr<float>() + i * Output::outputs, points.data() + (first + i) * coordinates);
    }
  }
  return points;
}

// Adaptive Wing's weight map, of every heatmap in the batch.
void weigh_foreground(at::Tensor const& truth, at::Tensor const& weights) {
  for (int64_t map = 0; map < truth.numel() / map_cells; ++map) {
    losskit::MatrixView<float> const y{truth.data_ptr<float>() + map * map_cells, map_side, map_side,
                                       map_side};
    losskit::MatrixView<float> const w{weights.data_ptr<float>() + map * map_cells, map_side, map_side,
                                       map_side};
    losskit::adaptive_wing_weights(y, w);
  }
}

template <class Recipe>
Predictor run(SceneSplit const& scenes, int epochs, Progress& progress) {
  using Output = typename Recipe::Output;
  use_one_core();
  auto const begin = std::chrono::steady_clock::now();
  auto network = fresh_network(Output::outputs);
  torch::optim::Adam optimiser(network->parameters(), torch::optim::AdamOptions(peak_rate));
  auto& options = static_cast<torch::optim::AdamOptions&>(optimiser.param_groups()[0].options());

  std::vector<std::size_t> order(scenes.train.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed);
  at::Tensor const images = torch::empty({batch_rows, 1, scene_side, scene_side}),
                   truth = torch::empty({batch_rows, Output::outputs}),
                   map_weights = torch::empty_like(truth);
  std::size_t const batches = order.size() / batch_rows, steps = batches * static_cast<std::size_t>(epochs);
  auto reporter = progress.begin(Recipe::name);
  for (std::size_t step = 0; step < steps; ++step) {
    if (step % batches == 0) random.shuffle(std::span(order));
    for (std::size_t i = 0; i < batch_rows; ++i) {
      std::size_t const scene = order[step % batches * batch_rows + i];
      std::copy_n(scenes.train.pixels.data() + scene * scene_pixels, scene_pixels,
                  images.data_ptr<float>() + i * scene_pixels);
      Output::encode(scenes.train.labels.data() + scene * coordinates,
                     truth.data_ptr<float>() + i * Output::outputs);
    }
    options.lr(peak_rate / 2 *
               (1 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps))));
    losskit::adapt::PointLossOptions loss_options{.reduction = losskit::Reduction::batch_mean};
    if constexpr (requires { Recipe::weighs_foreground; }) {
      weigh_foreground(truth, map_weights);
      loss_options.weights = map_weights;
    }
    optimiser.zero_grad();
    losskit::adapt::point_loss(Recipe::loss(), network->forward(images), truth, loss_options).backward();
    optimiser.step();
    reporter.advance(batch_rows);
  }
  Predictor predictor{.loss = Recipe::name, .output = Output::name};
  predictor.predictions = predict<Output>(network, scenes.test);
  predictor.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return predictor;
}

template <class... Recipe>
std::vector<NamedRun> runs_of(std::tuple<Recipe...>*) {
  return {{Recipe::name, Recipe::Output::name, run<Recipe>}...};
}

}  // namespace

std::vector<NamedRun> runs() { return runs_of(static_cast<Recipes*>(nullptr)); }

}  // namespace demo
