"""losskit over NumPy arrays: losses with their gradients, point losses, the cosine layer, states, recognition metrics.

    import losskit
    import losskit.numpy as lk

    arcface = losskit.MarginSoftmax(losskit.ArcMargin(m=0.5), scale=64)
    result = lk.loss_and_gradient(arcface, cosines, labels, out=cosines)   # in place, the fastest form

What every call keeps to:
  B rows (samples) and C columns (classes); numbers are float32 or float64, all of one call of the same type; labels int32 or int64.
  Rows may lie apart in memory, their elements next to each other: such arrays are taken as they are. Of other inputs a copy is
  made; as an output they are refused. Lists and Python numbers become arrays of the type that is asked for.
  Only what is given as an output (out=, dx=, ...) is written to. Arguments are checked before that: every refusal is a losskit.Error,
  a ValueError, that names the argument, its value and what it may be.
  threads: how many the call makes for itself; None: one for each core that the process may use. The bits do not depend on it.
  A loss is a policy (losskit.MarginSoftmax(...)) or its text ("MarginSoftmax(ArcMargin(m=0.5), scale=64)").
"""
from __future__ import annotations

from ctypes import byref, c_double, c_int64, c_size_t
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Optional, Tuple, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from losskit import _c
from losskit._c import ParameterError, ShapeError, StrideError, View, WrongMemoryError, WrongTypeError
from losskit._policy import Policy, State, handle_of, number, start, suggest_scale, whole

__all__ = [
    "Gradients", "LossAndGradient", "LossValue", "Logits", "PointLoss", "PointReport", "Report", "CosineLayer", "State",
    "EqualErrorRate", "TarAtFar", "VerificationAccuracy",
    "loss_and_gradient", "loss_value", "loss_gradient", "logits", "logits_backward",
    "point_loss", "adaptive_wing_weights",
    "normalize", "normalize_backward", "cosine_layer", "cosine_layer_backward",
    "start", "advance", "row_scales",
    "cosine_similarity", "angle_between", "squared_distance", "suggest_scale",
    "roc", "auc", "equal_error_rate", "tar_at_far", "verification_accuracy",
]

Loss = Union[Policy, str]

# --- arrays as the library sees them ---------------------------------------------------------------------------------------------

_NUMBERS = {np.dtype(np.float32): _c.F32, np.dtype(np.float64): _c.F64}
_LABELS = {np.dtype(np.int32): _c.I32, np.dtype(np.int64): _c.I64}
_FLAGS = {np.dtype(np.bool_): _c.U8, np.dtype(np.uint8): _c.U8, **_LABELS}
_CODES = {**_NUMBERS, **_FLAGS}

_NONE = View()


def _typed(name: str, x: Any, types: dict, standard: Any) -> NDArray[Any]:
    """x as an array of one of `types`. What has no type of its own, such as a list, takes the standard one if no number is lost."""
    if isinstance(x, np.ma.MaskedArray):
        raise WrongTypeError(f"{name}: a masked array; losskit has no mask but ignore_index and weights")
    if hasattr(x, "__array__"):
        a = np.asarray(x)
    else:
        try:
            a = np.asarray(x)
            if a.size == 0 or np.can_cast(a.dtype, standard, "same_kind"):
                a = a.astype(standard)
        except ValueError as error:  # rows of different lengths
            raise ShapeError(f"{name}: {error}") from None
    if a.dtype not in types:
        order = "" if a.dtype.isnative else " of the other byte order"
        raise WrongTypeError(f"{name}: {a.dtype.name}{order}, expected {' or '.join(t.name for t in types)}")
    return a


def _in_rows(a: NDArray[Any]) -> bool:
    """Is it memory that a View can tell: elements of a row next to each other, rows in order?"""
    if not a.flags.aligned:
        return False
    if a.ndim != 2:
        return a.flags.c_contiguous
    (rows, cols), (row, element) = a.shape, a.strides
    return (cols <= 1 or element == a.itemsize) and (rows <= 1 or (row % a.itemsize == 0 and row >= max(cols, 1) * a.itemsize))


def _expect_dimensions(name: str, a: NDArray[Any], ndim: int) -> None:
    if a.ndim != ndim:
        expected = {1: "1 dimension", 2: "2 dimensions, one sample a row"}.get(ndim, f"{ndim} dimensions")
        raise ShapeError(f"{name}: of shape {a.shape}, expected {expected}")


def _input(name: str, x: Any, ndim: int, types: dict = _NUMBERS, standard: Any = np.float64) -> NDArray[Any]:
    a = _typed(name, x, types, standard)
    _expect_dimensions(name, a, ndim)
    return a if _in_rows(a) else np.array(a, order="C")


