// A GPU's text on threads, over memory that the host does not look at: numbers stored narrower than what computes, and what rows
// find wrong with labels, weights and scales.
#include "lanes.hpp"
#include "losskit/head/normalize.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "narrow.hpp"

#include <bit>
#include <string>

using namespace test;

namespace {

using Narrow = Bfloat16;

template <class T>
VectorView<T, device> there(VectorView<T> v) {
  return {v.data, v.size};
}
template <class T>
MatrixView<T, device> there(MatrixView<T> m) {
  return {m.data, m.rows, m.cols, m.stride};
}
template <class T>
VectorView<T, device> there(std::vector<T>& v) {
  return there(view(v));
}

// --- narrow numbers --------------------------------------------------------------------------------------------------------

// A matrix of narrow numbers with what lies between its rows.
struct Narrows {
  idx rows, cols, stride, offset;
  std::vector<Narrow> memory;

  Narrows(idx rows_, idx cols_, idx gap, idx offset_, float fill)
      : rows(rows_), cols(cols_), stride(cols_ + gap), offset(offset_), memory(size(offset + rows * stride + 8), Narrow(-7.5F)) {
    for (idx i = 0; i < rows; ++i) std::fill_n(row(i), cols, Narrow(fill));
  }
  Narrow* row(idx i) { return memory.data() + offset + i * stride; }
  float at(idx i, idx j) const { return float(memory[size(offset + i * stride + j)]); }
  MatrixView<Narrow, device> matrix() { return {row(0), rows, cols, stride}; }
  MatrixView<Narrow const, device> read() { return matrix(); }
  bool guards_hold() const {
    for (idx k = 0; k < static_cast<idx>(memory.size()); ++k) {
      idx const at = k - offset;
      if (!(at >= 0 && at < rows * stride && at % stride < cols) && float(memory[size(k)]) != -7.5F) return false;
    }
    return true;
  }
  bool same_bits(Narrows const& b) const {
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j)
        if (std::bit_cast<std::uint32_t>(at(i, j)) != std::bit_cast<std::uint32_t>(b.at(i, j))) return false;
    return true;
  }
};

// The same numbers twice: narrow, and as the floats that they are.
struct Both {
  Narrows narrow;
  Guarded<float> wide;
  Both(idx rows, idx cols, idx gap, idx offset, unsigned seed, double spread)
      : narrow(rows, cols, gap, offset, 0), wide(rows, cols) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> number(-static_cast<float>(spread), static_cast<float>(spread));
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j) set(i, j, number(random));
  }
  void set(idx i, idx j, float x) {
    narrow.row(i)[j] = Narrow(x);
    wide.at(i, j) = float(Narrow(x));
  }
  MatrixView<float const> read() { return wide.matrix(); }
};

// Is each narrow number that float but for its own rounding and `ulps` of its row's largest in float? `sum`: of two roundings.
bool rounds(Guarded<float> const& exact, Narrows const& narrow, double ulps) {
  for (idx i = 0; i < narrow.rows; ++i) {
    float largest = 0;
    for (idx j = 0; j < narrow.cols; ++j) largest = std::max(largest, std::fabs(exact.at(i, j)));
    double const carried = ulps * double(ulp<float>(static_cast<long double>(largest)));
    for (idx j = 0; j < narrow.cols; ++j) {
      double const x = exact.at(i, j), half = std::ldexp(1.0, std::max(std::ilogb(std::fabs(x) + carried), -126) - 8);
      if (!(std::fabs(double(narrow.at(i, j)) - x) <= half + carried)) {
        MESSAGE("row " << i << ", class " << j << ": " << narrow.at(i, j) << ", exact " << x);
        return false;
      }
    }
  }
  return true;
}

