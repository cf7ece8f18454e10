// Eigen's objects as arguments of every call: row-major matrices and arrays, maps, blocks with an outer stride and Ref, const or not,
// give the bits that the same numbers in a std::vector give, and nothing beside them is written. What must not compile is no_compile's.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../expect_error.hpp"
#include "losskit/adapt/eigen.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

template <class T>
using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Column = Eigen::Matrix<T, Eigen::Dynamic, 1>;

constexpr idx B = 4, C = 7, D = 5;
constexpr float beside = 77;  // what lies beside a matrix, and must stay
on::eigen const backend{};
MarginSoftmax const arc{ArcMargin{0.5}, 16.0};
std::vector<int> const some_labels{2, 0, 6, 3};

std::vector<float> numbers(idx count, int seed) {
  std::vector<float> all;
  for (idx i = 0; i < count; ++i) all.push_back(static_cast<float>(std::sin(1.7 * double(i) + seed)) * 0.8F);
  return all;
}
std::vector<std::byte> workspace_for(Placement placement) { return std::vector<std::byte>(workspace_bytes<float>(backend, B, C, placement)); }

// f(object, its numbers, what lies around it is as it was) for each of Eigen's ways to hold rows x cols numbers.
template <class F>
void for_each_form(std::vector<float> const& values, idx rows, idx cols, F const& f) {
  auto const run = [&](char const* name, auto& object, auto const& whole, auto const& fill) {
    CAPTURE(std::string(name));
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j) object(i, j) = values[std::size_t(i * cols + j)];
    f(object, [&, count = whole.size() - rows * cols] {
      auto all = whole;
      for (idx i = 0; i < rows; ++i)
        for (idx j = 0; j < cols; ++j) fill(all, i, j) = beside;
      return std::count(all.data(), all.data() + all.size(), beside) == count + rows * cols;
    });
  };
  auto const inside = [](auto& all, idx i, idx j) -> float& { return all(i + 1, j + 2); };
  auto const from_corner = [](auto& all, idx i, idx j) -> float& { return all(i, j); };
  Rows<float> plain(rows, cols), wide = Rows<float>::Constant(rows + 2, cols + 4, beside), wide_for_ref = wide, corner = wide, whole(rows, cols);
  run("matrix", plain, plain, from_corner);
  Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> array(rows, cols);
  run("array", array, array, from_corner);
  Eigen::Matrix<float, 6, Eigen::Dynamic, Eigen::RowMajor | Eigen::DontAlign> bounded = Rows<float>::Constant(6, cols, beside);
  auto top = bounded.topRows(rows);
  run("rows of a half fixed matrix", top, bounded, from_corner);
  auto block = wide.block(1, 2, rows, cols);
  run("block", block, wide, inside);
  Eigen::Ref<Rows<float>> ref = wide_for_ref.block(1, 2, rows, cols);
  run("Ref of a block", ref, wide_for_ref, inside);
  Eigen::Map<Rows<float>> map(whole.data(), rows, cols);
  run("Map", map, whole, from_corner);
  Eigen::Map<Rows<float>, 0, Eigen::OuterStride<>> strided(corner.data(), rows, cols, Eigen::OuterStride<>(cols + 4));
  run("Map with a stride", strided, corner, from_corner);
  Eigen::Map<Rows<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> both(corner.data(), rows, cols, {cols + 4, 1});
  run("Map with two strides", both, corner, from_corner);
}

// The numbers of an object of Eigen's, or of a view, row by row.
template <class M>
std::vector<float> numbers_of(M const& m) {
  std::vector<float> all;
  for (idx i = 0; i < m.rows(); ++i)
    for (idx j = 0; j < m.cols(); ++j) all.push_back(m(i, j));
  return all;
}

template <class T>
Column<T> column(std::vector<T> const& v) {
  return Eigen::Map<Column<T> const>(v.data(), static_cast<Eigen::Index>(v.size()));
}

}  // namespace

