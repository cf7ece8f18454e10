// The Caffe layers, over a stand-in for Caffe's types: made by name from prototxt as a net makes them, their gradients by Caffe's own
// way of checking, their numbers against the formulas of the layers that they take the place of, and what they refuse. The layers
// themselves are compiled in examples/caffe/losskit_layers.cpp.
#include "caffe/layer_factory.hpp"
#undef CHECK  // the stand-in's, as glog's; doctest has its own
#undef CHECK_EQ
#undef CHECK_LE
#undef CHECK_GE
#undef CHECK_LT
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <random>
#include <sstream>

#include "gradient_checker.hpp"
#include "losskit/named.hpp"
#include "losskit/recognition/suggest_scale.hpp"
#include "prototxt.hpp"

using test::GradientChecker;
using Shape = std::vector<int>;

namespace {

// A blob of numbers in (low, high).
template <class T = double>
std::unique_ptr<caffe::Blob<T>> blob(Shape const& shape, double low = 0, double high = 0, unsigned seed = 7) {
  std::mt19937 generator(seed);
  auto b = std::make_unique<caffe::Blob<T>>(shape);
  for (int i = 0; i < b->count(); ++i) b->mutable_cpu_data()[i] = static_cast<T>(low + (high - low) * double(generator()) / 4294967296.0);
  return b;
}
template <class T = double>
std::unique_ptr<caffe::Blob<T>> labels(std::vector<double> const& values) {
  auto b = std::make_unique<caffe::Blob<T>>(Shape{static_cast<int>(values.size())});
  for (std::size_t i = 0; i < values.size(); ++i) b->mutable_cpu_data()[i] = static_cast<T>(values[i]);
  return b;
}

// A layer with its blobs, set up.
template <class T>
struct Run {
  std::vector<std::unique_ptr<caffe::Blob<T>>> bottoms, tops;
  std::vector<caffe::Blob<T>*> bottom, top;
  std::shared_ptr<caffe::Layer<T>> layer;

  template <class... B>
  explicit Run(caffe::LayerParameter const& param, std::size_t top_count, B... given) {
    (bottoms.push_back(std::move(given)), ...);
    for (std::size_t i = 0; i < top_count; ++i) tops.push_back(std::make_unique<caffe::Blob<T>>());
    for (auto const& b : bottoms) bottom.push_back(b.get());
    for (auto const& t : tops) top.push_back(t.get());
    layer = caffe::LayerRegistry<T>::CreateLayer(param);
    layer->SetUp(bottom, top);
  }
  T forward() { return layer->Forward(bottom, top); }
  void backward(std::vector<bool> wanted = {}) {
    if (wanted.empty()) wanted = std::vector<bool>(bottom.size());
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) wanted[0] = true;
    layer->Backward(top, wanted, bottom);
  }
  std::vector<T> gradient(std::size_t i = 0) const { return {bottom[i]->cpu_diff(), bottom[i]->cpu_diff() + bottom[i]->count()}; }
  std::vector<T> output(std::size_t i = 0) const { return {top[i]->cpu_data(), top[i]->cpu_data() + top[i]->count()}; }
};

std::string named(std::string const& type, std::string const& policy, std::string const& more = "") {
  return "name: 'it' type: '" + type + "' python_param { param_str: '" + policy + "' } " + more;
}

// Cosines where no margin of the catalogue has its break, and labels.
constexpr int B = 4, C = 5, D = 6;
auto cosines() { return blob({B, C}, -0.85, 0.85); }
auto truths() { return labels({1, 4, 0, 1}); }

// What Caffe's checker finds wrong with bottom 0 and the parameters.
template <class... X>
std::string off(std::string const& layer, X... bottoms) {
  Run<double> run(prototxt::layer(layer), 1, std::move(bottoms)...);
  return GradientChecker{}.check(*run.layer, run.bottom, run.top);
}

// f's last words, if it ends the process as CHECK and LOG(FATAL) do; else nothing.
std::string last_words(std::function<void()> const& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::cout.flush();  // else the child says it again
  pid_t const child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    std::signal(SIGABRT, SIG_DFL);  // doctest's would speak too
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string words;
  char buffer[512];
  for (ssize_t n = read(ends[0], buffer, sizeof buffer); n > 0; n = read(ends[0], buffer, sizeof buffer))
    words.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "";
}
void ends(std::function<void()> const& f, std::initializer_list<char const*> words) {
  std::string const said = last_words(f);
  INFO("said: " << said);
  for (char const* word : words) {
    INFO("should say: " << std::string(word));
    CHECK(said.find(word) != std::string::npos);
  }
}

