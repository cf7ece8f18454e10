// losskit inside dlib's networks: loss layers of any composition, and the cosine layer below them. dlib 19.24 or later.
//
//   using Arc = losskit::MarginSoftmax<losskit::ArcMargin<>>;
//   using Net = adapt::loss_margin<Arc, adapt::cosine_fc<10, dlib::fc<64, dlib::relu<dlib::fc<128, dlib::input<dlib::matrix<float>>>>>>>;
//   Net net(Arc{losskit::ArcMargin{0.5}, 16.0});              // Net net: the papers' numbers
//   dlib::dnn_trainer<Net> trainer(net);
//
//   loss_margin<L, SUBNET>     labels unsigned long; L: MarginSoftmax over cosines, SoftmaxLoss over logits, or your own
//   loss_point<L, SUBNET>      truths matrix<float>, or one such matrix a channel; L: WingLoss or another point loss
//   cosine_fc<C, SUBNET>       cosines with C centres, which are the layer's parameters, in place of dlib's fc
//
// What is wrong with what a layer is given is thrown as dlib::error with losskit's text, before a number is written; afterwards the
// network is as usable as before. Where a dnn_trainer trains in its thread, a call of it that follows throws; that trainer is then done
// for, as dlib has it. dlib's own asserts, which end a process at the second, are not used.
//
// Rows are spread over dlib's default_thread_pool (DLIB_NUM_THREADS of the environment); the bits do not depend on its size. Everything
// runs on the host: in a dlib that was built with CUDA the tensors are copied. Scratch memory is the layer's and stays between calls, so
// a layer serves one thread at a time, as every layer of dlib does.
#pragma once
#include <dlib/dnn.h>
#include <dlib/threads.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <istream>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/compose/any.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/named.hpp"
#include "losskit/scale/fixed.hpp"

