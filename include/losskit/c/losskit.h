/* losskit in C: every loss of the catalogue, made from its text, over the caller's memory.
 *
 *   losskit_policy* loss;
 *   if (losskit_make("MarginSoftmax(ArcMargin(m=0.5), scale=64)", &loss)) puts(losskit_last_error());
 *   losskit_batch batch = losskit_batch_of(losskit_matrix(LOSSKIT_F32, cosines, B, C), losskit_vector(LOSSKIT_I64, labels, B));
 *   losskit_workspace_bytes(loss, LOSSKIT_F32, B, C, LOSSKIT_OUT_OF_PLACE, NULL, &bytes);
 *   losskit_loss_and_gradient(loss, &batch, losskit_matrix(LOSSKIT_F32, gradient, B, C), workspace, bytes, NULL, NULL, &report);
 *
 * A policy is made once and then called; it never changes, so any number of threads may call it at once. Its text is its name and what
 * it is given, as losskit/named.hpp says: ArcMargin(0.5), ArcMargin(m=0.5, rule=Clamp(eps=1e-4), gradient=Detached), FocalLoss(gamma=2).
 * What is left out is the paper's. The formulas, ranges and units are those of the C++ headers; losskit_catalogue lists them.
 *
 * Every call checks its arguments first and returns an error before it writes; losskit_last_error then says which argument, its value
 * and what it may be. Nothing is printed, no exception leaves, nothing is kept between calls but the last error's text, one a thread.
 * A call allocates nothing that grows with the batch: scratch memory is the caller's, its size by query, any alignment.
 *
 * Matrices are row-major, one sample a row. The library holds code for several sets of instructions and takes the best that the
 * machine has, once, at its first call: losskit_isa. */
#ifndef LOSSKIT_C_LOSSKIT_H
#define LOSSKIT_C_LOSSKIT_H
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LOSSKIT_API __attribute__((visibility("default")))
#else
#define LOSSKIT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- results ------------------------------------------------------------------------------------------------------------------ */

typedef enum losskit_status {
  LOSSKIT_OK = 0,
  LOSSKIT_PARAMETER_ERROR = 1,  /* a number outside its range, or NaN; a text that names nothing */
  LOSSKIT_SHAPE_ERROR = 2,      /* sizes that disagree, or null with a size */
  LOSSKIT_STRIDE_ERROR = 3,     /* a row stride below the number of columns, or a vector that is not contiguous */
  LOSSKIT_LABEL_ERROR = 4,      /* a label outside [0, C) */
  LOSSKIT_ALIAS_ERROR = 5,      /* memory that overlaps where it must not */
  LOSSKIT_MEMORY_ERROR = 6,     /* memory that is not the host's, or not aligned for its type */
  LOSSKIT_WORKSPACE_ERROR = 7,  /* a workspace below what the query asks */
  LOSSKIT_TYPE_ERROR = 8,       /* a type that the argument cannot have; a policy of another kind than the call is for */
  LOSSKIT_VERSION_ERROR = 9,    /* a struct_size that is 0, or of a version later than the library's */
  LOSSKIT_OUT_OF_MEMORY = 10,
  LOSSKIT_INTERNAL_ERROR = 11
} losskit_status;

/* What the last call of this thread that failed said; "" before the first. Valid until the next one fails. */
LOSSKIT_API const char* losskit_last_error(void);
LOSSKIT_API const char* losskit_version(void); /* "0.1.0" */
/* The set of instructions in use: "x86-64-v4", "x86-64-v3" or "baseline". The environment variable LOSSKIT_ISA names another one,
 * read at the first call; one that this machine cannot run is not taken. */
LOSSKIT_API const char* losskit_isa(void);

/* ---- memory of the caller's --------------------------------------------------------------------------------------------------- */

typedef enum losskit_type { LOSSKIT_F32 = 1, LOSSKIT_F64 = 2, LOSSKIT_I32 = 3, LOSSKIT_I64 = 4, LOSSKIT_U8 = 5 } losskit_type;

/* Row-major rows x cols; row i starts at element i * stride. A vector of n: n x 1, stride 1. All zero: none. An input is not written
 * to, though `data` is no pointer to const. */
typedef struct losskit_view {
  void* data;
  int32_t type; /* losskit_type */
  int64_t rows, cols, stride;
} losskit_view;

