// A Caffe layer against the call that it makes, in turn in one run: Forward and Backward of LosskitMarginLoss, as a net trains, beside
// loss_and_gradient over the same memory. Caffe's types are those of tests/adapt/caffe/stand_in.
//
//   losskit_caffe_gates [--smoke] [--anyway]
#include "caffe/layer_factory.hpp"

#include <omp.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"
#include "gates_main.hpp"
#include "machine.hpp"
#include "table.hpp"

namespace bench {
namespace {

using namespace losskit;

Row compare(idx rows, idx cols, int rounds, Gate gate) {
  omp_set_num_threads(2);  // of both
  caffe::Blob<float> cosines(std::vector<int>{int(rows), int(cols)}), given(std::vector<int>{int(rows)}), loss;
  std::vector<float> gradient(std::size_t(rows * cols));
  std::vector<std::int64_t> labels;
  for (idx i = 0; i < rows * cols; ++i)
    cosines.mutable_cpu_data()[i] = float((std::size_t(i) * 2654435761u) % 1000003u) / 1000003.0F - 0.5F;
  for (idx i = 0; i < rows; ++i) {
    labels.push_back((i * 37) % cols);
    given.mutable_cpu_data()[i] = float(labels.back());
  }
  caffe::LayerParameter param;
  param.set_type("LosskitMarginLoss");
  param.mutable_python_param()->set_param_str("MarginSoftmax(ArcMargin(m=0.5), scale=64)");
  auto const layer = caffe::LayerRegistry<float>::CreateLayer(param);
  layer->SetUp({&cosines, &given}, {&loss});

  on::eigen const backend{openmp{}};
  MarginSoftmax const arc{ArcMargin{0.5}, 64.0};
  MatrixView<float const> const c{cosines.cpu_data(), rows, cols, cols};
  std::vector<std::byte> memory(workspace_bytes<float>(backend, rows, cols, Placement::out_of_place));
  std::vector<Case> cases(2);
  cases[0] = {"call", [&] { loss_and_gradient(backend, arc, Batch(c, labels), matrix(gradient, rows, cols), view(memory)); }};
  cases[1] = {"layer", [&] {
                layer->Forward({&cosines, &given}, {&loss});
                layer->Backward({&loss}, {true, false}, {&cosines, &given});
              }};
  race(cases, rounds, 2);
  if (std::memcmp(gradient.data(), cosines.cpu_diff(), gradient.size() * sizeof(float)) != 0)
    throw std::runtime_error("the layer's gradient and the call's differ");
  return row("Caffe layer, ArcMargin", std::to_string(rows) + "x" + std::to_string(cols), 1 / speed_ratio(cases[1], {&cases[0]}),
             "time of the bare call", gate);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  return bench::gates_main(argc, argv, "", [](bool smoke) {
    bench::print(bench::compare(256, smoke ? 200 : 10000, smoke ? 2 : 201, {1.05, 1.02, false}));
  });
}
