// What the tests of the calls share: batches of random cosines, memory between guards, policies chosen at run time, and the
// whole loss written once more, plainly, in long double.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <variant>
#include <vector>

#include "losskit/catalogue.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"

namespace test {

using namespace losskit;

inline std::size_t size(idx n) { return static_cast<std::size_t>(n); }

// --- policies chosen at run time: one loss type runs the whole catalogue, so that it compiles in seconds ---------------

template <class List>
struct AnyMargin;
template <class... M>
struct AnyMargin<Policies<M...>> {
  static constexpr char const* name = "AnyMargin";
  std::variant<M...> margin;

  template <Number X>
  Jet<X> target(X c) const { return std::visit([&](auto const& m) { return m.target(c); }, margin); }
  template <Number X>
  MarginJet<X> margin_jet(X c) const { return std::visit([&](auto const& m) { return margin_jet_of(m, c); }, margin); }
  char const* own_name() const { return std::visit([](auto const& m) { return std::remove_cvref_t<decltype(m)>::name; }, margin); }
  bool exact() const {
    return std::visit([](auto const& m) { return testing_exact<std::remove_cvref_t<decltype(m)>>(); }, margin);
  }

 private:
  template <class P>
  static constexpr bool testing_exact() {
    if constexpr (requires { typename P::gradient_mode; }) return std::is_same_v<typename P::gradient_mode, Exact>;
    else return true;
  }
};

struct AnyRest {
  static constexpr char const* name = "AnyRest";
  std::variant<PlainRest, HardNegatives<>, HardNegatives<Fixed>> rule;

  double bound() const { return std::visit([](auto const& r) { return r.bound(); }, rule); }
  template <Number X>
  Jet<X> rest(X c, X threshold) const {
    if (auto const* plain = std::get_if<0>(&rule)) return plain->rest(c, threshold);
    if (auto const* adaptive = std::get_if<1>(&rule)) return adaptive->rest(c, threshold);
    return std::get<2>(rule).rest(c, threshold);
  }
};

struct AnyObjective {
  static constexpr char const* name = "AnyObjective";
  std::variant<CrossEntropy, FocalLoss> objective;

