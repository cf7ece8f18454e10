// The LibTorch adapter: the gradients against LibTorch's own autograd and against differences, and what autograd expects of a
// function: that nothing saved is changed, that whatever is overwritten is marked, that what is not defined is refused.
#include <torch/csrc/autograd/autograd.h>

#include "losskit/adapt/torch.hpp"
#include "losskit/losskit.hpp"
#undef CHECK  // LibTorch's; doctest has its own
#include <doctest/doctest.h>

#include <functional>
#include <initializer_list>
#include <new>
#include <string>
#include <thread>
#include <vector>

using namespace losskit;  // torch:: and at:: stay what they are
using adapt::MarginLossOptions;

namespace {

MarginSoftmax const arc{ArcMargin{0.5}, 16.0};

// `rows` x `classes` cosines in (-0.85, 0.85), where ArcMargin{0.5} stays below pi, and labels.
struct Problem {
  at::Tensor cosines, labels;

  explicit Problem(idx rows = 6, idx classes = 9, at::ScalarType type = at::kDouble) {
    at::manual_seed(7);
    cosines = at::rand({rows, classes}, type).mul_(1.7).sub_(0.85);
    labels = at::randint(classes, {rows}, at::kLong);
  }
  // The cosines as a leaf, and as the result of an operation that does not need its own output.
  [[nodiscard]] at::Tensor leaf() const { return cosines.clone().requires_grad_(true); }
  [[nodiscard]] static at::Tensor of(at::Tensor const& leaf) { return leaf * 1; }
};

at::Tensor gradient_of(at::Tensor const& loss, at::Tensor const& by, at::Tensor const& upstream = {}) {
  return torch::autograd::grad({loss}, {by}, {upstream}, /*retain_graph=*/true)[0];
}
bool same_bits(at::Tensor const& a, at::Tensor const& b) { return a.dtype() == b.dtype() && at::equal(a, b); }
// The largest difference, of the largest number.
double apart(at::Tensor const& a, at::Tensor const& expected) {
  return ((a - expected).abs().max() / expected.abs().max()).item<double>();
}

// f throws E, and its text holds all of `words`.
template <class E = c10::ValueError>
void refused(std::function<void()> const& f, std::initializer_list<char const*> words) {
  std::string text = "nothing was thrown";
  bool typed = false;
  try {
    f();
  } catch (E const& e) {
    typed = true;
    text = e.what();
  } catch (std::exception const& e) {
    text = std::string("another type: ") + e.what();
  }
  INFO(text);
  CHECK(typed);
  for (char const* word : words) {
    INFO("should name: " << std::string(word));
    CHECK(text.find(word) != std::string::npos);
  }
}

// The gradient by x that autograd gives, against central differences of f, element by element.
double off_differences(std::function<at::Tensor(at::Tensor const&)> const& f, at::Tensor const& at_point) {
  at::Tensor const x = at_point.clone().requires_grad_(true), gradient = gradient_of(f(x), x), expected = at::empty_like(at_point);
  at::NoGradGuard const values_only;
  double const h = 1e-5;
  for (idx i = 0; i < x.numel(); ++i) {
    at::Tensor const above = at_point.clone(), below = at_point.clone();
    above.view({-1})[i] += h;
    below.view({-1})[i] -= h;
    expected.view({-1})[i] = (f(above) - f(below)) / (2 * h);
  }
  return apart(gradient, expected);
}

struct Threads {
  int const before = at::get_num_threads();
  explicit Threads(int count) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before); }
};

}  // namespace

TEST_CASE("ArcFace as LibTorch's own operations give it") {
  Problem const problem;
  at::Tensor const ours = problem.leaf(), theirs = problem.leaf();
  at::Tensor const loss = adapt::margin_loss(arc, ours, problem.labels);
  at::Tensor const hot = at::one_hot(problem.labels, 9).to(at::kBool);
  at::Tensor const reference =
      at::cross_entropy_loss(at::where(hot, (theirs.acos() + 0.5).cos(), theirs) * 16, problem.labels);
  loss.backward();
  reference.backward();
  CHECK(loss.dim() == 0);
  CHECK(apart(loss, reference) < 1e-13);
  CHECK(apart(ours.grad(), theirs.grad()) < 1e-12);
}