namespace losskit::inline LOSSKIT_ISA::adapt::inline dlib_layers {

// dlib's threads as an Executor. A task of the pool that asks for it again runs alone, in its own thread. Each thread of the pool is
// given one piece of work, from which it takes task after task: dlib hands pieces over one by one, with a wake-up each.
struct dlib_threads {
  int concurrency() const { return static_cast<int>(dlib::default_thread_pool().num_threads_in_pool()); }
  template <class F>
  void run(idx tasks, F f) const {
    long const workers = static_cast<long>(std::min<idx>(concurrency(), tasks));
    std::atomic<idx> next{0};
    auto const work = [&](long) {
      for (idx t = next++; t < tasks; t = next++) f(t);
    };
    workers <= 1 ? work(0) : dlib::parallel_for(0, workers, work, 1);
  }
};

namespace detail {

using losskit::detail::ll;

// f(), with losskit's errors as dlib's.
template <class F>
auto translated(F const& f) {
  try {
    return f();
  } catch (Error const& e) {
    fail<dlib::error>("losskit: %s", e.what());
  }
}

// A tensor's samples as rows, whatever the shape of one.
inline MatrixView<float const> rows_of(dlib::tensor const& t) {
  idx const size = t.k() * t.nr() * t.nc();
  return {t.host(), t.num_samples(), size, size};
}
inline MatrixView<float> rows_to_write(dlib::tensor& t) {
  idx const size = t.k() * t.nr() * t.nc();
  return {t.host_write_only(), t.num_samples(), size, size};
}

// The output that a loss is given: one sample for each of the network's inputs.
template <class Subnet>
dlib::tensor const& output_of(dlib::tensor const& input, Subnet const& sub) {
  dlib::tensor const& output = sub.get_output();
  if (sub.sample_expansion_factor() != 1 || output.num_samples() != input.num_samples())
    fail<ShapeError>("output: %lld samples for %lld inputs, one each needed", ll(output.num_samples()), ll(input.num_samples()));
  return output;
}

// What a loss is made with where none is given: the papers' numbers.
template <class L>
struct Standard {
  static L loss() { return L{}; }
};
template <class M, class O, class R>
struct Standard<MarginSoftmax<M, O, R>> {
  static auto loss() { return MarginSoftmax<M, O, R>{M{}, FixedScale{}, O{}, R{}}; }
};

// --- a loss in a file: its type, its bytes, and what it gives for fixed numbers, which an object laid out otherwise does not -----------

template <class P>
inline constexpr bool holds_addresses =
    std::is_same_v<P, AnyMargin> || std::is_same_v<P, AnyObjective> || std::is_same_v<P, AnyMeanObjective>;

// "WingLoss"; "margin=ArcMargin(rule=Monotone, gradient=Exact), objective=CrossEntropy, rest=PlainRest"
template <class L>
std::string type_of() {
  if constexpr (PointLoss<L>) return text_of<L>();
  else
    return "margin=" + text_of<std::remove_cvref_t<decltype(L::margin)>>() +
           ", objective=" + text_of<std::remove_cvref_t<decltype(L::objective)>>() +
           ", rest=" + text_of<std::remove_cvref_t<decltype(L::rest)>>();
}

inline void expect_next(std::string const& expected, std::istream& in) {
  std::string found;
  dlib::deserialize(found, in);
  if (found != expected)
    fail<dlib::serialization_error>("losskit: found \"%.100s\" where \"%.100s\" was expected", found.c_str(), expected.c_str());
}

template <class L>
double probe(L const& loss) {
  std::array<double, 6> const x{0.9, -0.4, 0.1, -0.7, 0.3, 0.2};
  if constexpr (PointLoss<L>) {
    std::array<double, 6> const truth{0.1, 0.9, 0.6, 0.2, 0.35, 0};
    std::vector<std::byte> workspace(point_workspace_bytes(1, 6));
    return loss_value(on::serial{}, loss, x, truth, workspace).loss;
  } else {
    std::array<int, 2> const labels{2, 0};
    std::vector<std::byte> workspace(workspace_bytes<double>(on::serial{}, 2, 3, Placement::no_gradient));
    return loss_value(on::serial{}, loss, Batch(matrix(x, 2, 3), labels), workspace).loss;
  }
}

template <class L>
void save_loss(L const& loss, std::ostream& out) {
  static_assert(std::is_trivially_copyable_v<L>);
  if constexpr (!PointLoss<L>)
    if constexpr (holds_addresses<std::remove_cvref_t<decltype(L::margin)>> || holds_addresses<std::remove_cvref_t<decltype(L::objective)>>)
      fail<dlib::serialization_error>("losskit: AnyMargin and AnyObjective hold addresses and are not saved: give the loss its own types");
  std::string bytes(sizeof loss, '\0');
  std::memcpy(bytes.data(), &loss, sizeof loss);
  dlib::serialize(type_of<L>(), out);
  dlib::serialize(bytes, out);
  dlib::serialize(probe(loss), out);
}
template <class L>
void load_loss(L& loss, std::istream& in) {
  std::string bytes;
  double expected = 0;
  expect_next(type_of<L>(), in);
  dlib::deserialize(bytes, in);
  dlib::deserialize(expected, in);
  L read = loss;
  if (bytes.size() == sizeof read) std::memcpy(static_cast<void*>(&read), bytes.data(), sizeof read);
  if (bytes.size() != sizeof read || !(std::abs(probe(read) - expected) <= 1e-9 * std::abs(expected)))
    fail<dlib::serialization_error>("losskit: this loss was saved by another version or kind of machine");
  loss = read;
}

}  // namespace detail

// --- losses over cosines ---------------------------------------------------------------------------------------------------------

// The loss of B x C cosines (for SoftmaxLoss: logits) with B labels, as dlib's loss_multiclass_log is that of logits. The network's
// output must be C x 1 x 1 a sample. A label outside [0, C) is an error that names row and value, unless it is options.ignore_label; -1
// of unsigned long counts as -1. The reduction is the mean over the rows that are not ignored unless options say otherwise.
//
// A network called on a sample gives the class of the largest cosine, margin apart.
template <class L>
class loss_margin_ {
  static_assert((losskit::detail::expect_loss<L>(), true));

 public:
  using training_label_type = unsigned long;
  using output_label_type = unsigned long;

  loss_margin_() : loss_margin_(detail::Standard<L>::loss()) {}
  loss_margin_(L const& loss, Options const& options = {}) : loss_(loss), options_(options) {}

  // May be changed between steps, as a schedule or AdaCos asks: net.loss_details().loss().scale = 32.
  L& loss() { return loss_; }
  L const& loss() const { return loss_; }
  Options& options() { return options_; }
  Options const& options() const { return options_; }
  // Of the last step: accuracy, angles and odd cosines, from the raw cosines.
  Report const& report() const { return report_; }

