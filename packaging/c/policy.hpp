// A policy as C holds it: made from its text, asked by the calls of its kind.
#pragma once
#include <memory>
#include <string>

#include "arguments.hpp"
#include "losskit/loss/point_loss.hpp"

namespace losskit_c {

// A call over a batch, as C gave it.
struct RowCall {
  enum What { loss_and_gradient, loss_value, loss_gradient, logits, logits_backward } what;
  losskit_batch const& batch;
  losskit_options const& options;
  losskit_outputs const& outputs;
  losskit_view gradient;  // or the logits
  Workspace workspace{};
  losskit_view logits_gradient = losskit_none();
  VectorView<SavedRow const> saved{};
};
struct PointCall {
  losskit_view prediction, truth, gradient, weights, element_losses;
  Workspace workspace;
  losskit_options const& options;
};

}  // namespace losskit_c

// What a call asks of a policy of another kind is an error that names both.
struct losskit_policy {
  std::string text;
  char const* kind = "";

  virtual ~losskit_policy() = default;
  virtual losskit::Report row_call(losskit_c::RowCall const&) const { refuse("a loss over a matrix"); }
  virtual losskit::PointReport point_call(losskit_c::PointCall const&) const { refuse("a point loss"); }
  virtual std::size_t workspace_bytes(losskit_type, losskit::idx, losskit::idx, losskit_placement, losskit_options const&) const {
    refuse("a loss, nor does it follow the batch");
  }
  virtual losskit_state start() const { refuse("a policy with a state"); }
  virtual void advance(losskit_state&, losskit_batch const&, losskit::Workspace, losskit_options const&) const {
    refuse("a policy with a state");
  }
  virtual void row_scales(losskit_view, losskit_view, losskit_view) const { refuse("a scale of each row"); }
  virtual double at_step(losskit::idx) const { refuse("a schedule"); }

 private:
  [[noreturn]] void refuse(char const* wanted) const {
    losskit::fail<losskit_c::TypeError>("%.60s, a %s, is not %s", text.c_str(), kind, wanted);
  }
};

namespace losskit_c {

// What the text names, of any kind that C can call.
std::unique_ptr<losskit_policy> make_policy(std::string_view text);

}  // namespace losskit_c