  template <Number X>
  Jet<X> operator()(X log_p) const { return std::visit([&](auto const& o) { return o(log_p); }, objective); }
};

// Every margin under every rule that it may have.
using every_margin =
    Policies<NoMargin, CosMargin<>, CosMargin<Easy>, CosMargin<NoRule, Detached>, ArcMargin<>, ArcMargin<NoRule>, ArcMargin<LegacyLinear>,
             ArcMargin<ContinuousLinear>, ArcMargin<Clamp>, ArcMargin<FallToCosine>, ArcMargin<Easy>, ArcMargin<NoRule, Detached>,
             ArcMargin<Monotone, Detached>, SphereMargin<>, SphereMargin<NoRule>, SphereMargin<ContinuousLinear>, SphereMargin<Clamp>,
             CombinedMargin<>, CombinedMargin<NoRule>, CombinedMargin<LegacyLinear>, CombinedMargin<ContinuousLinear>,
             CombinedMargin<Clamp>, CombinedMargin<FallToCosine>, CombinedMargin<Easy>, Annealed<>, Annealed<ArcMargin<LegacyLinear>>>;
struct Margins : AnyMargin<every_margin> {};  // a type of its own: a short name in every instance
using AnyLoss = MarginSoftmax<Margins, AnyObjective, AnyRest>;

template <class... M>
std::vector<Margins> defaults_of(Policies<M...>) { return {Margins{{M{}}}...}; }

// Each with its paper's parameters, then with others: small, negative, large, real factors.
inline std::vector<Margins> all_margins() {
  std::vector<Margins> all = defaults_of(every_margin{});
  auto const add = [&](auto... margin) { (all.push_back(Margins{{margin}}), ...); };
  add(CosMargin{0.1}, CosMargin{-0.2}, CosMargin<Easy>{0.25, Easy{0.25}}, ArcMargin{0.1}, ArcMargin{-0.3}, ArcMargin{1.4}, ArcMargin{3.0});
  add(ArcMargin<NoRule>{1.2}, ArcMargin<LegacyLinear>{1.2}, ArcMargin<ContinuousLinear>{1.2}, ArcMargin<Clamp>{0.8, Clamp{0.05}},
      ArcMargin<Clamp>{-0.4, Clamp{0.02}}, ArcMargin<FallToCosine>{1.2}, ArcMargin<Easy>{0.7, Easy{-0.4}});
  add(SphereMargin{1.7}, SphereMargin{3.0}, SphereMargin{2.5}, SphereMargin{0.6}, SphereMargin{16.0}, SphereMargin<Clamp>{1.7, Clamp{0}});
  add(CombinedMargin{1.5, 0.4, 0.1}, CombinedMargin{2.0, -0.5, 0.1}, CombinedMargin{0.7, 0.6, -0.1}, CombinedMargin<NoRule>{1.4, 0.3, 0.1},
      CombinedMargin<ContinuousLinear>{1.6, 0.3, 0.2}, CombinedMargin<Clamp>{1.6, 0.3, 0.2}, CombinedMargin<LegacyLinear>{1, 0.9, 0.3});
  add(Annealed<>{SphereMargin{3.0}, 0.5}, Annealed<>{SphereMargin{4.0}, 1500},
      Annealed<ArcMargin<LegacyLinear>>{ArcMargin<LegacyLinear>{0.9}, 1});
  return all;
}
inline std::vector<AnyRest> all_rests() {
  return {{PlainRest{}}, {HardNegatives<>{}}, {HardNegatives<Fixed>{}}, {HardNegatives<>{0.6}}, {HardNegatives<Fixed>{0.05}}};
}
inline std::vector<AnyObjective> all_objectives() {
  return {{CrossEntropy{}}, {FocalLoss{}}, {FocalLoss{0.5, 0.25}}, {FocalLoss{5, 2}}, {FocalLoss{0}}};
}

// --- memory --------------------------------------------------------------------------------------------------------

// rows x cols numbers, each row followed by `gap` others, all starting `offset` numbers into a buffer that ends in a guard.
template <class T>
class Guarded {
 public:
  Guarded(idx rows, idx cols, idx gap = 0, idx offset = 0, T fill = T(0)) : rows_(rows), cols_(cols), stride_(cols + gap), offset_(offset) {
    memory_.assign(size(offset + rows * stride_ + 8), guard);
    for (idx i = 0; i < rows; ++i) std::fill_n(row(i), cols, fill);
  }
  T* row(idx i) { return memory_.data() + offset_ + i * stride_; }
  T const* row(idx i) const { return memory_.data() + offset_ + i * stride_; }
  T& at(idx i, idx j) { return row(i)[j]; }
  T at(idx i, idx j) const { return row(i)[j]; }
  MatrixView<T> matrix() { return {row(0), rows_, cols_, stride_}; }
  // Does everything outside the cells still hold the guard?
  bool guards_hold() const {
    auto const begin = memory_.data();
    for (idx k = 0; k < static_cast<idx>(memory_.size()); ++k) {
      idx const at = k - offset_;
      bool const cell = at >= 0 && at < rows_ * stride_ && at % stride_ < cols_;
      if (!cell && begin[k] != guard) return false;
    }
    return true;
  }
  bool same_bits(Guarded const& other) const {
    for (idx i = 0; i < rows_; ++i)
      if (std::memcmp(row(i), other.row(i), size(cols_) * sizeof(T)) != 0) return false;
    return true;
  }

  static constexpr T guard = T(-12345.625);

 private:
  idx rows_, cols_, stride_, offset_;
  std::vector<T> memory_;
};

// --- a batch -------------------------------------------------------------------------------------------------------

// The same numbers in float and double: each is a float.
template <class T, class I = std::int64_t>
struct Problem {
  idx rows, cols;
  Guarded<T> cosines;
  std::vector<I> labels;
  std::vector<T> weights, class_weights, scales, upstream;

  Problem(idx rows_, idx cols_, unsigned seed = 1, idx gap = 0, idx offset = 0, double spread = 0.9)
      : rows(rows_), cols(cols_), cosines(rows_, cols_, gap, offset) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> cosine(static_cast<float>(-spread), static_cast<float>(spread)), weight(0.25F, 2.0F);
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j) cosines.at(i, j) = T(cosine(random));
    for (idx i = 0; i < rows; ++i) {
      labels.push_back(static_cast<I>(random() % static_cast<unsigned>(cols)));
      weights.push_back(T(weight(random)));
      scales.push_back(T(10 * weight(random)));
      upstream.push_back(T(weight(random) - 1));
    }
    for (idx j = 0; j < cols; ++j) class_weights.push_back(T(weight(random)));
  }
  Batch<T, I> plain() { return Batch(cosines.matrix(), labels); }
  Batch<T, I> weighted() {
    auto batch = plain();
    batch.weights = view(weights);
    batch.class_weights = view(class_weights);
    batch.upstream = view(upstream);
    return batch;
  }
};

