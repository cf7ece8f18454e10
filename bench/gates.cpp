// The table of promised speeds: every path against its ceiling, measured in turn in this run.
//
//   losskit_gates [--smoke] [--anyway] [--only WORD] [--json FILE]
//
// --smoke: tiny shapes, to see that everything runs. --anyway: judge on a busy machine too, and say so. --only: the groups
// whose name contains WORD. Exit status: 0; 2 where the machine is too busy to judge; 1 for any other failure.
#include "losskit/backend/thrust.hpp"

#include <thrust/system/omp/execution_policy.h>

#include <cstdio>
#include <cstring>
#include <exception>

#include "accuracy.hpp"
#include "ceilings.hpp"
#include "include_cost.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"
#include "machine.hpp"
#include "names.hpp"
#include "table.hpp"
#include "twin.hpp"

#define LOSSKIT_BENCH_TEXT(word) LOSSKIT_BENCH_QUOTED(word)
#define LOSSKIT_BENCH_QUOTED(word) #word

namespace bench {
namespace {

using namespace losskit;

bool smoke = false;
on::eigen const backend{two_threads};
MarginSoftmax const arc_face{ArcMargin{0.5}, 64.0};

std::string shape_of(idx rows, idx cols) {
  auto const number = [](idx n) {
    if (n % 1000000 == 0) return std::to_string(n / 1000000) + "M";
    return n % 1000 == 0 ? std::to_string(n / 1000) + "k" : std::to_string(n);
  };
  return number(rows) + "x" + number(cols);
}

// The gate of builds with AVX-512, or of those without.
constexpr Gate by_set(Gate avx512, Gate avx2) { return Packet<float>::width == 16 ? avx512 : avx2; }

int rounds_for(idx elements) { return smoke ? 2 : elements >= 10000000 ? 15 : 41; }
int repeats_for(idx elements) { return smoke ? 1 : int(std::clamp<idx>(4000000 / elements, 1, 64)); }
void run(std::vector<Case>& cases, idx elements) {
  race(cases, rounds_for(elements), repeats_for(elements));
  if (double const drift = drift_of(cases); !smoke && drift > 1.1)
    std::printf("  the machine's speed changed by a factor of %.2f within the next rows\n", drift);
}
idx scaled(idx cols) { return smoke ? std::max<idx>(cols / 50, 200) + cols % 2 : cols; }

// A loss over a problem, with the workspace that it needs.
template <class T>
struct Call {
  Problem<T> const& problem;
  std::vector<std::byte> workspace;
  explicit Call(Problem<T> const& p)
      : problem(p), workspace(workspace_bytes<T>(backend, p.rows, p.cols, Placement::out_of_place)) {}

