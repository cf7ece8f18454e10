// losskit inside Caffe (BVLC): layers for an untouched Caffe, from outside its tree, with no edit of caffe.proto.
//
//   // losskit_layers.cpp: compiled with the compiler of libcaffe into the program, or into a shared library that it loads
//   #include "losskit/adapt/caffe.hpp"
//   LOSSKIT_REGISTER_CAFFE_LAYERS;
//
//   layer { name: "loss"  type: "LosskitHeadLoss"  bottom: "fc5"  bottom: "label"  top: "loss"
//           inner_product_param { num_output: 10575  weight_filler { type: "xavier" } }
//           python_param { param_str: "MarginSoftmax(ArcMargin(m=0.5), scale=64)" } }
//
//   type                bottoms -> tops                                  given by
//   LosskitHeadLoss     features, labels -> loss [, accuracy]            param_str: a loss; inner_product_param; loss_param
//   LosskitMarginLoss   cosines or logits, labels -> loss [, accuracy]   param_str: a loss; loss_param
//   LosskitMargin       cosines, labels -> logits s psi(c_y), s r(c_j)   param_str: a loss without objective; loss_param
//   LosskitCosine       features -> cosines to the class centres         inner_product_param
//   LosskitNormalize    features -> features of length 1; also in place
//   LosskitPointLoss    prediction, truth [, weights] -> loss            param_str: a point loss; loss_param
//   LosskitSimilarity   features, features -> cosine of each pair; no gradient
//
// python_param { param_str }: a policy as text (losskit/named.hpp); Python is not needed. inner_product_param: num_output and
// weight_filler; the centres are num_output x D as an InnerProduct's weights are, and there is no bias. loss_param: ignore_label and
// normalization as of SoftmaxWithLoss; of a point loss BATCH_SIZE, the sum / B, is the default as of EuclideanLoss, and FULL or VALID is
// the mean over elements. A loss acts alike in both phases.
//
// Blobs: the first axis is the samples (B), all others together the features (D), or the classes (C, which must be the second). float or
// double. Labels are numbers of the blob's type, B of them: integers in [0, C) or ignore_label. accuracy: the share of rows whose
// target's raw cosine beats every other class; ties are wrong, ignored rows do not count.
//
// scale=AdaCosScale(classes=C) follows the batches of the training phase: one step a Forward, before the batch's loss. The scale is the
// layer's last blob, so that snapshots hold it and a test net shares it; its lr_mult is 0. Other policies with a state (CurricularRest)
// are refused. A gradient checker needs the test phase, where the scale rests.
//
// Forward of a loss computes, in training, the gradient too, for the loss_weight, into the diff that Backward will be asked for;
// Backward computes it again only for another factor. Diffs of bottoms are assigned, diffs of parameters are added to, as by Caffe's own
// layers.
//
// What is wrong ends the process by Caffe's design: LOG(FATAL) with the layer's name and losskit's text, before anything is written.
//
// On the CPU; in GPU mode Caffe runs this code by itself. With -fopenmp rows are spread over OpenMP's threads (OMP_NUM_THREADS), without
// it there is one thread; the bits do not depend on their number. Compile with -O3 and -march=native.
#pragma once
#include <caffe/filler.hpp>
#include <caffe/layer_factory.hpp>
#include <caffe/layers/loss_layer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/named.hpp"
#include "losskit/recognition/similarity.hpp"

