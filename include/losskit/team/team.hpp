// Team: who works on one row, or on a block of any work. team/serial.hpp says what each verb does.
#pragma once
#include <concepts>

#include "losskit/core/number.hpp"
#include "losskit/team/cosines.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// The type in memory of a Number.
template <class X>
struct in_memory { using type = typename X::scalar; };
template <class X>
  requires requires { typename X::stored; }
struct in_memory<X> { using type = typename X::stored; };

// Stand-ins for the sums and the passes of the concept below.
struct AnySums {
  LOSSKIT_HD void add(AnySums const&) {}
  template <class F>
  LOSSKIT_HD AnySums map(F) const { return {}; }
};
template <class X>
struct AnyPass {
  LOSSKIT_HD void operator()() const {}
  template <class At>
  LOSSKIT_HD void operator()(At) const {}
  template <class At>
  LOSSKIT_HD auto operator()(AnySums&, At at) const { return at.load(static_cast<typename in_memory<X>::type const*>(nullptr)); }
  template <class At>
  LOSSKIT_HD void operator()(AnySums&, At, X, X) const {}
};

}  // namespace detail

// sum_keeping, keep, settle and finish belong to teams that keep e between the two passes (Team::keeps).
template <class T>
concept Team =
    Number<typename T::number> &&
    requires(T team, idx n, typename detail::in_memory<typename T::number>::type* g, typename T::number::scalar factor, OddCosines odd,
             detail::AnySums sums, detail::AnyPass<typename T::number> f) {
      { T::keeps } -> std::convertible_to<bool>;
      { T::block } -> std::convertible_to<idx>;
      team.prefetch_row(g, n);
      team.sum(g, n, n, odd, sums, sums, f);
      { team.total(n, sums, f) } -> std::same_as<detail::AnySums>;
      { team.total_writing(n, g, true, factor, sums, f) } -> std::same_as<detail::AnySums>;
      { team.tally(n, n, sums, f) } -> std::same_as<detail::AnySums>;
      team.each(n, f);
      team.sync();
      team.once(f);
    } &&
    (!T::keeps || requires(T team, idx n, typename detail::in_memory<typename T::number>::type* g, OddCosines odd,
                           typename T::kept_stretches stretches, detail::AnySums sums, detail::AnyPass<typename T::number> f,
                           RowEnding<typename T::number::scalar> end) {
      team.sum_keeping(g, n, n, odd, sums, sums, f, stretches);
      { team.settle(team.keep(g), n, stretches, 0.0) } -> std::convertible_to<double>;
      team.finish(team.keep(g), g, n, n, end);
    });

}  // namespace losskit::inline LOSSKIT_ISA