std::string text_of_file(std::filesystem::path const& path) {
  std::ifstream file(path);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

// --- gradients -------------------------------------------------------------------------------------------------------------------------

TEST_CASE("every margin of the catalogue, in the layer of logits and in the loss") {
  losskit::for_each(losskit::margins{}, [](auto margin) {
    std::string const text = "MarginSoftmax(" + losskit::text_of<decltype(margin)>() + ", scale=8)";
    CAPTURE(text);
    // A detached gradient is not that of the value, and the checker says so.
    bool const detached = text.find("Detached") != text.npos;
    CHECK(off(named("LosskitMarginLoss", text), cosines(), truths()).empty() == !detached);
    CHECK(off(named("LosskitMargin", text), cosines(), truths()).empty() == !detached);
  });
}

TEST_CASE("every rest rule, objective and kind of logits") {
  for (char const* text :
       {"MarginSoftmax(ArcMargin, scale=8, rest=HardNegatives(t=0.2))",
        "MarginSoftmax(CosMargin(0.1), 8, rest=HardNegatives(0.3, weight=Fixed))", "MarginSoftmax(rest=PlainRest, scale=4)"}) {
    CAPTURE(text);
    CHECK(off(named("LosskitMargin", text), cosines(), truths()) == "");
    CHECK(off(named("LosskitMarginLoss", text), cosines(), truths()) == "");
  }
  for (char const* text :
       {"MarginSoftmax(ArcMargin, scale=8, objective=FocalLoss(gamma=2, alpha=0.25))", "MarginSoftmax(objective=LabelSmoothing, scale=8)",
        "SoftmaxLoss", "SoftmaxLoss(FocalLoss(gamma=0.5))", "SoftmaxLoss(LabelSmoothing(0.2), scale=0.7)"}) {
    CAPTURE(text);
    CHECK(off(named("LosskitMarginLoss", text), cosines(), truths()) == "");
  }
}

TEST_CASE("cosines to class centres, and unit rows") {
  std::string const centres = "inner_product_param { num_output: 5 weight_filler { type: 'gaussian' std: 0.5 } }";
  CHECK(off("type: 'LosskitCosine' " + centres, blob({B, D}, -1, 1)) == "");
  CHECK(off("type: 'LosskitCosine' " + centres, blob({B, 2, 1, 3}, -1, 1)) == "");
  CHECK(off("type: 'LosskitNormalize'", blob({B, D}, -1, 1)) == "");
  CHECK(off("type: 'LosskitNormalize'", blob({2, 3, 2, 2}, -3, 3)) == "");
}

TEST_CASE("from features to the loss in one layer") {
  std::string const centres = "inner_product_param { num_output: 5 weight_filler { type: 'gaussian' std: 0.5 } }";
  for (char const* text : {"MarginSoftmax(ArcMargin(m=0.3), scale=8)", "MarginSoftmax(CombinedMargin, 8, objective=FocalLoss)",
                           "MarginSoftmax(CosMargin, 8, rest=HardNegatives)"}) {
    CAPTURE(text);
    CHECK(off(named("LosskitHeadLoss", text, centres), blob({B, D}, -1, 1), truths()) == "");
    CHECK(off(named("LosskitHeadLoss", text, centres), blob({B, 3, 2, 1}, -1, 1), truths()) == "");
  }
}

TEST_CASE("AdaCos, at rest: also by the scale") {
  std::string const rest = "phase: TEST", text = "MarginSoftmax(ArcMargin(m=0.1), scale=AdaCosScale(classes=5))";
  CHECK(off(named("LosskitMarginLoss", text, rest), cosines(), truths()) == "");
  CHECK(off(named("LosskitMargin", text, rest), cosines(), truths()) == "");
  CHECK(off(named("LosskitHeadLoss", text, rest + " inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }"),
            blob({B, D}, -1, 1), truths()) == "");
}

TEST_CASE("every point loss of the catalogue, with weights and without") {
  losskit::for_each(losskit::point_losses{}, [](auto loss) {
    std::string const text = losskit::text_of<decltype(loss)>();
    CAPTURE(text);
    CHECK(off(named("LosskitPointLoss", text), blob({B, 3, 2}, -2, 2), blob({B, 3, 2}, 0, 1, 8)) == "");
    CHECK(off(named("LosskitPointLoss", text, "loss_param { normalization: VALID }"), blob({B, D}, -2, 2), blob({B, D}, 0, 1, 8),
              blob({B, D}, 0, 2, 9)) == "");
  });
}

TEST_CASE("weights of a point loss multiply each element's") {
  auto const sum = [](auto... weights) {
    return Run<double>(prototxt::layer(named("LosskitPointLoss", "WingLoss", "loss_param { normalization: NONE }")), 1,
                       blob({B, D}, -20, 20), blob({B, D}, 0, 1, 8), std::move(weights)...)
        .forward();
  };
  auto first = blob({B, D});
  first->mutable_cpu_data()[0] = 1;
  CHECK(sum(blob({B, D}, 3, 3)) == doctest::Approx(3 * sum()).epsilon(1e-14));
  CHECK(sum(std::move(first)) < 0.5 * sum());
}

TEST_CASE("with normalization and an ignored label the gradient is that of the value") {
  for (char const* mode : {"FULL", "VALID", "BATCH_SIZE", "NONE"})
    CHECK(off(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)",
                    "loss_param { ignore_label: -1 normalization: " + std::string(mode) + " }"),
              cosines(), labels({1, -1, 0, 1})) == "");
  CHECK(off(named("LosskitMargin", "MarginSoftmax(ArcMargin, 8)", "loss_param { ignore_label: -1 }"), cosines(), labels({1, -1, 0, 1})) ==
        "");
}

// --- what Caffe expects of a layer -------------------------------------------------------------------------------------------------------