def _doubles(name: str, x: Any) -> NDArray[np.float64]:
    """A number, or several of any type, in double."""
    try:
        return np.atleast_1d(np.asarray(x, np.float64))
    except (TypeError, ValueError) as error:
        raise WrongTypeError(f"{name}: {error}") from None


def _output(name: str, a: Any, ndim: int) -> NDArray[Any]:
    if not isinstance(a, np.ndarray):
        raise WrongTypeError(f"{name}: {type(a).__name__}, expected an array to write to")
    _typed(name, a, _NUMBERS, None)
    _expect_dimensions(name, a, ndim)
    if not a.flags.writeable:
        raise WrongMemoryError(f"{name}: read-only memory")
    if not a.flags.aligned:
        raise WrongMemoryError(f"{name}: memory that is not aligned for {a.dtype.name}")
    if not _in_rows(a):
        raise StrideError(f"{name}: strides of {a.strides} bytes; the elements of a row must lie next to each other, and rows in order")
    return a


def _view(a: Optional[NDArray[Any]]) -> View:
    """The array must live as long as the view is in use."""
    if a is None:
        return _NONE
    rows, cols = a.shape if a.ndim == 2 else (a.shape[0], 1)
    stride = a.strides[0] // a.itemsize if a.ndim == 2 and rows > 1 else cols
    return View(a.__array_interface__["data"][0], _CODES[a.dtype], rows, cols, stride)


def _address(a: NDArray[Any]) -> int:
    return a.__array_interface__["data"][0]


def _options(*, upstream: float = 1.0, ignore_index: Optional[int] = None, reduction: str = "mean", accumulate: bool = False,
             top_k: int = 5, threads: Optional[int] = None) -> _c.Options:
    if reduction not in _c.REDUCTIONS:
        raise ParameterError(f"reduction = {reduction!r}: there is {', '.join(_c.REDUCTIONS)}")
    return _c.Options(upstream=upstream, ignore_label=_c.NO_LABEL if ignore_index is None else whole("ignore_index", ignore_index),
                      reduction=_c.REDUCTIONS[reduction], write=1 if accumulate else 0, top_k=whole("top_k", top_k, 32),
                      threads=0 if threads is None else whole("threads", threads, 32))


class _Batch:
    """A call's inputs, kept alive, and what goes with them."""

    def __init__(self, cosines: Any, labels: Any, *, weights: Any = None, class_weights: Any = None, scales: Any = None,
                 margins: Any = None, upstream: Any = 1.0, scale: Any = None, rest: Any = None):
        self.cosines = c = _input("cosines", cosines, 2)
        per_row = np.ndim(upstream) > 0
        self.upstream = 1.0 if per_row else number("upstream", upstream)
        self._arrays = {"cosines": c, "labels": _input("labels", labels, 1, _LABELS, np.int64)}
        optional = {
            "weights": weights, "class_weights": class_weights, "scales": scales, "margins": margins,
            "upstream": upstream if per_row else None,
            "scale": None if scale is None else np.array([number("scale", scale)]),
            "rest": None if rest is None else _doubles("rest", rest),
        }
        for name, x in optional.items():
            if x is not None:
                self._arrays[name] = _input(name, x, 1, _NUMBERS, c.dtype)
        self.c = _c.Batch(**{name: _view(a) for name, a in self._arrays.items()})

    @property
    def rows(self) -> int:
        return self.cosines.shape[0]

    def row_output(self) -> NDArray[Any]:
        return np.empty(self.rows, self.cosines.dtype)

    def placement(self, gradient: Optional[NDArray[Any]], accumulate: bool) -> int:
        if gradient is None:
            return _c.NO_GRADIENT
        if accumulate:
            return _c.ACCUMULATED
        return _c.IN_PLACE if _address(gradient) == _address(self.cosines) else _c.OUT_OF_PLACE

    def workspace(self, policy: int, placement: int, options: _c.Options) -> NDArray[np.uint8]:
        rows, cols = self.cosines.shape
        return _workspace(policy, self.cosines.dtype, rows, cols, placement, options)


def _workspace(policy: int, dtype: Any, rows: int, cols: int, placement: int, options: _c.Options) -> NDArray[np.uint8]:
    size = c_size_t()
    _c.workspace_bytes(policy, _NUMBERS[np.dtype(dtype)], rows, cols, placement, byref(options), byref(size))
    return np.empty(size.value, np.uint8)


def _gradient(out: Any, accumulate: bool, shape: Tuple[int, ...], dtype: Any) -> NDArray[Any]:
    if out is None:
        if accumulate:
            raise ParameterError("accumulate adds to an array: give it as out")
        return np.empty(shape, dtype)
    return _output("out", out, len(shape))