TEST_CASE("loss_and_gradient, apart and in place: every form of cosines and of gradient") {
  std::vector<float> const values = numbers(B * C, 1);
  std::vector<float> expected(values.size());
  auto workspace = workspace_for(Placement::out_of_place);
  Report const report =
      loss_and_gradient(backend, arc, Batch(matrix(values, B, C), some_labels), matrix(expected, B, C), view(workspace));
  Column<int> const labels = column(some_labels);
  for_each_form(values, B, C, [&](auto& cosines, auto const& kept) {
    for_each_form(std::vector<float>(values.size()), B, C, [&](auto& gradient, auto const& gradient_kept) {
      CHECK(loss_and_gradient(backend, arc, Batch(cosines, labels), gradient, view(workspace)).loss == report.loss);
      CHECK(numbers_of(gradient) == expected);
      CHECK(gradient_kept());
    });
    auto const& constant = cosines;
    Rows<float> gradient(B, C);
    CHECK(loss_and_gradient(backend, arc, Batch(constant, labels), gradient, view(workspace)).loss == report.loss);
    CHECK(numbers_of(cosines) == values);
    loss_and_gradient(backend, arc, Batch(cosines, labels), cosines, view(workspace));
    CHECK(numbers_of(cosines) == expected);
    CHECK(kept());
  });
}

TEST_CASE("a batch's weights, labels and outputs as vectors, rows and columns of Eigen's; Eigen's bytes as a workspace") {
  std::vector<float> const values = numbers(B * C, 2), weights{1, 0.5F, 2, 0.25F}, class_weights{1, 2, 3, 4, 3, 2, 1};
  std::vector<float> expected(values.size()), losses(B);
  auto memory = workspace_for(Placement::out_of_place);
  Batch plain(matrix(values, B, C), some_labels);
  plain.weights = view(weights), plain.class_weights = view(class_weights), plain.scales = view(weights);
  loss_and_gradient(backend, arc, plain, matrix(expected, B, C), view(memory), {}, {.row_losses = view(losses)});

  Rows<float> const cosines = Eigen::Map<Rows<float> const>(values.data(), B, C);
  Rows<float> gradient(B, C), table(3, 9);
  table.row(1).head(B) = column(weights).transpose();
  Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1> labels(B);
  Eigen::RowVectorXf const of_classes = column(class_weights).transpose();
  Eigen::Matrix<std::byte, Eigen::Dynamic, 1> workspace(static_cast<Eigen::Index>(memory.size()));
  for (idx i = 0; i < B; ++i) labels[i] = some_labels[std::size_t(i)];
  Batch batch(cosines, labels);
  auto const row = table.row(1).head(B);
  Eigen::Map<Eigen::ArrayXf const> const scales(weights.data(), B);
  Eigen::VectorXf row_losses(B);
  batch.weights = row, batch.class_weights = of_classes, batch.scales = scales;
  loss_and_gradient(backend, arc, batch, gradient, workspace, {}, {.row_losses = row_losses});
  CHECK(numbers_of(gradient) == expected);
  CHECK(numbers_of(row_losses) == losses);

  // Columns of row-major matrices are no neighbours: refused as they come.
  Rows<int> label_table = Rows<int>::Zero(B, 3);
  auto const apart = label_table.col(1);
  test::expect_error<StrideError>([&] { Batch(cosines, apart); }, {"inner stride 3"});
  Eigen::Map<Rows<float>, 0, Eigen::InnerStride<2>> const every_second(table.data(), 2, 4);
  test::expect_error<StrideError>([&] { Batch(every_second, labels); }, {"inner stride 2"});
}

TEST_CASE("loss_value, loss_gradient, logits and logits_backward") {
  std::vector<float> const values = numbers(B * C, 3);
  std::vector<float> gradient(values.size()), z(values.size()), dc(values.size());
  std::vector<SavedRow> saved(B), eigen_saved(B);
  auto workspace = workspace_for(Placement::no_gradient);
  Batch const plain(matrix(values, B, C), some_labels);
  double const loss = loss_value(backend, arc, plain, view(workspace), {}, {.saved = view(saved)}).loss;
  loss_gradient(backend, arc, plain, saved, matrix(gradient, B, C));
  logits(backend, arc, plain, matrix(z, B, C), view(workspace));
  logits_backward(backend, arc, plain, matrix(gradient, B, C), matrix(dc, B, C));
  for_each_form(values, B, C, [&](auto& cosines, auto const&) {
    Batch const batch(cosines, some_labels);
    CHECK(loss_value(backend, arc, batch, view(workspace), {}, {.saved = view(eigen_saved)}).loss == loss);
    for_each_form(std::vector<float>(values.size()), B, C, [&](auto& out, auto const& kept) {
      loss_gradient(backend, arc, batch, eigen_saved, out);
      CHECK(numbers_of(out) == gradient);
      auto const& upstream = out;
      Rows<float> back(B, C);
      logits_backward(backend, arc, batch, upstream, back);
      CHECK(numbers_of(back) == dc);
      logits(backend, arc, batch, out, view(workspace));
      CHECK(numbers_of(out) == z);
      CHECK(kept());
    });
  });
}

