// A GPU's text on threads, in float: every call on emulated warps, blocks and clusters against the serial backend.
#include "lanes.hpp"
#include "losskit/head/normalize.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"

#include <sys/mman.h>
#include <unistd.h>

using namespace test;

namespace {

AnyLoss const bounded = loss_of({{ArcMargin{0.5}}}, 30),
           hard = loss_of({{SphereMargin{4.0}}}, 12, {FocalLoss{2}}, {HardNegatives<>{0.2}}),
           relative = loss_of({{ArcMargin{0.5}}}, 200);

template <class B, class Sizes>
void lengths_and_alignments(B const& backend, Sizes const& sizes, int of_each) {
  unsigned seed = 0;
  for (idx const cols : sizes)
    for (auto const* loss : {&bounded, &hard, &relative})
      for (int k = 0; k < of_each; ++k) {
        ++seed;
        compare<float>(*loss, 3, cols, seed % 3, seed % 4, seed, 0.9, false, backend);
      }
  for (double const spread : {0.9, 1.2}) compare<float>(hard, 4, 333, 3, 1, 6, spread, true, backend);
}

}  // namespace

// Under a sanitizer that watches every access: fewer, but of each kind.
TEST_CASE("warps and serial agree") {
  if (watched) return lengths_and_alignments(Warp<true>{}, few_sizes, 1), lengths_and_alignments(Warp<false>{}, few_sizes, 1);
  // A round of all lanes, and the pack that the alignment adds.
  compare<float>(bounded, 3, 128, 0, 1, 9, 0.9, false, Warp<true>{});
  lengths_and_alignments(Warp<true>{}, lane_sizes, 4);
  lengths_and_alignments(Warp<false>{}, lane_sizes, 4);
}

TEST_CASE("blocks and serial agree") {
  if (watched) return lengths_and_alignments(Few<true>{}, few_sizes, 1), lengths_and_alignments(Block<false>{}, few_sizes, 1);
  lengths_and_alignments(Block<true>{}, lane_sizes, 2);
  lengths_and_alignments(Block<false>{}, lane_sizes, 1);
  compare<float, std::int32_t>(bounded, 5, 99, 1, 2, 7, 0.9, false, Few<true>{});
}

TEST_CASE("clusters and serial agree") {
  lengths_and_alignments(TwoBlocks<true>{}, few_sizes, 1);
  if (!watched) lengths_and_alignments(TwoBlocks<false>{}, few_sizes, 1);
  if (!watched) lengths_and_alignments(FourBlocks<true>{}, few_sizes, 1);
}

TEST_CASE("warps and serial agree: every tail of a pack, the target on every lane, at every alignment") {
  for (idx cols = 1; cols <= (watched ? 6 : 13); ++cols)
    for (idx offset = 0; offset < 4; ++offset) {
      Problem<float> p(cols, cols, 7, 0, offset);
      for (idx i = 0; i < cols; ++i) p.labels[size(i)] = i;
      Guarded<float> a(cols, cols, 0, offset), b(a), c(a);
      std::vector<std::byte> workspace(workspace_bytes<float>(on::serial{}, cols, cols, Placement::out_of_place));
      auto const r = loss_and_gradient(on::serial{}, bounded, p.plain(), a.matrix(), view(workspace));
      expect_same_counts(r, loss_and_gradient(Warp<true>{}, bounded, p.plain(), b.matrix(), view(workspace)));
      expect_same_counts(r, loss_and_gradient(Warp<false>{}, bounded, p.plain(), c.matrix(), view(workspace)));
      CHECK(agree(a, b, cols, cols, 6));
      CHECK(agree(a, c, cols, cols, 6));
      CHECK(b.guards_hold());
      CHECK(c.guards_hold());
    }
}

TEST_CASE("lanes and serial agree: the whole catalogue") {
  if (watched) return;  // what races does not depend on a formula
  whole_catalogue<float>(Few<true>{});
}

namespace {

struct Odd {  // what the calls say of odd cosines
  Report fused, value, logit;
  Guarded<float> gradient, later, z, dz;
  std::vector<float> row_losses;
  std::vector<SavedRow> saved;