TEST_CASE("in training Forward leaves the gradient that Backward is asked for") {
  std::string const text = named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)", "loss_weight: 0.5"),
                    head = named("LosskitHeadLoss", "MarginSoftmax(ArcMargin, 8)",
                                 "loss_weight: 0.5 inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }");
  auto const check = [](std::string const& layer, auto features) {
    caffe::Caffe::set_random_seed(3);
    auto param = prototxt::layer(layer);
    Run<double> trained(param, 1, std::move(features()), truths());
    caffe::Caffe::set_random_seed(3);
    param.set_phase(caffe::TEST);
    Run<double> tested(param, 1, std::move(features()), truths());
    double const loss = trained.forward();
    CHECK(loss == tested.forward());
    CHECK(loss == 0.5 * trained.output()[0]);
    trained.backward();
    tested.backward();
    auto const gradient = trained.gradient();
    CHECK(gradient == tested.gradient());
    // Twice, whatever became of the diff in between.
    for (int k = 0; k < trained.bottom[0]->count(); ++k) trained.bottom[0]->mutable_cpu_diff()[k] = 3;
    trained.backward();
    CHECK(trained.gradient() == gradient);
    // For another factor.
    trained.forward();
    trained.top[0]->mutable_cpu_diff()[0] = -1.5;
    trained.backward();
    for (std::size_t k = 0; k < gradient.size(); ++k) CHECK(trained.gradient()[k] == doctest::Approx(-3 * gradient[k]).epsilon(1e-14));
  };
  check(text, cosines);
  check(head, [] { return blob({B, D}, -1, 1); });
}

TEST_CASE("diffs of bottoms are assigned, those of parameters added to; what is not wanted is not written") {
  for (char const* layer : {"type: 'LosskitCosine' inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }",
                            "type: 'LosskitHeadLoss' inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } "
                            "python_param { param_str: 'MarginSoftmax(ArcMargin, 8)' }"}) {
    CAPTURE(layer);
    auto const param = prototxt::layer(layer);
    bool const loss = param.type() == "LosskitHeadLoss";
    auto const made = [&] {
      caffe::Caffe::set_random_seed(3);
      return loss ? Run<double>(param, 1, blob({B, D}, -1, 1), truths()) : Run<double>(param, 1, blob({B, D}, -1, 1));
    };
    auto const centres_of = [](Run<double>& run) {
      return std::vector<double>(run.layer->blobs()[0]->cpu_diff(), run.layer->blobs()[0]->cpu_diff() + 5 * D);
    };
    auto const filled = [&](Run<double>& run, bool features, bool centres) {
      run.forward();
      if (!loss)
        for (int k = 0; k < B * 5; ++k) run.top[0]->mutable_cpu_diff()[k] = 0.1 * k - 0.7;
      for (int k = 0; k < B * D; ++k) run.bottom[0]->mutable_cpu_diff()[k] = 3;
      for (int k = 0; k < 5 * D; ++k) run.layer->blobs()[0]->mutable_cpu_diff()[k] = 2;
      run.layer->set_param_propagate_down(0, centres);
      std::vector<bool> wanted(run.bottom.size());
      wanted[0] = features;
      run.layer->Backward(run.top, wanted, run.bottom);
    };
    Run<double> both = made(), features = made(), centres = made(), none = made();
    filled(both, true, true);
    filled(features, true, false);
    filled(centres, false, true);
    filled(none, false, false);
    CHECK(features.gradient() == both.gradient());
    CHECK(centres_of(centres) == centres_of(both));
    CHECK(centres.gradient() == std::vector<double>(B * D, 3.0));
    CHECK(none.gradient() == std::vector<double>(B * D, 3.0));
    CHECK(centres_of(features) == std::vector<double>(5 * D, 2.0));
    CHECK(centres_of(none) == std::vector<double>(5 * D, 2.0));
    // A row of unit features is orthogonal to its gradient, of which 3 would be no part; 2 added to each centre's.
    for (int i = 0; i < B; ++i) {
      double dot = 0;
      for (int k = 0; k < D; ++k) dot += both.bottom[0]->cpu_data()[i * D + k] * both.bottom[0]->cpu_diff()[i * D + k];
      CHECK(std::abs(dot) < 1e-12);
    }
    for (int j = 0; j < 5; ++j) {
      double dot = 0;
      for (int k = 0; k < D; ++k)
        dot += both.layer->blobs()[0]->cpu_data()[j * D + k] * (both.layer->blobs()[0]->cpu_diff()[j * D + k] - 2);
      CHECK(std::abs(dot) < 1e-12);
    }
  }
}

TEST_CASE("normalisation in place") {
  auto const param = prototxt::layer("type: 'LosskitNormalize'");
  Run<double> apart(param, 1, blob({B, D}, -1, 1));
  auto x = blob({B, D}, -1, 1);
  std::vector<caffe::Blob<double>*> const one{x.get()};
  auto const layer = caffe::LayerRegistry<double>::CreateLayer(param);
  layer->SetUp(one, one);
  apart.forward();
  layer->Forward(one, one);
  CHECK(std::equal(x->cpu_data(), x->cpu_data() + B * D, apart.top[0]->cpu_data()));
  for (int k = 0; k < B * D; ++k) x->mutable_cpu_diff()[k] = apart.top[0]->mutable_cpu_diff()[k] = 0.1 * k - 1;
  apart.backward();
  layer->Backward(one, {true}, one);
  CHECK(std::equal(x->cpu_diff(), x->cpu_diff() + B * D, apart.bottom[0]->cpu_diff()));
}