TEST_CASE("gradients are those of the values, for several compositions") {
  Problem const problem(4, 7);
  at::Tensor const weights = at::rand({4}, at::kDouble), class_weights = at::rand({7}, at::kDouble) + 0.5,
                   scales = at::rand({4}, at::kDouble) * 8 + 4, margins = at::rand({4}, at::kDouble) * 0.4;
  auto const off = [&](auto const& loss, MarginLossOptions const& options) {
    return off_differences([&](at::Tensor const& c) { return adapt::margin_loss(loss, c, problem.labels, options); }, problem.cosines);
  };
  CHECK(off(arc, {}) < 1e-8);
  CHECK(off(arc, {.reduction = Reduction::sum, .class_weights = class_weights}) < 1e-8);
  CHECK(off(arc, {.reduction = Reduction::weighted_mean, .weights = weights, .scales = scales, .margins = margins}) < 1e-8);
  CHECK(off(MarginSoftmax{CosMargin{0.35}, 12.0, FocalLoss{2}}, {.weights = weights}) < 1e-8);
  CHECK(off(MarginSoftmax{SphereMargin{2}, 12.0, CrossEntropy{}, HardNegatives{0.2}}, {}) < 1e-8);
  CHECK(off(MarginSoftmax{NoMargin{}, 12.0}, {.ignore_label = problem.labels[1].item<idx>()}) < 1e-8);
  CHECK(off(SoftmaxLoss{LabelSmoothing{0.1}}, {}) < 1e-8);
  CHECK(off_differences(
            [&](at::Tensor const& s) {
              return adapt::margin_loss(arc, problem.cosines, problem.labels, {.weights = weights, .scales = s});
            },
            scales) < 1e-8);
  CHECK(off_differences(
            [&](at::Tensor const& m) { return adapt::margin_loss(arc, problem.cosines, problem.labels, {.margins = m}); }, margins) < 1e-8);
}

TEST_CASE("every option arrives") {
  Problem const problem;
  at::Tensor const weights = at::rand({6}, at::kDouble), class_weights = at::rand({9}, at::kDouble);
  auto const loss = [&](MarginLossOptions const& options) { return adapt::margin_loss(arc, problem.cosines, problem.labels, options); };
  at::Tensor const each = loss({.reduction = Reduction::none});
  auto const is = [](at::Tensor const& a, at::Tensor const& expected) { return apart(a, expected) < 1e-14; };
  CHECK(is(loss({}), each.mean()));
  CHECK(is(loss({.reduction = Reduction::sum, .weights = weights}), (each * weights).sum()));
  CHECK(is(loss({.reduction = Reduction::batch_mean, .class_weights = class_weights}),
           (each * class_weights.index_select(0, problem.labels)).mean()));
  CHECK(is(loss({.reduction = Reduction::weighted_mean, .weights = weights}), (each * weights).sum() / weights.sum()));
  idx const ignored = problem.labels[1].item<idx>();
  at::Tensor const kept = problem.labels.ne(ignored).to(at::kDouble);
  CHECK(is(loss({.ignore_label = ignored}), (each * kept).sum() / kept.sum()));
  CHECK(is(loss({.scales = at::full({6}, 16.0, at::kDouble)}), each.mean()));
  CHECK(is(loss({.margins = at::full({6}, 0.5, at::kDouble)}), each.mean()));
  Report report;
  loss({.top_k = 9, .report = &report});
  CHECK(report.topk == 6);
}