template <class B>
void compare_narrow(B const& backend, AnyLoss const& loss, idx rows, idx cols, idx gap, idx offset, unsigned seed) {
  INFO(std::string(loss.margin.own_name()) << " s = " << loss.scale << ", " << rows << " x " << cols << " + " << gap << " at "
                                           << offset);
  Both c(rows, cols, gap, offset, seed, 0.9), up(rows, cols, 0, (offset + 3) % 8, seed + 1, 1);
  Problem<float> p(rows, cols, seed);  // labels and weights
  if (rows > 2) p.labels[1] = -5;
  auto const wide_weights = p.weighted();
  Batch<float, std::int64_t> wide(c.read(), p.labels);
  Batch<Narrow, std::int64_t, device> narrow(c.narrow.read(), there(p.labels));
  wide.weights = wide_weights.weights, wide.class_weights = wide_weights.class_weights, wide.upstream = wide_weights.upstream;
  narrow.weights = there(wide.weights), narrow.class_weights = there(wide.class_weights), narrow.upstream = there(wide.upstream);
  Options options{.upstream = 1.5, .ignore_label = -5, .top_k = 3};
  std::vector<std::byte> memory(workspace_bytes<Narrow>(backend, rows, cols, Placement::accumulate) +
                                workspace_bytes<float>(on::serial{}, rows, cols, Placement::accumulate));
  WorkspaceIn<device> const workspace{memory.data(), static_cast<idx>(memory.size())};
  double const ulps = allowed<float>(loss, loss.scale);

  Guarded<float> g(rows, cols), later(rows, cols), z(rows, cols), dz(rows, cols), sum(rows, cols, 0, 0, 0.25F), dz_sum(sum);
  Narrows ng(rows, cols, gap, offset, 9), nlater(rows, cols, gap, 1, 9), nz(rows, cols, gap, 2, 9), ndz(rows, cols, gap, 3, 9),
      nsum(rows, cols, gap, 4, 0.25F), nlater_sum(nsum), ndz_sum(nsum), in_place(c.narrow), later_in_place(c.narrow);
  std::vector<float> losses(size(rows)), nlosses(losses), slopes(losses), nslopes(losses), nlater_slopes(losses);
  std::vector<SavedRow> saved(size(rows)), nsaved(saved);

  auto const a =
      loss_and_gradient(on::serial{}, loss, wide, g.matrix(), view(memory), options, Outputs<float>{view(losses), view(slopes), {}});
  auto const b = loss_and_gradient(backend, loss, narrow, ng.matrix(), workspace, options,
                                   Outputs<float, device>{there(nlosses), there(nslopes), {}});
  expect_same_counts(a, b);
  CHECK(std::fabs(a.loss - b.loss) <= ulps * 1.2e-7 * std::max(1.0, a.loss));
  CHECK(agree(losses, nlosses, ulps));
  CHECK(agree(slopes, nslopes, ulps));
  CHECK(rounds(g, ng, ulps));

  loss_value(on::serial{}, loss, wide, view(memory), options, Outputs<float>{{}, {}, view(saved)});
  expect_same_counts(a, loss_value(backend, loss, narrow, workspace, options, Outputs<float, device>{{}, {}, there(nsaved)}));
  loss_gradient(on::serial{}, loss, wide, saved, later.matrix(), options);
  VectorView<SavedRow const, device> const read_saved = there(nsaved);
  loss_gradient(backend, loss, narrow, read_saved, nlater.matrix(), options, there(nlater_slopes));
  CHECK(rounds(later, nlater, ulps));
  CHECK(agree(slopes, nlater_slopes, ulps));

  logits(on::serial{}, loss, wide, z.matrix(), view(memory), options);
  expect_same_counts(logits(backend, loss, narrow, nz.matrix(), workspace, options),
                     logits(on::serial{}, loss, wide, z.matrix(), view(memory), options));
  CHECK(rounds(z, nz, 3));
  logits_backward(on::serial{}, loss, wide, up.read(), dz.matrix(), options);
  logits_backward(backend, loss, narrow, up.narrow.read(), ndz.matrix(), options);
  CHECK(rounds(dz, ndz, 6));

  auto own = narrow;
  own.cosines = in_place.read();
  loss_and_gradient(backend, loss, own, in_place.matrix(), workspace, options);
  CHECK(in_place.same_bits(ng));
  own.cosines = later_in_place.read();
  loss_gradient(backend, loss, own, read_saved, later_in_place.matrix(), options);
  CHECK(later_in_place.same_bits(nlater));

  options.write = Write::accumulate;
  loss_and_gradient(on::serial{}, loss, wide, sum.matrix(), view(memory), options);
  loss_and_gradient(backend, loss, narrow, nsum.matrix(), workspace, options);
  loss_gradient(backend, loss, narrow, read_saved, nlater_sum.matrix(), options);
  logits_backward(on::serial{}, loss, wide, up.read(), dz_sum.matrix(), options);
  logits_backward(backend, loss, narrow, up.narrow.read(), ndz_sum.matrix(), options);
  CHECK(rounds(sum, nsum, ulps));
  CHECK(rounds(sum, nlater_sum, ulps));
  CHECK(rounds(dz_sum, ndz_sum, 6));
  for (auto const* m : {&ng, &nlater, &nz, &ndz, &nsum, &nlater_sum, &ndz_sum, &in_place, &later_in_place, &c.narrow})
    CHECK(m->guards_hold());
}

