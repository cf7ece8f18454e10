#include "train.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>
#include <numbers>
#include <numeric>

#include <losskit/adapt/torch.hpp>

#include "../support/runtime.hpp"
#include "network.hpp"
#include "recipes.hpp"

namespace demo {
namespace {

// Of the highest rate: rises over the first tenth of training, then falls to 0 along a cosine.
double rate_share(double progress) {
  constexpr double warm_up = 0.1;
  if (progress < warm_up) return (progress + 1e-3) / warm_up;
  return 0.5 * (1 + std::cos(std::numbers::pi * (progress - warm_up) / (1 - warm_up)));
}

struct Model {
  Network network;
  Head head;
};

// The first weights come from LibTorch's one global generator: threads take turns, each from the same seed.
Model fresh_model(GlyphSet const& train, Plan const& plan) {
  static std::mutex turn;
  std::lock_guard const lock(turn);
  torch::manual_seed(plan.seed);
  return {Network(plan.dimensions), Head(static_cast<int64_t>(train.characters.size()), plan.dimensions)};
}

// The batches of one training run: shuffled anew every epoch, every image distorted anew.
class Batches {
 public:
  at::Tensor const images, labels;

  Batches(GlyphSet const& set, Plan const& plan)
      : images(torch::empty({plan.batch, 1, glyph_side, glyph_side})),
        labels(torch::empty({plan.batch}, torch::kLong)),
        set_(set),
        random_(plan.seed),
        order_(set.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  [[nodiscard]] std::size_t count() const { return order_.size() / static_cast<std::size_t>(labels.size(0)); }

  void shuffle() { random_.shuffle(std::span(order_)); }

  void load(std::size_t batch) {
    auto const rows = static_cast<std::size_t>(labels.size(0));
    for (std::size_t i = 0; i < rows; ++i) {
      std::size_t const image = order_[batch * rows + i];
      write_augmented(set_.image(image), random_, images.data_ptr<float>() + i * glyph_pixels);
      labels.data_ptr<std::int64_t>()[i] = set_.labels[image];
    }
  }

 private:
  GlyphSet const& set_;
  Random random_;
  std::vector<std::size_t> order_;
};

using Batch = losskit::Batch<float, std::int64_t>;

Batch batch_of(at::Tensor const& cosines, at::Tensor const& labels) {
  return {losskit::adapt::matrix_of<float const>(cosines),
          losskit::adapt::vector_of<std::int64_t const>(labels)};
}

void count_target_angles(Batch const& batch, AngleHistogram& angles) {
  for (losskit::idx i = 0; i < batch.cosines.rows; ++i) {
    double const cosine = std::clamp(static_cast<double>(batch.cosines.row(i)[batch.labels[i]]), -1.0, 1.0);
    if (std::isnan(cosine)) throw Problem("training diverged: a cosine is not a number");
    auto const bin =
        static_cast<std::size_t>(std::acos(cosine) / std::numbers::pi * static_cast<double>(angles.size()));
    ++angles[std::min(bin, angles.size() - 1)];
  }
}

// The loss of a batch, ready for backward(); counts right answers and angles on the way.
template <class Recipe>
at::Tensor loss_of(Recipe& recipe, double progress, Head& head, at::Tensor const& embeddings,
                   at::Tensor const& labels, AngleHistogram& angles, std::int64_t& right) {
  if constexpr (std::is_same_v<Recipe, PlainSoftmax>) {
    {
      torch::NoGradGuard const only_looking;
      at::Tensor const cosines = head->cosines(embeddings);
      count_target_angles(batch_of(cosines, labels), angles);
      right += cosines.argmax(1).eq(labels).sum().template item<std::int64_t>();
    }
    return torch::nn::functional::cross_entropy(head->products(embeddings), labels);
  } else {
    at::Tensor const cosines = head->cosines(embeddings);
    Batch const batch = batch_of(cosines, labels);
    count_target_angles(batch, angles);  // now: the loss writes its gradient over the cosines
    if constexpr (requires { recipe.observe(batch); }) recipe.observe(batch);
    losskit::Report report;
    at::Tensor const loss = losskit::adapt::margin_loss(recipe.at(progress), cosines, labels,
                                                        {.in_place = true, .report = &report});
    right += report.top1;
    return loss;
  }
}

std::vector<float> embed(Network& network, GlyphSet const& set, int dimensions) {
  torch::NoGradGuard const only_looking;
  network->eval();
  constexpr std::size_t chunk = 512;
  std::vector<float> embeddings;
  embeddings.reserve(set.size() * static_cast<std::size_t>(dimensions));
  for (std::size_t first = 0; first < set.size(); first += chunk) {
    std::size_t const count = std::min(chunk, set.size() - first);
    at::Tensor const images = torch::empty({static_cast<int64_t>(count), 1, glyph_side, glyph_side});
    for (std::size_t i = 0; i < count; ++i) {
      write_plain(set.image(first + i), images.data_ptr<float>() + i * glyph_pixels);
    }
    at::Tensor const rows = network->forward(images).contiguous();
    embeddings.insert(embeddings.end(), rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel());
  }
  return embeddings;
}

template <class Recipe>
Trained train(GlyphSet const& set, GlyphSet const& shown, Plan const& plan, Progress& progress) {
  use_one_core();
  auto const begin = std::chrono::steady_clock::now();
  auto [network, head] = fresh_model(set, plan);
  std::vector<at::Tensor> weights = network->parameters();
  for (at::Tensor const& w : head->parameters()) weights.push_back(w);
  torch::optim::SGD optimiser(
      weights, torch::optim::SGDOptions(plan.rate).momentum(0.9).nesterov(true).weight_decay(5e-4));
  auto& options = static_cast<torch::optim::SGDOptions&>(optimiser.param_groups()[0].options());

  Recipe recipe{Setting{plan.scale, plan.strength, static_cast<losskit::idx>(set.characters.size())}};
  Batches batches(set, plan);
  double const steps = static_cast<double>(batches.count()) * plan.epochs;
  Trained trained{.loss = Recipe::name, .dimensions = plan.dimensions};
  std::int64_t right = 0;
  double step = 0;
  auto reporter = progress.begin(Recipe::name);
  for (int epoch = 0; epoch < plan.epochs; ++epoch) {
    batches.shuffle();
    right = 0;
    AngleHistogram& angles = trained.angles.emplace_back();
    for (std::size_t batch = 0; batch < batches.count(); ++batch, ++step) {
      batches.load(batch);
      options.lr(plan.rate * rate_share(step / steps));
      optimiser.zero_grad();
      at::Tensor const embeddings = network->forward(batches.images);
      loss_of(recipe, step / steps, head, embeddings, batches.labels, angles, right).backward();
      optimiser.step();
      reporter.advance(plan.batch);
    }
  }
  trained.accuracy = static_cast<double>(right) /
                     static_cast<double>(batches.count() * static_cast<std::size_t>(plan.batch));
  trained.embeddings = embed(network, shown, plan.dimensions);
  float const* const centres = head->centres.data_ptr<float>();
  trained.centres.assign(centres, centres + head->centres.numel());
  trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return trained;
}

template <class... Recipe>
std::vector<NamedTrainer> trainers_of(std::tuple<Recipe...>*) {
  return {{Recipe::name, train<Recipe>}...};
}

}  // namespace

std::vector<NamedTrainer> trainers() { return trainers_of(static_cast<Recipes*>(nullptr)); }

}  // namespace demo
