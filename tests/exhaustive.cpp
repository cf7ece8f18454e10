// Every float of each policy's domain: the formula in float against the same formula in double.
//
//   exhaustive [--quick] [--threads N] [--only TEXT]
//
// --quick takes every 4099th float. --only walks the policies whose line contains TEXT. The exit status is 1 if a law fails.
// Margins and rest rules are walked over all cosines in [-1, 1], objectives over all log-probabilities in [-1e30, 0], point losses
// over all |prediction| <= 1e30; second arguments come from the lists below. Margins and objectives run on one number, as they
// do in every backend; what runs on every element is walked in packets.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "losskit/backend/eigen_packet.hpp"
#include "losskit/catalogue.hpp"

namespace {

using namespace losskit;

constexpr double pi = 3.14159265358979323846;

// Truths of point losses, thresholds of rest rules.
constexpr double classes[2] = {0, 1};
constexpr double truths[9] = {-1e6, -3.5, 0, 1e-6, 0.3, 0.5, 1, 17.3, 1e6};
constexpr double thresholds[9] = {-2, -1, -0.7, -0.1, 0, 0.3, 0.7, 1, 1.5};

struct Settings {
  std::uint64_t stride = 1;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  char const* only = "";
};

// --- the largest terms ---------------------------------------------------------------------------------------------------
// Errors are counted in ulp of the largest term of the sum that makes the value or the slope: a float sum cannot be asked to be
// better than the rounding of its largest term. This is the one place that says what those terms are; `legend` prints it.
constexpr char const* legend =
    "Errors in ulp (the spacing of floats) of the largest term of the sum that makes the value, or the slope; the sum counts as one:\n"
    "  margins          value: c cos m2, sin(theta) sin m2, 2k, m3; slope: cos m2, c sin m2 / sin(theta); past the break what replaces "
    "them\n"
    "    with m1 != 1   value: cos(phi), 2k, m3, (m1 t) sin(phi); slope: itself, (m1 t) cos(phi) m1 / sin(theta): the last of each\n"
    "                   is what one ulp of m1 t is worth, t the angle to the nearer pole\n"
    "    Annealed       those of its margin, and lambda c (slope: lambda), all over 1 + lambda\n"
    "  rest rules       value: (1 + t) c, c, t; slope: itself\n"
    "  objectives       value and slope: themselves, all their terms being of one sign\n"
    "  Wing             value: |d| and C outside, itself inside; slope: itself\n"
    "  Adaptive Wing    value: itself, slope times d: what one ulp of d is worth; slope: itself\n"
    "  others           value and slope: themselves, all their terms being of one sign\n"
    "An ulp is at least 2^-145: results below 2e-37 come from products of denormal numbers. A slope whose d = prediction - truth\n"
    "lies within an ulp of a kink belongs to either side: not compared.\n";

struct Terms {
  double value, slope;
};

// The largest terms of a margin, at a cosine and what the formula in double makes of it.
template <class M>
class MarginTerms {
 public:
  explicit MarginTerms(M const&) {}
  Terms operator()(double, Jet<Scalar<double, float>> const& at) const { return {std::fabs(at.value.v), std::fabs(at.slope.v)}; }
};

template <class M>
  requires requires(M margin) { margin.m1(); }
class MarginTerms<M> {
  using Rule = typename M::past_pi;
  static constexpr bool replaced = std::is_same_v<Rule, LegacyLinear> || std::is_same_v<Rule, ContinuousLinear> ||
                                   std::is_same_v<Rule, FallToCosine> || std::is_same_v<Rule, Easy>;
  static constexpr bool detached = std::is_same_v<typename M::gradient_mode, Detached>;

 public:
  explicit MarginTerms(M const& margin)
      : m1_(margin.m1()), m3_(std::fabs(margin.m3())), cos_m2_(std::fabs(std::cos(margin.m2()))),
        sin_m2_(std::fabs(std::sin(margin.m2()))) {
    if (replaced && margin.kinks().count) break_ = margin.kinks().at[0];
    if (std::is_same_v<Rule, LegacyLinear>) constant_ = std::fabs(margin.m2()) * sin_m2_;
    if (std::is_same_v<Rule, ContinuousLinear>) constant_ = 1 + break_;
  }