namespace losskit::inline LOSSKIT_ISA::adapt::inline caffe_layers {

namespace detail {

using losskit::detail::ll;

template <class T>
using Blob = ::caffe::Blob<T>;
template <class T>
using Blobs = std::vector<Blob<T>*>;
template <class T>
using Parameters = std::vector<::caffe::shared_ptr<Blob<T>>>;

// --- blobs as views: a sample a row, all further axes together -----------------------------------------------------------------------

template <class T>
MatrixView<T const> data(Blob<T> const& b) {
  return {b.cpu_data(), b.shape(0), b.count(1), b.count(1)};
}
template <class T>
MatrixView<T const> diff(Blob<T> const& b) {
  return {b.cpu_diff(), b.shape(0), b.count(1), b.count(1)};
}
template <class T>
MatrixView<T> writable_data(Blob<T>& b) {
  return {b.mutable_cpu_data(), b.shape(0), b.count(1), b.count(1)};
}
template <class T>
MatrixView<T> writable_diff(Blob<T>& b) {
  return {b.mutable_cpu_diff(), b.shape(0), b.count(1), b.count(1)};
}
template <class T>
VectorView<T> writable_vector(Blob<T>& b) {
  return {b.mutable_cpu_data(), b.count()};
}

inline on::eigen<openmp> backend() { return on::eigen{openmp{}}; }

// Scratch memory of a layer: as large as it ever had to be.
class Memory {
 public:
  Workspace of(std::size_t bytes) {
    if (bytes_.size() < bytes) bytes_.resize(bytes);
    return view(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

// --- what every layer does -----------------------------------------------------------------------------------------------------------

// A layer whose set_up, reshape, forward and backward may throw. Base: caffe::Layer<T> or caffe::LossLayer<T>.
template <class T, template <class> class Base>
class ThrowingLayer : public Base<T> {
 public:
  using Base<T>::Base;
  void LayerSetUp(Blobs<T> const& bottom, Blobs<T> const& top) override {
    Base<T>::LayerSetUp(bottom, top);
    translated([&] { set_up(bottom, top); });
  }
  void Reshape(Blobs<T> const& bottom, Blobs<T> const& top) override {
    if constexpr (std::is_base_of_v<::caffe::LossLayer<T>, Base<T>>) Base<T>::Reshape(bottom, top);
    translated([&] { reshape(bottom, top); });
  }

 protected:
  virtual void set_up(Blobs<T> const&, Blobs<T> const&) {}
  virtual void reshape(Blobs<T> const& bottom, Blobs<T> const& top) = 0;
  virtual void forward(Blobs<T> const& bottom, Blobs<T> const& top) = 0;
  virtual void backward(Blobs<T> const& top, std::vector<bool> const& wanted, Blobs<T> const& bottom) = 0;

  void Forward_cpu(Blobs<T> const& bottom, Blobs<T> const& top) override {
    translated([&] { forward(bottom, top); });
  }
  void Backward_cpu(Blobs<T> const& top, std::vector<bool> const& wanted, Blobs<T> const& bottom) override {
    translated([&] { backward(top, wanted, bottom); });
  }

 private:
  // f(), with losskit's errors as Caffe's.
  template <class F>
  void translated(F const& f) const {
    try {
      f();
    } catch (Error const& e) { LOG(FATAL) << this->layer_param_.name() << " (" << this->type() << "): losskit: " << e.what(); }
  }
};

inline void expect_not_wanted(char const* name, bool wanted) {
  if (wanted) fail<ParameterError>("%s: a gradient is asked for (propagate_down), and there is none", name);
}

template <class T>
void expect_cosines_and_labels(Blob<T> const& cosines, Blob<T> const& labels) {
  if (cosines.num_axes() < 2 || cosines.count(2) != 1)
    fail<ShapeError>("bottom 0: shape %s, expected B x C", cosines.shape_string().c_str());
  if (labels.count() != cosines.shape(0)) fail<ShapeError>("labels: %d, expected %d, one a row", labels.count(), cosines.shape(0));
}

// --- a loss from its text ------------------------------------------------------------------------------------------------------------

// The loss of a param_str. A text is all that there is to keep: the loss is made anew in each call, which takes a microsecond.
class NamedLoss {
 public:
  std::optional<AdaCosScale> scale;  // a scale that follows the batch; the text then holds none
  bool has_objective = false;

  NamedLoss() = default;
  explicit NamedLoss(std::string const& text) : text_(text) {
    losskit::detail::Call const call(text);
    if (call.name == "MarginSoftmax") {
      losskit::detail::Arguments const part(call, {"margin", "scale", "objective", "rest"});
      has_objective = !part(2, {}).empty();
      if (double number; !part(1, {}).empty() && !losskit::detail::is_number(part(1, {}), number)) {
        with_scale_named(part(1, {}), [&]<class S>(S const& named) {
          if constexpr (std::is_same_v<S, AdaCosScale>) scale = named;
        });
      }
      if (scale) {
        text_ = "MarginSoftmax(margin=";
        text_.append(part(0, "NoMargin")).append(", objective=").append(part(2, "CrossEntropy"));
        text_.append(", rest=").append(part(3, "PlainRest")).append(")");
      }
    }
    with([](auto const&) {});  // a wrong text is an error now
  }

  // f(loss), with the loss's own type.
  template <class F>
  void with(F const& f) const {
    with_loss_named(text_, [&](auto const& loss) {
      using Rest = std::remove_cvref_t<decltype(loss.rest)>;
      if constexpr (Stateful<Rest>) fail<ParameterError>("%s follows the batch, and this layer keeps no state for it", Rest::name);
      else f(loss);
    });
  }

 private:
  std::string text_;
};

// normalization as SoftmaxWithLoss reads it; `standard` where neither it nor its old form is given.
inline ::caffe::LossParameter_NormalizationMode normalization_of(::caffe::LossParameter const& p,
                                                                 ::caffe::LossParameter_NormalizationMode standard) {
  if (p.has_normalization()) return p.normalization();
  if (!p.has_normalize()) return standard;
  return p.normalize() ? ::caffe::LossParameter_NormalizationMode_VALID : ::caffe::LossParameter_NormalizationMode_BATCH_SIZE;
}

// What is asked of a pass over a batch.
struct Pass {
  std::optional<double> upstream{};  // the factor on the gradient; none: the loss alone
  bool trains = false;               // a scale that follows the batch makes a step
  bool by_scale = false;             // the gradient by such a scale is added to its blob's diff
};

// The part of a layer that is a loss over a matrix: its text, options and labels, and its scale if that follows the batch.
template <class T>
class MatrixLoss {
 public:
  // The scale's blob is blobs[position].
  void set_up(::caffe::LayerParameter& param, Parameters<T>& blobs, int position) {
    loss_ = NamedLoss(param.python_param().param_str());
    ::caffe::LossParameter const& p = param.loss_param();
    auto const mode = normalization_of(p, ::caffe::LossParameter_NormalizationMode_VALID);
    options_.reduction = mode == ::caffe::LossParameter_NormalizationMode_VALID  ? Reduction::mean
                         : mode == ::caffe::LossParameter_NormalizationMode_NONE ? Reduction::sum
                                                                                 : Reduction::batch_mean;
    if (p.has_ignore_label()) options_.ignore_label = p.ignore_label();
    if (!loss_.scale) return;

    auto const at = static_cast<std::size_t>(position);
    if (blobs.size() <= at) {  // else it came with the layer's parameters
      blobs.resize(at + 1);
      blobs[at].reset(new Blob<T>(std::vector<int>(1, 1)));
      blobs[at]->mutable_cpu_data()[0] = static_cast<T>(loss_.scale->start().scale);
    }
    if (blobs[at]->count() != 1) fail<ShapeError>("blob %d: %d numbers, 1 needed, the scale", position, blobs[at]->count());
    scale_ = blobs[at].get();
    while (param.param_size() < position) param.add_param();
    if (param.param_size() == position) param.add_param()->set_lr_mult(0);  // no solver moves the scale
    if (float const rate = param.param(position).lr_mult(); rate != 0)
      fail<ParameterError>("param %d: lr_mult = %g, 0 needed: the scale follows the batch", position, double(rate));
  }
  NamedLoss const& loss() const { return loss_; }

  // The loss over `cosines`, and where it is asked for its gradient in `gradient`, which may be the cosines.
  Report run(MatrixView<T const> cosines, Blob<T> const& labels, MatrixView<T> gradient, Pass const& pass) {
    auto const batch = batch_of(cosines, labels, pass.trains);
    auto const placement = !pass.upstream                  ? Placement::no_gradient
                           : gradient.data == cosines.data ? Placement::in_place
                                                           : Placement::out_of_place;
    auto const workspace = memory_.of(workspace_bytes<T>(backend(), cosines.rows, cosines.cols, placement));
    auto const by_scale = scale_gradients(pass.by_scale, cosines.rows);
    Report report;
    loss_.with([&](auto const& loss) {
      if (!pass.upstream) {
        report = loss_value(backend(), loss, batch, workspace, options_);
      } else {
        Options options = options_;
        options.upstream = *pass.upstream;
        report = loss_and_gradient(backend(), loss, batch, gradient, workspace, options, {.scale_gradient = by_scale});
      }
    });
    add(by_scale);
    return report;
  }

  void run_logits(MatrixView<T const> cosines, Blob<T> const& labels, MatrixView<T> z, bool trains) {
    auto const batch = batch_of(cosines, labels, trains);
    auto const workspace = memory_.of(workspace_bytes<T>(backend(), cosines.rows, cosines.cols, Placement::no_gradient));
    with_margin([&](auto const& loss) { logits(backend(), loss, batch, z, workspace, options_); });
  }
  void run_logits_backward(MatrixView<T const> cosines, Blob<T> const& labels, MatrixView<T const> dz, MatrixView<T> gradient,
                           bool scale_wanted) {
    auto const batch = batch_of(cosines, labels, false);
    auto const by_scale = scale_gradients(scale_wanted, cosines.rows);
    with_margin([&](auto const& loss) { logits_backward(backend(), loss, batch, dz, gradient, options_, by_scale); });
    add(by_scale);
  }
  // f(loss) for one with a margin: logits have none.
  template <class F>
  void with_margin(F const& f) const {
    loss_.with([&](auto const& loss) {
      if constexpr (takes_logits<std::remove_cvref_t<decltype(loss.rest)>>)
        fail<ParameterError>("SoftmaxLoss takes logits and makes none; MarginSoftmax(margin, scale, rest=...) makes them");
      else f(loss);
    });
  }

 private:
  // Reads the labels, and the scale, which first makes its step where the pass trains.
  Batch<T, std::int64_t> batch_of(MatrixView<T const> cosines, Blob<T> const& labels, bool trains) {
    constexpr idx told_apart = idx(1) << std::numeric_limits<T>::digits;
    if (cosines.cols > told_apart)
      fail<ParameterError>("labels: this type of number tells %lld classes apart, not %lld", ll(told_apart), ll(cosines.cols));
    labels_.resize(static_cast<std::size_t>(cosines.rows));
    T const* const given = labels.cpu_data();
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (!(std::abs(given[i]) < T(0x1p62) && given[i] == std::trunc(given[i])))
        fail<LabelError>("labels[%lld] = %.9g is no integer", ll(idx(i)), double(given[i]));
      labels_[i] = static_cast<std::int64_t>(given[i]);
    }
    Batch<T, std::int64_t> batch(cosines, labels_);
    if (scale_) {
      AdaCosState const state{double(scale_->cpu_data()[0])};
      if (trains)
        scale_->mutable_cpu_data()[0] = static_cast<T>(
            advance(backend(), *loss_.scale, state, batch, memory_.of(advance_workspace_bytes(cosines.rows)), options_).scale);
      s_ = double(scale_->cpu_data()[0]);
      batch.scale = {&s_, 1};
    }
    return batch;
  }

  // Where a pass writes dL/ds of each row; their sum is the gradient by the scale.
  VectorView<T> scale_gradients(bool wanted, idx rows) {
    if (!wanted || !scale_) return {};
    scale_gradients_.resize(static_cast<std::size_t>(rows));
    return view(scale_gradients_);
  }
  void add(VectorView<T> by_scale) {
    for (idx i = 0; i < by_scale.size; ++i) scale_->mutable_cpu_diff()[0] += by_scale[i];
  }

  NamedLoss loss_;
  Options options_{};
  Blob<T>* scale_ = nullptr;  // one of the layer's blobs
  double s_ = 0;              // its number
  std::vector<T> scale_gradients_;
  std::vector<std::int64_t> labels_;
  Memory memory_;
};

// --- class centres -------------------------------------------------------------------------------------------------------------------

// The part of a layer that is cosines to class centres, with what their backward needs.
template <class T>
class Cosines {
 public:
  // The centres, num_output x width, are blobs[0].
  void set_up(::caffe::InnerProductParameter const& p, Parameters<T>& blobs, int width) {
    if (p.num_output() < 1) fail<ParameterError>("inner_product_param: num_output = 0, the number of classes is needed");
    if (p.has_bias_term() && p.bias_term()) fail<ParameterError>("inner_product_param: bias_term: a cosine has no bias");
    if (p.transpose() || p.axis() != 1)
      fail<ParameterError>("inner_product_param: transpose = %d, axis = %d: only false and 1 are known", int(p.transpose()), p.axis());
    int const classes = static_cast<int>(p.num_output());
    if (blobs.empty()) {  // else they came with the layer's parameters
      blobs.emplace_back(new Blob<T>(std::vector<int>{classes, width}));
      ::caffe::shared_ptr<::caffe::Filler<T>> const filler(::caffe::GetFiller<T>(p.weight_filler()));
      filler->Fill(blobs[0].get());
    }
    centres_ = blobs[0].get();
    if (centres_->shape() != std::vector<int>{classes, width})
      fail<ShapeError>("blob 0: shape %s, expected %d x %d", centres_->shape_string().c_str(), classes, width);
  }

  int classes() const { return centres_->shape(0); }

  void reshape(Blob<T> const& x) {
    if (x.count(1) != centres_->shape(1))
      fail<ShapeError>("features: %d in a row, but the class centres have %d", x.count(1), centres_->shape(1));
    unit_x_.ReshapeLike(x);
    unit_w_.ReshapeLike(*centres_);
    norms_x_.Reshape(std::vector<int>{x.shape(0)});
    norms_w_.Reshape(std::vector<int>{classes()});
  }

  void forward(Blob<T> const& x, MatrixView<T> cosines) { cosine_layer(backend(), data(x), data(*centres_), layer(), cosines); }

  // Assigns x's diff and adds to that of the centres, each where it is wanted.
  void backward(MatrixView<T const> dcosines, Blob<T>& x, bool x_wanted, bool centres_wanted) {
    if (!x_wanted && !centres_wanted) return;
    Blob<T>& dx = x_wanted ? x : unwanted_x_;
    Blob<T>& dw = centres_wanted ? *centres_ : unwanted_w_;
    if (!x_wanted) unwanted_x_.ReshapeLike(x);
    if (!centres_wanted) unwanted_w_.ReshapeLike(*centres_);
    ::caffe::caffe_set(dx.count(), T(0), dx.mutable_cpu_diff());  // one call adds to both
    auto const workspace = memory_.of(cosine_layer_workspace_bytes<T>(x.shape(0), classes(), centres_->shape(1), Write::accumulate));
    cosine_layer_backward(backend(), layer(), dcosines, writable_diff(dx), writable_diff(dw), workspace, Write::accumulate);
  }

 private:
  CosineLayer<T> layer() { return {writable_data(unit_x_), writable_data(unit_w_), writable_vector(norms_x_), writable_vector(norms_w_)}; }

  Blob<T>* centres_ = nullptr;  // one of the layer's blobs
  Blob<T> unit_x_, unit_w_, norms_x_, norms_w_, unwanted_x_, unwanted_w_;
  Memory memory_;
};

// --- losses whose gradient comes with them ---------------------------------------------------------------------------------------------

// In training the diff of top 0 is the loss_weight before Forward as after: forward computes the gradient for it, and backward has
// nothing left to do. Any other factor, or a layer in the test phase, and backward makes the pass again.
template <class T>
class LossWithGradient : public ThrowingLayer<T, ::caffe::LossLayer> {
 protected:
  // The loss, and where it is asked for its gradient.
  virtual double run(Blobs<T> const& bottom, Blobs<T> const& top, Pass const& pass) = 0;
  // Backward of what lies below the loss in this layer.
  virtual void run_below(std::vector<bool> const&, Blobs<T> const&) {}

  using ThrowingLayer<T, ::caffe::LossLayer>::ThrowingLayer;
  void forward(Blobs<T> const& bottom, Blobs<T> const& top) final {
    Pass pass;
    pass.trains = this->phase_ == ::caffe::TRAIN;
    if (pass.trains) pass.upstream = double(top[0]->cpu_diff()[0]);
    ready_for_ = pass.upstream;
    top[0]->mutable_cpu_data()[0] = static_cast<T>(run(bottom, top, pass));
  }
  void backward(Blobs<T> const& top, std::vector<bool> const& wanted, Blobs<T> const& bottom) final {
    for (std::size_t i = 1; i < wanted.size(); ++i) expect_not_wanted(i == 1 ? "bottom 1" : "bottom 2", wanted[i]);
    Pass pass;
    pass.upstream = double(top[0]->cpu_diff()[0]);
    pass.by_scale = this->phase_ == ::caffe::TEST;  // in training no gradient goes through a scale that follows the batch
    if (ready_for_ != pass.upstream) run(bottom, top, pass);
    ready_for_.reset();
    run_below(wanted, bottom);
  }

 private:
  std::optional<double> ready_for_;  // the factor of the gradient that forward left
};

// One of matrices: labels, and an accuracy as a second top.
template <class T>
class MatrixLossLayer : public LossWithGradient<T> {
 public:
  int ExactNumTopBlobs() const override { return -1; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

 protected:
  using LossWithGradient<T>::LossWithGradient;
  void set_up_loss(Blobs<T> const& top, int position) {
    if (top.size() == 2 && this->layer_param_.loss_weight_size() == 1) this->layer_param_.add_loss_weight(0);  // of the accuracy
    loss_.set_up(this->layer_param_, this->blobs_, position);
    this->param_propagate_down_.resize(this->blobs_.size(), true);
  }
  void reshape_loss(Blobs<T> const& top) {
    if (top.size() == 2) top[1]->Reshape(std::vector<int>());
  }
  double run_loss(MatrixView<T const> cosines, Blob<T> const& labels, MatrixView<T> gradient, Blobs<T> const& top, Pass const& pass) {
    Report const report = loss_.run(cosines, labels, gradient, pass);
    if (top.size() == 2)
      top[1]->mutable_cpu_data()[0] = report.valid > 0 ? static_cast<T>(double(report.top1) / double(report.valid)) : T(0);
    return report.loss;
  }

  MatrixLoss<T> loss_;
};

}  // namespace detail

// --- the layers ----------------------------------------------------------------------------------------------------------------------

// A loss over B x C cosines, or of a SoftmaxLoss over logits.
template <class T>
class LosskitMarginLossLayer : public detail::MatrixLossLayer<T> {
 public:
  using detail::MatrixLossLayer<T>::MatrixLossLayer;
  char const* type() const override { return "LosskitMarginLoss"; }

 protected:
  void set_up(detail::Blobs<T> const&, detail::Blobs<T> const& top) override { this->set_up_loss(top, 0); }
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    detail::expect_cosines_and_labels(*bottom[0], *bottom[1]);
    this->reshape_loss(top);
  }
  double run(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top, detail::Pass const& pass) override {
    return this->run_loss(detail::data(*bottom[0]), *bottom[1], pass.upstream ? detail::writable_diff(*bottom[0]) : MatrixView<T>{}, top,
                          pass);
  }
};

// From features and its own class centres to the loss: normalise, product, margin and loss.
template <class T>
class LosskitHeadLossLayer : public detail::MatrixLossLayer<T> {
 public:
  using detail::MatrixLossLayer<T>::MatrixLossLayer;
  char const* type() const override { return "LosskitHeadLoss"; }

