// losskit's operators for TensorFlow, on the CPU: LosskitLoss, LosskitPointLoss, LosskitCosineLayer and their gradients.
//
// Each kernel checks that its tensors are what the C ABI takes (losskit/c/losskit.h), makes the outputs and calls liblosskit with pointers
// into them: nothing is copied. The cosines' memory is taken for the gradient where TensorFlow says that nobody else needs it. A vector of
// no elements is one that is not given. Derivatives are registered in Python (losskit/tensorflow/_ops.py).
//
// Threads are TensorFlow's. What losskit refuses is an InvalidArgument with losskit's text. TensorFlow's C++ interface changes with each
// version: this file is compiled for one.
#include <tensorflow/core/framework/op.h>
#include <tensorflow/core/framework/op_kernel.h>
#include <tensorflow/core/framework/shape_inference.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "../common/call.hpp"
#include "losskit/c/losskit.h"

namespace losskit_tensorflow {

namespace tf = ::tensorflow;
using losskit_call::expect;
using losskit_call::Policy;
using losskit_call::refuse;
using losskit_call::sized;
using losskit_call::Workspace;

// What the call throws, as TensorFlow's status: no exception leaves a kernel.
template <class Call>
absl::Status answered(Call call) {
  try {
    call();
    return absl::OkStatus();
  } catch (losskit_call::Refused const& refused) {
    return absl::InvalidArgumentError(refused.what());
  } catch (std::bad_alloc const&) {
    return absl::ResourceExhaustedError("losskit: out of memory");
  } catch (std::exception const& error) {
    return absl::InternalError(error.what());
  }
}

// TensorFlow's own refusal, to be answered as it is.
void expect(absl::Status const& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

struct Pool {
  tsl::thread::ThreadPool* pool;
  template <class Task>
  void schedule(Task task) {
    pool->Schedule(std::move(task));
  }
  int64_t threads() const { return pool->NumThreads(); }
};
using Threads = losskit_call::Threads<Pool>;
Threads threads_of(tf::OpKernelContext* context) {
  return Threads(Pool{context->device()->tensorflow_cpu_worker_threads()->workers});
}

// --- tensors as views ------------------------------------------------------------------------------------------------------------

losskit_type type_of(tf::Tensor const& t) {
  switch (t.dtype()) {
    case tf::DT_FLOAT: return LOSSKIT_F32;
    case tf::DT_DOUBLE: return LOSSKIT_F64;
    case tf::DT_INT32: return LOSSKIT_I32;
    default: return LOSSKIT_I64;  // the operators take no others
  }
}
void expect_rank(char const* name, tf::Tensor const& t, int rank) {
  if (t.dims() != rank) refuse("ShapeError", name, " must have ", rank, rank == 1 ? " dimension" : " dimensions", ", not ", t.dims());
}
losskit_view matrix(char const* name, tf::Tensor const& t) {
  expect_rank(name, t, 2);
  return losskit_matrix(type_of(t), t.data(), t.dim_size(0), t.dim_size(1));
}
losskit_view vector(char const* name, tf::Tensor const& t) {
  expect_rank(name, t, 1);
  return losskit_vector(type_of(t), t.data(), t.dim_size(0));
}
losskit_view maybe(char const* name, tf::Tensor const& t) { return t.NumElements() > 0 ? vector(name, t) : losskit_none(); }

// A tensor of any rank as a matrix: its first dimension, and all others.
losskit_view points(tf::Tensor const& t) {
  int64_t const rows = t.dims() > 0 ? t.dim_size(0) : 1;
  return losskit_matrix(type_of(t), t.data(), rows, rows > 0 ? t.NumElements() / rows : 0);
}

tf::Tensor& output(tf::OpKernelContext* context, int index, tf::TensorShape const& shape) {
  tf::Tensor* t = nullptr;
  expect(context->allocate_output(index, shape, &t));
  return *t;
}

// The loss as it is returned: one a row or element was written by the call, reduced it is the report's number.
void write_loss(tf::Tensor& loss, losskit_report const& report) {
  if (loss.dtype() == tf::DT_FLOAT) loss.scalar<float>()() = static_cast<float>(report.loss);
  else loss.scalar<double>()() = report.loss;
}

// A kernel that holds its policy, read once.
class OfPolicy : public tf::OpKernel {
 public:
  explicit OfPolicy(tf::OpKernelConstruction* c) : tf::OpKernel(c) {
    std::string text;
    OP_REQUIRES_OK(c, c->GetAttr("policy", &text));
    OP_REQUIRES_OK(c, c->GetAttr("reduction", &reduction_));
    OP_REQUIRES_OK(c, c->GetAttr("gradient", &gradient_));
    OP_REQUIRES_OK(c, answered([&] { policy_ = std::make_unique<Policy>(text); }));
  }

 protected:
  bool each() const { return reduction_ == LOSSKIT_NO_REDUCTION; }  // a loss a row, or an element
  std::unique_ptr<Policy> policy_;
  int32_t reduction_ = 0;
  bool gradient_ = true;  // is one asked for?
};

// --- losses over a matrix ----------------------------------------------------------------------------------------------------------

class Loss final : public OfPolicy {
 public:
  explicit Loss(tf::OpKernelConstruction* c) : OfPolicy(c) { OP_REQUIRES_OK(c, c->GetAttr("ignore", &ignore_)); }

  void Compute(tf::OpKernelContext* c) override {
    OP_REQUIRES_OK(c, answered([&] { run(c); }));
  }

 private:
  void run(tf::OpKernelContext* c) {
    losskit_batch batch = losskit_batch_of(matrix("cosines", c->input(0)), vector("labels", c->input(1)));
    batch.weights = maybe("weights", c->input(2));
    batch.class_weights = maybe("class_weights", c->input(3));
    batch.scales = maybe("scales", c->input(4));
    batch.margins = maybe("margins", c->input(5));
    batch.scale = maybe("scale", c->input(6));
    batch.rest = maybe("rest", c->input(7));
    int64_t const rows = batch.cosines.rows;
    Threads threads = threads_of(c);
    losskit_options options = threads.options();
    options.reduction = reduction_;
    options.ignore_label = ignore_;

    tf::Tensor& loss = output(c, 0, each() ? tf::TensorShape({rows}) : tf::TensorShape());
    tf::Tensor* gradient = nullptr;
    if (gradient_) expect(c->forward_input_or_allocate_output({0}, 1, c->input(0).shape(), &gradient));
    else gradient = &output(c, 1, tf::TensorShape({0, 0}));
    tf::Tensor& by_scale = output(c, 2, tf::TensorShape({gradient_ ? batch.scales.rows : 0}));
    tf::Tensor& by_margin = output(c, 3, tf::TensorShape({gradient_ ? batch.margins.rows : 0}));
    losskit_outputs outputs = losskit_no_outputs();
    if (each()) outputs.row_losses = vector("loss", loss);
    auto report = sized<losskit_report>();
    if (gradient_) {
      outputs.scale_gradient = maybe("scale_gradient", by_scale);
      outputs.margin_gradient = maybe("margin_gradient", by_margin);
      losskit_view const to = matrix("gradient", *gradient);
      Workspace workspace(*policy_, batch.cosines, to.data == batch.cosines.data ? LOSSKIT_IN_PLACE : LOSSKIT_OUT_OF_PLACE, options);
      expect(losskit_loss_and_gradient(policy_->get(), &batch, to, workspace.data(), workspace.size(), &options, &outputs, &report));
    } else {
      Workspace workspace(*policy_, batch.cosines, LOSSKIT_NO_GRADIENT, options);
      expect(losskit_loss_value(policy_->get(), &batch, workspace.data(), workspace.size(), &options, &outputs, &report));
    }
    if (!each()) write_loss(loss, report);
  }

  int64_t ignore_ = LOSSKIT_NO_LABEL;
};

// --- point losses ------------------------------------------------------------------------------------------------------------------

class PointLoss final : public OfPolicy {
 public:
  explicit PointLoss(tf::OpKernelConstruction* c) : OfPolicy(c) {}

  void Compute(tf::OpKernelContext* c) override {
    OP_REQUIRES_OK(c, answered([&] { run(c); }));
  }

 private:
  void run(tf::OpKernelContext* c) {
    tf::Tensor const &prediction = c->input(0), &truth = c->input(1), &weights = c->input(2);
    bool const weighted = weights.NumElements() > 0;
    if (truth.shape() != prediction.shape()) refuse("ShapeError", "truth must have the shape of prediction");
    if (weighted && weights.shape() != prediction.shape()) refuse("ShapeError", "weights must have the shape of prediction");
    losskit_view const x = points(prediction);
    Threads threads = threads_of(c);
    losskit_options options = threads.options();
    options.reduction = reduction_;
    tf::Tensor& loss = output(c, 0, each() ? prediction.shape() : tf::TensorShape());
    tf::Tensor* gradient = nullptr;
    if (gradient_) expect(c->forward_input_or_allocate_output({0}, 1, prediction.shape(), &gradient));
    else gradient = &output(c, 1, tf::TensorShape({0}));
    auto report = sized<losskit_report>();
    Workspace workspace(*policy_, x, gradient_ ? LOSSKIT_OUT_OF_PLACE : LOSSKIT_NO_GRADIENT, options);
    expect(losskit_point_loss(policy_->get(), x, points(truth), gradient_ ? points(*gradient) : losskit_none(),
                              weighted ? points(weights) : losskit_none(), each() ? points(loss) : losskit_none(), workspace.data(),
                              workspace.size(), &options, &report));
    if (!each()) write_loss(loss, report);
  }
};

// --- the head ----------------------------------------------------------------------------------------------------------------------

losskit_cosine_state state_of(tf::Tensor const& unit_x, tf::Tensor const& unit_w, tf::Tensor const& norms_x, tf::Tensor const& norms_w) {
  auto state = sized<losskit_cosine_state>();
  state.unit_x = matrix("unit_x", unit_x);
  state.unit_w = matrix("unit_w", unit_w);
  state.norms_x = vector("norms_x", norms_x);
  state.norms_w = vector("norms_w", norms_w);
  return state;
}

class CosineLayer final : public tf::OpKernel {
 public:
  using tf::OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* c) override {
    OP_REQUIRES_OK(c, answered([&] {
                     losskit_view const x = matrix("embeddings", c->input(0)), w = matrix("centres", c->input(1));
                     tf::Tensor& cosines = output(c, 0, tf::TensorShape({x.rows, w.rows}));
                     tf::Tensor& norms_x = output(c, 1, tf::TensorShape({x.rows}));
                     tf::Tensor& unit_x = output(c, 2, c->input(0).shape());
                     tf::Tensor& unit_w = output(c, 3, c->input(1).shape());
                     tf::Tensor& norms_w = output(c, 4, tf::TensorShape({w.rows}));
                     losskit_cosine_state const state = state_of(unit_x, unit_w, norms_x, norms_w);
                     Threads threads = threads_of(c);
                     losskit_options const options = threads.options();
                     expect(losskit_cosine_layer(x, w, &state, matrix("cosines", cosines), &options));
                   }));
  }
};

// The centres' gradient takes the place of the unit centres where TensorFlow lets it.
class CosineLayerBackward final : public tf::OpKernel {
 public:
  using tf::OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* c) override {
    OP_REQUIRES_OK(c, answered([&] {
                     losskit_cosine_state const state = state_of(c->input(2), c->input(3), c->input(4), c->input(5));
                     tf::Tensor& dx = output(c, 0, c->input(2).shape());
                     tf::Tensor* dw = nullptr;
                     expect(c->forward_input_or_allocate_output({3}, 1, c->input(3).shape(), &dw));
                     losskit_view const to_w = matrix("dw", *dw);
                     Threads threads = threads_of(c);
                     losskit_options const options = threads.options();
                     std::size_t bytes = 0;
                     expect(losskit_cosine_layer_workspace_bytes(
                         static_cast<losskit_type>(state.unit_x.type), state.unit_x.rows, state.unit_w.rows, state.unit_x.cols,
                         to_w.data == state.unit_w.data ? LOSSKIT_ACCUMULATE : LOSSKIT_ASSIGN, &bytes));
                     Workspace workspace(bytes);
                     expect(losskit_cosine_layer_backward(&state, matrix("dcosines", c->input(0)), matrix("dx", dx), to_w,
                                                          maybe("dnorms_x", c->input(1)), workspace.data(), workspace.size(), &options));
                   }));
  }
};