static inline losskit_view losskit_strided(losskit_type type, const void* data, int64_t rows, int64_t cols, int64_t stride) {
  losskit_view v;
  v.data = (void*)(uintptr_t)data;
  v.type = (int32_t)type;
  v.rows = rows;
  v.cols = cols;
  v.stride = stride;
  return v;
}
static inline losskit_view losskit_matrix(losskit_type type, const void* data, int64_t rows, int64_t cols) {
  return losskit_strided(type, data, rows, cols, cols);
}
static inline losskit_view losskit_vector(losskit_type type, const void* data, int64_t size) {
  return losskit_strided(type, data, size, 1, 1);
}
static inline losskit_view losskit_none(void) { return losskit_strided((losskit_type)0, 0, 0, 0, 0); }

/* The view of a DLTensor (dlpack.h, any version; of a DLManagedTensor its first member): host memory, one lane, one or two dimensions,
 * columns next to each other. byte_offset and strides are honoured, null strides are row-major. MEMORY_ERROR for another device's,
 * TYPE_ERROR for another type, PARAMETER_ERROR for several lanes, STRIDE_ERROR for columns apart, SHAPE_ERROR for other dimensions. The
 * tensor stays the caller's. */
LOSSKIT_API losskit_status losskit_view_of_dlpack(const void* dltensor, losskit_view* view);

/* ---- policies ----------------------------------------------------------------------------------------------------------------- */

typedef struct losskit_policy losskit_policy;

/* A loss over a matrix (MarginSoftmax, SoftmaxLoss), a point loss, a scale, a rest rule or a schedule. *policy is null where the text is
 * none: PARAMETER_ERROR, and the error's text says what there is, the nearest names first. */
LOSSKIT_API losskit_status losskit_make(const char* text, losskit_policy** policy);
LOSSKIT_API void losskit_free(losskit_policy* policy); /* null is nothing */
LOSSKIT_API const char* losskit_text(const losskit_policy* policy);
LOSSKIT_API const char* losskit_kind(const losskit_policy* policy); /* "loss", "point loss", "scale", "rest rule", "schedule" */

/* The catalogue: every policy, and what it is given. Constant, for the life of the process. */
typedef struct losskit_parameter {
  const char* name;
  const char* unit; /* "rad", "cosine", ...; "" for a plain number */
  double standard;  /* where none is given */
  double low, high; /* its range */
  int32_t has_low, has_high; /* do the ends belong to it? */
  int32_t whole;             /* an integer */
} losskit_parameter;
struct losskit_choice;
typedef struct losskit_policy_info {
  const char* kind; /* "margin", "rest rule", "objective", "scale", "point loss", "schedule"; of an option: what chooses it */
  const char* name;
  const losskit_parameter* parameters; /* by position in this order */
  int64_t parameter_count;
  const struct losskit_choice* choices; /* by name only */
  int64_t choice_count;
} losskit_policy_info;
typedef struct losskit_choice {
  const char* name; /* "rule", "gradient", "weight", "margin" */
  const losskit_policy_info* options; /* the first is the default */
  int64_t option_count;
} losskit_choice;
LOSSKIT_API const losskit_policy_info* losskit_catalogue(int64_t* count);

/* ---- calls over a matrix of cosines (MarginSoftmax) or logits (SoftmaxLoss) ------------------------------------------------------ */

/* Start one with losskit_batch_of. B rows, C columns. All numbers are of the cosines' type, F32 or F64, but for scale and rest. */
typedef struct losskit_batch {
  size_t struct_size; /* sizeof(losskit_batch) */
  losskit_view cosines;       /* B x C */
  losskit_view labels;        /* B, I32 or I64: in [0, C) or the ignored value */
  losskit_view weights;       /* B, >= 0, or none: 1 */
  losskit_view class_weights; /* C, >= 0: of each row, by its label */
  losskit_view scales;        /* B: the scale of each row, in place of the loss's own */
  losskit_view margins;       /* B: the margin's number of each row (ArcMargin, CosMargin) */
  losskit_view upstream;      /* B: dJ/dL_i, multiplies the gradient only */
  losskit_view scale;         /* 1, F64: one scale for all, such as a state's value */
  losskit_view rest;          /* 1 or B, F64: the rest rule's number (CurricularRest's t) */
} losskit_batch;
static inline losskit_batch losskit_batch_of(losskit_view cosines, losskit_view labels) {
  losskit_batch b;
  b.struct_size = sizeof b;
  b.cosines = cosines;
  b.labels = labels;
  b.weights = b.class_weights = b.scales = b.margins = b.upstream = b.scale = b.rest = losskit_none();
  return b;
}