 protected:
  void set_up(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    head_.set_up(this->layer_param_.inner_product_param(), this->blobs_, bottom[0]->count(1));
    this->set_up_loss(top, 1);
  }
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    head_.reshape(*bottom[0]);
    cosines_.Reshape(std::vector<int>{bottom[0]->shape(0), head_.classes()});
    detail::expect_cosines_and_labels(cosines_, *bottom[1]);
    this->reshape_loss(top);
  }
  double run(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top, detail::Pass const& pass) override {
    auto const cosines = detail::writable_data(cosines_);
    head_.forward(*bottom[0], cosines);
    return this->run_loss(cosines, *bottom[1], cosines, top, pass);
  }
  void run_below(std::vector<bool> const& wanted, detail::Blobs<T> const& bottom) override {
    head_.backward(detail::data(cosines_), *bottom[0], wanted[0], this->param_propagate_down(0));
  }

 private:
  detail::Cosines<T> head_;
  detail::Blob<T> cosines_;  // after a pass with a gradient: that
};

// The margin alone, for a softmax that lives elsewhere.
template <class T>
class LosskitMarginLayer : public detail::ThrowingLayer<T, ::caffe::Layer> {
 public:
  using detail::ThrowingLayer<T, ::caffe::Layer>::ThrowingLayer;
  char const* type() const override { return "LosskitMargin"; }
  int ExactNumBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AllowForceBackward(int bottom) const override { return bottom == 0; }