# --- results ---------------------------------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """What a call saw. Accuracy, angles and counts are those of the raw cosines, over the rows that are not ignored."""

    loss: float
    """Reduced; with reduction="none" the sum of the rows' losses."""
    mean_target_angle: float
    """Radians; 0 over logits."""
    rows: int
    """B."""
    valid: int
    """Rows that are not ignored."""
    top1: int
    """Rows whose target beats every other class. A tie is wrong, and so is a NaN."""
    topk: int
    """Rows with fewer than top_k classes that are not below the target."""
    hard_negatives: int
    """Other classes above their row's threshold, the target's margined cosine."""
    clamped: int
    """Cosines up to 16 eps outside [-1, 1]."""
    out_of_range: int
    """Cosines further out: the inputs were not normalised."""
    non_finite: int
    """NaN or infinite cosines; each makes its row NaN."""


def _report(c: _c.Report) -> Report:
    return Report(*(getattr(c, name) for name in Report._fields))


class PointReport(NamedTuple):
    """What a call of a point loss saw."""

    loss: float
    """Reduced; with reduction="none" the sum."""
    elements: int
    truth_clamped: int
    """Truths outside [0, 1], of a loss that is defined on it only (AdaptiveWingLoss)."""
    non_finite: int
    """Elements whose loss is NaN or infinite."""


@dataclass(frozen=True, eq=False)
class LossAndGradient:
    loss: float
    gradient: NDArray[Any]
    """dJ/d cosines, B x C: `out` where it was given."""
    report: Report
    row_losses: Optional[NDArray[Any]] = None
    """B, weight_i L_i before any mean."""
    scale_gradient: Optional[NDArray[Any]] = None
    """B, dJ/ds_i."""
    margin_gradient: Optional[NDArray[Any]] = None
    """B, dJ/dm_i."""


@dataclass(frozen=True, eq=False)
class LossValue:
    loss: float
    report: Report
    row_losses: Optional[NDArray[Any]] = None
    """B, weight_i L_i before any mean."""
    saved: Optional[NDArray[np.float64]] = None
    """For loss_gradient: B x 7, opaque."""


@dataclass(frozen=True, eq=False)
class Gradients:
    gradient: NDArray[Any]
    """dJ/d cosines, B x C: `out` where it was given."""
    scale_gradient: Optional[NDArray[Any]] = None
    """B, dJ/ds_i."""
    margin_gradient: Optional[NDArray[Any]] = None
    """B, dJ/dm_i."""


@dataclass(frozen=True, eq=False)
class Logits:
    logits: NDArray[Any]
    """B x C: `out` where it was given."""
    report: Report


@dataclass(frozen=True, eq=False)
class PointLoss:
    loss: float
    gradient: Optional[NDArray[Any]]
    """dJ/d prediction, of its shape: `out` where it was given."""
    report: PointReport
    element_losses: Optional[NDArray[Any]] = None
    """weight L of each element, before any mean."""


# --- losses over a matrix --------------------------------------------------------------------------------------------------------