typedef enum losskit_reduction {
  LOSSKIT_MEAN = 0,          /* sum / rows that are not ignored; of a point loss: / elements */
  LOSSKIT_SUM = 1,
  LOSSKIT_NO_REDUCTION = 2,  /* one loss a row; the report's is their sum */
  LOSSKIT_BATCH_MEAN = 3,    /* sum / B */
  LOSSKIT_WEIGHTED_MEAN = 4  /* sum / sum of weights */
} losskit_reduction;
typedef enum losskit_write { LOSSKIT_ASSIGN = 0, LOSSKIT_ACCUMULATE = 1 } losskit_write;
#define LOSSKIT_NO_LABEL INT64_MIN

/* Calls task(task_context, t) for every t in [0, tasks), on any threads, and returns when all are done. */
typedef void (*losskit_parallel_for)(void* context, int64_t tasks, void (*task)(void* task_context, int64_t t), void* task_context);

/* Start one with losskit_default_options; where a call takes a pointer to options, null is that. */
typedef struct losskit_options {
  size_t struct_size;   /* sizeof(losskit_options) */
  double upstream;      /* multiplies every gradient, not the loss */
  int64_t ignore_label; /* rows with this label have no loss and no gradient */
  int32_t reduction;    /* losskit_reduction */
  int32_t write;        /* losskit_write: assign, or add to the gradient */
  int32_t top_k;        /* for the report, >= 1 */
  int32_t threads;      /* made for the call; 0: one for each core that the process may use. With parallel_for: how many it has */
  losskit_parallel_for parallel_for; /* null: threads of our own */
  void* parallel_context;
} losskit_options;
static inline losskit_options losskit_default_options(void) {
  losskit_options o;
  o.struct_size = sizeof o;
  o.upstream = 1;
  o.ignore_label = LOSSKIT_NO_LABEL;
  o.reduction = LOSSKIT_MEAN;
  o.write = LOSSKIT_ASSIGN;
  o.top_k = 5;
  o.threads = 0;
  o.parallel_for = 0;
  o.parallel_context = 0;
  return o;
}

/* What a later backward needs of a row: opaque. */
typedef struct losskit_saved_row { double opaque[7]; } losskit_saved_row;

/* Optional outputs, each of B elements of the cosines' type, or none. Start one with losskit_no_outputs. */
typedef struct losskit_outputs {
  size_t struct_size; /* sizeof(losskit_outputs) */
  losskit_view row_losses;      /* weight_i L_i, before any mean */
  losskit_view scale_gradient;  /* dJ/ds_i */
  losskit_view margin_gradient; /* dJ/dm_i */
  losskit_saved_row* saved;     /* for losskit_loss_gradient */
  int64_t saved_rows;
} losskit_outputs;
static inline losskit_outputs losskit_no_outputs(void) {
  losskit_outputs o;
  o.struct_size = sizeof o;
  o.row_losses = o.scale_gradient = o.margin_gradient = losskit_none();
  o.saved = 0;
  o.saved_rows = 0;
  return o;
}

/* Accuracy, angles and counts are those of the raw cosines, over the rows that are not ignored. */
typedef struct losskit_report {
  size_t struct_size; /* sizeof(losskit_report), set by the caller */
  double loss;
  double mean_target_angle; /* radians */
  int64_t rows, valid;      /* B; rows not ignored. Of a point loss: elements, both */
  int64_t top1, topk;       /* a tie is wrong, and so is a NaN */
  int64_t hard_negatives;   /* other classes above their row's threshold */
  int64_t clamped, out_of_range, non_finite; /* of a point loss: truths outside [0, 1], 0, losses that are not finite */
} losskit_report;

typedef enum losskit_placement {
  LOSSKIT_IN_PLACE = 0, LOSSKIT_OUT_OF_PLACE = 1, LOSSKIT_ACCUMULATED = 2, LOSSKIT_NO_GRADIENT = 3
} losskit_placement;

/* The bytes of workspace that a call of this policy asks for: a loss over rows x cols, for where its gradient goes (losskit_logits: as
 * without a gradient); a point loss over rows x cols; losskit_advance of a scale or rest rule over rows. */