 protected:
  void set_up(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    if (top[0] == bottom[0]) fail<AliasError>("the logits cannot take the cosines' place: Backward needs both");
    margin_.set_up(this->layer_param_, this->blobs_, 0);
    margin_.with_margin([](auto const&) {});
    if (margin_.loss().has_objective) fail<ParameterError>("an objective acts in a loss, and this layer is none: leave it out");
    this->param_propagate_down_.resize(this->blobs_.size(), true);
  }
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    detail::expect_cosines_and_labels(*bottom[0], *bottom[1]);
    top[0]->ReshapeLike(*bottom[0]);
  }
  void forward(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    margin_.run_logits(detail::data(*bottom[0]), *bottom[1], detail::writable_data(*top[0]), this->phase_ == ::caffe::TRAIN);
  }
  void backward(detail::Blobs<T> const& top, std::vector<bool> const& wanted, detail::Blobs<T> const& bottom) override {
    detail::expect_not_wanted("bottom 1", wanted[1]);
    if (wanted[0])
      margin_.run_logits_backward(detail::data(*bottom[0]), *bottom[1], detail::diff(*top[0]), detail::writable_diff(*bottom[0]),
                                  this->phase_ == ::caffe::TEST);
  }

 private:
  detail::MatrixLoss<T> margin_;
};

// Cosines of features to class centres, exact through both norms.
template <class T>
class LosskitCosineLayer : public detail::ThrowingLayer<T, ::caffe::Layer> {
 public:
  using detail::ThrowingLayer<T, ::caffe::Layer>::ThrowingLayer;
  char const* type() const override { return "LosskitCosine"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }

 protected:
  void set_up(detail::Blobs<T> const& bottom, detail::Blobs<T> const&) override {
    head_.set_up(this->layer_param_.inner_product_param(), this->blobs_, bottom[0]->count(1));
    this->param_propagate_down_.resize(this->blobs_.size(), true);
  }
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    head_.reshape(*bottom[0]);
    top[0]->Reshape(std::vector<int>{bottom[0]->shape(0), head_.classes()});
  }
  void forward(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    head_.forward(*bottom[0], detail::writable_data(*top[0]));
  }
  void backward(detail::Blobs<T> const& top, std::vector<bool> const& wanted, detail::Blobs<T> const& bottom) override {
    head_.backward(detail::diff(*top[0]), *bottom[0], wanted[0], this->param_propagate_down(0));
  }

 private:
  detail::Cosines<T> head_;
};

// Rows of length 1. A row without a direction is 0 and has no gradient.
template <class T>
class LosskitNormalizeLayer : public detail::ThrowingLayer<T, ::caffe::Layer> {
 public:
  using detail::ThrowingLayer<T, ::caffe::Layer>::ThrowingLayer;
  char const* type() const override { return "LosskitNormalize"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }

 protected:
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    top[0]->ReshapeLike(*bottom[0]);
    norms_.Reshape(std::vector<int>{bottom[0]->shape(0)});
  }
  void forward(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    normalize_rows(detail::backend(), detail::data(*bottom[0]), detail::writable_data(*top[0]), detail::writable_vector(norms_));
  }
  void backward(detail::Blobs<T> const& top, std::vector<bool> const& wanted, detail::Blobs<T> const& bottom) override {
    if (wanted[0])
      normalize_rows_backward(detail::backend(), detail::data(*top[0]), detail::writable_vector(norms_), detail::diff(*top[0]),
                              detail::writable_diff(*bottom[0]));
  }

 private:
  detail::Blob<T> norms_;
};

