// From a text to a policy, and what each kind of policy does with its calls.
#include "losskit/loss/advance.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/named.hpp"
#include "losses.hpp"
#include "policy.hpp"

namespace losskit_c {
namespace {

// A loss over a matrix.
template <class L>
class LossPolicy final : public losskit_policy {
 public:
  explicit LossPolicy(L const& loss) : loss_(loss) { kind = "loss"; }

  Report row_call(RowCall const& call) const override {
    Report report;
    with_float("cosines", call.batch.cosines, [&](auto t) { report = run<decltype(t)>(loss_, call); });
    return report;
  }
  std::size_t workspace_bytes(losskit_type type, idx rows, idx cols, losskit_placement placement,
                              losskit_options const& options) const override {
    if (rows < 0 || cols < 0) fail<ShapeError>("%lld x %lld is no shape", (long long)rows, (long long)cols);
    std::size_t bytes = 0;
    with_float("type", losskit_matrix(type, nullptr, 0, 0), [&](auto t) {
      bytes = losskit::workspace_bytes<decltype(t)>(backend_of(options), rows, cols, placement_of(placement));
    });
    return bytes;
  }

 private:
  L loss_;
};

template <class L>
class PointPolicy final : public losskit_policy {
 public:
  explicit PointPolicy(L const& loss) : loss_(loss) { kind = "point loss"; }

  PointReport point_call(PointCall const& call) const override {
    PointReport report;
    with_float("prediction", call.prediction, [&](auto t) {
      using T = decltype(t);
      auto const backend = backend_of(call.options);
      PointOptions const options{reduction_of(call.options), call.options.upstream, write_of(call.options)};
      auto const x = matrix_of<T const>("prediction", call.prediction), y = matrix_of<T const>("truth", call.truth);
      PointOutputs<T> const extra{matrix_of<T const>("weights", call.weights), matrix_of<T>("element_losses", call.element_losses)};
      report = is_none(call.gradient)
                   ? loss_value(backend, loss_, x, y, call.workspace, options, extra)
                   : loss_and_gradient(backend, loss_, x, y, matrix_of<T>("gradient", call.gradient), call.workspace, options, extra);
    });
    return report;
  }
  std::size_t workspace_bytes(losskit_type, idx rows, idx cols, losskit_placement, losskit_options const&) const override {
    if (rows < 0 || cols < 0) fail<ShapeError>("%lld x %lld is no shape", (long long)rows, (long long)cols);
    return point_workspace_bytes(rows, cols);
  }

 private:
  L loss_;
};

// The number that a state holds.
double& value_of(AdaCosState& state) { return state.scale; }
double& value_of(CurricularState& state) { return state.t; }

// A scale or a rest rule; one that follows the batch has a state.
template <class P>
class BatchPolicy final : public losskit_policy {
 public:
  BatchPolicy(char const* what, P const& policy) : policy_(policy) { kind = what; }

  losskit_state start() const override {
    if constexpr (Stateful<P>) return as_c(policy_.start()); else return losskit_policy::start();
  }
  void advance(losskit_state& state, losskit_batch const& batch, Workspace workspace, losskit_options const& options) const override {
    if constexpr (Stateful<P>)
      with_batch(batch, [&](auto const& b) {
        state = as_c(losskit::advance(backend_of(options), policy_, as_cpp(state), b, workspace, row_options(options)));
      });
    else
      losskit_policy::advance(state, batch, workspace, options);
  }
  std::size_t workspace_bytes(losskit_type type, idx rows, idx cols, losskit_placement placement,
                              losskit_options const& options) const override {
    if constexpr (!Stateful<P>) return losskit_policy::workspace_bytes(type, rows, cols, placement, options);
    if (rows < 0) fail<ShapeError>("%lld rows", (long long)rows);
    return advance_workspace_bytes(rows);
  }
  void row_scales(losskit_view norms, losskit_view scales, losskit_view slopes) const override {
    if constexpr (RowScale<P>)
      with_float("norms", norms, [&](auto t) {
        using T = decltype(t);
        auto const n = vector_of<T const>("norms", norms);
        auto const s = vector_of<T>("scales", scales), d = vector_of<T>("slopes", slopes);
        losskit::detail::expect_size("norms", n, n.size);
        losskit::detail::expect_size("scales", s, n.size);
        losskit::detail::expect_size_or_none("slopes", d, n.size);
        for (idx i = 0; i < n.size; ++i)
          if (!(n[i] >= 0)) fail<ParameterError>("norms[%lld] = %g is not >= 0", (long long)i, double(n[i]));
        for (idx i = 0; i < n.size; ++i) {
          auto const at = policy_(Scalar<double>(double(n[i])));
          s[i] = T(at.value.v);
          if (d) d[i] = T(at.slope.v);
        }
      });
    else
      losskit_policy::row_scales(norms, scales, slopes);
  }

 private:
  template <class State>
  static losskit_state as_c(State state) {
    losskit_state c{sizeof(losskit_state), value_of(state), state.steps, 0, 0, 0};
    if constexpr (std::is_same_v<State, AdaCosState>)
      c.kept = state.kept, c.log_mean_rest = state.log_mean_rest, c.median_target_angle = state.median_target_angle;
    return c;
  }
  static auto as_cpp(losskit_state const& c) {
    auto state = P{}.start();
    value_of(state) = c.value;
    state.steps = c.steps;
    if constexpr (std::is_same_v<decltype(state), AdaCosState>)
      state.kept = c.kept, state.log_mean_rest = c.log_mean_rest, state.median_target_angle = c.median_target_angle;
    return state;
  }

  P policy_;
};

template <class S>
class SchedulePolicy final : public losskit_policy {
 public:
  explicit SchedulePolicy(S const& schedule) : schedule_(schedule) { kind = "schedule"; }
  double at_step(idx step) const override { return schedule_(step); }

 private:
  S schedule_;
};

template <class... P>
bool names_one(Policies<P...>, std::string_view name) {
  return ((name == P::name) || ...);
}

}  // namespace

std::unique_ptr<losskit_policy> make_policy(std::string_view text) {
  std::string_view const name = losskit::detail::Call(text).name;
  std::unique_ptr<losskit_policy> policy;
  if (names_one(point_losses{}, name))
    with_point_loss_named(text, [&]<class L>(L const& loss) { policy = std::make_unique<PointPolicy<L>>(loss); });
  else if (names_one(scales{}, name))
    with_scale_named(text, [&]<class S>(S const& scale) { policy = std::make_unique<BatchPolicy<S>>("scale", scale); });
  else if (names_one(rests{}, name))
    with_rest_named(text, [&]<class R>(R const& rest) { policy = std::make_unique<BatchPolicy<R>>("rest rule", rest); });
  else if (names_one(schedules{}, name))
    with_schedule_named(text, [&]<class S>(S const& schedule) { policy = std::make_unique<SchedulePolicy<S>>(schedule); });
  else if (names_one(margins{}, name) || names_one(objectives{}, name))
    fail<ParameterError>("%.*s is a part of a loss: MarginSoftmax(margin=..., scale=..., objective=..., rest=...)", int(name.size()), name.data());
  else
    with_loss_named(text, [&]<class L>(L const& loss) { policy = std::make_unique<LossPolicy<L>>(loss); });
  policy->text = text;
  return policy;
}

}  // namespace losskit_c