LOSSKIT_API losskit_status losskit_workspace_bytes(const losskit_policy* policy, losskit_type type, int64_t rows, int64_t cols,
                                                   losskit_placement placement, const losskit_options* options, size_t* bytes);

/* Loss and d loss / d cosines in one pass. gradient: B x C, the cosines' own memory (the fastest form; not to accumulate) or apart. */
LOSSKIT_API losskit_status losskit_loss_and_gradient(const losskit_policy* loss, const losskit_batch* batch, losskit_view gradient,
                                                     void* workspace, size_t workspace_size, const losskit_options* options,
                                                     const losskit_outputs* outputs, losskit_report* report);
/* Loss only: one read. With outputs.saved the gradient can follow. */
LOSSKIT_API losskit_status losskit_loss_value(const losskit_policy* loss, const losskit_batch* batch, void* workspace,
                                              size_t workspace_size, const losskit_options* options, const losskit_outputs* outputs,
                                              losskit_report* report);
/* The gradient of a pass of losskit_loss_value that filled `saved` (B rows), for the same loss, batch, reduction and ignored label. The
 * upstream factors are this call's. Of `outputs` scale_gradient and margin_gradient. */
LOSSKIT_API losskit_status losskit_loss_gradient(const losskit_policy* loss, const losskit_batch* batch, const losskit_saved_row* saved,
                                                 int64_t saved_rows, losskit_view gradient, const losskit_options* options,
                                                 const losskit_outputs* outputs);
/* The margin layer alone: logits s psi(c_y), s r(c_j), B x C, which may be the cosines themselves; and d loss / d cosines from
 * d loss / d logits. Not of a SoftmaxLoss. */
LOSSKIT_API losskit_status losskit_logits(const losskit_policy* loss, const losskit_batch* batch, losskit_view logits, void* workspace,
                                          size_t workspace_size, const losskit_options* options, losskit_report* report);
LOSSKIT_API losskit_status losskit_logits_backward(const losskit_policy* loss, const losskit_batch* batch, losskit_view logits_gradient,
                                                   losskit_view gradient, const losskit_options* options, losskit_view scale_gradient);

/* ---- point losses ------------------------------------------------------------------------------------------------------------- */

/* Of every (prediction, truth): matrices or vectors of one shape and type. gradient may be the prediction itself, or none: loss only.
 * weights: >= 0, one an element, or none; element_losses likewise. */
LOSSKIT_API losskit_status losskit_point_loss(const losskit_policy* loss, losskit_view prediction, losskit_view truth,
                                              losskit_view gradient, losskit_view weights, losskit_view element_losses,
                                              void* workspace, size_t workspace_size, const losskit_options* options,
                                              losskit_report* report);
/* Weights for AdaptiveWingLoss: 1 + weight near a truth >= threshold (3 x 3 around it), else 1. weights: rows x cols, apart. */
LOSSKIT_API losskit_status losskit_adaptive_wing_weights(losskit_view truth, losskit_view weights, double weight, double threshold);

/* ---- the head ----------------------------------------------------------------------------------------------------------------- */

/* y_i = x_i / |x_i|, norms: B. y may be x itself. And dL/dx from dL/dy; dnorms: dL/d|x_i|, B or none; dx may be dy itself. */
LOSSKIT_API losskit_status losskit_normalize_rows(losskit_view x, losskit_view y, losskit_view norms, const losskit_options* options);
LOSSKIT_API losskit_status losskit_normalize_rows_backward(losskit_view y, losskit_view norms, losskit_view dy, losskit_view dx,
                                                           losskit_view dnorms, const losskit_options* options);

/* What the backward needs of the forward: unit_x B x D and unit_w C x D (x and w themselves, or apart), norms_x B, norms_w C. */
typedef struct losskit_cosine_state {
  size_t struct_size; /* sizeof(losskit_cosine_state) */
  losskit_view unit_x, unit_w, norms_x, norms_w;
} losskit_cosine_state;
/* cosines (B x C) of x (B x D embeddings) and w (C x D centres, one a row); fills `state`. And both gradients back, options.write
 * both. dnorms_x: B or none. dw may be the memory of state->unit_w, unless accumulated: the unit centres are then lost, and the workspace
 * is that of LOSSKIT_ACCUMULATE. */