  template <class Subnet, class Iterator>
  void to_label(dlib::tensor const& input, Subnet const& sub, Iterator labels) const {
    detail::translated([&] {
      auto const cosines = classes_of(input, sub);
      for (idx i = 0; i < cosines.rows; ++i)
        *labels++ = static_cast<unsigned long>(std::max_element(cosines.row(i), cosines.row(i) + cosines.cols) - cosines.row(i));
    });
  }

  template <class Iterator, class Subnet>
  double compute_loss_value_and_gradient(dlib::tensor const& input, Iterator truth, Subnet& sub) const {
    return detail::translated([&] {
      on::eigen const backend{dlib_threads{}};
      auto const cosines = classes_of(input, sub);
      labels_.resize(static_cast<std::size_t>(cosines.rows));
      for (idx& label : labels_) label = static_cast<idx>(*truth++);
      workspace_.resize(workspace_bytes<float>(backend, cosines.rows, cosines.cols, Placement::out_of_place));
      report_ = loss_and_gradient(backend, loss_, Batch(cosines, labels_), detail::rows_to_write(sub.get_gradient_input()),
                                  view(workspace_), options_);
      return report_.loss;
    });
  }

  friend void serialize(loss_margin_ const& item, std::ostream& out) {
    dlib::serialize(std::string(type), out);
    detail::save_loss(item.loss_, out);
    dlib::serialize(static_cast<int>(item.options_.reduction), out);
    dlib::serialize(item.options_.ignore_label, out);
    dlib::serialize(item.options_.top_k, out);
  }
  friend void deserialize(loss_margin_& item, std::istream& in) {
    detail::expect_next(type, in);
    loss_margin_ read = item;
    int reduction = 0;
    detail::load_loss(read.loss_, in);
    dlib::deserialize(reduction, in);
    dlib::deserialize(read.options_.ignore_label, in);
    dlib::deserialize(read.options_.top_k, in);
    read.options_.reduction = static_cast<Reduction>(reduction);
    item = read;
  }
  friend std::ostream& operator<<(std::ostream& out, loss_margin_ const& item) {
    return out << "loss_margin\t (" << detail::type_of<L>() << ", scale=" << item.loss_.scale << ")";
  }
  friend void to_xml(loss_margin_ const& item, std::ostream& out) {
    out << "<loss_margin loss='" << detail::type_of<L>() << "' scale='" << item.loss_.scale << "'/>\n";
  }

 private:
  static constexpr char const* type = "losskit_loss_margin_1";

  template <class Subnet>
  static MatrixView<float const> classes_of(dlib::tensor const& input, Subnet const& sub) {
    dlib::tensor const& output = detail::output_of(input, sub);
    if (output.nr() != 1 || output.nc() != 1)
      fail<ShapeError>("output: %lld x %lld x %lld a sample, C x 1 x 1 needed, as cosine_fc and fc give", detail::ll(output.k()),
                       detail::ll(output.nr()), detail::ll(output.nc()));
    return detail::rows_of(output);
  }