TEST_CASE("the head: normalize_rows, cosine_layer, their backwards, pair_cosines") {
  std::vector<float> const x = numbers(B * D, 4), w = numbers(C * D, 5), upstream = numbers(B * C, 6);
  std::vector<float> ux(x.size()), uw(w.size()), nx(B), nw(C), c(B * C), dx(x.size()), dw(w.size()), pairs(B), dn(x.size());
  CosineLayer<float> const plain{matrix(ux, B, D), matrix(uw, C, D), view(nx), view(nw)};
  cosine_layer(backend, matrix(x, B, D), matrix(w, C, D), plain, matrix(c, B, C));
  cosine_layer_backward(backend, plain, matrix(upstream, B, C), matrix(dx, B, D), matrix(dw, C, D));
  normalize_rows_backward(backend, plain.unit_x, plain.norms_x, matrix(x, B, D), matrix(dn, B, D));
  pair_cosines(backend, matrix(x, B, D), plain.unit_x, pairs);
  Rows<float> const centres = Eigen::Map<Rows<float> const>(w.data(), C, D), dc = Eigen::Map<Rows<float> const>(upstream.data(), B, C);
  for_each_form(x, B, D, [&](auto& embeddings, auto const& kept) {
    auto const& constant = embeddings;
    Rows<float> of_x(B, D), of_w(C, D);
    Eigen::VectorXf norms_x(B), norms_w(C), similar(B);
    CosineLayer<float> const layer{view(of_x), view(of_w), view(norms_x), view(norms_w)};
    for_each_form(std::vector<float>(B * C), B, C, [&](auto& cosines, auto const& cosines_kept) {
      cosine_layer(backend, constant, centres, layer, cosines);
      CHECK(numbers_of(cosines) == c);
      CHECK(cosines_kept());
    });
    for_each_form(std::vector<float>(B * D), B, D, [&](auto& gradient, auto const& gradient_kept) {
      Rows<float> of_centres(C, D);
      cosine_layer_backward(backend, layer, dc, gradient, of_centres);
      CHECK(numbers_of(gradient) == dx);
      CHECK(numbers_of(of_centres) == dw);
      normalize_rows_backward(backend, of_x, norms_x, constant, gradient);
      CHECK(numbers_of(gradient) == dn);
      CHECK(gradient_kept());
    });
    pair_cosines(backend, constant, of_x, similar);
    CHECK(numbers_of(similar) == pairs);
    normalize_rows(backend, embeddings, embeddings, norms_x);
    CHECK(numbers_of(embeddings) == ux);
    CHECK(numbers_of(norms_x) == nx);
    CHECK(kept());
  });
}

TEST_CASE("point losses, of matrices and of vectors, with weights") {
  std::vector<float> const prediction = numbers(B * C, 7), truth = numbers(B * C, 8), weights(B * C, 0.5F);
  std::vector<float> expected(prediction.size()), each(prediction.size());
  std::vector<std::byte> workspace(point_workspace_bytes(B, C));
  WingLoss const wing;
  double const loss = loss_and_gradient(backend, wing, matrix(prediction, B, C), matrix(truth, B, C), matrix(expected, B, C),
                                        view(workspace), {}, {matrix(weights, B, C), matrix(each, B, C)}).loss;
  auto const near = doctest::Approx(loss).epsilon(1e-7);  // rows apart are summed one by one, those in one piece as one
  Rows<float> const w = Rows<float>::Constant(B, C, 0.5F);
  for_each_form(prediction, B, C, [&](auto& p, auto const& kept) {
    for_each_form(truth, B, C, [&](auto& t, auto const&) {
      auto const& constant = t;
      Rows<float> gradient(B, C), losses(B, C);
      CHECK(loss_and_gradient(backend, wing, p, constant, gradient, view(workspace), {}, {view(w), view(losses)}).loss == near);
      CHECK(numbers_of(gradient) == expected);
      CHECK(numbers_of(losses) == each);
      CHECK(loss_value(backend, wing, constant, p, view(workspace), {}, {view(w), {}}).loss == near);  // |d| is the same
    });
    loss_and_gradient(backend, wing, p, matrix(truth, B, C), p, view(workspace), {}, {view(w), {}});
    CHECK(numbers_of(p) == expected);
    CHECK(kept());
  });

  Eigen::VectorXf const p = column(prediction), t = column(truth);
  Eigen::ArrayXf gradient(B * C);
  std::vector<float> unweighted(prediction.size());
  double const of_vectors = loss_and_gradient(backend, wing, prediction, truth, unweighted, view(workspace)).loss;
  CHECK(loss_and_gradient(backend, wing, p, t, gradient, view(workspace)).loss == of_vectors);
  CHECK(numbers_of(gradient) == unweighted);
  auto half = gradient.head(B * C / 2);  // a part of a vector, of a matrix's row
  Rows<float> const table = Eigen::Map<Rows<float> const>(prediction.data(), 2, B * C / 2);
  auto const row = table.row(0);
  auto const half_truth = t.head(B * C / 2);
  CHECK(std::isfinite(loss_and_gradient(backend, wing, row, half_truth, half, view(workspace)).loss));
  CHECK(half[0] == unweighted[0] * 2);
}

