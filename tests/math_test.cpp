// Vector mathematics and the packet that carries it: errors in ulp against long double (float: double) over strided walks of all
// bit patterns, special values, NaN, and loads and stores that must not pass the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <type_traits>
#include <vector>

#include "losskit/backend/eigen_packet.hpp"
#include "losskit/concepts.hpp"
#include "losskit/core/twice.hpp"

namespace {

using losskit::idx;
using losskit::Packet;

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
inline constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();
template <class T>
using Reference = std::conditional_t<sizeof(T) == 4, double, long double>;

// |got - want| in units of the spacing of T at want.
template <class T>
double ulps(T got, Reference<T> want) {
  using limits = std::numeric_limits<T>;
  double const wrong = 1e30;
  if (std::isnan(want)) return std::isnan(got) ? 0 : wrong;
  if (std::isnan(got)) return wrong;
  if (std::isinf(static_cast<T>(want)))
    return got >= limits::max() && want > 0 ? (got > limits::max() || !std::isinf(want) ? 0 : wrong)
           : got == static_cast<T>(want)    ? 0
                                            : wrong;
  if (std::isinf(got))
    return want >= static_cast<Reference<T>>(limits::max()) * (1 - static_cast<Reference<T>>(limits::epsilon())) ? 1 : wrong;
  int e = 0;
  std::frexp(want, &e);
  Reference<T> const spacing = std::ldexp(static_cast<Reference<T>>(1), std::max(e, limits::min_exponent) - limits::digits);
  return static_cast<double>(std::fabs(static_cast<Reference<T>>(got) - want) / spacing);
}

template <class T>
struct Worst {
  double ulp = 0;
  T at = 0, got = 0;
};

// f on packets against g, over bit patterns `step` apart between low and high, both signs.
template <class T, class F, class G>
Worst<T> walk(T low, T high, F f, G g) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr std::size_t W = Packet<T>::width;
  Worst<T> worst;
  for (T const sign : {T(1), T(-1)}) {
    T const from = std::max(sign > 0 ? low : -high, T(0)), to = sign > 0 ? high : -low;
    if (!(from <= to) || (sign < 0 && low >= 0)) continue;
    Bits const first = std::bit_cast<Bits>(from), last = std::bit_cast<Bits>(to);
    Bits const step = std::max<Bits>(1, (last - first) / 150011);
    Bits at = first;
    for (bool done = false; !done;) {
      T x[W], y[W];
      for (T& lane : x) {
        lane = std::copysign(std::bit_cast<T>(at), sign);
        done = done || last - at < step;
        at = done ? last : static_cast<Bits>(at + step);
      }
      f(Packet<T>::load(x)).store(y);
      for (std::size_t i = 0; i < W; ++i) {
        double const error = ulps(y[i], g(static_cast<Reference<T>>(x[i])));
        if (error > worst.ulp) worst = {error, x[i], y[i]};
      }
    }
  }
  return worst;
}

#define CHECK_ULP(worst, limit)                                                                \
  do {                                                                                         \
    auto const& found = worst;                                                                 \
    CAPTURE(static_cast<double>(found.at));                                                    \
    CAPTURE(static_cast<double>(found.got));                                                   \
    CHECK(found.ulp <= limit);                                                                 \
  } while (false)

template <class T, class F>
T one(F f, double x) {
  T lanes[Packet<T>::width];
  f(Packet<T>(static_cast<T>(x))).store(lanes);
  return lanes[Packet<T>::width - 1];
}

// The limits are what core/math.hpp states; without fused multiply-add a few tenths are lost.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
constexpr double slack = 0;
#else
constexpr double slack = 0.5;
#endif

}  // namespace