  L loss_;
  Options options_;
  mutable Report report_{};
  mutable std::vector<idx> labels_{};
  mutable std::vector<std::byte> workspace_{};
};

template <class L, class SUBNET>
using loss_margin = dlib::add_loss_layer<loss_margin_<L>, SUBNET>;


// --- point losses ----------------------------------------------------------------------------------------------------------------

namespace detail {

// How a sample of k x nr x nc numbers is held as a truth: f(matrix, first number) for each of its matrices, in the tensor's order.
//
//   matrix<float>                   k x 1 for a sample of k x 1 x 1 (dlib's multioutput losses), nr x nc for one of 1 x nr x nc
//   std::array<matrix<float>, n>    a matrix nr x nc a channel, for a sample of n x nr x nc (dlib's losses per channel and pixel)
struct SampleShape {
  idx k, nr, nc;
  explicit SampleShape(dlib::tensor const& t) : k(t.k()), nr(t.nr()), nc(t.nc()) {}
  idx size() const { return k * nr * nc; }
};
inline std::array<dlib::matrix<float>*, 1> channels_of(dlib::matrix<float>& m) { return {&m}; }
template <std::size_t n>
std::array<dlib::matrix<float>*, n> channels_of(std::array<dlib::matrix<float>, n>& matrices) {
  std::array<dlib::matrix<float>*, n> all;
  for (std::size_t i = 0; i < n; ++i) all[i] = &matrices[i];
  return all;
}
inline std::array<dlib::matrix<float> const*, 1> channels_of(dlib::matrix<float> const& m) { return {&m}; }
template <std::size_t n>
std::array<dlib::matrix<float> const*, n> channels_of(std::array<dlib::matrix<float>, n> const& matrices) {
  std::array<dlib::matrix<float> const*, n> all;
  for (std::size_t i = 0; i < n; ++i) all[i] = &matrices[i];
  return all;
}

// The rows and columns of each matrix of a truth.
struct MatrixShape { idx rows, cols; };
template <class Truth>
MatrixShape shape_of_truth(SampleShape const& sample) {
  idx const channels = static_cast<idx>(channels_of(Truth{}).size());
  if (std::is_same_v<Truth, dlib::matrix<float>> && sample.nr == 1 && sample.nc == 1) return {sample.k, 1};
  if (sample.k != channels)
    fail<ShapeError>("output: %lld x %lld x %lld a sample, but truths have %lld channels", ll(sample.k), ll(sample.nr), ll(sample.nc),
                     ll(channels));
  return {sample.nr, sample.nc};
}

}  // namespace detail

// A point loss over the network's output and truths of its shape; L: WingLoss for coordinates, AdaptiveWingLoss for heatmaps,
// SigmoidFocalLoss ... Truth: matrix<float>, k x 1 for an output of k x 1 x 1 a sample and nr x nc for one of 1 x nr x nc; or
// std::array<matrix<float>, n>, a matrix a channel, for an output of n x nr x nc. A truth of another shape is an error that names it. The
// reduction is the mean over elements unless options say otherwise (batch_mean: the sum over a sample, the mean over samples).
//
// A network called on a sample gives its output as a Truth.
template <class L, class Truth = dlib::matrix<float>>
class loss_point_ {
  static_assert((losskit::detail::expect_point_loss<L>(), true));

 public:
  using training_label_type = Truth;
  using output_label_type = Truth;

  loss_point_() : loss_point_(L{}) {}
  loss_point_(L const& loss, PointOptions const& options = {}) : loss_(loss), options_(options) {}

  L& loss() { return loss_; }
  L const& loss() const { return loss_; }
  PointOptions& options() { return options_; }
  PointOptions const& options() const { return options_; }
  PointReport const& report() const { return report_; }  // of the last step

  template <class Subnet, class Iterator>
  void to_label(dlib::tensor const& input, Subnet const& sub, Iterator labels) const {
    detail::translated([&] {
      dlib::tensor const& output = detail::output_of(input, sub);
      auto const shape = detail::shape_of_truth<Truth>(detail::SampleShape(output));
      float const* from = output.host();
      for (idx i = 0; i < output.num_samples(); ++i) {
        Truth sample;
        for (dlib::matrix<float>* const channel : detail::channels_of(sample)) {
          *channel = dlib::mat(from, static_cast<long>(shape.rows), static_cast<long>(shape.cols));
          from += shape.rows * shape.cols;
        }
        *labels++ = sample;
      }
    });
  }

  template <class Iterator, class Subnet>
  double compute_loss_value_and_gradient(dlib::tensor const& input, Iterator truth, Subnet& sub) const {
    return detail::translated([&] {
      auto const prediction = detail::rows_of(detail::output_of(input, sub));
      gather(truth, detail::SampleShape(sub.get_output()), prediction.rows);
      workspace_.resize(point_workspace_bytes(prediction.rows, prediction.cols));
      report_ = loss_and_gradient(on::eigen{dlib_threads{}}, loss_, prediction, matrix(truth_, prediction.rows, prediction.cols),
                                  detail::rows_to_write(sub.get_gradient_input()), view(workspace_), options_);
      return report_.loss;
    });
  }

  friend void serialize(loss_point_ const& item, std::ostream& out) {
    dlib::serialize(std::string(type), out);
    detail::save_loss(item.loss_, out);
    dlib::serialize(static_cast<int>(item.options_.reduction), out);
  }
  friend void deserialize(loss_point_& item, std::istream& in) {
    detail::expect_next(type, in);
    loss_point_ read = item;
    int reduction = 0;
    detail::load_loss(read.loss_, in);
    dlib::deserialize(reduction, in);
    read.options_.reduction = static_cast<Reduction>(reduction);
    item = read;
  }
  friend std::ostream& operator<<(std::ostream& out, loss_point_ const&) {
    return out << "loss_point\t (" << detail::type_of<L>() << ")";
  }
  friend void to_xml(loss_point_ const&, std::ostream& out) {
    out << "<loss_point loss='" << detail::type_of<L>() << "'/>\n";
  }

