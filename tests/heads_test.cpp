// The eigen backend against the serial one: point losses, normalised rows, the cosine layer, AdaCos, empty batches, labels.
#include "heads.hpp"

using namespace test;

TEST_CASE("B = 0") {
  auto const empty = [](auto const& backend) {
    std::vector<float> none;
    std::vector<std::int32_t> labels;
    std::vector<std::byte> workspace(workspace_bytes<float>(backend, 0, 10, Placement::out_of_place));
    Batch const batch(losskit::matrix(none, 0, 10), labels);
    auto const loss = MarginSoftmax{ArcMargin{0.5}, 64.0};
    Report const r = loss_and_gradient(backend, loss, batch, losskit::matrix(none, 0, 10), view(workspace));
    CHECK(r.loss == 0);
    CHECK(r.rows == 0);
    CHECK(r.mean_target_angle == 0);
    CHECK(loss_value(backend, loss, batch, view(workspace)).loss == 0);
    CHECK(logits(backend, loss, batch, losskit::matrix(none, 0, 10), view(workspace)).rows == 0);
    logits_backward(backend, loss, batch, losskit::matrix(none, 0, 10), losskit::matrix(none, 0, 10));
    std::vector<SavedRow> saved;
    loss_gradient(backend, loss, batch, saved, losskit::matrix(none, 0, 10));
    std::vector<std::byte> points(point_workspace_bytes(0, 0));
    CHECK(loss_and_gradient(backend, WingLoss{}, none, none, none, view(points)).loss == 0);
    std::vector<std::byte> scratch(advance_workspace_bytes(0));
    AdaCosScale const scale(10);
    auto const next = advance(backend, scale, scale.start(), batch, view(scratch));
    CHECK(next.scale == scale.fixed());
    CHECK(next.kept == 1);
    normalize_rows(backend, losskit::matrix(none, 0, 10), losskit::matrix(none, 0, 10), none);
  };
  empty(on::serial{});
  empty(losskit::on::eigen{});
}

TEST_CASE("int32 and int64 labels are the same labels") {
  auto const same = [](auto const& backend) {
    Problem<float, std::int32_t> p(5, 99);
    Problem<float, std::int64_t> q(5, 99);
    p.labels[1] = -1, q.labels[1] = -1;
    auto const loss = MarginSoftmax{ArcMargin{0.5}, 30.0, CrossEntropy{}, HardNegatives{0.2}};
    Guarded<float> a(5, 99), b(5, 99);
    std::vector<std::byte> workspace(workspace_bytes<float>(backend, 5, 99, Placement::out_of_place));
    auto const r = loss_and_gradient(backend, loss, p.weighted(), a.matrix(), view(workspace), {.ignore_label = -1});
    auto const s = loss_and_gradient(backend, loss, q.weighted(), b.matrix(), view(workspace), {.ignore_label = -1});
    CHECK(r.loss == s.loss);
    CHECK(a.same_bits(b));
    expect_same_counts(r, s);
  };
  same(on::serial{});
  same(losskit::on::eigen{});
}

TEST_CASE("eigen and serial agree: point losses") {
  for (idx const cols : odd_sizes) {
    compare_points<float>(2, cols, cols % 3, cols % 2);
    compare_points<double>(2, cols, cols % 3, cols % 2);
  }
  compare_points<float>(1, 200003, 0, 1);
  compare_points<float>(3, 70001, 5, 1);
}

TEST_CASE("eigen and serial agree: normalised rows and their gradient") {
  for (idx const cols : odd_sizes) {
    compare_rows<float>(cols);
    compare_rows<double>(cols);
  }
}

TEST_CASE("cosines of pairs") {
  for (idx const cols : odd_sizes) {
    compare_pairs<float>(cols, on::serial{});
    compare_pairs<double>(cols, on::serial{});
    compare_pairs<float>(cols);
    compare_pairs<double>(cols);
  }
  std::vector<float> const a{1, 2, 3, 4, 5, 6};
  std::vector<float> c(2);
  auto const pairs = losskit::matrix(a, 2, 3);
  CHECK_THROWS_AS(pair_cosines(on::serial{}, pairs, losskit::matrix(a, 3, 2), c), ShapeError);
  CHECK_THROWS_AS(pair_cosines(on::serial{}, pairs, pairs, VectorView<float>{c.data(), 1}), ShapeError);
  CHECK_THROWS_AS(pair_cosines(on::serial{}, pairs, pairs, VectorView<float>{const_cast<float*>(a.data()), 2}), AliasError);
  CHECK(c[0] == 0);  // nothing was written
}

TEST_CASE("eigen and serial agree: the cosine layer") {
  for (idx const classes : {idx(1), idx(17), idx(600)})
    for (idx const rows : {idx(1), idx(7), idx(530)})
      for (idx const width : {idx(1), idx(33), idx(64)}) {
        compare_layer<float>(rows, classes, width);
        compare_layer<double>(rows, classes, width);
      }
  compare_layer<float>(3, 4500, 17);  // more classes than are computed at a time where dw takes unit_w's place
}

TEST_CASE("eigen and serial agree: the next scale of AdaCos") {
  for (idx const cols : odd_sizes)
    if (cols >= 3)
      for (double const s : {2.0, 30.0, 300.0}) {
        compare_advance<float>(cols, s, 1e-6);
        compare_advance<double>(cols, s, 1e-13);
      }
}