// A point loss, such as WingLoss.
template <class T>
class LosskitPointLossLayer : public detail::LossWithGradient<T> {
 public:
  using detail::LossWithGradient<T>::LossWithGradient;
  char const* type() const override { return "LosskitPointLoss"; }
  int ExactNumBottomBlobs() const override { return -1; }
  int MinBottomBlobs() const override { return 2; }
  int MaxBottomBlobs() const override { return 3; }
  bool AllowForceBackward(int bottom) const override { return bottom == 0; }

 protected:
  void set_up(detail::Blobs<T> const&, detail::Blobs<T> const&) override {
    text_ = this->layer_param_.python_param().param_str();
    with_point_loss_named(text_, [](auto const&) {});  // a wrong text is an error now
    auto const mode = detail::normalization_of(this->layer_param_.loss_param(), ::caffe::LossParameter_NormalizationMode_BATCH_SIZE);
    reduction_ = mode == ::caffe::LossParameter_NormalizationMode_BATCH_SIZE ? Reduction::batch_mean
                 : mode == ::caffe::LossParameter_NormalizationMode_NONE     ? Reduction::sum
                                                                             : Reduction::mean;
  }
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const&) override {
    for (std::size_t i = 1; i < bottom.size(); ++i)
      if (bottom[i]->count() != bottom[0]->count() || bottom[i]->shape(0) != bottom[0]->shape(0))
        fail<ShapeError>("%s: shape %s, expected %s", i == 1 ? "truth" : "weights", bottom[i]->shape_string().c_str(),
                         bottom[0]->shape_string().c_str());
  }
  double run(detail::Blobs<T> const& bottom, detail::Blobs<T> const&, detail::Pass const& pass) override {
    auto const prediction = detail::data(*bottom[0]), truth = detail::data(*bottom[1]);
    auto const workspace = memory_.of(point_workspace_bytes(prediction.rows, prediction.cols));
    PointOptions const options{.reduction = reduction_, .upstream = pass.upstream.value_or(1)};
    PointOutputs<T> const extra{.weights = bottom.size() > 2 ? detail::data(*bottom[2]) : MatrixView<T const>{}};
    double value = 0;
    with_point_loss_named(text_, [&](auto const& loss) {
      value = pass.upstream ? loss_and_gradient(detail::backend(), loss, prediction, truth, detail::writable_diff(*bottom[0]), workspace,
                                                options, extra)
                                  .loss
                            : loss_value(detail::backend(), loss, prediction, truth, workspace, options, extra).loss;
    });
    return value;
  }

 private:
  std::string text_;
  Reduction reduction_ = Reduction::batch_mean;
  detail::Memory memory_;
};

