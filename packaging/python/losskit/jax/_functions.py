"""The functions of losskit.jax, and their derivatives.

A loss runs once, in the forward pass: loss and gradient together, the gradient straight into XLA's output. The backward pass multiplies by
what comes from above; XLA drops a product with one.
"""
from __future__ import annotations

import functools
from typing import Any, NamedTuple, Optional, Tuple, Union

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

import losskit
from losskit import _policy
from losskit._c import NO_LABEL, ParameterError, ShapeError, WrongTypeError
from losskit.jax import _ffi
from losskit.jax._ffi import REDUCTIONS, call, loss_shape, per_row, result

Policy = Union["losskit.Policy", str]

ARCFACE = "MarginSoftmax(ArcMargin(m=0.5), scale=64)"

# --- arguments -------------------------------------------------------------------------------------------------------------------


def _text(function: str, loss: Policy, *kinds: str) -> str:
    """A policy's text, once it is known to be one of these kinds."""
    _policy.handle_of(function, loss, *kinds)
    return losskit.policy(loss).text if isinstance(loss, str) else loss.text


def _array(name: str, x: Any) -> Array:
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise WrongTypeError(f"{name}: {type(x).__name__}, expected an array")
    return jnp.asarray(x)


def _computed(name: str, x: Any) -> Array:
    """float32 or float64."""
    a = _array(name, x)
    if a.dtype in (jnp.float32, jnp.float64):
        return a
    if a.dtype in (jnp.float16, jnp.bfloat16):
        return a.astype(jnp.float32)
    raise WrongTypeError(f"{name}: {a.dtype}, expected float32, float64, float16 or bfloat16")


def _expect_shape(name: str, x: Array, shape: Tuple[int, ...]) -> Array:
    if x.shape != shape:
        raise ShapeError(f"{name}: of shape {x.shape}, expected {shape}")
    return x


def _matrix(name: str, x: Any, one: str = "one sample a row") -> Array:
    a = _computed(name, x)
    if a.ndim != 2:
        raise ShapeError(f"{name}: of shape {a.shape}, expected 2 dimensions, {one}")
    return a


def _labels(labels: Any, cosines: Array) -> Array:
    y = _array("labels", labels)
    if y.dtype in (jnp.int8, jnp.int16, jnp.uint8, jnp.uint16):
        y = y.astype(jnp.int32)
    if y.dtype not in (jnp.int32, jnp.int64):
        raise WrongTypeError(f"labels: {y.dtype}, expected integers, one class a row")
    return _expect_shape("labels", y, cosines.shape[:1])


def _numbers(name: str, x: Optional[ArrayLike], like: Array, shape: Tuple[int, ...]) -> Optional[Array]:
    """An array of this shape, or none, in the cosines' type."""
    return None if x is None else _expect_shape(name, _computed(name, x).astype(like.dtype), shape)


def _state_numbers(name: str, x: Optional[ArrayLike], like: Array, rows: Optional[int] = None) -> Optional[Array]:
    """A number, or one a row where that may be, as a vector."""
    if x is None:
        return None
    a = jnp.asarray(x)
    if a.dtype == jnp.bool_ or not (jnp.issubdtype(a.dtype, jnp.floating) or jnp.issubdtype(a.dtype, jnp.integer)):
        raise WrongTypeError(f"{name}: {a.dtype}, expected a number")
    if a.ndim > 1 or a.size not in (1, rows):
        raise ShapeError(f"{name}: of shape {a.shape}, expected a number{'' if rows is None else f', or {rows}'}")
    return a.astype(like.dtype).reshape(-1)


def _reduction(name: str) -> int:
    if name not in REDUCTIONS:
        raise ParameterError(f"reduction = {name!r}: there is {', '.join(REDUCTIONS)}")
    return REDUCTIONS[name]


# --- derivatives -----------------------------------------------------------------------------------------------------------------
# jax tells a forward rule which of its inputs are differentiated: CustomVJPPrimal(value, perturbed).


def _value(x: Any) -> Any:
    return None if x is None else x.value


def _wanted(x: Any) -> bool:
    return x is not None and x.perturbed


def _refuse(**inputs: Any) -> None:
    """What losskit gives no gradient for: zero would be a lie."""
    for name, x in inputs.items():
        if _wanted(x):
            raise WrongTypeError(f"{name} is differentiated, and losskit gives no gradient for it: use jax.lax.stop_gradient({name})")


def _times(upstream: Array, saved: Optional[Array]) -> Optional[Array]:
    """upstream times a gradient, per row or per element where the upstream is."""
    if saved is None:
        return None
    return saved * upstream.reshape(upstream.shape + (1,) * (saved.ndim - upstream.ndim if upstream.ndim else 0))