  Terms operator()(double c, Jet<Scalar<double, float>> const& at) const {
    double const a = std::fabs(c), value = std::max(m3_, std::fabs(at.value.v)), slope = std::fabs(at.slope.v);  // 2k is within 1 of psi
    if (replaced && c <= break_) return {std::max({value, a, constant_}), 1};
    double const s = std::sqrt((1 - c) * (1 + c)), inside = std::min(a, 1 - 0x1p-24), s_floor = std::sqrt((1 - inside) * (1 + inside));
    if (m1_ == 1)
      return {std::max({value, a * cos_m2_, s * sin_m2_}), detached ? 1 : std::max({slope, cos_m2_, inside * sin_m2_ / s_floor})};
    double const sin_phi = slope * s_floor / m1_, cos_phi = std::sqrt(std::max(0.0, 1 - sin_phi * sin_phi));
    double const turn = m1_ * static_cast<double>(std::atan2(static_cast<float>(s), static_cast<float>(a)));  // roughly
    return {std::max({value, cos_phi, turn * sin_phi}), detached ? 1 : std::max(slope, m1_ / s_floor * turn * cos_phi)};
  }

 private:
  double m1_, m3_, cos_m2_, sin_m2_, break_ = -2, constant_ = 0;
};

template <class M>
class MarginTerms<Annealed<M>> {
 public:
  explicit MarginTerms(Annealed<M> const& annealed) : lambda_(annealed.lambda()), terms_(annealed.margin()) {}
  Terms operator()(double c, Jet<Scalar<double, float>> const& at) const {
    Terms const inner = terms_(c, {(1 + lambda_) * at.value - lambda_ * c, (1 + lambda_) * at.slope - lambda_});
    return {std::max(std::max(inner.value, lambda_ * std::fabs(c)) / (1 + lambda_), std::fabs(at.value.v)),
            std::max(std::max(inner.slope, lambda_) / (1 + lambda_), std::fabs(at.slope.v))};
  }

 private:
  double lambda_;
  MarginTerms<M> terms_;
};

// What runs on every element: x is the first argument, y the second, `value` and `slope` the formula in double.
template <class P>
Terms element_terms(P const& policy, double x, double y, double value, double slope) {
  if constexpr (requires { policy.bound(); }) {
    return {std::max(std::fabs(value), std::max(std::fabs(x), policy.bound() - 1) * (x > y ? 1 : 0)), std::fabs(slope)};
  } else if constexpr (std::is_same_v<P, WingLoss>) {
    double const a = std::fabs(x - y), c = std::fabs(policy.w() - policy.w() * std::log1p(policy.w() / policy.eps()));
    return {a >= policy.w() ? std::max(a, c) : std::fabs(value), std::fabs(slope)};
  } else if constexpr (std::is_same_v<P, AdaptiveWingLoss>) {
    return {std::max(std::fabs(value), std::fabs(slope * (x - std::min(std::max(y, 0.0), 1.0)))), std::fabs(slope)};
  } else {
    (void)x, (void)y, (void)policy;
    return {std::fabs(value), std::fabs(slope)};
  }
}

template <class O>
Terms objective_terms(O const&, double, double value, double slope) {
  return {std::fabs(value), std::fabs(slope)};
}

// 1 / ulp: 2^23 / 2^e for |term| in [2^e, 2^(e + 1)).
LOSSKIT_INLINE double per_ulp(double term) {
  std::uint64_t const smallest = std::uint64_t{1023 - 122} << 52;
  std::uint64_t const exponent = std::max(std::bit_cast<std::uint64_t>(term) & (std::uint64_t{0x7ff} << 52), smallest);
  return std::bit_cast<double>((std::uint64_t{2 * 1023 + 23} << 52) - exponent);
}

// --- walking -------------------------------------------------------------------------------------------------------------
// The floats of [low, high] in rising order, by index. Zero counts twice, as -0 and 0.
class Floats {
 public:
  Floats(float low, float high)
      : below_(low < 0 ? bits(-low) + 1 : 0), count_(below_ + (high >= 0 ? bits(high) + 1 : 0)), last_(bits(-low)) {
    if (high < 0) std::abort();
    if (high == 0) count_ = below_;  // up to -0
  }
  std::uint64_t count() const { return count_; }
  LOSSKIT_INLINE float operator[](std::uint64_t i) const {
    std::uint32_t const sign = 0x80000000u;
    return std::bit_cast<float>(static_cast<std::uint32_t>(i < below_ ? sign | (last_ - i) : i - below_));
  }
  // n floats from index i on, `stride` apart; the last one is repeated.
  void copy(std::uint64_t i, std::uint64_t stride, std::uint64_t last, float* x, int n) const {
    std::uint64_t const end = i + static_cast<std::uint64_t>(n - 1) * stride;
    if (end > last || (i < below_ && end >= below_)) {
      for (int j = 0; j < n; ++j) x[j] = (*this)[std::min(i + static_cast<std::uint64_t>(j) * stride, last)];
      return;
    }
    std::uint32_t const first = std::bit_cast<std::uint32_t>((*this)[i]), step = static_cast<std::uint32_t>(i < below_ ? -stride : stride);
    for (int j = 0; j < n; ++j) x[j] = std::bit_cast<float>(first + static_cast<std::uint32_t>(j) * step);
  }