def loss_and_gradient(loss: Loss, cosines: ArrayLike, labels: ArrayLike, *, out: Optional[NDArray[Any]] = None, accumulate: bool = False,
                      weights: Optional[ArrayLike] = None, class_weights: Optional[ArrayLike] = None,
                      scales: Optional[ArrayLike] = None, margins: Optional[ArrayLike] = None,
                      scale: Optional[float] = None, rest: Union[None, float, ArrayLike] = None,
                      upstream: Union[float, ArrayLike] = 1.0, reduction: str = "mean", ignore_index: Optional[int] = None,
                      top_k: int = 5, threads: Optional[int] = None, row_losses: bool = False, scale_gradient: bool = False,
                      margin_gradient: bool = False) -> LossAndGradient:
    """Loss and d loss / d cosines in one pass.

    loss: a MarginSoftmax over cosines in [-1, 1], or a SoftmaxLoss over logits.
    cosines: B x C. labels: B, in [0, C) or ignore_index, which has no loss and no gradient.
    out: B x C, where the gradient goes: an array of its own, or `cosines` itself, the fastest form. accumulate: add to it (not in place).
    weights: B, >= 0. class_weights: C, >= 0: of each row, by its label.
    scales: B, the scale of each row in place of the loss's own. scale: one for all, such as an AdaCosScale's state.value.
    margins: B, the margin's number of each row (ArcMargin: radians; CosMargin: cosine). rest: the rest rule's number, one or B
    (CurricularRest: state.value).
    upstream: dJ/d loss, a number, or B of them: multiplies every gradient, not the loss.
    reduction: "mean" over the rows that are not ignored, "sum", "batch_mean" (sum / B), "weighted_mean" (sum / sum of weights), or
    "none": row_losses has one loss a row, and `loss` is their sum.
    row_losses, scale_gradient, margin_gradient: asks for these outputs, each of B elements.

    Raises ParameterError, ShapeError, StrideError, LabelError, AliasError, WrongTypeError, WrongMemoryError before anything is written.
    """
    policy = handle_of("loss_and_gradient", loss, "loss")
    batch = _Batch(cosines, labels, weights=weights, class_weights=class_weights, scales=scales, margins=margins, upstream=upstream,
                   scale=scale, rest=rest)
    options = _options(upstream=batch.upstream, ignore_index=ignore_index, reduction=reduction, accumulate=accumulate, top_k=top_k,
                       threads=threads)
    gradient = _gradient(out, accumulate, batch.cosines.shape, batch.cosines.dtype)
    rows = batch.row_output() if row_losses or reduction == "none" else None
    by_scale = batch.row_output() if scale_gradient else None
    by_margin = batch.row_output() if margin_gradient else None
    outputs = _c.Outputs(row_losses=_view(rows), scale_gradient=_view(by_scale), margin_gradient=_view(by_margin))
    workspace = batch.workspace(policy, batch.placement(gradient, accumulate), options)
    report = _c.Report()
    _c.loss_and_gradient(policy, byref(batch.c), _view(gradient), _address(workspace), workspace.size, byref(options), byref(outputs),
                         byref(report))
    return LossAndGradient(report.loss, gradient, _report(report), rows, by_scale, by_margin)


def loss_value(loss: Loss, cosines: ArrayLike, labels: ArrayLike, *, weights: Optional[ArrayLike] = None,
               class_weights: Optional[ArrayLike] = None, scales: Optional[ArrayLike] = None, margins: Optional[ArrayLike] = None,
               scale: Optional[float] = None, rest: Union[None, float, ArrayLike] = None, reduction: str = "mean",
               ignore_index: Optional[int] = None, top_k: int = 5, threads: Optional[int] = None, row_losses: bool = False,
               save: bool = False) -> LossValue:
    """The loss only: one read of the cosines. Arguments as of loss_and_gradient.

    save: fills `saved`, with which loss_gradient gives the gradient later.
    """
    policy = handle_of("loss_value", loss, "loss")
    batch = _Batch(cosines, labels, weights=weights, class_weights=class_weights, scales=scales, margins=margins, scale=scale, rest=rest)
    options = _options(ignore_index=ignore_index, reduction=reduction, top_k=top_k, threads=threads)
    rows = batch.row_output() if row_losses or reduction == "none" else None
    saved = np.empty((batch.rows, 7), np.float64) if save else None
    outputs = _c.Outputs(row_losses=_view(rows))
    if saved is not None:
        outputs.saved, outputs.saved_rows = _address(saved), batch.rows
    workspace = batch.workspace(policy, _c.NO_GRADIENT, options)
    report = _c.Report()
    _c.loss_value(policy, byref(batch.c), _address(workspace), workspace.size, byref(options), byref(outputs), byref(report))
    return LossValue(report.loss, _report(report), rows, saved)


def loss_gradient(loss: Loss, cosines: ArrayLike, labels: ArrayLike, saved: NDArray[np.float64], *,
                  out: Optional[NDArray[Any]] = None, accumulate: bool = False, weights: Optional[ArrayLike] = None,
                  class_weights: Optional[ArrayLike] = None, scales: Optional[ArrayLike] = None,
                  margins: Optional[ArrayLike] = None, scale: Optional[float] = None, rest: Union[None, float, ArrayLike] = None,
                  upstream: Union[float, ArrayLike] = 1.0, reduction: str = "mean", ignore_index: Optional[int] = None,
                  threads: Optional[int] = None, scale_gradient: bool = False, margin_gradient: bool = False) -> Gradients:
    """d loss / d cosines of a pass of loss_value(..., save=True): to rounding that of loss_and_gradient.

    Everything but upstream, out and accumulate is as it was given to loss_value.
    """
    policy = handle_of("loss_gradient", loss, "loss")
    batch = _Batch(cosines, labels, weights=weights, class_weights=class_weights, scales=scales, margins=margins, upstream=upstream,
                   scale=scale, rest=rest)
    if not (isinstance(saved, np.ndarray) and saved.dtype == np.float64 and saved.ndim == 2 and saved.shape[1] == 7
            and saved.flags.c_contiguous and saved.flags.aligned):
        raise ParameterError("saved: it is what loss_value(..., save=True) gives")
    options = _options(upstream=batch.upstream, ignore_index=ignore_index, reduction=reduction, accumulate=accumulate, threads=threads)
    gradient = _gradient(out, accumulate, batch.cosines.shape, batch.cosines.dtype)
    by_scale = batch.row_output() if scale_gradient else None
    by_margin = batch.row_output() if margin_gradient else None
    outputs = _c.Outputs(scale_gradient=_view(by_scale), margin_gradient=_view(by_margin))
    _c.loss_gradient(policy, byref(batch.c), _address(saved), saved.shape[0], _view(gradient), byref(options), byref(outputs))
    return Gradients(gradient, by_scale, by_margin)