// --- what TensorFlow is told -------------------------------------------------------------------------------------------------------

using tf::shape_inference::InferenceContext;

absl::Status shapes_of_loss(InferenceContext* c, bool matrix_of_rows) {
  int32_t reduction = 0;
  bool gradient = true;
  TF_RETURN_IF_ERROR(c->GetAttr("reduction", &reduction));
  TF_RETURN_IF_ERROR(c->GetAttr("gradient", &gradient));
  auto const all = c->input(0);
  auto const one = matrix_of_rows && c->RankKnown(all) && c->Rank(all) > 0 ? c->Vector(c->Dim(all, 0))
                   : matrix_of_rows                                       ? c->Vector(InferenceContext::kUnknownDim)
                                                                          : all;
  c->set_output(0, reduction == LOSSKIT_NO_REDUCTION ? one : c->Scalar());
  c->set_output(1, gradient ? all : matrix_of_rows ? c->Matrix(0, 0) : c->Vector(0));
  return absl::OkStatus();
}

}  // namespace losskit_tensorflow

REGISTER_OP("LosskitLoss")
    .Input("cosines: T")
    .Input("labels: L")
    .Input("weights: T")
    .Input("class_weights: T")
    .Input("scales: T")
    .Input("margins: T")
    .Input("scale: double")
    .Input("rest: double")
    .Output("loss: T")
    .Output("by_cosines: T")
    .Output("by_scales: T")
    .Output("by_margins: T")
    .Attr("T: {float, double}")
    .Attr("L: {int32, int64}")
    .Attr("policy: string")
    .Attr("reduction: int")
    .Attr("ignore: int")
    .Attr("gradient: bool")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(2, c->Vector(tensorflow::shape_inference::InferenceContext::kUnknownDim));
      c->set_output(3, c->Vector(tensorflow::shape_inference::InferenceContext::kUnknownDim));
      return losskit_tensorflow::shapes_of_loss(c, true);
    });