template <class B>
void narrow_lengths(B const& backend, std::initializer_list<idx> sizes) {
  unsigned seed = 0;
  for (idx const cols : sizes)
    for (auto const& loss :
         {loss_of({{ArcMargin{0.5}}}, 30), loss_of({{SphereMargin{4.0}}}, 12, {FocalLoss{2}}, {HardNegatives<>{0.2}}),
          loss_of({{ArcMargin{0.5}}}, 200)}) {
      ++seed;
      compare_narrow(backend, loss, 3, cols, seed % 3, seed % 8, seed);
    }
}

}  // namespace

TEST_CASE("narrow numbers: to the nearest, and none that is not one") {
  for (float const x : {1.0F, -0.5F, 0.0F, 1 + 0x1p-7F, 3e38F}) CHECK(float(Narrow(x)) == doctest::Approx(x).epsilon(0x1p-8));
  CHECK(float(Narrow(1 + 0x1p-8F)) == 1);  // ties to even
  CHECK(float(Narrow(1 + 3 * 0x1p-8F)) == 1 + 0x1p-6F);
  CHECK(std::isnan(float(Narrow(NAN))));
  CHECK(std::isinf(float(Narrow(HUGE_VALF))));
}

TEST_CASE("narrow numbers on lanes: each is the float's result, rounded once") {
  narrow_lengths(Few<true, device>{}, {1, 2, 7, 8, 9, 15, 17, 31, 33, 1000, 4097});
  narrow_lengths(Warp<false, device>{}, {1, 2, 33, 1000, 4097});
  narrow_lengths(TwoBlocks<true, device>{}, {2, 1000, 4097});
}

TEST_CASE("narrow numbers on lanes: the spacing of what is stored decides which cosines are rounding, and where a slope ends") {
  Both c(1, 40, 0, 0, 5, 0.9);
  float const odd[] = {1 + 0x1p-7F, -1 - 0x1p-3F, 1 + 0x1p-3F + 0x1p-7F, -3, HUGE_VALF, NAN};
  Problem<float> p(1, 40);
  p.labels = {17};
  std::vector<std::byte> memory(workspace_bytes<Narrow>(Few<true, device>{}, 1, 40, Placement::out_of_place));
  Batch<Narrow, std::int64_t, device> const batch(c.narrow.read(), there(p.labels));
  WorkspaceIn<device> const workspace{memory.data(), static_cast<idx>(memory.size())};
  Narrows g(1, 40, 0, 0, 9);
  auto const run = [&] {
    return loss_and_gradient(Few<true, device>{}, loss_of({{ArcMargin{0.5}}}, 30), batch, g.matrix(), workspace, {});
  };
  for (idx k = 0; k < 4; ++k) c.set(0, 9 * k, odd[k]);
  auto const r = run();
  CHECK(r.clamped == 2);
  CHECK(r.out_of_range == 2);
  CHECK(r.non_finite == 0);
  c.set(0, 39, odd[4]), c.set(0, 4, odd[5]);
  auto const s = run();
  CHECK(s.non_finite == 2);
  CHECK(s.clamped == 2);
  for (idx j = 0; j < 40; ++j) CHECK(std::isnan(g.at(0, j)));

  // The target at 1: the slope of the nearest narrow number below, sin(theta + m) / sin(theta) with cos(theta) = 1 - 2^-8.
  Both one(1, 2, 0, 0, 5, 0);
  one.set(0, 0, 1), one.set(0, 1, 1);
  std::vector<std::int64_t> zero{0};
  Batch<Narrow, std::int64_t, device> const pair(one.narrow.read(), there(zero));
  Narrows slope(1, 2, 0, 0, 9);
  loss_and_gradient(Few<true, device>{}, loss_of({{ArcMargin{0.5}}}, 1), pair, slope.matrix(), workspace, {});
  double const theta = std::acos(1 - 0x1p-8), expected = std::sin(theta + 0.5) / std::sin(theta);
  CHECK(double(slope.at(0, 0)) / double(slope.at(0, 1)) == doctest::Approx(-expected).epsilon(0x1p-7));
}