# --- losses over a matrix ----------------------------------------------------------------------------------------------------------


class _How(NamedTuple):
    """What is constant in a call."""

    policy: str
    reduction: int = 0
    ignore: int = NO_LABEL
    in_place: bool = False


def _attributes(how: _How) -> dict[str, Any]:
    return dict(policy=how.policy, reduction=_ffi.int32(how.reduction), ignore=_ffi.int64(how.ignore))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _loss(how: _How, cosines: Any, labels: Any, weights: Any, class_weights: Any, scales: Any, margins: Any, scale: Any, rest: Any) -> Any:
    inputs = (cosines, labels, weights, class_weights, scales, margins, scale, rest)
    return call("loss_value", [result(loss_shape(cosines.shape[:1], how.reduction), cosines)], inputs, cosines, **_attributes(how))[0]


def _loss_forward(how: _How, *inputs: Any) -> Any:
    cosines, _, weights, class_weights, scales, margins, scale, rest = inputs
    _refuse(weights=weights, class_weights=class_weights, scale=scale, rest=rest)
    c = cosines.value
    results = [result(loss_shape(c.shape[:1], how.reduction), c), result(c.shape, c), per_row(c, _wanted(scales)),
               per_row(c, _wanted(margins))]
    loss, *gradients = call("loss_and_gradient", results, [_value(x) for x in inputs], c, {0: 1} if how.in_place else None,
                            **_attributes(how))
    return loss, [g if _wanted(x) else None for x, g in zip((cosines, scales, margins), gradients)]


def _loss_backward(how: _How, saved: Any, upstream: Any) -> Any:
    by_cosines, by_scales, by_margins = (_times(upstream, g) for g in saved)
    return by_cosines, None, None, None, by_scales, by_margins, None, None


_loss.defvjp(_loss_forward, _loss_backward, symbolic_zeros=True)


def margin_loss(loss: Policy, cosines: ArrayLike, labels: ArrayLike, *, reduction: str = "mean", ignore_index: Optional[int] = None,
                weights: Optional[ArrayLike] = None, class_weights: Optional[ArrayLike] = None, scales: Optional[ArrayLike] = None,
                margins: Optional[ArrayLike] = None, scale: Optional[ArrayLike] = None, rest: Optional[ArrayLike] = None,
                in_place: bool = False) -> Array:
    """A loss over a matrix: MarginSoftmax over cosines, z_y = s margin(c_y), z_j = s rest(c_j), L = objective(log softmax(z)_y); or
    SoftmaxLoss over logits, any finite numbers.

    cosines: B x C. labels: B integers in [0, C), or ignore_index, whose rows have no loss and no gradient. Returns a number, or B losses.
    reduction: "mean" (over the rows that are not ignored), "sum", "none", "batch_mean" (sum / B), "weighted_mean" (sum / sum of weights).
    weights: B, >= 0. class_weights: C, >= 0, of each row by its label. scales: B, in place of the loss's scale; differentiable.
    margins: B, in place of the margin's number (ArcMargin: radians; CosMargin: cosine); differentiable. scale: one number for all rows
    (an AdaCosScale's state.value). rest: the rest rule's number (CurricularRest: state.value), one or B.
    in_place: lets the gradient take the memory of the cosines. Nothing is lost: where they are still needed, or are an argument of jit that
    is not donated, XLA copies them first, which costs more than a matrix of its own. For cosines that the same jit computes.

    There is no gradient by weights, class_weights, scale and rest: to differentiate one is a WrongTypeError.
    """
    how = _How(_text("margin_loss", loss, "loss"), _reduction(reduction), _ignored(ignore_index), bool(in_place))
    c = _matrix("cosines", cosines)
    rows, classes = c.shape
    return _loss(how, c, _labels(labels, c), _numbers("weights", weights, c, (rows,)),
                 _numbers("class_weights", class_weights, c, (classes,)), _numbers("scales", scales, c, (rows,)),
                 _numbers("margins", margins, c, (rows,)), _state_numbers("scale", scale, c), _state_numbers("rest", rest, c, rows))


def _ignored(ignore_index: Optional[int]) -> int:
    return NO_LABEL if ignore_index is None else _policy.whole("ignore_index", ignore_index)


# --- the margin layer alone --------------------------------------------------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _logits(how: _How, cosines: Any, labels: Any, scales: Any, margins: Any, scale: Any, rest: Any) -> Any:
    inputs = (cosines, labels, scales, margins, scale, rest)
    return call("logits", [result(cosines.shape, cosines)], inputs, cosines, policy=how.policy, ignore=_ffi.int64(how.ignore))[0]


