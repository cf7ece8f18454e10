// Policies by name: the catalogue as text, for C, Python and files of settings.
//
//   ArcMargin      ArcMargin(0.5)      ArcMargin(m=0.5, rule=Clamp(eps=1e-4), gradient=Detached)      Annealed(margin=SphereMargin(4))
//   HardNegatives(t=0.2, weight=Fixed)      WingLoss(w=10, eps=2)      AdaCosScale(classes=1000)
//   MarginSoftmax(margin=ArcMargin(m=0.5), scale=64, objective=FocalLoss(gamma=2), rest=HardNegatives)      SoftmaxLoss(LabelSmoothing)
//
// A policy is its name, then what it is given: by position in the order of its `parameters`, then by name. What is left out is the
// paper's. Types are given by their names: a margin's `rule` past pi and `gradient` mode, HardNegatives' `weight`. Numbers are
// decimal in every locale. A text that is none is a ParameterError that says what there is.
//
//   with_loss_named(text, [&](auto const& loss) { loss_and_gradient(backend, loss, batch, gradient, workspace); });
//
// Margins and objectives come as AnyMargin and AnyObjective; rest rules and point losses, which act on every class or element, as types.
#pragma once
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "losskit/catalogue.hpp"
#include "losskit/compose/any.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/compose/softmax_loss.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

// --- text ------------------------------------------------------------------------------------------------------------------------

// "%.*s" of a text, cut where an error's text would be too long.
struct Quoted {
  int size;
  char const* data;
  explicit Quoted(std::string_view text) : size(static_cast<int>(text.size() < 60 ? text.size() : 60)), data(text.data()) {}
};

inline std::string_view trimmed(std::string_view text) {
  auto const blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

inline bool is_name(std::string_view text) {
  for (char const c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return !text.empty();
}

inline bool is_number(std::string_view text, double& x) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  return error == std::errc{} && end == text.data() + text.size();
}

// A policy's text in parts: its name, and the texts that it is given.
struct Call {
  struct Argument {
    std::string_view name, value;
  };  // name: empty where it is given by position
  static constexpr int most = 16;
  std::string_view name;
  Argument arguments[most] = {};
  int count = 0;

  explicit Call(std::string_view text) {
    text = trimmed(text);
    auto const open = text.find('(');
    name = trimmed(text.substr(0, open));
    if (!is_name(name) || (open != text.npos && text.back() != ')'))
      fail<ParameterError>("\"%.*s\" is no policy: a name, or name(value, name=value)", Quoted(text).size, Quoted(text).data);
    if (open != text.npos) split(trimmed(text.substr(open + 1, text.size() - open - 2)));
  }

  // The value given as `key`; empty: none.
  std::string_view value(std::string_view key) const {
    for (int i = 0; i < count; ++i)
      if (arguments[i].name == key) return arguments[i].value;
    return {};
  }

 private:
  void split(std::string_view rest) {
    while (!rest.empty()) {
      std::size_t end = 0, equals = rest.npos;
      for (int depth = 0; end < rest.size() && !(depth == 0 && rest[end] == ','); ++end) {
        depth += rest[end] == '(' ? 1 : rest[end] == ')' ? -1 : 0;
        if (depth == 0 && rest[end] == '=' && equals == rest.npos) equals = end;
        if (depth < 0) fail<ParameterError>("%.*s: a ) too many", Quoted(name).size, Quoted(name).data);
      }
      bool const named = equals != rest.npos;
      Argument const a{named ? trimmed(rest.substr(0, equals)) : std::string_view{},
                       trimmed(named ? rest.substr(equals + 1, end - equals - 1) : rest.substr(0, end))};
      bool const last = end == rest.size();
      rest = last ? std::string_view{} : trimmed(rest.substr(end + 1));
      if (a.value.empty() || (named && !is_name(a.name)) || (!last && rest.empty()))
        fail<ParameterError>("%.*s: an argument is empty", Quoted(name).size, Quoted(name).data);
      if (!named && count > 0 && !arguments[count - 1].name.empty())
        fail<ParameterError>("%.*s: \"%.*s\" has no name, but follows one that has", Quoted(name).size, Quoted(name).data,
                             Quoted(a.value).size, Quoted(a.value).data);
      if (count == most) fail<ParameterError>("%.*s: more than %d arguments", Quoted(name).size, Quoted(name).data, most);
      if (named && !value(a.name).empty())
        fail<ParameterError>("%.*s: %.*s is given twice", Quoted(name).size, Quoted(name).data, Quoted(a.name).size, Quoted(a.name).data);
      arguments[count++] = a;
    }
  }
};

// How many letters must be changed, added or dropped to make b of a, capitals apart.
inline int letters_apart(std::string_view a, std::string_view b) {
  constexpr std::size_t most = 40;
  auto const small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() > most || b.size() > most) return static_cast<int>(most);
  int row[most + 1];
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      int const changed = diagonal + (small(a[i - 1]) != small(b[j - 1])), above = diagonal = row[j];
      int const moved = (above < row[j - 1] ? above : row[j - 1]) + 1;
      row[j] = changed < moved ? changed : moved;
    }
  }
  return row[b.size()];
}