REGISTER_OP("LosskitPointLoss")
    .Input("prediction: T")
    .Input("truth: T")
    .Input("weights: T")
    .Output("loss: T")
    .Output("by_prediction: T")
    .Attr("T: {float, double}")
    .Attr("policy: string")
    .Attr("reduction: int")
    .Attr("gradient: bool")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) { return losskit_tensorflow::shapes_of_loss(c, false); });
REGISTER_OP("LosskitCosineLayer")
    .Input("x: T")
    .Input("w: T")
    .Output("cosines: T")
    .Output("norms_x: T")
    .Output("unit_x: T")
    .Output("unit_w: T")
    .Output("norms_w: T")
    .Attr("T: {float, double}")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      tensorflow::shape_inference::ShapeHandle x, w;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &w));
      c->set_output(0, c->Matrix(c->Dim(x, 0), c->Dim(w, 0)));
      c->set_output(1, c->Vector(c->Dim(x, 0)));
      c->set_output(2, x);
      c->set_output(3, w);
      c->set_output(4, c->Vector(c->Dim(w, 0)));
      return absl::OkStatus();
    });
REGISTER_OP("LosskitCosineLayerBackward")
    .Input("by_cosines: T")
    .Input("by_norms: T")
    .Input("unit_x: T")
    .Input("unit_w: T")
    .Input("norms_x: T")
    .Input("norms_w: T")
    .Output("dx: T")
    .Output("dw: T")
    .Attr("T: {float, double}")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(2));
      c->set_output(1, c->input(3));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("LosskitLoss").Device(tensorflow::DEVICE_CPU), losskit_tensorflow::Loss);
REGISTER_KERNEL_BUILDER(Name("LosskitPointLoss").Device(tensorflow::DEVICE_CPU), losskit_tensorflow::PointLoss);
REGISTER_KERNEL_BUILDER(Name("LosskitCosineLayer").Device(tensorflow::DEVICE_CPU), losskit_tensorflow::CosineLayer);
REGISTER_KERNEL_BUILDER(Name("LosskitCosineLayerBackward").Device(tensorflow::DEVICE_CPU), losskit_tensorflow::CosineLayerBackward);
