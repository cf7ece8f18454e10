// liblosskit: the functions of losskit.h, each by the best set of instructions that the machine has. This unit is compiled for every
// machine; the sets are objects of their own, each linked by itself, so that no function of one ever stands in for another's.
#include <cstdlib>
#include <cstring>

#include "functions.hpp"

#define LOSSKIT_C_EACH(set) extern "C" losskit_functions const* LOSSKIT_C_TABLE(set)();
LOSSKIT_C_SETS
#undef LOSSKIT_C_EACH

namespace {

bool runs(char const* set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool const v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  bool const v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (std::strcmp(set, "x86-64-v4") == 0) return v4;
  if (std::strcmp(set, "x86-64-v3") == 0) return v3;
#endif
  return std::strcmp(set, "baseline") == 0;
}

// The sets from best to least; the one that LOSSKIT_ISA names comes first, if this machine runs it.
losskit_functions const* chosen() {
  losskit_functions const* const sets[] = {
#define LOSSKIT_C_EACH(set) LOSSKIT_C_TABLE(set)(),
      LOSSKIT_C_SETS
#undef LOSSKIT_C_EACH
  };
  char const* const wanted = std::getenv("LOSSKIT_ISA");
  losskit_functions const* best = nullptr;
  for (auto const* set : sets) {
    if (!runs(set->isa())) continue;
    if (!best) best = set;
    if (wanted && std::strcmp(wanted, set->isa()) == 0) return set;
  }
  return best;
}

losskit_functions const& functions() {
  static losskit_functions const* const all = chosen();
  return *all;
}

}  // namespace

