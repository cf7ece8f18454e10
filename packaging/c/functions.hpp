// The functions of losskit.h as a table: each set of instructions fills one (functions.cpp), the library calls by the best (losskit.cpp).
#pragma once
#include "losskit/c/losskit.h"

struct losskit_functions {
  decltype(&losskit_last_error) last_error;
  decltype(&losskit_version) version;
  decltype(&losskit_isa) isa;
  decltype(&losskit_view_of_dlpack) view_of_dlpack;
  decltype(&losskit_make) make;
  decltype(&losskit_free) free;
  decltype(&losskit_text) text;
  decltype(&losskit_kind) kind;
  decltype(&losskit_catalogue) catalogue;
  decltype(&losskit_workspace_bytes) workspace_bytes;
  decltype(&losskit_loss_and_gradient) loss_and_gradient;
  decltype(&losskit_loss_value) loss_value;
  decltype(&losskit_loss_gradient) loss_gradient;
  decltype(&losskit_logits) logits;
  decltype(&losskit_logits_backward) logits_backward;
  decltype(&losskit_point_loss) point_loss;
  decltype(&losskit_adaptive_wing_weights) adaptive_wing_weights;
  decltype(&losskit_normalize_rows) normalize_rows;
  decltype(&losskit_normalize_rows_backward) normalize_rows_backward;
  decltype(&losskit_cosine_layer) cosine_layer;
  decltype(&losskit_cosine_layer_workspace_bytes) cosine_layer_workspace_bytes;
  decltype(&losskit_cosine_layer_backward) cosine_layer_backward;
  decltype(&losskit_start) start;
  decltype(&losskit_advance) advance;
  decltype(&losskit_row_scales) row_scales;
  decltype(&losskit_schedule) schedule;
  decltype(&losskit_cosine_similarity) cosine_similarity;
  decltype(&losskit_angle_between) angle_between;
  decltype(&losskit_squared_distance) squared_distance;
  decltype(&losskit_suggest_scale) suggest_scale;
  decltype(&losskit_roc) roc;
  decltype(&losskit_verify) verify;
  decltype(&losskit_verification_accuracy) verification_accuracy;
};

// The name of the one symbol that a set shows: losskit_functions_of_v3 ...
#define LOSSKIT_C_JOIN(a, b) a##b
#define LOSSKIT_C_TABLE(set) LOSSKIT_C_JOIN(losskit_functions_of_, set)
