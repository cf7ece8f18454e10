// The losses that are compared. A recipe has a name and says, at every moment of training, which loss is
// used; adding one here adds it to the table and to every picture.
//
// progress is the share of training that is done, in [0, 1). Margins are those of the papers; the scale is
// one for all, so that what differs is the loss.
#pragma once

#include <tuple>
#include <vector>

#include <losskit/backend/eigen.hpp>
#include <losskit/compose/margin_softmax.hpp>
#include <losskit/loss/advance.hpp>
#include <losskit/margin/annealed.hpp>
#include <losskit/margin/arc.hpp>
#include <losskit/margin/combined.hpp>
#include <losskit/margin/cos.hpp>
#include <losskit/margin/none.hpp>
#include <losskit/margin/sphere.hpp>
#include <losskit/objective/focal.hpp>
#include <losskit/rest/hard_negatives.hpp>
#include <losskit/scale/adacos.hpp>
#include <losskit/schedule/lambda.hpp>
#include <losskit/schedule/warm_up.hpp>

namespace demo {

using losskit::MarginSoftmax;

struct Setting {
  double scale;          // s of every recipe but AdaCos, which finds its own
  double strength;       // on the margins: 1 is the papers'
  losskit::idx classes;  // C
};

// Schedules count steps; here a training has ten thousand of them, however long it is.
inline losskit::idx schedule_step(double progress) { return static_cast<losskit::idx>(10'000 * progress); }

// The baseline, and the framework's own code: x . w through a softmax, nothing normalised, no losskit.
struct PlainSoftmax {
  static constexpr char const* name = "softmax";
  explicit PlainSoftmax(Setting) {}
};

struct NormalisedSoftmax {
  static constexpr char const* name = "normalised softmax";
  Setting setting;
  auto at(double) const { return MarginSoftmax{losskit::NoMargin{}, setting.scale}; }
};

struct CosFace {
  static constexpr char const* name = "CosFace";
  Setting setting;
  auto at(double) const { return MarginSoftmax{losskit::CosMargin{0.35 * setting.strength}, setting.scale}; }
};

struct ArcFace {
  static constexpr char const* name = "ArcFace";
  Setting setting;
  auto at(double) const { return MarginSoftmax{losskit::ArcMargin{0.5 * setting.strength}, setting.scale}; }
};

// With the fixed scale of the others in place of the feature norm, and the paper's annealing: lambda falls
// from 1000 to 5, here within the first sixth of training.
struct SphereFace {
  static constexpr char const* name = "SphereFace";
  Setting setting;
  auto at(double progress) const {
    double const lambda = losskit::LambdaSchedule{}(schedule_step(progress));
    return MarginSoftmax{losskit::Annealed{losskit::SphereMargin{1 + 3 * setting.strength}, lambda},
                         setting.scale};
  }
};

struct Combined {
  static constexpr char const* name = "combined";
  Setting setting;
  auto at(double) const {
    return MarginSoftmax{losskit::CombinedMargin{1, 0.3 * setting.strength, 0.2 * setting.strength},
                         setting.scale};
  }
};

// No margin and no scale to choose: s follows the batch. The recipe owns the state, as a training loop would.
// The ceiling, the scale of the others, matters in the plane only: centres crowd there, and the paper's
// recursion would never stop growing.
struct AdaCos {
  static constexpr char const* name = "AdaCos";
  losskit::AdaCosScale law;
  losskit::AdaCosState state = law.start();
  std::vector<std::byte> workspace{};

  explicit AdaCos(Setting setting) : law(setting.classes, 0, setting.scale) {}
  auto at(double) const { return MarginSoftmax{losskit::NoMargin{}, law.scale(state)}; }

  template <class Batch>
  void observe(Batch const& batch) {
    workspace.resize(losskit::advance_workspace_bytes(batch.cosines.rows));
    state = losskit::advance(losskit::on::eigen{}, law, state, batch, workspace);
  }
};

struct FocalArcFace {
  static constexpr char const* name = "focal ArcFace";
  Setting setting;
  auto at(double) const {
    return MarginSoftmax{losskit::ArcMargin{0.5 * setting.strength}, setting.scale, losskit::FocalLoss{2}};
  }
};

// At first nearly every class beats the margined target. Weighing them all up then would collapse the embedding,
// so that t rises from 0 once the classes have come apart.
struct MvArcFace {
  static constexpr char const* name = "MV-ArcFace";
  Setting setting;
  auto at(double progress) const {
    double const t = losskit::LinearWarmUp{0, 0.2, 2000, 6000}(schedule_step(progress));
    return MarginSoftmax{losskit::ArcMargin{0.5 * setting.strength}, setting.scale, losskit::CrossEntropy{},
                         losskit::HardNegatives{t}};
  }
};

using Recipes = std::tuple<PlainSoftmax, NormalisedSoftmax, CosFace, ArcFace, SphereFace, Combined, AdaCos,
                           FocalArcFace, MvArcFace>;

}  // namespace demo