TEST_CASE_TEMPLATE("ulp", T, float, double) {
  using P = Packet<T>;
  using R = Reference<T>;
  T const all = std::numeric_limits<T>::max();
  constexpr bool single = sizeof(T) == 4;
  CHECK_ULP((walk<T>(-all, all, [](P x) { return exp(x); }, [](R x) { return std::exp(x); })), 1.0 + slack);
  CHECK_ULP((walk<T>(-all, all, [](P x) { return expm1(x); }, [](R x) { return std::expm1(x); })), 1.9 + slack);
  CHECK_ULP((walk<T>(0, all, [](P x) { return log(x); }, [](R x) { return std::log(x); })), 0.95 + slack);
  CHECK_ULP((walk<T>(T(0.25), 4, [](P x) { return log(x); }, [](R x) { return std::log(x); })), 0.95 + slack);
  CHECK_ULP((walk<T>(-1, all, [](P x) { return log1p(x); }, [](R x) { return std::log1p(x); })), 0.95 + slack);
  CHECK_ULP((walk<T>(T(-0.9), T(1.5), [](P x) { return log1p(x); }, [](R x) { return std::log1p(x); })), 0.95 + slack);

  // The product k c is not rounded: the error does not grow with the exponent.
  double const reach = single ? 126 : 1022, limit = P::fine_bits == 5 ? 1.8 : 1.3;
  for (double const k : {64 / std::log(2.0), 30.12 / std::log(2.0), 1.0})
    for (int const h : {0, -20, 31}) {
      T const exact = static_cast<T>(k), c = static_cast<T>((reach - 32) / k);
      CHECK_ULP((walk<T>(-c, c, [=](P x) { return exp2_of(P(exact), P(0), x, exp2_shift(P(h))); },
                         [=](R x) { return static_cast<R>(std::exp2(static_cast<long double>(exact) * x - h)); })), limit + slack);
    }
  CHECK_ULP((walk<T>(0, T(1e30), [](P x) { return log1p_bounded(x); }, [](R x) { return std::log1p(x); })), 0.95 + slack);
  CHECK_ULP((walk<T>(T(1e-9), T(1.5), [](P x) { return log1p_bounded(x); }, [](R x) { return std::log1p(x); })), 0.95 + slack);

  for (double const y : {2.1, 0.3, -1.7, 50.0, 1000.0, -3000.0}) {
    T const power = static_cast<T>(y), end = static_cast<T>(std::exp2(std::fmin(reach / std::fabs(y), reach)));
    CHECK_ULP((walk<T>(
                  1 / end, end, [=](P x) { return pow(x, P(power)); },
                  [=](R x) { return static_cast<R>(std::pow(static_cast<long double>(x), static_cast<long double>(power))); })),
              1.8 + slack);
  }

  auto const part = [](auto member) {
    return [=](P x) {
      auto const parts = losskit::logistic(x);
      return member(parts);
    };
  };
  double const sum = single ? 0.95 : 2.5;
  CHECK_ULP((walk<T>(0, 80, part([](auto const& p) { return p.larger + p.larger_low; }), [](R x) { return 1 / (1 + std::exp(-x)); })),
            sum + slack);
  CHECK_ULP((walk<T>(0, 80, part([](auto const& p) { return p.smaller + p.smaller_low; }), [](R x) { return 1 / (1 + std::exp(x)); })),
            sum + slack);
  CHECK_ULP((walk<T>(0, 80, part([](auto const& p) { return p.log1p; }), [](R x) { return std::log1p(std::exp(-x)); })),
            (single ? 1.4 : 2.0) + slack);
}