 private:
  static std::uint64_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
  std::uint64_t below_, count_, last_;
};

struct Found {
  double ulp = 0;
  float at = 0;
  double second = 0;

  void see(double error, float x, double y) {
    if (!(error <= ulp)) ulp = error, at = x, second = y;
  }
  void see(Found const& other) {
    if (other.ulp > ulp) *this = other;
  }
};

struct Line {
  std::uint64_t walked = 0, non_finite = 0;
  Found value, slope, drop;
  double highest = -INFINITY;
  double lowest = INFINITY, per_ulp_at_most = 0;  // of a chunk: for drops across chunks

  void join(Line const& next, float at) {
    walked += next.walked, non_finite += next.non_finite;
    value.see(next.value), slope.see(next.slope), drop.see(next.drop);
    if (highest > next.lowest) drop.see((highest - next.lowest) * next.per_ulp_at_most, at, 0);  // an upper bound
    highest = std::max(highest, next.highest);
  }
};

// Runs chunk(from, to) over [0, count) on all threads; the lines are joined in order.
template <class F>
Line in_chunks(Settings const& settings, Floats const& floats, F chunk) {
  std::uint64_t const size = std::uint64_t{1} << 20, chunks = (floats.count() + size - 1) / size;
  std::vector<Line> lines(chunks);
  std::atomic<std::uint64_t> next{0};
  auto const work = [&] {
    for (std::uint64_t k = next++; k < chunks; k = next++) lines[k] = chunk(k * size, std::min((k + 1) * size, floats.count()));
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < settings.threads; ++i) threads.emplace_back(work);
  work();
  for (auto& t : threads) t.join();
  Line all;
  for (std::uint64_t k = 0; k < chunks; ++k) all.join(lines[k], floats[k * size]);
  return all;
}

// f(X) on one number at a time, terms(x, jet) its largest terms.
template <class F, class G>
Line walk_numbers(Settings const& settings, Floats const& floats, bool monotone, F f, G terms) {
  return in_chunks(settings, floats, [=, stride = settings.stride](std::uint64_t from, std::uint64_t to) {
    Line line;
    for (std::uint64_t i = from; i < to; i += stride) {
      float const x = floats[i];
      auto const got = f(Scalar<float>(x));
      auto const want = f(Scalar<double, float>(static_cast<double>(x)));
      Terms const term = terms(static_cast<double>(x), want);
      ++line.walked;
      if (!(std::isfinite(got.value.v) && std::isfinite(got.slope.v))) ++line.non_finite;
      double const value = static_cast<double>(got.value.v), unit = per_ulp(term.value);
      line.value.see(std::fabs(value - want.value.v) * unit, x, 0);
      line.slope.see(std::fabs(static_cast<double>(got.slope.v) - want.slope.v) * per_ulp(term.slope), x, 0);
      if (!monotone) continue;
      if (value < line.highest) line.drop.see((line.highest - value) * unit, x, 0);
      line.highest = std::max(line.highest, value);
      line.lowest = std::min(line.lowest, value);
      line.per_ulp_at_most = std::max(line.per_ulp_at_most, unit);
    }
    return line;
  });
}

// f(X, X) in packets against packets of double, at one second argument. `kinks` are in x - y. Blocks of plain arrays, so that the
// compiler turns the comparison into packets too; only a block with a new largest error is looked at closely.
template <class F, class G>
Line walk_packets(Settings const& settings, Floats const& floats, float y, Kinks kinks, F f, G terms) {
  using Narrow = Packet<float>;
  using Wide = Packet<double>;
  constexpr int N = 256;
  return in_chunks(settings, floats, [=, stride = settings.stride](std::uint64_t from, std::uint64_t to) {
    Line line;
    double const second = static_cast<double>(y);
    float x[N], value[N], slope[N];
    double wide[N], want_value[N], want_slope[N], value_error[N], slope_error[N];
    for (std::uint64_t i = from; i < to; i += stride * N) {
      floats.copy(i, stride, to - 1, x, N);
      for (int j = 0; j < N; ++j) wide[j] = static_cast<double>(x[j]);
      for (int j = 0; j < N; j += static_cast<int>(Narrow::width)) {
        auto const got = f(Narrow::load(x + j), Narrow(y));
        got.value.store(value + j), got.slope.store(slope + j);
      }
      for (int j = 0; j < N; j += static_cast<int>(Wide::width)) {
        auto const want = f(Wide::load(wide + j), Wide(second));
        want.value.store(want_value + j), want.slope.store(want_slope + j);
      }
      // Bits of numbers >= 0 are in the order of the numbers, NaN above them all.
      std::uint64_t worst_value = 0, worst_slope = 0, largest = 0;
      for (int j = 0; j < N; ++j) {
        Terms const term = terms(wide[j], second, want_value[j], want_slope[j]);
        double const v = static_cast<double>(value[j]), w = static_cast<double>(slope[j]);
        value_error[j] = std::fabs(v - want_value[j]) * per_ulp(term.value);
        slope_error[j] = std::fabs(w - want_slope[j]) * per_ulp(term.slope);
        for (double const size : {std::fabs(v), std::fabs(w)}) largest = std::max(largest, std::bit_cast<std::uint64_t>(size));
      }
      for (int k = 0; k < kinks.count; ++k)
        for (int j = 0; j < N; ++j) {
          double const d = wide[j] - second;
          slope_error[j] = std::fabs(d - kinks.at[k]) * per_ulp(std::fabs(d)) < 1 ? 0 : slope_error[j];
        }
      for (int j = 0; j < N; ++j) {
        worst_value = std::max(worst_value, std::bit_cast<std::uint64_t>(value_error[j]));
        worst_slope = std::max(worst_slope, std::bit_cast<std::uint64_t>(slope_error[j]));
      }
      line.walked += std::min<std::uint64_t>(N, (to - i + stride - 1) / stride);
      bool const finite = std::bit_cast<double>(largest) <= static_cast<double>(FLT_MAX);
      if (finite && std::bit_cast<double>(worst_value) <= line.value.ulp && std::bit_cast<double>(worst_slope) <= line.slope.ulp) continue;
      for (int j = 0; j < N; ++j) {
        if (!(std::isfinite(value[j]) && std::isfinite(slope[j]))) ++line.non_finite;
        line.value.see(value_error[j], x[j], second), line.slope.see(slope_error[j], x[j], second);
      }
    }
    return line;
  });
}

// --- the table -----------------------------------------------------------------------------------------------------------
class Table {
 public:
  explicit Table(Settings const& settings) : settings_(settings) {
    std::printf(
        "%s\n| policy | floats | non-finite | value, ulp | at | slope, ulp | at | drop, ulp | verdict "
        "|\n|---|---|---|---|---|---|---|---|---|\n",
        legend);
  }