TEST_CASE("normalization divides as SoftmaxWithLoss does") {
  auto const loss = [](std::string const& more) {
    Run<double> run(prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)", "loss_param { " + more + " }")), 1, cosines(),
                    labels({1, -1, 0, 1}));
    return run.forward();
  };
  double const sum = loss("ignore_label: -1 normalization: NONE");
  auto const is = [](double x) { return doctest::Approx(x).epsilon(1e-14); };
  CHECK(loss("ignore_label: -1") == is(sum / 3));
  CHECK(loss("ignore_label: -1 normalization: VALID") == is(sum / 3));
  CHECK(loss("ignore_label: -1 normalization: FULL") == is(sum / 4));
  CHECK(loss("ignore_label: -1 normalization: BATCH_SIZE") == is(sum / 4));
  CHECK(loss("ignore_label: -1 normalize: true") == is(sum / 3));
  CHECK(loss("ignore_label: -1 normalize: false") == is(sum / 4));
  CHECK(loss("ignore_label: -1 normalize: false normalization: NONE") == is(sum));
  auto const wing = [](std::string const& more) {
    Run<double> run(prototxt::layer(named("LosskitPointLoss", "WingLoss", more)), 1, blob({B, D}, -20, 20), blob({B, D}, 0, 1, 8));
    return run.forward();
  };
  CHECK(wing("") == is(wing("loss_param { normalization: NONE }") / B));
  CHECK(wing("loss_param { normalization: FULL }") == is(wing("") / D));
}

TEST_CASE("accuracy as a second top") {
  auto c = labels({0.9, 0.1, 0.2, 0.8, 0.1, 0.1, 0.3, 0.5});
  c->Reshape({4, 2});
  auto const param = prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)", "loss_param { ignore_label: 9 }"));
  Run<double> run(param, 2, std::move(c), labels({0, 1, 1, 9}));  // right, right, a tie, ignored
  double const loss = run.forward();
  CHECK(run.output(1)[0] == doctest::Approx(2.0 / 3).epsilon(1e-15));
  CHECK(loss == run.output()[0]);  // accuracy has no part in it
  run.backward();
}

TEST_CASE("a training Forward moves the scale of AdaCos as the paper says, nothing else does") {
  std::string const text = "MarginSoftmax(NoMargin, scale=AdaCosScale(classes=5))";
  Run<double> run(prototxt::layer(named("LosskitMarginLoss", text)), 1, cosines(), truths());
  auto const s = [](caffe::Layer<double>& layer) { return layer.blobs().back()->cpu_data()[0]; };
  double scale = std::sqrt(2.0) * std::log(4.0);
  CHECK(s(*run.layer) == doctest::Approx(scale).epsilon(1e-15));
  for (int step = 0; step < 3; ++step) {
    double sum = 0;
    std::vector<double> targets;
    for (int i = 0; i < B; ++i)
      for (int j = 0; j < C; ++j) {
        double const c = run.bottom[0]->cpu_data()[i * C + j];
        if (j == static_cast<int>(run.bottom[1]->cpu_data()[i])) targets.push_back(std::acos(c));
        else sum += std::exp(scale * c);
      }
    std::sort(targets.begin(), targets.end());
    scale = std::log(sum / B) / std::cos(std::min(std::numbers::pi / 4, targets[1]));
    run.forward();
    CHECK(s(*run.layer) == doctest::Approx(scale).epsilon(1e-13));
    run.backward();
    CHECK(s(*run.layer) == doctest::Approx(scale).epsilon(1e-13));
    CHECK(run.layer->blobs().back()->cpu_diff()[0] == 0);
    run.backward();
    CHECK(s(*run.layer) == doctest::Approx(scale).epsilon(1e-13));
  }
  // Its own blob goes into the snapshot, and a solver leaves it alone.
  caffe::LayerParameter saved;
  run.layer->ToProto(&saved);
  CHECK(saved.blobs_size() == 1);
  CHECK(saved.param(0).lr_mult() == 0);
  saved.set_phase(caffe::TEST);
  Run<double> restored(saved, 1, cosines(), truths());
  CHECK(s(*restored.layer) == s(*run.layer));
  double const at_rest = restored.forward();
  CHECK(restored.forward() == at_rest);
  CHECK(s(*restored.layer) == s(*run.layer));

  // In the other layers.
  Run<double> logits(prototxt::layer(named("LosskitMargin", text)), 1, cosines(), truths());
  for (int step = 0; step < 3; ++step) logits.forward();
  CHECK(s(*logits.layer) == s(*run.layer));
  for (int k = 0; k < B * C; ++k)
    CHECK(logits.output()[static_cast<std::size_t>(k)] == doctest::Approx(scale * logits.bottom[0]->cpu_data()[k]).epsilon(1e-13));
  Run<double> head(
      prototxt::layer(named("LosskitHeadLoss", text, "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }")), 1,
      blob({B, D}, -1, 1), truths());
  double const before = s(*head.layer);
  head.forward();
  CHECK(s(*head.layer) != before);
  CHECK(head.layer->blobs().size() == 2);
  CHECK(head.layer->layer_param().param(0).lr_mult() == 1);
  CHECK(head.layer->layer_param().param(1).lr_mult() == 0);
}

