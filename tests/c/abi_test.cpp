// The C ABI against the C++ that it is made of: every policy of the catalogue, every call, to the bit; and what it refuses. Compiled for
// the set of instructions that the library is told to take.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "losskit/backend/eigen.hpp"
#include "losskit/c/losskit.h"
#include "losskit/executor/threads.hpp"
#include "losskit/losskit.hpp"
#include "losskit/named.hpp"

using namespace losskit;

namespace {

template <class T>
constexpr losskit_type code = std::is_same_v<T, float>         ? LOSSKIT_F32
                              : std::is_same_v<T, double>       ? LOSSKIT_F64
                              : std::is_same_v<T, std::int32_t> ? LOSSKIT_I32
                              : std::is_same_v<T, std::int64_t> ? LOSSKIT_I64
                                                                : LOSSKIT_U8;
template <class T>
losskit_view c_vector(std::vector<T> const& v) { return losskit_vector(code<T>, v.data(), static_cast<int64_t>(v.size())); }
template <class T>
losskit_view c_matrix(std::vector<T> const& v, idx rows) {
  return losskit_matrix(code<T>, v.data(), rows, static_cast<int64_t>(v.size()) / rows);
}

struct Made {
  losskit_policy* handle = nullptr;
  explicit Made(std::string const& text) {
    INFO(text);
    REQUIRE_MESSAGE(losskit_make(text.c_str(), &handle) == LOSSKIT_OK, losskit_last_error());
  }
  Made(Made const&) = delete;
  ~Made() { losskit_free(handle); }
  operator losskit_policy const*() const { return handle; }
};

template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T, class I>
struct Problem {
  idx rows = 6, cols = 131;
  std::vector<T> cosines, weights, class_weights, upstream;
  std::vector<I> labels;
  Problem() {
    std::uint32_t x = 12345;
    auto const next = [&] { return T((x = x * 1664525u + 1013904223u) >> 8) / T(1 << 24); };
    for (idx i = 0; i < rows * cols; ++i) cosines.push_back(T(1.8) * next() - T(0.9));
    for (idx i = 0; i < rows; ++i) {
      labels.push_back(static_cast<I>((i * 37 + 5) % cols));
      weights.push_back(next() + T(0.5));
      upstream.push_back(next() - T(0.5));
    }
    for (idx j = 0; j < cols; ++j) class_weights.push_back(next());
    labels[2] = -1;  // ignored
  }
  Batch<T, I> batch() {
    Batch<T, I> b(matrix(cosines, rows, cols), labels);
    b.weights = view(weights);
    b.class_weights = view(class_weights);
    b.upstream = view(upstream);
    return b;
  }
  losskit_batch c_batch() const {
    losskit_batch b = losskit_batch_of(c_matrix(cosines, rows), c_vector(labels));
    b.weights = c_vector(weights);
    b.class_weights = c_vector(class_weights);
    b.upstream = c_vector(upstream);
    return b;
  }
  Options options() const { return {.reduction = Reduction::weighted_mean, .upstream = 1.5, .ignore_label = -1, .top_k = 3}; }
  losskit_options c_options(int threads = 1) const {
    losskit_options o = losskit_default_options();
    o.reduction = LOSSKIT_WEIGHTED_MEAN;
    o.upstream = 1.5;
    o.ignore_label = -1;
    o.top_k = 3;
    o.threads = threads;
    return o;
  }
};

losskit_report new_report() {
  losskit_report r;
  std::memset(&r, 0x55, sizeof r);
  r.struct_size = sizeof r;
  return r;
}
bool same(losskit_report const& c, Report const& r) {
  return c.loss == r.loss && c.mean_target_angle == r.mean_target_angle && c.rows == r.rows && c.valid == r.valid && c.top1 == r.top1 &&
         c.topk == r.topk && c.hard_negatives == r.hard_negatives && c.clamped == r.clamped && c.out_of_range == r.out_of_range &&
         c.non_finite == r.non_finite;
}

// Every call over a matrix, by C and by C++.
template <class T, class I, class L>
void compare_rows(L const& loss, std::string const& text) {
  INFO(text);
  INFO(sizeof(T));
  Problem<T, I> p;
  Made const policy(text);
  on::eigen const backend{};
  auto const n = static_cast<std::size_t>(p.rows * p.cols), B = static_cast<std::size_t>(p.rows);
  std::vector<T> g(n), h(n), z(n), y(n), losses(B), c_losses(B), ds(B), c_ds(B);
  std::vector<SavedRow> saved(B);
  std::vector<losskit_saved_row> c_saved(B);
  std::vector<std::byte> memory(workspace_bytes<T>(backend, p.rows, p.cols, Placement::accumulate));
  auto const batch = p.batch();
  auto const c_batch = p.c_batch();
  auto const o = p.options();
  auto const c_o = p.c_options();
  auto const m = [&](std::vector<T>& v) { return matrix(v, p.rows, p.cols); };
  auto const cm = [&](std::vector<T> const& v) { return c_matrix(v, p.rows); };
  std::size_t bytes = 0;
  REQUIRE(losskit_workspace_bytes(policy, code<T>, p.rows, p.cols, LOSSKIT_ACCUMULATED, &c_o, &bytes) == LOSSKIT_OK);
  CHECK(bytes == memory.size());

  Report const r = loss_and_gradient(backend, loss, batch, m(g), view(memory), o, {view(losses), view(ds), {}, {}});
  losskit_report c_r = new_report();
  losskit_outputs out = losskit_no_outputs();
  out.row_losses = c_vector(c_losses);
  out.scale_gradient = c_vector(c_ds);
  REQUIRE(losskit_loss_and_gradient(policy, &c_batch, cm(h), memory.data(), bytes, &c_o, &out, &c_r) == LOSSKIT_OK);
  CHECK(same(c_r, r));
  CHECK(same_bits(g, h));
  CHECK(same_bits(losses, c_losses));
  CHECK(same_bits(ds, c_ds));

  Report const v = loss_value(backend, loss, batch, view(memory), o, {{}, {}, view(saved)});
  c_r = new_report();
  losskit_outputs keep = losskit_no_outputs();
  keep.saved = c_saved.data();
  keep.saved_rows = p.rows;
  REQUIRE(losskit_loss_value(policy, &c_batch, memory.data(), bytes, &c_o, &keep, &c_r) == LOSSKIT_OK);
  CHECK(same(c_r, v));
  loss_gradient(backend, loss, batch, saved, m(g), o);
  REQUIRE(losskit_loss_gradient(policy, &c_batch, c_saved.data(), p.rows, cm(h), &c_o, nullptr) == LOSSKIT_OK);
  CHECK(same_bits(g, h));

  if constexpr (!takes_logits<decltype(loss.rest)>) {
    Report const lr = logits(backend, loss, batch, m(z), view(memory), o);
    c_r = new_report();
    REQUIRE(losskit_logits(policy, &c_batch, cm(y), memory.data(), bytes, &c_o, &c_r) == LOSSKIT_OK);
    CHECK(same(c_r, lr));
    CHECK(same_bits(z, y));
    logits_backward(backend, loss, batch, m(z), m(g), o, view(ds));
    REQUIRE(losskit_logits_backward(policy, &c_batch, cm(y), cm(h), &c_o, c_vector(c_ds)) == LOSSKIT_OK);
    CHECK(same_bits(g, h));
    CHECK(same_bits(ds, c_ds));
  }
}
template <class L>
void compare_loss(L const& loss, std::string const& text) {
  compare_rows<float, std::int64_t>(loss, text);
  compare_rows<double, std::int32_t>(loss, text);
}
// An objective as the library holds it: one type for each kind. That AnyMargin and AnyObjective are what they hold is named_test's.
template <class O>
auto any_objective(O const& objective) {
  if constexpr (MeanObjective<O>) return AnyMeanObjective(objective); else return AnyObjective(objective);
}

losskit_policy_info const* info_of(char const* kind, char const* name) {
  int64_t count = 0;
  losskit_policy_info const* const all = losskit_catalogue(&count);
  for (int64_t i = 0; i < count; ++i)
    if (std::strcmp(all[i].kind, kind) == 0 && std::strcmp(all[i].name, name) == 0) return &all[i];
  return nullptr;
}
template <class P>
void compare_info(char const* kind) {
  INFO(P::name);
  losskit_policy_info const* const info = info_of(kind, P::name);
  REQUIRE(info);
  REQUIRE(info->parameter_count == static_cast<int64_t>(losskit::detail::count_of_parameters<P>()));
  if constexpr (requires { P::parameters; })
    for (int64_t i = 0; i < info->parameter_count; ++i) {
      losskit_parameter const& a = info->parameters[i];
      Parameter const& b = P::parameters[i];
      CHECK((std::string(a.name) == b.name && std::string(a.unit) == b.unit && a.standard == b.standard && a.low == b.range.low &&
             a.high == b.range.high && a.has_low == b.range.has_low && a.has_high == b.range.has_high && a.whole == b.whole));
    }
}

char const* isa_expected() {
#if defined(__AVX512F__)
  return "x86-64-v4";
#elif defined(__AVX2__)
  return "x86-64-v3";
#else
  return "baseline";
#endif
}

}  // namespace