const char* losskit_last_error() { return functions().last_error(); }
const char* losskit_version() { return functions().version(); }
const char* losskit_isa() { return functions().isa(); }
losskit_status losskit_view_of_dlpack(const void* dltensor, losskit_view* view) { return functions().view_of_dlpack(dltensor, view); }
losskit_status losskit_make(const char* text, losskit_policy** policy) { return functions().make(text, policy); }
void losskit_free(losskit_policy* policy) { functions().free(policy); }
const char* losskit_text(const losskit_policy* policy) { return functions().text(policy); }
const char* losskit_kind(const losskit_policy* policy) { return functions().kind(policy); }
const losskit_policy_info* losskit_catalogue(int64_t* count) { return functions().catalogue(count); }
losskit_status losskit_workspace_bytes(const losskit_policy* policy, losskit_type type, int64_t rows, int64_t cols, losskit_placement placement, const losskit_options* options, size_t* bytes) { return functions().workspace_bytes(policy, type, rows, cols, placement, options, bytes); }
losskit_status losskit_loss_and_gradient(const losskit_policy* loss, const losskit_batch* batch, losskit_view gradient, void* workspace, size_t workspace_size, const losskit_options* options, const losskit_outputs* outputs, losskit_report* report) { return functions().loss_and_gradient(loss, batch, gradient, workspace, workspace_size, options, outputs, report); }
losskit_status losskit_loss_value(const losskit_policy* loss, const losskit_batch* batch, void* workspace, size_t workspace_size, const losskit_options* options, const losskit_outputs* outputs, losskit_report* report) { return functions().loss_value(loss, batch, workspace, workspace_size, options, outputs, report); }
losskit_status losskit_loss_gradient(const losskit_policy* loss, const losskit_batch* batch, const losskit_saved_row* saved, int64_t saved_rows, losskit_view gradient, const losskit_options* options, const losskit_outputs* outputs) { return functions().loss_gradient(loss, batch, saved, saved_rows, gradient, options, outputs); }
losskit_status losskit_logits(const losskit_policy* loss, const losskit_batch* batch, losskit_view logits, void* workspace, size_t workspace_size, const losskit_options* options, losskit_report* report) { return functions().logits(loss, batch, logits, workspace, workspace_size, options, report); }
losskit_status losskit_logits_backward(const losskit_policy* loss, const losskit_batch* batch, losskit_view logits_gradient, losskit_view gradient, const losskit_options* options, losskit_view scale_gradient) { return functions().logits_backward(loss, batch, logits_gradient, gradient, options, scale_gradient); }
losskit_status losskit_point_loss(const losskit_policy* loss, losskit_view prediction, losskit_view truth, losskit_view gradient, losskit_view weights, losskit_view element_losses, void* workspace, size_t workspace_size, const losskit_options* options, losskit_report* report) { return functions().point_loss(loss, prediction, truth, gradient, weights, element_losses, workspace, workspace_size, options, report); }
losskit_status losskit_adaptive_wing_weights(losskit_view truth, losskit_view weights, double weight, double threshold) { return functions().adaptive_wing_weights(truth, weights, weight, threshold); }
losskit_status losskit_normalize_rows(losskit_view x, losskit_view y, losskit_view norms, const losskit_options* options) { return functions().normalize_rows(x, y, norms, options); }
losskit_status losskit_normalize_rows_backward(losskit_view y, losskit_view norms, losskit_view dy, losskit_view dx, losskit_view dnorms, const losskit_options* options) { return functions().normalize_rows_backward(y, norms, dy, dx, dnorms, options); }
losskit_status losskit_cosine_layer(losskit_view x, losskit_view w, const losskit_cosine_state* state, losskit_view cosines, const losskit_options* options) { return functions().cosine_layer(x, w, state, cosines, options); }
losskit_status losskit_cosine_layer_workspace_bytes(losskit_type type, int64_t rows, int64_t classes, int64_t width, losskit_write write, size_t* bytes) { return functions().cosine_layer_workspace_bytes(type, rows, classes, width, write, bytes); }
losskit_status losskit_cosine_layer_backward(const losskit_cosine_state* state, losskit_view dcosines, losskit_view dx, losskit_view dw, losskit_view dnorms_x, void* workspace, size_t workspace_size, const losskit_options* options) { return functions().cosine_layer_backward(state, dcosines, dx, dw, dnorms_x, workspace, workspace_size, options); }
losskit_status losskit_start(const losskit_policy* policy, losskit_state* state) { return functions().start(policy, state); }
losskit_status losskit_advance(const losskit_policy* policy, losskit_state* state, const losskit_batch* batch, void* workspace, size_t workspace_size, const losskit_options* options) { return functions().advance(policy, state, batch, workspace, workspace_size, options); }
losskit_status losskit_row_scales(const losskit_policy* policy, losskit_view norms, losskit_view scales, losskit_view slopes) { return functions().row_scales(policy, norms, scales, slopes); }
losskit_status losskit_schedule(const losskit_policy* policy, int64_t step, double* value) { return functions().schedule(policy, step, value); }
losskit_status losskit_cosine_similarity(losskit_view a, losskit_view b, double* cosine) { return functions().cosine_similarity(a, b, cosine); }
losskit_status losskit_angle_between(losskit_view a, losskit_view b, double* radians) { return functions().angle_between(a, b, radians); }
losskit_status losskit_squared_distance(losskit_view a, losskit_view b, double* distance) { return functions().squared_distance(a, b, distance); }
losskit_status losskit_suggest_scale(int64_t classes, double probability, double margin, double* scale) { return functions().suggest_scale(classes, probability, margin, scale); }
losskit_status losskit_roc(losskit_view scores, losskit_view same, losskit_roc_point* points, int64_t room, int64_t* count) { return functions().roc(scores, same, points, room, count); }
losskit_status losskit_verify(const losskit_roc_point* points, int64_t count, double target_far, losskit_verification* result) { return functions().verify(points, count, target_far, result); }
losskit_status losskit_verification_accuracy(losskit_view scores, losskit_view same, int64_t folds, losskit_view fold_of_pair, void* workspace, size_t workspace_size, double* mean, double* standard_deviation) { return functions().verification_accuracy(scores, same, folds, fold_of_pair, workspace, workspace_size, mean, standard_deviation); }
