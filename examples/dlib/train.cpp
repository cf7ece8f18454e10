// Recognition with dlib: the same small network under dlib's own softmax loss and under losskit's ArcFace, on the same noisy signals.
// It prints how many unseen signals of the trained classes are named, and how well the embeddings tell pairs of new classes apart,
// which is what recognition is about.
//
//   g++ -std=c++20 -O3 -march=native -I include -I /usr/include/eigen3 examples/dlib/train.cpp $(pkg-config --cflags --libs dlib-1)
#include <cmath>
#include <cstdio>
#include <vector>

#include "losskit/adapt/dlib.hpp"
#include "losskit/losskit.hpp"

namespace {

constexpr unsigned long seen_classes = 100, new_classes = 40;

// The embedding, 16 numbers of a signal of 48, and the two heads over it.
using Embedding = dlib::fc<16, dlib::relu<dlib::fc<128, dlib::input<dlib::matrix<float>>>>>;
using ArcFace = losskit::MarginSoftmax<losskit::ArcMargin<>>;
using Softmax = dlib::loss_multiclass_log<dlib::fc<seen_classes, Embedding>>;
using Arc = losskit::adapt::loss_margin<ArcFace, losskit::adapt::cosine_fc<seen_classes, Embedding>>;

struct Signals {
  std::vector<dlib::matrix<float>> samples{};
  std::vector<unsigned long> labels{};

  // A class is a melody of four tones; a sample is the melody, earlier or later, louder or quieter, with noise.
  Signals(unsigned long first, unsigned long classes, int each, unsigned long seed) {
    dlib::rand random(static_cast<time_t>(seed));
    for (unsigned long y = first; y < first + classes; ++y)
      for (int i = 0; i < each; ++i) {
        dlib::matrix<double> const tones = dlib::gaussian_randm(8, 1, y);
        double const loud = random.get_double_in_range(0.3, 3), late = random.get_double_in_range(-3, 3);
        dlib::matrix<float> sample(width, 1);
        for (long t = 0; t < width; ++t) {
          double sum = 0.3 * random.get_random_gaussian();
          for (long k = 0; k < 4; ++k) {
            double const phase = 0.11 * double(k + 1) * (double(t) - late);
            sum += tones(2 * k) * std::sin(phase) + tones(2 * k + 1) * std::cos(phase);
          }
          sample(t) = static_cast<float>(loud * sum);
        }
        samples.push_back(sample);
        labels.push_back(y);
      }
  }
  static constexpr long width = 48;
};

// Trains, and returns the area under the ROC of the cosines of pairs of signals of new classes.
template <class Net>
double try_out(char const* name, Net net, Signals const& train, Signals const& test, Signals const& others) {
  dlib::dnn_trainer<Net, dlib::adam> trainer(net, dlib::adam(0, 0.9F, 0.999F));
  trainer.set_learning_rate(0.003);
  trainer.set_mini_batch_size(100);
  trainer.set_max_num_epochs(60);
  trainer.train(train.samples, train.labels);
  trainer.get_net();

  auto const named = net(test.samples);
  std::size_t right = 0;
  for (std::size_t i = 0; i < named.size(); ++i) right += named[i] == test.labels[i];

  net(others.samples, others.samples.size());
  dlib::tensor const& embeddings = net.subnet().subnet().get_output();
  std::vector<double> scores;
  std::vector<int> same;
  for (long i = 0; i < embeddings.num_samples(); ++i)
    for (long j = 0; j < i; ++j) {
      auto const of = [&](long k) { return losskit::VectorView<float const>{embeddings.host() + 16 * k, 16}; };
      scores.push_back(losskit::cosine_similarity(of(i), of(j)));
      same.push_back(others.labels[std::size_t(i)] == others.labels[std::size_t(j)]);
    }
  std::vector<losskit::RocPoint> points(losskit::roc_capacity(scores.size()));
  auto const curve = losskit::roc(scores, same, points);
  double const area = losskit::auc(curve);
  std::printf("%-24s names %.1f of 100 unseen signals; new classes: area under the ROC %.4f, TAR %.3f at FAR 0.01\n", name,
              100 * double(right) / double(named.size()), area, losskit::tar_at_far(curve, 0.01).tar);
  return area;
}

}  // namespace

int main() {
  Signals const train(0, seen_classes, 50, 1), test(0, seen_classes, 20, 100000), others(seen_classes, new_classes, 10, 200000);
  double const softmax = try_out("fc + softmax", Softmax(), train, test, others);
  double const arc = try_out("cosine_fc + ArcFace", Arc(ArcFace{losskit::ArcMargin{0.5}, 16.0}), train, test, others);
  return arc > softmax ? 0 : 1;
}