TEST_CASE("narrow numbers on lanes: normalised rows, point losses, the next scale") {
  Few<false, device> const backend;
  for (idx const cols : {idx(1), idx(9), idx(1000)}) {
    INFO(cols);
    constexpr idx rows = 4;
    Both x(rows, cols, 1, 3, 1, 5), dy(rows, cols, 2, 5, 2, 1);
    for (idx j = 0; j < cols; ++j) x.set(1, j, 0), x.set(2, j, x.wide.at(2, j) * 1e-33F), x.set(3, j, x.wide.at(3, j) * 1e30F);
    Guarded<float> y(rows, cols), dx(rows, cols);
    Narrows ny(rows, cols, 1, 7, 9), ndx(rows, cols, 1, 2, 9), in_place(x.narrow);
    std::vector<float> norms(rows), nnorms(rows), again(rows);
    normalize_rows(on::serial{}, x.read(), y.matrix(), norms);
    normalize_rows(backend, x.narrow.read(), ny.matrix(), there(nnorms));
    normalize_rows(backend, in_place.read(), in_place.matrix(), there(again));
    CHECK(agree(norms, nnorms, 4));
    CHECK(rounds(y, ny, 4));
    CHECK(in_place.same_bits(ny));
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j) y.at(i, j) = ny.at(i, j);  // the backward of what was stored
    normalize_rows_backward(on::serial{}, y.matrix(), norms, dy.read(), dx.matrix());
    VectorView<float const, device> const read_norms = there(nnorms);
    normalize_rows_backward(backend, ny.read(), read_norms, dy.narrow.read(), ndx.matrix());
    CHECK(rounds(dx, ndx, 20));

    Both prediction(rows, cols, 1, 6, 3, 30), truth(rows, cols, 0, 2, 4, 1.2);
    Guarded<float> g(rows, cols);
    Narrows ng(rows, cols, 3, 1, 9);
    std::vector<std::byte> scratch(point_workspace_bytes(rows, cols));
    PointOptions const options{.upstream = double(rows * cols)};
    auto const a =
        loss_and_gradient(on::serial{}, AdaptiveWingLoss{}, prediction.read(), truth.read(), g.matrix(), view(scratch), options);
    auto const b = loss_and_gradient(backend, AdaptiveWingLoss{}, prediction.narrow.read(), truth.narrow.read(), ng.matrix(),
                                     there(scratch), options);
    CHECK(b.loss == doctest::Approx(a.loss).epsilon(1e-6));
    CHECK(b.truth_clamped == a.truth_clamped);
    CHECK(rounds(g, ng, 8));
    CHECK(ng.guards_hold());
  }
  Both c(9, 33, 2, 1, 6, 0.9);
  Problem<float> p(9, 33);
  AdaCosScale const policy(33);
  AdaCosState state{20};
  std::vector<std::byte> memory(advance_workspace_bytes(9));
  auto const a = advance(on::serial{}, policy, state, Batch<float, std::int64_t>(c.read(), p.labels), view(memory));
  advance(backend, policy, VectorView<AdaCosState, device>{&state, 1},
          Batch<Narrow, std::int64_t, device>(c.narrow.read(), there(p.labels)), there(memory));
  CHECK(state.scale == doctest::Approx(a.scale).epsilon(1e-6));
  CHECK(state.steps == 1);
}