// How alike two faces are: the cosine of each pair of rows, a.b / (|a| |b|). For deployment: it has no gradient.
template <class T>
class LosskitSimilarityLayer : public detail::ThrowingLayer<T, ::caffe::Layer> {
 public:
  using detail::ThrowingLayer<T, ::caffe::Layer>::ThrowingLayer;
  char const* type() const override { return "LosskitSimilarity"; }
  int ExactNumBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AllowForceBackward(int) const override { return false; }

 protected:
  void reshape(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    if (bottom[0]->shape(0) != bottom[1]->shape(0))
      fail<ShapeError>("bottom 1: %d rows, expected %d", bottom[1]->shape(0), bottom[0]->shape(0));
    top[0]->Reshape(std::vector<int>{bottom[0]->shape(0)});
  }
  void forward(detail::Blobs<T> const& bottom, detail::Blobs<T> const& top) override {
    auto const a = detail::data(*bottom[0]), b = detail::data(*bottom[1]);
    for (idx i = 0; i < a.rows; ++i)
      top[0]->mutable_cpu_data()[i] =
          static_cast<T>(cosine_similarity(VectorView<T const>{a.row(i), a.cols}, VectorView<T const>{b.row(i), b.cols}));
  }
  void backward(detail::Blobs<T> const&, std::vector<bool> const& wanted, detail::Blobs<T> const&) override {
    detail::expect_not_wanted("bottom 0", wanted[0]);
    detail::expect_not_wanted("bottom 1", wanted[1]);
  }
};

}  // namespace losskit::inline LOSSKIT_ISA::adapt::inline caffe_layers

