"""losskit's losses as functions of torch tensors.

    cosines = F.cosine_layer(embeddings, centres)                                          # B x C
    loss = F.margin_softmax(cosines, labels, "MarginSoftmax(ArcMargin(m=0.5), scale=64)")  # ArcFace

A policy is an object of losskit's (losskit.ArcMargin(m=0.5)) or its text. Tensors are on the CPU: float32 and float64 as they are; float16
and bfloat16 are computed in float32, the loss is a float32 and the gradient comes back in their type. Without a gradient to compute (under
torch.no_grad, or where nothing requires one) the loss alone is. Errors are losskit.Error and its kinds, raised before anything is written.
"""
from __future__ import annotations

from typing import Optional, Tuple, Union

import torch
from torch import Tensor

import losskit
from losskit.torch import _ops
from losskit.torch._ops import REDUCTIONS, InPlaceLoss, call, ops

Policy = Union["losskit.Policy", str]
Number = Union[float, Tensor]

ARCFACE = "MarginSoftmax(ArcMargin(m=0.5), scale=64)"


def text_of(policy: Policy) -> str:
    text = policy if isinstance(policy, str) else getattr(policy, "text", None)
    if not isinstance(text, str):
        raise losskit.WrongTypeError(f"{policy!r:.80} is no policy of losskit")
    return text


def _reduction(name: str) -> int:
    if name not in REDUCTIONS:
        raise losskit.ParameterError(f"reduction = {name!r} is none of {', '.join(map(repr, REDUCTIONS))}")
    return REDUCTIONS[name]


def _computed(name: str, t: Tensor) -> Tensor:
    """float32 or float64, on the CPU (or meta, which has shapes only)."""
    if not isinstance(t, Tensor):
        raise losskit.WrongTypeError(f"{name} must be a tensor, not {type(t).__name__}")
    if t.device.type not in ("cpu", "meta"):
        raise losskit.WrongMemoryError(f"{name} is on {t.device}; losskit.torch computes on the CPU")
    if t.dtype in (torch.float32, torch.float64):
        return t
    if t.dtype in (torch.float16, torch.bfloat16):
        return t.float()
    raise losskit.WrongTypeError(f"{name} must hold float32, float64, float16 or bfloat16, not {t.dtype}")


def _labels(labels: Tensor, like: Tensor) -> Tensor:
    if not isinstance(labels, Tensor):
        raise losskit.WrongTypeError(f"labels must be a tensor, not {type(labels).__name__}")
    if labels.device != like.device:
        raise losskit.WrongMemoryError(f"labels are on {labels.device}, the cosines on {like.device}")
    if labels.dtype in (torch.int64, torch.int32):
        return labels
    if labels.dtype in (torch.uint8, torch.int8, torch.int16):
        return labels.long()
    raise losskit.WrongTypeError(f"labels must be integers, one class a row, not {labels.dtype}")


def _numbers(name: str, t: Optional[Tensor], like: Tensor, gradient: bool) -> Optional[Tensor]:
    """A tensor of one number a row or class, in the cosines' type. gradient: may it require one?"""
    if t is None:
        return None
    t = _computed(name, t)
    if t.device != like.device:
        raise losskit.WrongMemoryError(f"{name} is on {t.device}, the cosines on {like.device}")
    if t.requires_grad and not gradient:
        raise losskit.WrongTypeError(f"{name} requires a gradient, and losskit gives none for it: detach it")
    return t.to(like.dtype)


def _state_number(name: str, x: Optional[Number]) -> Optional[Tensor]:
    """A float or a tensor of numbers, as a vector of float64."""
    if x is None:
        return None
    if not isinstance(x, Tensor):
        return torch.full((1,), float(x), dtype=torch.float64)
    if x.requires_grad:
        raise losskit.WrongTypeError(f"{name} requires a gradient, and losskit gives none for it: detach it")
    return x.double().reshape(-1)


