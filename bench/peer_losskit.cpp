// losskit behind a C interface, for peer_torch.py: the same process, the same memory, two threads.
#include "losskit/backend/eigen.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/margin/arc.hpp"
#include "memory.hpp"

using namespace losskit;

extern "C" {

// `count` floats in huge pages, for both. Lives as long as the process.
float* losskit_peer_memory(std::int64_t count) { return (new bench::Memory<float>(count))->data(); }

// The floats in a register: 16 with AVX-512.
int losskit_peer_width() { return int(Packet<float>::width); }

// ArcFace, m = 0.5, s = 64: the mean loss, and its gradient in `gradient`, which may be the cosines.
double losskit_peer_arcface(float* cosines, std::int64_t const* labels, std::int64_t rows, std::int64_t cols, float* gradient) {
  static std::vector<std::byte> workspace;  // of the largest call so far
  on::eigen const backend{bench::two_threads};
  std::size_t const needed = workspace_bytes<float>(backend, rows, cols, Placement::out_of_place);
  if (workspace.size() < needed) workspace.resize(needed);
  Batch<float, std::int64_t> const batch{MatrixView<float>{cosines, rows, cols, cols}, VectorView<std::int64_t const>{labels, rows}};
  return loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, MatrixView<float>{gradient, rows, cols, cols},
                           view(workspace)).loss;
}

}  // extern "C"
