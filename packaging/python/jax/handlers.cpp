// losskit's handlers for XLA, on its typed FFI (API 0.1, jaxlib 0.6.1 and later). losskit/jax/_calls.py registers them and gives them
// their derivatives.
//
// Each handler takes the buffers as XLA lays them out, row-major, checks that they are what the C ABI takes (losskit/c/losskit.h) and calls
// liblosskit with pointers into them: nothing is copied. An input of no elements is one that is not given; an output of none is not asked
// for. XLA may give the gradient the cosines' memory (input_output_aliases): the call is then in place.
//
// Threads are XLA's. What losskit refuses is an INVALID_ARGUMENT with losskit's text.
#include <xla/ffi/api/ffi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/call.hpp"
#include "losskit/c/losskit.h"

namespace losskit_jax {

namespace ffi = xla::ffi;
using losskit_call::expect;
using losskit_call::Policy;
using losskit_call::refuse;
using losskit_call::sized;
using losskit_call::Workspace;
using In = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

// No exception leaves a handler.
template <class Call>
ffi::Error answered(Call call) {
  try {
    call();
    return ffi::Error::Success();
  } catch (losskit_call::Refused const& refused) {
    return ffi::Error::InvalidArgument(refused.what());
  } catch (std::bad_alloc const&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "losskit: out of memory");
  } catch (std::exception const& error) {
    return ffi::Error::Internal(error.what());
  }
}

struct Pool {
  std::reference_wrapper<ffi::ThreadPool> pool;
  template <class Task>
  void schedule(Task task) {
    pool.get().Schedule(std::move(task));
  }
  int64_t threads() const { return pool.get().num_threads(); }
};
using Threads = losskit_call::Threads<Pool>;

// --- buffers as views ------------------------------------------------------------------------------------------------------------

losskit_type type_of(char const* name, In const& b) {
  switch (b.element_type()) {
    case ffi::F32: return LOSSKIT_F32;
    case ffi::F64: return LOSSKIT_F64;
    case ffi::S32: return LOSSKIT_I32;
    case ffi::S64: return LOSSKIT_I64;
    default: refuse("WrongTypeError", name, " must be float32 or float64 (labels int32 or int64)");
  }
}

int64_t size_of(In const& b) { return static_cast<int64_t>(b.element_count()); }

void expect_rank(char const* name, In const& b, std::size_t rank) {
  if (b.dimensions().size() != rank)
    refuse("ShapeError", name, " must have ", rank, rank == 1 ? " dimension" : " dimensions", ", not ", b.dimensions().size());
}

losskit_view matrix(char const* name, In const& b) {
  expect_rank(name, b, 2);
  return losskit_matrix(type_of(name, b), b.untyped_data(), b.dimensions()[0], b.dimensions()[1]);
}
losskit_view vector(char const* name, In const& b) {
  expect_rank(name, b, 1);
  return losskit_vector(type_of(name, b), b.untyped_data(), b.dimensions()[0]);
}
// The vector, or none.
losskit_view maybe(char const* name, In const& b) { return size_of(b) > 0 ? vector(name, b) : losskit_none(); }

// A buffer of any rank as a matrix: its first dimension, and all others.
losskit_view points(char const* name, In const& b) {
  int64_t const n = size_of(b), rows = b.dimensions().size() > 0 ? b.dimensions()[0] : 1;
  return losskit_matrix(type_of(name, b), b.untyped_data(), rows, rows > 0 ? n / rows : 0);
}

void expect_shape_of(char const* name, In const& b, char const* other, In const& a) {
  if (!(b.dimensions() == a.dimensions())) refuse("ShapeError", name, " must have the shape of ", other);
}

// Numbers of either type, which the C ABI takes in double.
struct Doubles {
  std::vector<double> values;
  losskit_view view = losskit_none();