// --- what rows find wrong ------------------------------------------------------------------------------------------------------

namespace {

constexpr idx fault_rows = 8, fault_cols = 70;

// Every call over a batch some of whose rows are `bad`, against the serial backend, which ignores these.
template <class B, class I>
struct Faulty {
  B backend;
  Problem<float, I> p{fault_rows, fault_cols, 3, 2, 1};
  VectorView<double const, device> scale{};
  Options options{.reduction = Reduction::sum, .upstream = 2, .ignore_label = -100};
  bool own_scales = false;

  Batch<float, I, device> batch() {
    Batch<float, I, device> b(there(p.cosines.matrix()), there(p.labels));
    b.weights = there(p.weights), b.class_weights = there(p.class_weights), b.scale = scale;
    if (own_scales) b.scales = there(p.scales);
    return b;
  }

  void expect(std::vector<idx> bad, Fault::What what, double value) {
    auto const is_bad = [&](idx i) { return std::find(bad.begin(), bad.end(), i) != bad.end(); };
    AnyLoss const loss = loss_of({{ArcMargin{0.5}}}, 20);
    std::vector<std::byte> memory(workspace_bytes<float>(backend, fault_rows, fault_cols, Placement::accumulate) + 4096);
    auto const workspace = there(memory);
    Guarded<float> g(fault_rows, fault_cols, 1, 1, 9), sum(fault_rows, fault_cols, 1, 1, 0.25F), later(g), z(g), dz(g),
        dz_sum(sum);
    std::vector<float> losses(fault_rows, 5), slopes(fault_rows, 5), later_slopes(fault_rows, 5), logit_slopes(fault_rows, 5);
    std::vector<SavedRow> saved(fault_rows);
    Outputs<float, device> const outputs{there(losses), there(slopes), {}}, saving{{}, {}, there(saved)};
    auto const b = batch();
    Report const fused = loss_and_gradient(backend, loss, b, there(g.matrix()), workspace, options, outputs);
    Report const value_only = loss_value(backend, loss, b, workspace, options, saving);
    VectorView<SavedRow const, device> const read_saved = there(saved);
    loss_gradient(backend, loss, b, read_saved, there(later.matrix()), options, there(later_slopes));
    Report const logit = logits(backend, loss, b, there(z.matrix()), workspace, options);
    MatrixView<float const, device> const up = b.cosines;  // any numbers
    logits_backward(backend, loss, b, up, there(dz.matrix()), options, there(logit_slopes));
    auto adding = options;
    adding.write = Write::accumulate;
    loss_and_gradient(backend, loss, b, there(sum.matrix()), workspace, adding);
    logits_backward(backend, loss, b, up, there(dz_sum.matrix()), adding);

    // The serial backend does not see the bad rows.
    auto q = p;
    for (idx i = 0; i < fault_rows; ++i)
      if (is_bad(i) || idx(q.labels[size(i)]) == -100) q.labels[size(i)] = -100, q.weights[size(i)] = 1, q.scales[size(i)] = 1;
    for (auto& w : q.class_weights)
      if (!(w >= 0)) w = 1;
    Batch<float, I> host_batch = q.plain();
    host_batch.weights = view(q.weights), host_batch.class_weights = view(q.class_weights);
    if (own_scales) host_batch.scales = view(q.scales);
    Guarded<float> expected(fault_rows, fault_cols, 0, 0, 9);
    std::vector<float> expected_losses(fault_rows);
    auto const r = loss_and_gradient(on::serial{}, loss, host_batch, expected.matrix(), view(memory), options,
                                     Outputs<float>{view(expected_losses), {}, {}});
    CHECK(agree(expected, g, fault_rows, fault_cols, 6));
    CHECK(agree(expected, later, fault_rows, fault_cols, 6));
    CHECK(agree(expected_losses, losses, 6));
    for (idx i = 0; i < fault_rows; ++i) {
      bool const skipped = is_bad(i) || idx(p.labels[size(i)]) == -100;
      CHECK((losses[size(i)] == 0) == skipped);
      CHECK((slopes[size(i)] == 0) == skipped);
      CHECK((later_slopes[size(i)] == 0) == skipped);
      if (is_bad(i)) CHECK(logit_slopes[size(i)] == 0);
      idx touched = 0;
      for (idx j = 0; j < fault_cols; ++j) {
        touched += skipped && !(g.at(i, j) == 0 && later.at(i, j) == 0 && sum.at(i, j) == 0.25F);
        touched += is_bad(i) && !(dz.at(i, j) == 0 && dz_sum.at(i, j) == 0.25F);
      }
      CHECK(touched == 0);
    }
    CHECK(fused.loss == doctest::Approx(r.loss).epsilon(1e-6));
    for (auto const* report : {&fused, &value_only, &logit}) {
      CHECK(report->fault.what == what);
      CHECK(report->rows == fault_rows);
      CHECK(report->top1 == r.top1);
      if (what == Fault::none) continue;
      CHECK(report->fault.row == bad.front());
      if (value == value) CHECK(report->fault.value == value);
      else CHECK(std::isnan(report->fault.value));
    }
    for (auto const* m : {&g, &sum, &later, &z, &dz, &dz_sum}) CHECK(m->guards_hold());
  }
};

template <class E>
std::string thrown(Fault const& fault) {
  try {
    detail::expect_no_fault(fault);
  } catch (E const& e) { return e.what(); } catch (...) {
  }
  return {};
}

template <class B, class I>
void bad_labels(B const& backend) {
  Faulty<B, I> f{backend};
  f.p.labels[3] = -100;  // ignored, whatever else it has
  f.p.weights[3] = -1;
  f.expect({}, Fault::none, 0);
  f.p.labels[6] = fault_cols;
  f.expect({6}, Fault::label, fault_cols);
  f.p.labels[2] = -1;
  f.expect({2, 6}, Fault::label, -1);
  f.p.labels[0] = std::numeric_limits<I>::max();
  f.expect({0, 2, 6}, Fault::label, double(std::numeric_limits<I>::max()));
}

}  // namespace