TEST_CASE("beside AdaCosScale margin, objective and rest rule stay what they are") {
  std::ostringstream s;
  s.precision(17);
  s << std::sqrt(2.0) * std::log(4.0);
  for (char const* parts : {"ArcMargin(m=0.1), scale=SCALE, objective=FocalLoss(gamma=3), rest=HardNegatives(t=0.4)",
                            "rest=HardNegatives, scale=SCALE", "CosMargin, SCALE, LabelSmoothing"}) {
    CAPTURE(parts);
    auto const loss = [&](std::string const& scale) {
      std::string text = parts;
      text.replace(text.find("SCALE"), 5, scale);
      return Run<double>(prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(" + text + ")", "phase: TEST")), 1, cosines(), truths())
          .forward();
    };
    CHECK(loss("AdaCosScale(classes=5)") == doctest::Approx(loss(s.str())).epsilon(1e-14));
  }
}

TEST_CASE("one layer is the three that it is made of") {
  std::string const centres = "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }";
  caffe::Caffe::set_random_seed(3);
  Run<double> head(prototxt::layer(named("LosskitHeadLoss", "MarginSoftmax(ArcMargin, 8)", centres)), 1, blob({B, D}, -1, 1), truths());
  caffe::Caffe::set_random_seed(3);
  Run<double> cosine(prototxt::layer("type: 'LosskitCosine' " + centres), 1, blob({B, D}, -1, 1));
  cosine.forward();
  auto c = blob({B, C});
  std::copy_n(cosine.top[0]->cpu_data(), B * C, c->mutable_cpu_data());
  Run<double> loss(prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)")), 1, std::move(c), truths());
  CHECK(head.forward() == loss.forward());
  loss.backward();
  std::copy_n(loss.bottom[0]->cpu_diff(), B * C, cosine.top[0]->mutable_cpu_diff());
  cosine.backward();
  head.backward();
  CHECK(head.gradient() == cosine.gradient());
}

TEST_CASE("float is double, to rounding") {
  auto const param = prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin, 8)"));
  auto c = blob<float>({B, C}, -0.85, 0.85);
  Run<float> single(param, 1, std::move(c), labels<float>({1, 4, 0, 1}));
  Run<double> twice(param, 1, cosines(), truths());
  CHECK(double(single.forward()) == doctest::Approx(twice.forward()).epsilon(1e-6));
  single.backward();
  twice.backward();
  for (std::size_t k = 0; k < B * C; ++k) CHECK(double(single.gradient()[k]) == doctest::Approx(twice.gradient()[k]).epsilon(1e-5));
}

// --- the layers whose place they take ----------------------------------------------------------------------------------------------------

TEST_CASE("the formulas of arcface-caffe") {
  auto const logits = [](std::string const& text) {
    Run<double> run(prototxt::layer(named("LosskitMargin", text)), 1, blob({B, C}, -0.95, 0.95, 5), truths());
    run.forward();
    return run;
  };
  // z_y = psi(c_y), z_j = r(c_j, psi(c_y))
  auto const compare = [&](std::string const& text, auto psi, auto r) {
    auto const run = logits(text);
    for (int i = 0; i < B; ++i) {
      int const y = static_cast<int>(run.bottom[1]->cpu_data()[i]);
      double const target = psi(run.bottom[0]->cpu_data()[i * C + y]);
      for (int j = 0; j < C; ++j) {
        double const c = run.bottom[0]->cpu_data()[i * C + j];
        CHECK(run.top[0]->cpu_data()[i * C + j] == doctest::Approx(j == y ? target : r(c, target)).epsilon(1e-12));
      }
    }
  };
  auto const plain = [](double c, double) { return c; };
  // CosinAddm, m = 0.5: past the threshold cos(pi - m), c - m sin(pi - m).
  auto const cosin_add_m = [](double c) {
    double const m = 0.5, pi = std::numbers::pi;
    return c > std::cos(pi - m) ? c * std::cos(m) - std::sqrt(1 - c * c) * std::sin(m) : c - m * std::sin(pi - m);
  };
  compare("MarginSoftmax(ArcMargin(m=0.5, rule=LegacyLinear), scale=1)", cosin_add_m, plain);
  // CombinedMargin, m1 = 4, m2 = 0.5, m3 = 0.35.
  compare(
      "MarginSoftmax(CombinedMargin(m1=4, m2=0.5, m3=0.35, rule=NoRule), scale=1)",
      [](double c) { return std::cos(4 * std::acos(c) + 0.5) - 0.35; }, plain);
  // SV-X-Softmax, m = 0.5, t = 1.2: its t is one more than the paper's.
  compare("MarginSoftmax(ArcMargin(m=0.5, rule=LegacyLinear), scale=1, rest=HardNegatives(t=0.2))", cosin_add_m,
          [](double c, double target) { return c > target ? 1.2 * c + 0.2 : c; });
  // LabelSpecificAdd, bias = -0.35: only above 0.35.
  compare(
      "MarginSoftmax(CosMargin(m=0.35, rule=Easy(above=0.35)), scale=1)", [](double c) { return c > 0.35 ? c - 0.35 : c; }, plain);

  // FocalLoss on the logits: alpha (1 - p)^gamma (-ln p), a mean.
  Run<double> focal(prototxt::layer(named("LosskitMarginLoss", "SoftmaxLoss(FocalLoss(gamma=2, alpha=0.25))")), 1, blob({B, C}, -3, 3),
                    truths());
  double expected = 0;
  for (int i = 0; i < B; ++i) {
    double z = 0;
    for (int j = 0; j < C; ++j) z += std::exp(focal.bottom[0]->cpu_data()[i * C + j]);
    double const p = std::exp(focal.bottom[0]->cpu_data()[i * C + static_cast<int>(focal.bottom[1]->cpu_data()[i])]) / z;
    expected += 0.25 * (1 - p) * (1 - p) * -std::log(p) / B;
  }
  CHECK(focal.forward() == doctest::Approx(expected).epsilon(1e-12));

  // NormL2 has an epsilon of 1e-7 under its root.
  Run<double> norm(prototxt::layer("type: 'LosskitNormalize'"), 1, blob({B, D}, -1, 1));
  norm.forward();
  for (int i = 0; i < B; ++i) {
    double square = 1e-7;
    for (int k = 0; k < D; ++k) square += std::pow(norm.bottom[0]->cpu_data()[i * D + k], 2);
    for (int k = 0; k < D; ++k)
      CHECK(norm.top[0]->cpu_data()[i * D + k] == doctest::Approx(norm.bottom[0]->cpu_data()[i * D + k] / std::sqrt(square)).epsilon(1e-6));
  }

  // WingLoss, w = 10, eps = 2; SmoothL1Loss of Fast R-CNN, sigma = 3; Adaptive Wing: sums over elements, divided by B.
  auto const sum_of = [](std::string const& text, double reach, auto loss) {
    Run<double> run(prototxt::layer(named("LosskitPointLoss", text)), 1, blob({B, D}, -reach, reach), blob({B, D}, 0, 1, 8));
    double sum = 0;
    for (int k = 0; k < B * D; ++k) sum += loss(run.bottom[0]->cpu_data()[k], run.bottom[1]->cpu_data()[k]);
    CHECK(run.forward() == doctest::Approx(sum / B).epsilon(1e-12));
  };
  sum_of("WingLoss(w=10, eps=2)", 20, [](double x, double y) {
    double const d = std::abs(x - y);
    return d < 10 ? 10 * std::log(1 + d / 2) : d - (10 - 10 * std::log(6.0));
  });
  sum_of("SmoothL1Loss(sigma=3)", 1, [](double x, double y) {
    double const d = std::abs(x - y);
    return d < 1.0 / 9 ? 4.5 * d * d : d - 0.5 / 9;
  });
  sum_of("AdaptiveWingLoss", 2, [](double x, double y) {
    double const omega = 14, theta = 0.5, q = 2.1 - y, d = std::abs(x - y), t = std::pow(theta, q);
    double const a = omega * q * std::pow(theta, q - 1) / (1 + t);
    return d < theta ? omega * std::log(1 + std::pow(d, q)) : a * d - (theta * a - omega * std::log(1 + t));
  });
}