  Doubles(char const* name, In const& b) {
    losskit_view const v = maybe(name, b);
    if (v.rows == 0) return;
    if (v.type == LOSSKIT_F32) values.assign(b.typed_data<float>(), b.typed_data<float>() + v.rows);
    else if (v.type == LOSSKIT_F64) values.assign(b.typed_data<double>(), b.typed_data<double>() + v.rows);
    else refuse("WrongTypeError", name, " must be float32 or float64");
    view = losskit_vector(LOSSKIT_F64, values.data(), v.rows);
  }
};

// --- losses over a matrix ----------------------------------------------------------------------------------------------------------

// What every such handler is given. Empty: none.
struct Batch {
  Doubles scale, rest;
  losskit_batch view;

  Batch(In const& cosines, In const& labels, In const& scales, In const& margins, In const& s, In const& r)
      : scale("scale", s), rest("rest", r), view(losskit_batch_of(matrix("cosines", cosines), vector("labels", labels))) {
    view.scales = maybe("scales", scales);
    view.margins = maybe("margins", margins);
    view.scale = scale.view;
    view.rest = rest.view;
  }
  Batch(In const& cosines, In const& labels, In const& weights, In const& class_weights, In const& scales, In const& margins, In const& s,
        In const& r)
      : Batch(cosines, labels, scales, margins, s, r) {
    view.weights = maybe("weights", weights);
    view.class_weights = maybe("class_weights", class_weights);
  }
};

// Where the loss goes: one number, or one a row or an element.
struct Loss {
  In buffer;
  bool each;

  Loss(In const& b, int32_t reduction, int64_t count) : buffer(b), each(reduction == LOSSKIT_NO_REDUCTION) {
    losskit_type const type = type_of("loss", b);
    if ((type != LOSSKIT_F32 && type != LOSSKIT_F64) || size_of(b) != (each ? count : 1))
      refuse("ShapeError", "the loss has another type or size than its reduction gives");
  }
  void write(losskit_report const& report) const {
    if (each) return;
    if (buffer.element_type() == ffi::F32) *buffer.typed_data<float>() = static_cast<float>(report.loss);
    else *buffer.typed_data<double>() = report.loss;
  }
};

// d loss / d cosines, which may have the cosines' memory, and, where they are asked for, those by the scales and the margins.
struct Gradients { In cosines, scales, margins; };

void run_loss(ffi::ThreadPool& pool, Batch const& batch, In const& loss, Gradients const* gradients, std::string_view text, int32_t reduction,
              int64_t ignore) {
  Policy const policy(text);
  Threads threads(Pool{pool});
  losskit_options options = threads.options();
  options.reduction = reduction;
  options.ignore_label = ignore;
  losskit_view const cosines = batch.view.cosines;
  Loss const to(loss, reduction, cosines.rows);
  losskit_outputs outputs = losskit_no_outputs();
  if (to.each) outputs.row_losses = vector("loss", loss);
  losskit_view gradient = losskit_none();
  losskit_placement placement = LOSSKIT_NO_GRADIENT;
  if (gradients) {
    gradient = matrix("gradient", gradients->cosines);
    placement = gradient.data == cosines.data ? LOSSKIT_IN_PLACE : LOSSKIT_OUT_OF_PLACE;
    outputs.scale_gradient = maybe("scale_gradient", gradients->scales);
    outputs.margin_gradient = maybe("margin_gradient", gradients->margins);
  }
  auto report = sized<losskit_report>();
  Workspace workspace(policy, cosines, placement, options);
  expect(gradients ? losskit_loss_and_gradient(policy.get(), &batch.view, gradient, workspace.data(), workspace.size(), &options, &outputs,
                                               &report)
                   : losskit_loss_value(policy.get(), &batch.view, workspace.data(), workspace.size(), &options, &outputs, &report));
  to.write(report);
}

ffi::Error loss_value(ffi::ThreadPool pool, In cosines, In labels, In weights, In class_weights, In scales, In margins, In scale, In rest,
                      Out loss, std::string_view text, int32_t reduction, int64_t ignore) {
  return answered([&] {
    Batch const batch(cosines, labels, weights, class_weights, scales, margins, scale, rest);
    run_loss(pool, batch, *loss, nullptr, text, reduction, ignore);
  });
}