def _logits_forward(how: _How, *inputs: Any) -> Any:
    cosines, _, scales, margins, scale, rest = inputs
    _refuse(margins=margins, scale=scale, rest=rest)
    values = [_value(x) for x in inputs]
    return _logits(how, *values), (values, _wanted(cosines), _wanted(scales))


def _logits_backward(how: _How, saved: Any, upstream: Any) -> Any:
    values, by_cosines, by_scales = saved
    c = values[0]
    gradient, scale_gradient = call("logits_backward", [result(c.shape, c), per_row(c, values[2] is not None)], [upstream, *values], c,
                                    policy=how.policy, ignore=_ffi.int64(how.ignore))
    return gradient, None, None if values[2] is None else scale_gradient, None, None, None


_logits.defvjp(_logits_forward, _logits_backward, symbolic_zeros=True)


def logits(loss: Policy, cosines: ArrayLike, labels: ArrayLike, *, ignore_index: Optional[int] = None, scales: Optional[ArrayLike] = None,
           margins: Optional[ArrayLike] = None, scale: Optional[ArrayLike] = None, rest: Optional[ArrayLike] = None) -> Array:
    """The margin layer alone, for a softmax that lives elsewhere: B x C logits, z_y = s margin(c_y) and z_j = s rest(c_j). An ignored row
    has no target. Differentiable by the cosines and by scales. Arguments as of margin_loss; not of a SoftmaxLoss."""
    how = _How(_text("logits", loss, "loss"), ignore=_ignored(ignore_index))
    c = _matrix("cosines", cosines)
    rows = c.shape[0]
    return _logits(how, c, _labels(labels, c), _numbers("scales", scales, c, (rows,)), _numbers("margins", margins, c, (rows,)),
                   _state_numbers("scale", scale, c), _state_numbers("rest", rest, c, rows))


# --- point losses ------------------------------------------------------------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _points(how: _How, prediction: Any, truth: Any, weights: Any) -> Any:
    return call("point_loss", [result(loss_shape(prediction.shape, how.reduction), prediction)], [prediction, truth, weights], prediction,
                policy=how.policy, reduction=_ffi.int32(how.reduction))[0]


def _points_forward(how: _How, prediction: Any, truth: Any, weights: Any) -> Any:
    _refuse(truth=truth, weights=weights)
    x = prediction.value
    loss, gradient = call("point_loss_and_gradient", [result(loss_shape(x.shape, how.reduction), x), result(x.shape, x)],
                          [x, truth.value, _value(weights)], x, policy=how.policy, reduction=_ffi.int32(how.reduction))
    return loss, gradient


def _points_backward(how: _How, saved: Any, upstream: Any) -> Any:
    return _times(upstream, saved), None, None


_points.defvjp(_points_forward, _points_backward, symbolic_zeros=True)


def point_loss(loss: Policy, prediction: ArrayLike, truth: ArrayLike, *, weights: Optional[ArrayLike] = None,
               reduction: str = "mean") -> Array:
    """A point loss of every (prediction, truth), arrays of one shape and of any rank: "WingLoss(w=10, eps=2)", "AdaptiveWingLoss",
    "SigmoidFocalLoss", "SmoothL1Loss", "HuberLoss".

    weights: >= 0, of that shape. reduction: "mean" (over elements), "sum", "none" (a loss an element), "batch_mean" (sum / the first
    dimension), "weighted_mean" (sum / sum of weights). There is no gradient by truth and weights: to differentiate one is a WrongTypeError.
    """
    how = _How(_text("point_loss", loss, "point loss"), _reduction(reduction))
    x = _computed("prediction", prediction)
    y = _expect_shape("truth", _computed("truth", truth).astype(x.dtype), x.shape)
    return _points(how, x, y, _numbers("weights", weights, x, x.shape))


def adaptive_wing_weights(truth: ArrayLike, weight: float = 10.0, threshold: float = 0.2) -> Array:
    """Weights for AdaptiveWingLoss of heatmaps (..., H, W): 1 + weight near a truth >= threshold (3 x 3 around it), else 1. weight >= 0."""
    t = _computed("truth", truth)
    if t.ndim < 2:
        raise ShapeError(f"truth: of shape {t.shape}, expected (..., rows, columns)")
    numbers = dict(weight=_ffi.float64(weight), threshold=_ffi.float64(threshold))
    t = jax.lax.stop_gradient(t)
    one = lambda heat: call("adaptive_wing_weights", [result(heat.shape, heat)], [heat], heat, **numbers)[0]  # noqa: E731
    if t.ndim == 2:
        return one(t)
    return jax.vmap(one)(t.reshape((-1, *t.shape[-2:]))).reshape(t.shape) if t.size else t


# --- the head ----------------------------------------------------------------------------------------------------------------------