// A list of names: those near the one that was asked for, or all of them where none is.
class Names {
 public:
  explicit Names(std::string_view wanted) : wanted_(wanted) {}
  void add(char const* name) {
    std::string_view const n = name;
    for (int i = 0; i < count_; ++i)
      if (n == all_[i]) return;
    if (count_ < most) all_[count_++] = name;
  }
  // The nearest first.
  char const* text() {
    int const limit = 1 + static_cast<int>(wanted_.size()) / 4;
    bool any = false;
    for (int i = 0; i < count_; ++i) any = any || letters_apart(wanted_, all_[i]) <= limit;
    int used = std::snprintf(text_, sizeof text_, "%s", any ? "did you mean " : "there is "), listed = 0;
    for (int apart = 0; apart <= (any ? limit : 0); ++apart)
      for (int i = 0; i < count_ && used < int(sizeof text_); ++i)
        if (!any || letters_apart(wanted_, all_[i]) == apart)
          used += std::snprintf(text_ + used, sizeof text_ - static_cast<std::size_t>(used), "%s%s", listed++ ? ", " : "", all_[i]);
    return text_;
  }

 private:
  static constexpr int most = 32;
  std::string_view wanted_;
  char const* all_[most] = {};
  int count_ = 0;
  char text_[160] = {};
};

// --- forms: what a name of the catalogue stands for ------------------------------------------------------------------------------

template <class P>
struct Form {
  using policy = P;
};

template <class... L>
struct Joined;
template <class... P>
struct Joined<Policies<P...>> {
  using type = Policies<P...>;
};
template <class... P, class... Q, class... L>
struct Joined<Policies<P...>, Policies<Q...>, L...> : Joined<Policies<P..., Q...>, L...> {};

template <class P, class L>
inline constexpr bool among = false;
template <class P, class... Q>
inline constexpr bool among<P, Policies<Q...>> = (std::is_same_v<P, Q> || ...);

template <template <class, class> class M, class R, class Modes>
struct WithModes;
template <template <class, class> class M, class R, class... G>
struct WithModes<M, R, Policies<G...>> {
  using type = Policies<M<R, G>...>;
};
template <template <class, class> class M, class Rules>
struct WithRules;
template <template <class, class> class M, class... R>
struct WithRules<M, Policies<R...>> : Joined<typename WithModes<M, R, gradient_modes>::type...> {};
template <template <class> class P, class L>
struct WithEach;
template <template <class> class P, class... W>
struct WithEach<P, Policies<W...>> {
  using type = Policies<P<W>...>;
};

// Every type that the name of P stands for, the one with all defaults first.
template <class P>
struct FormsOf {
  using type = Policies<P>;
};
template <template <class, class> class M, class R, class G>
requires(among<R, past_pi_rules>&& among<G, gradient_modes>) struct FormsOf<M<R, G>> : WithRules<M, past_pi_rules> {
};
template <template <class> class P, class W>
requires among<W, hard_weights>
struct FormsOf<P<W>> : WithEach<P, hard_weights> {
};

template <class... P>
constexpr auto first_of(Policies<P...>) {
  return []<class Q, class... Rest>(Form<Q>, Form<Rest>...) { return Form<Q>{}; }(Form<P>{}...);
}

