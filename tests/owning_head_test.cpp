// OwningHead: its gradients are those of the loss by embeddings and centres, its bits those of the calls by hand, and a call that throws
// leaves the gradients of the one before. That it allocates once is allocation_test's.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "expect_error.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/losskit.hpp"

using namespace losskit;

namespace {

MarginSoftmax const arc{ArcMargin{0.5}, 8.0};

template <class T>
std::vector<T> numbers(idx count, double seed) {
  std::vector<T> all;
  for (idx i = 0; i < count; ++i) all.push_back(static_cast<T>(3 * std::sin(1.7 * double(i) + seed)));
  return all;
}
template <class T>
std::vector<T> copied(MatrixView<T const> m) {
  std::vector<T> all;
  for (idx i = 0; i < m.rows; ++i) all.insert(all.end(), m.row(i), m.row(i) + m.cols);
  return all;
}

// Embeddings, centres and labels of one call.
template <class T>
struct Call {
  idx rows, classes, width;
  std::vector<T> x, w;
  std::vector<int> labels;
  Call(idx rows_, idx classes_, idx width_)
      : rows(rows_), classes(classes_), width(width_), x(numbers<T>(rows * width, 1)), w(numbers<T>(classes * width, 2)) {
    for (idx i = 0; i < rows; ++i) labels.push_back(static_cast<int>(i * 5 % classes));
  }
  template <class B>
  Report with(OwningHead<T>& head, B const& backend, Options const& options = {}, Outputs<T> const& out = {}) {
    return head.loss_and_gradient(backend, arc, matrix(x, rows, width), matrix(w, classes, width), labels, options, out);
  }
};

}  // namespace

TEST_CASE("dx and dw are the derivatives of the loss, through both lengths") {
  Call<double> call(4, 7, 5);
  Options const options{.reduction = Reduction::sum, .ignore_label = 3};
  call.labels[1] = 3;
  OwningHead<double> head, other;
  call.with(head, on::serial{}, options);
  auto const check = [&](std::vector<double>& numbers_of_call, MatrixView<double const> gradient) {
    REQUIRE(copied(gradient).size() == numbers_of_call.size());
    for (std::size_t i = 0; i < numbers_of_call.size(); ++i) {
      double const at = numbers_of_call[i], step = 1e-5;
      auto const loss_at = [&](double value) {
        numbers_of_call[i] = value;
        return call.with(other, on::serial{}, options).loss;
      };
      double const slope = (loss_at(at + step) - loss_at(at - step)) / (2 * step);
      numbers_of_call[i] = at;
      CHECK(copied(gradient)[i] == doctest::Approx(slope).epsilon(1e-7).scale(1));
    }
  };
  check(call.x, head.dx());
  check(call.w, head.dw());
}

template <class T, class B>
void as_by_hand(B const& backend, OwningHead<T>& head, idx rows, idx classes, idx width) {
  Call<T> call(rows, classes, width);
  auto const zeros = [](idx count) { return std::vector<T>(static_cast<std::size_t>(count)); };
  auto unit_x = zeros(rows * width), dw = zeros(classes * width), norms_x = zeros(rows), norms_w = zeros(classes), dx = unit_x;
  auto cosines = zeros(rows * classes), losses = zeros(rows), losses_of_head = losses;
  auto const c = matrix(cosines, rows, classes), unit_w = matrix(dw, classes, width);
  CosineLayer<T> const layer{matrix(unit_x, rows, width), unit_w, norms_x, norms_w};
  std::vector<std::byte> workspace(workspace_bytes<T>(backend, rows, classes, Placement::in_place));
  std::vector<std::byte> for_layer(cosine_layer_workspace_bytes<T>(rows, classes, width, Write::accumulate));
  Options const options{.reduction = Reduction::sum, .upstream = 0.5};
  cosine_layer(backend, matrix(call.x, rows, width), matrix(call.w, classes, width), layer, c);
  Report const report = loss_and_gradient(backend, arc, Batch(c, call.labels), c, workspace, options, {.row_losses = losses});
  cosine_layer_backward(backend, layer, c, matrix(dx, rows, width), unit_w, for_layer);

  Report const of_head = call.with(head, backend, options, {.row_losses = losses_of_head});
  CHECK(of_head.loss == report.loss);
  CHECK(of_head.top1 == report.top1);
  CHECK(losses_of_head == losses);
  CHECK(copied(head.dx()) == dx);
  CHECK(copied(head.dw()) == dw);
}

TEST_CASE("the bits are those of the calls by hand, whatever was held before") {
  OwningHead<double> on_serial;
  OwningHead<float> on_eigen;
  for (auto const& [rows, classes, width] : {std::array<idx, 3>{6, 9, 17}, {3, 40, 33}, {1, 2, 1}, {0, 5, 4}, {6, 9, 17}}) {
    as_by_hand(on::serial{}, on_serial, rows, classes, width);
    as_by_hand(on::eigen{}, on_eigen, rows, classes, width);
  }
  as_by_hand(on::eigen{}, on_eigen, 8, 5000, 20);  // more classes than are done at a time
}

TEST_CASE("what is wrong is refused, and the gradients stay") {
  Call<float> call(4, 7, 5);
  OwningHead<float> head;
  CHECK(head.dx().rows == 0);
  call.with(head, on::serial{});
  auto const dx = copied(head.dx()), dw = copied(head.dw());
  std::vector<float> losses(8);
  auto const refused = [&](auto error, auto const& spoil, std::initializer_list<char const*> words) {
    Call<float> bad(9, 30, 8);
    Options options;
    Outputs<float> out;
    spoil(bad, options, out);
    MatrixView<float const> const x = matrix(bad.x, 9, 8), w = matrix(bad.w, 30, idx(bad.w.size()) / 30);
    test::expect_error<decltype(error)>([&] { head.loss_and_gradient(on::serial{}, arc, x, w, bad.labels, options, out); }, words);
    CHECK(copied(head.dx()) == dx);
    CHECK(copied(head.dw()) == dw);
  };
  refused(ShapeError(""), [](auto& c, auto&, auto&) { c.w.resize(90); }, {"x has 8 columns and w 3"});
  refused(ShapeError(""), [](auto& c, auto&, auto&) { c.labels.pop_back(); }, {"labels", "8", "9"});
  refused(LabelError(""), [](auto& c, auto&, auto&) { c.labels[2] = 30; }, {"labels[2] = 30"});
  refused(ShapeError(""), [&](auto&, auto&, auto& out) { out.row_losses = losses; }, {"row_losses", "8", "9"});
  refused(ParameterError(""), [](auto&, auto& options, auto&) { options.top_k = 0; }, {"top_k = 0"});
  refused(ParameterError(""), [](auto&, auto& options, auto&) { options.write = Write::accumulate; }, {"write", "adds to nothing"});
}
