// Every policy of the catalogue on a GPU, against serial in double. Compiled once for each POLICY, a number from 0, so that they
// are compiled side by side.
#include <tuple>

#include "device.cuh"

using namespace test;

#ifndef POLICY
#define POLICY 0
#endif

namespace {

template <class L>
void compare_fused(L const& loss) {
  for (idx cols : {101, 3001, 40003}) {
    idx const rows = 4;
    Problem<float> p(rows, cols);
    std::vector<double> truth(p.exact.size());
    std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, cols, Placement::out_of_place));
    Report const expected =
        loss_and_gradient(on::serial{}, loss, Batch(MatrixView<double const>{p.exact.data(), rows, cols, cols}, p.labels),
                          MatrixView<double>{truth.data(), rows, cols, cols}, view(memory));
    each_backend([&](auto const& gpu) {
      OnDevice<float> cosines(p.cosines);
      OnDevice<std::int64_t> labels(p.labels);
      OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<float>(gpu, rows, cols, Placement::in_place)));
      auto const c = cosines.matrix(rows, cols, cols);
      Batch const batch(MatrixView<float const, device>(c), VectorView<std::int64_t const, device>(labels.view()));
      Report const report = read(gpu, loss_and_gradient(gpu, loss, batch, c, workspace.view()));
      CHECK(report.loss == doctest::Approx(expected.loss).epsilon(1e-5));
      CHECK(test::apart(cosines.get(), truth, rows, cols, cols) <= 64);
    });
  }
}
// The losses: each margin, then each rest rule and each objective beside ArcMargin.
template <class... M, class... R, class... O>
auto losses(Policies<M...>, Policies<R...>, Policies<O...>) {
  return std::tuple<MarginSoftmax<M>..., MarginSoftmax<ArcMargin<>, CrossEntropy, R>..., MarginSoftmax<ArcMargin<>, O>...>(
      MarginSoftmax<M>(M{}, 32.0)..., MarginSoftmax<ArcMargin<>, CrossEntropy, R>(ArcMargin{0.5}, 32.0, CrossEntropy{}, R{})...,
      MarginSoftmax<ArcMargin<>, O>(ArcMargin{0.5}, 32.0, O{})...);
}

}  // namespace

TEST_CASE("a policy of the catalogue") {
#ifdef POLICIES
  static_assert(POLICIES == margins::count + rests::count + objectives::count,
                "the build compiles another number of policies than there are");
#endif
  compare_fused(std::get<POLICY>(losses(margins{}, rests{}, objectives{})));
}
