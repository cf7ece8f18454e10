// losskit inside LibTorch: losses over at::Tensor that autograd differentiates. LibTorch 1.13 or later.
//
//   namespace lk = losskit::adapt;
//   at::Tensor cosines = lk::cosine_layer(embeddings, centres);                       // B x D, C x D -> B x C
//   at::Tensor loss = lk::margin_loss(losskit::MarginSoftmax{losskit::ArcMargin{0.5}, 64.0}, cosines, labels);
//   loss.backward();
//
// Forward computes loss and gradient in one pass and keeps the gradient; backward multiplies it by the upstream gradient into a
// fresh tensor, or hands it on as it is where that is 1 everywhere. Where no gradient is asked for (NoGradGuard, no input that
// requires one) only the loss is computed. A second derivative is refused: a backward with create_graph throws.
//
// Tensors: dense, float or double, all of one type on one device; labels int32 or int64. Rows may lie apart (a slice of columns);
// any other layout is copied first. What is wrong, whether a tensor or a losskit::Error, is thrown as c10::ValueError (a ValueError
// in Python) with losskit's text, before anything is written.
//
// On a CPU the rows are spread over LibTorch's own threads. Compile with g++ -fopenmp: its OpenMP runtime is LibTorch's (clang's is a
// second one beside it); without -fopenmp there is one thread. The bits do not depend on their number. Scratch memory is a tensor of
// each call: nothing outlives a call, and nothing is shared between threads or with a forked process.
//
// Compiled by nvcc, the same functions take CUDA tensors instead, on the current stream (half and bfloat16 too: what is one a row is
// then float); there is no cosine_layer. A bad label is an error only where a report is asked for, for which the host waits; else
// its row has no loss.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/point_loss.hpp"
#if defined(__CUDACC__)
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "losskit/backend/cuda.cuh"
#include "losskit/backend/half.cuh"
#else
#include "losskit/backend/eigen.hpp"
#endif

