// A policy's name with its rules, for tables: ArcMargin<Easy>, HardNegatives<Fixed>.
#pragma once
#include <string>

namespace bench {

template <class P>
std::string name_of() {
  std::string name = P::name;
  char const* before = "<";
  auto const add = [&](char const* rule) {
    name.append(before).append(rule);
    before = ",";
  };
  if constexpr (requires { P::past_pi::name; }) add(P::past_pi::name);
  if constexpr (requires { P::gradient_mode::name; })
    if (P::gradient_mode::name != std::string("Exact")) add(P::gradient_mode::name);
  if constexpr (requires { P::weight::name; }) add(P::weight::name);
  return *before == '<' ? name : name.append(">");
}

}  // namespace bench
