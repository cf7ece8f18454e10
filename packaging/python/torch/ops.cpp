// losskit's operators for torch: torch.ops.losskit.*, on torch's stable ABI. One binary serves torch 2.10 and later.
//
// Each operator checks that its tensors are what the C ABI takes (losskit/c/losskit.h), makes the outputs and calls liblosskit with
// pointers and strides. What has another layout is copied first: transposed, or expanded along a row. Numbers are float or double. Fake
// kernels, derivatives and casts are registered in Python (losskit/torch/_ops.py): the stable ABI has none in C++.
//
// Threads are torch's, by its parallel_for: no second OpenMP runtime, and torch.set_num_threads holds.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "../common/call.hpp"
#include "losskit/c/losskit.h"

namespace losskit_torch {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Maybe = std::optional<Tensor>;
using losskit_call::expect;
using losskit_call::Policy;
using losskit_call::refuse;
using losskit_call::Workspace;

// --- tensors as views ------------------------------------------------------------------------------------------------------------
// They are all dense and on the CPU: with one that is not, torch's dispatcher looks for another kernel than these.

losskit_type type_of(char const* name, Tensor const& t) {
  switch (t.scalar_type()) {
    case ScalarType::Float: return LOSSKIT_F32;
    case ScalarType::Double: return LOSSKIT_F64;
    case ScalarType::Int: return LOSSKIT_I32;
    case ScalarType::Long: return LOSSKIT_I64;
    case ScalarType::Byte: return LOSSKIT_U8;
    default: refuse("WrongTypeError", name, " must be float32 or float64 (labels int32 or int64)");
  }
}

void expect_rank(char const* name, Tensor const& t, int64_t rank) {
  if (t.dim() != rank) refuse("ShapeError", name, " must have ", rank, rank == 1 ? " dimension" : " dimensions", ", not ", t.dim());
}

// The tensor as a matrix whose columns lie next to each other, and its view. It keeps a copy where one was needed.
struct Matrix {
  Tensor tensor;
  losskit_view view;

  Matrix(char const* name, Tensor const& t) : tensor(readable(name, t)) {
    int64_t const rows = tensor.size(0), cols = tensor.size(1);
    view = losskit_strided(type_of(name, tensor), tensor.const_data_ptr(), rows, cols, rows > 1 ? tensor.stride(0) : cols);
  }

 private:
  static Tensor readable(char const* name, Tensor const& t) {
    expect_rank(name, t, 2);
    bool const joined = t.size(1) <= 1 || t.stride(1) == 1, apart = t.size(0) <= 1 || t.stride(0) >= t.size(1);
    return joined && apart ? t : torch::stable::contiguous(t);
  }
};

struct Vector {
  Tensor tensor;
  losskit_view view;

  Vector(char const* name, Tensor const& t) : tensor(readable(name, t)) {
    view = losskit_vector(type_of(name, tensor), tensor.const_data_ptr(), tensor.size(0));
  }

 private:
  static Tensor readable(char const* name, Tensor const& t) {
    expect_rank(name, t, 1);
    return torch::stable::contiguous(t);
  }
};

// The vector, or none.
struct MaybeVector {
  std::optional<Vector> vector;
  losskit_view view = losskit_none();