def logits(loss: Loss, cosines: ArrayLike, labels: ArrayLike, *, out: Optional[NDArray[Any]] = None,
           scales: Optional[ArrayLike] = None, margins: Optional[ArrayLike] = None, scale: Optional[float] = None,
           rest: Union[None, float, ArrayLike] = None, ignore_index: Optional[int] = None, top_k: int = 5,
           threads: Optional[int] = None) -> Logits:
    """The margin layer alone, for a softmax that lives elsewhere: s margin(c_y) and s rest(c_j), B x C. Of a MarginSoftmax.

    out: B x C, an array of its own or `cosines` itself. Ignored rows have no target. Other arguments as of loss_and_gradient.
    """
    policy = handle_of("logits", loss, "loss")
    batch = _Batch(cosines, labels, scales=scales, margins=margins, scale=scale, rest=rest)
    options = _options(ignore_index=ignore_index, top_k=top_k, threads=threads)
    to = _gradient(out, False, batch.cosines.shape, batch.cosines.dtype)
    workspace = batch.workspace(policy, _c.NO_GRADIENT, options)
    report = _c.Report()
    _c.logits(policy, byref(batch.c), _view(to), _address(workspace), workspace.size, byref(options), byref(report))
    return Logits(to, _report(report))


def logits_backward(loss: Loss, cosines: ArrayLike, labels: ArrayLike, logits_gradient: ArrayLike, *,
                    out: Optional[NDArray[Any]] = None, accumulate: bool = False, scales: Optional[ArrayLike] = None,
                    margins: Optional[ArrayLike] = None, scale: Optional[float] = None, rest: Union[None, float, ArrayLike] = None,
                    upstream: Union[float, ArrayLike] = 1.0, ignore_index: Optional[int] = None, threads: Optional[int] = None,
                    scale_gradient: bool = False) -> Gradients:
    """d loss / d cosines from d loss / d logits, B x C, of `logits` with the same arguments. Of a MarginSoftmax.

    out: B x C, an array of its own, or logits_gradient itself.
    """
    policy = handle_of("logits_backward", loss, "loss")
    batch = _Batch(cosines, labels, scales=scales, margins=margins, upstream=upstream, scale=scale, rest=rest)
    options = _options(upstream=batch.upstream, ignore_index=ignore_index, accumulate=accumulate, threads=threads)
    dlogits = _input("logits_gradient", logits_gradient, 2, _NUMBERS, batch.cosines.dtype)
    gradient = _gradient(out, accumulate, batch.cosines.shape, batch.cosines.dtype)
    by_scale = batch.row_output() if scale_gradient else None
    _c.logits_backward(policy, byref(batch.c), _view(dlogits), _view(gradient), byref(options), _view(by_scale))
    return Gradients(gradient, by_scale)


# --- point losses ----------------------------------------------------------------------------------------------------------------


def _as_matrix(a: NDArray[Any]) -> NDArray[Any]:
    """The same memory in two dimensions, rows by the last one; a vector is one row."""
    return a if a.ndim == 2 else a.reshape(int(np.prod(a.shape[:-1])), a.shape[-1])


def _points(name: str, x: Any, shape: Optional[Tuple[int, ...]], dtype: Any) -> NDArray[Any]:
    a = _typed(name, x, _NUMBERS, dtype)
    if a.ndim == 0 or (shape is not None and a.shape != shape):
        raise ShapeError(f"{name}: of shape {a.shape}, expected {shape or 'an array'}")
    return a if _in_rows(a) else np.array(a, order="C")


