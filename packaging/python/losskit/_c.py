"""losskit's C library (include/losskit/c/losskit.h) through ctypes: structs, status codes as exceptions, policies from text. Private."""
from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

# --- errors ----------------------------------------------------------------------------------------------------------------------


class Error(ValueError):
    """What losskit refuses: the text names the argument, its value and what it may be. Nothing was written."""

    __module__ = "losskit"


class ParameterError(Error):
    """A number outside its range, or NaN; a text that names no policy."""

    __module__ = "losskit"


class ShapeError(Error):
    """Sizes or dimensions that disagree."""

    __module__ = "losskit"


class StrideError(Error):
    """An output whose rows are not contiguous."""

    __module__ = "losskit"


class LabelError(Error):
    """A label outside [0, C) that is not the ignored one."""

    __module__ = "losskit"


class AliasError(Error):
    """Memory that overlaps where it must not."""

    __module__ = "losskit"


class WrongMemoryError(Error):
    """Memory that is not the host's, is not aligned, or is read-only and would be written. (losskit::MemoryError in C++.)"""

    __module__ = "losskit"


class WorkspaceError(Error):
    """Scratch memory that is too small."""

    __module__ = "losskit"


class WrongTypeError(Error, TypeError):
    """An array of a type that the argument cannot have, or a policy of another kind than the call is for."""

    __module__ = "losskit"


class VersionError(Error):
    """A library that is not of this package's version."""

    __module__ = "losskit"


class InternalError(RuntimeError):
    """A fault of losskit's own."""

    __module__ = "losskit"


errors = (Error, ParameterError, ShapeError, StrideError, LabelError, AliasError, WrongMemoryError, WorkspaceError, WrongTypeError,
          VersionError, InternalError)
# losskit_status, from 1 on
_error_of_status = (ParameterError, ShapeError, StrideError, LabelError, AliasError, WrongMemoryError, WorkspaceError,
                    WrongTypeError, VersionError, MemoryError, InternalError)

# --- structs, as in losskit.h ----------------------------------------------------------------------------------------------------

F32, F64, I32, I64, U8 = 1, 2, 3, 4, 5
IN_PLACE, OUT_OF_PLACE, ACCUMULATED, NO_GRADIENT = 0, 1, 2, 3
NO_LABEL = -(2**63)
REDUCTIONS = {"mean": 0, "sum": 1, "none": 2, "batch_mean": 3, "weighted_mean": 4}