// Compiled by nvcc these are other functions: units of both kinds may stand in one program.
#if defined(__CUDACC__)
namespace losskit::inline LOSSKIT_ISA::adapt::inline torch_on_cuda {
#else
namespace losskit::inline LOSSKIT_ISA::adapt::inline torch_on_cpu {
#endif

// LibTorch's threads as an Executor. Inside a parallel region of LibTorch it is one thread.
struct aten_threads {
  int concurrency() const { return at::in_parallel_region() ? 1 : at::get_num_threads(); }
  template <class F>
  void run(idx tasks, F f) const {
    at::parallel_for(0, tasks, 1, [&](idx first, idx last) {
      for (idx t = first; t < last; ++t) f(t);
    });
  }
};

// --- tensors as views ------------------------------------------------------------------------------------------------------------

namespace detail {

template <class T>
inline constexpr at::ScalarType dtype_of = c10::CppTypeToScalarType<T>::value;
#if defined(__CUDACC__)
template <>
inline constexpr at::ScalarType dtype_of<__half> = at::kHalf;
template <>
inline constexpr at::ScalarType dtype_of<__nv_bfloat16> = at::kBFloat16;
using Space = device;
#else
using Space = host;
#endif

// f(), with losskit's errors as LibTorch's.
template <class F>
auto translated(F const& f) {
  try {
    return f();
  } catch (Error const& e) {
    C10_THROW_ERROR(ValueError, c10::str("losskit: ", e.what()));
  }
}

inline void expect_reached(char const* name, at::Tensor const& t) {
  if (!t.defined()) fail<ShapeError>("%s: an undefined tensor", name);
  if (t.layout() != at::kStrided) fail<MemoryError>("%s: %s, dense needed", name, c10::str(t.layout()).c_str());
#if defined(__CUDACC__)
  bool const reached = t.is_cuda();
#else
  bool const reached = t.is_cpu();
#endif
  if (!reached)
    fail<MemoryError>("%s: on %s; units compiled by nvcc take CUDA tensors, all others CPU tensors", name, t.device().str().c_str());
}
inline void expect_dimensions(char const* name, at::Tensor const& t, idx count) {
  expect_reached(name, t);
  if (t.dim() != count)
    fail<ShapeError>("%s: %lld dimensions, %lld needed", name, static_cast<long long>(t.dim()), static_cast<long long>(count));
}
// What losskit gives no gradient by must not ask for one.
inline void expect_constant(char const* name, at::Tensor const& t) {
  if (c10::GradMode::is_enabled() && t.defined() && t.requires_grad())
    fail<ParameterError>("%s requires a gradient, and losskit gives none by it: detach it", name);
}

// Can a view reach these rows?
inline bool has_rows(at::Tensor const& t) {
  return !t.is_neg() && (t.size(1) <= 1 || t.stride(1) == 1) && (t.size(0) <= 1 || t.stride(0) >= t.size(1));
}
// t itself where a view reaches it, else a copy.
inline at::Tensor as_rows(char const* name, at::Tensor const& t) {
  expect_dimensions(name, t, 2);
  return has_rows(t) ? t : t.detach().resolve_neg().contiguous();
}
// Likewise, of t in one piece; undefined stays so. `beside`: it must lie on the same device.
inline at::Tensor in_one_piece(char const* name, at::Tensor const& t, at::Tensor const& beside) {
  if (!t.defined()) return t;
  expect_reached(name, t);
  if (t.device() != beside.device())
    fail<MemoryError>("%s: on %s, but %s is needed", name, t.device().str().c_str(), beside.device().str().c_str());
  return t.detach().resolve_neg().contiguous();
}

template <class T>
T* data_of(char const* name, at::Tensor const& t) {
  constexpr at::ScalarType needed = dtype_of<std::remove_const_t<T>>;
  if (t.scalar_type() != needed) fail<ParameterError>("%s: %s, %s needed", name, c10::toString(t.scalar_type()), c10::toString(needed));
  return static_cast<T*>(t.data_ptr());
}

}  // namespace detail

// Views of a tensor's own memory, for losskit's other calls: two dimensions, rows of adjacent elements; one dimension, adjacent
// elements. Throw losskit's errors: ShapeError, StrideError, MemoryError (another device), ParameterError (another type).
template <class T>
MatrixView<T, detail::Space> matrix_of(at::Tensor const& t, char const* name = "tensor") {
  detail::expect_dimensions(name, t, 2);
  if (!detail::has_rows(t)) fail<StrideError>("%s: the elements of a row are not adjacent, or rows overlap", name);
  return {detail::data_of<T>(name, t), t.size(0), t.size(1), t.size(0) <= 1 ? t.size(1) : t.stride(0)};
}
template <class T>
VectorView<T, detail::Space> vector_of(at::Tensor const& t, char const* name = "tensor") {
  detail::expect_dimensions(name, t, 1);
  if (t.is_neg() || !t.is_contiguous()) fail<StrideError>("%s: its elements are not adjacent", name);
  return {detail::data_of<T>(name, t), t.size(0)};
}

// --- losses and autograd ---------------------------------------------------------------------------------------------------------

namespace detail {

// run(backend) where the tensor lies.
template <class F>
void with_backend(at::Tensor const& t, F const& run) {
#if defined(__CUDACC__)
  c10::cuda::CUDAGuard const guard(t.device());
  run(on::cuda{c10::cuda::getCurrentCUDAStream(t.device().index()).stream()});
#else
  static_cast<void>(t);
  run(on::eigen{aten_threads{}});
#endif
}
// run(std::type_identity<T>) for the tensor's type.
template <class F>
void with_float(char const* name, at::Tensor const& t, F const& run) {
  if (t.scalar_type() == at::kFloat) return run(std::type_identity<float>{});
  if (t.scalar_type() == at::kDouble) return run(std::type_identity<double>{});
#if defined(__CUDACC__)
  if (t.scalar_type() == at::kHalf) return run(std::type_identity<__half>{});
  if (t.scalar_type() == at::kBFloat16) return run(std::type_identity<__nv_bfloat16>{});
#endif
  fail<ParameterError>("%s: %s; float or double needed", name, c10::toString(t.scalar_type()));
}
template <class F>
void with_integer(char const* name, at::Tensor const& t, F const& run) {
  if (t.scalar_type() == at::kInt) return run(std::type_identity<std::int32_t>{});
  if (t.scalar_type() == at::kLong) return run(std::type_identity<std::int64_t>{});
  fail<ParameterError>("%s: %s; int32 or int64 needed", name, c10::toString(t.scalar_type()));
}

template <class T>
VectorView<T, Space> vector_or_none(char const* name, at::Tensor const& t) {
  return t.defined() ? vector_of<T>(t, name) : VectorView<T, Space>{};
}

inline WorkspaceIn<Space> workspace_in(at::Tensor const& bytes) { return {static_cast<std::byte*>(bytes.data_ptr()), bytes.numel()}; }
inline at::Tensor bytes_beside(at::Tensor const& t, std::size_t count) {
  return at::empty({static_cast<std::int64_t>(count)}, t.options().dtype(at::kByte));
}

// The loss of a report, as a tensor of no dimensions.
template <class R>
at::Tensor loss_of(R const& report, at::TensorOptions const& options) {
  return at::scalar_tensor(report.loss, options);
}
#if defined(__CUDACC__)
template <class R>
at::Tensor loss_of(Pending<R> pending, at::TensorOptions const& options) {
  auto const loss = const_cast<double*>(&pending.result->loss);
  return at::from_blob(loss, {}, options.dtype(at::kDouble)).to(options, /*non_blocking=*/true, /*copy=*/true);
}
#endif

// A loss whose gradients were computed with it.
struct Computed {
  at::Tensor loss;
  torch::autograd::variable_list gradients;  // by each input; undefined where none is asked for
  bool in_place;                             // the first input now holds its gradient
};

// Gives them to autograd.
struct KeptGradients : torch::autograd::Function<KeptGradients> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static Tensors forward(Context* context, at::TensorList inputs, Computed const& computed) {
    context->set_materialize_grads(false);
    context->save_for_backward(computed.gradients);
    if (!computed.in_place) return {computed.loss};
    context->mark_dirty({inputs[0]});
    return {computed.loss, inputs[0]};  // autograd wants what was overwritten among the outputs
  }

