// Every call over cosines with the margins, rest rules and objectives of the catalogue. Its object is not run: cmake/row_kernels.cmake
// counts the functions in it that walk the classes of a row.
//
// The whole product would take minutes. Every two of margin, rest rule and objective meet in float and int32; with other types each
// margin, and each rest rule with each objective: the same kernels as of the whole, unless one depends on margin, objective or label
// type, which then shows as many more, or as more in float than in double.
#include <cstdint>

#include "losskit/backend/eigen.hpp"
#include "losskit/catalogue.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"

using namespace losskit;

namespace {

template <class T, class I, class L>
void each_call(L const& loss) {
  on::eigen const backend;
  Batch const batch{MatrixView<T>{}, VectorView<I>{}};
  MatrixView<T> const matrix;
  Outputs<T> const outputs;  // which of them are asked for is known at run time only: all their kernels are compiled
  loss_and_gradient(backend, loss, batch, matrix, Workspace{}, {}, outputs);
  loss_value(backend, loss, batch, Workspace{}, {}, outputs);
  loss_gradient(backend, loss, batch, outputs.saved, matrix);
  logits(backend, loss, batch, matrix, Workspace{});
  logits_backward(backend, loss, batch, matrix, matrix);
}

template <class T, class I>
void each_rest_and_objective() {
  for_each(rests{}, [](auto rest) {
    for_each(objectives{}, [=](auto objective) { each_call<T, I>(MarginSoftmax{ArcMargin{0.5}, 64.0, objective, rest}); });
  });
}

}  // namespace

void use_everything();
void use_everything() {
  for_each(margins{}, [](auto margin) {
    for_each(rests{}, [=](auto rest) { each_call<float, std::int32_t>(MarginSoftmax{margin, 64.0, CrossEntropy{}, rest}); });
    for_each(objectives{}, [=](auto objective) { each_call<float, std::int32_t>(MarginSoftmax{margin, 64.0, objective}); });
    each_call<double, std::int64_t>(MarginSoftmax{margin, 64.0});
  });
  each_rest_and_objective<float, std::int32_t>();
  each_rest_and_objective<float, std::int64_t>();
  each_rest_and_objective<double, std::int64_t>();
}