TEST_CASE("similarity of faces") {
  auto a = labels({1, 0, 3, 4, 0, 0}), b = labels({2, 0, 4, -3, 1, 1});
  a->Reshape({3, 2});
  b->Reshape({3, 2});
  Run<double> run(prototxt::layer("type: 'LosskitSimilarity'"), 1, std::move(a), std::move(b));
  run.forward();
  CHECK(run.output() == std::vector<double>{1, 0, 0});
  CHECK(run.top[0]->shape() == Shape{3});
  auto same = blob({B, D}, -1, 1), scaled = blob({B, D}, -2, 2);
  Run<double> alike(prototxt::layer("type: 'LosskitSimilarity'"), 1, std::move(same), std::move(scaled));
  alike.forward();
  for (double const c : alike.output()) CHECK(c == doctest::Approx(1).epsilon(1e-14));
}

// --- what they refuse --------------------------------------------------------------------------------------------------------------------

TEST_CASE("what is wrong ends the process, with the layer's name and losskit's text") {
  auto const loss = [](std::string const& text, std::string const& more = "") {
    return [=] { Run<double>(prototxt::layer(named("LosskitMarginLoss", text, more)), 1, cosines(), truths()).forward(); };
  };
  ends(loss("MarginSoftmax(ArcMargn)"), {"it (LosskitMarginLoss): losskit: ", "ArcMargn", "did you mean ArcMargin"});
  ends(loss("MarginSoftmax(ArcMargin(m=9))"), {"ArcMargin: m = 9"});
  ends(loss("MarginSoftmax(ArcMargin, scale=-1)"), {"scale = -1"});
  ends(loss("MarginSoftmax(ArcMargin, scale=FeatureNorm)"), {"FeatureNorm is no number"});
  ends(loss("MarginSoftmax(ArcMargin, scale=AdaCosScale(classes=2))"), {"AdaCosScale: classes = 2"});
  ends(loss("MarginSoftmax(ArcMargin, rest=CurricularRest)"), {"CurricularRest follows the batch, and this layer keeps no state for it"});
  ends(loss("WingLoss"), {"no loss over a matrix is called \"WingLoss\""});
  ends(loss(""), {"\"\" is no policy"});
  ends(loss("MarginSoftmax(scale=AdaCosScale(5))", "param { decay_mult: 0 }"), {"param 0: lr_mult = 1, 0 needed"});
  CHECK(last_words(loss("MarginSoftmax(ArcMargin)")) == "");  // and nothing else does

  auto const labelled = [](std::vector<double> const& y, std::string const& more = "") {
    return [=] {
      Run<float>(prototxt::layer(named("LosskitMarginLoss", "MarginSoftmax(ArcMargin)", more)), 1, blob<float>({B, C}), labels<float>(y))
          .forward();
    };
  };
  ends(labelled({0, 1, 2, 1.5}), {"it (LosskitMarginLoss): losskit: labels[3] = 1.5 is no integer"});
  ends(labelled({0, NAN, 2, 1}), {"labels[1] = nan is no integer"});
  ends(labelled({0, 1, 1e30, 1}), {"labels[2]", "is no integer"});
  ends(labelled({0, 1, 5, 1}), {"labels[2] = 5 is outside [0, 5)"});
  ends(labelled({0, -1, 2, 1}), {"labels[1] = -1 is outside [0, 5)"});
  CHECK(last_words(labelled({0, -1, 2, 1}, "loss_param { ignore_label: -1 }")) == "");
  ends(labelled({0, 1, 2}), {"The data and label should have the same first dimension"});
  ends(
      [] {
        Run<double>(prototxt::layer(named("LosskitMarginLoss", "SoftmaxLoss")), 1, blob({B, C}), blob({B, 2}));
      },
      {"labels: 8, expected 4, one a row"});
  ends(
      [] {
        Run<double>(prototxt::layer(named("LosskitMarginLoss", "SoftmaxLoss")), 1, blob({B, C, 2, 1}), truths());
      },
      {"bottom 0: shape 4 5 2 1 (40), expected B x C"});
  ends(
      [] {
        Run<double>(prototxt::layer(named("LosskitMarginLoss", "SoftmaxLoss")), 1, blob({B, C}), truths()).backward({true, true});
      },
      {"bottom 1: a gradient is asked for (propagate_down), and there is none"});
  ends([] { Run<double>(prototxt::layer(named("LosskitMarginLoss", "SoftmaxLoss")), 3, blob({B, C}), truths()); }, {"top blobs"});

  ends([] { Run<double>(prototxt::layer(named("LosskitMargin", "SoftmaxLoss")), 1, cosines(), truths()); },
       {"SoftmaxLoss takes logits and makes none"});
  ends(
      [] { Run<double>(prototxt::layer(named("LosskitMargin", "MarginSoftmax(ArcMargin, objective=FocalLoss)")), 1, cosines(), truths()); },
      {"an objective acts in a loss, and this layer is none"});
  ends(
      [] {
        auto c = cosines(), y = truths();
        auto const layer = caffe::LayerRegistry<double>::CreateLayer(prototxt::layer(named("LosskitMargin", "MarginSoftmax(ArcMargin)")));
        layer->SetUp({c.get(), y.get()}, {c.get()});
      },
      {"the logits cannot take the cosines' place"});

  auto const centres = [](std::string const& p, caffe::Blob<double> const* saved = nullptr) {
    return [=] {
      auto param = prototxt::layer("name: 'fc6' type: 'LosskitCosine' inner_product_param { " + p + " }");
      if (saved) saved->ToProto(param.add_blobs());
      Run<double>(param, 1, blob({B, D}));
    };
  };
  ends(centres(""), {"fc6 (LosskitCosine): losskit: inner_product_param: num_output = 0"});
  ends(centres("num_output: 5 bias_term: true"), {"a cosine has no bias"});
  ends(centres("num_output: 5 transpose: true"), {"transpose = 1, axis = 1: only false and 1 are known"});
  ends(centres("num_output: 5 axis: 2"), {"axis = 2"});
  CHECK(last_words(centres("num_output: 5 bias_term: false")) == "");
  auto const other = blob({5, D + 1});
  ends(centres("num_output: 5", other.get()), {"blob 0: shape 5 7 (35), expected 5 x 6"});
  ends(
      [] {
        Run<double> run(prototxt::layer("type: 'LosskitCosine' inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }"), 1,
                        blob({B, D}));
        run.bottom[0]->Reshape({B, D + 1});
        run.forward();
      },
      {"features: 7 in a row, but the class centres have 6"});

  auto const point = [](std::string const& text, Shape const& truth, Shape const& weights) {
    return [=] {
      Run<double>(prototxt::layer(named("LosskitPointLoss", text)), 1, blob({B, D}), blob(truth), blob(weights, -1, 1)).forward();
    };
  };
  ends(point("WingLos", {B, D}, {B, D}), {"WingLos", "did you mean WingLoss"});
  ends(point("WingLoss(eps=0)", {B, D}, {B, D}), {"WingLoss: eps = 0"});
  ends(point("WingLoss", {B, D + 1}, {B, D}), {"truth: shape 4 7 (28), expected 4 6 (24)"});
  ends(point("WingLoss", {B, D}, {B, D - 1}), {"weights: shape 4 5 (20), expected 4 6 (24)"});
  ends(point("WingLoss", {B, D}, {B, D}), {"weights[0] = -0.8", "is not a finite number >= 0"});
  ends(
      [] {
        Run<double>(prototxt::layer("type: 'LosskitSimilarity'"), 1, blob({B, D}), blob({B + 1, D}));
      },
      {"bottom 1: 5 rows, expected 4"});
  ends(
      [] {
        Run<double>(prototxt::layer("type: 'LosskitSimilarity'"), 1, blob({B, D}), blob({B, D + 1})).forward();
      },
      {"6 elements and b has 7"});
  ends(
      [] {
        Run<double>(prototxt::layer("type: 'LosskitSimilarity'"), 1, blob({B, D}), blob({B, D})).backward();
      },
      {"bottom 0: a gradient is asked for"});
}