TEST_CASE("the library is told to take the set that this test is compiled for") { REQUIRE(std::string(losskit_isa()) == isa_expected()); }

TEST_CASE("every policy of the catalogue is in the C catalogue, with its parameters") {
  for_each(margins{}, []<class P>(P) { compare_info<P>("margin"); });
  for_each(rests{}, []<class P>(P) { compare_info<P>("rest rule"); });
  for_each(objectives{}, []<class P>(P) { compare_info<P>("objective"); });
  for_each(scales{}, []<class P>(P) { compare_info<P>("scale"); });
  for_each(point_losses{}, []<class P>(P) { compare_info<P>("point loss"); });
  for_each(schedules{}, []<class P>(P) { compare_info<P>("schedule"); });
  losskit_policy_info const* const arc = info_of("margin", "ArcMargin");
  REQUIRE(arc->choice_count == 2);
  CHECK(std::string(arc->choices[0].name) == "rule");
  CHECK(arc->choices[0].option_count == past_pi_rules::count);
  CHECK(std::string(arc->choices[0].options[0].name) == "Monotone");
  CHECK(arc->choices[0].options[4].parameter_count == 1);  // Clamp's eps
  CHECK(std::string(info_of("margin", "Annealed")->choices[0].options[0].name) == "SphereMargin");
}

