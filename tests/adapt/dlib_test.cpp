// The dlib adapter: layers against the bare calls and against differences, dlib's own test of a layer, training, files, and errors.
#include "losskit/adapt/dlib.hpp"
#include "losskit/losskit.hpp"
#undef CHECK
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace losskit;

namespace {

using Arc = MarginSoftmax<ArcMargin<>>;
using Input = dlib::input<dlib::matrix<float>>;

// What dlib's loss layers see of the layer below: an output, and where its gradient goes, zero before every step.
struct Below {
  dlib::resizable_tensor output, gradient;
  int expansion = 1;
  dlib::tensor const& get_output() const { return output; }
  dlib::tensor& get_gradient_input() { return gradient; }
  int sample_expansion_factor() const { return expansion; }

  Below(long samples, long k, long nr = 1, long nc = 1, float scale = 0.85F) {
    output.set_size(samples, k, nr, nc);
    gradient.copy_size(output);
    dlib::rand random(7);
    for (float& x : output) x = scale * (2 * random.get_random_float() - 1);
    gradient = 0;
  }
};

// f throws a dlib::error whose text holds "losskit: " and all of `words`.
template <class E = dlib::error>
void refused(std::function<void()> const& f, std::initializer_list<char const*> words) {
  std::string text = "nothing was thrown";
  bool typed = false;
  try {
    f();
  } catch (dlib::fatal_error const& e) {
    text = std::string("dlib's own assert: ") + e.what();
  } catch (E const& e) {
    typed = true;
    text = e.what();
  } catch (std::exception const& e) {
    text = std::string("another type: ") + e.what();
  }
  INFO(text);
  CHECK(typed);
  CHECK(text.find("losskit: ") != std::string::npos);
  for (char const* word : words) {
    INFO("should name: " << std::string(word));
    CHECK(text.find(word) != std::string::npos);
  }
}

bool all_are(dlib::tensor const& t, float x) {
  bool all = true;
  for (float const y : t) all = all && y == x;
  return all;
}
bool same_numbers(dlib::tensor const& a, dlib::tensor const& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

// The layer's gradient against differences of its own loss, fourth order, as a share of the largest: in float.
template <class Layer, class Truths>
double off_differences(Layer const& layer, Below below, Truths const& truths) {
  double const loss = layer.compute_loss_value_and_gradient(below.output, truths.begin(), below);
  REQUIRE(std::isfinite(loss));
  Below moved = below;
  auto const at = [&](std::size_t i, float x) {
    float const before = below.output.host()[i];
    moved.output.host()[i] = before + x;
    double const value = layer.compute_loss_value_and_gradient(moved.output, truths.begin(), moved);
    double const step = double(before + x) - double(before);
    moved.output.host()[i] = before;
    return std::pair{value, step};
  };
  double apart = 0, largest = 0;
  for (std::size_t i = 0; i < below.output.size(); ++i) {
    float const h = 0.004F;
    auto const [a, x] = at(i, h);
    auto const [b, y] = at(i, -h);
    auto const [c, u] = at(i, 2 * h);
    auto const [d, v] = at(i, -2 * h);
    double const expected = (4 * (a - b) / (x - y) - (c - d) / (u - v)) / 3;
    apart = std::max(apart, std::abs(double(below.gradient.host()[i]) - expected));
    largest = std::max(largest, std::abs(expected));
  }
  return apart / largest;
}

// A margin of the user's own.
struct Shifted {
  static constexpr char const* name = "Shifted";
  double by = 0.1;
  template <class X>
  Jet<X> target(X c) const { return {c - by, X(1)}; }
};

std::vector<unsigned long> const some_labels{2, 0, 6, 3, 1};

}  // namespace

TEST_CASE("a margin's layer has the bits of the bare call") {
  Below below(5, 7);
  adapt::loss_margin_<Arc> const layer(Arc{ArcMargin{0.5}, 16.0});
  double const loss = layer.compute_loss_value_and_gradient(below.output, some_labels.begin(), below);
  std::vector<idx> const labels(some_labels.begin(), some_labels.end());
  std::vector<float> gradient(35);
  on::eigen const backend{};
  std::vector<std::byte> workspace(workspace_bytes<float>(backend, 5, 7, Placement::out_of_place));
  MatrixView<float const> const cosines{below.output.host(), 5, 7, 7};
  Report const report =
      loss_and_gradient(backend, Arc{ArcMargin{0.5}, 16.0}, Batch(cosines, labels), matrix(gradient, 5, 7), view(workspace));
  CHECK(loss == report.loss);
  CHECK(std::equal(gradient.begin(), gradient.end(), below.gradient.begin()));
  CHECK(layer.report().top1 == report.top1);
  CHECK(layer.report().mean_target_angle == report.mean_target_angle);
}

TEST_CASE("margins' gradients are those of the values, for several compositions") {
  auto const off = [](auto const& loss, Options const& options = {}) {
    using L = std::remove_cvref_t<decltype(loss)>;
    return off_differences(adapt::loss_margin_<L>(loss, options), Below(5, 7), some_labels);
  };
  CHECK(off(Arc{ArcMargin{0.5}, 16.0}) < 1e-3);
  CHECK(off(Arc{ArcMargin{0.5}, 16.0}, {.reduction = Reduction::sum}) < 1e-3);
  CHECK(off(Arc{ArcMargin{0.5}, 16.0}, {.ignore_label = 6}) < 1e-3);
  CHECK(off(MarginSoftmax{CosMargin{0.35}, 12.0, FocalLoss{2}}) < 1e-3);
  CHECK(off(MarginSoftmax{SphereMargin{2}, 12.0, CrossEntropy{}, HardNegatives{0.2}}) < 1e-3);
  CHECK(off(MarginSoftmax{CombinedMargin{1, 0.3, 0.2}, 12.0}) < 1e-3);
  CHECK(off(MarginSoftmax{NoMargin{}, 12.0, LabelSmoothing{0.1}}) < 1e-3);
  CHECK(off(MarginSoftmax{Shifted{}, 12.0}) < 1e-3);
  CHECK(off(SoftmaxLoss{}) < 1e-3);
}

TEST_CASE("point losses' gradients are those of the values, for every shape of truth") {
  dlib::rand random(3);
  auto const matrix_of = [&](long rows, long cols) {
    dlib::matrix<float> m(rows, cols);
    for (float& x : m) x = random.get_random_float();
    return m;
  };
  auto const truths = [&](long rows, long cols) {
    std::vector<dlib::matrix<float>> all;
    for (int i = 0; i < 4; ++i) all.push_back(matrix_of(rows, cols));
    return all;
  };
  auto const off = [](auto const& loss, Below const& below, auto const& truth, PointOptions const& options = {}) {
    using L = std::remove_cvref_t<decltype(loss)>;
    using Truth = typename std::remove_cvref_t<decltype(truth)>::value_type;
    return off_differences(adapt::loss_point_<L, Truth>(loss, options), below, truth);
  };
  CHECK(off(WingLoss{0.3, 0.1}, Below(4, 6), truths(6, 1)) < 2e-2);  // kinks at 0 and w
  CHECK(off(SmoothL1Loss{}, Below(4, 6), truths(6, 1), {.reduction = Reduction::batch_mean}) < 2e-3);
  CHECK(off(SigmoidFocalLoss{}, Below(4, 1, 3, 5), truths(3, 5)) < 2e-3);
  std::vector<std::array<dlib::matrix<float>, 2>> heat;
  for (int i = 0; i < 4; ++i) heat.push_back({matrix_of(3, 5), matrix_of(3, 5)});
  CHECK(off(AdaptiveWingLoss{}, Below(4, 2, 3, 5), heat, {.reduction = Reduction::sum}) < 2e-2);
}

TEST_CASE("dlib's own test of a layer passes the cosine layer") {
  std::srand(1);
  for (int i = 0; i < 3; ++i) {
    dlib::layer_test_results const three = dlib::test_layer(adapt::cosine_fc_<3>{}), one = dlib::test_layer(adapt::cosine_fc_<1>{});
    CHECK_MESSAGE(three, three.log);
    CHECK_MESSAGE(one, one.log);
  }
}

TEST_CASE("the cosine layer has the bits of the bare calls; it adds the input's gradient and assigns its own") {
  Below below(5, 4, 1, 1, 2), upstream(5, 6);
  below.gradient = 3;
  adapt::cosine_fc_<6> layer;
  layer.setup(below);
  dlib::resizable_tensor cosines, of_centres;
  layer.forward(below, cosines);
  of_centres.copy_size(layer.get_layer_params());
  of_centres = 9;
  layer.backward(upstream.output, below, of_centres);

  std::vector<float> ux(20), uw(24), nx(5), nw(6), c(30), dx(20), dw(24);
  CosineLayer<float> const bare{matrix(ux, 5, 4), matrix(uw, 6, 4), view(nx), view(nw)};
  MatrixView<float const> const x{below.output.host(), 5, 4, 4}, w{layer.get_layer_params().host(), 6, 4, 4};
  cosine_layer(on::eigen{}, x, w, bare, matrix(c, 5, 6));
  cosine_layer_backward(on::eigen{}, bare, MatrixView<float const>{upstream.output.host(), 5, 6, 6}, matrix(dx, 5, 4), matrix(dw, 6, 4));
  CHECK(std::equal(c.begin(), c.end(), cosines.begin()));
  CHECK(std::equal(dw.begin(), dw.end(), of_centres.begin()));
  for (float& g : dx) g += 3;
  CHECK(std::equal(dx.begin(), dx.end(), below.gradient.begin()));
}

namespace {

// `count` points around ten directions of a space of 16, and which one each is around.
struct Crowd {
  std::vector<dlib::matrix<float>> points{};
  std::vector<unsigned long> labels{};
  Crowd(int count, int seed, int classes = 10) {
    dlib::rand centres(1), random(seed);
    std::vector<dlib::matrix<float>> all;
    for (int i = 0; i < classes; ++i) all.push_back(dlib::matrix_cast<float>(dlib::gaussian_randm(16, 1, static_cast<unsigned long>(i))));
    for (int i = 0; i < count; ++i) {
      auto const y = static_cast<unsigned long>(i % classes);
      dlib::matrix<float> p = all[y];
      for (float& x : p) x += 0.5F * static_cast<float>(random.get_random_gaussian());
      points.push_back(p);
      labels.push_back(y);
    }
  }
};

using Net = adapt::loss_margin<Arc, adapt::cosine_fc<10, dlib::fc<8, dlib::relu<dlib::fc<32, Input>>>>>;

double accuracy(Net& net, Crowd const& crowd) {
  auto const found = net(crowd.points);
  double right = 0;
  for (std::size_t i = 0; i < found.size(); ++i) right += found[i] == crowd.labels[i];
  return right / double(found.size());
}

Net fresh() {
  std::srand(3);
  return Net(Arc{ArcMargin{0.3}, 16.0});
}
Net trained(Crowd const& crowd, int epochs) {
  Net net = fresh();
  dlib::dnn_trainer<Net, dlib::adam> trainer(net, dlib::adam(0, 0.9F, 0.999F));
  trainer.set_learning_rate(0.01);
  trainer.set_min_learning_rate(1e-6);
  trainer.set_mini_batch_size(50);
  trainer.set_max_num_epochs(static_cast<unsigned long>(epochs));
  trainer.train(crowd.points, crowd.labels);
  trainer.get_net();
  return net;
}

}  // namespace

TEST_CASE("dnn_trainer trains: at least 98 of 100 unseen points are named") {
  Crowd const seen(500, 2), unseen(500, 4);
  Net untrained = fresh();
  CHECK(accuracy(untrained, unseen) < 0.5);
  Net net = trained(seen, 20);
  CHECK(accuracy(net, unseen) >= 0.98);
  CHECK(net.loss_details().report().rows == 50);
}

TEST_CASE("dnn_trainer trains a point loss: coordinates to a tenth") {
  std::srand(3);
  using Points = adapt::loss_point<WingLoss, dlib::fc<2, dlib::relu<dlib::fc<32, Input>>>>;
  dlib::rand random(5);
  std::vector<dlib::matrix<float>> points, truths;
  for (int i = 0; i < 400; ++i) {
    dlib::matrix<float> p(2, 1), t(2, 1);
    for (float& x : p) x = 2 * random.get_random_float() - 1;
    t = p(0) + p(1), p(0) - 2 * p(1);
    points.push_back(p), truths.push_back(t);
  }
  Points net(WingLoss{1, 0.2});
  dlib::dnn_trainer<Points, dlib::adam> trainer(net, dlib::adam(0, 0.9F, 0.999F));
  trainer.set_learning_rate(0.01);
  trainer.set_mini_batch_size(40);
  trainer.set_max_num_epochs(60);
  trainer.train(points, truths);
  trainer.get_net();
  auto const found = net(points);
  double apart = 0;
  for (std::size_t i = 0; i < found.size(); ++i) apart += dlib::sum(dlib::abs(found[i] - truths[i])) / 800;
  CHECK(apart < 0.1);
}

TEST_CASE("what is saved is read: the same outputs, losses and options, and the file goes on training") {
  Crowd const crowd(100, 2);
  Net net = trained(crowd, 3);
  net.loss_details().options().ignore_label = 4;
  net.loss_details().loss().scale = 11;
  net.subnet().layer_details().set_learning_rate_multiplier(0.25);
  dlib::resizable_tensor x;
  net.to_tensor(crowd.points.begin(), crowd.points.end(), x);
  double const loss = net.compute_loss(x, crowd.labels.begin());
  dlib::resizable_tensor const cosines = net.subnet().get_output();
  std::stringstream file;
  serialize(net, file);
  Net other;
  deserialize(other, file);
  CHECK(other.compute_loss(x, crowd.labels.begin()) == loss);
  CHECK(same_numbers(other.subnet().get_output(), cosines));
  CHECK(other.loss_details().options().ignore_label == 4);
  CHECK(other.loss_details().loss().scale == 11);
  CHECK(other.subnet().layer_details().get_learning_rate_multiplier() == 0.25);
  CHECK(other.compute_parameter_gradients(x, crowd.labels.begin()) == loss);
  std::ostringstream printed, xml;
  printed << other;
  dlib::net_to_xml(other, xml);
  CHECK(printed.str().find("loss_margin\t (margin=ArcMargin(rule=Monotone, gradient=Exact), objective=CrossEntropy, rest=PlainRest, "
                           "scale=11)") != std::string::npos);
  CHECK(xml.str().find("<cosine_fc num_outputs='10'") != std::string::npos);

  // clean() drops what is between forward and backward, nothing else.
  other.clean();
  CHECK(other.compute_loss(x, crowd.labels.begin()) == loss);

  adapt::loss_point_<WingLoss> const wing(WingLoss{3, 0.5}, {.reduction = Reduction::batch_mean});
  std::stringstream point_file;
  serialize(wing, point_file);
  adapt::loss_point_<WingLoss> read;
  deserialize(read, point_file);
  CHECK(read.loss().w() == 3);
  CHECK(read.loss().eps() == 0.5);
  CHECK(read.options().reduction == Reduction::batch_mean);
}

TEST_CASE("a file of something else is refused, and nothing is changed") {
  adapt::loss_margin_<Arc> arc(Arc{ArcMargin{0.4}, 20.0});
  Below below(5, 7);
  auto const loss = [&] { return arc.compute_loss_value_and_gradient(below.output, some_labels.begin(), below); };
  double const before = loss();
  auto const stays = [&] { return loss() == before; };
  std::stringstream other_type;
  serialize(adapt::loss_point_<WingLoss>(), other_type);
  refused<dlib::serialization_error>([&] { deserialize(arc, other_type); }, {"losskit_loss_point_1", "losskit_loss_margin_1"});
  CHECK(stays());
  // Of another composition, larger or of the same size; and of the same with its bytes moved.
  std::stringstream larger, same_size, whole;
  serialize(adapt::loss_margin_<MarginSoftmax<ArcMargin<>, FocalLoss>>(), larger);
  refused<dlib::serialization_error>([&] { deserialize(arc, larger); }, {"objective=FocalLoss", "objective=CrossEntropy"});
  CHECK(stays());
  static_assert(sizeof(ArcMargin<>) == sizeof(CosMargin<>));
  serialize(adapt::loss_margin_<MarginSoftmax<CosMargin<>>>(), same_size);
  refused<dlib::serialization_error>([&] { deserialize(arc, same_size); }, {"margin=CosMargin", "margin=ArcMargin"});
  CHECK(stays());
  serialize(adapt::loss_margin_<Arc>(), whole);
  std::string bytes = whole.str();
  auto const at = bytes.find("rest=PlainRest") + 30;
  std::rotate(bytes.begin() + std::ptrdiff_t(at), bytes.begin() + std::ptrdiff_t(at) + 8, bytes.begin() + std::ptrdiff_t(at) + 24);
  std::stringstream moved(bytes);
  refused<dlib::serialization_error>([&] { deserialize(arc, moved); }, {"another version or kind of machine"});
  CHECK(stays());
  std::stringstream half("losskit");
  CHECK_THROWS_AS(deserialize(arc, half), dlib::serialization_error);
  CHECK(stays());
  // What cannot be saved says so.
  adapt::loss_margin_<MarginSoftmax<AnyMargin>> const any(MarginSoftmax{AnyMargin(ArcMargin{0.5}), 16.0});
  std::stringstream nowhere;
  refused<dlib::serialization_error>([&] { serialize(any, nowhere); }, {"AnyMargin"});
}

TEST_CASE("bad input is a dlib::error with losskit's text; nothing is written, and the layer works as before") {
  Below below(5, 7);
  adapt::loss_margin_<Arc> const layer(Arc{ArcMargin{0.5}, 16.0});
  auto labels = some_labels;
  double const expected = layer.compute_loss_value_and_gradient(below.output, labels.begin(), below);
  auto const margin_refused = [&](Below& net, std::vector<unsigned long> const& of, std::initializer_list<char const*> words) {
    net.gradient = -5;
    refused([&] { layer.compute_loss_value_and_gradient(net.output, of.begin(), net); }, words);
    CHECK(all_are(net.gradient, -5));
  };
  labels[3] = 7;
  margin_refused(below, labels, {"labels[3] = 7", "[0, 7)"});
  labels[3] = static_cast<unsigned long>(-1);
  margin_refused(below, labels, {"labels[3] = -1", "[0, 7)"});
  Below pictures(5, 7, 2, 3), pyramid(5, 7);
  margin_refused(pictures, some_labels, {"7 x 2 x 3", "C x 1 x 1"});
  pyramid.expansion = 2;
  margin_refused(pyramid, some_labels, {"one each needed"});
  std::vector<unsigned long> found(5);
  refused([&] { layer.to_label(pictures.output, pictures, found.begin()); }, {"7 x 2 x 3"});
  below.gradient = 0;
  CHECK(layer.compute_loss_value_and_gradient(below.output, some_labels.begin(), below) == expected);

  // Parameters that do not fit.
  adapt::loss_margin_<Arc> changed(Arc{ArcMargin{0.5}, 16.0});
  changed.loss().scale = -1;
  refused([&] { changed.compute_loss_value_and_gradient(below.output, some_labels.begin(), below); }, {"scale = -1"});

  // Truths of another shape.
  adapt::loss_point_<WingLoss> const wing;
  std::vector<dlib::matrix<float>> truths(5, dlib::zeros_matrix<float>(7, 1));
  truths[2] = dlib::zeros_matrix<float>(1, 7);
  below.gradient = -5;
  refused([&] { wing.compute_loss_value_and_gradient(below.output, truths.begin(), below); }, {"truth of sample 2", "1 x 7", "7 x 1"});
  CHECK(all_are(below.gradient, -5));
  truths[2] = dlib::zeros_matrix<float>(6, 1);
  refused([&] { wing.compute_loss_value_and_gradient(below.output, truths.begin(), below); }, {"truth of sample 2", "6 x 1", "7 x 1"});
  refused([&] { wing.compute_loss_value_and_gradient(pictures.output, truths.begin(), pictures); }, {"7 x 2 x 3", "1 channels"});
}

TEST_CASE("the cosine layer refuses another width and a late number of outputs") {
  Below below(5, 4), wider(5, 9);
  adapt::cosine_fc_<6> layer;
  refused([&] { layer.set_num_outputs(0); }, {"0 outputs"});
  layer.set_num_outputs(3);
  layer.setup(below);
  CHECK(layer.get_layer_params().num_samples() == 3);
  layer.set_num_outputs(3);
  refused([&] { layer.set_num_outputs(4); }, {"4 outputs", "3 centres"});
  dlib::resizable_tensor cosines;
  layer.forward(below, cosines);
  dlib::resizable_tensor const before = cosines;
  refused([&] { layer.forward(wider, cosines); }, {"9 numbers", "have 4"});
  CHECK(same_numbers(cosines, before));
  layer.forward(below, cosines);
  CHECK(same_numbers(cosines, before));
}

TEST_CASE("a label that a trainer is given wrong comes out of it as dlib::error; the net and other trainers go on") {
  Crowd crowd(100, 2);
  Net net(Arc{ArcMargin{0.3}, 16.0});
  crowd.labels[17] = 10;
  {
    dlib::dnn_trainer<Net> trainer(net);
    trainer.set_mini_batch_size(100);
    trainer.set_max_num_epochs(2);
    refused([&] {  // at a call that follows: the step runs in the trainer's thread
      for (int i = 0; i < 1000; ++i) {
        trainer.train_one_step(crowd.points, crowd.labels);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }, {"labels[17] = 10 is outside [0, 10)"});
  }
  crowd.labels[17] = 7;
  dlib::dnn_trainer<Net> trainer(net);
  trainer.set_mini_batch_size(100);
  trainer.set_max_num_epochs(2);
  trainer.train(crowd.points, crowd.labels);
  trainer.get_net();
  CHECK(net.loss_details().report().valid == 100);
}

TEST_CASE("layers share the pool from several threads, and from inside it") {
  Below const below(64, 500);
  std::vector<unsigned long> labels(64);
  for (std::size_t i = 0; i < 64; ++i) labels[i] = i * 7;
  auto const gradient = [&] {
    Below own = below;
    adapt::loss_margin_<Arc>().compute_loss_value_and_gradient(own.output, labels.begin(), own);
    return own.gradient;
  };
  dlib::resizable_tensor const expected = gradient();
  std::vector<int> same(4);
  std::vector<std::thread> all;
  for (std::size_t t = 0; t < 4; ++t)
    all.emplace_back([&, t] {
      same[t] = 1;
      for (int i = 0; i < 20; ++i) same[t] = same[t] && same_numbers(gradient(), expected);
    });
  for (auto& thread : all) thread.join();
  CHECK(same == std::vector<int>(4, 1));
  // From inside the pool too.
  dlib::parallel_for(0, 4, [&](long t) { same[static_cast<std::size_t>(t)] = same_numbers(gradient(), expected); });
  CHECK(same == std::vector<int>(4, 1));
}