// f(key, Form of what the policy has there) for each of a policy's types.
template <class P, class F>
constexpr void for_each_choice(F f) {
  if constexpr (requires { typename P::past_pi; }) {
    f("rule", Form<typename P::past_pi>{}, past_pi_rules{});
    f("gradient", Form<typename P::gradient_mode>{}, gradient_modes{});
  }
  if constexpr (requires { typename P::weight; }) f("weight", Form<typename P::weight>{}, hard_weights{});
}

// Is P the form that the text asks for? What it leaves out is as in Default.
template <class P, class Default>
bool asked_for(Call const& call) {
  bool same = true;
  for_each_choice<P>([&](char const* key, auto form, auto) {
    std::string_view const given = call.value(key);
    std::string_view wanted = given.empty() ? std::string_view{} : Call(given).name;
    for_each_choice<Default>([&](char const* other, auto standard, auto) {
      if (given.empty() && std::string_view(other) == key) wanted = decltype(standard)::policy::name;
    });
    same = same && wanted == decltype(form)::policy::name;
  });
  return same;
}

// --- from a form and a text to a policy --------------------------------------------------------------------------------------------

template <class P>
constexpr std::size_t count_of_parameters() {
  if constexpr (requires { P::parameters; }) return std::size(P::parameters);
  else return 0;
}

// A number for a constructor: a double, or a whole one.
struct Given {
  double x;
  operator double() const { return x; }
  operator idx() const { return static_cast<idx>(x); }
};

// `keys`: what the policy takes besides numbers.
template <class P, std::size_t n = count_of_parameters<P>()>
void read_numbers(Call const& call, std::initializer_list<std::string_view> keys, Given (&numbers)[n + 1]) {
  if constexpr (n > 0)
    for (std::size_t k = 0; k < n; ++k) numbers[k] = {P::parameters[k].standard};
  for (int i = 0; i < call.count; ++i) {
    auto const& a = call.arguments[i];
    bool other = false;
    for (std::string_view const key : keys) other = other || a.name == key;
    if (other) continue;
    std::size_t k = a.name.empty() ? static_cast<std::size_t>(i) : n;
    if constexpr (n > 0)
      for (std::size_t j = 0; j < n; ++j)
        if (a.name == P::parameters[j].name) k = j;
    if (k >= n) {
      if (a.name.empty()) fail<ParameterError>("%s: takes %d numbers by position, not %d", P::name, static_cast<int>(n), i + 1);
      Names names(a.name);
      if constexpr (n > 0)
        for (auto const& parameter : P::parameters) names.add(parameter.name);
      for (std::string_view const key : keys) names.add(key.data());
      fail<ParameterError>("%s has no parameter \"%.*s\": %s", P::name, Quoted(a.name).size, Quoted(a.name).data, names.text());
    }
    if constexpr (n > 0) {
      double x = 0;
      if (!is_number(a.value, x))
        fail<ParameterError>("%s: %s = \"%.*s\" is no number", P::name, P::parameters[k].name, Quoted(a.value).size, Quoted(a.value).data);
      for (int j = 0; j < i; ++j)
        if (call.arguments[j].name.empty() && !a.name.empty() && static_cast<std::size_t>(j) == k)
          fail<ParameterError>("%s: %s is given twice", P::name, P::parameters[k].name);
      checked(P::name, P::parameters[k], x);
      if (P::parameters[k].whole && x != static_cast<double>(static_cast<idx>(x)))
        fail<ParameterError>("%s: %s = %g is no whole number", P::name, P::parameters[k].name, x);
      numbers[k] = {x};
    }
  }
}

template <class P, std::size_t... k, class... More>
P constructed(Given const (&numbers)[sizeof...(k) + 1], std::index_sequence<k...>, More const&... more) {
  return P(numbers[k]..., more...);
}

template <class P>
P policy_of(Call const& call) {
  constexpr std::size_t n = count_of_parameters<P>();
  constexpr auto order = std::make_index_sequence<n>{};
  Given numbers[n + 1] = {};
  if constexpr (requires { typename P::past_pi; }) {
    using Rule = typename P::past_pi;
    read_numbers<P>(call, {"rule", "gradient"}, numbers);
    std::string_view const rule = call.value("rule");
    return constructed<P>(numbers, order, rule.empty() ? Rule{} : policy_of<Rule>(Call(rule)));
  } else if constexpr (requires { typename P::weight; }) {
    read_numbers<P>(call, {"weight"}, numbers);
    return constructed<P>(numbers, order);
  } else {
    read_numbers<P>(call, {}, numbers);
    return constructed<P>(numbers, order);
  }
}