// --- the loss, plainly -----------------------------------------------------------------------------------------------

struct Truth {
  std::vector<long double> row_losses, gradient, scale_gradient, largest;  // largest |gradient| of each row
  long double loss = 0;
};

// In long double from the stored cosines: no shift, no hole, no trick. The policies are taken in double, with their slope's end
// where T has it.
template <class L, class T, class I>
Truth truth_of(L const& loss, Batch<T, I> const& b, Options const& options = {}) {
  using X = Scalar<double, T>;
  idx const rows = b.cosines.rows, cols = b.cosines.cols;
  Truth t{std::vector<long double>(size(rows)), std::vector<long double>(size(rows * cols)), std::vector<long double>(size(rows)),
          std::vector<long double>(size(rows)), 0};
  long double valid = 0, weights = 0;
  for (idx i = 0; i < rows; ++i) {
    idx const y = static_cast<idx>(b.labels[i]);
    if (y == options.ignore_label) continue;
    long double const weight = (b.weights ? b.weights[i] : T(1)) * (b.class_weights ? static_cast<long double>(b.class_weights[y]) : 1);
    valid += 1;
    weights += weight;
    long double const s = b.scales ? double(b.scales[i]) : loss.scale;
    auto const cosine = [&](idx j) { return std::clamp(double(b.cosines.row(i)[j]), -1.0, 1.0); };
    Jet<X> const psi = loss.margin.target(X(cosine(y)));
    X const threshold = double(T(threshold_of(loss.margin, X(cosine(y))).v));
    std::vector<long double> value(size(cols)), slope(size(cols)), z(size(cols));
    long double top = -HUGE_VALL;
    for (idx j = 0; j < cols; ++j) {
      Jet<X> const r = loss.rest.rest(X(cosine(j)), threshold);
      value[size(j)] = j == y ? psi.value.v : r.value.v;
      z[size(j)] = s * value[size(j)];
      slope[size(j)] = j == y ? psi.slope.v : r.slope.v;
      top = std::max(top, z[size(j)]);
    }
    long double others = 0;
    for (idx j = 0; j < cols; ++j)
      if (j != y) others += std::exp(z[size(j)] - top);
    long double const target = std::exp(z[size(y)] - top), sum = others + target, q = others / sum;
    long double const log_p = q < 0.5L ? std::log1p(-q) : z[size(y)] - top - std::log(sum);
    auto const o = loss.objective(Scalar<double>(static_cast<double>(log_p)));
    t.row_losses[size(i)] = weight * static_cast<long double>(o.value.v);
    t.loss += t.row_losses[size(i)];
    long double const outer = weight * static_cast<long double>(o.slope.v) * static_cast<long double>(options.upstream) *
                              (b.upstream ? static_cast<long double>(b.upstream[i]) : 1);
    for (idx j = 0; j < cols; ++j) {
      long double const dz = j == y ? outer * q : -outer * std::exp(z[size(j)] - top) / sum;
      t.gradient[size(i * cols + j)] = s * slope[size(j)] * dz;
      t.scale_gradient[size(i)] += dz * value[size(j)];
    }
  }
  long double divisor = 1;
  if (options.reduction == Reduction::mean) divisor = valid;
  if (options.reduction == Reduction::batch_mean) divisor = static_cast<long double>(rows);
  if (options.reduction == Reduction::weighted_mean) divisor = weights;
  if (divisor == 0) divisor = 1;
  t.loss /= divisor;
  for (auto& g : t.gradient) g /= divisor;
  for (auto& g : t.scale_gradient) g /= divisor;
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) t.largest[size(i)] = std::max(t.largest[size(i)], std::fabs(t.gradient[size(i * cols + j)]));
  return t;
}
// The spacing of T's numbers at x.
template <class T>
long double ulp(long double x) {
  T const a = std::max(static_cast<T>(std::fabs(x)), std::numeric_limits<T>::min());
  return static_cast<long double>(std::nextafter(a, std::numeric_limits<T>::infinity())) - static_cast<long double>(a);
}

// The largest difference of a gradient from the truth, in ulp of the largest term of its row.
template <class T>
double worst_ulp(Guarded<T> const& gradient, Truth const& t, idx rows, idx cols) {
  long double worst = 0;
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) {
      long double const off = std::fabs(static_cast<long double>(gradient.at(i, j)) - t.gradient[size(i * cols + j)]);
      if (!(off <= worst * ulp<T>(t.largest[size(i)]))) worst = off / ulp<T>(t.largest[size(i)]);
    }
  return static_cast<double>(worst);
}

}  // namespace test