  bool wants(std::string const& name) const { return name.find(settings_.only) != std::string::npos; }

  void add(std::string const& name, Line const& line, bool monotone, bool second) {
    bool const good = line.walked > 0 && line.non_finite == 0 && line.value.ulp <= 4 && line.slope.ulp <= 4 && line.drop.ulp <= 2;
    failed_ = failed_ || !good;
    ++rows_;
    std::printf("| %s | %.3g | %llu | %.2f | %s | %.2f | %s | %s | %s |\n", name.c_str(), static_cast<double>(line.walked),
                static_cast<unsigned long long>(line.non_finite), line.value.ulp, where(line.value, second).c_str(), line.slope.ulp,
                where(line.slope, second).c_str(), monotone ? number("%.2f", line.drop.ulp).c_str() : "-", good ? "ok" : "FAILS");
    std::fflush(stdout);
  }

  int finish() const { return failed_ || rows_ == 0 ? 1 : 0; }

 private:
  static std::string number(char const* format, double x) {
    char text[48];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    std::snprintf(text, sizeof text, format, x);
#pragma GCC diagnostic pop
    return text;
  }
  static std::string where(Found const& found, bool second) {
    std::string at = number("%.9g", static_cast<double>(found.at));
    if (second) at.append(", ").append(number("%g", found.second));
    return at;
  }

