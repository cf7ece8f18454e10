// Training of the key points: coordinates directly, or one heatmap a point.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "../support/progress.hpp"
#include "shapes.hpp"

namespace demo {

struct Predictor {
  std::string_view loss;
  std::string_view output;           // what the network gives: coordinates or heatmaps
  std::vector<float> predictions{};  // of the test scenes, coordinates a scene
  double seconds = 0;
};

struct NamedRun {
  std::string_view loss, output;
  std::function<Predictor(SceneSplit const& scenes, int epochs, Progress& progress)> run;
};

// L2, SmoothL1 and Wing on coordinates; L2, SmoothL1 and Adaptive Wing on heatmaps. Adaptive Wing's shape
// depends on the truth, which has to be a heatmap's intensity: on a coordinate it would treat the left of the
// image unlike the right.
std::vector<NamedRun> runs();

}  // namespace demo