LOSSKIT_API losskit_status losskit_cosine_layer(losskit_view x, losskit_view w, const losskit_cosine_state* state, losskit_view cosines,
                                                const losskit_options* options);
LOSSKIT_API losskit_status losskit_cosine_layer_workspace_bytes(losskit_type type, int64_t rows, int64_t classes, int64_t width,
                                                                losskit_write write, size_t* bytes);
LOSSKIT_API losskit_status losskit_cosine_layer_backward(const losskit_cosine_state* state, losskit_view dcosines, losskit_view dx,
                                                         losskit_view dw, losskit_view dnorms_x, void* workspace,
                                                         size_t workspace_size, const losskit_options* options);

/* ---- scales, rest rules and schedules that follow training ----------------------------------------------------------------------- */

/* A state is the caller's to keep: value is AdaCosScale's s (a batch's `scale`) or CurricularRest's t (its `rest`). */
typedef struct losskit_state {
  size_t struct_size; /* sizeof(losskit_state), set by the caller */
  double value;
  int64_t steps; /* batches seen */
  int64_t kept;  /* of these, how many left an AdaCosScale as it was */
  /* Of an AdaCosScale, to be seen: what the last advance made s of, ln B_avg and theta_med in radians. 0 before the first. */
  double log_mean_rest, median_target_angle;
} losskit_state;
LOSSKIT_API losskit_status losskit_start(const losskit_policy* policy, losskit_state* state);
/* The next state, from a batch of cosines. */
LOSSKIT_API losskit_status losskit_advance(const losskit_policy* policy, losskit_state* state, const losskit_batch* batch,
                                           void* workspace, size_t workspace_size, const losskit_options* options);
/* FeatureNorm: s(n_i) and ds/dn_i of norms n_i. All of one size and type; slopes may be none. */
LOSSKIT_API losskit_status losskit_row_scales(const losskit_policy* policy, losskit_view norms, losskit_view scales, losskit_view slopes);
/* A schedule's number at a training step; the first step is 0. */
LOSSKIT_API losskit_status losskit_schedule(const losskit_policy* policy, int64_t step, double* value);

/* ---- recognition -------------------------------------------------------------------------------------------------------------- */

LOSSKIT_API losskit_status losskit_cosine_similarity(losskit_view a, losskit_view b, double* cosine); /* vectors of one size */
LOSSKIT_API losskit_status losskit_angle_between(losskit_view a, losskit_view b, double* radians);
LOSSKIT_API losskit_status losskit_squared_distance(losskit_view a, losskit_view b, double* distance);
/* The scale at which a perfect sample of C classes has this probability. margin in cosine units. */
LOSSKIT_API losskit_status losskit_suggest_scale(int64_t classes, double probability, double margin, double* scale);

/* Pairs: scores (n; F32 or F64; higher is more alike) and the truth (n; U8, I32 or I64; 1 = same person, 0 = not). */
typedef struct losskit_roc_point {
  double threshold;
  int64_t true_accepts, false_accepts;
} losskit_roc_point;
/* The exact curve, strictest threshold first: points of which there is room for n + 1; *count vertices are written. */
LOSSKIT_API losskit_status losskit_roc(losskit_view scores, losskit_view same, losskit_roc_point* points, int64_t room, int64_t* count);
typedef struct losskit_verification {
  size_t struct_size; /* sizeof(losskit_verification), set by the caller */
  double auc;
  double equal_error_rate, equal_error_threshold;
  double true_accept_rate, false_accept_rate, threshold; /* at the target FAR */
  int32_t resolution_insufficient; /* too few negatives to tell the target FAR from 0 */
} losskit_verification;
/* What is read off a curve of losskit_roc, for a target FAR in [0, 1]. */
LOSSKIT_API losskit_status losskit_verify(const losskit_roc_point* points, int64_t count, double target_far, losskit_verification* result);
/* Accuracy over `folds` of neighbouring pairs, or over those given: fold_of_pair (n; I32 or I64) or none. Each fold is judged with the
 * threshold that is best on all others. workspace: 24 n bytes. */
LOSSKIT_API losskit_status losskit_verification_accuracy(losskit_view scores, losskit_view same, int64_t folds, losskit_view fold_of_pair,
                                                         void* workspace, size_t workspace_size, double* mean,
                                                         double* standard_deviation);

#ifdef __cplusplus
}
#endif
#endif