// --- the examples ------------------------------------------------------------------------------------------------------------------------

namespace {

// A net of Input layers and losskit's, run forward and backward; Caffe's own layers must come after all of losskit's that they feed.
struct Net {
  std::map<std::string, std::unique_ptr<caffe::Blob<double>>> blobs;
  std::map<std::string, std::string> types;  // of the layer that makes a blob
  int ran = 0;

  explicit Net(std::vector<prototxt::Layer> const& layers, double scale_of_inputs = 1) {
    for (prototxt::Layer const& l : layers) {
      if (l.param.type() == "Input") {
        for (std::size_t i = 0; i < l.tops.size(); ++i) {
          bool const label = l.tops[i].find("label") != std::string::npos;
          blobs[l.tops[i]] = blob(l.shapes.at(i), 0, scale_of_inputs, unsigned(i) + 1);
          if (label)
            for (int k = 0; k < blobs[l.tops[i]]->count(); ++k) blobs[l.tops[i]]->mutable_cpu_data()[k] = k % 2;
        }
        continue;
      }
      if (!l.param.type().starts_with("Losskit")) {
        for (std::string const& name : l.bottoms) {
          INFO(name);
          CHECK(blobs.count(name) == 1);
        }
        continue;
      }
      CAPTURE(l.param.name());
      std::vector<caffe::Blob<double>*> bottom, top;
      for (std::string const& name : l.bottoms) {
        INFO(name);
        REQUIRE(blobs.count(name) == 1);
        bottom.push_back(blobs[name].get());
      }
      for (std::string const& name : l.tops) {
        if (!blobs.count(name)) blobs[name] = std::make_unique<caffe::Blob<double>>();
        top.push_back(blobs[name].get());
      }
      auto const layer = caffe::LayerRegistry<double>::CreateLayer(l.param);
      layer->SetUp(bottom, top);
      layer->Forward(bottom, top);
      for (caffe::Blob<double> const* t : top)
        for (int k = 0; k < t->count(); ++k) CHECK(std::isfinite(t->cpu_data()[k]));
      ++ran;
      if (l.param.type() == "LosskitSimilarity") continue;
      if (!layer->loss(0))
        for (int k = 0; k < top[0]->count(); ++k) top[0]->mutable_cpu_diff()[k] = 0.01 * (k % 7) - 0.02;
      std::vector<bool> wanted(bottom.size());
      wanted[0] = true;
      layer->Backward(top, wanted, bottom);
      double sum = 0;
      for (int k = 0; k < bottom[0]->count(); ++k) sum += std::abs(bottom[0]->cpu_diff()[k]);
      CHECK(sum > 0);
      CHECK(std::isfinite(sum));
    }
  }
};

}  // namespace