ffi::Error loss_and_gradient(ffi::ThreadPool pool, In cosines, In labels, In weights, In class_weights, In scales, In margins, In scale,
                             In rest, Out loss, Out gradient, Out scale_gradient, Out margin_gradient, std::string_view text,
                             int32_t reduction, int64_t ignore) {
  return answered([&] {
    Batch const batch(cosines, labels, weights, class_weights, scales, margins, scale, rest);
    Gradients const gradients{*gradient, *scale_gradient, *margin_gradient};
    run_loss(pool, batch, *loss, &gradients, text, reduction, ignore);
  });
}

// --- the margin layer alone --------------------------------------------------------------------------------------------------------

ffi::Error logits(ffi::ThreadPool pool, In cosines, In labels, In scales, In margins, In scale, In rest, Out z, std::string_view text,
                  int64_t ignore) {
  return answered([&] {
    Policy const policy(text);
    Batch const batch(cosines, labels, scales, margins, scale, rest);
    Threads threads(Pool{pool});
    losskit_options options = threads.options();
    options.ignore_label = ignore;
    auto report = sized<losskit_report>();
    Workspace workspace(policy, batch.view.cosines, LOSSKIT_NO_GRADIENT, options);
    expect(losskit_logits(policy.get(), &batch.view, matrix("logits", *z), workspace.data(), workspace.size(), &options, &report));
  });
}

// d loss / d cosines and, where it is asked for, d loss / d scales.
ffi::Error logits_backward(ffi::ThreadPool pool, In dz, In cosines, In labels, In scales, In margins, In scale, In rest, Out gradient,
                           Out scale_gradient, std::string_view text, int64_t ignore) {
  return answered([&] {
    Policy const policy(text);
    Batch const batch(cosines, labels, scales, margins, scale, rest);
    Threads threads(Pool{pool});
    losskit_options options = threads.options();
    options.ignore_label = ignore;
    expect(losskit_logits_backward(policy.get(), &batch.view, matrix("logits' gradient", dz), matrix("gradient", *gradient), &options,
                                   maybe("scale_gradient", *scale_gradient)));
  });
}

// --- point losses ------------------------------------------------------------------------------------------------------------------

void run_point_loss(ffi::ThreadPool& pool, In const& prediction, In const& truth, In const& weights, In const& loss, In const* gradient,
                    std::string_view text, int32_t reduction) {
  Policy const policy(text);
  losskit_view const x = points("prediction", prediction);
  expect_shape_of("truth", truth, "prediction", prediction);
  losskit_view to_gradient = losskit_none(), to_losses = losskit_none(), w = losskit_none();
  if (gradient) {
    expect_shape_of("gradient", *gradient, "prediction", prediction);
    to_gradient = points("gradient", *gradient);
  }
  if (size_of(weights) > 0) {
    expect_shape_of("weights", weights, "prediction", prediction);
    w = points("weights", weights);
  }
  Loss const to(loss, reduction, size_of(prediction));
  if (to.each) to_losses = losskit_matrix(type_of("loss", loss), loss.untyped_data(), x.rows, x.cols);
  Threads threads(Pool{pool});
  losskit_options options = threads.options();
  options.reduction = reduction;
  auto report = sized<losskit_report>();
  Workspace workspace(policy, x, gradient ? LOSSKIT_OUT_OF_PLACE : LOSSKIT_NO_GRADIENT, options);
  expect(losskit_point_loss(policy.get(), x, points("truth", truth), to_gradient, w, to_losses, workspace.data(), workspace.size(),
                            &options, &report));
  to.write(report);
}

ffi::Error point_loss(ffi::ThreadPool pool, In prediction, In truth, In weights, Out loss, std::string_view text, int32_t reduction) {
  return answered([&] { run_point_loss(pool, prediction, truth, weights, *loss, nullptr, text, reduction); });
}