template <class... P, class F>
void visit_named(char const* kind, Policies<P...>, std::string_view text, F const& f);

template <class P>
inline constexpr bool anneals = false;
template <class M>
inline constexpr bool anneals<Annealed<M>> = true;
template <class... P>
auto but_annealed(Policies<P...>) -> typename Joined<Policies<>, std::conditional_t<anneals<P>, Policies<>, Policies<P>>...>::type;

// One of the types is called by a name that there is not.
template <class P>
void refuse_choice(Call const& call) {
  for_each_choice<P>([&](char const* key, auto, auto all) {
    if (call.value(key).empty()) return;
    std::string_view const wanted = Call(call.value(key)).name;
    Names names(wanted);
    bool known = false;
    [&]<class... Q>(Policies<Q...>) { ((names.add(Q::name), known = known || wanted == Q::name), ...); }(all);
    if (!known) fail<ParameterError>("%s: %s = \"%.*s\": %s", P::name, key, Quoted(wanted).size, Quoted(wanted).data, names.text());
  });
}

// f(policy) if `call` names one of the forms of P.
template <class P, class F>
bool visit_family(Call const& call, F const& f) {
  if (call.name != P::name) return false;
  if constexpr (anneals<P>) {
    Given lambda[2] = {};
    read_numbers<P>(call, {"margin"}, lambda);
    auto const anneal = [&](auto const& margin) { f(Annealed(margin, lambda[0])); };
    if (std::string_view const margin = call.value("margin"); margin.empty()) anneal(P{}.margin());
    else visit_named("margin to anneal", decltype(but_annealed(margins{})){}, margin, anneal);
    return true;
  } else {
    using Forms = typename FormsOf<P>::type;
    using Default = typename decltype(first_of(Forms{}))::policy;
    bool const found = [&]<class... Q>(Policies<Q...>) {
      return ((asked_for<Q, Default>(call) && (f(policy_of<Q>(call)), true)) || ...);
    }(Forms{});
    if (!found) refuse_choice<P>(call);
    return found;
  }
}

// f(policy) for the policy of a list that the text names; `kind` is what the list holds, in words.
template <class... P, class F>
void visit_named(char const* kind, Policies<P...>, std::string_view text, F const& f) {
  Call const call(text);
  if ((visit_family<P>(call, f) || ...)) return;
  Names names(call.name);
  (names.add(P::name), ...);
  fail<ParameterError>("no %s is called \"%.*s\": %s", kind, Quoted(call.name).size, Quoted(call.name).data, names.text());
}

// A visitor's result, for types that have no default.
template <class T>
class Slot {
 public:
  template <class U>
  void operator()(U const& x) const {
    new (&memory_) T(x);
  }
  T get() const { return *reinterpret_cast<T const*>(&memory_); }

 private:
  alignas(T) mutable std::byte memory_[sizeof(T)] = {};
};

inline AnyMargin any_margin(std::string_view text) {
  Slot<AnyMargin> const margin;
  visit_named("margin", margins{}, text, margin);
  return margin.get();
}

// f(AnyObjective) or f(AnyMeanObjective).
template <class F>
void visit_objective(std::string_view text, F const& f) {
  visit_named("objective", objectives{}, text, [&]<class O>(O const& objective) {
    if constexpr (MeanObjective<O>) f(AnyMeanObjective(objective));
    else f(AnyObjective(objective));
  });
}