TEST_CASE("a device's bad labels: no loss, a zero gradient, and the first of them named") {
  bad_labels<Few<true, device>, std::int64_t>(Few<true, device>{});
  bad_labels<Few<false, device>, std::int32_t>(Few<false, device>{});
  bad_labels<TwoBlocks<true, device>, std::int64_t>(TwoBlocks<true, device>{});
}

TEST_CASE("a device's bad weights and scales") {
  using F = Faulty<Few<true, device>, std::int64_t>;
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (float const w : {-1.0F, float(NAN), inf}) {
    F f{};
    f.p.weights[5] = f.p.weights[4] = w;
    f.expect({4, 5}, Fault::weight, double(w) * (w == w && w != inf ? double(f.p.class_weights[size(f.p.labels[4])]) : 1));
  }
  {
    F f{};
    f.p.labels = {1, 2, 3, 4, 5, 6, 7, 8};
    f.p.class_weights[7] = -2, f.p.weights[6] = 1;
    f.expect({6}, Fault::weight, -2);
  }
  for (float const s : {-1.0F, float(NAN), inf, 60.0F})
    for (double const ceiling : {50.0, 1e30}) {
      if (s == 60 && ceiling > 60) continue;  // not bad
      F f{};
      f.own_scales = true;
      f.options.scale_ceiling = ceiling;
      f.p.scales[1] = f.p.scales[7] = s;
      f.expect({1, 7}, Fault::scale, double(s));
    }
}