 private:
  static constexpr char const* type = "losskit_loss_point_1";

  // The truths of all samples, in one piece as the predictions are.
  template <class Iterator>
  void gather(Iterator truth, detail::SampleShape const& sample, idx count) const {
    auto const shape = detail::shape_of_truth<Truth>(sample);
    truth_.resize(static_cast<std::size_t>(count * sample.size()));
    float* to = truth_.data();
    for (idx i = 0; i < count; ++i, ++truth) {
      Truth const& one = *truth;
      for (dlib::matrix<float> const* const channel : detail::channels_of(one)) {
        if (channel->nr() != shape.rows || channel->nc() != shape.cols)
          fail<ShapeError>("truth of sample %lld: %lld x %lld, expected %lld x %lld", detail::ll(i), detail::ll(channel->nr()),
                           detail::ll(channel->nc()), detail::ll(shape.rows), detail::ll(shape.cols));
        to = std::copy(channel->begin(), channel->end(), to);
      }
    }
  }

  L loss_;
  PointOptions options_;
  mutable PointReport report_{};
  mutable std::vector<float> truth_{};
  mutable std::vector<std::byte> workspace_{};
};

template <class L, class SUBNET>
using loss_point = dlib::add_loss_layer<loss_point_<L>, SUBNET>;
template <class L, std::size_t num_channels, class SUBNET>
using loss_point_per_channel_and_pixel = dlib::add_loss_layer<loss_point_<L, std::array<dlib::matrix<float>, num_channels>>, SUBNET>;

// --- the cosine layer ------------------------------------------------------------------------------------------------------------

// Cosines with num_outputs centres, C x 1 x 1 a sample, in place of dlib's fc below a loss: both sides are normalised, the gradient
// is exact through both norms, and there is no bias. The centres are the layer's parameters, C samples of D x 1 x 1; D: all
// numbers of an input's sample. They begin as random directions of a length about 1. As a gradient never changes a centre's length to
// first order, weight decay sets only the size of steps: set_weight_decay_multiplier(0) switches it off.
template <unsigned long num_outputs>
class cosine_fc_ {
  static_assert(num_outputs > 0, "losskit: a cosine_fc needs at least one output");

 public:
  cosine_fc_(dlib::num_fc_outputs outputs) : num_outputs_(outputs.num_outputs) {}
  cosine_fc_() : cosine_fc_(dlib::num_fc_outputs(num_outputs)) {}

  unsigned long get_num_outputs() const { return num_outputs_; }
  // dlib::error for 0, and once there are centres.
  void set_num_outputs(long count) {
    detail::translated([&] {
      if (count < 1) fail<ParameterError>("cosine_fc: %lld outputs, at least 1 needed", detail::ll(count));
      if (centres_.size() != 0 && static_cast<unsigned long>(count) != num_outputs_)
        fail<ParameterError>("cosine_fc: %lld outputs, but it has its %lld centres already", detail::ll(count),
                             detail::ll(centres_.num_samples()));
    });
    num_outputs_ = static_cast<unsigned long>(count);
  }

  double get_learning_rate_multiplier() const { return learning_rate_multiplier_; }
  double get_weight_decay_multiplier() const { return weight_decay_multiplier_; }
  void set_learning_rate_multiplier(double x) { learning_rate_multiplier_ = x; }
  void set_weight_decay_multiplier(double x) { weight_decay_multiplier_ = x; }

  template <class Subnet>
  void setup(Subnet const& sub) {
    dlib::tensor const& x = sub.get_output();
    long const width = x.k() * x.nr() * x.nc();
    centres_.set_size(static_cast<long>(num_outputs_), width);
    dlib::rand random(std::rand());
    float const deviation = 1 / std::sqrt(static_cast<float>(width));
    for (float& w : centres_) w = deviation * static_cast<float>(random.get_random_gaussian());
  }