TEST_CASE("backward twice gives the same bits, whatever came between") {
  Problem const problem;
  for (bool const in_place : {false, true}) {
    CAPTURE(in_place);
    at::Tensor const x = problem.leaf();
    at::Tensor const loss = adapt::margin_loss(arc, Problem::of(x), problem.labels, {.in_place = in_place});
    at::Tensor const first = gradient_of(loss, x).clone();
    CHECK(apart(gradient_of(loss, x, at::scalar_tensor(3.0, at::kDouble)), first * 3) < 1e-15);
    CHECK(same_bits(gradient_of(loss, x), first));
  }
  // A leaf keeps its gradient and adds to it: it must not be the one that the graph keeps.
  at::Tensor const leaf = problem.leaf();
  at::Tensor const loss = adapt::margin_loss(arc, leaf, problem.labels);
  at::Tensor const first = gradient_of(loss, leaf).clone();
  for (int i = 0; i < 3; ++i) loss.backward({}, /*retain_graph=*/true);
  CHECK(same_bits(leaf.grad(), first + first + first));
  CHECK(same_bits(gradient_of(loss, leaf), first));
}

TEST_CASE("without in_place the cosines stay what they are") {
  Problem const problem;
  at::Tensor const leaf = problem.leaf();
  auto const version = leaf._version();
  adapt::margin_loss(arc, leaf, problem.labels).backward();
  CHECK(same_bits(leaf.detach(), problem.cosines));
  CHECK(leaf._version() == version);
}

TEST_CASE("in_place overwrites the cosines with the same gradient, and says so to autograd") {
  Problem const problem;
  at::Tensor const x = problem.leaf(), apart_from = problem.leaf();
  adapt::margin_loss(arc, apart_from, problem.labels).backward();
  at::Tensor const cosines = Problem::of(x);
  void const* const memory = cosines.data_ptr();
  auto const version = cosines._version();
  at::Tensor const loss = adapt::margin_loss(arc, cosines, problem.labels, {.in_place = true});
  CHECK(cosines._version() > version);
  CHECK(cosines.data_ptr() == memory);
  CHECK(same_bits(cosines.detach(), apart_from.grad()));
  loss.backward();
  CHECK(same_bits(x.grad(), apart_from.grad()));

  // Somebody needs the values that were there: tanh's backward.
  at::Tensor const y = problem.leaf(), saved = y.tanh();
  at::Tensor const wrong = adapt::margin_loss(arc, saved, problem.labels, {.in_place = true});
  refused<c10::Error>([&] { wrong.backward(); }, {"modified by an inplace operation"});

  // Or uses them afterwards.
  at::Tensor const z = problem.leaf(), used = Problem::of(z);
  at::Tensor const of_used = adapt::margin_loss(arc, used, problem.labels, {.in_place = true}), both = of_used + used.sum();
  refused<c10::Error>([&] { both.backward(); }, {"losskit: in_place wrote the gradient over this tensor"});

  // Or writes over the gradient that waits there.
  at::Tensor const v = problem.leaf(), cleared = Problem::of(v);
  at::Tensor const late = adapt::margin_loss(arc, cleared, problem.labels, {.in_place = true});
  {
    at::NoGradGuard const unseen;
    cleared.zero_();
  }
  refused<c10::Error>([&] { late.backward(); }, {"modified by an inplace operation"});
}

TEST_CASE("in_place where autograd could not follow is refused, and nothing is written") {
  Problem const problem;
  at::Tensor const leaf = problem.leaf(), other = at::cat({problem.cosines, problem.cosines}, 1).requires_grad_(true), wide = other * 1;
  at::Tensor const slice = wide.slice(1, 0, 9), columns = at::empty_strided({6, 9}, {1, 6}, at::kDouble).copy_(problem.cosines);
  at::Tensor const transposed = columns.requires_grad_(true) * 1;
  REQUIRE(transposed.stride(1) == 6);
  for (auto const& [cosines, word] : {std::pair{leaf, "leaf"}, std::pair{slice, "view"}, std::pair{transposed, "adjacent"}}) {
    at::Tensor const before = cosines.detach().clone();
    refused([&, c = cosines] { adapt::margin_loss(arc, c, problem.labels, {.in_place = true}); }, {"losskit: cosines: in_place", word});
    CHECK(same_bits(cosines.detach(), before));
  }
}