  MaybeVector(char const* name, Maybe const& t) {
    if (!t) return;
    vector.emplace(name, *t);
    view = vector->view;
  }
};

// --- outputs ---------------------------------------------------------------------------------------------------------------------

// Rows one after the other, on the CPU. Not torch::stable::empty, which looks its operator up by name each time.
Tensor empty(std::initializer_list<int64_t> sizes, ScalarType type) {
  int64_t const* const n = sizes.begin();
  int64_t const strides[] = {sizes.size() == 2 ? std::max<int64_t>(n[1], 1) : 1, 1};
  AtenTensorHandle handle = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), n, strides, static_cast<int32_t>(type),
                                                  aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

losskit_view written(Tensor const& t, int64_t rows, int64_t cols) {
  return losskit_matrix(type_of("output", t), t.mutable_data_ptr(), rows, cols);
}
losskit_view written(Tensor const& vector) { return losskit_vector(type_of("output", vector), vector.mutable_data_ptr(), vector.numel()); }

bool per_row(int64_t reduction) { return reduction == LOSSKIT_NO_REDUCTION; }  // or per element

// The loss as it is returned: per row it was written by the call, reduced it is the report's number.
Tensor with_loss(Tensor const& loss, losskit_report const& report, int64_t reduction) {
  if (per_row(reduction)) return loss;
  if (loss.scalar_type() == ScalarType::Float) *static_cast<float*>(loss.mutable_data_ptr()) = static_cast<float>(report.loss);
  else *static_cast<double*>(loss.mutable_data_ptr()) = report.loss;
  return loss;
}

// --- threads ---------------------------------------------------------------------------------------------------------------------

// losskit's tasks on torch's threads. An error of torch, which must not leave through C, is kept for the end of the call.
class Threads {
 public:
  static void run(void* self, int64_t tasks, void (*task)(void*, int64_t), void* context) {
    Work work{task, context};
    if (torch_parallel_for(0, tasks, 1, &Threads::range, &work) != TORCH_SUCCESS) static_cast<Threads*>(self)->failed_ = true;
  }
  void expect_done() const {
    if (failed_) refuse("InternalError", "torch's parallel_for failed");
  }

 private:
  struct Work {
    void (*task)(void*, int64_t);
    void* context;
  };
  static void range(int64_t begin, int64_t end, void* work) {
    auto const& w = *static_cast<Work*>(work);
    for (int64_t t = begin; t < end; ++t) w.task(w.context, t);
  }
  bool failed_ = false;
};

losskit_options options_on(Threads& threads) {
  losskit_options o = losskit_default_options();
  o.threads = static_cast<int32_t>(torch::stable::get_num_threads());
  o.parallel_for = &Threads::run;
  o.parallel_context = &threads;
  return o;
}

// --- losses over a matrix ----------------------------------------------------------------------------------------------------------

// What every such operator is given: the tensors, and their views.
struct Batch {
  Matrix cosines;
  Vector labels;
  MaybeVector weights, class_weights, scales, margins, scale, rest;