TEST_CASE("advance, of a policy that follows the batch") {
  std::vector<float> const values = numbers(B * C, 9);
  AdaCosScale const scale(C);
  std::vector<std::byte> workspace(advance_workspace_bytes(B));
  auto const expected = advance(backend, scale, scale.start(), Batch(matrix(values, B, C), some_labels), view(workspace));
  Column<int> const labels = column(some_labels);
  for_each_form(values, B, C, [&](auto& cosines, auto const&) {
    CHECK(advance(backend, scale, scale.start(), Batch(cosines, labels), view(workspace)).scale == expected.scale);
  });
}

TEST_CASE("recognition: similarities of rows, curves and accuracies of vectors") {
  Rows<float> const embeddings = Eigen::Map<Rows<float> const>(numbers(B * D, 10).data(), B, D);
  std::vector<float> const a = numbers_of(embeddings.row(0)), b = numbers_of(embeddings.row(1));
  CHECK(cosine_similarity(embeddings.row(0), embeddings.row(1)) == cosine_similarity(a, b));
  CHECK(angle_between(embeddings.row(0), column(b)) == angle_between(a, b));
  CHECK(squared_distance(embeddings.row(0), embeddings.row(1)) == squared_distance(a, b));
  std::vector<float> const scores = numbers(40, 11);
  std::vector<int> same;
  for (float const s : scores) same.push_back(s > 0.1F);
  std::vector<RocPoint> points(roc_capacity(40)), others(roc_capacity(40));
  Eigen::VectorXf const eigen_scores = column(scores);
  Eigen::VectorXi const eigen_same = column(same);
  CHECK(auc(roc(eigen_scores, eigen_same, others)) == auc(roc(scores, same, points)));
  std::vector<FoldedPair> scratch(folds_capacity(40));
  CHECK(verification_accuracy(eigen_scores, eigen_same, ContiguousFolds{4}, scratch).mean ==
        verification_accuracy(scores, same, ContiguousFolds{4}, scratch).mean);
}

TEST_CASE("matrix() of a vector, double, fixed sizes, one row, no row") {
  std::vector<float> const values = numbers(B * C, 12);
  auto workspace = workspace_for(Placement::out_of_place);
  std::vector<float> expected(values.size());
  loss_and_gradient(backend, arc, Batch(matrix(values, B, C), some_labels), matrix(expected, B, C), view(workspace));
  Eigen::VectorXf const flat = column(values);
  Eigen::VectorXf gradient(B * C);
  loss_and_gradient(backend, arc, Batch(matrix(flat, B, C), some_labels), matrix(gradient, B, C), view(workspace));
  CHECK(numbers_of(gradient) == expected);
  test::expect_error<ShapeError>([&] { matrix(flat, B, C + 1); }, {"4 x 8", "28"});

  Eigen::Matrix<float, B, C, Eigen::RowMajor> fixed = Eigen::Map<Rows<float> const>(values.data(), B, C);
  loss_and_gradient(backend, arc, Batch(fixed, some_labels), fixed, view(workspace));
  CHECK(numbers_of(fixed) == expected);
  Rows<double> exact = Eigen::Map<Rows<float> const>(values.data(), B, C).cast<double>();
  std::vector<std::byte> of_double(workspace_bytes<double>(backend, B, C, Placement::in_place));
  loss_and_gradient(backend, arc, Batch(exact, some_labels), exact, view(of_double));
  CHECK(std::abs(exact(0, 0) - double(expected[0])) < 1e-5);
  Rows<float> one = Eigen::Map<Rows<float> const>(values.data(), 1, C), none(0, C);
  Column<int> const first = column(some_labels).head(1), no_labels(0);
  CHECK(loss_and_gradient(backend, arc, Batch(one, first), one, view(workspace)).rows == 1);
  CHECK(one(0, 1) == expected[1] * 4);  // a mean over one row
  CHECK(loss_and_gradient(backend, arc, Batch(none, no_labels), none, view(workspace)).loss == 0);
}