TEST_CASE("every margin of the catalogue, every call, float and double, to the bit") {
  for_each(margins{}, []<class M>(M margin) {
    std::string const text = text_of<M>();
    compare_loss(MarginSoftmax{AnyMargin(margin), 30.0, AnyObjective(CrossEntropy{})}, "MarginSoftmax(margin=" + text + ", scale=30)");
  });
  compare_loss(MarginSoftmax{AnyMargin(Annealed{CombinedMargin<Clamp>(2, 0.25, 0.125, Clamp(0.5)), 0.75}), 500.0, AnyObjective(CrossEntropy{})},
               "MarginSoftmax(Annealed(0.75, margin=CombinedMargin(2, 0.25, m3=0.125, rule=Clamp(eps=0.5))), scale=FixedScale(500))");
}

TEST_CASE("every rest rule and objective of the catalogue") {
  for_each(rests{}, []<class R>(R rest) {
    for_each(objectives{}, [&]<class O>(O objective) {
      compare_loss(MarginSoftmax{AnyMargin(ArcMargin{0.3}), 24.0, any_objective(objective), rest},
                   "MarginSoftmax(ArcMargin(0.3), 24, " + text_of<O>() + ", " + text_of<R>() + ")");
    });
  });
  for_each(objectives{}, []<class O>(O objective) {
    compare_loss(SoftmaxLoss{any_objective(objective)}, "SoftmaxLoss(" + text_of<O>() + ")");
  });
}

