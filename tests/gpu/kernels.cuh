// Kernels by name, for whoever wants them compiled without a call.
#pragma once
#include "losskit/backend/cuda.cuh"
#include "losskit/backend/half.cuh"
#include "losskit/losskit.hpp"

namespace test {

using namespace losskit;

template <class L, class S = float, bool Moment = false, class Exp = Bounded<computed<S>>, bool Gradient = true>
using Row = detail::LossRow<Gradient, Moment, Exp, L, S, std::int64_t, device>;

// Who names a kernel's address has it compiled.
inline void const* used = nullptr;
template <class... Kernels>
void compile(Kernels*... kernels) {
  ((used = reinterpret_cast<void const*>(kernels)), ...);
}

}  // namespace test