def point_loss(loss: Loss, prediction: ArrayLike, truth: ArrayLike, *, gradient: bool = True, out: Optional[NDArray[Any]] = None,
               accumulate: bool = False, weights: Optional[ArrayLike] = None, upstream: float = 1.0, reduction: str = "mean",
               threads: Optional[int] = None, element_losses: bool = False) -> PointLoss:
    """The loss of every (prediction, truth), and d loss / d prediction.

    loss: WingLoss, AdaptiveWingLoss, SmoothL1Loss, HuberLoss, SigmoidFocalLoss.
    prediction, truth, weights (>= 0), out: of one shape, any number of dimensions from 1.
    gradient: False: the loss only. out: where the gradient goes, such as `prediction` itself. accumulate: add to it (not in place).
    upstream: multiplies the gradient, not the loss.
    reduction: "mean" over elements, "sum", "batch_mean" (sum / rows, all dimensions but the last; of a vector the sum),
    "weighted_mean" (sum / sum of weights), or "none": element_losses has one loss an element, and `loss` is their sum.
    """
    policy = handle_of("point_loss", loss, "point loss")
    p = _points("prediction", prediction, None, np.float64)
    t = _points("truth", truth, p.shape, p.dtype)
    w = None if weights is None else _points("weights", weights, p.shape, p.dtype)
    if not gradient and (out is not None or accumulate):
        raise ParameterError("gradient = False, but out or accumulate asks for one")
    g = _gradient(out, accumulate, p.shape, p.dtype) if gradient else None
    losses = np.empty(p.shape, p.dtype) if element_losses or reduction == "none" else None
    options = _options(upstream=number("upstream", upstream), reduction=reduction, accumulate=accumulate, threads=threads)
    matrices = [None if a is None else _as_matrix(a) for a in (p, t, g, w, losses)]
    rows, cols = _as_matrix(p).shape
    workspace = _workspace(policy, p.dtype, rows, cols, _c.OUT_OF_PLACE, options)
    report = _c.Report()
    _c.point_loss(policy, *map(_view, matrices), _address(workspace), workspace.size, byref(options), byref(report))
    return PointLoss(report.loss, g, PointReport(report.loss, report.rows, report.clamped, report.non_finite), losses)


def adaptive_wing_weights(truth: ArrayLike, weight: float = 10.0, threshold: float = 0.2) -> NDArray[Any]:
    """Weights for AdaptiveWingLoss: 1 + weight near a truth >= threshold (3 x 3 around it), else 1.

    truth: heatmaps (..., rows, columns). weight >= 0. Returns an array of its shape.
    """
    a = _typed("truth", truth, _NUMBERS, np.float64)
    if a.ndim < 2:
        raise ShapeError(f"truth: of shape {a.shape}, expected (..., rows, columns)")
    result = np.empty(a.shape, a.dtype)
    for index in np.ndindex(a.shape[:-2]):
        heat = _input("truth", a[index], 2)
        _c.adaptive_wing_weights(_view(heat), _view(result[index]), number("weight", weight), number("threshold", threshold))
    return result


# --- the head --------------------------------------------------------------------------------------------------------------------


def normalize(x: ArrayLike, *, out: Optional[NDArray[Any]] = None, threads: Optional[int] = None) -> Tuple[NDArray[Any], NDArray[Any]]:
    """Rows of length one and their norms: (y, norms), y_i = x_i / |x_i|. A row of zeros stays one.

    x: B x D. out: B x D, such as x itself.
    """
    a = _input("x", x, 2)
    y = _gradient(out, False, a.shape, a.dtype)
    norms = np.empty(a.shape[0], a.dtype)
    _c.normalize_rows(_view(a), _view(y), _view(norms), byref(_options(threads=threads)))
    return y, norms


def normalize_backward(y: ArrayLike, norms: ArrayLike, dy: ArrayLike, *, dnorms: Optional[ArrayLike] = None,
                       out: Optional[NDArray[Any]] = None, accumulate: bool = False, threads: Optional[int] = None) -> NDArray[Any]:
    """dL/dx from dL/dy, B x D, and from dL/d|x_i| (dnorms, B) where the norm was used. y, norms: as normalize gave them.

    out: B x D, an array of its own or dy itself. accumulate: add to it.
    """
    unit = _input("y", y, 2)
    n, d = _input("norms", norms, 1, _NUMBERS, unit.dtype), _input("dy", dy, 2, _NUMBERS, unit.dtype)
    by_norm = None if dnorms is None else _input("dnorms", dnorms, 1, _NUMBERS, unit.dtype)
    dx = _gradient(out, accumulate, unit.shape, unit.dtype)
    _c.normalize_rows_backward(_view(unit), _view(n), _view(d), _view(dx), _view(by_norm),
                               byref(_options(accumulate=accumulate, threads=threads)))
    return dx