TEST_CASE("every point loss") {
  for_each(point_losses{}, []<class L>(L loss) {
    auto const run = [&]<class T>(T) {
      idx const rows = 7, cols = 33;
      auto const n = static_cast<std::size_t>(rows * cols);
      std::vector<T> x(n), y(n), w(n, T(0.5)), g(n), h(n), e(n), f(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = T(i % 17) / T(8) - T(1), y[i] = T(i % 5) / T(4);
      std::vector<std::byte> memory(point_workspace_bytes(rows, cols));
      Made const policy(L::name);
      auto const m = [&](std::vector<T>& v) { return matrix(v, rows, cols); };
      PointReport const r = loss_and_gradient(on::eigen{}, loss, m(x), m(y), m(g), view(memory), {.reduction = Reduction::batch_mean},
                                              PointOutputs<T>{m(w), m(e)});
      losskit_options o = losskit_default_options();
      o.reduction = LOSSKIT_BATCH_MEAN;
      losskit_report c = new_report();
      REQUIRE(losskit_point_loss(policy, c_matrix(x, rows), c_matrix(y, rows), c_matrix(h, rows), c_matrix(w, rows), c_matrix(f, rows),
                                 memory.data(), memory.size(), &o, &c) == LOSSKIT_OK);
      CHECK(c.loss == r.loss);
      CHECK(c.valid == r.elements);
      CHECK(same_bits(g, h));
      CHECK(same_bits(e, f));
      losskit_report alone = new_report();
      REQUIRE(losskit_point_loss(policy, c_matrix(x, rows), c_matrix(y, rows), losskit_none(), c_matrix(w, rows), losskit_none(),
                                 memory.data(), memory.size(), &o, &alone) == LOSSKIT_OK);
      CHECK(alone.loss == r.loss);
    };
    run(float{}), run(double{});
  });
  std::vector<float> truth{0, 1, 0, 0, 0, 0, 0, 0, 0}, a(9), b(9);
  adaptive_wing_weights(matrix(truth, 3, 3), matrix(a, 3, 3), 10, 0.2);
  REQUIRE(losskit_adaptive_wing_weights(c_matrix(truth, 3), c_matrix(b, 3), 10, 0.2) == LOSSKIT_OK);
  CHECK(a == b);
}

TEST_CASE("scales, rest rules and schedules that follow training") {
  Problem<float, std::int64_t> p;
  std::vector<std::byte> memory(advance_workspace_bytes(p.rows));
  auto const c_batch = p.c_batch();
  auto const c_o = p.c_options();
  losskit_state state{};
  state.struct_size = sizeof state;
  {
    Made const policy("AdaCosScale(classes=131, ceiling=50)");
    AdaCosScale const scale(131, 0, 50);
    REQUIRE(losskit_start(policy, &state) == LOSSKIT_OK);
    CHECK(state.value == scale.start().scale);
    AdaCosState const next = advance(on::eigen{}, scale, scale.start(), p.batch(), view(memory), p.options());
    REQUIRE(losskit_advance(policy, &state, &c_batch, memory.data(), memory.size(), &c_o) == LOSSKIT_OK);
    CHECK(state.value == next.scale);
    CHECK(state.steps == 1);
    CHECK(state.value != scale.start().scale);
    CHECK(state.log_mean_rest == next.log_mean_rest);
    CHECK(state.median_target_angle == next.median_target_angle);
    CHECK(state.log_mean_rest != 0);
    // A caller built with the struct's first version, which ended with kept: the same state, and nothing written behind it.
    struct First { std::size_t struct_size; double value; std::int64_t steps, kept; } const start{sizeof(First), scale.start().scale, 0, 0};
    losskit_state old{};
    old.log_mean_rest = 7;
    std::memcpy(&old, &start, sizeof start);
    REQUIRE(losskit_advance(policy, &old, &c_batch, memory.data(), memory.size(), &c_o) == LOSSKIT_OK);
    CHECK(old.struct_size == sizeof(First));
    CHECK(old.value == next.scale);
    CHECK(old.steps == 1);
    CHECK(old.log_mean_rest == 7);
    for (std::size_t const size : {sizeof(First) - 1, sizeof(losskit_state) + 1, std::size_t(0)}) {
      old.struct_size = size;
      CHECK(losskit_start(policy, &old) == LOSSKIT_VERSION_ERROR);
    }
  }
  {
    Made const policy("CurricularRest");
    REQUIRE(losskit_start(policy, &state) == LOSSKIT_OK);
    CurricularState const next = advance(on::eigen{}, CurricularRest{}, CurricularRest{}.start(), p.batch(), view(memory), p.options());
    REQUIRE(losskit_advance(policy, &state, &c_batch, memory.data(), memory.size(), &c_o) == LOSSKIT_OK);
    CHECK(state.value == next.t);
  }
  {
    Made const policy("FeatureNorm(low=1, high=4)");
    std::vector<double> n{0.5, 2, 8}, s(3), d(3);
    REQUIRE(losskit_row_scales(policy, c_vector(n), c_vector(s), c_vector(d)) == LOSSKIT_OK);
    CHECK(s == std::vector<double>{1, 2, 4});
    CHECK(d == std::vector<double>{0, 1, 0});
    Made const twice("FeatureNorm(factor=2)");
    REQUIRE(losskit_row_scales(twice, c_vector(n), c_vector(s), c_vector(d)) == LOSSKIT_OK);
    CHECK(s == std::vector<double>{1, 4, 16});
    CHECK(d == std::vector<double>{2, 2, 2});
  }
  double value = 0;
  Made const lambda("LambdaSchedule"), warm_up("LinearWarmUp(0, 0.5, 10, 20)");
  REQUIRE(losskit_schedule(lambda, 7, &value) == LOSSKIT_OK);
  CHECK(value == LambdaSchedule{}(7));
  REQUIRE(losskit_schedule(warm_up, 15, &value) == LOSSKIT_OK);
  CHECK(value == 0.25);
  CHECK(losskit_schedule(warm_up, -1, &value) == LOSSKIT_PARAMETER_ERROR);
}

TEST_CASE("the head") {
  idx const B = 4, C = 9, D = 5;
  auto const size = [](idx a, idx b) { return static_cast<std::size_t>(a * b); };
  std::vector<float> x(size(B, D)), w(size(C, D)), c(size(B, C)), dc(size(B, C), 0.5F);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(float(i));
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::cos(float(3 * i));
  std::vector<float> ux = x, uw = w, nx(size(B, 1)), nw(size(C, 1)), dx(x.size()), dw(w.size()), vx = x, vw = w, mx = nx, mw = nw, e = c, ex = dx,
                     ew = dw;
  CosineLayer<float> const layer{matrix(ux, B, D), matrix(uw, C, D), view(nx), view(nw)};
  cosine_layer(on::eigen{}, matrix(x, B, D), matrix(w, C, D), layer, matrix(c, B, C));
  cosine_layer_backward(on::eigen{}, layer, matrix(dc, B, C), matrix(dx, B, D), matrix(dw, C, D));
  losskit_cosine_state const state{sizeof state, c_matrix(vx, B), c_matrix(vw, C), c_vector(mx), c_vector(mw)};
  REQUIRE(losskit_cosine_layer(c_matrix(x, B), c_matrix(w, C), &state, c_matrix(e, B), nullptr) == LOSSKIT_OK);
  CHECK(same_bits(c, e));
  std::size_t bytes = 1;
  REQUIRE(losskit_cosine_layer_workspace_bytes(LOSSKIT_F32, B, C, D, LOSSKIT_ASSIGN, &bytes) == LOSSKIT_OK);
  CHECK(bytes == 0);
  REQUIRE(losskit_cosine_layer_backward(&state, c_matrix(dc, B), c_matrix(ex, B), c_matrix(ew, C), losskit_none(), nullptr, 0, nullptr) ==
          LOSSKIT_OK);
  CHECK(same_bits(dx, ex));
  CHECK(same_bits(dw, ew));
  REQUIRE(losskit_normalize_rows(c_matrix(x, B), c_matrix(vx, B), c_vector(mx), nullptr) == LOSSKIT_OK);
  CHECK(same_bits(ux, vx));
  REQUIRE(losskit_normalize_rows_backward(c_matrix(vx, B), c_vector(mx), c_matrix(x, B), c_matrix(ex, B), losskit_none(), nullptr) == LOSSKIT_OK);
  normalize_rows_backward(on::eigen{}, matrix(ux, B, D), nx, matrix(x, B, D), matrix(dx, B, D));
  CHECK(same_bits(dx, ex));
}

TEST_CASE("recognition") {
  std::vector<double> const a{1, 2, 3}, b{-2, 0.5, 4}, scores{0.9, 0.8, 0.7, 0.6, 0.5, 0.4};
  double x = 0;
  auto const is = [&](double y) { CHECK(std::abs(x - y) <= 4e-16 * std::abs(y)); };  // their bits are not promised
  REQUIRE(losskit_cosine_similarity(c_vector(a), c_vector(b), &x) == LOSSKIT_OK);
  is(cosine_similarity(a, b));
  REQUIRE(losskit_angle_between(c_vector(a), c_vector(b), &x) == LOSSKIT_OK);
  is(angle_between(a, b));
  REQUIRE(losskit_squared_distance(c_vector(a), c_vector(b), &x) == LOSSKIT_OK);
  is(squared_distance(a, b));
  REQUIRE(losskit_suggest_scale(1000, 0.99, 0.1, &x) == LOSSKIT_OK);
  is(suggest_scale(1000, 0.99, 0.1));
  auto const pairs = [&]<class Flag>(Flag) {
    std::vector<Flag> const same{1, 1, 0, 1, 0, 0};
    std::vector<RocPoint> points(7);
    RocCurve const curve = roc(scores, same, points);
    std::vector<losskit_roc_point> c_points(7);
    int64_t count = 0;
    REQUIRE(losskit_roc(c_vector(scores), c_vector(same), c_points.data(), 7, &count) == LOSSKIT_OK);
    REQUIRE(count == curve.points.size);
    CHECK(std::memcmp(points.data(), c_points.data(), sizeof(RocPoint) * static_cast<std::size_t>(count)) == 0);
    losskit_verification v{};
    v.struct_size = sizeof v;
    REQUIRE(losskit_verify(c_points.data(), count, 0.34, &v) == LOSSKIT_OK);
    CHECK(v.auc == auc(curve));
    CHECK(v.equal_error_rate == equal_error_rate(curve).rate);
    CHECK(v.true_accept_rate == tar_at_far(curve, 0.34).tar);
    std::vector<FoldedPair> scratch(6);
    double mean = 0, deviation = 0;
    REQUIRE(losskit_verification_accuracy(c_vector(scores), c_vector(same), 3, losskit_none(), scratch.data(), 6 * 24, &mean, &deviation) ==
            LOSSKIT_OK);
    auto const accuracy = verification_accuracy(scores, same, ContiguousFolds{3}, scratch);
    CHECK(mean == accuracy.mean);
    CHECK(deviation == accuracy.standard_deviation);
    std::vector<std::int32_t> const folds{0, 1, 0, 1, 0, 1};
    REQUIRE(losskit_verification_accuracy(c_vector(scores), c_vector(same), 2, c_vector(folds), scratch.data(), 6 * 24, &mean, &deviation) ==
            LOSSKIT_OK);
    CHECK(mean == verification_accuracy(scores, same, GivenFolds(view(folds), 2), scratch).mean);
  };
  pairs(std::uint8_t{}), pairs(std::int32_t{}), pairs(std::int64_t{});
}

TEST_CASE("threads of our own, or the caller's: the same bits, and every task once") {
  Problem<float, std::int64_t> p;
  p.cols = 8192;
  p.rows = 12;
  p.cosines.assign(static_cast<std::size_t>(p.rows * p.cols), 0.125F);
  for (std::size_t i = 0; i < p.cosines.size(); i += 7) p.cosines[i] = -0.5F;
  p.labels.assign(12, 3);
  losskit_batch const batch = losskit_batch_of(c_matrix(p.cosines, p.rows), c_vector(p.labels));
  Made const policy("MarginSoftmax(ArcMargin, 64)");
  std::vector<std::vector<float>> gradients;
  struct Caller {
    int64_t calls = 0, tasks = 0;
    static void run(void* context, int64_t tasks, void (*task)(void*, int64_t), void* task_context) {
      auto& self = *static_cast<Caller*>(context);
      ++self.calls;
      self.tasks += tasks;
      std::vector<std::thread> all;
      for (int64_t t = 0; t < tasks; ++t) all.emplace_back([=] { task(task_context, t); });
      for (auto& thread : all) thread.join();
    }
  } caller;
  for (int const threads : {1, 2, 3, 8, 0, -3}) {
    losskit_options o = losskit_default_options();
    o.threads = threads < 0 ? -threads : threads;
    if (threads < 0) o.parallel_for = &Caller::run, o.parallel_context = &caller;
    std::size_t bytes = 0;
    REQUIRE(losskit_workspace_bytes(policy, LOSSKIT_F32, p.rows, p.cols, LOSSKIT_OUT_OF_PLACE, &o, &bytes) == LOSSKIT_OK);
    std::vector<std::byte> memory(bytes);
    gradients.emplace_back(p.cosines.size());
    REQUIRE(losskit_loss_and_gradient(policy, &batch, c_matrix(gradients.back(), p.rows), memory.data(), bytes, &o, nullptr, nullptr) ==
            LOSSKIT_OK);
    CHECK(same_bits(gradients.back(), gradients.front()));
  }
  CHECK(caller.calls > 0);
  CHECK(caller.tasks >= 3);
}

namespace {

void refused(losskit_status got, losskit_status wanted, std::initializer_list<char const*> words) {
  CHECK(got == wanted);
  std::string const text = losskit_last_error();
  INFO(text);
  for (char const* const word : words) {
    INFO(word);
    CHECK(text.find(word) != text.npos);
  }
}

}  // namespace

TEST_CASE("texts that name nothing: the error says what there is, the near ones first") {
  losskit_policy* p = reinterpret_cast<losskit_policy*>(1);
  auto const no = [&](char const* text, std::initializer_list<char const*> words) {
    INFO(text);
    refused(losskit_make(text, &p), LOSSKIT_PARAMETER_ERROR, words);
    CHECK(p == nullptr);
  };
  no("MarginSoftmax(ArcMargn)", {"ArcMargn", "did you mean ArcMargin"});
  no("MarginSoftmax(Foo)", {"Foo", "there is", "ArcMargin", "CosMargin", "SphereMargin"});
  no("MarginSoftMx", {"did you mean MarginSoftmax"});
  no("ArcMargin", {"part of a loss", "MarginSoftmax(margin="});
  no("MarginSoftmax(ArcMargin(m=4))", {"ArcMargin: m = 4", "(-pi, pi)", "rad"});
  no("MarginSoftmax(ArcMargin(m=nan))", {"nan"});
  no("MarginSoftmax(ArcMargin(q=1))", {"no parameter \"q\"", "m"});
  no("MarginSoftmax(ArcMargin(rule=Monoton))", {"rule", "did you mean Monotone"});
  no("MarginSoftmax(ArcMargin(0.1, m=0.2))", {"twice"});
  no("MarginSoftmax(ArcMargin(m=0.1, m=0.2))", {"twice"});
  no("MarginSoftmax(ArcMargin(m=0.1, 0.2))", {"has no name"});
  no("MarginSoftmax(ArcMargin(0.1, 0.2))", {"1 numbers by position, not 2"});
  no("MarginSoftmax(ArcMargin(m=x))", {"\"x\" is no number"});
  no("MarginSoftmax(ArcMargin(m=))", {"empty"});
  no("MarginSoftmax(ArcMargin", {"is no policy"});
  no("MarginSoftmax(ArcMargin))", {")"});
  no("MarginSoftmax(scale=0)", {"scale = 0"});
  no("MarginSoftmax(scale=2e6)", {"largest_scale"});
  no("MarginSoftmax(scale=AdaCosScale)", {"AdaCosScale is no number"});
  no("MarginSoftmax(NoMargin, 1, CrossEntropy, PlainRest, 5)", {"no part", "margin", "rest"});
  no("WingLoss(w=-1)", {"WingLoss: w = -1", "[1e-09, 1e+09]"});
  no("AdaCosScale(classes=10.5)", {"10.5 is no whole number"});
  no("AdaCosScale(classes=2)", {"classes = 2"});
  no("HardNegatives(weight=Adaptiv)", {"did you mean Adaptive"});
  no("", {"is no policy"});
  no(std::string(5000, 'x').c_str(), {"xxx"});
  no((std::string("WingLoss(") + std::string(5000, '(')).c_str(), {"no"});
  refused(losskit_make(nullptr, &p), LOSSKIT_SHAPE_ERROR, {"text: null"});
  refused(losskit_make("WingLoss", nullptr), LOSSKIT_SHAPE_ERROR, {"policy: null"});
  losskit_free(nullptr);
  Made const good("  MarginSoftmax ( margin = ArcMargin ( m = +0.25 ) , scale = 1e1 ) ");
  CHECK(std::string(losskit_kind(good)) == "loss");
  CHECK(std::string(losskit_text(good)).find("ArcMargin") != std::string::npos);
}

TEST_CASE("bad calls: a status, a text, and nothing written") {
  Problem<float, std::int64_t> p;
  Made const policy("MarginSoftmax(ArcMargin)"), wing("WingLoss"), softmax("SoftmaxLoss"), lambda("LambdaSchedule"), plain("PlainRest");
  std::vector<float> g(p.cosines.size(), 7), losses(6, 7);
  std::vector<std::byte> memory(1 << 16);
  losskit_report report = new_report();
  auto const good = p.c_batch();
  auto const o = p.c_options();
  auto const call = [&](losskit_batch const& b, losskit_options const* options, losskit_view gradient, losskit_outputs const* out = nullptr) {
    return losskit_loss_and_gradient(policy, &b, gradient, memory.data(), memory.size(), options, out, &report);
  };
  auto const gradient = c_matrix(g, p.rows);
  auto const changed = [&](auto const& f) {
    losskit_batch b = good;
    f(b);
    return call(b, &o, gradient);
  };
  refused(changed([](auto& b) { b.struct_size = 0; }), LOSSKIT_VERSION_ERROR, {"batch: struct_size = 0"});
  refused(changed([](auto& b) { b.struct_size += 8; }), LOSSKIT_VERSION_ERROR, {"batch: struct_size"});
  refused(changed([](auto& b) { b.cosines.type = LOSSKIT_I32; }), LOSSKIT_TYPE_ERROR, {"cosines: I32", "F32 or F64"});
  refused(changed([](auto& b) { b.cosines.type = 77; }), LOSSKIT_TYPE_ERROR, {"cosines", "77"});
  refused(changed([](auto& b) { b.labels.type = LOSSKIT_F32; }), LOSSKIT_TYPE_ERROR, {"labels: F32"});
  refused(changed([](auto& b) { b.weights.type = LOSSKIT_F64; }), LOSSKIT_TYPE_ERROR, {"weights: F64", "expected F32"});
  refused(changed([](auto& b) { b.weights.rows = 5; }), LOSSKIT_SHAPE_ERROR, {"weights: 5", "expected 6"});
  refused(changed([](auto& b) { b.weights.stride = 2; }), LOSSKIT_STRIDE_ERROR, {"weights: stride 2"});
  refused(changed([](auto& b) { b.weights.cols = 2; }), LOSSKIT_SHAPE_ERROR, {"weights"});
  refused(changed([](auto& b) { b.cosines.stride = 3; }), LOSSKIT_STRIDE_ERROR, {"cosines: stride 3"});
  refused(changed([](auto& b) { b.cosines.data = nullptr; }), LOSSKIT_SHAPE_ERROR, {"cosines: null"});
  refused(changed([](auto& b) { b.cosines.rows = -1; }), LOSSKIT_SHAPE_ERROR, {"cosines"});
  refused(changed([](auto& b) { b.cosines.data = static_cast<char*>(b.cosines.data) + 1; }), LOSSKIT_MEMORY_ERROR, {"cosines", "aligned"});
  refused(changed([](auto& b) { b.labels = losskit_none(); }), LOSSKIT_TYPE_ERROR, {"labels"});
  refused(call(good, &o, losskit_none()), LOSSKIT_SHAPE_ERROR, {"gradient"});
  refused(call(good, &o, c_matrix(g, 3)), LOSSKIT_SHAPE_ERROR, {"gradient: 3"});
  auto labels = p.labels;
  labels[4] = 131;
  refused(changed([&](auto& b) { b.labels = c_vector(labels); }), LOSSKIT_LABEL_ERROR, {"labels[4] = 131", "[0, 131)"});
  auto const with = [&](auto const& f) {
    losskit_options changed_options = o;
    f(changed_options);
    return call(good, &changed_options, gradient);
  };
  refused(with([](auto& x) { x.struct_size = 0; }), LOSSKIT_VERSION_ERROR, {"options"});
  refused(with([](auto& x) { x.struct_size = 1000; }), LOSSKIT_VERSION_ERROR, {"options", "1000"});
  refused(with([](auto& x) { x.reduction = 9; }), LOSSKIT_PARAMETER_ERROR, {"reduction = 9"});
  refused(with([](auto& x) { x.write = 9; }), LOSSKIT_PARAMETER_ERROR, {"write = 9"});
  refused(with([](auto& x) { x.top_k = 0; }), LOSSKIT_PARAMETER_ERROR, {"top_k"});
  refused(with([](auto& x) { x.threads = -1; }), LOSSKIT_PARAMETER_ERROR, {"threads = -1"});
  losskit_outputs out = losskit_no_outputs();
  out.row_losses = losskit_vector(LOSSKIT_F32, losses.data(), 5);
  refused(call(good, &o, gradient, &out), LOSSKIT_SHAPE_ERROR, {"row_losses: 5"});
  out.row_losses = losskit_vector(LOSSKIT_F32, g.data(), 6);
  refused(call(good, &o, gradient, &out), LOSSKIT_ALIAS_ERROR, {"row_losses", "gradient"});
  refused(losskit_loss_and_gradient(policy, &good, gradient, memory.data(), 10, &o, nullptr, &report), LOSSKIT_WORKSPACE_ERROR, {"10 bytes"});
  refused(losskit_loss_and_gradient(policy, &good, gradient, nullptr, 1 << 16, &o, nullptr, &report), LOSSKIT_WORKSPACE_ERROR, {"0 bytes"});
  refused(losskit_loss_and_gradient(nullptr, &good, gradient, memory.data(), memory.size(), &o, nullptr, &report), LOSSKIT_SHAPE_ERROR, {"loss: null"});
  refused(losskit_loss_and_gradient(policy, nullptr, gradient, memory.data(), memory.size(), &o, nullptr, &report), LOSSKIT_SHAPE_ERROR, {"batch: null"});
  refused(losskit_loss_and_gradient(wing, &good, gradient, memory.data(), memory.size(), &o, nullptr, &report), LOSSKIT_TYPE_ERROR,
          {"WingLoss", "point loss", "not a loss over a matrix"});
  refused(losskit_logits(softmax, &good, gradient, memory.data(), memory.size(), &o, &report), LOSSKIT_TYPE_ERROR, {"SoftmaxLoss"});
  losskit_report unversioned{};
  refused(losskit_loss_and_gradient(policy, &good, gradient, memory.data(), memory.size(), &o, nullptr, &unversioned), LOSSKIT_VERSION_ERROR, {"report"});
  losskit_state state{sizeof state, 1, 2, 3, 0, 0};
  refused(losskit_start(lambda, &state), LOSSKIT_TYPE_ERROR, {"LambdaSchedule", "schedule"});
  refused(losskit_start(plain, &state), LOSSKIT_TYPE_ERROR, {"PlainRest"});
  double x = 7;
  refused(losskit_schedule(wing, 0, &x), LOSSKIT_TYPE_ERROR, {"WingLoss"});
  refused(losskit_schedule(lambda, 0, nullptr), LOSSKIT_SHAPE_ERROR, {"value: null"});
  CHECK(std::all_of(g.begin(), g.end(), [](float v) { return v == 7; }));
  CHECK(std::all_of(losses.begin(), losses.end(), [](float v) { return v == 7; }));
  CHECK(report.rows == new_report().rows);
  CHECK(x == 7);
  CHECK(state.value == 1);
  // and is usable afterwards, with null options and no report
  CHECK(losskit_loss_and_gradient(softmax, &good, gradient, memory.data(), memory.size(), nullptr, nullptr, nullptr) == LOSSKIT_LABEL_ERROR);
  CHECK(call(good, &o, gradient) == LOSSKIT_OK);
  CHECK(report.rows == 6);
  std::string other;
  std::thread([&] { other = losskit_last_error(); }).join();
  CHECK(other.empty());  // each thread has its own
}