// What a loss is given: by its names, or by position in their order.
class Arguments {
 public:
  template <std::size_t n>
  Arguments(Call const& call, char const* const (&keys)[n]) {
    for (int i = 0; i < call.count; ++i) {
      auto const& a = call.arguments[i];
      std::size_t k = a.name.empty() ? static_cast<std::size_t>(i) : n;
      for (std::size_t j = 0; j < n; ++j)
        if (a.name == keys[j]) k = j;
      if (k >= n) {
        Names names(a.name);
        for (char const* const key : keys) names.add(key);
        fail<ParameterError>("%.*s has no part \"%.*s\": %s", Quoted(call.name).size, Quoted(call.name).data,
                             Quoted(a.name.empty() ? a.value : a.name).size, Quoted(a.name.empty() ? a.value : a.name).data, names.text());
      }
      if (!values_[k].empty()) fail<ParameterError>("%.*s: %s is given twice", Quoted(call.name).size, Quoted(call.name).data, keys[k]);
      values_[k] = a.value;
    }
  }
  std::string_view operator()(std::size_t k, std::string_view standard) const { return values_[k].empty() ? standard : values_[k]; }

 private:
  std::string_view values_[8] = {};
};

// A scale's text: a number, or a scale that is one.
inline double scale_number(char const* who, std::string_view text, double standard) {
  double s = standard;
  if (text.empty() || is_number(text, s)) return s;
  visit_named("scale", scales{}, text, [&]<class S>(S const& scale) {
    if constexpr (ConstantScale<S>) s = scale.scale();
    else fail<ParameterError>("%s: %s is no number: it is made on its own, and its number given in the batch", who, S::name);
  });
  return s;
}

}  // namespace detail

// The text that names P, its numbers left out: "ArcMargin(rule=Monotone, gradient=Exact)", "CrossEntropy".
template <class P>
std::string text_of() {
  std::string text = P::name, before = "(";
  detail::for_each_choice<P>([&](char const* key, auto form, auto) {
    text += before + key + "=" + decltype(form)::policy::name;
    before = ", ";
  });
  return before == "(" ? text : text + ")";
}

// The margin that the text names.
inline AnyMargin margin_named(std::string_view text) { return detail::any_margin(text); }

// f(policy), with its own type, for the rest rule, point loss, scale or schedule that the text names.
template <class F>
void with_rest_named(std::string_view text, F const& f) {
  detail::visit_named("rest rule", rests{}, text, f);
}
template <class F>
void with_point_loss_named(std::string_view text, F const& f) {
  detail::visit_named("point loss", point_losses{}, text, f);
}
template <class F>
void with_scale_named(std::string_view text, F const& f) {
  detail::visit_named("scale", scales{}, text, f);
}
template <class F>
void with_schedule_named(std::string_view text, F const& f) {
  detail::visit_named("schedule", schedules{}, text, f);
}

// f(loss) for MarginSoftmax(margin, scale=64, objective=CrossEntropy, rest=PlainRest) or SoftmaxLoss(objective=CrossEntropy, scale=1).
template <class F>
void with_loss_named(std::string_view text, F const& f) {
  detail::Call const call(text);
  if (call.name == "MarginSoftmax") {
    detail::Arguments const part(call, {"margin", "scale", "objective", "rest"});
    AnyMargin const margin = margin_named(part(0, "NoMargin"));
    double const scale = detail::scale_number("MarginSoftmax", part(1, {}), FixedScale::parameters[0].standard);
    detail::visit_objective(part(2, "CrossEntropy"), [&](auto const& objective) {
      with_rest_named(part(3, "PlainRest"), [&](auto const& rest) { f(MarginSoftmax{margin, scale, objective, rest}); });
    });
  } else if (call.name == "SoftmaxLoss") {
    detail::Arguments const part(call, {"objective", "scale"});
    double const scale = detail::scale_number("SoftmaxLoss", part(1, {}), 1);
    if (!(scale >= 0 && scale <= largest_scale))
      fail<ParameterError>("SoftmaxLoss: scale = %g is outside [0, largest_scale = %g]", scale, largest_scale);
    detail::visit_objective(part(0, "CrossEntropy"), [&](auto const& objective) {
      SoftmaxLoss loss{objective};
      loss.scale = scale;
      f(loss);
    });
  } else {
    detail::Names names(call.name);
    names.add("MarginSoftmax");
    names.add("SoftmaxLoss");
    fail<ParameterError>("no loss over a matrix is called \"%.*s\": %s", detail::Quoted(call.name).size, detail::Quoted(call.name).data,
                         names.text());
  }
}

}  // namespace losskit::inline LOSSKIT_ISA