  static Tensors backward(Context* context, Tensors const& upstream) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "losskit: double backward is not defined (create_graph = true)");
    TORCH_CHECK(upstream.size() == 1 || !upstream[1].defined(),
                "losskit: in_place wrote the gradient over this tensor; nothing can be differentiated through it any more");
    Tensors gradients = context->get_saved_variables();
    if (!upstream[0].defined()) {
      for (at::Tensor& g : gradients) g.reset();
    } else if (!upstream[0].is_cpu() || !upstream[0].eq(1).all().item<bool>()) {
      for (at::Tensor& g : gradients)
        if (g.defined()) g = g * along_rows(upstream[0], g);
    }
    gradients.emplace_back();  // of `computed`
    return gradients;
  }

 private:
  // One number a row, against a matrix: a column.
  static at::Tensor along_rows(at::Tensor const& u, at::Tensor const& g) { return u.dim() == 1 && g.dim() == 2 ? u.unsqueeze(1) : u; }
};

// Does autograd ask for a gradient by this tensor?
inline bool wanted(at::Tensor const& t) { return c10::GradMode::is_enabled() && t.defined() && t.requires_grad(); }

// The tensor that will hold the gradient by t; undefined where none is wanted. `given`: t, or its copy with rows in one piece.
inline at::Tensor gradient_for(char const* name, at::Tensor const& t, at::Tensor const& given, bool in_place) {
  if (!wanted(t)) return {};
  if (!in_place) return at::empty(given.sizes(), given.options(), at::MemoryFormat::Contiguous);
  if (t.is_leaf()) fail<AliasError>("%s: in_place would overwrite a leaf that requires a gradient", name);
  if (t.is_view()) fail<AliasError>("%s: in_place would overwrite a view; autograd cannot follow that", name);
  if (!given.is_same(t)) fail<StrideError>("%s: in_place needs rows of adjacent elements", name);
  return t.detach();
}

// The loss with its history: gradients[i] is that by inputs[i].
inline at::Tensor with_history(at::TensorList inputs, Computed const& computed) {
  bool any = false;
  for (at::Tensor const& input : inputs) any = any || wanted(input);
  return any ? KeptGradients::apply(inputs, computed)[0] : computed.loss;
}

}  // namespace detail

struct MarginLossOptions {
  Reduction reduction = Reduction::mean;  // none: the loss has B elements, and so has its upstream gradient
  bool in_place = false;                  // the gradient overwrites the cosines, unless none is asked for
  idx ignore_label = no_label;
  int top_k = 5;               // for the report
  at::Tensor weights{};        // B, >= 0
  at::Tensor class_weights{};  // C, >= 0
  at::Tensor scales{};         // B: the scale s of each row, in place of the loss's own; differentiable
  at::Tensor margins{};        // B: the margin's number of each row, in place of its own; differentiable
  Report* report = nullptr;    // filled where given
};