TEST_CASE("a device's faults count as valid rows: they take part in a mean") {
  Few<true, device> const backend;
  Problem<float> p(4, 33);
  Guarded<float> g(4, 33), expected(4, 33);
  std::vector<std::byte> memory(workspace_bytes<float>(backend, 4, 33, Placement::out_of_place));
  AnyLoss const loss = loss_of({{ArcMargin{0.5}}}, 20);
  p.labels[1] = -9;
  auto const host_report = loss_and_gradient(on::serial{}, loss, p.plain(), expected.matrix(), view(memory),
                                             {.reduction = Reduction::batch_mean, .ignore_label = -9});
  auto const r = loss_and_gradient(backend, loss, Batch<float, std::int64_t, device>(there(p.cosines.matrix()), there(p.labels)),
                                   there(g.matrix()), there(memory));
  CHECK(r.loss == doctest::Approx(host_report.loss).epsilon(1e-6));
  CHECK(agree(expected, g, 4, 33, 6));
}

TEST_CASE("a device's fault is the host's error, with row and value") {
  detail::expect_no_fault({});
  CHECK(thrown<LabelError>({Fault::label, 7, -3}) == "labels[7] = -3 is outside [0, C)");
  CHECK(thrown<ParameterError>({Fault::weight, 5, -0.5}) == "weights: that of row 5, -0.5, is not a finite number >= 0");
  CHECK(thrown<ParameterError>({Fault::scale, 6, 60}) == "scales: that of row 6, 60, is outside [0, scale_ceiling], at most largest_scale");
}

TEST_CASE("a state on a device: advance writes it, rows read it, and a bad one is every row's fault") {
  Few<true, device> const backend;
  Problem<float> p(9, 33, 4);
  p.labels[3] = -1;
  AdaCosScale const policy(33);
  AdaCosState state{20};
  std::vector<std::byte> memory(
      std::max(advance_workspace_bytes(9), workspace_bytes<float>(backend, 9, 33, Placement::out_of_place)));
  VectorView<AdaCosState, device> const held{&state, 1};
  Batch<float, std::int64_t, device> batch(there(p.cosines.matrix()), there(p.labels));
  Options const options{.ignore_label = -1};
  auto const next = advance(on::serial{}, policy, state, p.plain(), view(memory), options);
  advance(backend, policy, held, batch, there(memory), options);
  CHECK(state.scale == doctest::Approx(next.scale).epsilon(1e-6));
  CHECK(state.steps == 1);
  CHECK(state.kept == 0);
  p.labels[5] = 33;  // a bad row is none of the statistics
  p.labels[3] = 0;
  auto q = p;
  q.labels[5] = -1;
  auto const without = advance(on::serial{}, policy, next, q.plain(), view(memory), options);
  advance(backend, policy, held, batch, there(memory), options);
  CHECK(state.scale == doctest::Approx(without.scale).epsilon(1e-6));

  batch.scale = scale_of(held);
  Guarded<float> g(9, 33, 0, 0, 9), expected(g);
  for (double const ceiling : {std::numeric_limits<double>::infinity(), 50.0}) {  // pairs, or one shift
    Options const with{.ignore_label = -1, .scale_ceiling = ceiling};
    auto const r = loss_and_gradient(backend, loss_of({{ArcMargin{0.5}}}, 1), batch, there(g.matrix()), there(memory), with);
    auto const s =
        loss_and_gradient(on::serial{}, loss_of({{ArcMargin{0.5}}}, state.scale), q.plain(), expected.matrix(), view(memory), with);
    CHECK(r.loss * 9 == doctest::Approx(s.loss * 8).epsilon(1e-5));
    for (idx i = 0; i < 9; ++i)
      for (idx j = 0; j < 33; ++j) expected.at(i, j) *= 8.0F / 9.0F;
    CHECK(agree(expected, g, 9, 33, 100));
    CHECK(r.fault.row == 5);
  }
  for (double const bad : {-1.0, double(NAN), 51.0}) {
    state.scale = bad;
    auto const r = loss_and_gradient(backend, loss_of({{ArcMargin{0.5}}}, 1), batch, there(g.matrix()), there(memory),
                                     {.scale_ceiling = 50});
    CHECK(r.loss == 0);
    CHECK(r.fault.what == Fault::scale);
    CHECK(r.fault.row == 0);
    for (idx j = 0; j < 33; ++j) CHECK(g.at(8, j) == 0);
  }
}