  Settings settings_;
  bool failed_ = false;
  int rows_ = 0;
};

template <class M>
std::string name_of(M const& margin) {
  std::string name = M::name;
  if constexpr (requires { margin.margin(); }) name.append(" ").append(name_of(margin.margin()));
  if constexpr (requires { typename M::past_pi; }) name.append(" ").append(M::past_pi::name);
  if constexpr (requires { typename M::gradient_mode; })
    if (!std::is_same_v<typename M::gradient_mode, Exact>) name.append(" ").append(M::gradient_mode::name);
  if constexpr (requires { typename M::weight; }) name.append(" ").append(M::weight::name);
  if constexpr (requires { margin.m1(); }) {
    char text[64];
    std::snprintf(text, sizeof text, " (%g, %g, %g)", margin.m1(), margin.m2(), margin.m3());
    name += text;
  }
  return name;
}

template <class M>
void walk_margin(Settings const& settings, Table& table, M const& margin) {
  std::string const name = name_of(margin);
  if (!table.wants(name)) return;
  bool monotone = false;
  if constexpr (requires { M::monotone; }) monotone = M::monotone;
  table.add(name, walk_numbers(settings, Floats(-1, 1), monotone, [=](auto c) { return margin.target(c); },
                               MarginTerms<M>(margin)), monotone, false);
}

template <class O>
void walk_objective(Settings const& settings, Table& table, O const& objective, std::string const& name) {
  if (!table.wants(name)) return;
  if constexpr (!MeanObjective<O>)  // those of two arguments are linear in both, so far
    table.add(name,
              walk_numbers(
                  settings, Floats(-1e30f, 0), false, [=](auto log_p) { return objective(log_p); },
                  [=](double x, Jet<Scalar<double, float>> const& at) { return objective_terms(objective, x, at.value.v, at.slope.v); }),
              false, false);
}

template <class P, int N, class F>
void walk_elements(Settings const& settings, Table& table, P const& policy, std::string const& name, float reach,
                   double const (&seconds)[N], Kinks const& kinks, F f) {
  if (!table.wants(name)) return;
  Line all;
  for (double const second : seconds) {
    Line const line =
        walk_packets(settings, Floats(-reach, reach), static_cast<float>(second), kinks, f,
                     [=](double x, double y, double value, double slope) { return element_terms(policy, x, y, value, slope); });
    all.walked += line.walked, all.non_finite += line.non_finite;
    all.value.see(line.value), all.slope.see(line.slope);
  }
  table.add(name, all, false, true);
}

template <class R>
void walk_rest(Settings const& settings, Table& table, R const& rest) {
  walk_elements(settings, table, rest, name_of(rest), 1, thresholds, {}, [=](auto c, auto threshold) { return rest.rest(c, threshold); });
}
template <class L>
void walk_point_loss(Settings const& settings, Table& table, L const& loss, std::string const& name) {
  auto const f = [=](auto x, auto y) { return loss(x, y); };
  if constexpr (std::is_same_v<L, SigmoidFocalLoss>)  // asks of a truth only whether it is above 0.5: two of the nine say all
    walk_elements(settings, table, loss, name, 1e30f, classes, kinks_of(loss), f);
  else
    walk_elements(settings, table, loss, name, 1e30f, truths, kinks_of(loss), f);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--quick")) settings.stride = 4099;
    else if (!std::strcmp(argv[i], "--threads") && i + 1 < argc)
      settings.threads = static_cast<unsigned>(std::max(1, std::atoi(argv[++i])));
    else if (!std::strcmp(argv[i], "--only") && i + 1 < argc) settings.only = argv[++i];
    else return std::fputs("exhaustive [--quick] [--threads N] [--only TEXT]\n", stderr), 2;
  }
  auto const start = std::chrono::steady_clock::now();
  Table table(settings);
  for_each(margins{}, [&](auto margin) { walk_margin(settings, table, margin); });
  walk_margin(settings, table, CombinedMargin<>{1.7, 0.3, 0.2});
  for_each(rests{}, [&](auto rest) { walk_rest(settings, table, rest); });
  for_each(objectives{}, [&](auto objective) { walk_objective(settings, table, objective, objective.name); });
  walk_objective(settings, table, FocalLoss{0.5}, "FocalLoss, gamma 0.5");
  for_each(point_losses{}, [&](auto loss) { walk_point_loss(settings, table, loss, loss.name); });
  walk_point_loss(settings, table, SigmoidFocalLoss{0.5}, "SigmoidFocalLoss, gamma 0.5");
  std::printf("\n%.0f s on %u threads%s\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
              settings.threads, settings.stride > 1 ? ", every 4099th float" : "");
  return table.finish();
}