  Batch(Tensor const& c, Tensor const& y, Maybe const& w, Maybe const& cw, Maybe const& s, Maybe const& m, Maybe const& one_scale,
        Maybe const& r)
      : cosines("cosines", c),
        labels("labels", y),
        weights("weights", w),
        class_weights("class_weights", cw),
        scales("scales", s),
        margins("margins", m),
        scale("scale", one_scale),
        rest("rest", r) {
    type();
  }
  int64_t rows() const { return cosines.view.rows; }
  int64_t cols() const { return cosines.view.cols; }
  ScalarType scalar_type() const { return cosines.tensor.scalar_type(); }
  losskit_type type() const {
    if (cosines.view.type != LOSSKIT_F32 && cosines.view.type != LOSSKIT_F64) refuse("WrongTypeError", "cosines must be float32 or float64");
    return static_cast<losskit_type>(cosines.view.type);
  }
  losskit_batch view() const {
    losskit_batch b = losskit_batch_of(cosines.view, labels.view);
    b.weights = weights.view;
    b.class_weights = class_weights.view;
    b.scales = scales.view;
    b.margins = margins.view;
    b.scale = scale.view;
    b.rest = rest.view;
    return b;
  }
};

Tensor loss_value(Tensor const& cosines, Tensor const& labels, Policy const& policy, int64_t reduction, int64_t ignore_index,
                  Maybe const& weights, Maybe const& class_weights, Maybe const& scales, Maybe const& margins, Maybe const& scale,
                  Maybe const& rest) {
  Batch const batch(cosines, labels, weights, class_weights, scales, margins, scale, rest);
  losskit_batch const view = batch.view();
  Threads threads;
  losskit_options options = options_on(threads);
  options.reduction = static_cast<int32_t>(reduction);
  options.ignore_label = ignore_index;
  Tensor const loss = per_row(reduction) ? empty({batch.rows()}, batch.scalar_type()) : empty({}, batch.scalar_type());
  losskit_outputs outputs = losskit_no_outputs();
  if (per_row(reduction)) outputs.row_losses = written(loss);
  losskit_report report = losskit_call::sized<losskit_report>();
  Workspace workspace(policy, batch.cosines.view, LOSSKIT_NO_GRADIENT, options);
  expect(losskit_loss_value(policy.get(), &view, workspace.data(), workspace.size(), &options, &outputs, &report));
  threads.expect_done();
  return with_loss(loss, report, reduction);
}

using LossAndGradients = std::tuple<Tensor, Tensor, Tensor>;  // loss, d loss / d scales, d loss / d margins

LossAndGradients run_loss_and_gradient(Batch const& batch, losskit_view gradient, losskit_placement placement, Policy const& policy,
                                       int64_t reduction, int64_t ignore_index) {
  losskit_batch const view = batch.view();
  Threads threads;
  losskit_options options = options_on(threads);
  options.reduction = static_cast<int32_t>(reduction);
  options.ignore_label = ignore_index;
  bool const by_scale = batch.scales.vector.has_value(), by_margin = batch.margins.vector.has_value();
  Tensor const loss = per_row(reduction) ? empty({batch.rows()}, batch.scalar_type()) : empty({}, batch.scalar_type());
  Tensor const scale_gradient = empty({by_scale ? batch.rows() : 0}, batch.scalar_type());
  Tensor const margin_gradient = empty({by_margin ? batch.rows() : 0}, batch.scalar_type());
  losskit_outputs outputs = losskit_no_outputs();
  if (per_row(reduction)) outputs.row_losses = written(loss);
  if (by_scale) outputs.scale_gradient = written(scale_gradient);
  if (by_margin) outputs.margin_gradient = written(margin_gradient);
  losskit_report report = losskit_call::sized<losskit_report>();
  Workspace workspace(policy, batch.cosines.view, placement, options);
  expect(losskit_loss_and_gradient(policy.get(), &view, gradient, workspace.data(), workspace.size(), &options, &outputs, &report));
  threads.expect_done();
  return {with_loss(loss, report, reduction), scale_gradient, margin_gradient};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> loss_and_gradient(Tensor const& cosines, Tensor const& labels, Policy const& policy,
                                                             int64_t reduction, int64_t ignore_index, Maybe const& weights,
                                                             Maybe const& class_weights, Maybe const& scales, Maybe const& margins,
                                                             Maybe const& scale, Maybe const& rest) {
  Batch const batch(cosines, labels, weights, class_weights, scales, margins, scale, rest);
  Tensor const gradient = empty({batch.rows(), batch.cols()}, batch.scalar_type());
  auto const [loss, by_scale, by_margin] = run_loss_and_gradient(batch, written(gradient, batch.rows(), batch.cols()),
                                                                 LOSSKIT_OUT_OF_PLACE, policy, reduction, ignore_index);
  return {loss, gradient, by_scale, by_margin};
}

// The gradient takes the cosines' place.
LossAndGradients loss_and_gradient_(Tensor const& cosines, Tensor const& labels, Policy const& policy, int64_t reduction,
                                    int64_t ignore_index, Maybe const& weights, Maybe const& class_weights, Maybe const& scales,
                                    Maybe const& margins, Maybe const& scale, Maybe const& rest) {
  Batch const batch(cosines, labels, weights, class_weights, scales, margins, scale, rest);
  if (batch.cosines.view.data != cosines.data_ptr())
    refuse("StrideError", "cosines must have columns next to each other to be overwritten; give inplace=False");
  return run_loss_and_gradient(batch, batch.cosines.view, LOSSKIT_IN_PLACE, policy, reduction, ignore_index);
}

// --- the margin layer alone --------------------------------------------------------------------------------------------------------

Tensor logits(Tensor const& cosines, Tensor const& labels, Policy const& policy, int64_t ignore_index, Maybe const& scales,
              Maybe const& margins, Maybe const& scale, Maybe const& rest) {
  Batch const batch(cosines, labels, std::nullopt, std::nullopt, scales, margins, scale, rest);
  losskit_batch const view = batch.view();
  Threads threads;
  losskit_options options = options_on(threads);
  options.ignore_label = ignore_index;
  Tensor const z = empty({batch.rows(), batch.cols()}, batch.scalar_type());
  losskit_report report = losskit_call::sized<losskit_report>();
  Workspace workspace(policy, batch.cosines.view, LOSSKIT_NO_GRADIENT, options);
  expect(losskit_logits(policy.get(), &view, written(z, batch.rows(), batch.cols()), workspace.data(), workspace.size(), &options,
                        &report));
  threads.expect_done();
  return z;
}

// d loss / d cosines and, where scales are given, d loss / d scales.
std::tuple<Tensor, Tensor> logits_backward(Tensor const& logits_gradient, Tensor const& cosines, Tensor const& labels,
                                           Policy const& policy, int64_t ignore_index, Maybe const& scales, Maybe const& margins,
                                           Maybe const& scale, Maybe const& rest) {
  Batch const batch(cosines, labels, std::nullopt, std::nullopt, scales, margins, scale, rest);
  losskit_batch const view = batch.view();
  Matrix const dz("logits_gradient", logits_gradient);
  Threads threads;
  losskit_options options = options_on(threads);
  options.ignore_label = ignore_index;
  Tensor const gradient = empty({batch.rows(), batch.cols()}, batch.scalar_type());
  bool const by_scale = scales.has_value();
  Tensor const scale_gradient = empty({by_scale ? batch.rows() : 0}, batch.scalar_type());
  expect(losskit_logits_backward(policy.get(), &view, dz.view, written(gradient, batch.rows(), batch.cols()), &options,
                                 by_scale ? written(scale_gradient) : losskit_none()));
  threads.expect_done();
  return {gradient, scale_gradient};
}

// --- point losses ------------------------------------------------------------------------------------------------------------------

// A tensor of any rank as a matrix: its first dimension, and all others.
struct Points {
  Tensor tensor;
  losskit_view view;

  Points(char const* name, Tensor const& t) : tensor(torch::stable::contiguous(t)) {
    int64_t const n = tensor.numel(), rows = tensor.dim() > 0 ? tensor.size(0) : 1;
    view = losskit_matrix(type_of(name, tensor), tensor.const_data_ptr(), rows, rows > 0 ? n / rows : 0);
  }
};

void expect_same_shape(char const* name, Tensor const& a, Tensor const& b) {
  bool same = a.dim() == b.dim();
  for (int64_t d = 0; same && d < a.dim(); ++d) same = a.size(d) == b.size(d);
  if (!same) refuse("ShapeError", name, " must have the shape of prediction");
}

Tensor run_point_loss(Tensor const& prediction, Tensor const& truth, Policy const& policy, int64_t reduction, Maybe const& weights,
                      Tensor const* gradient) {
  Points const x("prediction", prediction), y("truth", truth);
  expect_same_shape("truth", truth, prediction);
  std::optional<Points> w;
  if (weights) {
    expect_same_shape("weights", *weights, prediction);
    w.emplace("weights", *weights);
  }
  auto const type = static_cast<losskit_type>(x.view.type);
  if (type != LOSSKIT_F32 && type != LOSSKIT_F64) refuse("WrongTypeError", "prediction must be float32 or float64");
  Tensor const loss = per_row(reduction) ? torch::stable::empty_like(x.tensor) : empty({}, x.tensor.scalar_type());
  Threads threads;
  losskit_options options = options_on(threads);
  options.reduction = static_cast<int32_t>(reduction);
  losskit_report report = losskit_call::sized<losskit_report>();
  Workspace workspace(policy, x.view, gradient ? LOSSKIT_OUT_OF_PLACE : LOSSKIT_NO_GRADIENT, options);
  expect(losskit_point_loss(policy.get(), x.view, y.view, gradient ? written(*gradient, x.view.rows, x.view.cols) : losskit_none(),
                            w ? w->view : losskit_none(), per_row(reduction) ? written(loss, x.view.rows, x.view.cols) : losskit_none(),
                            workspace.data(), workspace.size(), &options, &report));
  threads.expect_done();
  return with_loss(loss, report, reduction);
}

Tensor point_loss(Tensor const& prediction, Tensor const& truth, Policy const& policy, int64_t reduction, Maybe const& weights) {
  return run_point_loss(prediction, truth, policy, reduction, weights, nullptr);
}

std::tuple<Tensor, Tensor> point_loss_and_gradient(Tensor const& prediction, Tensor const& truth, Policy const& policy, int64_t reduction,
                                                   Maybe const& weights) {
  Tensor const gradient = torch::stable::empty(prediction.sizes(), prediction.scalar_type());
  Tensor const loss = run_point_loss(prediction, truth, policy, reduction, weights, &gradient);
  return {loss, gradient};
}

Tensor adaptive_wing_weights(Tensor const& truth, double weight, double threshold) {
  Matrix const y("truth", truth);
  Tensor const weights = empty({y.view.rows, y.view.cols}, y.tensor.scalar_type());
  expect(losskit_adaptive_wing_weights(y.view, written(weights, y.view.rows, y.view.cols), weight, threshold));
  return weights;
}

// --- the head ----------------------------------------------------------------------------------------------------------------------

losskit_cosine_state state_of(losskit_view unit_x, losskit_view unit_w, losskit_view norms_x, losskit_view norms_w) {
  losskit_cosine_state state{};
  state.struct_size = sizeof state;
  state.unit_x = unit_x;
  state.unit_w = unit_w;
  state.norms_x = norms_x;
  state.norms_w = norms_w;
  return state;
}

// cosines (B x C) and norms of x (B), and what the backward needs: unit_x, unit_w, norms of w.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> cosine_layer(Tensor const& x, Tensor const& w) {
  Matrix const a("x", x), b("weight", w);
  int64_t const rows = a.view.rows, width = a.view.cols, classes = b.view.rows;
  ScalarType const type = a.tensor.scalar_type();
  Tensor const cosines = empty({rows, classes}, type), norms_x = empty({rows}, type), norms_w = empty({classes}, type);
  Tensor const unit_x = empty({rows, width}, type), unit_w = empty({classes, b.view.cols}, type);
  losskit_cosine_state const state =
      state_of(written(unit_x, rows, width), written(unit_w, classes, b.view.cols), written(norms_x), written(norms_w));
  Threads threads;
  losskit_options const options = options_on(threads);
  expect(losskit_cosine_layer(a.view, b.view, &state, written(cosines, rows, classes), &options));
  threads.expect_done();
  return {cosines, norms_x, unit_x, unit_w, norms_w};
}

// dL/dx; dL/dw is written to dw, which may be unit_w itself.
Tensor run_cosine_layer_backward(Tensor const& cosines_gradient, Maybe const& norms_gradient, Tensor const& unit_x, Tensor const& unit_w,
                                 Tensor const& norms_x, Tensor const& norms_w, Tensor const& dw, losskit_write workspace_for) {
  Matrix const dc("cosines_gradient", cosines_gradient), ux("unit_x", unit_x), uw("unit_w", unit_w);
  Vector const nx("norms_x", norms_x), nw("norms_w", norms_w);
  MaybeVector const dn("norms_gradient", norms_gradient);
  int64_t const rows = ux.view.rows, width = ux.view.cols, classes = uw.view.rows;
  Tensor const dx = empty({rows, width}, ux.tensor.scalar_type());
  losskit_cosine_state const state = state_of(ux.view, uw.view, nx.view, nw.view);
  Threads threads;
  losskit_options const options = options_on(threads);
  std::size_t bytes = 0;
  expect(losskit_cosine_layer_workspace_bytes(type_of("x", ux.tensor), rows, classes, width, workspace_for, &bytes));
  Workspace workspace(bytes);
  expect(losskit_cosine_layer_backward(&state, dc.view, written(dx, rows, width), written(dw, classes, width), dn.view, workspace.data(),
                                       workspace.size(), &options));
  threads.expect_done();
  return dx;
}

std::tuple<Tensor, Tensor> cosine_layer_backward(Tensor const& cosines_gradient, Maybe const& norms_gradient, Tensor const& unit_x,
                                                 Tensor const& unit_w, Tensor const& norms_x, Tensor const& norms_w) {
  expect_rank("unit_w", unit_w, 2);
  Tensor const dw = empty({unit_w.size(0), unit_w.size(1)}, unit_w.scalar_type());
  return {run_cosine_layer_backward(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w, dw, LOSSKIT_ASSIGN), dw};
}

// dL/dw takes unit_w's place: a C x D matrix less.
Tensor cosine_layer_backward_(Tensor const& cosines_gradient, Maybe const& norms_gradient, Tensor const& unit_x, Tensor const& unit_w,
                              Tensor const& norms_x, Tensor const& norms_w) {
  expect_rank("unit_w", unit_w, 2);
  bool const joined = unit_w.size(1) <= 1 || unit_w.stride(1) == 1, dense = unit_w.size(0) <= 1 || unit_w.stride(0) == unit_w.size(1);
  if (unit_w.numel() > 0 && !(joined && dense))
    refuse("StrideError", "unit_w must be contiguous to be overwritten");
  return run_cosine_layer_backward(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w, unit_w, LOSSKIT_ACCUMULATE);
}

// s(n) and ds/dn of each row's norm (FeatureNorm).
std::tuple<Tensor, Tensor> row_scales(Tensor const& norms, Policy const& policy) {
  Vector const n("norms", norms);
  Tensor const scales = empty({n.view.rows}, n.tensor.scalar_type()), slopes = empty({n.view.rows}, n.tensor.scalar_type());
  expect(losskit_row_scales(policy.get(), n.view, written(scales), written(slopes)));
  return {scales, slopes};
}

// --- states that follow training -----------------------------------------------------------------------------------------------------

// A state as a tensor of three doubles: its value, the batches seen, and how many of these left it as it was.
Tensor as_tensor(losskit_state const& state) {
  Tensor const t = empty({3}, ScalarType::Double);
  double* const x = static_cast<double*>(t.mutable_data_ptr());
  x[0] = state.value, x[1] = static_cast<double>(state.steps), x[2] = static_cast<double>(state.kept);
  return t;
}

losskit_state empty_state() {
  losskit_state state{};
  state.struct_size = sizeof state;
  return state;
}

Tensor start(Policy const& policy) {
  losskit_state state = empty_state();
  expect(losskit_start(policy.get(), &state));
  return as_tensor(state);
}

Tensor advance(Tensor const& state, Policy const& policy, Tensor const& cosines, Tensor const& labels, int64_t ignore_index) {
  Batch const batch(cosines, labels, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  Vector const before("state", state);
  if (before.view.type != LOSSKIT_F64 || before.view.rows != 3) refuse("WrongTypeError", "state must be three numbers of float64");
  double const* const x = static_cast<double const*>(before.tensor.const_data_ptr());
  losskit_state next = empty_state();
  next.value = x[0], next.steps = static_cast<int64_t>(x[1]), next.kept = static_cast<int64_t>(x[2]);
  losskit_batch const view = batch.view();
  Threads threads;
  losskit_options options = options_on(threads);
  options.ignore_label = ignore_index;
  Workspace workspace(policy, batch.cosines.view, LOSSKIT_NO_GRADIENT, options);
  expect(losskit_advance(policy.get(), &next, &view, workspace.data(), workspace.size(), &options));
  threads.expect_done();
  return as_tensor(next);
}

}  // namespace losskit_torch

// How a Policy comes out of an operator's arguments: straight from torch's string, which is given back. (torch's own conversion to
// std::string, of 2.10 to 2.13, loses a string at every call.)
HIDDEN_NAMESPACE_BEGIN(torch, stable, detail)
template <>
struct ToImpl<losskit_torch::Policy> {
  static losskit_torch::Policy call(StableIValue value, uint64_t, bool) {
    struct Owner {
      StringHandle handle;
      ~Owner() { (void)torch_delete_string(handle); }
    } const text{to<StringHandle>(value)};
    std::size_t length = 0;
    char const* data = nullptr;
    TORCH_ERROR_CODE_CHECK(torch_string_length(text.handle, &length));
    TORCH_ERROR_CODE_CHECK(torch_string_c_str(text.handle, &data));
    return losskit_torch::Policy(std::string_view(data, length));
  }
};
HIDDEN_NAMESPACE_END(torch, stable, detail)

#define LOSSKIT_LOSS_ARGUMENTS                                                                                                 \
  "Tensor labels, str policy, int reduction, int ignore_index, Tensor? weights, Tensor? class_weights, Tensor? scales, Tensor? " \
  "margins, Tensor? scale, Tensor? rest"
#define LOSSKIT_LOGITS_ARGUMENTS \
  "Tensor cosines, Tensor labels, str policy, int ignore_index, Tensor? scales, Tensor? margins, Tensor? scale, Tensor? rest"

STABLE_TORCH_LIBRARY(losskit, m) {
  m.def("loss_value(Tensor cosines, " LOSSKIT_LOSS_ARGUMENTS ") -> Tensor");
  m.def("loss_and_gradient(Tensor cosines, " LOSSKIT_LOSS_ARGUMENTS ") -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("loss_and_gradient_(Tensor(a!) cosines, " LOSSKIT_LOSS_ARGUMENTS ") -> (Tensor, Tensor, Tensor)");
  m.def("logits(" LOSSKIT_LOGITS_ARGUMENTS ") -> Tensor");
  m.def("logits_backward(Tensor logits_gradient, " LOSSKIT_LOGITS_ARGUMENTS ") -> (Tensor, Tensor)");
  m.def("point_loss(Tensor prediction, Tensor truth, str policy, int reduction, Tensor? weights) -> Tensor");
  m.def("point_loss_and_gradient(Tensor prediction, Tensor truth, str policy, int reduction, Tensor? weights) -> (Tensor, Tensor)");
  m.def("adaptive_wing_weights(Tensor truth, float weight, float threshold) -> Tensor");
  m.def("cosine_layer(Tensor x, Tensor weight) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "cosine_layer_backward(Tensor cosines_gradient, Tensor? norms_gradient, Tensor unit_x, Tensor unit_w, Tensor norms_x, "
      "Tensor norms_w) -> (Tensor, Tensor)");
  m.def(
      "cosine_layer_backward_(Tensor cosines_gradient, Tensor? norms_gradient, Tensor unit_x, Tensor(a!) unit_w, Tensor norms_x, "
      "Tensor norms_w) -> Tensor");
  m.def("row_scales(Tensor norms, str policy) -> (Tensor, Tensor)");
  m.def("start(str policy) -> Tensor");
  m.def("advance(Tensor state, str policy, Tensor cosines, Tensor labels, int ignore_index) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(losskit, CPU, m) {
  m.impl("loss_value", TORCH_BOX(&losskit_torch::loss_value));
  m.impl("loss_and_gradient", TORCH_BOX(&losskit_torch::loss_and_gradient));
  m.impl("loss_and_gradient_", TORCH_BOX(&losskit_torch::loss_and_gradient_));
  m.impl("logits", TORCH_BOX(&losskit_torch::logits));
  m.impl("logits_backward", TORCH_BOX(&losskit_torch::logits_backward));
  m.impl("point_loss", TORCH_BOX(&losskit_torch::point_loss));
  m.impl("point_loss_and_gradient", TORCH_BOX(&losskit_torch::point_loss_and_gradient));
  m.impl("adaptive_wing_weights", TORCH_BOX(&losskit_torch::adaptive_wing_weights));
  m.impl("cosine_layer", TORCH_BOX(&losskit_torch::cosine_layer));
  m.impl("cosine_layer_backward", TORCH_BOX(&losskit_torch::cosine_layer_backward));
  m.impl("cosine_layer_backward_", TORCH_BOX(&losskit_torch::cosine_layer_backward_));
  m.impl("row_scales", TORCH_BOX(&losskit_torch::row_scales));
  m.impl("advance", TORCH_BOX(&losskit_torch::advance));
}

STABLE_TORCH_LIBRARY_IMPL(losskit, CompositeExplicitAutograd, m) { m.impl("start", TORCH_BOX(&losskit_torch::start)); }