TEST_CASE_TEMPLATE("special values", T, float, double) {
  using P = Packet<T>;
  auto const e = [](P x) { return exp(x); };
  auto const e1 = [](P x) { return expm1(x); };
  auto const l = [](P x) { return log(x); };
  auto const l1 = [](P x) { return log1p(x); };
  CHECK(one<T>(e, 0) == 1);
  CHECK(one<T>(e, infinity<double>) == infinity<T>);
  CHECK(one<T>(e, -infinity<double>) == 0);
  CHECK(one<T>(e, sizeof(T) == 4 ? 88.8 : 709.8) == infinity<T>);
  CHECK(one<T>(e, sizeof(T) == 4 ? -104 : -746) == 0);
  CHECK(one<T>(e, sizeof(T) == 4 ? -103 : -745) > 0);  // a denormal number
  CHECK(one<T>(e1, 0) == 0);
  CHECK(std::signbit(one<T>(e1, -0.0)));
  CHECK(one<T>(e1, infinity<double>) == infinity<T>);
  CHECK(one<T>(e1, -infinity<double>) == -1);
  CHECK(one<T>(l, 1) == 0);
  CHECK(one<T>(l, 0) == -infinity<T>);
  CHECK(one<T>(l, infinity<double>) == infinity<T>);
  CHECK(std::isnan(one<T>(l, -1)));
  CHECK(one<T>(l1, 0) == 0);
  CHECK(one<T>(l1, -1) == -infinity<T>);
  CHECK(one<T>(l1, infinity<double>) == infinity<T>);
  CHECK(one<T>(l1, static_cast<double>(std::numeric_limits<T>::max())) == std::log(std::numeric_limits<T>::max()));
  CHECK(std::isnan(one<T>(l1, -1.5)));
  for (auto const f : {+e, +e1, +l, +l1}) CHECK(std::isnan(one<T>(f, not_a_number<double>)));

  auto const power = [](double x, double y) { return one<T>([=](P p) { return pow(p, P(static_cast<T>(y))); }, x); };
  CHECK(power(0, 0.5) == 0);
  CHECK(power(0, 0) == 1);
  CHECK(power(0, -2) == infinity<T>);
  CHECK(power(infinity<double>, 0.5) == infinity<T>);
  CHECK(power(infinity<double>, -1) == 0);
  CHECK(power(2, 5000) == infinity<T>);
  CHECK(power(0.5, 5000) == 0);
  CHECK(std::isnan(power(not_a_number<double>, 2)));
  CHECK(std::isnan(power(2, not_a_number<double>)));
  CHECK(std::isnan(power(-1, 2)));

  // No payload turns a NaN into a number.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (Bits payload = 1; payload < 600; ++payload)
    for (Bits const sign : {Bits(0), Bits(1) << (8 * sizeof(T) - 1)}) {
      P const x(std::bit_cast<T>(std::bit_cast<Bits>(not_a_number<T>) | payload | sign));
      CHECK(!((exp2_of(P(3), P(0), x, exp2_shift(P(1))) <= 0) | (exp2_of(P(3), P(0), x, exp2_shift(P(1))) >= 0)).any());
      CHECK(!((log1p_bounded(x) <= 0) | (log1p_bounded(x) >= 0)).any());
      CHECK(!((exp(x) <= 0) | (exp(x) >= 0) | (log(x) <= 0) | (log(x) >= 0) | (log1p(x) <= 0) | (log1p(x) >= 0)).any());
    }
}

TEST_CASE_TEMPLATE("a NaN in the first argument of min and max comes out, one in the second does not", T, float, double) {
  using P = Packet<T>;
  P const x = 2, none = not_a_number<T>;
  T lanes[P::width];
  auto const first = [&](P p) {
    p.store(lanes);
    return lanes[0];
  };
  CHECK(std::isnan(first(max(none, x))));
  CHECK(std::isnan(first(min(none, x))));
  CHECK(first(max(x, none)) == 2);
  CHECK(first(min(x, none)) == 2);
  CHECK(std::isnan(first(min(max(none, P(-1)), P(1)))));
  CHECK(first(max(P(-1), x)) == 2);
  CHECK(first(min(P(-1), x)) == -1);
  CHECK(first(select(none < x, P(1), P(3))) == 3);
  CHECK(first(select(none >= x, P(1), P(3))) == 3);
}