// The loss of B x C cosines (for SoftmaxLoss: logits) with B labels. L: a composition such as MarginSoftmax. Differentiable by
// cosines, scales and margins.
//
// in_place is the fastest form. The cosines then hold their gradient and are marked as overwritten: autograd refuses every backward
// that still needs their values, and every use of the tensor afterwards. They must come from another operation and be no view.
template <class L>
at::Tensor margin_loss(L const& loss, at::Tensor const& cosines, at::Tensor const& labels, MarginLossOptions const& options = {}) {
  losskit::detail::expect_loss<L>();
  return detail::translated([&] {
    detail::expect_constant("weights", options.weights);
    detail::expect_constant("class_weights", options.class_weights);
    at::Tensor const c = detail::as_rows("cosines", cosines);
    detail::expect_dimensions("labels", labels, 1);
    at::Tensor const y = detail::in_one_piece("labels", labels, c), weights = detail::in_one_piece("weights", options.weights, c),
                     class_weights = detail::in_one_piece("class_weights", options.class_weights, c),
                     scales = detail::in_one_piece("scales", options.scales, c),
                     margins = detail::in_one_piece("margins", options.margins, c);
    at::Tensor const gradient = detail::gradient_for("cosines", cosines, c, options.in_place),
                     scale_gradient = detail::gradient_for("scales", options.scales, scales, false),
                     margin_gradient = detail::gradient_for("margins", options.margins, margins, false);
    at::Tensor value;
    detail::with_float("cosines", c, [&]<class T>(std::type_identity<T>) {
      detail::with_integer("labels", y, [&]<class I>(std::type_identity<I>) {
        detail::with_backend(c, [&](auto const& backend) {
          using X = computed<T>;
          Batch batch(matrix_of<T const>(c, "cosines"), vector_of<I const>(y, "labels"));
          batch.weights = detail::vector_or_none<X const>("weights", weights);
          batch.class_weights = detail::vector_or_none<X const>("class_weights", class_weights);
          batch.scales = detail::vector_or_none<X const>("scales", scales);
          batch.margins = detail::vector_or_none<X const>("margins", margins);
          auto const row_numbers = c.options().dtype(detail::dtype_of<X>);
          at::Tensor const row_losses = options.reduction == Reduction::none ? at::empty({c.size(0)}, row_numbers) : at::Tensor();
          Outputs<X, detail::Space> const out{.row_losses = detail::vector_or_none<X>("row_losses", row_losses),
                                              .scale_gradient = detail::vector_or_none<X>("scale_gradient", scale_gradient),
                                              .margin_gradient = detail::vector_or_none<X>("margin_gradient", margin_gradient)};
          Options const asked{.reduction = options.reduction, .ignore_label = options.ignore_label, .top_k = options.top_k};
          Placement const placement = !gradient.defined() ? Placement::no_gradient
                                      : options.in_place  ? Placement::in_place
                                                          : Placement::out_of_place;
          at::Tensor const bytes = detail::bytes_beside(c, workspace_bytes<T>(backend, c.size(0), c.size(1), placement));
          auto const workspace = detail::workspace_in(bytes);
          auto const result = gradient.defined() ? loss_and_gradient(backend, loss, batch, matrix_of<T>(gradient), workspace, asked, out)
                                                 : loss_value(backend, loss, batch, workspace, asked, out);
          value = row_losses.defined() ? row_losses : detail::loss_of(result, row_numbers);
          if (options.report) *options.report = read(backend, result);
        });
      });
    });
    torch::autograd::variable_list inputs{cosines}, gradients{gradient};
    if (scales.defined()) inputs.push_back(options.scales), gradients.push_back(scale_gradient);
    if (margins.defined()) inputs.push_back(options.margins), gradients.push_back(margin_gradient);
    return detail::with_history(inputs, {value, gradients, gradient.defined() && options.in_place});
  });
}

struct PointLossOptions {
  Reduction reduction = Reduction::mean;  // mean: over elements; batch_mean: sum / the first size; none: a loss an element
  at::Tensor weights{};                   // >= 0, one an element, or undefined
  PointReport* report = nullptr;          // filled where given
};

