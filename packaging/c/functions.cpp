// The functions of losskit.h for one set of instructions. Each takes its arguments apart, calls the C++, and returns what it threw.
#include "functions.hpp"

#include <cmath>
#include <cstddef>

#include "arguments.hpp"
#include "catalogue.hpp"
#include "dltensor.hpp"
#include "losskit/adapt/dlpack.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/point/adaptive_wing_weights.hpp"
#include "losskit/recognition/similarity.hpp"
#include "losskit/recognition/suggest_scale.hpp"
#include "losskit/recognition/verification.hpp"
#include "policy.hpp"

namespace losskit_c {
namespace {

template <class T>
T& required(char const* name, T* p) {
  if (!p) fail<ShapeError>("%s: null", name);
  return *p;
}

// --- the library -------------------------------------------------------------------------------------------------------------------

char const* last_error() { return message_of_thread.text; }
char const* version() { return LOSSKIT_C_VERSION; }
char const* isa() { return LOSSKIT_C_ISA; }

// --- memory ------------------------------------------------------------------------------------------------------------------------

losskit_status view_of_dlpack(const void* dltensor, losskit_view* view) {
  return guarded([&] {
    DlTensor const& t = required("dltensor", static_cast<DlTensor const*>(dltensor));
    required("view", view);
    auto const shape = losskit::detail::dl_shape(t);
    auto const as = [&]<class T>(T) {
      if (losskit::detail::dl_holds<T>(t))
        *view = losskit_strided(losskit_type(type_code<T>), losskit::detail::dl_data<T>(t), shape.rows, shape.cols, shape.stride);
      return losskit::detail::dl_holds<T>(t);
    };
    if (!(as(float{}) || as(double{}) || as(std::int32_t{}) || as(std::int64_t{}) || as(std::uint8_t{})))
      fail<TypeError>("DLTensor: type code %d of %d bits: expected float or int of 32 or 64 bits, uint8 or bool", int(t.dtype.code),
                      int(t.dtype.bits));
  });
}

// --- policies ------------------------------------------------------------------------------------------------------------------------

losskit_status make(const char* text, losskit_policy** policy) {
  if (policy) *policy = nullptr;
  return guarded([&] {
    required("policy", policy);
    *policy = make_policy(&required("text", text)).release();
  });
}
void free(losskit_policy* policy) { delete policy; }
const char* text(const losskit_policy* policy) { return policy ? policy->text.c_str() : ""; }
const char* kind(const losskit_policy* policy) { return policy ? policy->kind : ""; }

const losskit_policy_info* catalogue(int64_t* count) {
  if (count) *count = static_cast<int64_t>(losskit_c::catalogue.size());
  return losskit_c::catalogue.data();
}

// --- calls over a matrix -------------------------------------------------------------------------------------------------------------

void write_report(losskit_report* report, Report const& r) {
  *report = {sizeof *report, r.loss, r.mean_target_angle, r.rows, r.valid, r.top1, r.topk, r.hard_negatives, r.clamped, r.out_of_range,
             r.non_finite};
}
void expect_report(losskit_report const* report) {
  if (report) expect_version("report", report);
}

losskit_status workspace_bytes(const losskit_policy* policy, losskit_type type, int64_t rows, int64_t cols, losskit_placement placement,
                               const losskit_options* options, size_t* bytes) {
  return guarded([&] { required("bytes", bytes) = required("policy", policy).workspace_bytes(type, rows, cols, placement, options_of(options)); });
}

// One of the calls that report. `gradient`: or the logits.
losskit_status reported(RowCall::What what, const losskit_policy* loss, const losskit_batch* batch, losskit_view gradient, void* workspace,
                        size_t workspace_size, const losskit_options* options, const losskit_outputs* outputs, losskit_report* report) {
  return guarded([&] {
    expect_report(report);
    Report const r = required("loss", loss).row_call(
        {what, read_struct("batch", batch), options_of(options), outputs_of(outputs), gradient, workspace_of(workspace, workspace_size)});
    if (report) write_report(report, r);
  });
}
losskit_status loss_and_gradient(const losskit_policy* loss, const losskit_batch* batch, losskit_view gradient, void* workspace,
                                 size_t workspace_size, const losskit_options* options, const losskit_outputs* outputs,
                                 losskit_report* report) {
  return reported(RowCall::loss_and_gradient, loss, batch, gradient, workspace, workspace_size, options, outputs, report);
}
losskit_status loss_value(const losskit_policy* loss, const losskit_batch* batch, void* workspace, size_t workspace_size,
                          const losskit_options* options, const losskit_outputs* outputs, losskit_report* report) {
  return reported(RowCall::loss_value, loss, batch, losskit_none(), workspace, workspace_size, options, outputs, report);
}
losskit_status logits(const losskit_policy* loss, const losskit_batch* batch, losskit_view out, void* workspace, size_t workspace_size,
                      const losskit_options* options, losskit_report* report) {
  return reported(RowCall::logits, loss, batch, out, workspace, workspace_size, options, nullptr, report);
}
losskit_status loss_gradient(const losskit_policy* loss, const losskit_batch* batch, const losskit_saved_row* saved, int64_t saved_rows,
                             losskit_view gradient, const losskit_options* options, const losskit_outputs* outputs) {
  return guarded([&] {
    RowCall call{RowCall::loss_gradient, read_struct("batch", batch), options_of(options), outputs_of(outputs), gradient};
    call.saved = saved_of(saved, saved_rows);
    required("loss", loss).row_call(call);
  });
}
losskit_status logits_backward(const losskit_policy* loss, const losskit_batch* batch, losskit_view logits_gradient, losskit_view gradient,
                               const losskit_options* options, losskit_view scale_gradient) {
  return guarded([&] {
    losskit_outputs outputs = losskit_no_outputs();
    outputs.scale_gradient = scale_gradient;
    RowCall call{RowCall::logits_backward, read_struct("batch", batch), options_of(options), outputs, gradient};
    call.logits_gradient = logits_gradient;
    required("loss", loss).row_call(call);
  });
}

// --- point losses ----------------------------------------------------------------------------------------------------------------------

losskit_status point_loss(const losskit_policy* loss, losskit_view prediction, losskit_view truth, losskit_view gradient, losskit_view weights,
                          losskit_view element_losses, void* workspace, size_t workspace_size, const losskit_options* options,
                          losskit_report* report) {
  return guarded([&] {
    expect_report(report);
    PointReport const r = required("loss", loss).point_call(
        {prediction, truth, gradient, weights, element_losses, workspace_of(workspace, workspace_size), options_of(options)});
    if (report)
      write_report(report, {.loss = r.loss, .rows = r.elements, .valid = r.elements, .clamped = r.truth_clamped, .non_finite = r.non_finite});
  });
}
losskit_status adaptive_wing_weights(losskit_view truth, losskit_view weights_out, double weight, double threshold) {
  return guarded([&] {
    with_float("truth", truth, [&](auto t) {
      using T = decltype(t);
      losskit::adaptive_wing_weights(matrix_of<T const>("truth", truth), matrix_of<T>("weights", weights_out), weight, threshold);
    });
  });
}

// --- the head ------------------------------------------------------------------------------------------------------------------------

losskit_status normalize_rows(losskit_view x, losskit_view y, losskit_view norms, const losskit_options* options) {
  return guarded([&] {
    auto const& o = options_of(options);
    with_float("x", x, [&](auto t) {
      using T = decltype(t);
      losskit::normalize_rows(backend_of(o), matrix_of<T const>("x", x), matrix_of<T>("y", y), vector_of<T>("norms", norms));
    });
  });
}
losskit_status normalize_rows_backward(losskit_view y, losskit_view norms, losskit_view dy, losskit_view dx, losskit_view dnorms,
                                       const losskit_options* options) {
  return guarded([&] {
    auto const& o = options_of(options);
    with_float("y", y, [&](auto t) {
      using T = decltype(t);
      losskit::normalize_rows_backward(backend_of(o), matrix_of<T const>("y", y), vector_of<T const>("norms", norms),
                                       matrix_of<T const>("dy", dy), matrix_of<T>("dx", dx), write_of(o), vector_of<T const>("dnorms", dnorms));
    });
  });
}

template <class T>
CosineLayer<T> layer_of(losskit_cosine_state const& s) {
  return {matrix_of<T>("unit_x", s.unit_x), matrix_of<T>("unit_w", s.unit_w), vector_of<T>("norms_x", s.norms_x),
          vector_of<T>("norms_w", s.norms_w)};
}
losskit_status cosine_layer(losskit_view x, losskit_view w, const losskit_cosine_state* state, losskit_view cosines,
                            const losskit_options* options) {
  return guarded([&] {
    auto const& s = read_struct("state", state);
    auto const& o = options_of(options);
    with_float("x", x, [&](auto t) {
      using T = decltype(t);
      losskit::cosine_layer(backend_of(o), matrix_of<T const>("x", x), matrix_of<T const>("w", w), layer_of<T>(s), matrix_of<T>("cosines", cosines));
    });
  });
}
losskit_status cosine_layer_workspace_bytes(losskit_type type, int64_t rows, int64_t classes, int64_t width, losskit_write write, size_t* bytes) {
  return guarded([&] {
    losskit_options o = losskit_default_options();
    o.write = write;
    Write const how = write_of(o);
    if (rows < 0 || classes < 0 || width < 0) fail<ShapeError>("rows, classes and width are sizes");
    with_float("type", losskit_matrix(type, nullptr, 0, 0), [&](auto t) {
      required("bytes", bytes) = losskit::cosine_layer_workspace_bytes<decltype(t)>(rows, classes, width, how);
    });
  });
}
losskit_status cosine_layer_backward(const losskit_cosine_state* state, losskit_view dcosines, losskit_view dx, losskit_view dw,
                                     losskit_view dnorms_x, void* workspace, size_t workspace_size, const losskit_options* options) {
  return guarded([&] {
    auto const& s = read_struct("state", state);
    auto const& o = options_of(options);
    with_float("dcosines", dcosines, [&](auto t) {
      using T = decltype(t);
      losskit::cosine_layer_backward(backend_of(o), layer_of<T>(s), matrix_of<T const>("dcosines", dcosines), matrix_of<T>("dx", dx),
                                     matrix_of<T>("dw", dw), workspace_of(workspace, workspace_size), write_of(o),
                                     vector_of<T const>("dnorms_x", dnorms_x));
    });
  });
}

// --- what follows training -----------------------------------------------------------------------------------------------------------

// A state's first version ended with kept.
constexpr std::size_t oldest_state = offsetof(losskit_state, log_mean_rest);

losskit_status start(const losskit_policy* policy, losskit_state* state) {
  return guarded([&] {
    expect_version("state", state, oldest_state);
    write_struct(state, required("policy", policy).start());
  });
}
losskit_status advance(const losskit_policy* policy, losskit_state* state, const losskit_batch* batch, void* workspace, size_t workspace_size,
                       const losskit_options* options) {
  return guarded([&] {
    losskit_state next = copy_of_struct("state", state, oldest_state);
    required("policy", policy).advance(next, read_struct("batch", batch), workspace_of(workspace, workspace_size), options_of(options));
    write_struct(state, next);
  });
}
losskit_status row_scales(const losskit_policy* policy, losskit_view norms, losskit_view scales_out, losskit_view slopes) {
  return guarded([&] { required("policy", policy).row_scales(norms, scales_out, slopes); });
}
losskit_status schedule(const losskit_policy* policy, int64_t step, double* value) {
  return guarded([&] { required("value", value) = required("policy", policy).at_step(step); });
}

// --- recognition ---------------------------------------------------------------------------------------------------------------------

template <class F>
losskit_status of_two(losskit_view a, losskit_view b, double* result, F const& f) {
  return guarded([&] {
    with_float("a", a, [&](auto t) {
      using T = decltype(t);
      required("result", result) = f(vector_of<T const>("a", a), vector_of<T const>("b", b));
    });
  });
}
losskit_status cosine_similarity(losskit_view a, losskit_view b, double* cosine) {
  return of_two(a, b, cosine, [](auto const& x, auto const& y) { return losskit::cosine_similarity(x, y); });
}
losskit_status angle_between(losskit_view a, losskit_view b, double* radians) {
  return of_two(a, b, radians, [](auto const& x, auto const& y) { return losskit::angle_between(x, y); });
}
losskit_status squared_distance(losskit_view a, losskit_view b, double* distance) {
  return of_two(a, b, distance, [](auto const& x, auto const& y) { return losskit::squared_distance(x, y); });
}
losskit_status suggest_scale(int64_t classes, double probability, double margin, double* scale) {
  return guarded([&] { required("scale", scale) = losskit::suggest_scale(classes, probability, margin); });
}

// f(scores, same) with their types.
template <class F>
void with_pairs(losskit_view scores, losskit_view same, F const& f) {
  with_float("scores", scores, [&](auto t) {
    auto const go = [&](auto flag) { f(vector_of<decltype(t) const>("scores", scores), vector_of<decltype(flag) const>("same", same)); };
    if (same.type == LOSSKIT_U8) go(std::uint8_t{}); else with_integer("same", same, go);
  });
}
static_assert(sizeof(losskit_roc_point) == sizeof(RocPoint) && alignof(losskit_roc_point) == alignof(RocPoint));

losskit_status roc(losskit_view scores, losskit_view same, losskit_roc_point* points, int64_t room, int64_t* count) {
  return guarded([&] {
    required("count", count);
    with_pairs(scores, same, [&](auto const& s, auto const& flags) {
      *count = losskit::roc(s, flags, VectorView<RocPoint>{reinterpret_cast<RocPoint*>(points), room}).points.size;
    });
  });
}
losskit_status verify(const losskit_roc_point* points, int64_t count, double target_far, losskit_verification* result) {
  return guarded([&] {
    expect_version("result", result);
    RocCurve curve{{reinterpret_cast<RocPoint const*>(points), count}, 0, 0};
    if (points && count > 0) {
      curve.positives = points[count - 1].true_accepts;
      curve.negatives = points[count - 1].false_accepts;
    }
    double const area = auc(curve);
    auto const equal = equal_error_rate(curve);
    auto const at = tar_at_far(curve, target_far);
    *result = {sizeof *result, area, equal.rate, equal.threshold, at.tar, at.far, at.threshold, at.resolution_insufficient};
  });
}
losskit_status verification_accuracy(losskit_view scores, losskit_view same, int64_t folds, losskit_view fold_of_pair, void* workspace,
                                     size_t workspace_size, double* mean, double* standard_deviation) {
  static_assert(sizeof(FoldedPair) == 24);
  return guarded([&] {
    required("mean", mean), required("standard_deviation", standard_deviation);
    losskit::detail::expect_aligned("workspace", static_cast<FoldedPair*>(workspace));
    VectorView<FoldedPair> const scratch{static_cast<FoldedPair*>(workspace), static_cast<idx>(workspace_size / sizeof(FoldedPair))};
    with_pairs(scores, same, [&](auto const& s, auto const& flags) {
      auto const judge = [&](auto const& how) {
        auto const a = losskit::verification_accuracy(s, flags, how, scratch);
        *mean = a.mean;
        *standard_deviation = a.standard_deviation;
      };
      if (is_none(fold_of_pair)) judge(ContiguousFolds{folds});
      else with_integer("fold_of_pair", fold_of_pair, [&](auto i) { judge(GivenFolds(vector_of<decltype(i) const>("fold_of_pair", fold_of_pair), folds)); });
    });
  });
}

constexpr losskit_functions table{
    &last_error, &version, &isa, &view_of_dlpack, &make, &free, &text, &kind, &catalogue, &workspace_bytes, &loss_and_gradient,
    &loss_value, &loss_gradient, &logits, &logits_backward, &point_loss, &adaptive_wing_weights, &normalize_rows,
    &normalize_rows_backward, &cosine_layer, &cosine_layer_workspace_bytes, &cosine_layer_backward, &start, &advance, &row_scales,
    &schedule, &cosine_similarity, &angle_between, &squared_distance, &suggest_scale, &roc, &verify, &verification_accuracy};

}  // namespace
}  // namespace losskit_c

extern "C" losskit_functions const* LOSSKIT_C_TABLE(LOSSKIT_C_SET)() { return &losskit_c::table; }