// LOSSKIT_REGISTER_CAFFE_LAYERS: makes all of them known to Caffe. In one unit of a program, outside every namespace: a type that is
// registered twice ends the process.
#define LOSSKIT_REGISTER_CAFFE_LAYERS           \
  namespace caffe {                             \
  using losskit::adapt::LosskitCosineLayer;     \
  using losskit::adapt::LosskitHeadLossLayer;   \
  using losskit::adapt::LosskitMarginLayer;     \
  using losskit::adapt::LosskitMarginLossLayer; \
  using losskit::adapt::LosskitNormalizeLayer;  \
  using losskit::adapt::LosskitPointLossLayer;  \
  using losskit::adapt::LosskitSimilarityLayer; \
  REGISTER_LAYER_CLASS(LosskitCosine);          \
  REGISTER_LAYER_CLASS(LosskitHeadLoss);        \
  REGISTER_LAYER_CLASS(LosskitMargin);          \
  REGISTER_LAYER_CLASS(LosskitMarginLoss);      \
  REGISTER_LAYER_CLASS(LosskitNormalize);       \
  REGISTER_LAYER_CLASS(LosskitPointLoss);       \
  REGISTER_LAYER_CLASS(LosskitSimilarity);      \
  }                                             \
  static_assert(true)  // takes the semicolon
