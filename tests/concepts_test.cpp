// Backend, Team, Executor, Loss and Scale: whatever losskit has is one, and what lacks one thing is none.
#include <doctest/doctest.h>

#include "emulated.hpp"
#include "losskit/backend/eigen.hpp"
#include "losskit/backend/serial.hpp"
#include "losskit/catalogue.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/compose/softmax_loss.hpp"
#include "losskit/core/no_branch.hpp"
#include "losskit/core/twice.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/loss/arguments.hpp"
#include "losskit/team/team.hpp"

using namespace losskit;

namespace {

using Loss_ = MarginSoftmax<ArcMargin<>>;
using Warp = test::emulated<8, 1, true>;

// --- Number --------------------------------------------------------------------------------------------------------------------
static_assert(Number<Scalar<float>> && Number<Packet<float>> && Number<Twice<Packet<double>>> && Number<Pack<float>> && Number<NoBranch>);

// Its masks refuse to be a bool with words of their own (tests/no_compile/branch_in_*.cpp), not with a compiler's; and are no number.
template <class X>
inline constexpr bool has_words = std::is_convertible_v<decltype(X(0) < X(0)), bool> && !std::is_convertible_v<decltype(X(0) < X(0)), int>;
static_assert(has_words<NoBranch> && has_words<Packet<float>> && has_words<Twice<Packet<double>>> && has_words<Pack<float>>);

// --- Executor ------------------------------------------------------------------------------------------------------------------
struct NoCount {
  template <class F>
  void run(idx, F) const {}
};
struct NoRun { int concurrency() const { return 1; } };
static_assert(Executor<one_thread> && Executor<openmp>);
static_assert(!Executor<int> && !Executor<NoCount> && !Executor<NoRun> && !Executor<on::serial>);

// --- Backend -------------------------------------------------------------------------------------------------------------------
struct NoName {
  using space = host;
  template <class T>
  std::size_t scratch_bytes(idx, idx, Placement) const { return 0; }
  template <class T, class F>
  void rows(idx, idx, Placement, std::byte*, F) const {}
  template <class T, class F>
  void blocks(idx, F) const {}
  template <class R>
  R given(R const* p) const { return *p; }
};
struct Named : NoName { static constexpr char const* name = "Named"; };
struct NoSpace : Named {
 private:
  using space = host;
};
static_assert(Backend<on::serial> && Backend<on::eigen<>> && Backend<on::eigen<openmp>> && Backend<Warp> && Backend<Named>);
static_assert(!Backend<NoName> && !Backend<NoSpace> && !Backend<one_thread> && !Backend<Loss_> && !Backend<int>);

// --- Team: those that the backends really hand out -----------------------------------------------------------------------------
struct Half : SerialTeam<float> {  // without its second pass
 private:
  using SerialTeam<float>::finish;
};
struct Recomputing : Half { static constexpr bool keeps = false; };
static_assert(Team<SerialTeam<double>> && Team<SimdTeam<Packet<float>>> && Team<SimdTeam<Twice<Twice<Packet<double>>>>>);
static_assert(!Team<Half> && Team<Recomputing> && !Team<int> && !Team<Packet<float>>);

struct ExpectTeam {
  int* seen;
  template <class T>
  void operator()(T& team, idx) const {
    static_assert(Team<T>);
    team.once([&] { ++*seen; });
  }
};
template <class T, class B>
void expect_teams(B const& backend) {
  int seen = 0;
  backend.template rows<T>(2, 4, Placement::no_gradient, static_cast<std::byte*>(nullptr), ExpectTeam{&seen});
  backend.template blocks<T>(1, ExpectTeam{&seen});
  CHECK(seen == 3);
}

// --- Loss and Scale ------------------------------------------------------------------------------------------------------------
struct NoObjective {
  NoMargin margin;
  PlainRest rest;
  double scale;
};
struct Whole : NoObjective { CrossEntropy objective; };
struct WrongScale : Whole { AdaCosScale scale; };
static_assert(Loss<Loss_> && Loss<SoftmaxLoss<FocalLoss>> && Loss<Whole>);
static_assert(!Loss<NoObjective> && !Loss<WrongScale> && !Loss<ArcMargin<>> && !Loss<WingLoss> && !Loss<int>);
static_assert(ConstantScale<FixedScale> && !StateScale<FixedScale> && StateScale<AdaCosScale> && RowScale<FeatureNorm>);
static_assert(!Scale<double> && !Scale<CurricularRest> && !Scale<ArcMargin<>>);

}  // namespace

TEST_CASE("each backend hands its rows and blocks to a Team") {
  expect_teams<float>(on::serial{});
  expect_teams<double>(on::eigen{});
  expect_teams<float>(Warp{});
}

TEST_CASE("whatever the catalogue has is what its list says, and any of it makes a Loss") {
  for_each(margins{}, [](auto margin) { static_assert(Margin<decltype(margin)> && Loss<MarginSoftmax<decltype(margin)>>); });
  for_each(objectives{}, []<class O>(O) {
    static_assert(Objective<O> && Loss<MarginSoftmax<NoMargin, O>> && Loss<SoftmaxLoss<O>>);
  });
  for_each(rests{}, []<class R>(R) { static_assert(RestRule<R> && Loss<MarginSoftmax<NoMargin, CrossEntropy, R>>); });
  for_each(scales{}, [](auto scale) { static_assert(Scale<decltype(scale)>); });
  for_each(point_losses{}, [](auto loss) { static_assert(PointLoss<decltype(loss)>); });
  // Made as objects: their rest rules run on NoBranch.
  for_each(rests{}, [](auto rest) { CHECK(MarginSoftmax(ArcMargin{0.5}, 64.0, CrossEntropy{}, rest).scale == 64); });
}

TEST_CASE("a FixedScale is a number to MarginSoftmax") {
  CHECK(MarginSoftmax{ArcMargin{0.5}, FixedScale{30}}.scale == 30);
  CHECK(MarginSoftmax{ArcMargin{0.5}, FixedScale{30}, FocalLoss{2}, HardNegatives{}}.scale == 30);
  CHECK(MarginSoftmax{ArcMargin{0.5}, 30}.scale == 30);
  CHECK(MarginSoftmax{ArcMargin{0.5}, 30.0f}.scale == 30);
  AdaCosScale const scale{1000};
  CHECK(MarginSoftmax{ArcMargin{0.5}, scale.at(scale.start())}.scale == scale.fixed());
}