TEST_CASE_TEMPLATE("lanes", T, float, double) {
  using P = Packet<T>;
  constexpr idx W = P::width;
  T const guard = T(-77);
  std::vector<T> from(2 * W), to(3 * W);
  for (idx i = 0; i < 2 * W; ++i) from[static_cast<std::size_t>(i)] = T(i + 1);
  for (idx m = 0; m <= W; ++m) {
    // The data end with the memory: a sanitizer sees what passes it.
    std::vector<T> const exact(from.begin(), from.begin() + m);
    P const some = P::load_some(exact.data(), m);
    T lanes[W];
    some.store(lanes);
    for (idx i = 0; i < W; ++i) CHECK(lanes[i] == (i < m ? T(i + 1) : T(0)));
    std::fill(to.begin(), to.end(), guard);
    P::load(from.data()).store_some(to.data() + W, m);
    for (idx i = 0; i < 3 * W; ++i) CHECK(to[static_cast<std::size_t>(i)] == (i >= W && i < W + m ? T(i - W + 1) : guard));
    auto const mask = P::first_lanes(m);
    CHECK(mask.count() == m);
    CHECK((!mask).count() == W - m);
    CHECK(mask.any() == (m > 0));
    CHECK((mask & !mask).count() == 0);
    CHECK((mask | !mask).count() == W);
    select(mask, P(1), P(0)).store(lanes);
    for (idx i = 0; i < W; ++i) CHECK(lanes[i] == (i < m ? T(1) : T(0)));
  }
  CHECK(P::iota().sum() == T(W * (W - 1) / 2));
  alignas(64) T streamed[W];
  P::iota().stream(streamed);
  P::fence_streams();
  for (idx i = 0; i < W; ++i) CHECK(streamed[i] == T(i));
}

TEST_CASE_TEMPLATE("arithmetic", T, float, double) {
  using P = Packet<T>;
  static_assert(losskit::Number<P>);
  auto const is = [](P p, T expected) {
    T lanes[P::width];
    p.store(lanes);
    for (T const lane : lanes)
      if (!(lane == expected)) return false;
    return true;
  };
  P const a = 3, b = T(-0.5);
  CHECK(is(a + b, T(2.5)));
  CHECK(is(2 * a - 1, 5));
  CHECK(is(a / b, -6));
  CHECK(is(-b, T(0.5)));
  CHECK(is(abs(b), T(0.5)));
  CHECK(is(copysign(a, b), -3));
  CHECK(is(copysign(b, a), T(0.5)));
  CHECK(is(sqrt(P(2)), std::sqrt(T(2))));
  CHECK(is(fma(a, b, P(1)), T(-0.5)));
  CHECK(is(0.1 * P(1), T(0.1)));  // a double literal is rounded once
  T zero[P::width];
  (-P(0)).store(zero);
  CHECK(std::signbit(zero[0]));
}

// 1 + eps squared is 1 + 2 eps + eps^2: the last term shows what was rounded.
template <class T, class X>
void products_and_sums(X one_more) {
  using namespace losskit;
  T const eps = std::numeric_limits<T>::epsilon();
  X const minus = -1 - 2 * X(eps);
  auto const is = [](X x, T expected) {
    if constexpr (Simd<X>) {
      T lanes[static_cast<std::size_t>(X::width)];
      x.store(lanes);
      for (T const lane : lanes)
        if (!(lane == expected)) return false;
      return true;
    } else if constexpr (std::is_arithmetic_v<X>) {
      return x == expected;
    } else {
      return x.v == expected;
    }
  };
  if constexpr (std::is_arithmetic_v<X>) {
    CHECK(is(product(one_more, one_more) + minus, 0));
  } else {
    CHECK(is(one_more * one_more + minus, 0));
    CHECK(is(minus + one_more * one_more, 0));
    CHECK(is(fma(one_more, one_more, minus), eps * eps));
  }
  CHECK(is(multiply_add(one_more, one_more, minus), fuses ? eps * eps : 0));
}
TEST_CASE_TEMPLATE("a product is rounded, multiply_add as the instruction set does, fma always once", T, float, double) {
  using namespace losskit;
  T volatile one_more = 1 + std::numeric_limits<T>::epsilon();
  products_and_sums<T>(T(one_more));
  products_and_sums<T>(Scalar<T>(T(one_more)));
  products_and_sums<T>(Packet<T>(T(one_more)));
  products_and_sums<T>(Twice<Packet<T>>(T(one_more)));
  static_assert((Scalar<T>(2) * Scalar<T>(3)).v == 6 && product(T(2), T(3)) == 6);
}