TEST_CASE("every prototxt of examples/caffe runs") {
  int files = 0;
  for (auto const& entry : std::filesystem::directory_iterator(LOSSKIT_SOURCE "/examples/caffe")) {
    if (entry.path().extension() != ".prototxt") continue;
    CAPTURE(entry.path().string());
    ++files;
    Net const net(prototxt::net(text_of_file(entry.path())));
    CHECK(net.ran > 0);
  }
  CHECK(files >= 11);
}

TEST_CASE("the layers in the READMEs run") {
  for (char const* page : {"/README.md", "/examples/caffe/README.md"}) {
    CAPTURE(page);
    std::string const text = text_of_file(LOSSKIT_SOURCE + std::string(page)), fence = "```prototxt\n";
    int blocks = 0;
    for (std::size_t at = text.find(fence); at != text.npos; at = text.find(fence, at + 1)) {
      std::size_t const from = at + fence.size(), to = text.find("```", from);
      std::string const block = text.substr(from, to - from);
      CAPTURE(block);
      Net const net(prototxt::net(
          "layer { type: 'Input' top: 'fc5' top: 'label' input_param { shape { dim: 4 dim: 16 } shape { dim: 4 } } }" + block));
      CHECK(net.ran > 0);
      ++blocks;
    }
    CHECK(blocks > 0);
  }
}

TEST_CASE("two classes train with the example's scale, and not with that of 10^5 faces") {
  auto const layers = prototxt::net(text_of_file(LOSSKIT_SOURCE "/examples/caffe/two_classes.prototxt"));
  auto const trained = [](caffe::LayerParameter const& param) {
    caffe::Caffe::set_random_seed(5);
    constexpr int rows = 32;
    auto x = blob({rows, 8}, -0.5, 0.5);
    std::vector<double> y;
    for (int i = 0; i < rows; ++i) {
      y.push_back(i % 2);
      x->mutable_cpu_data()[i * 8 + i % 2] += 1;
    }
    Run<double> run(param, 2, std::move(x), labels(y));
    struct {
      double first, last, accuracy, largest;
    } result{run.forward(), 0, 0, 0};
    for (int step = 0; step < 200; ++step) {
      caffe::Blob<double>& w = *run.layer->blobs()[0];
      std::fill_n(w.mutable_cpu_diff(), w.count(), 0.0);
      result.last = run.forward();
      run.backward();
      for (int k = 0; k < w.count(); ++k) w.mutable_cpu_data()[k] -= 0.1 * w.cpu_diff()[k];
      if (step == 0)
        for (double const g : run.gradient()) result.largest = std::max(result.largest, std::abs(g));
    }
    result.accuracy = run.output(1)[0];
    return result;
  };
  caffe::LayerParameter param;
  for (auto const& l : layers)
    if (l.param.type() == "LosskitHeadLoss") param = l.param;
  CHECK(param.inner_product_param().num_output() == 2);
  auto const good = trained(param);
  CHECK(good.first < 5);
  CHECK(good.last < 0.5 * good.first);
  CHECK(good.accuracy == 1);
  param.mutable_python_param()->set_param_str("MarginSoftmax(ArcMargin(m=0.5), scale=64)");
  auto const bad = trained(param);
  CHECK(bad.first > 20);
  CHECK(bad.largest > 10 * good.largest);
}

TEST_CASE("all layers are known, for float and for double") {
  for (char const* type : {"LosskitCosine", "LosskitHeadLoss", "LosskitMargin", "LosskitMarginLoss", "LosskitNormalize", "LosskitPointLoss",
                           "LosskitSimilarity"}) {
    caffe::LayerParameter param;
    param.set_type(type);
    CHECK(std::string(caffe::LayerRegistry<float>::CreateLayer(param)->type()) == type);
    CHECK(std::string(caffe::LayerRegistry<double>::CreateLayer(param)->type()) == type);
  }
}