TEST_CASE("a second derivative is refused") {
  Problem const problem;
  for (Reduction const reduction : {Reduction::mean, Reduction::none}) {
    at::Tensor const leaf = problem.leaf();
    at::Tensor const loss = adapt::margin_loss(arc, leaf, problem.labels, {.reduction = reduction}).sum();
    refused<c10::Error>([&] { torch::autograd::grad({loss}, {leaf}, {}, true, /*create_graph=*/true); },
                        {"losskit: double backward is not defined"});
    CHECK(gradient_of(loss, leaf).defined());
  }
  at::Tensor const x = at::rand({3, 4}).requires_grad_(true), w = at::rand({5, 4});
  refused<c10::Error>([&] { torch::autograd::grad({adapt::cosine_layer(x, w).sum()}, {x}, {}, true, true); },
                      {"losskit: double backward is not defined"});
}

TEST_CASE("where no gradient is asked for, only the loss is computed") {
  Problem const problem;
  at::Tensor const expected = adapt::margin_loss(arc, problem.leaf(), problem.labels).detach();
  at::Tensor const plain = problem.cosines.clone(), tracked = Problem::of(problem.leaf());
  Report report;
  at::Tensor const of_plain = adapt::margin_loss(arc, plain, problem.labels, {.in_place = true, .report = &report});
  CHECK(!of_plain.requires_grad());
  CHECK(same_bits(of_plain, expected));
  CHECK(same_bits(plain, problem.cosines));
  CHECK(report.rows == 6);
  CHECK(report.loss == expected.item<double>());
  at::NoGradGuard const no_gradient;
  CHECK(!adapt::margin_loss(arc, tracked, problem.labels, {.in_place = true}).requires_grad());
  CHECK(same_bits(tracked, problem.cosines));
  CHECK(!adapt::cosine_layer(at::rand({3, 4}).requires_grad_(true), at::rand({5, 4})).requires_grad());
}

TEST_CASE("an upstream gradient may be expanded or strided") {
  Problem const problem;
  at::Tensor const x = problem.leaf(), loss = adapt::margin_loss(arc, x, problem.labels), once = gradient_of(loss, x);
  CHECK(apart(gradient_of(loss.expand({4}).sum(), x), once * 4) < 1e-15);
  CHECK(apart(gradient_of(loss, x, at::tensor({9.0, 2.5, 9.0}, at::kDouble).select(0, 1)), once * 2.5) < 1e-15);
  CHECK(apart(gradient_of(loss, x, at::scalar_tensor(-0.5, at::kDouble).expand({})), once * -0.5) < 1e-15);
}

TEST_CASE("Reduction::none: a loss a row, and an upstream factor a row") {
  Problem const problem;
  at::Tensor const weights = at::rand({6}, at::kDouble), upstream = at::randn({12}, at::kDouble).slice(0, 0, 12, 2);
  for (bool const in_place : {false, true}) {
    CAPTURE(in_place);
    at::Tensor const x = problem.leaf(), s = at::full({6}, 16.0, at::kDouble).requires_grad_(true);
    at::Tensor const rows = adapt::margin_loss(arc, Problem::of(x), problem.labels,
                                               {.reduction = Reduction::none, .in_place = in_place, .weights = weights, .scales = s});
    REQUIRE(rows.sizes() == at::IntArrayRef({6}));
    for (idx i = 0; i < 6; ++i) {  // row i alone
      at::Tensor const xi = problem.cosines.slice(0, i, i + 1).clone().requires_grad_(true),
                       si = at::full({1}, 16.0, at::kDouble).requires_grad_(true);
      at::Tensor const one = adapt::margin_loss(arc, xi, problem.labels.slice(0, i, i + 1),
                                                {.reduction = Reduction::sum, .weights = weights.slice(0, i, i + 1), .scales = si});
      CHECK(one.item<double>() == doctest::Approx(rows[i].item<double>()).epsilon(1e-15));
      CHECK(apart(gradient_of(rows, x, upstream)[i], gradient_of(one, xi)[0] * upstream[i]) < 1e-15);
      CHECK(apart(gradient_of(rows, s, upstream)[i], gradient_of(one, si)[0] * upstream[i]) < 1e-15);
    }
    at::Tensor const y = problem.leaf(),
                     sum = adapt::margin_loss(arc, y, problem.labels, {.reduction = Reduction::sum, .weights = weights});
    CHECK(same_bits(gradient_of(rows.sum(), x), gradient_of(sum, y)));  // an upstream of expanded ones
  }
}