// The largest outputs are written past the caches, at any alignment: the bits are those of a call in place.
template <class T>
void past_caches(idx rows, idx cols) {
  idx const n = rows * cols;
  std::vector<T> start(size(n)), gradient(size(n + 40));
  for (idx j = 0; j < n; ++j) start[size(j)] = T(0.9 * std::sin(0.37 * double(j)));
  std::vector<T> const truth(start.rbegin(), start.rend());
  std::vector<std::int32_t> labels(size(rows));
  for (idx i = 0; i < rows; ++i) labels[size(i)] = static_cast<std::int32_t>(i * 7919 % cols);
  losskit::on::eigen const backend;
  std::vector<std::byte> workspace(std::max(workspace_bytes<T>(backend, rows, cols, Placement::out_of_place), point_workspace_bytes(1, n)));
  auto const same_bits = [&](auto const& call) {
    auto in_place = start;
    double const loss = call(in_place.data(), in_place.data());
    for (idx const shift : {idx(0), idx(1), idx(19)}) {
      std::fill(gradient.begin(), gradient.end(), T(77));
      CHECK(call(start.data(), gradient.data() + shift) == loss);
      CHECK(std::memcmp(gradient.data() + shift, in_place.data(), size(n) * sizeof(T)) == 0);
      CHECK(std::count(gradient.begin(), gradient.end(), T(77)) == 40);
    }
  };
  same_bits([&](T* c, T* g) {
    Batch const batch(MatrixView<T const>{c, rows, cols, cols}, labels);
    return loss_and_gradient(backend, MarginSoftmax{ArcMargin{0.5}, 64.0}, batch, MatrixView<T>{g, rows, cols, cols}, view(workspace)).loss;
  });
  same_bits([&](T* x, T* g) {
    return loss_and_gradient(backend, WingLoss{0.5, 0.1}, VectorView<T const>{x, n}, VectorView<T const>{truth.data(), n},
                             VectorView<T>{g, n}, view(workspace), {.upstream = 3})
        .loss;
  });
  same_bits([&](T* x, T* g) {
    return loss_and_gradient(backend, SigmoidFocalLoss{}, VectorView<T const>{x, n}, VectorView<T const>{truth.data(), n},
                             VectorView<T>{g, n}, view(workspace), {.upstream = 3})
        .loss;
  });
}
TEST_CASE("outputs too large for the caches") {
  past_caches<float>(9, 1000003);
  past_caches<double>(5, 1000003);
  // Rows short enough to be written while the next one is read, whose e takes their place in the buffer.
  past_caches<float>(130, 65537);
  past_caches<double>(66, 65537);
}

// The formula, number by number in double, against what a backend sums and writes; at every length, so that each tail of a
// packet, of several side by side and of a block is met.
template <class T>
void as_the_formula() {
  auto const check = [](auto const& backend, auto const& loss) {
    for (idx n = 1; n <= 700; n += n < 150 ? 1 : 61) {
      std::vector<T> x(size(n)), truth(size(n)), weights(size(n)), g(size(n) + 8, T(77));
      bool const weighted = n % 3 != 0;  // a weight of 0 past the end would hide what is summed there
      double sum = 0;
      for (idx j = 0; j < n; ++j) {
        x[size(j)] = T(3 * std::sin(1.7 * double(j + n)));
        truth[size(j)] = T((j * 7 + n) % 3 == 0);
        weights[size(j)] = weighted ? T(0.25 + double(j % 5)) : T(1);
      }
      std::vector<std::byte> workspace(point_workspace_bytes(1, n));
      auto const r = loss_and_gradient(backend, loss, MatrixView<T const>{x.data(), 1, n, n}, MatrixView<T const>{truth.data(), 1, n, n},
                                       MatrixView<T>{g.data(), 1, n, n}, view(workspace),
                                       {.reduction = Reduction::sum, .upstream = -1.5},
                                       {.weights = weighted ? MatrixView<T const>{weights.data(), 1, n, n} : MatrixView<T const>{}});
      double const tolerance = sizeof(T) == 4 ? 6e-7 : 4e-15;
      bool close = true;
      for (idx j = 0; j < n; ++j) {
        auto const at = loss(Scalar<double>(double(x[size(j)])), Scalar<double>(double(truth[size(j)])));
        double const weight = double(weights[size(j)]);
        sum += weight * at.value.v;
        close = close && std::fabs(double(g[size(j)]) + 1.5 * weight * at.slope.v) <= tolerance * (1 + std::fabs(weight * at.slope.v));
      }
      INFO(std::decay_t<decltype(loss)>::name << ", " << backend.name << ", n = " << n << ", bytes " << sizeof(T));
      CHECK(close);
      CHECK(double(r.loss) == doctest::Approx(sum).epsilon(tolerance));
      CHECK(std::count(g.begin() + n, g.end(), T(77)) == 8);
    }
  };
  auto const on = [&](auto const& backend) {
    check(backend, WingLoss{0.5, 0.1});
    check(backend, AdaptiveWingLoss{});
    check(backend, SigmoidFocalLoss{});
    check(backend, SigmoidFocalLoss{0.5, SigmoidFocalLoss::no_alpha});
  };
  on(on::serial{});
  on(losskit::on::eigen{});
}
TEST_CASE("point losses are upstream times weight times the formula, at every length (float)") { as_the_formula<float>(); }
TEST_CASE("point losses are upstream times weight times the formula, at every length (double)") { as_the_formula<double>(); }
