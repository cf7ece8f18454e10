// losskit: loss functions for recognition, with their analytic gradients, over the caller's memory.
//
// This header is everything that needs no other library: all policies, all calls, the serial backend, recognition metrics. For
// speed on a CPU include losskit/backend/eigen.hpp too; for threads losskit/executor/openmp.hpp; to pass Eigen's own matrices
// losskit/adapt/eigen.hpp.
#pragma once
#include "losskit/backend/serial.hpp"
#include "losskit/catalogue.hpp"
#include "losskit/compose/margin_softmax.hpp"
#include "losskit/compose/presets.hpp"
#include "losskit/compose/softmax_loss.hpp"
#include "losskit/core/version.hpp"
#include "losskit/head/cosine_layer.hpp"
#include "losskit/head/normalize.hpp"
#include "losskit/head/owning_head.hpp"
#include "losskit/head/pair_cosines.hpp"
#include "losskit/loss/advance.hpp"
#include "losskit/loss/calls.hpp"
#include "losskit/loss/logits.hpp"
#include "losskit/loss/point_loss.hpp"
#include "losskit/margin/presets.hpp"
#include "losskit/point/adaptive_wing_weights.hpp"
#include "losskit/recognition/similarity.hpp"
#include "losskit/recognition/suggest_margin.hpp"
#include "losskit/recognition/suggest_scale.hpp"
#include "losskit/recognition/verification.hpp"
