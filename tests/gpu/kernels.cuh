// Kernels by name, for whoever wants them compiled without a call.
#pragma once
#include "losskit/backend/cuda.cuh"
#include "losskit/backend/half.cuh"
#include "losskit/losskit.hpp"

namespace test {

using namespace losskit;

// Exp: Bounded or Paired. Moment: dL/ds is asked for.
template <class L, class S = float, bool Moment = false, template <class> class Exp = Bounded, bool Gradient = true>
struct RowOf {
  using Policies = detail::RowPolicies<L, S, std::int64_t, device>;
  using Asks = decltype(detail::asked_by<L>());
  using List = std::conditional_t<Moment, typename Asks::template with<MomentSum>, Asks>;
  using type = detail::LossRow<Gradient, List, Exp<computed<S>>, typename Policies::Rest, Policies, S, device>;
};
template <class L, class S = float, bool Moment = false, template <class> class Exp = Bounded, bool Gradient = true>
using Row = typename RowOf<L, S, Moment, Exp, Gradient>::type;

// Who names a kernel's address has it compiled.
inline void const* used = nullptr;
template <class... Kernels>
void compile(Kernels*... kernels) {
  ((used = reinterpret_cast<void const*>(kernels)), ...);
}

}  // namespace test