ffi::Error point_loss_and_gradient(ffi::ThreadPool pool, In prediction, In truth, In weights, Out loss, Out gradient,
                                   std::string_view text, int32_t reduction) {
  return answered([&] { run_point_loss(pool, prediction, truth, weights, *loss, &*gradient, text, reduction); });
}

ffi::Error adaptive_wing_weights(In truth, Out weights, double weight, double threshold) {
  return answered(
      [&] { expect(losskit_adaptive_wing_weights(matrix("truth", truth), matrix("weights", *weights), weight, threshold)); });
}

// --- the head ----------------------------------------------------------------------------------------------------------------------

losskit_cosine_state state_of(In const& unit_x, In const& unit_w, In const& norms_x, In const& norms_w) {
  auto state = sized<losskit_cosine_state>();
  state.unit_x = matrix("unit_x", unit_x);
  state.unit_w = matrix("unit_w", unit_w);
  state.norms_x = vector("norms_x", norms_x);
  state.norms_w = vector("norms_w", norms_w);
  return state;
}

ffi::Error cosine_layer(ffi::ThreadPool pool, In x, In w, Out cosines, Out norms_x, Out unit_x, Out unit_w, Out norms_w) {
  return answered([&] {
    losskit_cosine_state const state = state_of(*unit_x, *unit_w, *norms_x, *norms_w);
    Threads threads(Pool{pool});
    losskit_options const options = threads.options();
    expect(losskit_cosine_layer(matrix("embeddings", x), matrix("centres", w), &state, matrix("cosines", *cosines), &options));
  });
}

// XLA may give dw the memory of unit_w.
ffi::Error cosine_layer_backward(ffi::ThreadPool pool, In dcosines, In dnorms_x, In unit_x, In unit_w, In norms_x, In norms_w, Out dx,
                                 Out dw) {
  return answered([&] {
    losskit_cosine_state const state = state_of(unit_x, unit_w, norms_x, norms_w);
    losskit_view const to_w = matrix("dw", *dw);
    Threads threads(Pool{pool});
    losskit_options const options = threads.options();
    std::size_t bytes = 0;
    expect(losskit_cosine_layer_workspace_bytes(static_cast<losskit_type>(state.unit_x.type), state.unit_x.rows, state.unit_w.rows,
                                                state.unit_x.cols, to_w.data == state.unit_w.data ? LOSSKIT_ACCUMULATE : LOSSKIT_ASSIGN,
                                                &bytes));
    Workspace workspace(bytes);
    expect(losskit_cosine_layer_backward(&state, matrix("dcosines", dcosines), matrix("dx", *dx), to_w, maybe("dnorms_x", dnorms_x),
                                         workspace.data(), workspace.size(), &options));
  });
}

// s(n) and ds/dn of each row's norm (FeatureNorm).
ffi::Error row_scales(In norms, Out scales, Out slopes, std::string_view text) {
  return answered([&] {
    Policy const policy(text);
    expect(losskit_row_scales(policy.get(), vector("norms", norms), vector("scales", *scales), vector("slopes", *slopes)));
  });
}

// --- states that follow training -----------------------------------------------------------------------------------------------------

// A state is its value (float32 or float64) and two counts (int32): the batches seen, and how many of these left it as it was.
ffi::Error advance(ffi::ThreadPool pool, In value, In counts, In cosines, In labels, Out next_value, Out next_counts, std::string_view text,
                   int64_t ignore) {
  return answered([&] {
    Policy const policy(text);
    Doubles const before("state", value);
    bool const one = before.values.size() == 1 && size_of(*next_value) == 1 && next_value->element_type() == value.element_type();
    for (In const& two : {counts, *next_counts})
      if (!one || size_of(two) != 2 || two.element_type() != ffi::S32)
        refuse("ShapeError", "a state is one number and two counts of int32");
    auto state = sized<losskit_state>();
    state.value = before.values[0];
    state.steps = counts.typed_data<int32_t>()[0];
    state.kept = counts.typed_data<int32_t>()[1];
    losskit_batch const batch = losskit_batch_of(matrix("cosines", cosines), vector("labels", labels));
    Threads threads(Pool{pool});
    losskit_options options = threads.options();
    options.ignore_label = ignore;
    Workspace workspace(policy, batch.cosines, LOSSKIT_NO_GRADIENT, options);
    expect(losskit_advance(policy.get(), &state, &batch, workspace.data(), workspace.size(), &options));
    if (value.element_type() == ffi::F32) *next_value->typed_data<float>() = static_cast<float>(state.value);
    else *next_value->typed_data<double>() = state.value;
    next_counts->typed_data<int32_t>()[0] = static_cast<int32_t>(state.steps);
    next_counts->typed_data<int32_t>()[1] = static_cast<int32_t>(state.kept);
  });
}