  template <class Subnet>
  void forward(Subnet const& sub, dlib::resizable_tensor& output) {
    detail::translated([&] {
      auto const x = detail::rows_of(sub.get_output()), w = detail::rows_of(centres_);
      if (x.cols != w.cols)
        fail<ShapeError>("input: %lld numbers a sample, but the centres have %lld", detail::ll(x.cols), detail::ll(w.cols));
      output.set_size(static_cast<long>(x.rows), static_cast<long>(w.rows));
      unit_x_.resize(static_cast<std::size_t>(x.rows * x.cols));
      unit_w_.resize(static_cast<std::size_t>(w.rows * w.cols));
      norms_x_.resize(static_cast<std::size_t>(x.rows));
      norms_w_.resize(static_cast<std::size_t>(w.rows));
      cosine_layer(on::eigen{dlib_threads{}}, x, w, kept(x.cols), detail::rows_to_write(output));
    });
  }

  // Of the latest forward, which must have been this input's.
  template <class Subnet>
  void backward(dlib::tensor const& gradient_input, Subnet& sub, dlib::tensor& params_grad) {
    detail::translated([&] {
      dx_.copy_size(sub.get_gradient_input());
      auto const layer = kept(centres_.k());
      cosine_layer_backward(on::eigen{dlib_threads{}}, layer, detail::rows_of(gradient_input), detail::rows_to_write(dx_),
                            detail::rows_to_write(params_grad));
      dlib::tt::add(1, sub.get_gradient_input(), 1, dx_);  // the input's gradient is added, the parameters' assigned
    });
  }

  dlib::tensor const& get_layer_params() const { return centres_; }
  dlib::tensor& get_layer_params() { return centres_; }

  // Forgets what a backward needs of its forward.
  void clean() { *this = cosine_fc_(*this, 0); }

  friend void serialize(cosine_fc_ const& item, std::ostream& out) {
    dlib::serialize(std::string(type), out);
    dlib::serialize(item.num_outputs_, out);
    serialize(item.centres_, out);
    dlib::serialize(item.learning_rate_multiplier_, out);
    dlib::serialize(item.weight_decay_multiplier_, out);
  }
  friend void deserialize(cosine_fc_& item, std::istream& in) {
    detail::expect_next(type, in);
    cosine_fc_ read;
    dlib::deserialize(read.num_outputs_, in);
    deserialize(read.centres_, in);
    dlib::deserialize(read.learning_rate_multiplier_, in);
    dlib::deserialize(read.weight_decay_multiplier_, in);
    item = read;
  }
  friend std::ostream& operator<<(std::ostream& out, cosine_fc_ const& item) {
    return out << "cosine_fc\t (num_outputs=" << item.num_outputs_ << ") learning_rate_mult=" << item.learning_rate_multiplier_
               << " weight_decay_mult=" << item.weight_decay_multiplier_;
  }
  friend void to_xml(cosine_fc_ const& item, std::ostream& out) {
    out << "<cosine_fc num_outputs='" << item.num_outputs_ << "' learning_rate_mult='" << item.learning_rate_multiplier_
        << "' weight_decay_mult='" << item.weight_decay_multiplier_ << "'>\n"
        << dlib::mat(item.centres_) << "</cosine_fc>\n";
  }

 private:
  static constexpr char const* type = "losskit_cosine_fc_1";

  // All but what is kept between forward and backward.
  cosine_fc_(cosine_fc_ const& other, int)
      : num_outputs_(other.num_outputs_),
        learning_rate_multiplier_(other.learning_rate_multiplier_),
        weight_decay_multiplier_(other.weight_decay_multiplier_),
        centres_(other.centres_) {}

  CosineLayer<float> kept(idx width) {
    idx const rows = static_cast<idx>(norms_x_.size()), classes = static_cast<idx>(norms_w_.size());
    return {matrix(unit_x_, rows, width), matrix(unit_w_, classes, width), view(norms_x_), view(norms_w_)};
  }

  unsigned long num_outputs_;
  double learning_rate_multiplier_ = 1, weight_decay_multiplier_ = 1;
  dlib::resizable_tensor centres_{}, dx_{};
  std::vector<float> unit_x_{}, unit_w_{}, norms_x_{}, norms_w_{};
};

template <unsigned long num_outputs, class SUBNET>
using cosine_fc = dlib::add_layer<cosine_fc_<num_outputs>, SUBNET>;

}  // namespace losskit::inline LOSSKIT_ISA::adapt::inline dlib_layers