TEST_CASE("cosines of any layout, labels of either type") {
  Problem const problem;
  at::Tensor const x = problem.leaf(), expected = gradient_of(adapt::margin_loss(arc, x, problem.labels), x);
  at::Tensor const wide = at::full({6, 20}, 7.0, at::kDouble);
  wide.slice(1, 4, 13).copy_(problem.cosines);
  auto const same_gradient = [&](at::Tensor const& leaf, at::Tensor const& cosines, at::Tensor const& labels) {
    return same_bits(gradient_of(adapt::margin_loss(arc, cosines, labels), leaf), expected);
  };
  at::Tensor const slice = wide.slice(1, 4, 13).detach().requires_grad_(true);
  REQUIRE(!slice.is_contiguous());
  CHECK(same_gradient(slice, slice, problem.labels));
  at::Tensor const transposed = problem.cosines.t().contiguous().t().requires_grad_(true);
  CHECK(same_gradient(transposed, transposed, problem.labels));
  CHECK(same_gradient(x, x, problem.labels.to(at::kInt)));
  CHECK(same_gradient(x, x, at::stack({problem.labels, problem.labels}, 1).select(1, 0)));  // strided
  at::Tensor const every_second =
      at::stack({problem.cosines, problem.cosines + 1}, 2).view({6, 18}).slice(1, 0, 18, 2).requires_grad_(true);
  REQUIRE(every_second.stride(1) == 2);
  CHECK(same_gradient(every_second, every_second, problem.labels));
  at::Tensor const lazy = at::_neg_view(-problem.cosines).detach().requires_grad_(true);  // memory that holds the negative
  REQUIRE(lazy.is_neg());
  CHECK(same_gradient(lazy, lazy, problem.labels));
  at::Tensor const one_row = problem.cosines.slice(0, 0, 1).contiguous();  // the same row for every label
  CHECK(same_bits(adapt::margin_loss(arc, one_row.expand({6, 9}), problem.labels),
                  adapt::margin_loss(arc, one_row.repeat({6, 1}), problem.labels)));

  // Rows that lie apart are read where they are.
  MatrixView<double> const view = adapt::matrix_of<double>(slice);
  CHECK(view.data == slice.data_ptr<double>());
  CHECK(view.stride == 20);
  CHECK(same_bits(wide.slice(1, 0, 4), at::full({6, 4}, 7.0, at::kDouble)));
}

TEST_CASE("no rows: no loss, and an empty gradient") {
  at::Tensor const none = at::empty({0, 5}).requires_grad_(true), labels = at::empty({0}, at::kLong);
  at::Tensor const loss = adapt::margin_loss(arc, none, labels);
  loss.backward();
  CHECK(loss.item<float>() == 0);
  CHECK(none.grad().sizes() == at::IntArrayRef({0, 5}));
  CHECK(adapt::margin_loss(arc, none, labels, {.reduction = Reduction::none}).sizes() == at::IntArrayRef({0}));
}

