// The calls of losses over a matrix, and what they instantiate: a row for each rest rule, kind of objective and type. Margins come as
// AnyMargin. This unit is compiled LOSSKIT_C_PARTS times, each time with its share, so that no compilation is long.
#include "losses.hpp"

#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"

namespace losskit_c {

template <class T, class L>
Report run(L const& loss, RowCall const& call) {
  Report report;
  auto const backend = backend_of(call.options);
  Options const options = row_options(call.options);
  auto const gradient = matrix_of<T>(call.what == RowCall::logits ? "logits" : "gradient", call.gradient);
  Outputs<T> const out{vector_of<T>("row_losses", call.outputs.row_losses), vector_of<T>("scale_gradient", call.outputs.scale_gradient),
                       saved_of(call.outputs.saved, call.outputs.saved_rows), vector_of<T>("margin_gradient", call.outputs.margin_gradient)};
  with_integer("labels", call.batch.labels, [&](auto i) {
    auto const batch = batch_of<T, decltype(i)>(call.batch);
    if (call.what == RowCall::loss_and_gradient) {
      report = loss_and_gradient(backend, loss, batch, gradient, call.workspace, options, out);
    } else if (call.what == RowCall::loss_value) {
      report = loss_value(backend, loss, batch, call.workspace, options, out);
    } else if (call.what == RowCall::loss_gradient) {
      loss_gradient(backend, loss, batch, call.saved, gradient, options, out.scale_gradient, out.margin_gradient);
    } else if constexpr (takes_logits<decltype(loss.rest)>) {
      fail<TypeError>("a SoftmaxLoss is given logits; there are none to compute");
    } else if (call.what == RowCall::logits) {
      report = logits(backend, loss, batch, gradient, call.workspace, options);
    } else {
      logits_backward(backend, loss, batch, matrix_of<T const>("logits_gradient", call.logits_gradient), gradient, options,
                      out.scale_gradient);
    }
  });
  return report;
}

namespace {

template <class T, class L, std::size_t i, class F>
void share(F const& f) {
  if constexpr (i % LOSSKIT_C_PARTS == LOSSKIT_C_PART) f(&run<T, L>);
}
template <class... L, std::size_t... i, class F>
void each_share(Policies<L...>, std::index_sequence<i...>, F const& f) {
  (share<float, L, i>(f), ...);
  (share<double, L, i + 1>(f), ...);
}
// Never called: what refers to a function makes the compiler emit it. A function and no object, for an object's initialisation would
// run when the library is loaded, whichever set the machine can run.
[[gnu::used]] void instantiated(void (*refer)(void const*)) {
  each_share(LossTypes{}, std::make_index_sequence<LossTypes::count>{}, [&](auto* call) { refer(reinterpret_cast<void const*>(call)); });
}

}  // namespace
}  // namespace losskit_c
