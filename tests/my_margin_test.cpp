// A margin that losskit has never seen, the example's, on Thrust's OpenMP. Compiled as a user would who knows nothing of Thrust:
// without -D, and with no header of CUDA on the include path but CCCL's.
#include "losskit/backend/thrust.hpp"

#include <doctest/doctest.h>
#include <thrust/system/omp/execution_policy.h>

#include "../examples/li_arc.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/testing/laws.hpp"
#include "problem.hpp"

static_assert(std::is_same_v<::thrust::device_system_tag, ::thrust::cpp::tag>, "what the header chooses where nobody has");

using namespace test;

TEST_CASE("the example's margin keeps the laws on thrust") {
  losskit::on::thrust<::thrust::omp::tag> const backend;
  auto const verdict = losskit::testing::check_loss(backend, MarginSoftmax{LiArc{}, 16.0, FocalLoss{2}});
  INFO(verdict.text);
  CHECK(static_cast<bool>(verdict));
}

TEST_CASE("the example's margin on thrust and serial") {
  Problem<float> p(37, 1003);
  MarginSoftmax const loss{LiArc{}, 32.0};
  auto const run = [&](auto const& backend, Guarded<float>& gradient) {
    std::vector<std::byte> workspace(workspace_bytes<float>(backend, 37, 1003, Placement::out_of_place));
    return loss_and_gradient(backend, loss, p.plain(), gradient.matrix(), view(workspace));
  };
  Guarded<float> a(37, 1003), b(37, 1003);
  Report const expected = run(on::serial{}, a), report = run(losskit::on::thrust<::thrust::omp::tag>{}, b);
  CHECK(report.loss == doctest::Approx(expected.loss).epsilon(1e-6));
  CHECK(report.top1 == expected.top1);
  for (idx i = 0; i < 37; ++i)
    for (idx j = 0; j < 1003; ++j) CHECK(b.at(i, j) == doctest::Approx(a.at(i, j)).epsilon(1e-5));
}