TEST_CASE("whatever is wrong is LibTorch's error with losskit's text, and nothing is written") {
  Problem const problem;
  at::Tensor const c = Problem::of(problem.leaf()), y = problem.labels, before = c.detach().clone();
  auto const version = c._version();
  auto const bad = [&](at::Tensor const& cosines, at::Tensor const& labels, MarginLossOptions options,
                       std::initializer_list<char const*> words) {
    for (bool const in_place : {false, true}) {
      options.in_place = in_place;
      refused([&] { adapt::margin_loss(arc, cosines, labels, options); }, words);
    }
  };
  at::Tensor const large = y.clone(), negative = y.clone();
  large[2] = 9;
  negative[4] = -1;
  bad(c, large, {}, {"losskit: ", "labels[2] = 9", "[0, 9)"});
  bad(c, negative, {}, {"labels[4] = -1"});
  bad(c, y.slice(0, 1), {}, {"labels: 5 elements, expected 6"});
  bad(c, y.unsqueeze(1), {}, {"labels: 2 dimensions, 1 needed"});
  bad(c, y.to(at::kFloat), {}, {"labels", "Float", "int32 or int64"});
  bad(c, y.to(at::kByte), {}, {"labels", "Byte"});
  bad(c, {}, {}, {"labels", "undefined"});
  bad({}, y, {}, {"cosines", "undefined"});
  bad(c[0], y, {}, {"cosines: 1 dimensions, 2 needed"});
  bad(c.unsqueeze(0), y, {}, {"cosines: 3 dimensions"});
  bad(c.to(at::kHalf), y, {}, {"cosines: Half", "float or double"});
  bad(c.to(at::kBFloat16), y, {}, {"cosines: BFloat16"});
  bad(at::ones({6, 9}, at::kLong), y, {}, {"cosines: Long"});
  bad(at::empty({6, 9}, at::TensorOptions(at::kMeta)), y, {}, {"cosines: on meta", "CPU"});
  bad(c, at::empty({6}, at::TensorOptions(at::kMeta).dtype(at::kLong)), {}, {"labels: on meta"});
  bad(c.to_sparse(), y, {}, {"cosines: Sparse", "dense needed"});
  at::Tensor const ones = at::ones({6}, at::kDouble);
  bad(c, y, {.weights = ones.slice(0, 1)}, {"weights: 5 elements, expected 6"});
  bad(c, y, {.weights = -ones}, {"weights[0] = -1"});
  bad(c, y, {.weights = ones.to(at::kFloat)}, {"weights: Float, Double needed"});
  bad(c, y, {.weights = ones.clone().requires_grad_(true)}, {"weights requires a gradient"});
  bad(c, y, {.class_weights = ones}, {"class_weights: 6 elements, expected 9"});
  bad(c, y, {.class_weights = at::ones({9}, at::kDouble).requires_grad_(true)}, {"class_weights requires a gradient"});
  bad(c, y, {.scales = -ones}, {"scales[0] = -1"});
  bad(c, y, {.margins = ones * 4}, {"margins[0] = 4"});
  bad(c, y, {.top_k = 0}, {"top_k = 0"});
  CHECK(same_bits(c.detach(), before));
  CHECK(c._version() == version);
  CHECK(adapt::margin_loss(arc, c, y, {.in_place = true}).item<double>() > 0);  // and all of it still works
}