  template <class B>
  Odd(B const& backend, AnyLoss const& loss, Problem<float>& p)
      : gradient(p.rows, p.cols, 2, 3, 9),
        later(gradient),
        z(gradient),
        dz(gradient),
        row_losses(size(p.rows)),
        saved(size(p.rows)) {
    std::vector<std::byte> workspace(workspace_bytes<float>(backend, p.rows, p.cols, Placement::out_of_place));
    Options const options{.ignore_label = -1};
    auto const batch = p.plain();
    fused = loss_and_gradient(backend, loss, batch, gradient.matrix(), view(workspace), options);
    value = loss_value(backend, loss, batch, view(workspace), options, Outputs<float>{view(row_losses), {}, view(saved)});
    loss_gradient(backend, loss, batch, saved, later.matrix(), options);
    logit = logits(backend, loss, batch, z.matrix(), view(workspace), options);
    Guarded<float> const up(p.rows, p.cols, 0, 0, 0.5F);
    logits_backward(backend, loss, batch, MatrixView<float const>{up.row(0), p.rows, p.cols, p.cols}, dz.matrix(), options);
    for (auto const* g : {&gradient, &later, &z, &dz}) CHECK(g->guards_hold());
  }
};

void expect_same_odd(Report const& a, Report const& b) {
  CHECK(a.valid == b.valid);
  CHECK(a.top1 == b.top1);
  CHECK(a.topk == b.topk);
  CHECK(a.hard_negatives == b.hard_negatives);
  CHECK(a.clamped == b.clamped);
  CHECK(a.out_of_range == b.out_of_range);
  CHECK(a.non_finite == b.non_finite);
}

constexpr float eps = std::numeric_limits<float>::epsilon(), inf = std::numeric_limits<float>::infinity();

template <class B>
void odd_cosines(B const& backend, std::vector<float> const& all) {
  constexpr idx rows = 7, cols = 131;
  for (float const odd : all)
    for (auto const* loss : {&bounded, &hard, &relative}) {
      INFO("cosine " << odd << ", s = " << loss->scale);
      Problem<float> p(rows, cols, 11, 3, 1);
      p.labels = {5, 5, 77, 77, 0, cols - 1, -1};
      idx const where[] = {0, cols - 1, 64, 77, 0, cols - 1, 3};  // ends, middle, target, target at both ends, an ignored row
      for (idx i = 0; i < rows; ++i) p.cosines.at(i, where[i]) = odd;
      Odd const a(on::serial{}, *loss, p), b(backend, *loss, p);
      expect_same_odd(a.fused, b.fused);
      expect_same_odd(a.value, b.value);
      expect_same_odd(a.logit, b.logit);
      CHECK(b.fused.clamped + b.fused.out_of_range + b.fused.non_finite == 6);
      CHECK(agree(a.row_losses, b.row_losses, 60));
      double const ulps = allowed<float>(*loss, loss->scale);
      CHECK(agree(a.gradient, b.gradient, rows, cols, ulps));
      CHECK(agree(a.later, b.later, rows, cols, ulps));
      CHECK(agree(a.z, b.z, rows, cols, 3));
      CHECK(agree(a.dz, b.dz, rows, cols, 6));
    }
}

}  // namespace

TEST_CASE("lanes and serial agree: odd cosines at the ends of a row, in it, at the target") {
  if (!watched) odd_cosines(Few<true>{}, {1 + 4 * eps, -1 - 16 * eps, 1 + 17 * eps, -1.5F, NAN, inf, -inf});
  if (!watched) odd_cosines(Block<false>{}, {-1.5F, inf});
  odd_cosines(TwoBlocks<true>{}, {NAN});
}

