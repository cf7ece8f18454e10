// Every call on Thrust's CUDA system, in float and double, and one on a host system: that nvcc compiles them, without a flag.
#include "losskit/backend/thrust.hpp"

#include <type_traits>

#include "losskit/backend/half.cuh"
#include "losskit/losskit.hpp"

namespace test {

using namespace losskit;
using OnCuda = losskit::on::thrust<::thrust::cuda::tag>;
static_assert(std::is_same_v<OnCuda::space, device>);
static_assert(std::is_same_v<decltype(losskit::on::thrust{cudaStream_t{}}), OnCuda>);
static_assert(std::is_same_v<decltype(losskit::on::thrust{::thrust::cuda::par.on(cudaStream_t{})}), OnCuda>);
static_assert(std::is_same_v<losskit::on::thrust<::thrust::cpp::tag>::space, host>);

template <class T>
struct Memory {
  MatrixView<T, device> matrix;
  VectorView<T, device> norms;
  VectorView<int, device> labels;
  VectorView<AdaCosState, device> state;
  VectorView<std::byte, device> workspace;
};

template <class T>
double every_call(cudaStream_t stream, Memory<T> const& m) {
  OnCuda const gpu{stream};
  Batch const batch(m.matrix, m.labels);
  MarginSoftmax const loss{ArcMargin{0.5}, 64.0, FocalLoss{2}, HardNegatives{0.2}};
  Options options;
  Report report = read(gpu, loss_and_gradient(gpu, loss, batch, m.matrix, m.workspace, options));
  options.write = Write::accumulate;
  report = read(gpu, loss_and_gradient(gpu, loss, batch, m.matrix, m.workspace, options));
  report = read(gpu, loss_value(gpu, loss, batch, m.workspace));
  report = read(gpu, logits(gpu, loss, batch, m.matrix, m.workspace));
  logits_backward(gpu, loss, batch, m.matrix, m.matrix);
  PointReport const points = read(gpu, loss_and_gradient(gpu, WingLoss{}, m.matrix, m.matrix, m.matrix, m.workspace));
  advance(gpu, AdaCosScale(m.matrix.cols), m.state, batch, m.workspace);
  normalize_rows(gpu, m.matrix, m.matrix, m.norms);
  CosineLayer<T, device> const layer{m.matrix, m.matrix, m.norms, m.norms};
  cosine_layer(gpu, m.matrix, m.matrix, layer, m.matrix);
  cosine_layer_backward(gpu, layer, m.matrix, m.matrix, m.matrix);
  return report.loss + points.loss;
}
template double every_call(cudaStream_t, Memory<float> const&);
template double every_call(cudaStream_t, Memory<double> const&);

double in_half(cudaStream_t stream, MatrixView<__half, device> m, VectorView<int, device> labels, VectorView<std::byte, device> workspace) {
  OnCuda const gpu{stream};
  return read(gpu, loss_and_gradient(gpu, MarginSoftmax{ArcMargin{0.5}, 64.0}, Batch(m, labels), m, workspace)).loss;
}

double on_host(Batch<float, int> const& batch, MatrixView<float> gradient, WorkspaceIn<host> workspace) {
  losskit::on::thrust<::thrust::cpp::tag> const backend;
  return loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, gradient, workspace).loss;
}

}  // namespace test
