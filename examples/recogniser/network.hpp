// The network under the loss: three strided convolutions and a linear map to the embedding. Small, so that a
// CPU trains it on fifty thousand images in less than a minute; the same for every loss, from the same first
// weights.
#pragma once

#include <cmath>
#include <numbers>

#include <torch/torch.h>

#include "../support/glyphs.hpp"

namespace demo {

struct NetworkImpl : torch::nn::Module {
  torch::nn::Sequential layers;

  explicit NetworkImpl(int64_t dimensions) {
    namespace nn = torch::nn;
    // A stride in place of pooling: half the work. Batch normalisation holds the bias, so the convolutions
    // have none.
    auto const shrink = [](int64_t in, int64_t out, int64_t window) {
      return nn::Conv2d(nn::Conv2dOptions(in, out, window).stride(2).padding(window / 2).bias(false));
    };
    constexpr int64_t last_side = glyph_side / 8, last_channels = 128;
    // In the plane, a learnt scale could flatten one of the two axes.
    auto const last_norm = nn::BatchNorm1dOptions(dimensions).affine(dimensions > 2);
    layers = nn::Sequential(
        shrink(1, 32, 5), nn::BatchNorm2d(32), nn::ReLU(nn::ReLUOptions(true)), shrink(32, 64, 3),
        nn::BatchNorm2d(64), nn::ReLU(nn::ReLUOptions(true)), shrink(64, last_channels, 3),
        nn::BatchNorm2d(last_channels), nn::ReLU(nn::ReLUOptions(true)), nn::Flatten(),
        nn::Linear(last_channels * last_side * last_side, dimensions), nn::BatchNorm1d(last_norm));
    register_module("layers", layers);
  }

  at::Tensor forward(at::Tensor const& images) { return layers->forward(images); }
};
TORCH_MODULE(Network);

// One centre for each class, the rows of W.
struct HeadImpl : torch::nn::Module {
  at::Tensor centres;

  HeadImpl(int64_t classes, int64_t dimensions) {
    if (dimensions == 2) {  // evenly around the circle: random directions in the plane crowd for good
      at::Tensor const angle = torch::arange(classes) * (2 * std::numbers::pi / static_cast<double>(classes));
      centres = register_parameter("centres", torch::stack({angle.cos(), angle.sin()}, 1).contiguous());
      return;
    }
    double const deviation = 1 / std::sqrt(static_cast<double>(dimensions));
    centres = register_parameter("centres", torch::randn({classes, dimensions}) * deviation);
  }

  // x . w, with the lengths of both: what an ordinary classifier has.
  at::Tensor products(at::Tensor const& embeddings) const { return embeddings.mm(centres.t()); }
  // x . w / (|x| |w|): what every angular loss starts from.
  at::Tensor cosines(at::Tensor const& embeddings) const { return unit(embeddings).mm(unit(centres).t()); }

  static at::Tensor unit(at::Tensor const& rows) {
    return torch::nn::functional::normalize(rows, torch::nn::functional::NormalizeFuncOptions().dim(1));
  }
};
TORCH_MODULE(Head);

}  // namespace demo