namespace {

template <class B>
void normalised(B const& backend) {
  constexpr idx rows = 6;
  for (idx const cols : lane_sizes) {
    if (watched && cols != 33) continue;
    INFO(cols);
    Problem<float> x(rows, cols, 1, 3, 1, 5), dy(rows, cols, 2, 3, 1);
    for (idx j = 0; j < cols; ++j) {
      x.cosines.at(1, j) = 0;
      x.cosines.at(2, j) *= 1e-33F;
      x.cosines.at(3, j) *= 1e30F;
    }
    x.cosines.at(4, cols - 1) = NAN;
    auto const run = [&](auto const& on) {
      struct {
        Guarded<float> y, in_place, dx, dx_in_place, sum;
        std::vector<float> norms;
      } r{Guarded<float>(rows, cols, 1, 2, 9),     x.cosines,
          Guarded<float>(rows, cols, 1, 3, 9),     dy.cosines,
          Guarded<float>(rows, cols, 0, 1, 0.25F), std::vector<float>(rows)};
      VectorView<float const> const slopes = view(dy.weights);
      normalize_rows(on, x.cosines.matrix(), r.y.matrix(), r.norms);
      normalize_rows_backward(on, r.y.matrix(), r.norms, dy.cosines.matrix(), r.dx.matrix(), Write::assign, slopes);
      normalize_rows_backward(on, r.y.matrix(), r.norms, dy.cosines.matrix(), r.sum.matrix(), Write::accumulate, slopes);
      normalize_rows_backward(on, r.y.matrix(), r.norms, r.dx_in_place.matrix(), r.dx_in_place.matrix(), Write::assign, slopes);
      auto norms = r.norms;
      normalize_rows(on, r.in_place.matrix(), r.in_place.matrix(), norms);
      for (auto const* g : {&r.y, &r.in_place, &r.dx, &r.dx_in_place, &r.sum}) CHECK(g->guards_hold());
      return r;
    };
    auto const a = run(on::serial{});
    auto const b = run(backend);
    CHECK(agree(a.norms, b.norms, 4));
    CHECK(agree(a.y, b.y, rows, cols, 4));
    CHECK(agree(b.y, b.in_place, rows, cols, 0));
    CHECK(agree(a.dx, b.dx, rows, cols, 8));
    CHECK(agree(b.dx, b.dx_in_place, rows, cols, 0));
    CHECK(agree(a.sum, b.sum, rows, cols, 8));
  }
}

template <class B>
void points(B const& backend, idx rows, idx cols, idx gap) {
  Problem<float> x(rows, cols, 1, gap, 1, 30), truth(rows, cols, 2, gap, 2, 1.2), weights(rows, cols, 3, gap, 3, 2);
  for (idx i = 0; i < rows; ++i)
    for (idx j = 0; j < cols; ++j) weights.cosines.at(i, j) = std::fabs(weights.cosines.at(i, j));
  if (cols > 1) x.cosines.at(0, cols - 1) = NAN;
  auto const run = [&](auto const& on, auto const& loss, Reduction reduction) {
    struct {
      PointReport fused, value;
      Guarded<float> gradient, in_place, sum, losses;
    } r{{},
        {},
        Guarded<float>(rows, cols, gap, 0, 9),
        x.cosines,
        Guarded<float>(rows, cols, gap, 1, 0.25F),
        Guarded<float>(rows, cols, gap, 3, 9)};
    std::vector<std::byte> workspace(point_workspace_bytes(rows, cols));
    PointOptions options{.reduction = reduction, .upstream = double(rows * cols)};
    PointOutputs<float> const extra{weights.cosines.matrix(), r.losses.matrix()};
    auto const p = x.cosines.matrix(), t = truth.cosines.matrix();
    r.fused = loss_and_gradient(on, loss, p, t, r.gradient.matrix(), view(workspace), options, extra);
    loss_and_gradient(on, loss, r.in_place.matrix(), t, r.in_place.matrix(), view(workspace), options, extra);
    r.value = loss_value(on, loss, p, t, view(workspace), options);
    options.write = Write::accumulate;
    loss_and_gradient(on, loss, p, t, r.sum.matrix(), view(workspace), options);
    for (auto const* g : {&r.gradient, &r.in_place, &r.sum, &r.losses}) CHECK(g->guards_hold());
    return r;
  };
  for_each(point_losses{}, [&](auto loss) {
    for (auto const reduction : {Reduction::mean, Reduction::weighted_mean}) {
      INFO(std::string(decltype(loss)::name) << ' ' << rows << " x " << cols << " + " << gap);
      auto const a = run(on::serial{}, loss, reduction);
      auto const b = run(backend, loss, reduction);
      for (auto const* report : {&b.fused, &b.value}) {
        CHECK(report->elements == rows * cols);
        CHECK(report->truth_clamped == a.fused.truth_clamped);
        CHECK(report->non_finite == (cols > 1));
      }
      if (cols == 1) CHECK(b.fused.loss == doctest::Approx(a.fused.loss).epsilon(1e-6));
      else CHECK(std::isnan(b.fused.loss));
      CHECK(agree(a.losses, b.losses, rows, cols, 8));
      CHECK(agree(a.gradient, b.gradient, rows, cols, 8));
      CHECK(agree(a.sum, b.sum, rows, cols, 8));
      CHECK(agree(b.gradient, b.in_place, rows, cols, 0));
    }
  });
}

template <class B>
void next_scale(B const& backend, idx rows, idx cols, double scale) {
  INFO(rows << " x " << cols << ", s = " << scale);
  Problem<float> p(rows, cols, 4, 2, 1);
  if (rows > 5) p.labels[3] = -1;
  AdaCosScale const policy(cols);
  std::vector<std::byte> workspace(advance_workspace_bytes(rows));
  auto const a = advance(on::serial{}, policy, AdaCosState{scale}, p.plain(), view(workspace), {.ignore_label = -1});
  AdaCosState state{scale};
  auto batch = p.plain();
  advance(backend, policy, VectorView<AdaCosState>{&state, 1}, batch, view(workspace), {.ignore_label = -1});
  CHECK(state.scale == doctest::Approx(a.scale).epsilon(1e-6));
  CHECK(state.steps == 1);
  CHECK(state.kept == a.kept);
  CHECK((a.kept == 1 || state.scale != scale));
  // The state's scale, read as the rows run.
  std::vector<std::byte> scratch(workspace_bytes<float>(on::serial{}, rows, cols, Placement::no_gradient));
  batch.scale = scale_of(VectorView<AdaCosState>{&state, 1});
  auto own = bounded;
  own.scale = state.scale;
  CHECK(loss_value(backend, bounded, batch, view(scratch), {.ignore_label = -1}).loss ==
        doctest::Approx(loss_value(on::serial{}, own, p.plain(), view(scratch), {.ignore_label = -1}).loss).epsilon(1e-6));
}

}  // namespace