class _Sized(ctypes.Structure):
    """A struct that begins with its size."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **fields)


class View(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("type", c_int32), ("rows", c_int64), ("cols", c_int64), ("stride", c_int64)]


class Batch(_Sized):
    _fields_ = [("struct_size", c_size_t)] + [
        (name, View)
        for name in ("cosines", "labels", "weights", "class_weights", "scales", "margins", "upstream", "scale", "rest")
    ]


class Options(_Sized):
    _fields_ = [("struct_size", c_size_t), ("upstream", c_double), ("ignore_label", c_int64), ("reduction", c_int32),
                ("write", c_int32), ("top_k", c_int32), ("threads", c_int32), ("parallel_for", c_void_p),
                ("parallel_context", c_void_p)]

    def __init__(self, **fields):
        super().__init__(**{"upstream": 1.0, "ignore_label": NO_LABEL, "top_k": 5, **fields})


class Outputs(_Sized):
    _fields_ = [("struct_size", c_size_t), ("row_losses", View), ("scale_gradient", View), ("margin_gradient", View),
                ("saved", c_void_p), ("saved_rows", c_int64)]


class Report(_Sized):
    _fields_ = [("struct_size", c_size_t), ("loss", c_double), ("mean_target_angle", c_double), ("rows", c_int64), ("valid", c_int64),
                ("top1", c_int64), ("topk", c_int64), ("hard_negatives", c_int64), ("clamped", c_int64), ("out_of_range", c_int64),
                ("non_finite", c_int64)]


class CosineState(_Sized):
    _fields_ = [("struct_size", c_size_t), ("unit_x", View), ("unit_w", View), ("norms_x", View), ("norms_w", View)]


class State(_Sized):
    _fields_ = [("struct_size", c_size_t), ("value", c_double), ("steps", c_int64), ("kept", c_int64), ("log_mean_rest", c_double),
                ("median_target_angle", c_double)]


class Verification(_Sized):
    _fields_ = [("struct_size", c_size_t), ("auc", c_double), ("equal_error_rate", c_double), ("equal_error_threshold", c_double),
                ("true_accept_rate", c_double), ("false_accept_rate", c_double), ("threshold", c_double),
                ("resolution_insufficient", c_int32)]


class ParameterInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("unit", c_char_p), ("standard", c_double), ("low", c_double), ("high", c_double),
                ("has_low", c_int32), ("has_high", c_int32), ("whole", c_int32)]


class ChoiceInfo(ctypes.Structure):
    pass


class PolicyInfo(ctypes.Structure):
    _fields_ = [("kind", c_char_p), ("name", c_char_p), ("parameters", POINTER(ParameterInfo)), ("parameter_count", c_int64),
                ("choices", POINTER(ChoiceInfo)), ("choice_count", c_int64)]


ChoiceInfo._fields_ = [("name", c_char_p), ("options", POINTER(PolicyInfo)), ("option_count", c_int64)]

# --- functions -------------------------------------------------------------------------------------------------------------------

# CDLL, not PyDLL: other Python threads run while a call does.
library_path = Path(__file__).parent / "lib" / "liblosskit.so"
_library = ctypes.CDLL(str(library_path))


def _checked(status: int, function, arguments) -> None:
    if status:
        raise _error_of_status[status - 1](last_error().decode(errors="replace"))


def _declare(name: str, *arguments, result=None):
    function = getattr(_library, "losskit_" + name)
    function.argtypes = arguments
    if result is None:
        function.restype, function.errcheck = ctypes.c_int, _checked
    else:
        function.restype = result
    return function


_policy, _p, _count, _workspace = c_void_p, c_void_p, POINTER(c_int64), (c_void_p, c_size_t)
_options, _outputs, _report, _batch = POINTER(Options), POINTER(Outputs), POINTER(Report), POINTER(Batch)

last_error = _declare("last_error", result=c_char_p)
version = _declare("version", result=c_char_p)
isa = _declare("isa", result=c_char_p)

_make = _declare("make", c_char_p, POINTER(c_void_p))
free = _declare("free", _policy, result=c_void_p)
kind = _declare("kind", _policy, result=c_char_p)
catalogue = _declare("catalogue", _count, result=POINTER(PolicyInfo))

workspace_bytes = _declare("workspace_bytes", _policy, c_int32, c_int64, c_int64, c_int32, _options, POINTER(c_size_t))
loss_and_gradient = _declare("loss_and_gradient", _policy, _batch, View, *_workspace, _options, _outputs, _report)
loss_value = _declare("loss_value", _policy, _batch, *_workspace, _options, _outputs, _report)
loss_gradient = _declare("loss_gradient", _policy, _batch, _p, c_int64, View, _options, _outputs)
logits = _declare("logits", _policy, _batch, View, *_workspace, _options, _report)
logits_backward = _declare("logits_backward", _policy, _batch, View, View, _options, View)

point_loss = _declare("point_loss", _policy, View, View, View, View, View, *_workspace, _options, _report)
adaptive_wing_weights = _declare("adaptive_wing_weights", View, View, c_double, c_double)

normalize_rows = _declare("normalize_rows", View, View, View, _options)
normalize_rows_backward = _declare("normalize_rows_backward", View, View, View, View, View, _options)
cosine_layer = _declare("cosine_layer", View, View, POINTER(CosineState), View, _options)
cosine_layer_workspace_bytes = _declare("cosine_layer_workspace_bytes", c_int32, c_int64, c_int64, c_int64, c_int32, POINTER(c_size_t))
cosine_layer_backward = _declare("cosine_layer_backward", POINTER(CosineState), View, View, View, View, *_workspace, _options)

start = _declare("start", _policy, POINTER(State))
advance = _declare("advance", _policy, POINTER(State), _batch, *_workspace, _options)
row_scales = _declare("row_scales", _policy, View, View, View)
schedule = _declare("schedule", _policy, c_int64, POINTER(c_double))

cosine_similarity = _declare("cosine_similarity", View, View, POINTER(c_double))
angle_between = _declare("angle_between", View, View, POINTER(c_double))
squared_distance = _declare("squared_distance", View, View, POINTER(c_double))
suggest_scale = _declare("suggest_scale", c_int64, c_double, c_double, POINTER(c_double))
roc = _declare("roc", View, View, _p, c_int64, _count)
verify = _declare("verify", _p, c_int64, c_double, POINTER(Verification))
verification_accuracy = _declare("verification_accuracy", View, View, c_int64, View, *_workspace, POINTER(c_double), POINTER(c_double))


class Handle:
    """A losskit_policy, freed with its last reference."""

    __slots__ = ("pointer",)

    def __init__(self, text: str):
        self.pointer = None
        pointer = c_void_p()
        _make(text.encode(), byref(pointer))
        self.pointer = pointer.value

    def __del__(self, free=free):
        if self.pointer:
            free(self.pointer)