TEST_CASE("the bits do not depend on LibTorch's threads") {
  // Small, past the threshold of one thread, and past the caches, where threads have buffers.
  for (auto const& size : {std::pair<idx, idx>{6, 9}, {64, 1000}, {70, 125'000}}) {
    CAPTURE(size.second);
    Problem const problem(size.first, size.second, at::kFloat);
    at::Tensor gradients[2], losses[2];
    for (int const threads : {1, 2}) {
      Threads const limit(threads);
      at::Tensor const x = problem.leaf();
      losses[threads - 1] = adapt::margin_loss(arc, x, problem.labels);
      gradients[threads - 1] = gradient_of(losses[threads - 1], x);
    }
    CHECK(same_bits(losses[0], losses[1]));
    CHECK(same_bits(gradients[0], gradients[1]));
  }
  at::Tensor cosines[2];
  for (int const threads : {1, 2}) {
    Threads const limit(threads);
    at::manual_seed(3);
    cosines[threads - 1] = adapt::cosine_layer(at::randn({100, 64}), at::randn({1500, 64}));
  }
  CHECK(same_bits(cosines[0], cosines[1]));
}

TEST_CASE("LibTorch's threads as an executor") {
  Threads const limit(2);
  adapt::aten_threads const threads;
  CHECK(threads.concurrency() == 2);
  std::vector<int> seen(100);
  threads.run(100, [&](idx t) { ++seen[static_cast<std::size_t>(t)]; });
  CHECK(seen == std::vector<int>(100, 1));
  int inside = 0;
  at::parallel_for(0, 2, 1, [&](idx first, idx) {
    if (first == 0) inside = adapt::aten_threads{}.concurrency();
  });
  CHECK(inside == 1);
  CHECK_THROWS_AS(threads.run(8, [](idx t) { if (t == 5) throw std::bad_alloc(); }), std::bad_alloc);
}

TEST_CASE("several threads of the caller's, each with a batch of its own") {
  bool same[4] = {};
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 4; ++caller)
      callers.emplace_back([caller, &mine = same[caller]] {
        Threads const limit(1);
        Problem const problem(500 + caller, 10, at::kFloat);
        at::Tensor const x = problem.leaf();
        auto const loss = [&] { return adapt::margin_loss(arc, x, problem.labels); };
        mine = true;
        at::Tensor const first = loss(), gradient = gradient_of(first, x);
        for (int i = 0; i < 500; ++i) {
          at::Tensor const again = loss();
          mine = mine && same_bits(again, first) && same_bits(gradient_of(again, x), gradient);
        }
      });
  }
  for (bool const each : same) CHECK(each);
}

TEST_CASE("the cosine layer as LibTorch's own operations give it") {
  at::manual_seed(5);
  at::Tensor const wide = at::randn({5, 20}, at::kDouble), centres = at::randn({7, 8}, at::kDouble);
  at::Tensor const upstream = at::randn({7, 5}, at::kDouble).t();  // strided
  at::Tensor const x = wide.slice(1, 3, 11).detach().requires_grad_(true), w = centres.clone().requires_grad_(true);
  at::Tensor const cosines = adapt::cosine_layer(x, w);
  auto const unit = [](at::Tensor const& rows) { return rows / rows.norm(2, {1}, true); };
  at::Tensor const reference = unit(x).mm(unit(w).t());
  CHECK(apart(cosines, reference) < 1e-14);
  for (at::Tensor const& by : {x, w}) {
    at::Tensor const first = gradient_of(cosines, by, upstream);
    CHECK(apart(first, gradient_of(reference, by, upstream)) < 1e-12);
    CHECK(same_bits(gradient_of(cosines, by, upstream), first));
  }
  refused([&] { adapt::cosine_layer(x, w.slice(1, 1)); }, {"losskit: x has 8 columns and w 7"});
  refused([&] { adapt::cosine_layer(x[0], w); }, {"x: 1 dimensions, 2 needed"});
  refused([&] { adapt::cosine_layer(x, w.to(at::kFloat)); }, {"w: Float, Double needed"});
  refused([&] { adapt::cosine_layer(x.to(at::kHalf), w); }, {"x: Half"});

  // The whole head, its cosines overwritten.
  at::Tensor const labels = at::randint(7, {5}, at::kLong);
  adapt::margin_loss(arc, adapt::cosine_layer(x, w), labels, {.in_place = true}).backward();
  at::Tensor const dx = x.grad().clone(), dw = w.grad().clone();
  x.mutable_grad().reset(), w.mutable_grad().reset();
  adapt::margin_loss(arc, adapt::cosine_layer(x, w), labels).backward();
  CHECK(same_bits(x.grad(), dx));
  CHECK(same_bits(w.grad(), dw));
}