  template <class L>
  auto in_place(L const& loss) {
    return [this, loss] { sink = loss_and_gradient(backend, loss, problem.batch(), problem.view(), view(workspace)).loss; };
  }
  template <class L>
  auto apart(L const& loss, T* gradient) {
    return [this, loss, gradient] {
      MatrixView<T> const g{gradient, problem.rows, problem.cols, problem.cols};
      sink = loss_and_gradient(backend, loss, problem.batch(), g, view(workspace)).loss;
    };
  }
};

// The twin must do what the library does, or the race means nothing.
void expect_same_work(Problem<float> const& problem, Twin& twin) {
  Call<float> call(problem);
  std::vector<float> gradient(std::size_t(problem.size()));
  MatrixView<float> const g{gradient.data(), problem.rows, problem.cols, problem.cols};
  Report const ours = loss_and_gradient(backend, arc_face, problem.batch(), g, view(call.workspace));
  Report const theirs = twin();
  bool same = std::fabs(ours.loss - theirs.loss) <= 1e-6 * ours.loss && ours.top1 == theirs.top1 && ours.topk == theirs.topk &&
              ours.hard_negatives == theirs.hard_negatives && ours.non_finite == theirs.non_finite &&
              std::fabs(ours.mean_target_angle - theirs.mean_target_angle) < 1e-9;
  for (idx j = 0; j < problem.size(); ++j)
    same = same && std::fabs(gradient[std::size_t(j)] - problem.data()[j]) <= 4e-6f * std::fabs(problem.data()[j]) + 1e-12f;
  problem.restore();
  if (!same) throw std::runtime_error("the twin and the library disagree");
}

// --- loss and gradient over a cosine matrix --------------------------------------------------------------------------------
std::vector<Row> in_place(idx rows, idx cols, Gate gate) {
  Problem<float> const problem(rows, scaled(cols));
  Call<float> call(problem);
  Twin twin(problem, 0.5, 64);
  expect_same_work(problem, twin);
  idx const n = problem.size();
  float* const a = problem.data();
  auto const restore = [&] { problem.restore(); };
  std::vector<Case> cases = {{"a *= k", [=] { scale_in_place<near>(a, n); }, restore},
                             {"a *= k, prefetch", [=] { scale_in_place<far>(a, n); }, restore},
                             {"losskit", call.in_place(arc_face), restore},
                             {"twin", [&] { sink = twin().loss; }, restore}};
  run(cases, n);
  return {row("in place", shape_of(rows, problem.cols), speed_ratio(cases[2], {&cases[0], &cases[1]}), "a *= k", gate,
              speed_ratio(cases[2], {&cases[3]}))};
}

// The thrust backend on OpenMP against the eigen backend on OpenMP: the same packets, cut and scheduled by others.
std::vector<Row> on_thrust(idx rows, idx cols) {
  Problem<float> const problem(rows, scaled(cols));
  losskit::on::thrust<::thrust::omp::tag> const on_thrust;
  std::vector<std::byte> workspace(workspace_bytes<float>(on_thrust, problem.rows, problem.cols, Placement::in_place));
  Call<float> call(problem);
  auto const restore = [&] { problem.restore(); };
  std::vector<Case> cases = {
      {"eigen openmp", call.in_place(arc_face), restore},
      {"thrust omp",
       [&] { sink = loss_and_gradient(on_thrust, arc_face, problem.batch(), problem.view(), view(workspace)).loss; }, restore}};
  run(cases, problem.size());
  return {row("thrust omp, in place", shape_of(rows, problem.cols), speed_ratio(cases[1], {&cases[0]}), "eigen openmp", {0.5, 0.83})};
}

std::vector<Row> out_of_place(idx rows, idx cols) {
  Problem<float> const problem(rows, scaled(cols));
  Memory<float> const gradient(problem.size());
  Call<float> call(problem);
  idx const n = problem.size();
  float *const a = problem.data(), *const g = gradient.data();
  std::vector<Case> cases = {{"copy", [=] { scale_apart<near>(a, g, n); }},
                             {"copy, prefetch", [=] { scale_apart<far>(a, g, n); }},
                             {"losskit", call.apart(arc_face, g)}};
  run(cases, n);
  return {row("out of place", shape_of(rows, problem.cols), speed_ratio(cases[2], {&cases[0], &cases[1]}), "1R+1W streamed",
              by_set({0.65, 0.90}, {0.65, 0.85}))};
}

// In cache the arithmetic counts: against the twin, which must itself come near the rate of plain exp.
std::vector<Row> in_cache(char const* cache, idx rows, idx cols) {
  Problem<float> const problem(rows, cols);
  Call<float> call(problem);
  Twin twin(problem, 0.5, 64);
  expect_same_work(problem, twin);
  idx const n = problem.size();
  float* const a = problem.data();
  auto const restore = [&] { problem.restore(); };
  std::vector<Case> cases = {{"exp", [=] { raise_in_place<near>(a, n); }, restore},
                             {"exp, prefetch", [=] { raise_in_place<far>(a, n); }, restore},
                             {"twin", [&] { sink = twin().loss; }, restore},
                             {"losskit", call.in_place(arc_face), restore}};
  run(cases, n);
  std::vector<Case const*> const exps = {&cases[0], &cases[1]};
  double const twin_of_exp = speed_ratio(cases[2], exps), ratio = speed_ratio(cases[3], {&cases[2]});
  Row r = row(std::string("in place, in ") + cache, shape_of(rows, cols), ratio, "twin", by_set({0.95, 1.05}, {0.95, 1.00}), ratio);
  if (twin_of_exp < (Packet<float>::width == 16 ? 0.55 : 0.60)) r.verdict = "twin short";
  std::printf("  %s: the twin reaches %.2f of exp in cache, losskit %.2f\n", cache, twin_of_exp, speed_ratio(cases[3], exps));
  return {r};
}

std::vector<Row> reads(idx rows, idx cols) {
  Problem<float> const problem(rows, scaled(cols));
  idx const n = problem.size();
  Call<float> call(problem);
  AdaCosScale const ada_cos(problem.cols);
  AdaCosState state = ada_cos.start();
  std::vector<std::byte> advance_workspace(advance_workspace_bytes(rows));
  std::vector<Case> cases = {
      {"read", [&] { read<near>(problem.data(), n); }},
      {"read, prefetch", [&] { read<far>(problem.data(), n); }},
      {"loss only", [&] { sink = loss_value(backend, arc_face, problem.batch(), view(call.workspace)).loss; }},
      {"advance", [&] { state = advance(backend, ada_cos, ada_cos.start(), problem.batch(), view(advance_workspace)); }}};
  run(cases, n);
  std::vector<Row> out;
  for (auto const& [path, k] : {std::pair{"loss only", 2}, {"AdaCos advance", 3}})
    out.push_back(
        row(path, shape_of(rows, problem.cols), speed_ratio(cases[std::size_t(k)], {&cases[0], &cases[1]}), "read",
            by_set({0.75, 0.90}, {0.75, 0.85})));
  return out;
}

std::vector<Row> in_double(idx rows, idx cols) {
  Problem<double> const problem(rows, scaled(cols));
  Memory<double> const gradient(problem.size());
  Call<double> call(problem);
  idx const n = problem.size();
  double *const a = problem.data(), *const g = gradient.data();
  auto const restore = [&] { problem.restore(); };
  std::vector<Case> cases = {
      {"a *= k", [=] { scale_in_place<near>(a, n); }, restore},
      {"a *= k, prefetch", [=] { scale_in_place<far>(a, n); }, restore},
      {"losskit", call.in_place(arc_face), restore},
      {"copy", [=] { scale_apart<near>(a, g, n); }, restore},
      {"copy, prefetch", [=] { scale_apart<far>(a, g, n); }, restore},
      {"losskit apart", call.apart(arc_face, g), restore},
      {"read", [=] { read<near>(a, n); }, restore},
      {"read, prefetch", [=] { read<far>(a, n); }, restore},
      {"loss only", [&] { sink = loss_value(backend, arc_face, problem.batch(), view(call.workspace)).loss; }, restore}};
  run(cases, n);
  Gate const in_place = by_set({0.50, 0.85}, {0.58, 0.68}), others = by_set({0.50, 0.85}, {0.50, 0.60});
  std::string const shape = shape_of(rows, problem.cols);
  return {row("double, in place", shape, speed_ratio(cases[2], {&cases[0], &cases[1]}), "a *= k", in_place),
          row("double, out of place", shape, speed_ratio(cases[5], {&cases[3], &cases[4]}), "1R+1W streamed", others),
          row("double, loss only", shape, speed_ratio(cases[8], {&cases[6], &cases[7]}), "read", others)};
}

// Plain logits, whose size nobody knows beforehand, against cosines of the same logits, one shift for all rows.
std::vector<Row> over_logits(idx rows, idx cols) {
  Problem<float> const cosines(rows, scaled(cols)), logits(rows, scaled(cols), 64.0f);
  Call<float> bounded(cosines), plain(logits);
  std::vector<Case> cases = {
      {"ArcFace", bounded.in_place(arc_face), [&] { cosines.restore(); }},
      {"NoMargin", bounded.in_place(MarginSoftmax{NoMargin{}, 64.0}), [&] { cosines.restore(); }},
      {"SoftmaxLoss", plain.in_place(SoftmaxLoss{}), [&] { logits.restore(); }}};
  run(cases, cosines.size());
  std::vector<Row> out;
  for (std::size_t k : {0, 1})
    out.push_back(
        row("SoftmaxLoss, in place", shape_of(rows, cosines.cols), speed_ratio(cases[2], {&cases[k]}), cases[k].name, {0.80, 0.95}));
  return out;
}

// --- every policy against plain cross-entropy --------------------------------------------------------------------------------
std::vector<Row> policies(idx rows, idx cols) {
  Problem<float> const problem(rows, scaled(cols));
  Call<float> call(problem);
  auto const restore = [&] { problem.restore(); };
  std::vector<float> norms(problem.labels.size(), 64.0f), norm_gradient(norms.size());
  std::vector<Case> cases = {{"plain", call.in_place(MarginSoftmax{NoMargin{}, 64.0}), restore}};
  auto const add = [&](char const* kind, std::string const& name, std::function<void()> run) {
    cases.push_back({kind + (" " + name), std::move(run), restore});
  };
  for_each(margins{}, [&]<class M>(M margin) { add("margin", name_of<M>(), call.in_place(MarginSoftmax{margin, 64.0})); });
  for_each(objectives{}, [&]<class O>(O objective) {
    add("objective", name_of<O>(), call.in_place(MarginSoftmax{NoMargin{}, 64.0, objective}));
  });
  for_each(scales{}, [&]<class S>(S scale) {
    if constexpr (requires { scale.scale(); }) {
      add("scale", name_of<S>(), call.in_place(MarginSoftmax{NoMargin{}, scale.scale()}));
    } else if constexpr (Stateful<S>) {  // apply: the number that its state says
      add("scale", name_of<S>(), call.in_place(MarginSoftmax{NoMargin{}, scale.scale(scale.start())}));
    } else {  // one a row, with its gradient
      add("scale", name_of<S>(), [&] {
        auto batch = problem.batch();
        batch.scales = view(norms);
        Outputs<float> out;
        out.scale_gradient = view(norm_gradient);
        sink = loss_and_gradient(backend, MarginSoftmax{NoMargin{}, 64.0}, batch, problem.view(), view(call.workspace), {}, out).loss;
      });
    }
  });
  for_each(rests{}, [&]<class R>(R rest) {
    add("rest", name_of<R>(), call.in_place(MarginSoftmax{NoMargin{}, 64.0, CrossEntropy{}, rest}));
  });
  run(cases, problem.size());
  std::vector<Row> out;
  for (std::size_t k = 1; k < cases.size(); ++k)
    out.push_back(row(cases[k].name, shape_of(rows, problem.cols), speed_ratio(cases[k], {&cases[0]}), "plain cross-entropy",
                      cases[k].name.rfind("rest", 0) == 0 ? by_set({0.70, 0.85}, {0.75, 0.90}) : Gate{0.95, 0.99}));
  return out;
}

// --- point losses ------------------------------------------------------------------------------------------------------------
// Wing sees errors of a few pixels, of which it takes the logarithm; focal sees logits and one positive in sixteen.
std::vector<Row> points(idx size) {
  idx const n = scaled(size);
  Memory<float> const prediction(n), start(n), errors(n), classes(n), gradient(n);
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  for (idx j = 0; j < n; ++j) {
    start.data()[j] = normal(random);
    errors.data()[j] = start.data()[j] + normal(random);
    classes.data()[j] = float(random() % 16 == 0);
  }
  float *const x = prediction.data(), *const g = gradient.data(), *const y = errors.data(), *const t = classes.data();
  auto const restore = [&] { scale_apart<far>(start.data(), x, n); };
  restore();
  std::vector<std::byte> workspace(point_workspace_bytes(1, n));
  auto const loss = [&]<class L>(L policy, float* truth, float* out) {
    return [=, &workspace] {
      sink = loss_and_gradient(backend, policy, VectorView<float>{x, n}, VectorView<float>{truth, n}, VectorView<float>{out, n},
                               view(workspace)).loss;
    };
  };
  std::vector<Case> cases = {{"x = k x + y", [=] { scale_and_add<near, false>(x, y, x, n); }, restore},
                             {"x = k x + y, prefetch", [=] { scale_and_add<far, false>(x, y, x, n); }, restore},
                             {"wing", loss(WingLoss{}, y, x), restore},
                             {"focal", loss(SigmoidFocalLoss{2}, t, x), restore},
                             {"g = k x + y", [=] { scale_and_add<near, true>(x, y, g, n); }, restore},
                             {"g = k x + y, prefetch", [=] { scale_and_add<far, true>(x, y, g, n); }, restore},
                             {"wing apart", loss(WingLoss{}, y, g), restore},
                             {"focal apart", loss(SigmoidFocalLoss{2}, t, g), restore}};
  run(cases, n);
  std::string const shape = shape_of(1, n);
  Gate const wing = by_set({0.90, 1.00}, {0.60, 0.70}), focal = by_set({0.60, 0.80}, {0.42, 0.50});
  return {row("wing, in place", shape, speed_ratio(cases[2], {&cases[0], &cases[1]}), "2R+1W", wing),
          row("sigmoid focal, in place", shape, speed_ratio(cases[3], {&cases[0], &cases[1]}), "2R+1W", focal),
          row("wing, out of place", shape, speed_ratio(cases[6], {&cases[4], &cases[5]}), "2R+1W streamed", wing),
          row("sigmoid focal, out of place", shape, speed_ratio(cases[7], {&cases[4], &cases[5]}), "2R+1W streamed", focal)};
}

// --- what is not speed at run time ---------------------------------------------------------------------------------------------
std::vector<Row> includes() {
  int const rounds = smoke ? 1 : 9;
  std::vector<Row> out;
  auto const judge = [&](IncludeCost const& cost, Gate gate) { out.push_back(row(cost.name, "", cost.ratio, cost.of, gate)); };
  for (auto const& cost : include_cost(rounds)) judge(cost, cost.of == "<cmath>" ? Gate{2.5, 1.8, false} : Gate{1.25, 1.1, false});
  for (auto const* loss : {"MarginSoftmax{ArcMargin{}, 64}", "SoftmaxLoss{}"})
    judge(call_cost(loss, "Batch(x, labels), x", rounds), {2.5, 1.8, false});
  for (auto const* loss : {"WingLoss{}", "AdaptiveWingLoss{}", "SigmoidFocalLoss{}"})
    judge(call_cost(loss, "x, y, x", rounds), {3.5, 2.2, false});
  return out;
}

std::vector<Row> accuracies() {
  AccuracyErrors worst;
  for (idx const cols : {1000, 10007, 100003, 1000000}) {
    AccuracyErrors const e = accuracy(scaled(cols), cols >= 100000 ? 12 : 48);
    worst.folded = {std::max(worst.folded.loss, e.folded.loss), std::max(worst.folded.gradient, e.folded.gradient)};
    worst.exact = {std::max(worst.exact.loss, e.exact.loss), std::max(worst.exact.gradient, e.exact.gradient)};
  }
  Gate const folded{4, 2, false}, exact{16, 8, false};
  return {row("fp32 loss, ulp", "C to 1M", worst.folded.loss, "double, folded s", folded),
          row("fp32 gradient, ulp", "C to 1M", worst.folded.gradient, "double, folded s", folded),
          row("fp32 loss, ulp", "C to 1M", worst.exact.loss, "double, true s", exact),
          row("fp32 gradient, ulp", "C to 1M", worst.exact.gradient, "double, true s", exact)};
}

struct Group {
  char const* name;
  std::function<std::vector<Row>()> measure;
  bool timed = true;
};
std::vector<Group> const groups = {
    {"in place", [] { return in_place(1024, 50000, by_set({0.85, 1.00}, {0.82, 0.92})); }},
    {"in place", [] { return in_place(512, 100000, by_set({0.85, 1.00}, {0.82, 0.92})); }},
    {"in place", [] { return in_place(512, 100003, by_set({0.85, 1.00}, {0.82, 0.92})); }},
    {"in place", [] { return in_place(200, 250000, by_set({0.85, 1.00}, {0.82, 0.92})); }},
    {"in place", [] { return in_place(64, 1000000, by_set({0.72, 0.93}, {0.65, 0.80})); }},
    {"out of place", [] { return out_of_place(1024, 50000); }},
    {"out of place", [] { return out_of_place(512, 100000); }},
    {"out of place", [] { return out_of_place(512, 100003); }},
    {"out of place", [] { return out_of_place(200, 250000); }},
    {"cache", [] { return in_cache("L3", 256, 10000); }},
    {"cache", [] { return in_cache("L2", 64, 1000); }},
    {"thrust", [] { return on_thrust(1024, 50000); }},
    {"thrust", [] { return on_thrust(256, 10000); }},
    {"read", [] { return reads(512, 100000); }},
    {"double", [] { return in_double(512, 50000); }},
    {"logits", [] { return over_logits(512, 100000); }},
    {"logits", [] { return over_logits(256, 10000); }},
    {"policies", [] { return policies(256, 10000); }},
    {"policies", [] { return policies(512, 100000); }},
    {"points", [] { return points(32000000); }},
    {"include", includes},
    {"accuracy", accuracies, false},
};

int judge(bool anyway, std::string const& only, std::string const& json) {
  std::printf("%s; %s (packets of %d floats); %s\n%s; 2 threads, huge pages, medians of ratios taken in turn\n", processor().c_str(),
              LOSSKIT_BENCH_TEXT(LOSSKIT_ISA), int(Packet<float>::width), LOSSKIT_BENCH_COMPILER, LOSSKIT_BENCH_FLAGS);
  std::string const busy = why_busy();
  if (!busy.empty()) {
    std::printf("This machine is busy: %s.\n", busy.c_str());
    if (!anyway) return 2;
    std::printf("Measured all the same: these ratios judge nothing.\n");
  }
  print_head();
  std::vector<Row> all;
  for (Group const& group : groups) {
    if (std::strstr(group.name, only.c_str()) == nullptr) continue;
    std::vector<Row> rows;
    for (int tries = 3;;) {
      OtherLoad load;
      rows = group.measure();
      double const others = load.look();
      if (anyway || !group.timed || others <= tolerated_load) break;
      std::printf("  somebody else used %.2f cores during '%s'\n", others, group.name);
      if (--tries == 0) return 2;
    }
    for (Row& r : rows) {
      if (!busy.empty()) r.verdict += " (busy)";
      print(r);
      all.push_back(std::move(r));
    }
  }
  if (!json.empty() && !write_json(all, json)) throw std::runtime_error("cannot write " + json);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) try {
  bool anyway = false;
  std::string only, json;
  for (int i = 1; i < argc; ++i) {
    std::string const word = argv[i];
    if (word == "--smoke") bench::smoke = true;
    else if (word == "--anyway") anyway = true;
    else if (word == "--only" && i + 1 < argc) only = argv[++i];
    else if (word == "--json" && i + 1 < argc) json = argv[++i];
    else throw std::runtime_error("unknown argument " + word);
  }
  return bench::judge(anyway || bench::smoke, only, json);
} catch (std::exception const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