// The loss of predictions and truths of one shape, any number of dimensions. L: a point loss such as WingLoss. Differentiable by the
// prediction.
template <class L>
at::Tensor point_loss(L const& loss, at::Tensor const& prediction, at::Tensor const& truth, PointLossOptions const& options = {}) {
  losskit::detail::expect_point_loss<L>();
  return detail::translated([&] {
    detail::expect_constant("truth", truth);
    detail::expect_constant("weights", options.weights);
    detail::expect_reached("prediction", prediction);
    detail::expect_reached("truth", truth);
    for (auto const& [name, t] : {std::pair{"truth", truth}, std::pair{"weights", options.weights}})
      if (t.defined() && t.sizes() != prediction.sizes())
        fail<ShapeError>("%s: %s, expected %s", name, c10::str(t.sizes()).c_str(), c10::str(prediction.sizes()).c_str());
    at::Tensor const x = detail::in_one_piece("prediction", prediction, prediction), y = detail::in_one_piece("truth", truth, x),
                     weights = detail::in_one_piece("weights", options.weights, x),
                     gradient = detail::gradient_for("prediction", prediction, x, false);
    idx const rows = x.dim() == 0 ? 1 : x.size(0), cols = rows == 0 ? 0 : x.numel() / rows;
    at::Tensor value;
    detail::with_float("prediction", x, [&]<class T>(std::type_identity<T>) {
      detail::with_backend(x, [&](auto const& backend) {
        auto const matrix = [&]<class E>(char const* name, at::Tensor const& t, std::type_identity<E>) {
          return t.defined() ? MatrixView<E, detail::Space>{detail::data_of<E>(name, t), rows, cols, cols} : MatrixView<E, detail::Space>{};
        };
        constexpr std::type_identity<T const> in;
        constexpr std::type_identity<T> out;
        at::Tensor const losses = options.reduction == Reduction::none ? at::empty(x.sizes(), x.options()) : at::Tensor();
        PointOutputs<T, detail::Space> const extra{matrix("weights", weights, in), matrix("element_losses", losses, out)};
        PointOptions const asked{.reduction = options.reduction};
        at::Tensor const bytes = detail::bytes_beside(x, point_workspace_bytes(rows, cols));
        auto const workspace = detail::workspace_in(bytes);
        auto const predicted = matrix("prediction", x, in), truths = matrix("truth", y, in);
        auto const result = gradient.defined() ? loss_and_gradient(backend, loss, predicted, truths, matrix("gradient", gradient, out),
                                                                   workspace, asked, extra)
                                               : loss_value(backend, loss, predicted, truths, workspace, asked, extra);
        value = losses.defined() ? losses : detail::loss_of(result, x.options().dtype(detail::dtype_of<computed<T>>));
        if (options.report) *options.report = read(backend, result);
      });
    });
    return detail::with_history(prediction, {value, {gradient}, false});
  });
}

// --- the head --------------------------------------------------------------------------------------------------------------------

#if !defined(__CUDACC__)
namespace detail {

struct CosineLayerFunction : torch::autograd::Function<CosineLayerFunction> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, at::Tensor const& x, at::Tensor const& w) {
    at::Tensor const from_x = as_rows("x", x), from_w = as_rows("w", w);
    at::Tensor const unit_x = at::empty(x.sizes(), x.options()), unit_w = at::empty(w.sizes(), x.options()),
                     norms_x = at::empty({x.size(0)}, x.options()), norms_w = at::empty({w.size(0)}, x.options()),
                     cosines = at::empty({x.size(0), w.size(0)}, x.options());
    with_float("x", x, [&]<class T>(std::type_identity<T>) {
      losskit::cosine_layer(on::eigen{aten_threads{}}, matrix_of<T const>(from_x, "x"), matrix_of<T const>(from_w, "w"),
                            layer_of<T>(unit_x, unit_w, norms_x, norms_w), matrix_of<T>(cosines));
    });
    context->save_for_backward({unit_x, unit_w, norms_x, norms_w});
    return cosines;
  }

  static Tensors backward(Context* context, Tensors const& upstream) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "losskit: double backward is not defined (create_graph = true)");
    Tensors const saved = context->get_saved_variables();
    at::Tensor const dcosines = as_rows("dcosines", upstream[0]), dx = at::empty_like(saved[0]), dw = at::empty_like(saved[1]);
    with_float("x", dx, [&]<class T>(std::type_identity<T>) {
      losskit::cosine_layer_backward(on::eigen{aten_threads{}}, layer_of<T>(saved[0], saved[1], saved[2], saved[3]),
                                     matrix_of<T const>(dcosines, "dcosines"), matrix_of<T>(dx), matrix_of<T>(dw));
    });
    return {dx, dw};
  }

 private:
  template <class T>
  static CosineLayer<T> layer_of(at::Tensor const& unit_x, at::Tensor const& unit_w, at::Tensor const& norms_x,
                                 at::Tensor const& norms_w) {
    return {matrix_of<T>(unit_x), matrix_of<T>(unit_w), vector_of<T>(norms_x), vector_of<T>(norms_w)};
  }
};

}  // namespace detail

// The cosines B x C of B x D embeddings x and C x D class centres w, one a row; differentiable by both, through both norms. Products
// run on LibTorch's threads by Eigen's kernel, with the same bits on any number of them.
inline at::Tensor cosine_layer(at::Tensor const& x, at::Tensor const& w) {
  return detail::translated([&] { return detail::CosineLayerFunction::apply(x, w); });
}
#endif

}  // torch_on_cuda or torch_on_cpu
