"""The functions of losskit.tensorflow: loads the operators, checks what they cannot, and registers their derivatives.

A loss runs once, in the forward pass: loss and gradient together. The backward pass multiplies by what comes from above.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Tuple, Union

import tensorflow as tf

import losskit
from losskit import _policy
from losskit._c import NO_LABEL, REDUCTIONS

_lib = Path(losskit.__file__).parent / "lib"
if not (_lib / "liblosskit_tensorflow.so").exists():
    raise ImportError(f"this losskit was built without its operators for TensorFlow: there is no {_lib / 'liblosskit_tensorflow.so'}")
_built = (_lib / "tensorflow_version").read_text().strip()
if tf.__version__ != _built:
    raise ImportError(f"losskit.tensorflow was built for TensorFlow {_built}; this is {tf.__version__}. Its C++ interface changes with "
                      "each version: build the wheel for this one")
_ops = tf.load_op_library(str(_lib / "liblosskit_tensorflow.so"))

Policy = Union["losskit.Policy", str]

ARCFACE = "MarginSoftmax(ArcMargin(m=0.5), scale=64)"
AM_SOFTMAX = "MarginSoftmax(CosMargin(m=0.35), scale=30)"

# --- arguments -------------------------------------------------------------------------------------------------------------------


def _refuse(error: Exception) -> Any:
    """losskit's error as TensorFlow's."""
    raise tf.errors.InvalidArgumentError(None, None, f"losskit.{type(error).__name__}: {error}") from None


def _text(function: str, loss: Policy, kind: str) -> str:
    try:
        _policy.handle_of(function, loss, kind)
    except losskit.Error as error:
        _refuse(error)
    return loss if isinstance(loss, str) else loss.text


def _reduction(name: str) -> int:
    if name not in REDUCTIONS:
        _refuse(losskit.ParameterError(f"reduction = {name!r}: there is {', '.join(REDUCTIONS)}"))
    return REDUCTIONS[name]


def _computed(name: str, x: Any) -> tf.Tensor:
    """float32 or float64."""
    t = tf.convert_to_tensor(x)
    if t.dtype in (tf.float16, tf.bfloat16):
        return tf.cast(t, tf.float32)
    if t.dtype not in (tf.float32, tf.float64):
        _refuse(losskit.WrongTypeError(f"{name}: {t.dtype.name}, expected float32, float64, float16 or bfloat16"))
    return t


def _labels(x: Any) -> tf.Tensor:
    t = tf.convert_to_tensor(x)
    if t.dtype in (tf.uint8, tf.int8, tf.int16):
        return tf.cast(t, tf.int32)
    if t.dtype not in (tf.int32, tf.int64):
        _refuse(losskit.WrongTypeError(f"labels: {t.dtype.name}, expected integers, one class a row"))
    return t


def _numbers(name: str, x: Any, dtype: tf.DType, size: Any) -> tf.Tensor:
    """A vector of this size, or of no elements where none is given."""
    if x is None:
        return tf.zeros([0], dtype)
    t = tf.cast(_computed(name, x), dtype)
    if t.shape.num_elements() == 0 and size != 0:  # it would be taken for none
        _refuse(losskit.ShapeError(f"{name}: no elements"))
    return t


def _state_numbers(x: Any) -> tf.Tensor:
    """A number, or one a row, as a vector of float64."""
    return tf.zeros([0], tf.float64) if x is None else tf.reshape(tf.cast(x, tf.float64), [-1])


# --- derivatives -----------------------------------------------------------------------------------------------------------------


@tf.custom_gradient
def _once(saved: tf.Tensor) -> Any:
    """What a forward saved is a gradient: to differentiate it again would be the second derivative, which losskit has not."""

    def refuse(*_: Any) -> Any:
        raise LookupError("losskit: a loss can be differentiated once; its second derivative is not implemented")

    return tf.identity(saved), refuse


def _times(upstream: tf.Tensor, saved: tf.Tensor) -> tf.Tensor:
    """upstream times a gradient, per row or per element where the upstream is."""
    if upstream.shape.rank:
        upstream = tf.reshape(upstream, tf.concat([tf.shape(upstream), tf.ones([tf.rank(saved) - tf.rank(upstream)], tf.int32)], 0))
    return upstream * _once(saved)


def _given(x: tf.Tensor) -> bool:
    return x.shape.num_elements() != 0


@tf.RegisterGradient("LosskitLoss")
def _(op: Any, upstream: tf.Tensor, *others: tf.Tensor) -> Any:
    scales, margins = op.inputs[4], op.inputs[5]
    if not op.get_attr("gradient"):
        raise LookupError("losskit: this loss was computed with differentiable=False")
    return (_times(upstream, op.outputs[1]), None, None, None, _times(upstream, op.outputs[2]) if _given(scales) else None,
            _times(upstream, op.outputs[3]) if _given(margins) else None, None, None)


@tf.RegisterGradient("LosskitPointLoss")
def _(op: Any, upstream: tf.Tensor, *others: tf.Tensor) -> Any:
    if not op.get_attr("gradient"):
        raise LookupError("losskit: this loss was computed with differentiable=False")
    return _times(upstream, op.outputs[1]), None, None


@tf.RegisterGradient("LosskitCosineLayer")
def _(op: Any, by_cosines: tf.Tensor, by_norms: tf.Tensor, *others: tf.Tensor) -> Any:
    _, norms_x, unit_x, unit_w, norms_w = op.outputs
    return _ops.losskit_cosine_layer_backward(by_cosines=by_cosines, by_norms=by_norms, unit_x=unit_x, unit_w=unit_w, norms_x=norms_x,
                                              norms_w=norms_w)


@tf.RegisterGradient("LosskitCosineLayerBackward")
def _(op: Any, *upstream: tf.Tensor) -> Any:
    raise LookupError("losskit: the cosine layer can be differentiated once; its second derivative is not implemented")

# --- functions -------------------------------------------------------------------------------------------------------------------


def margin_loss(loss: Policy, cosines: Any, labels: Any, *, reduction: str = "mean", ignore_index: Optional[int] = None,
                weights: Any = None, class_weights: Any = None, scales: Any = None, margins: Any = None, scale: Any = None,
                rest: Any = None, differentiable: bool = True) -> tf.Tensor:
    """A loss over a matrix: MarginSoftmax over cosines, z_y = s margin(c_y), z_j = s rest(c_j), L = objective(log softmax(z)_y); or
    SoftmaxLoss over logits, any finite numbers.

    cosines: B x C. labels: B integers in [0, C), or ignore_index, whose rows have no loss and no gradient. Returns a number, or B losses.
    reduction: "mean" (over the rows that are not ignored), "sum", "none", "batch_mean" (sum / B), "weighted_mean" (sum / sum of weights).
    weights: B, >= 0. class_weights: C, >= 0, of each row by its label. scales: B, in place of the loss's scale; differentiable.
    margins: B, in place of the margin's number (ArcMargin: radians; CosMargin: cosine); differentiable. scale: one number for all rows.
    rest: the rest rule's number (CurricularRest's t), one or B. There is no gradient by weights, class_weights, scale and rest: None.
    differentiable: False computes the loss alone, as in an evaluation: no matrix for the gradient.

    Raises tf.errors.InvalidArgumentError with losskit's text, before anything is written.
    """
    text = _text("margin_loss", loss, "loss")
    c = _computed("cosines", cosines)
    rows, cols = (c.shape[0], c.shape[1]) if c.shape.rank == 2 else (None, None)
    return _ops.losskit_loss(
        cosines=c, labels=_labels(labels), weights=_numbers("weights", weights, c.dtype, rows),
        class_weights=_numbers("class_weights", class_weights, c.dtype, cols), scales=_numbers("scales", scales, c.dtype, rows),
        margins=_numbers("margins", margins, c.dtype, rows), scale=_state_numbers(scale), rest=_state_numbers(rest), policy=text,
        reduction=_reduction(reduction), ignore=NO_LABEL if ignore_index is None else ignore_index, gradient=differentiable)[0]


def point_loss(loss: Policy, prediction: Any, truth: Any, *, weights: Any = None, reduction: str = "mean",
               differentiable: bool = True) -> tf.Tensor:
    """A point loss of every (prediction, truth), tensors of one shape and of any rank: "WingLoss(w=10, eps=2)", "AdaptiveWingLoss",
    "SigmoidFocalLoss", "SmoothL1Loss", "HuberLoss".

    weights: >= 0, of that shape. reduction: "mean" (over elements), "sum", "none" (a loss an element), "batch_mean" (sum / the first
    dimension), "weighted_mean" (sum / sum of weights). There is no gradient by truth and weights: None. differentiable: as of margin_loss.
    """
    text = _text("point_loss", loss, "point loss")
    x = _computed("prediction", prediction)
    return _ops.losskit_point_loss(
        prediction=x, truth=tf.cast(_computed("truth", truth), x.dtype),
        weights=_numbers("weights", weights, x.dtype, x.shape.num_elements()), policy=text, reduction=_reduction(reduction), gradient=differentiable)[0]


def cosine_layer_with_norms(embeddings: Any, centres: Any) -> Tuple[tf.Tensor, tf.Tensor]:
    """As cosine_layer; also |x_i|, B, which is differentiable too."""
    x, w = _computed("embeddings", embeddings), _computed("centres", centres)
    if x.dtype != w.dtype:
        _refuse(losskit.WrongTypeError(f"embeddings are {x.dtype.name}, centres {w.dtype.name}"))
    for name, t in (("embeddings", x), ("centres", w)):
        if t.shape.rank not in (None, 2):
            _refuse(losskit.ShapeError(f"{name} must have 2 dimensions, not {t.shape.rank}"))
    cosines, norms, *_ = _ops.losskit_cosine_layer(x=x, w=w)
    return cosines, norms


def cosine_layer(embeddings: Any, centres: Any) -> tf.Tensor:
    """Cosines, B x C, of embeddings (B x D) and centres (C x D, one a row), of any length both. A row of length 0 has cosines 0 and no
    gradient."""
    return cosine_layer_with_norms(embeddings, centres)[0]
