// dlib: a step of the cosine layer with ArcFace against one of dlib's own fc with loss_multiclass_log, in turn in one run, on the same
// batch: forward, loss, and the gradients by the input and by the parameters. dlib's products are those of the BLAS that it is linked
// with: name its threads and those of dlib's pool in the environment.
//
//   OPENBLAS_NUM_THREADS=2 DLIB_NUM_THREADS=2 losskit_dlib_gates [--smoke] [--anyway]
#include "losskit/adapt/dlib.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include "losskit/losskit.hpp"
#include "gates_main.hpp"
#include "machine.hpp"
#include "table.hpp"

namespace bench {
namespace {

using namespace losskit;
using Arc = MarginSoftmax<ArcMargin<>>;
using Input = dlib::input<dlib::matrix<float>>;

// A worker of OpenBLAS, and one of OpenMP, spins a while after its work. Nobody pays for the other's: each case begins when all sleep.
void let_threads_sleep() { usleep(60000); }

Row compare(long rows, long classes, long width, int rounds, Gate gate) {
  dlib::loss_multiclass_log<dlib::fc<2, Input>> theirs;
  adapt::loss_margin<Arc, adapt::cosine_fc<2, Input>> ours;
  theirs.subnet().layer_details().set_num_outputs(classes);
  ours.subnet().layer_details().set_num_outputs(classes);
  std::vector<dlib::matrix<float>> samples;
  for (unsigned long i = 0; i < static_cast<unsigned long>(rows); ++i)
    samples.push_back(dlib::matrix_cast<float>(dlib::gaussian_randm(width, 1, i)));
  dlib::resizable_tensor x;
  theirs.to_tensor(samples.begin(), samples.end(), x);
  ours.to_tensor(samples.begin(), samples.end(), x);
  std::vector<unsigned long> labels;
  for (long i = 0; i < rows; ++i) labels.push_back(static_cast<unsigned long>(i * 37 % classes));
  std::vector<Case> cases(2);
  cases[0] = {"dlib", [&] { theirs.compute_parameter_gradients(x, labels.begin()); }, let_threads_sleep};
  cases[1] = {"losskit", [&] { ours.compute_parameter_gradients(x, labels.begin()); }, let_threads_sleep};
  race(cases, rounds);
  return row("dlib, cosine_fc + ArcFace", std::to_string(rows) + "x" + std::to_string(classes) + "x" + std::to_string(width),
             speed_ratio(cases[1], {&cases[0]}), "fc + loss_multiclass_log", gate);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  std::string const with = std::to_string(dlib::default_thread_pool().num_threads_in_pool()) + " threads in dlib's pool; ";
  return bench::gates_main(argc, argv, with, [](bool smoke) {
    bench::print(bench::compare(256, smoke ? 200 : 10000, 128, smoke ? 2 : 41, {1.5, 3.0}));
  });
}