TEST_CASE("lanes and serial agree: normalised rows and their gradient") {
  normalised(Warp<false>{});
  normalised(Block<false>{});
  normalised(TwoBlocks<false>{});
}

TEST_CASE("lanes and serial agree: point losses") {
  for (idx const cols : lane_sizes)
    if (!watched || cols == 33) points(Block<false>{}, 2, cols, cols % 3);
  if (!watched) points(Block<false>{}, 3, 70001, 1);
}

TEST_CASE("lanes and serial agree: the next scale of AdaCos, and a scale in a state") {
  for (double const scale : {2.0, 30.0, 300.0}) {
    if (watched && scale != 30) continue;
    for (idx const rows : {idx(1), idx(2), idx(9), idx(300)}) next_scale(Warp<false>{}, rows, 33, scale);
    next_scale(TwoBlocks<false>{}, 3, 1000, scale);
  }
}

#if !defined(LOSSKIT_TEST_WATCHED)
namespace {

// One lane of very many: `number` of `count` blocks of one lane each. Its part of a row is what LaneTeam gives a GPU's lane.
struct OneOfMany {
  static constexpr int lanes = 1, warps = 1;
  int number, count;
  std::vector<unsigned char>* memory;

  int lane() const { return 0; }
  int block() const { return number; }
  int blocks() const { return count; }
  void sync() const {}
  void sync_blocks() const {}
  template <class X>
  X swap(X const& x, int) const {
    return x;
  }
  template <class X>
  X first(X const& x) const {
    return x;
  }
  template <class P>
  P* room() const {
    return reinterpret_cast<P*>(memory->data());
  }
  void copy_async(void* to, void const* from) const { std::memcpy(to, from, 16); }
  void wait_copies() const {}
};

// Address space for so many bytes, without memory behind it.
struct Reserved {
  void* at;
  std::size_t bytes;
  explicit Reserved(std::size_t n)
      : at(mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)), bytes(n) {
    REQUIRE(at != MAP_FAILED);
    madvise(at, n, MADV_NOHUGEPAGE);
  }
  Reserved(Reserved const&) = delete;
  ~Reserved() { munmap(at, bytes); }
};

}  // namespace