def _differentiated(*tensors: Optional[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


# --- losses over a matrix ----------------------------------------------------------------------------------------------------------


def margin_softmax(cosines: Tensor, labels: Tensor, loss: Policy = ARCFACE, *, reduction: str = "mean", ignore_index: int = -100,
                   weights: Optional[Tensor] = None, class_weights: Optional[Tensor] = None, scales: Optional[Tensor] = None,
                   margins: Optional[Tensor] = None, scale: Optional[Number] = None, rest: Optional[Number] = None,
                   inplace: bool = False) -> Tensor:
    """A MarginSoftmax over cosines: z_y = s margin(c_y), z_j = s rest(c_j), L = objective(log softmax(z)_y).

    cosines: B x C. labels: B integers in [0, C), or ignore_index, whose rows have no loss. The result is a number, or B losses.
    reduction: "mean" (over the rows that are not ignored), "sum", "none", "batch_mean" (sum / B), "weighted_mean" (sum / sum of weights).
    weights: B, >= 0. class_weights: C, >= 0, of each row by its label. scales: B, in place of the loss's scale; differentiable.
    margins: B, in place of the margin's number (ArcMargin: radians, CosMargin); differentiable. scale: one number for all rows.
    rest: the rest rule's number (CurricularRest's t), 1 or B.
    inplace: allows the gradient to take the cosines' place, which saves a B x C matrix: they are lost to the caller, and autograd refuses
    whatever else would need them. Under torch.compile, and where no gradient is asked for, they stay as they are.
    """
    c = _computed("cosines", cosines)
    y = _labels(labels, c)
    w, cw = _numbers("weights", weights, c, False), _numbers("class_weights", class_weights, c, False)
    s, m = _numbers("scales", scales, c, True), _numbers("margins", margins, c, True)
    arguments = (c, y, text_of(loss), _reduction(reduction), ignore_index, w, cw, s, m, _state_number("scale", scale),
                 _state_number("rest", rest))
    if not _differentiated(c, s, m):
        return call(ops.loss_value, *arguments)
    if inplace and c.requires_grad and not torch.compiler.is_compiling():
        if c.is_leaf:
            raise losskit.WrongMemoryError("cosines are a leaf that requires a gradient: they cannot be overwritten, give inplace=False")
        return call(InPlaceLoss.apply, *arguments)[0]
    return _ops.loss_and_gradient(*arguments)[0]


def softmax_loss(logits: Tensor, labels: Tensor, loss: Policy = "SoftmaxLoss", *, reduction: str = "mean", ignore_index: int = -100,
                 weights: Optional[Tensor] = None, class_weights: Optional[Tensor] = None, inplace: bool = False) -> Tensor:
    """A SoftmaxLoss over logits, any finite numbers: SoftmaxLoss(FocalLoss(gamma=2)). Arguments as of margin_softmax."""
    return margin_softmax(logits, labels, loss, reduction=reduction, ignore_index=ignore_index, weights=weights,
                          class_weights=class_weights, inplace=inplace)


def margin_logits(cosines: Tensor, labels: Tensor, loss: Policy = ARCFACE, *, ignore_index: int = -100, scales: Optional[Tensor] = None,
                  scale: Optional[Number] = None, rest: Optional[Number] = None) -> Tensor:
    """The margin layer alone, for a softmax that lives elsewhere: B x C logits s margin(c_y), s rest(c_j). An ignored row has no
    target. Arguments as of margin_softmax."""
    c = _computed("cosines", cosines)
    return _ops.logits(c, _labels(labels, c), text_of(loss), ignore_index, _numbers("scales", scales, c, True), None,
                _state_number("scale", scale), _state_number("rest", rest))


# --- point losses ------------------------------------------------------------------------------------------------------------------


def point_loss(prediction: Tensor, truth: Tensor, loss: Policy = "WingLoss", *, weights: Optional[Tensor] = None,
               reduction: str = "mean") -> Tensor:
    """A point loss of every (prediction, truth): tensors of one shape, of any rank. "WingLoss(w=10, eps=2)", "AdaptiveWingLoss",
    "SigmoidFocalLoss", ...

    weights: >= 0, of that shape. reduction: "mean" (over elements), "sum", "none" (a loss an element), "batch_mean" (sum / the first
    dimension), "weighted_mean" (sum / sum of weights). There is no gradient by the truth: one that requires it is refused.
    """
    x = _computed("prediction", prediction)
    y = _numbers("truth", truth, x, False)
    arguments = (x, y, text_of(loss), _reduction(reduction), _numbers("weights", weights, x, False))
    return _ops.point_loss_and_gradient(*arguments)[0] if _differentiated(x) else call(ops.point_loss, *arguments)


def adaptive_wing_weights(truth: Tensor, weight: float = 10.0, threshold: float = 0.2) -> Tensor:
    """Weights for AdaptiveWingLoss of heatmaps (.., H, W) or a single one (H, W): 1 + weight near a truth >= threshold (3 x 3 around it),
    else 1."""
    t = _computed("truth", truth.detach())
    if t.dim() < 2:
        raise losskit.ShapeError("truth must have two dimensions or more, the last two a map's")
    if t.dim() == 2:
        return call(ops.adaptive_wing_weights, t, weight, threshold)
    maps = [call(ops.adaptive_wing_weights, one, weight, threshold) for one in t.reshape(-1, *t.shape[-2:])]
    return torch.stack(maps).reshape(t.shape) if maps else torch.empty_like(t)


# --- the head ----------------------------------------------------------------------------------------------------------------------


def cosine_layer_with_norms(embeddings: Tensor, centres: Tensor) -> Tuple[Tensor, Tensor]:
    """As cosine_layer; also |x_i|, B, which is differentiable too."""
    x, w = _computed("embeddings", embeddings), _computed("centres", centres)
    if x.dtype != w.dtype:
        raise losskit.WrongTypeError(f"embeddings are {x.dtype}, centres {w.dtype}")
    return _ops.cosine_layer(x, w)[:2]


def cosine_layer(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Cosines, B x C, of embeddings (B x D) and centres (C x D, one a row), of any length both. A row of length 0 has cosines 0 and no
    gradient."""
    return cosine_layer_with_norms(embeddings, centres)[0]


def row_scales(norms: Tensor, policy: Policy = "FeatureNorm") -> Tensor:
    """A scale a row from its norm, for margin_softmax(scales=): FeatureNorm(low=0, high=inf, factor=1)."""
    return _ops.row_scales(_computed("norms", norms), text_of(policy))[0]


# --- states that follow training -----------------------------------------------------------------------------------------------------


def start(policy: Policy) -> Tensor:
    """The state before the first batch, of an AdaCosScale or a CurricularRest: three numbers of float64. The first is its value, for
    `scale=` or `rest=`; then the batches seen, and how many of these left an AdaCosScale as it was."""
    return call(ops.start, text_of(policy))


def advance(state: Tensor, policy: Policy, cosines: Tensor, labels: Tensor, *, ignore_index: int = -100) -> Tensor:
    """The next state, from a batch of cosines: once a training step, before the step's loss. No gradient flows through it."""
    c = _computed("cosines", cosines.detach())
    return call(ops.advance, state.double(), text_of(policy), c, _labels(labels, c), ignore_index)