// --- what Python finds -----------------------------------------------------------------------------------------------------------

using ffi::Ffi;
using Text = std::string_view;

// So many inputs or outputs.
template <int count, class Binding>
auto args(Binding binding) {
  if constexpr (count == 1) return std::move(binding).template Arg<In>();
  else return args<count - 1>(std::move(binding).template Arg<In>());
}
template <int count, class Binding>
auto rets(Binding binding) {
  if constexpr (count == 1) return std::move(binding).template Ret<In>();
  else return rets<count - 1>(std::move(binding).template Ret<In>());
}
template <int inputs, int outputs>
auto on_threads() {
  return rets<outputs>(args<inputs>(Ffi::Bind().Ctx<ffi::ThreadPool>()));
}
template <int inputs, int outputs>
auto alone() {
  return rets<outputs>(args<inputs>(Ffi::Bind()));
}

}  // namespace losskit_jax

// One function of C a handler: its inputs, its outputs and its attributes by name.
#define LOSSKIT_HANDLER(name, ...)                                                            \
  extern "C" LOSSKIT_API XLA_FFI_Error* losskit_jax_##name(XLA_FFI_CallFrame* frame);         \
  extern "C" XLA_FFI_Error* losskit_jax_##name(XLA_FFI_CallFrame* frame) {                    \
    static auto const handler = losskit_jax::__VA_ARGS__.To(losskit_jax::name);               \
    return handler->Call(frame);                                                              \
  }

#define LOSSKIT_POLICY Attr<losskit_jax::Text>("policy")
#define LOSSKIT_REDUCTION Attr<int32_t>("reduction")
#define LOSSKIT_IGNORE Attr<int64_t>("ignore")

LOSSKIT_HANDLER(loss_value, on_threads<8, 1>().LOSSKIT_POLICY.LOSSKIT_REDUCTION.LOSSKIT_IGNORE)
LOSSKIT_HANDLER(loss_and_gradient, on_threads<8, 4>().LOSSKIT_POLICY.LOSSKIT_REDUCTION.LOSSKIT_IGNORE)
LOSSKIT_HANDLER(logits, on_threads<6, 1>().LOSSKIT_POLICY.LOSSKIT_IGNORE)
LOSSKIT_HANDLER(logits_backward, on_threads<7, 2>().LOSSKIT_POLICY.LOSSKIT_IGNORE)
LOSSKIT_HANDLER(point_loss, on_threads<3, 1>().LOSSKIT_POLICY.LOSSKIT_REDUCTION)
LOSSKIT_HANDLER(point_loss_and_gradient, on_threads<3, 2>().LOSSKIT_POLICY.LOSSKIT_REDUCTION)
LOSSKIT_HANDLER(adaptive_wing_weights, alone<1, 1>().Attr<double>("weight").Attr<double>("threshold"))
LOSSKIT_HANDLER(cosine_layer, on_threads<2, 5>())
LOSSKIT_HANDLER(cosine_layer_backward, on_threads<6, 2>())
LOSSKIT_HANDLER(row_scales, alone<1, 2>().LOSSKIT_POLICY)
LOSSKIT_HANDLER(advance, on_threads<4, 2>().LOSSKIT_POLICY.LOSSKIT_IGNORE)