@dataclass(frozen=True, eq=False)
class CosineLayer:
    """Cosines, and what their backward needs."""

    cosines: NDArray[Any]
    """B x C."""
    unit_x: NDArray[Any]
    """B x D, the embeddings with length one."""
    unit_w: NDArray[Any]
    """C x D, the centres with length one."""
    norms_x: NDArray[Any]
    """B."""
    norms_w: NDArray[Any]
    """C."""


def cosine_layer(x: ArrayLike, w: ArrayLike, *, out: Optional[NDArray[Any]] = None, threads: Optional[int] = None) -> CosineLayer:
    """Cosines, B x C, of embeddings x, B x D, with class centres w, C x D, one a row. out: B x C, for the cosines."""
    a = _input("x", x, 2)
    b = _input("w", w, 2, _NUMBERS, a.dtype)
    cosines = _gradient(out, False, (a.shape[0], b.shape[0]), a.dtype)
    layer = CosineLayer(cosines, np.empty(a.shape, a.dtype), np.empty(b.shape, a.dtype), np.empty(a.shape[0], a.dtype),
                        np.empty(b.shape[0], a.dtype))
    _c.cosine_layer(_view(a), _view(b), byref(_state_of(layer)), _view(cosines), byref(_options(threads=threads)))
    return layer


def _state_of(layer: CosineLayer) -> _c.CosineState:
    return _c.CosineState(unit_x=_view(layer.unit_x), unit_w=_view(layer.unit_w), norms_x=_view(layer.norms_x),
                          norms_w=_view(layer.norms_w))


def cosine_layer_backward(layer: CosineLayer, dcosines: ArrayLike, *, dnorms_x: Optional[ArrayLike] = None,
                          dx: Optional[NDArray[Any]] = None, dw: Optional[NDArray[Any]] = None, accumulate: bool = False,
                          threads: Optional[int] = None) -> Tuple[NDArray[Any], NDArray[Any]]:
    """(dL/dx, B x D, dL/dw, C x D) from dL/dcosines, B x C, through both normalisations.

    dnorms_x: B, dL/d|x_i| where the norm was used as a scale. dx, dw: where they go. accumulate: add to both.
    """
    if not isinstance(layer, CosineLayer):
        raise WrongTypeError("layer: it is what cosine_layer gives")
    rows, classes, width = layer.norms_x.size, layer.norms_w.size, layer.unit_x.shape[1]
    dtype = layer.unit_x.dtype
    dc = _input("dcosines", dcosines, 2, _NUMBERS, dtype)
    by_norm = None if dnorms_x is None else _input("dnorms_x", dnorms_x, 1, _NUMBERS, dtype)
    if accumulate and (dx is None or dw is None):
        raise ParameterError("accumulate adds to arrays: give them as dx and dw")
    to_x = np.empty((rows, width), dtype) if dx is None else _output("dx", dx, 2)
    to_w = np.empty((classes, width), dtype) if dw is None else _output("dw", dw, 2)
    size = c_size_t()
    _c.cosine_layer_workspace_bytes(_NUMBERS[dtype], rows, classes, width, int(bool(accumulate)), byref(size))
    workspace = np.empty(size.value, np.uint8)
    _c.cosine_layer_backward(byref(_state_of(layer)), _view(dc), _view(to_x), _view(to_w), _view(by_norm), _address(workspace),
                             workspace.size, byref(_options(accumulate=accumulate, threads=threads)))
    return to_x, to_w


# --- what follows training -------------------------------------------------------------------------------------------------------


def advance(policy: Loss, state: State, cosines: ArrayLike, labels: ArrayLike, *, ignore_index: Optional[int] = None,
            threads: Optional[int] = None) -> State:
    """The state after a batch of cosines, B x C, of an AdaCosScale or a CurricularRest; losskit.start gives the first.

    Once a training step, before the step's loss, which then takes scale=state.value, or rest=state.value.
    """
    handle = handle_of("advance", policy, "scale", "rest rule")
    batch = _Batch(cosines, labels)
    options = _options(ignore_index=ignore_index, threads=threads)
    workspace = batch.workspace(handle, _c.NO_GRADIENT, options)
    c = _c.State(value=state.value, steps=state.steps, kept=state.kept)
    _c.advance(handle, byref(c), byref(batch.c), _address(workspace), workspace.size, byref(options))
    return State(c.value, c.steps, c.kept, c.log_mean_rest, c.median_target_angle)


def row_scales(policy: Loss, norms: ArrayLike) -> Tuple[NDArray[Any], NDArray[Any]]:
    """(s(n_i), ds/dn_i) of norms n_i, B, >= 0: of a FeatureNorm. The scales go into `scales=`."""
    n = _input("norms", norms, 1)
    scales, slopes = np.empty(n.shape, n.dtype), np.empty(n.shape, n.dtype)
    _c.row_scales(handle_of("row_scales", policy, "scale"), _view(n), _view(scales), _view(slopes))
    return scales, slopes