TEST_CASE("point losses, of any shape") {
  at::manual_seed(6);
  at::Tensor const truth = at::randn({2, 3, 4, 5}, at::kDouble), start = at::randn({2, 3, 4, 5}, at::kDouble);
  at::Tensor const x = start.clone().requires_grad_(true);
  at::Tensor const ours = adapt::point_loss(SmoothL1Loss{}, x, truth), theirs = at::smooth_l1_loss(x, truth);
  CHECK(apart(ours, theirs) < 1e-14);
  CHECK(apart(gradient_of(ours, x), gradient_of(theirs, x)) < 1e-14);

  at::Tensor const each = adapt::point_loss(SmoothL1Loss{}, x, truth, {.reduction = Reduction::none});
  at::Tensor const their_each = at::smooth_l1_loss(x, truth, at::Reduction::None);
  at::Tensor const upstream = at::randn({5, 4, 3, 2}, at::kDouble).permute({3, 2, 1, 0});
  CHECK(apart(each, their_each) < 1e-14);
  CHECK(apart(gradient_of(each, x, upstream), gradient_of(their_each, x, upstream)) < 1e-14);

  at::Tensor const weights = at::rand({2, 3, 4, 5}, at::kDouble);
  PointReport report;
  at::Tensor const weighted =
      adapt::point_loss(WingLoss{}, x, truth, {.reduction = Reduction::batch_mean, .weights = weights, .report = &report});
  CHECK(apart(weighted, (adapt::point_loss(WingLoss{}, x, truth, {.reduction = Reduction::none}) * weights).sum() / 2) < 1e-14);
  CHECK(report.elements == 120);
  CHECK(off_differences([&](at::Tensor const& p) { return adapt::point_loss(WingLoss{}, p, truth, {.weights = weights}); }, start) < 1e-8);
  CHECK(off_differences([&](at::Tensor const& p) { return adapt::point_loss(SigmoidFocalLoss{}, p, weights); }, start) < 1e-8);

  at::Tensor const turned = start.permute({3, 1, 0, 2}).contiguous().permute({2, 1, 3, 0}).requires_grad_(true);
  REQUIRE(!turned.is_contiguous());
  CHECK(same_bits(gradient_of(adapt::point_loss(SmoothL1Loss{}, turned, truth), turned), gradient_of(ours, x)));
  CHECK(adapt::point_loss(SmoothL1Loss{}, at::scalar_tensor(3.0), at::scalar_tensor(1.0)).item<float>() == 1.5F);
  CHECK(adapt::point_loss(SmoothL1Loss{}, at::empty({0, 3}), at::empty({0, 3})).item<float>() == 0);

  refused([&] { adapt::point_loss(WingLoss{}, x, truth.slice(0, 1)); }, {"losskit: truth: [1, 3, 4, 5], expected [2, 3, 4, 5]"});
  refused([&] { adapt::point_loss(WingLoss{}, x, truth.to(at::kFloat)); }, {"truth: Float, Double needed"});
  refused([&] { adapt::point_loss(WingLoss{}, x, x.clone()); }, {"truth requires a gradient"});
  refused([&] { adapt::point_loss(WingLoss{}, x, {}); }, {"truth", "undefined"});
  refused([&] { adapt::point_loss(WingLoss{}, x.to(at::kHalf), truth); }, {"prediction: Half"});
  refused([&] { adapt::point_loss(WingLoss{}, x, truth, {.weights = weights[0]}); }, {"weights: [3, 4, 5]"});
  refused([&] { adapt::point_loss(WingLoss{}, x, truth, {.weights = -weights}); }, {"weights["});
  refused<c10::Error>([&] { torch::autograd::grad({ours}, {x}, {}, true, true); }, {"double backward is not defined"});
}
