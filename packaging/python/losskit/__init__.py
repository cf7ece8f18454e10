"""Loss functions for recognition: margin softmax and kin, loss and analytic gradient in one call.

    import losskit
    import losskit.numpy as lk

    loss = losskit.MarginSoftmax(losskit.ArcMargin(m=0.5), scale=64)      # ArcFace
    result = lk.loss_and_gradient(loss, cosines, labels)                  # result.loss, result.gradient, result.report

This module has the policies, made from the library's catalogue, and what needs no array; losskit.numpy the calls over arrays.
Errors are ValueErrors: losskit.Error and its kinds.
"""
from pathlib import Path as _Path

from losskit import _c, _policy
from losskit._c import (AliasError, Error, InternalError, LabelError, ParameterError, ShapeError, StrideError, VersionError,
                        WorkspaceError, WrongMemoryError, WrongTypeError)
from losskit._policy import (Choice, Parameter, Policy, PolicyInfo, State, catalogue, policy, schedule_value, start, suggest_scale)

__version__ = _c.version().decode()


def isa() -> str:
    """The set of instructions in use: "x86-64-v4", "x86-64-v3" or "baseline". The environment variable LOSSKIT_ISA, read at the first
    call of a loss, names another."""
    return _c.isa().decode()


def include_dir() -> str:
    """The folder of the C++ and C headers, for a compiler's -I."""
    return str(_Path(__file__).parent / "include")


def cmake_dir() -> str:
    """The folder of losskitConfig.cmake: cmake -D losskit_DIR=$(python -c "import losskit; print(losskit.cmake_dir())")."""
    return str(_Path(__file__).parent / "share" / "cmake" / "losskit")


globals().update(_policy.kinds, **_policy.classes)
__all__ = [
    *_policy.classes, *_policy.kinds, *(error.__name__ for error in _c.errors),
    "Choice", "Parameter", "Policy", "PolicyInfo", "State",
    "catalogue", "cmake_dir", "include_dir", "isa", "policy", "schedule_value", "start", "suggest_scale",
]