# --- recognition -----------------------------------------------------------------------------------------------------------------


def _of_two(function: Any, a: ArrayLike, b: ArrayLike) -> float:
    x = _input("a", a, 1)
    y = _input("b", b, 1, _NUMBERS, x.dtype)
    result = c_double()
    function(_view(x), _view(y), byref(result))
    return result.value


def cosine_similarity(a: ArrayLike, b: ArrayLike) -> float:
    """a.b / (|a| |b|), in [-1, 1], of two vectors of one size. 0 where one has no direction."""
    return _of_two(_c.cosine_similarity, a, b)


def angle_between(a: ArrayLike, b: ArrayLike) -> float:
    """The angle of two vectors of one size in radians, [0, pi], to full precision at both ends."""
    return _of_two(_c.angle_between, a, b)


def squared_distance(a: ArrayLike, b: ArrayLike) -> float:
    """The sum of (a_k - b_k)^2 of two vectors of one size; 2 - 2 cosine of unit vectors."""
    return _of_two(_c.squared_distance, a, b)


_ROC_POINT = np.dtype([("threshold", np.float64), ("true_accepts", np.int64), ("false_accepts", np.int64)])


def roc(scores: ArrayLike, same: ArrayLike) -> NDArray[Any]:
    """The exact ROC curve of pairs: vertices with the fields threshold, true_accepts, false_accepts, strictest threshold first.

    scores: n, finite; higher is more alike. same: n, bool or integers: 1 = same person, 0 = not; at least one pair of each.
    A threshold accepts the pairs with score >= threshold.
    """
    s = _input("scores", scores, 1)
    truth = _input("same", same, 1, _FLAGS, np.int64)
    points, count = np.empty(s.size + 1, _ROC_POINT), c_int64()
    _c.roc(_view(s), _view(truth), _address(points), points.size, byref(count))
    return points[: count.value].copy()


def _verified(curve: NDArray[Any], far: float) -> _c.Verification:
    if not (isinstance(curve, np.ndarray) and curve.dtype == _ROC_POINT and curve.ndim == 1):
        raise ParameterError("curve: it is what roc gives")
    points, result = np.ascontiguousarray(curve), _c.Verification()
    _c.verify(_address(points), points.size, number("far", far), byref(result))
    return result


def auc(curve: NDArray[Any]) -> float:
    """The area under a curve of roc: the probability that a pair of the same person scores above one that is not."""
    return _verified(curve, 0.0).auc


class EqualErrorRate(NamedTuple):
    rate: float
    threshold: float
    """The strictest with FAR >= FRR."""


def equal_error_rate(curve: NDArray[Any]) -> EqualErrorRate:
    """Where the false accept rate is the false reject rate, on a curve of roc."""
    result = _verified(curve, 0.0)
    return EqualErrorRate(result.equal_error_rate, result.equal_error_threshold)


class TarAtFar(NamedTuple):
    tar: float
    """The true accept rate there."""
    far: float
    """What was reached, <= the target."""
    threshold: float
    """inf where only accepting nothing stays below the target."""
    resolution_insufficient: bool
    """Too few negatives to tell the target from 0."""


def tar_at_far(curve: NDArray[Any], far: float) -> TarAtFar:
    """The most lenient threshold with FAR <= far, in [0, 1], on a curve of roc."""
    result = _verified(curve, far)
    return TarAtFar(result.true_accept_rate, result.false_accept_rate, result.threshold, bool(result.resolution_insufficient))


class VerificationAccuracy(NamedTuple):
    mean: float
    standard_deviation: float


def verification_accuracy(scores: ArrayLike, same: ArrayLike, folds: int = 10,
                          fold_of_pair: Optional[ArrayLike] = None) -> VerificationAccuracy:
    """Accuracy over folds of neighbouring pairs, or over those given (n, in [0, folds)), each judged with the threshold that is best on
    all others: the protocol of LFW. scores, same: as of roc."""
    s = _input("scores", scores, 1)
    truth = _input("same", same, 1, _FLAGS, np.int64)
    fold = None if fold_of_pair is None else _input("fold_of_pair", fold_of_pair, 1, _LABELS, np.int64)
    workspace, mean, deviation = np.empty(24 * s.size, np.uint8), c_double(), c_double()
    _c.verification_accuracy(_view(s), _view(truth), whole("folds", folds), _view(fold), _address(workspace), workspace.size, byref(mean),
                             byref(deviation))
    return VerificationAccuracy(mean.value, deviation.value)
