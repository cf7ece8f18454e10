// AnyMargin, AnyObjective: policies chosen while a program runs. Margin and objective act once a row, so a call through a pointer is
// lost beside the row's classes; a rest rule, which acts on every class, stays a type.
//
//   AnyMargin const margin = cosine ? AnyMargin(CosMargin{0.35}) : AnyMargin(ArcMargin{0.5});
//   MarginSoftmax const loss{margin, 64.0};
//
// On hosts only: a pointer to a function of the host's means nothing on a device. losskit/named.hpp makes them from text.
#pragma once
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "losskit/concepts.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// A trivially copyable object of any type up to `room` bytes.
template <std::size_t room>
class Box {
 public:
  template <class P>
  explicit Box(P const& policy) {
    static_assert(std::is_trivially_copyable_v<P> && sizeof(P) <= room && alignof(P) <= alignof(double));
    std::memcpy(bytes_, &policy, sizeof policy);
  }
  template <class P>
  P const& as() const {
    return *reinterpret_cast<P const*>(bytes_);
  }

 private:
  alignas(double) std::byte bytes_[room] = {};
};

}  // namespace detail

// Any margin, over cosines stored as float or double. Its jets, kinks apart, are that margin's to the bit.
class AnyMargin {
  using Held = detail::Box<256>;
  template <class S>
  using X = Scalar<double, S>;

 public:
  static constexpr char const* name = "AnyMargin";
  static constexpr bool monotone = false;  // unknown
  Interval row_numbers;                    // what Batch::margins may hold; empty: the margin takes no number a row

  template <class M>
  requires(Margin<M> && !std::is_same_v<M, AnyMargin>) explicit AnyMargin(M const& margin)
      : row_numbers(row_numbers_of(margin)), margin_(margin), formula_(&formula_of<M>) {}

  template <class S>
  Jet<X<S>> target(X<S> c) const {
    return margin_jet(c).target;
  }
  template <class S>
  MarginJet<X<S>> margin_jet(X<S> c) const {
    static_assert(std::is_same_v<S, float> || std::is_same_v<S, double>, "losskit: AnyMargin is for cosines stored as float or double");
    if constexpr (std::is_same_v<S, float>) return formula_->on_float(margin_, c);
    else return formula_->on_double(margin_, c);
  }
  AnyMargin at_row(RowContext const& row) const {
    AnyMargin one = *this;
    one.margin_ = formula_->at_row(margin_, row);
    return one;
  }

 private:
  struct Formula {
    MarginJet<X<float>> (*on_float)(Held const&, X<float>);
    MarginJet<X<double>> (*on_double)(Held const&, X<double>);
    Held (*at_row)(Held const&, RowContext const&);
  };
  template <class M>
  static constexpr Formula formula_of{[](Held const& m, X<float> c) { return margin_jet_of(m.as<M>(), c); },
                                      [](Held const& m, X<double> c) { return margin_jet_of(m.as<M>(), c); },
                                      [](Held const& m, RowContext const& row) { return Held(losskit::at_row(m.as<M>(), row)); }};

  Held margin_;
  Formula const* formula_;
};

// Any objective on the target's log-probability; AnyMeanObjective: one on that and the mean log-probability (LabelSmoothing), which
// asks the row for one sum more.
template <class Jet>
class AnyObjectiveOf {
  using Held = detail::Box<64>;
  using X = Scalar<double>;

 public:
  static constexpr bool on_mean = std::is_same_v<Jet, ObjectiveJet<X>>;
  static constexpr char const* name = on_mean ? "AnyMeanObjective" : "AnyObjective";

  template <class O>
  requires(on_mean ? MeanObjective<O> : PlainObjective<O>) explicit AnyObjectiveOf(O const& objective)
      : objective_(objective), formula_(&formula_of<O>) {}

  Jet operator()(X log_p) const requires(!on_mean) { return formula_(objective_, log_p, X(0)); }
  Jet operator()(X log_p, X mean_log_p) const requires on_mean { return formula_(objective_, log_p, mean_log_p); }

 private:
  template <class O>
  static Jet formula_of(Held const& o, X log_p, X mean_log_p) {
    if constexpr (on_mean) return o.as<O>()(log_p, mean_log_p);
    else return o.as<O>()(log_p);
  }

  Held objective_;
  Jet (*formula_)(Held const&, X, X);
};
using AnyObjective = AnyObjectiveOf<Jet<Scalar<double>>>;
using AnyMeanObjective = AnyObjectiveOf<ObjectiveJet<Scalar<double>>>;

}  // namespace losskit::inline LOSSKIT_ISA