@jax.custom_vjp
def _layer(x: Any, w: Any) -> Any:
    return _layer_call(x, w)[:2]


def _layer_call(x: Array, w: Array) -> Any:
    rows, classes = x.shape[0], w.shape[0]
    return call("cosine_layer", [result(s, x) for s in ((rows, classes), (rows,), x.shape, w.shape, (classes,))], [x, w], x)


def _layer_forward(x: Any, w: Any) -> Any:
    cosines, norms_x, unit_x, unit_w, norms_w = _layer_call(x.value, w.value)
    return (cosines, norms_x), (unit_x, unit_w, norms_x, norms_w)


def _layer_backward(saved: Any, upstream: Any) -> Any:
    by_cosines, by_norms = upstream
    unit_x, unit_w, _, norms_w = saved
    if isinstance(by_cosines, SymbolicZero):
        by_cosines = jnp.zeros((unit_x.shape[0], unit_w.shape[0]), unit_x.dtype)
    # The centres' gradient may take the place of the unit centres, which nothing needs after it.
    return tuple(call("cosine_layer_backward", [result(unit_x.shape, unit_x), result(unit_w.shape, unit_w)],
                      [by_cosines, None if isinstance(by_norms, SymbolicZero) else by_norms, *saved], unit_x, {3: 1}))


_layer.defvjp(_layer_forward, _layer_backward, symbolic_zeros=True)


def cosine_layer_with_norms(embeddings: ArrayLike, centres: ArrayLike) -> Tuple[Array, Array]:
    """As cosine_layer; also |x_i|, B, which is differentiable too."""
    x, w = _matrix("embeddings", embeddings), _matrix("centres", centres, "one class a row")
    if x.dtype != w.dtype:
        raise WrongTypeError(f"embeddings are {x.dtype}, centres {w.dtype}")
    _expect_shape("centres", w, (w.shape[0], x.shape[1]))
    cosines, norms = _layer(x, w)
    return cosines, norms


def cosine_layer(embeddings: ArrayLike, centres: ArrayLike) -> Array:
    """Cosines, B x C, of embeddings (B x D) and centres (C x D, one a row), of any length both. A row of length 0 has cosines 0 and no
    gradient."""
    return cosine_layer_with_norms(embeddings, centres)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scales(policy: str, norms: Any) -> Any:
    return _scales_forward(policy, norms)[0]


def _scales_forward(policy: str, norms: Any) -> Any:
    scales, slopes = call("row_scales", [result(norms.shape, norms)] * 2, [norms], norms, policy=policy)
    return scales, slopes


_scales.defvjp(_scales_forward, lambda policy, slopes, upstream: (slopes * upstream,))


def row_scales(policy: Policy, norms: ArrayLike) -> Array:
    """A scale a row from its norm (B, >= 0), for margin_loss(scales=): FeatureNorm(low=0, high=inf, factor=1). Differentiable."""
    n = _computed("norms", norms)
    if n.ndim != 1:
        raise ShapeError(f"norms: of shape {n.shape}, expected 1 dimension")
    return _scales(_text("row_scales", policy, "scale"), n)


# --- states that follow training -----------------------------------------------------------------------------------------------------


class State(NamedTuple):
    """What an AdaCosScale or a CurricularRest knows of training so far: two arrays, to be kept with the model."""

    value: Array
    """The scale s, for `scale=`; or the rest rule's number t, for `rest=`."""
    counts: Array
    """Two of int32: the batches seen, and how many of these left an AdaCosScale as it was."""


def start(policy: Policy, dtype: Any = jnp.float32) -> State:
    """The state before the first batch, of an AdaCosScale or a CurricularRest. dtype: that of the cosines."""
    first = losskit.start(policy)
    return State(jnp.asarray(first.value, dtype), jnp.asarray([first.steps, first.kept], jnp.int32))


def advance(policy: Policy, state: State, cosines: ArrayLike, labels: ArrayLike, *, ignore_index: Optional[int] = None) -> State:
    """The state after a batch of cosines (B x C): once a training step, before the step's loss. No gradient flows through it."""
    text = _text("advance", policy, "scale", "rest rule")
    c = jax.lax.stop_gradient(_matrix("cosines", cosines))
    value = jax.lax.stop_gradient(_expect_shape("state.value", _computed("state.value", state.value), ()))
    counts = _expect_shape("state.counts", _array("state.counts", state.counts).astype(jnp.int32), (2,))
    results = [result((1,), value), jax.ShapeDtypeStruct((2,), jnp.int32)]
    after, seen = call("advance", results, [value.reshape(1), counts, c, _labels(labels, c)], c, policy=text,
                       ignore=_ffi.int64(_ignored(ignore_index)))
    return State(after.reshape(()), seen)
