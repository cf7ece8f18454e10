// Bad input: each is a typed error whose text names the argument and its value, thrown before one byte is written.
#include <doctest/doctest.h>

#include <string>

#include "expect_error.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/recognition/suggest_scale.hpp"
#include "problem.hpp"

using namespace test;

namespace {

double const nan_d = std::numeric_limits<double>::quiet_NaN(), inf_d = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("parameters out of range or NaN") {
  expect_error<ParameterError>([] { ArcMargin{3.2}; }, {"ArcMargin", "m = 3.2", "(-pi, pi)"});
  expect_error<ParameterError>([] { ArcMargin{-3.2}; }, {"-3.2"});
  expect_error<ParameterError>([] { ArcMargin{nan_d}; }, {"nan"});
  expect_error<ParameterError>([] { CosMargin{nan_d}; }, {"CosMargin", "m = nan"});
  expect_error<ParameterError>([] { CosMargin{inf_d}; }, {"inf"});
  expect_error<ParameterError>([] { SphereMargin{0.0}; }, {"SphereMargin", "m = 0", "(0, 16]"});
  expect_error<ParameterError>([] { SphereMargin{-1.0}; }, {"-1"});
  expect_error<ParameterError>([] { SphereMargin{16.5}; }, {"16.5"});
  expect_error<ParameterError>([] { SphereMargin{nan_d}; }, {"nan"});
  expect_error<ParameterError>([] { CombinedMargin(1, 4, 0); }, {"CombinedMargin", "m2 = 4"});
  expect_error<ParameterError>([] { CombinedMargin(1, 0, nan_d); }, {"m3 = nan"});
  expect_error<ParameterError>([] { CombinedMargin(17, 0, 0); }, {"m1 = 17"});
  expect_error<ParameterError>([] { CombinedMargin<LegacyLinear>(1.5, 0.1, 0); }, {"LegacyLinear", "1.5", "Monotone"});
  expect_error<ParameterError>([] { SphereMargin<FallToCosine>{2.0}; }, {"FallToCosine", "Monotone"});
  expect_error<ParameterError>([] { SphereMargin<Easy>{2.0}; }, {"Easy", "Monotone"});
  expect_error<ParameterError>([] { Clamp{-0.1}; }, {"Clamp", "eps = -0.1", "[0, pi/2)"});
  expect_error<ParameterError>([] { Clamp{2.0}; }, {"eps = 2"});
  expect_error<ParameterError>([] { Clamp{nan_d}; }, {"nan"});
  expect_error<ParameterError>([] { Easy{1.5}; }, {"Easy", "above = 1.5", "[-1, 1]"});
  expect_error<ParameterError>([] { Easy{nan_d}; }, {"nan"});
  expect_error<ParameterError>([] { Annealed<>(SphereMargin{4.0}, -1); }, {"Annealed", "lambda = -1"});
  expect_error<ParameterError>([] { Annealed<>(SphereMargin{4.0}, nan_d); }, {"nan"});
  expect_error<ParameterError>([] { Annealed<>(SphereMargin{4.0}, inf_d); }, {"inf"});
  expect_error<ParameterError>([] { HardNegatives{-0.1}; }, {"HardNegatives", "t = -0.1"});
  expect_error<ParameterError>([] { HardNegatives{nan_d}; }, {"nan"});
  expect_error<ParameterError>([] { FocalLoss{-1}; }, {"FocalLoss", "gamma = -1"});
  expect_error<ParameterError>([] { FocalLoss{nan_d}; }, {"gamma = nan"});
  expect_error<ParameterError>([] { FocalLoss(2, 0); }, {"alpha = 0"});
  expect_error<ParameterError>([] { FocalLoss(2, inf_d); }, {"alpha = inf"});
  for (double const bad : {0.0, -3.0, nan_d, inf_d}) {
    expect_error<ParameterError>([&] { MarginSoftmax(ArcMargin{0.5}, bad); }, {"MarginSoftmax", "scale = "});
    expect_error<ParameterError>([&] { FixedScale{bad}; }, {"FixedScale", "s = "});
  }
  expect_error<ParameterError>([] { AdaCosScale{2}; }, {"AdaCosScale", "2 classes", "at least 3", "FixedScale"});
  expect_error<ParameterError>([] { AdaCosScale{0}; }, {"0 classes"});
  expect_error<ParameterError>([] { AdaCosScale(10, 5, 4); }, {"5", "4"});
  expect_error<ParameterError>([] { AdaCosScale(10, nan_d); }, {"nan"});
  expect_error<ParameterError>([] { FeatureNorm(3, 2); }, {"FeatureNorm", "3", "2"});
  expect_error<ParameterError>([] { FeatureNorm(-1); }, {"-1"});
  expect_error<ParameterError>([] { FeatureNorm{nan_d}; }, {"nan"});
  for (double const bad : {0.0, -1.0, nan_d, inf_d})
    expect_error<ParameterError>([&] { FeatureNorm(0, 1, bad); }, {"FeatureNorm", "factor = ", "(0, inf)"});
  for (double const bad : {0.0, -1.0, nan_d, inf_d}) {
    expect_error<ParameterError>([&] { WingLoss(bad, 2); }, {"WingLoss", "w = "});
    expect_error<ParameterError>([&] { WingLoss(10, bad); }, {"WingLoss", "eps = "});
    expect_error<ParameterError>([&] { AdaptiveWingLoss{bad}; }, {"AdaptiveWingLoss", "alpha = "});
    expect_error<ParameterError>([&] { AdaptiveWingLoss(2.1, bad); }, {"AdaptiveWingLoss", "omega = "});
    expect_error<ParameterError>([&] { AdaptiveWingLoss(2.1, 14, bad); }, {"AdaptiveWingLoss", "eps = "});
    expect_error<ParameterError>([&] { AdaptiveWingLoss(2.1, 14, 1, bad); }, {"AdaptiveWingLoss", "theta = "});
    expect_error<ParameterError>([&] { SmoothL1Loss{bad}; }, {"SmoothL1Loss", "sigma = "});
    expect_error<ParameterError>([&] { HuberLoss{bad}; }, {"HuberLoss", "delta = "});
  }
  for (double const bad : {-1.0, nan_d, inf_d})
    expect_error<ParameterError>([&] { SigmoidFocalLoss{bad}; }, {"SigmoidFocalLoss", "gamma = "});
  for (double const bad : {-0.5, 1.5, nan_d})
    expect_error<ParameterError>([&] { SigmoidFocalLoss(2, bad); }, {"SigmoidFocalLoss", "alpha = "});
  expect_error<ParameterError>([] { suggest_scale(1, 0.9); }, {"classes = 1"});
  expect_error<ParameterError>([] { suggest_scale(10, 1.5); }, {"probability = 1.5"});
}

// --- calls over cosines -----------------------------------------------------------------------------------------------------

namespace {

// A call's arguments in one memory, with a pattern in whatever it may write.
struct Call {
  idx rows = 4, cols = 6;
  std::vector<float> memory = std::vector<float>(200, 0.25F);  // cosines at 0, apart from it the gradient at 100
  std::vector<std::int64_t> labels{0, 1, 2, 3};
  std::vector<float> weights{1, 1, 1, 1}, class_weights{1, 1, 1, 1, 1, 1}, scales{1, 1, 1, 1}, upstream{1, 1, 1, 1},
      margins{0.25F, 0.5F, 0.5F, 0.5F};
  std::vector<float> row_losses = std::vector<float>(4, 7), scale_gradient = std::vector<float>(4, 7),
                     margin_gradient = std::vector<float>(4, 7);
  std::vector<SavedRow> saved = std::vector<SavedRow>(4, SavedRow{7, 7, 7, 7, 7, 7, 7});
  std::vector<std::byte> workspace = std::vector<std::byte>(4096, std::byte(7));
  MatrixView<float> cosines{memory.data(), 4, 6, 6}, gradient{memory.data() + 100, 4, 6, 6};
  Workspace ws{workspace.data(), 4096};
  Options options{};
  Outputs<float> outputs{view(row_losses), view(scale_gradient), view(saved), view(margin_gradient)};
  double scale = 10;

