// Training: one network for each loss, all from the same first weights, over the same batches in the same
// order.
#pragma once

#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "../support/progress.hpp"
#include "data.hpp"

namespace demo {

// What training is given. Epochs are counted, not seconds: the result is the same on a slow machine.
struct Plan {
  int dimensions = 128;  // D, of the embedding
  int epochs = 6;
  int batch = 128;      // B
  double scale = 30;    // s
  double rate = 0.1;    // the highest learning rate, of stochastic gradient descent with momentum
  double strength = 1;  // on the margins of the papers
  std::uint64_t seed = 1;
};

// How many training images had their target's angle in each of 90 bins of 2 degrees.
using AngleHistogram = std::array<std::int64_t, 90>;

struct Trained {
  std::string_view loss{};
  int dimensions = 0;
  std::vector<float> embeddings{};       // of the shown set, dimensions an image, not normalised
  std::vector<float> centres{};          // of the classes
  std::vector<AngleHistogram> angles{};  // one an epoch
  double accuracy = 0;                   // top-1 over the last epoch's batches, on raw cosines
  double seconds = 0;
};

// Trains one loss on `train` and embeds `shown`. The same arguments give the same bits.
using Trainer = std::function<Trained(GlyphSet const& train, GlyphSet const& shown, Plan const& plan,
                                      Progress& progress)>;

struct NamedTrainer {
  std::string_view loss{};
  Trainer run;
};

// One for each type in Recipes, in their order.
std::vector<NamedTrainer> trainers();

}  // namespace demo