TEST_CASE("a row of 2^31 + 1000 classes: each lane's part, its sums and its gradient") {
  constexpr idx n = (idx(1) << 31) + 1000, period = 3 << 18, many = 1 << 20;  // elements; 3 MiB, no divisor of 2^31 or 2^32
  constexpr std::size_t bytes = period * sizeof(float);
  std::size_t const copies = size((n + 1 + period) / period);
  int const file = memfd_create("cosines", 0);
  REQUIRE(ftruncate(file, static_cast<off_t>(bytes)) == 0);
  Reserved const cosines(copies * bytes), gradient(copies * bytes);
  for (std::size_t k = 0; k < copies; ++k)
    REQUIRE(mmap(static_cast<char*>(cosines.at) + k * bytes, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) !=
            MAP_FAILED);
  auto const base = static_cast<float*>(cosines.at);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> cosine(-0.9F, 0.9F);
  for (idx j = 0; j < period; ++j) base[j] = cosine(random);

  float const* const c = base + 1;
  float* const g = static_cast<float*>(gradient.at) + 1;
  auto const exp_of = Bounded<float>::of(20, rest_range(PlainRest{}), double(n));
  using Team = LaneTeam<float, OneOfMany, true>;
  std::vector<unsigned char> memory(Team::room_bytes(n, many) + 16);
  idx const y = n - 2, last = (n + 1 + 3) / 4 - 1;  // the target; the pack at the end
  for (idx const lane : {idx(0), idx(1), idx(77777), (last - 1) % many, last % many, many - 1}) {
    INFO(lane);
    double sum = 0;
    idx classes = 0;
    for (idx pack = lane; pack <= last; pack += many)
      for (idx j = std::max(idx(0), 4 * pack - 1); j < std::min(n, 4 * pack + 3); ++j)
        if (j != y) sum += std::exp(exp_of.scale() * double(base[(j + 1) % period]) - exp_of.shift()), ++classes;
    Team team(OneOfMany{int(lane), int(many), &memory});
    auto target = no_target<float>();
    target.cosine = -2;  // below every class: the rank counts them
    RowState<float, Bounded<float>, Asked<>> reading{target}, keeping{target};
    open_row(team, c, Classes::whole(n), y, Nothing{}, PlainRest{}, exp_of, reading);
    auto const kept = team.keep(g);
    team.prefetch_row(c, n);
    open_row(team, c, Classes::whole(n), y, kept, PlainRest{}, exp_of, keeping);
    auto const &read = reading.sums, &sums = keeping.sums;
    CHECK(read.z.v == doctest::Approx(sum).epsilon(1e-6));
    CHECK(sums.z.v == doctest::Approx(sum).epsilon(3e-5));
    CHECK(static_cast<idx>(read.above.v) == classes);
    CHECK(static_cast<idx>(sums.above.v) == classes);
    team.finish(kept, g, n, y, RowEnding<float>{2, 7});
    idx wrong = 0;
    for (idx pack = lane; pack <= last; pack += many)
      for (idx j = 4 * pack - 2; j < 4 * pack + 4; ++j) {  // its own, and the neighbours of another lane
        bool const own = j >= std::max(idx(0), 4 * pack - 1) && j < std::min(n, 4 * pack + 3);
        double const e = 2 * std::exp(exp_of.scale() * double(base[(j + 1 + period) % period]) - exp_of.shift());
        double const expected = !own ? 0 : j == y ? 7 : e;
        wrong += j >= -1 && !(std::fabs(double(g[j]) - expected) <= 1e-5 * expected);
      }
    CHECK(wrong == 0);
    madvise(gradient.at, gradient.bytes, MADV_DONTNEED);
  }
  close(file);
}
#endif