  Call() = default;
  Call(Call const&) = delete;
  Batch<float, std::int64_t> batch() {
    Batch b(cosines, labels);
    b.weights = view(weights), b.class_weights = view(class_weights), b.scales = view(scales), b.upstream = view(upstream);
    b.margins = view(margins);
    return b;
  }
  bool untouched() const {
    Call const fresh;
    return memory == fresh.memory && row_losses == fresh.row_losses && scale_gradient == fresh.scale_gradient &&
           margin_gradient == fresh.margin_gradient && workspace == fresh.workspace &&
           std::memcmp(saved.data(), fresh.saved.data(), 4 * sizeof(SavedRow)) == 0;
  }
};

MarginSoftmax const loss{ArcMargin{0.5}, 10.0};

enum Which {
  fused = 1,
  value = 2,
  later = 4,
  to_logits = 8,
  from_logits = 16,
  next_scale = 32,
  all_calls = 63,
  with_gradient = fused | later | to_logits | from_logits
};

// Each call, on each backend. Type-erased: there are many bad arguments, and one call of each kind to compile.
struct Entry {
  int which;
  char const* name;
  std::function<void(Call&)> call;
};
template <class B>
void add_calls(std::vector<Entry>& all, B b) {
  all.push_back(
      {fused, "loss_and_gradient", [b](Call& c) { loss_and_gradient(b, loss, c.batch(), c.gradient, c.ws, c.options, c.outputs); }});
  all.push_back({value, "loss_value", [b](Call& c) { loss_value(b, loss, c.batch(), c.ws, c.options, c.outputs); }});
  all.push_back({later, "loss_gradient",
                 [b](Call& c) {
                   auto const& out = c.outputs;
                   loss_gradient(b, loss, c.batch(), out.saved, c.gradient, c.options, out.scale_gradient, out.margin_gradient);
                 }});
  all.push_back({to_logits, "logits", [b](Call& c) { logits(b, loss, c.batch(), c.gradient, c.ws, c.options); }});
  all.push_back({from_logits, "logits_backward",
                 [b](Call& c) { logits_backward(b, loss, c.batch(), c.cosines, c.gradient, c.options, c.outputs.scale_gradient); }});
  all.push_back({next_scale, "advance", [b](Call& c) { advance(b, AdaCosScale(6), AdaCosState{3}, c.batch(), c.ws, c.options); }});
}
std::vector<Entry> const& calls() {
  static std::vector<Entry> const all = [] {
    std::vector<Entry> list;
    add_calls(list, on::serial{});
    add_calls(list, losskit::on::eigen{});
    return list;
  }();
  return all;
}

// `spoil` makes the arguments bad; each of the calls in `which` must say so and write nothing.
template <class E>
void refused(int which, std::function<void(Call&)> const& spoil, std::initializer_list<char const*> words) {
  for (auto const& one : calls()) {
    if (!(which & one.which)) continue;
    Call c;
    spoil(c);
    // What the caller changed itself is not what the call wrote.
    auto const memory = c.memory, scale_gradient = c.scale_gradient, margin_gradient = c.margin_gradient;
    auto const bytes = c.workspace;
    INFO(std::string(one.name));
    expect_error<E>([&] { one.call(c); }, words);
    Call const fresh;
    CHECK(bool(c.memory == memory));
    CHECK(bool(c.scale_gradient == scale_gradient));
    CHECK(bool(c.margin_gradient == margin_gradient));
    CHECK(bool(c.row_losses == fresh.row_losses));
    CHECK(bool(c.workspace == bytes));
    CHECK(std::memcmp(c.saved.data(), fresh.saved.data(), fresh.saved.size() * sizeof(SavedRow)) == 0);
  }
}

}  // namespace

TEST_CASE("the arguments that the others spoil are good") {
  Call c;
  loss_and_gradient(on::serial{}, loss, c.batch(), c.gradient, c.ws, c.options, c.outputs);
  loss_gradient(on::serial{}, loss, c.batch(), c.outputs.saved, c.gradient, c.options, c.outputs.scale_gradient);
  logits(losskit::on::eigen{}, loss, c.batch(), c.gradient, c.ws, c.options);
  logits_backward(losskit::on::eigen{}, loss, c.batch(), c.cosines, c.gradient, c.options, c.outputs.scale_gradient);
  advance(on::serial{}, AdaCosScale(6), AdaCosState{3}, c.batch(), c.ws, c.options);
  CHECK(!c.untouched());
}

TEST_CASE("labels outside [0, C): row and value") {
  refused<LabelError>(all_calls, [](Call& c) { c.labels[2] = 6; }, {"labels[2]", "6", "[0, 6)"});
  refused<LabelError>(all_calls, [](Call& c) { c.labels[3] = -1; }, {"labels[3]", "-1"});
  refused<LabelError>(all_calls, [](Call& c) { c.labels[1] = std::int64_t(1) << 40; }, {"labels[1]", "1099511627776"});
  refused<LabelError>(all_calls, [](Call& c) { c.options.ignore_label = -1, c.labels[0] = -2; }, {"labels[0]", "-2"});
  std::vector<std::int32_t> narrow{0, -2147483647, 0, 0};
  Call c;
  expect_error<LabelError>([&] { loss_value(on::serial{}, loss, Batch(c.cosines, narrow), c.ws); }, {"labels[1]", "-2147483647"});
}

TEST_CASE("shapes that disagree") {
  refused<ShapeError>(with_gradient, [](Call& c) { c.gradient.rows = 3; }, {"3 x 6", "4 x 6"});
  refused<ShapeError>(with_gradient, [](Call& c) { c.gradient.cols = 5; }, {"4 x 5", "4 x 6"});
  refused<ShapeError>(all_calls, [](Call& c) { c.labels.pop_back(); }, {"labels", "3", "4"});
  refused<ShapeError>(all_calls, [](Call& c) { c.weights.push_back(1); }, {"weights", "5", "4"});
  refused<ShapeError>(all_calls, [](Call& c) { c.class_weights.pop_back(); }, {"class_weights", "5", "6"});
  refused<ShapeError>(all_calls, [](Call& c) { c.scales.pop_back(); }, {"scales", "3", "4"});
  refused<ShapeError>(all_calls, [](Call& c) { c.upstream.pop_back(); }, {"upstream", "3", "4"});
  refused<ShapeError>(fused | value, [](Call& c) { c.outputs.row_losses.size = 3; }, {"row_losses", "3", "4"});
  refused<ShapeError>(fused | value | later | from_logits, [](Call& c) { c.outputs.scale_gradient.size = 5; },
                      {"scale_gradient", "5", "4"});
  refused<ShapeError>(fused | value | later, [](Call& c) { c.outputs.margin_gradient.size = 5; }, {"margin_gradient", "5", "4"});
  refused<ShapeError>(all_calls & ~next_scale, [](Call& c) { c.margins.pop_back(); }, {"margins", "3", "4"});
  refused<ShapeError>(fused | value | later, [](Call& c) { c.outputs.saved.size = 1; }, {"saved", "1", "4"});
  refused<ShapeError>(all_calls, [](Call& c) { c.cosines.rows = -1; }, {"cosines", "-1 x 6"});
  refused<ShapeError>(fused | later | to_logits | from_logits | value | next_scale, [](Call& c) { c.cosines.cols = -6; },
                      {"cosines", "-6"});
}

TEST_CASE("null with a size") {
  refused<ShapeError>(all_calls, [](Call& c) { c.cosines.data = nullptr; }, {"cosines", "null", "4 x 6"});
  refused<ShapeError>(with_gradient, [](Call& c) { c.gradient.data = nullptr; }, {"null", "4 x 6"});
  refused<ShapeError>(later, [](Call& c) { c.outputs.saved.data = nullptr; }, {"saved", "null", "4"});
  refused<ShapeError>(fused | value, [](Call& c) { c.outputs.row_losses.data = nullptr; }, {"row_losses", "null", "4"});
  refused<ShapeError>(fused | value | later, [](Call& c) { c.outputs.margin_gradient.data = nullptr; }, {"margin_gradient", "null", "4"});
  refused<ShapeError>(fused | value | later | from_logits, [](Call& c) { c.outputs.scale_gradient.data = nullptr; },
                      {"scale_gradient", "null", "4"});
}

TEST_CASE("a stride below the columns") {
  refused<StrideError>(all_calls, [](Call& c) { c.cosines.stride = 5; }, {"cosines", "stride 5", "6"});
  refused<StrideError>(all_calls, [](Call& c) { c.cosines.stride = -6; }, {"cosines", "stride -6"});
  refused<StrideError>(with_gradient, [](Call& c) { c.gradient.stride = 0; }, {"stride 0", "6"});
}

TEST_CASE("overlaps") {
  for (idx const by : {idx(1), idx(5), idx(6), idx(17)})
    refused<AliasError>(fused | later | to_logits | from_logits, [by](Call& c) { c.gradient.data = c.memory.data() + by; },
                        {"overlaps", "cosines"});
  refused<AliasError>(fused | later | to_logits | from_logits, [](Call& c) { c.gradient.data = c.memory.data(), c.gradient.stride = 7; },
                      {"overlaps", "cosines"});
  refused<AliasError>(fused | later | from_logits, [](Call& c) { c.gradient.data = c.memory.data(), c.options.write = Write::accumulate; },
                      {"gradient", "accumulate"});
  refused<AliasError>(fused | value, [](Call& c) { c.outputs.row_losses.data = c.memory.data() + 3; }, {"row_losses", "cosines"});
  refused<AliasError>(fused, [](Call& c) { c.outputs.row_losses.data = c.memory.data() + 103; }, {"row_losses", "gradient"});
  refused<AliasError>(fused | value, [](Call& c) { c.outputs.row_losses.data = c.scale_gradient.data(); },
                      {"row_losses", "scale_gradient"});
  refused<AliasError>(fused | value, [](Call& c) { c.outputs.row_losses.data = c.weights.data(); }, {"row_losses", "weights"});
  refused<AliasError>(fused | value | later | from_logits, [](Call& c) { c.outputs.scale_gradient.data = c.scales.data(); },
                      {"scale_gradient", "scales"});
  refused<AliasError>(fused | later | from_logits, [](Call& c) { c.outputs.scale_gradient.data = c.memory.data() + 110; },
                      {"scale_gradient", "gradient"});
  refused<AliasError>(fused | value | to_logits | next_scale,
                      [](Call& c) { c.ws.data = reinterpret_cast<std::byte*>(c.memory.data()) + 8, c.ws.size = 780; }, {"workspace"});
  refused<AliasError>(later, [](Call& c) { c.outputs.scale_gradient.data = reinterpret_cast<float*>(c.saved.data()); },
                      {"scale_gradient", "saved"});
  for (int const input : {0, 1, 2, 3, 4}) {
    char const* const name[] = {"weights", "class_weights", "scales", "upstream", "margins"};
    refused<AliasError>(fused | value | later,
                        [input](Call& c) {
                          float* const data[] = {c.weights.data(), c.class_weights.data() + 1, c.scales.data(), c.upstream.data(),
                                                 c.margins.data()};
                          c.outputs.margin_gradient.data = data[input];
                        },
                        {"margin_gradient", name[input]});
  }
  refused<AliasError>(fused | value | later,
                      [](Call& c) { c.outputs.margin_gradient.data = reinterpret_cast<float*>(c.labels.data()); },
                      {"margin_gradient", "labels"});
  refused<AliasError>(fused | value | later, [](Call& c) { c.outputs.margin_gradient.data = c.memory.data() + 20; },
                      {"margin_gradient", "cosines"});
  refused<AliasError>(fused | later, [](Call& c) { c.outputs.margin_gradient.data = c.memory.data() + 110; },
                      {"margin_gradient", "gradient"});
  refused<AliasError>(fused | value | later, [](Call& c) { c.outputs.margin_gradient.data = c.scale_gradient.data() + 1; },
                      {"margin_gradient", "scale_gradient"});
  refused<AliasError>(fused | value | later, [](Call& c) { c.outputs.margin_gradient.data = reinterpret_cast<float*>(c.saved.data()); },
                      {"margin_gradient", "saved"});
  // The upstream matrix of logits_backward.
  Call c;
  std::vector<float> dz(30, 1.0F);
  MatrixView<float> const m{dz.data(), 4, 6, 6};
  expect_error<AliasError>(
      [&] {
        logits_backward(on::serial{}, loss, c.batch(), m, MatrixView<float>{dz.data() + 1, 4, 6, 6});
      },
      {"overlaps", "logits_gradient"});
  expect_error<AliasError>([&] { logits_backward(on::serial{}, loss, c.batch(), m, m, {.write = Write::accumulate}); },
                           {"logits_gradient", "accumulate"});
  expect_error<AliasError>(
      [&] {
        logits_backward(on::serial{}, loss, c.batch(), m, c.gradient, {}, VectorView<float>{dz.data() + 2, 4});
      },
      {"scale_gradient", "logits_gradient"});
  CHECK(dz == std::vector<float>(30, 1.0F));
}

TEST_CASE("what is no overlap: the same memory, and two halves of one wide matrix") {
  std::vector<float> wide(4 * 12, 0.1F);
  Call c;
  c.cosines = {wide.data(), 4, 6, 12}, c.gradient = {wide.data() + 6, 4, 6, 12};
  CHECK_NOTHROW(loss_and_gradient(on::serial{}, loss, c.batch(), c.gradient, c.ws));
  c.gradient = c.cosines;
  CHECK_NOTHROW(loss_and_gradient(on::serial{}, loss, c.batch(), c.gradient, c.ws));
  // One row has no stride: whatever stands there, only the cells count.
  std::vector<std::int64_t> one{2};
  std::vector<float> row(20, 0.1F);
  for (idx const stride : {idx(0), idx(6), idx(-3)}) {
    CHECK_NOTHROW(loss_and_gradient(on::serial{}, loss, Batch(MatrixView<float>{row.data(), 1, 6, stride}, one),
                                    MatrixView<float>{row.data() + 8, 1, 6, stride}, c.ws));
    expect_error<AliasError>(
        [&] {
          loss_and_gradient(on::serial{}, loss, Batch(MatrixView<float>{row.data(), 1, 6, stride}, one),
                            MatrixView<float>{row.data() + 2, 1, 6, stride}, c.ws);
        },
        {"overlaps"});
  }
}

TEST_CASE("what is empty overlaps nothing, wherever it points") {
  for (auto const& one : calls()) {
    INFO(std::string(one.name));
    Call c;
    // A batch of no rows, whose every view points into the workspace, and its gradient, too.
    auto* const inside = reinterpret_cast<float*>(c.workspace.data() + 128);
    c.cosines = {inside, 0, 6, 6}, c.gradient = {inside + 1, 0, 6, 6};
    c.labels.clear(), c.weights.clear(), c.scales.clear(), c.upstream.clear(), c.margins.clear();
    c.outputs = {{inside + 2, 0}, {inside + 3, 0}, {reinterpret_cast<SavedRow*>(inside), 0}, {inside + 4, 0}};
    CHECK_NOTHROW(one.call(c));
  }
  std::vector<float> x(12, 0.5F);
  std::vector<std::byte> memory(point_workspace_bytes(0, 4));
  MatrixView<float> const nothing{reinterpret_cast<float*>(memory.data() + 64), 0, 4, 4};
  CHECK_NOTHROW(loss_and_gradient(on::serial{}, WingLoss{}, nothing, nothing, nothing, view(memory)));
}

TEST_CASE("a workspace too small: both sizes") {
  std::string const needed = std::to_string(workspace_bytes<float>(on::serial{}, 4, 6, Placement::out_of_place));
  refused<WorkspaceError>(fused | value | to_logits, [](Call& c) { c.ws.size = 13; }, {"workspace", "13 bytes", needed.c_str()});
  refused<WorkspaceError>(fused | value | to_logits | next_scale, [](Call& c) { c.ws = {}; }, {"workspace", "0 bytes"});
  refused<WorkspaceError>(next_scale, [](Call& c) { c.ws.size = 13; }, {"13 bytes", std::to_string(advance_workspace_bytes(4)).c_str()});
  refused<WorkspaceError>(fused,
                          [](Call& c) {
                            c.options.write = Write::accumulate,
                            c.ws.size = static_cast<idx>(workspace_bytes<float>(on::serial{}, 4, 6, Placement::accumulate)) - 1;
                          },
                          {"workspace"});
  // What the query says is enough, and one byte less is not.
  Call c;
  for (auto const placement : {Placement::in_place, Placement::out_of_place}) {
    c.ws.size = static_cast<idx>(workspace_bytes<float>(on::serial{}, 4, 6, placement));
    CHECK_NOTHROW(loss_and_gradient(on::serial{}, loss, c.batch(), placement == Placement::in_place ? c.cosines : c.gradient, c.ws));
    --c.ws.size;
    expect_error<WorkspaceError>([&] { loss_and_gradient(on::serial{}, loss, c.batch(), c.gradient, c.ws); }, {"workspace"});
  }
}

TEST_CASE("weights and scales: negative, NaN, infinite") {
  for (float const bad : {-1.0F, static_cast<float>(nan_d), static_cast<float>(inf_d)}) {
    refused<ParameterError>(all_calls, [bad](Call& c) { c.weights[2] = bad; }, {"weights[2]"});
    refused<ParameterError>(all_calls, [bad](Call& c) { c.class_weights[5] = bad; }, {"class_weights[5]"});
    refused<ParameterError>(all_calls, [bad](Call& c) { c.scales[0] = bad; }, {"scales[0]"});
  }
  for (float const bad : {3.5F, -3.5F, static_cast<float>(nan_d), static_cast<float>(inf_d)})
    refused<ParameterError>(all_calls & ~next_scale, [bad](Call& c) { c.margins[3] = bad; }, {"margins[3]", "ArcMargin"});
  refused<ParameterError>(all_calls, [](Call& c) { c.options.top_k = 0; }, {"top_k = 0"});
}

// --- the head --------------------------------------------------------------------------------------------------------------

TEST_CASE("normalize_rows") {
  std::vector<float> x(12, 1), y(12, 7), norms(4, 7), dy(12, 1), dx(12, 7), few(3, 7);
  auto const m = [](std::vector<float>& v, idx rows = 4, idx cols = 3) { return MatrixView<float>{v.data(), rows, cols, cols}; };
  auto const fresh = [&] {
    return y == std::vector<float>(12, 7) && norms == std::vector<float>(4, 7) && dx == std::vector<float>(12, 7) &&
           x == std::vector<float>(12, 1) && dy == x;
  };
  on::serial const s;
  expect_error<ShapeError>([&] { normalize_rows(s, m(x), m(y, 3), norms); }, {"y", "3 x 3", "4 x 3"});
  expect_error<ShapeError>([&] { normalize_rows(s, m(x), m(y), few); }, {"norms", "3", "4"});
  expect_error<StrideError>([&] { normalize_rows(s, MatrixView<float>{x.data(), 4, 3, 2}, m(y), norms); }, {"x", "stride 2"});
  expect_error<AliasError>([&] { normalize_rows(s, m(x, 3), MatrixView<float>{x.data() + 1, 3, 3, 3}, few); }, {"overlaps"});
  expect_error<AliasError>([&] { normalize_rows(s, m(x), m(y), VectorView<float>{y.data(), 4}); }, {"norms", "y"});
  expect_error<ShapeError>([&] { normalize_rows_backward(s, m(y), norms, m(dy), m(dx, 3)); }, {"dx", "3 x 3"});
  expect_error<ShapeError>([&] { normalize_rows_backward(s, m(y), few, m(dy), m(dx)); }, {"norms"});
  expect_error<ShapeError>(
      [&] { normalize_rows_backward(s, m(y), norms, m(dy), m(dx), Write::assign, VectorView<float const>(view(few))); },
      {"dnorms", "3", "4"});
  expect_error<AliasError>([&] { normalize_rows_backward(s, m(y), norms, m(dy), MatrixView<float>{y.data() + 1, 4, 3, 3}); }, {"dx", "y"});
  expect_error<AliasError>([&] { normalize_rows_backward(s, m(y), norms, m(dy), m(y), Write::accumulate); }, {"dx is y", "accumulate"});
  expect_error<AliasError>([&] { normalize_rows_backward(s, m(y), norms, m(dy), m(dy), Write::accumulate); }, {"accumulate"});
  CHECK(fresh());
}

TEST_CASE("cosine_layer and its backward: nothing is written before everything is checked") {
  idx const rows = 2, classes = 3, width = 4;
  std::vector<float> x(8, 1), w(12, 2), ux(8, 7), uw(12, 7), nx(2, 7), nw(3, 7), c(6, 7), dc(6, 1), dx(12, 7), dw(12, 7), few(1, 7);
  auto const m = [](std::vector<float>& v, idx r, idx k) { return MatrixView<float>{v.data(), r, k, k}; };
  auto const layer = [&] { return CosineLayer<float>{m(ux, rows, width), m(uw, classes, width), view(nx), view(nw)}; };
  auto const untouched = [&] {
    for (auto const* v : {&ux, &uw, &nx, &nw, &c, &dx, &dw, &few})
      for (float const value : *v)
        if (value != 7) return false;
    return x == std::vector<float>(8, 1) && w == std::vector<float>(12, 2) && dc == std::vector<float>(6, 1);
  };
  auto const forward = [&](CosineLayer<float> const& l, MatrixView<float> cosines) {
    cosine_layer(on::serial{}, m(x, rows, width), m(w, classes, width), l, cosines);
  };
  auto bad = layer();
  expect_error<ShapeError>([&] { cosine_layer(on::serial{}, m(x, rows, width), m(w, 4, 3), bad, m(c, 2, 4)); }, {"4 x 3"});
  expect_error<ShapeError>([&] { forward(layer(), m(c, 3, 2)); }, {"cosines", "3 x 2", "2 x 3"});
  bad.norms_w = view(few);
  expect_error<ShapeError>([&] { forward(bad, m(c, rows, classes)); }, {"norms", "1", "3"});
  CHECK(untouched());
  bad = layer(), bad.unit_w = m(uw, 2, width);
  expect_error<ShapeError>([&] { forward(bad, m(c, rows, classes)); }, {"2 x 4", "3 x 4"});
  CHECK(untouched());
  bad = layer(), bad.unit_x = m(w, rows, width);  // would overwrite w
  expect_error<AliasError>([&] { forward(bad, m(c, rows, classes)); }, {"overlaps"});
  CHECK(untouched());
  bad = layer(), bad.unit_w = MatrixView<float>{ux.data(), classes, 1, 1};
  expect_error<Error>([&] { forward(bad, m(c, rows, classes)); }, {""});
  CHECK(untouched());
  bad = layer(), bad.norms_x = VectorView<float>{c.data(), rows};
  expect_error<AliasError>([&] { forward(bad, m(c, rows, classes)); }, {"norms", "cosines"});
  CHECK(untouched());
  bad = layer(), bad.norms_x = VectorView<float>{nw.data(), rows};
  expect_error<AliasError>([&] { forward(bad, m(c, rows, classes)); }, {"norms"});
  CHECK(untouched());
  expect_error<AliasError>(
      [&] {
        cosine_layer(on::serial{}, m(x, rows, width), m(w, classes, width), layer(), MatrixView<float>{w.data(), rows, classes, classes});
      },
      {"cosines", "w"});

  auto const backward = [&](CosineLayer<float> const& l, MatrixView<float> gx, MatrixView<float> gw, Write write = Write::assign,
                            VectorView<float const> dn = {}) {
    cosine_layer_backward(on::serial{}, l, m(dc, rows, classes), gx, gw, {}, write, dn);
  };
  auto const good_x = m(dx, rows, width), good_w = m(dw, classes, width);
  expect_error<ShapeError>([&] { backward(layer(), m(dx, 1, width), good_w); }, {"dx", "1 x 4", "2 x 4"});
  expect_error<ShapeError>([&] { backward(layer(), good_x, m(dw, 2, width)); }, {"dw", "2 x 4", "3 x 4"});
  expect_error<WorkspaceError>([&] { backward(layer(), good_x, m(uw, classes, width)); }, {"workspace", "0 bytes"});
  expect_error<AliasError>([&] { backward(layer(), good_x, MatrixView<float>{uw.data() + 1, classes, width, width}); }, {"dw", "unit_w"});
  expect_error<AliasError>([&] { backward(layer(), good_x, m(dx, classes, width)); }, {"dx", "dw"});
  {  // No classes: a null dw has not taken a null unit_w's place, and needs no workspace.
    auto none = layer();
    none.unit_w = MatrixView<float>{nullptr, 0, width, width}, none.norms_w = VectorView<float>{};
    std::vector<float> to(size(rows * width), 7);
    CHECK_NOTHROW(cosine_layer_backward(on::serial{}, none, MatrixView<float const>{nullptr, rows, 0, 0}, m(to, rows, width),
                                        MatrixView<float>{nullptr, 0, width, width}));
    CHECK(to == std::vector<float>(to.size(), 0));
  }
  expect_error<WorkspaceError>([&] { backward(layer(), good_x, good_w, Write::accumulate); }, {"workspace", "0 bytes"});
  CHECK(untouched());
  expect_error<ShapeError>([&] { backward(layer(), good_x, good_w, Write::assign, VectorView<float const>(view(few))); }, {"1", "2"});
  CHECK(untouched());
  bad = layer(), bad.norms_w = view(few);
  expect_error<ShapeError>([&] { backward(bad, good_x, good_w); }, {"norms", "1", "3"});
  CHECK(untouched());
}

// --- point losses ----------------------------------------------------------------------------------------------------------

TEST_CASE("point losses") {
  std::vector<float> x(12, 0.5F), y(12, 0.25F), g(12, 7), losses(12, 7), weights(12, 1), few(3, 7);
  std::vector<std::byte> memory(point_workspace_bytes(3, 4), std::byte(7));
  auto const m = [](std::vector<float>& v, idx rows = 3, idx cols = 4) { return MatrixView<float>{v.data(), rows, cols, cols}; };
  WingLoss const wing;
  auto const untouched = [&] {
    return g == std::vector<float>(12, 7) && losses == g && few == std::vector<float>(3, 7) && x == std::vector<float>(12, 0.5F) &&
           memory == std::vector<std::byte>(memory.size(), std::byte(7));
  };
  auto const on = [&](auto const& b) {
    auto const ws = view(memory);
    expect_error<ShapeError>([&] { loss_and_gradient(b, wing, m(x), m(y, 2), m(g), ws); }, {"truth", "2 x 4", "3 x 4"});
    expect_error<ShapeError>([&] { loss_and_gradient(b, wing, m(x), m(y), m(g, 2), ws); }, {"gradient", "2 x 4", "3 x 4"});
    expect_error<ShapeError>([&] { loss_and_gradient(b, wing, x, y, few, ws); }, {"gradient", "1 x 3", "1 x 12"});
    expect_error<ShapeError>([&] { loss_value(b, wing, m(x), MatrixView<float>{nullptr, 3, 4, 4}, ws); }, {"truth", "null"});
    expect_error<StrideError>(
        [&] {
          loss_and_gradient(b, wing, MatrixView<float>{x.data(), 3, 4, 3}, m(y), m(g), ws);
        },
        {"prediction", "stride 3"});
    expect_error<WorkspaceError>(
        [&] {
          loss_and_gradient(b, wing, m(x), m(y), m(g), Workspace{memory.data(), 5});
        },
        {"workspace", "5 bytes", std::to_string(memory.size()).c_str()});
    expect_error<AliasError>([&] { loss_and_gradient(b, wing, m(x), m(y), m(y), ws); }, {"gradient", "truth"});
    expect_error<AliasError>(
        [&] {
          loss_and_gradient(b, wing, m(x, 2), m(y, 2), MatrixView<float>{x.data() + 1, 2, 4, 4}, ws);
        },
        {"overlaps", "prediction"});
    expect_error<AliasError>([&] { loss_and_gradient(b, wing, m(x), m(y), m(x), ws, {.write = Write::accumulate}); }, {"accumulate"});
    expect_error<AliasError>(
        [&] {
          loss_and_gradient(b, wing, m(x), m(y), m(g), ws, {}, PointOutputs<float>{{}, m(x)});
        },
        {"element_losses", "prediction"});
    expect_error<AliasError>(
        [&] {
          loss_and_gradient(b, wing, m(x), m(y), m(g), ws, {}, PointOutputs<float>{{}, m(g)});
        },
        {"gradient", "element_losses"});
    expect_error<ShapeError>(
        [&] {
          loss_value(b, wing, m(x), m(y), ws, {}, PointOutputs<float>{m(weights, 2), {}});
        },
        {"weights", "2 x 4"});
    expect_error<ShapeError>(
        [&] {
          loss_value(b, wing, m(x), m(y), ws, {}, PointOutputs<float>{{}, m(losses, 2)});
        },
        {"element_losses", "2 x 4"});
    // Empty is null and 0 x 0. Null with a shape is not, be it the right one.
    MatrixView<float> const nulls[]{{nullptr, 3, 4, 4}, {nullptr, 2, 4, 4}, {nullptr, 3, 0, 0}, {nullptr, 0, 4, 4}};
    for (auto const& null : nulls)
      for (bool const weighted : {true, false}) {
        auto const extra = weighted ? PointOutputs<float>{null, {}} : PointOutputs<float>{{}, null};
        char const *const name = weighted ? "weights" : "element_losses", *const shape = null.rows == 3 ? "3 x" : "x 4";
        expect_error<ShapeError>([&] { loss_and_gradient(b, wing, m(x), m(y), m(g), ws, {}, extra); }, {name, shape});
        expect_error<ShapeError>([&] { loss_value(b, wing, m(x), m(y), ws, {}, extra); }, {name, shape});
      }
    for (float const bad : {-1.0F, static_cast<float>(nan_d), static_cast<float>(inf_d)}) {
      weights[7] = bad;
      expect_error<ParameterError>(
          [&] {
            loss_and_gradient(b, wing, m(x), m(y), m(g), ws, {}, PointOutputs<float>{m(weights), m(losses)});
          },
          {"weights"});
      weights[7] = 1;
    }
    CHECK(untouched());
  };
  on(on::serial{});
  on(losskit::on::eigen{});
  // Without elements null is the memory of any view.
  MatrixView<float> const none{nullptr, 0, 4, 4};
  CHECK_NOTHROW(loss_value(on::serial{}, wing, none, none, view(memory), {}, PointOutputs<float>{none, none}));
}

TEST_CASE("views: a shape that does not fit its memory") {
  std::vector<float> x(11);
  expect_error<ShapeError>([&] { losskit::matrix(x, 3, 4); }, {"3 x 4", "11"});
  expect_error<ShapeError>([&] { losskit::matrix(x, -1, -11); }, {"-1 x -11"});
  // Products beyond 2^64 that wrap to the size of the container.
  std::vector<float> none;
  idx const large = idx(1) << 32;
  expect_error<ShapeError>([&] { losskit::matrix(none, large, large); }, {"4294967296 x 4294967296", "0 elements"});
  std::vector<float> two(2);
  expect_error<ShapeError>([&] { losskit::matrix(two, 3074457345618258603, 6); }, {"2 elements"});  // 6 of them: 2^64 + 2
  CHECK(losskit::matrix(none, 0, large).cols == large);
  CHECK(losskit::matrix(none, large, 0).rows == large);
}

namespace {

// A backend that cannot reach one place.
struct short_sighted : on::serial {
  void const* hidden = nullptr;
  bool reaches(void const* p) const { return p != hidden; }
};

}  // namespace

TEST_CASE("memory that a backend cannot reach: any argument of any call, and nothing is written") {
  constexpr idx B = 2, C = 3, D = 4;
  using Numbers = std::vector<float>;
  Numbers x(B * D, 0.5F), w(C * D, 0.25F), unit_x(B * D), unit_w(C * D), norms_x(B), norms_w(C), c(B * C, 0.1F), dc(B * C, 0.2F), g(B * C),
      dx(B * D), dw(C * D), dnorms(B, 1), scale_gradient(B), margin_gradient(B), losses(B), weights(B, 1), p(B * C, 0.3F), t(B * C, 0.4F);
  std::vector<std::int64_t> labels{0, 2};
  std::vector<SavedRow> saved(B);
  std::vector<std::byte> memory(1 << 14);
  auto const m = [](Numbers& v, idx rows) { return losskit::matrix(v, rows, static_cast<idx>(v.size()) / rows); };
  CosineLayer<float> const layer{m(unit_x, B), m(unit_w, C), view(norms_x), view(norms_w)};
  MarginSoftmax const arc{ArcMargin{0.5}, 16.0};
  Batch batch{m(c, B), labels};
  batch.weights = view(weights);
  auto const everything = [&] {
    return std::tuple{unit_x, unit_w, norms_x, norms_w, c, g, dx, dw, scale_gradient, margin_gradient, losses};
  };
  auto const refused = [&](char const* call, auto const& f, std::initializer_list<void const*> arguments) {
    for (void const* hidden : arguments) {
      INFO(call);
      INFO(hidden);
      auto const before = everything();
      short_sighted backend;
      backend.hidden = hidden;
      CHECK_THROWS_AS(f(backend), MemoryError);
      CHECK(everything() == before);
    }
    CHECK_NOTHROW(f(short_sighted{}));
  };
  Options const add{.write = Write::accumulate};
  refused("cosine_layer", [&](auto const& b) { cosine_layer(b, m(x, B), m(w, C), layer, m(c, B)); },
          {x.data(), w.data(), unit_x.data(), unit_w.data(), norms_x.data(), norms_w.data(), c.data()});
  refused("cosine_layer_backward",
          [&](auto const& b) {
            cosine_layer_backward(b, layer, m(dc, B), m(dx, B), m(dw, C), view(memory), Write::accumulate,
                                  VectorView<float const>(view(dnorms)));
          },
          {dc.data(), unit_x.data(), unit_w.data(), norms_x.data(), norms_w.data(), dx.data(), dw.data(), memory.data(), dnorms.data()});
  refused("normalize_rows", [&](auto const& b) { normalize_rows(b, m(x, B), m(unit_x, B), norms_x); },
          {x.data(), unit_x.data(), norms_x.data()});
  refused("normalize_rows_backward",
          [&](auto const& b) {
            normalize_rows_backward(b, m(unit_x, B), norms_x, m(x, B), m(dx, B), Write::assign, VectorView<float const>(view(dnorms)));
          },
          {unit_x.data(), norms_x.data(), x.data(), dx.data(), dnorms.data()});
  refused("loss_and_gradient",
          [&](auto const& b) {
            loss_and_gradient(b, arc, batch, m(g, B), view(memory), add, {view(losses), view(scale_gradient), {}, view(margin_gradient)});
          },
          {c.data(), labels.data(), weights.data(), g.data(), memory.data(), losses.data(), scale_gradient.data(), margin_gradient.data()});
  refused("loss_value",
          [&](auto const& b) {
            loss_value(b, arc, batch, view(memory), {}, {{}, {}, view(saved)});
          },
          {c.data(), labels.data(), weights.data(), memory.data(), saved.data()});
  refused("loss_gradient",
          [&](auto const& b) { loss_gradient(b, arc, batch, saved, m(g, B), {}, view(scale_gradient), view(margin_gradient)); },
          {c.data(), labels.data(), weights.data(), saved.data(), g.data(), scale_gradient.data(), margin_gradient.data()});
  refused("logits", [&](auto const& b) { logits(b, arc, batch, m(g, B), view(memory)); },
          {c.data(), labels.data(), weights.data(), g.data(), memory.data()});
  refused("logits_backward", [&](auto const& b) { logits_backward(b, arc, batch, m(dc, B), m(g, B), {}, view(scale_gradient)); },
          {c.data(), labels.data(), weights.data(), dc.data(), g.data(), scale_gradient.data()});
  refused("point loss", [&](auto const& b) { loss_and_gradient(b, WingLoss{}, m(p, B), m(t, B), m(g, B), view(memory)); },
          {p.data(), t.data(), g.data(), memory.data()});
}

// A view that no list names would be checked by nothing: neither its size, nor its values, nor what it overlaps.
TEST_CASE("views: a batch and its outputs list every view that they have") {
  auto const listed = [](auto const& object, std::size_t others) {
    std::size_t bytes = others;
    void const* last = nullptr;
    losskit::detail::for_each_view(object, [&](char const*, auto const& v, auto...) {
      CHECK(std::less<>{}(last, static_cast<void const*>(&v)));  // in the order of the struct: none twice
      last = &v;
      bytes += sizeof v;
    });
    CHECK(bytes == sizeof object);
  };
  Call c;
  auto const batch = c.batch();
  listed(batch, sizeof batch.cosines);
  listed(c.outputs, 0);
  listed(Outputs<double>{}, 0);
  CHECK(losskit::detail::count_views(c.outputs) == sizeof c.outputs / sizeof c.outputs.saved);
}
