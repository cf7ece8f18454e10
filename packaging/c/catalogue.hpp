// The catalogue as constant C structs, made from the lists of losskit/catalogue.hpp and each policy's `parameters`.
#pragma once
#include <array>
#include <string_view>

#include "losskit/c/losskit.h"
#include "losskit/named.hpp"

namespace losskit_c {

using namespace losskit;
using losskit::detail::Form, losskit::detail::Joined;

template <class P>
constexpr auto parameters_of() {
  constexpr std::size_t n = losskit::detail::count_of_parameters<P>();
  std::array<losskit_parameter, n> list{};
  if constexpr (n > 0)
    for (std::size_t i = 0; i < n; ++i) {
      Parameter const& p = P::parameters[i];
      list[i] = {p.name, p.unit, p.standard, p.range.low, p.range.high, p.range.has_low, p.range.has_high, p.whole};
    }
  return list;
}
template <class P>
inline constexpr auto parameters_in_c = parameters_of<P>();

// The first of each name.
template <class Seen, class... P>
struct Families { using type = Seen; };
template <class... S, class P, class... Rest>
struct Families<Policies<S...>, P, Rest...>
    : Families<std::conditional_t<((std::string_view(S::name) == P::name) || ...), Policies<S...>, Policies<S..., P>>, Rest...> {};
template <class... P>
auto families(Policies<P...>) -> typename Families<Policies<>, P...>::type;

// The choices of a policy: none of most.
template <class P>
inline constexpr std::array<losskit_choice, 0> choices{};

template <class P>
constexpr losskit_policy_info info_of(char const* kind) {
  return {kind, P::name, parameters_in_c<P>.data(), static_cast<int64_t>(parameters_in_c<P>.size()), choices<P>.data(),
          static_cast<int64_t>(choices<P>.size())};
}
template <class... P>
constexpr auto infos_of(char const* kind, Policies<P...>) {
  return std::array<losskit_policy_info, sizeof...(P)>{info_of<P>(kind)...};
}

// The options of a choice, the default first.
template <class L>
inline constexpr auto rules = infos_of("rule", L{});
template <class L>
inline constexpr auto gradients = infos_of("gradient", L{});
template <class L>
inline constexpr auto weights = infos_of("weight", L{});
template <class L>
inline constexpr auto annealed_margins = infos_of("margin", L{});

template <class Infos>
constexpr losskit_choice choice(char const* name, Infos const& options) {
  return {name, options.data(), static_cast<int64_t>(options.size())};
}
template <class P>
requires requires { typename P::past_pi; }
inline constexpr std::array choices<P>{choice("rule", rules<past_pi_rules>), choice("gradient", gradients<gradient_modes>)};
template <class P>
requires requires { typename P::weight; }
inline constexpr std::array choices<P>{choice("weight", weights<hard_weights>)};
template <class M>
using AnnealedOptions = decltype(families(
    typename Joined<Policies<std::remove_cvref_t<decltype(M{}.margin())>>, decltype(losskit::detail::but_annealed(margins{}))>::type{}));
template <class P>
requires(losskit::detail::anneals<P>) inline constexpr std::array choices<P>{choice("margin", annealed_margins<AnnealedOptions<P>>)};

template <class... A>
constexpr auto joined(A const&... lists) {
  std::array<losskit_policy_info, (std::tuple_size_v<A> + ...)> all{};
  std::size_t n = 0;
  auto const add = [&](auto const& list) {
    for (auto const& info : list) all[n++] = info;
  };
  (add(lists), ...);
  return all;
}
template <class L>
constexpr auto kind_of(char const* kind) { return infos_of(kind, decltype(families(L{})){}); }

inline constexpr auto catalogue =
    joined(kind_of<margins>("margin"), kind_of<rests>("rest rule"), kind_of<objectives>("objective"), kind_of<scales>("scale"),
           kind_of<point_losses>("point loss"), kind_of<schedules>("schedule"));

}  // namespace losskit_c
