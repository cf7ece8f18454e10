# Made by packaging/python/tests/stubs.py from the library's catalogue; a test compares.

from losskit._c import AliasError as AliasError
from losskit._c import Error as Error
from losskit._c import InternalError as InternalError
from losskit._c import LabelError as LabelError
from losskit._c import ParameterError as ParameterError
from losskit._c import ShapeError as ShapeError
from losskit._c import StrideError as StrideError
from losskit._c import VersionError as VersionError
from losskit._c import WorkspaceError as WorkspaceError
from losskit._c import WrongMemoryError as WrongMemoryError
from losskit._c import WrongTypeError as WrongTypeError
from losskit._policy import Choice as Choice
from losskit._policy import Parameter as Parameter
from losskit._policy import Policy as Policy
from losskit._policy import PolicyInfo as PolicyInfo
from losskit._policy import State as State
from losskit._policy import catalogue as catalogue
from losskit._policy import policy as policy
from losskit._policy import schedule_value as schedule_value
from losskit._policy import start as start
from losskit._policy import suggest_scale as suggest_scale

def isa() -> str:
    """The set of instructions in use: "x86-64-v4", "x86-64-v3" or "baseline". The environment variable LOSSKIT_ISA, read at the first
call of a loss, names another."""

def include_dir() -> str:
    """The folder of the C++ and C headers, for a compiler's -I."""

def cmake_dir() -> str:
    """The folder of losskitConfig.cmake: cmake -D losskit_DIR=$(python -c "import losskit; print(losskit.cmake_dir())")."""

__version__: str

class Loss(Policy):
    """A policy of the kind 'loss'."""

class Margin(Policy):
    """A policy of the kind 'margin'."""

class RestRule(Policy):
    """A policy of the kind 'rest rule'."""

class Objective(Policy):
    """A policy of the kind 'objective'."""

class Scale(Policy):
    """A policy of the kind 'scale'."""

class PointLoss(Policy):
    """A policy of the kind 'point loss'."""

class Schedule(Policy):
    """A policy of the kind 'schedule'."""

class Rule(Policy):
    """A policy of the kind 'rule'."""

class Gradient(Policy):
    """A policy of the kind 'gradient'."""

class Weight(Policy):
    """A policy of the kind 'weight'."""

class NoMargin(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class CosMargin(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir().

    m: cosine, in (-inf, inf)
    rule: Monotone | NoRule | LegacyLinear | ContinuousLinear | Clamp | FallToCosine | Easy
    gradient: Exact | Detached"""
    m: float
    rule: Policy
    gradient: Policy
    def __init__(self, m: float = 0.35, *, rule: Policy | str = 'Monotone', gradient: Policy | str = 'Exact') -> None: ...

class ArcMargin(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir().

    m: rad, in (-3.14159, 3.14159)
    rule: Monotone | NoRule | LegacyLinear | ContinuousLinear | Clamp | FallToCosine | Easy
    gradient: Exact | Detached"""
    m: float
    rule: Policy
    gradient: Policy
    def __init__(self, m: float = 0.5, *, rule: Policy | str = 'Monotone', gradient: Policy | str = 'Exact') -> None: ...

class SphereMargin(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir().

    m: in (0, 16]
    rule: Monotone | NoRule | LegacyLinear | ContinuousLinear | Clamp | FallToCosine | Easy
    gradient: Exact | Detached"""
    m: float
    rule: Policy
    gradient: Policy
    def __init__(self, m: float = 4.0, *, rule: Policy | str = 'Monotone', gradient: Policy | str = 'Exact') -> None: ...

class CombinedMargin(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir().

    m1: in (0, 16]
    m2: rad, in (-3.14159, 3.14159)
    m3: cosine, in (-inf, inf)
    rule: Monotone | NoRule | LegacyLinear | ContinuousLinear | Clamp | FallToCosine | Easy
    gradient: Exact | Detached"""
    m1: float
    m2: float
    m3: float
    rule: Policy
    gradient: Policy
    def __init__(self, m1: float = 1.0, m2: float = 0.3, m3: float = 0.2, *, rule: Policy | str = 'Monotone', gradient: Policy | str = 'Exact') -> None: ...

class Annealed(Margin):
    """A margin. Its formula, kinks and source are in its header under losskit.include_dir().

    lambda_: in [0, inf)
    margin: SphereMargin | NoMargin | CosMargin | ArcMargin | CombinedMargin"""
    lambda_: float
    margin: Policy
    def __init__(self, lambda_: float = 5.0, *, margin: Policy | str = 'SphereMargin') -> None: ...

class PlainRest(RestRule):
    """A rest rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class HardNegatives(RestRule):
    """A rest rule. Its formula, kinks and source are in its header under losskit.include_dir().

    t: cosine, in [0, inf)
    weight: Adaptive | Fixed"""
    t: float
    weight: Policy
    def __init__(self, t: float = 0.2, *, weight: Policy | str = 'Adaptive') -> None: ...

class CurricularRest(RestRule):
    """A rest rule. Its formula, kinks and source are in its header under losskit.include_dir().

    t: cosine, in [-1, 1]
    momentum: in [0, 1]"""
    t: float
    momentum: float
    def __init__(self, t: float = 0.0, momentum: float = 0.01) -> None: ...

class CrossEntropy(Objective):
    """A objective. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class FocalLoss(Objective):
    """A objective. Its formula, kinks and source are in its header under losskit.include_dir().

    gamma: in [0, inf)
    alpha: in (0, inf)"""
    gamma: float
    alpha: float
    def __init__(self, gamma: float = 2.0, alpha: float = 1.0) -> None: ...

class LabelSmoothing(Objective):
    """A objective. Its formula, kinks and source are in its header under losskit.include_dir().

    epsilon: in [0, 1]"""
    epsilon: float
    def __init__(self, epsilon: float = 0.1) -> None: ...

class FixedScale(Scale):
    """A scale. Its formula, kinks and source are in its header under losskit.include_dir().

    s: in (0, 1e+06]"""
    s: float
    def __init__(self, s: float = 64.0) -> None: ...

class FeatureNorm(Scale):
    """A scale. Its formula, kinks and source are in its header under losskit.include_dir().

    low: in [0, inf]
    high: in [0, inf]
    factor: in (0, inf)"""
    low: float
    high: float
    factor: float
    def __init__(self, low: float = 0.0, high: float = ..., factor: float = 1.0) -> None: ...

class AdaCosScale(Scale):
    """A scale. Its formula, kinks and source are in its header under losskit.include_dir().

    classes: a whole number in [3, 9.0072e+15]
    floor: in [0, 1e+06]
    ceiling: in [0, 1e+06]"""
    classes: int
    floor: float
    ceiling: float
    def __init__(self, classes: int = 1000, floor: float = 0.0, ceiling: float = 1000000.0) -> None: ...

class WingLoss(PointLoss):
    """A point loss. Its formula, kinks and source are in its header under losskit.include_dir().

    w: coordinate, in [1e-09, 1e+09]
    eps: coordinate, in [1e-09, 1e+09]"""
    w: float
    eps: float
    def __init__(self, w: float = 10.0, eps: float = 2.0) -> None: ...

class AdaptiveWingLoss(PointLoss):
    """A point loss. Its formula, kinks and source are in its header under losskit.include_dir().

    alpha: in (2, 1000]
    omega: in [1e-09, 1e+09]
    eps: heat, in [1e-09, 1e+09]
    theta: heat, in [1e-09, 1e+09]"""
    alpha: float
    omega: float
    eps: float
    theta: float
    def __init__(self, alpha: float = 2.1, omega: float = 14.0, eps: float = 1.0, theta: float = 0.5) -> None: ...

class SmoothL1Loss(PointLoss):
    """A point loss. Its formula, kinks and source are in its header under losskit.include_dir().

    sigma: 1/sqrt(coordinate), in [1e-09, 1e+09]"""
    sigma: float
    def __init__(self, sigma: float = 1.0) -> None: ...

class HuberLoss(PointLoss):
    """A point loss. Its formula, kinks and source are in its header under losskit.include_dir().

    delta: coordinate, in [1e-09, 1e+09]"""
    delta: float
    def __init__(self, delta: float = 1.0) -> None: ...

class SigmoidFocalLoss(PointLoss):
    """A point loss. Its formula, kinks and source are in its header under losskit.include_dir().

    gamma: in [0, 1000]
    alpha: in [-1, 1]"""
    gamma: float
    alpha: float
    def __init__(self, gamma: float = 2.0, alpha: float = 0.25) -> None: ...

class LambdaSchedule(Schedule):
    """A schedule. Its formula, kinks and source are in its header under losskit.include_dir().

    base: in [0, inf)
    gamma: 1/step, in [0, inf)
    power: in [0, inf)
    lambda_min: in [0, inf)"""
    base: float
    gamma: float
    power: float
    lambda_min: float
    def __init__(self, base: float = 1000.0, gamma: float = 0.12, power: float = 1.0, lambda_min: float = 5.0) -> None: ...

class LinearWarmUp(Schedule):
    """A schedule. Its formula, kinks and source are in its header under losskit.include_dir().

    from_: margin, in (-inf, inf)
    to: margin, in (-inf, inf)
    start: step, a whole number in [0, 9.0072e+15]
    end: step, a whole number in [0, 9.0072e+15]"""
    from_: float
    to: float
    start: int
    end: int
    def __init__(self, from_: float = 0.0, to: float = 0.2, start: int = 0, end: int = 1000) -> None: ...

class ExponentialWarmUp(Schedule):
    """A schedule. Its formula, kinks and source are in its header under losskit.include_dir().

    from_: margin, in (-inf, inf)
    to: margin, in (-inf, inf)
    start: step, a whole number in [0, 9.0072e+15]
    end: step, a whole number in [0, 9.0072e+15]"""
    from_: float
    to: float
    start: int
    end: int
    def __init__(self, from_: float = 0.0, to: float = 0.2, start: int = 0, end: int = 1000) -> None: ...

class Monotone(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class NoRule(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class LegacyLinear(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class ContinuousLinear(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class Clamp(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir().

    eps: rad, in [0, 1.5708)"""
    eps: float
    def __init__(self, eps: float = 0.0001) -> None: ...

class FallToCosine(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class Easy(Rule):
    """A rule. Its formula, kinks and source are in its header under losskit.include_dir().

    above: cosine, in [-1, 1]"""
    above: float
    def __init__(self, above: float = 0.0) -> None: ...

class Exact(Gradient):
    """A gradient. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class Detached(Gradient):
    """A gradient. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class Adaptive(Weight):
    """A weight. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class Fixed(Weight):
    """A weight. Its formula, kinks and source are in its header under losskit.include_dir()."""
    def __init__(self) -> None: ...

class MarginSoftmax(Loss):
    """A loss over cosines: z_y = scale margin(c_y), z_j = scale rest(c_j), loss = objective(log softmax(z)_y).

    margin: NoMargin | CosMargin | ArcMargin | SphereMargin | CombinedMargin | Annealed
    scale: in (0, 1e+06], or a FixedScale
    objective: CrossEntropy | FocalLoss | LabelSmoothing
    rest: PlainRest | HardNegatives | CurricularRest"""
    margin: Policy
    scale: float | Policy
    objective: Policy
    rest: Policy
    def __init__(self, margin: Policy | str = 'NoMargin', scale: float | Policy | str = 64.0, objective: Policy | str = 'CrossEntropy', rest: Policy | str = 'PlainRest') -> None: ...

class SoftmaxLoss(Loss):
    """A loss over logits, any finite numbers: objective(log softmax(scale z)_y).

    objective: CrossEntropy | FocalLoss | LabelSmoothing
    scale: a factor on every logit, in [0, 1e6]"""
    objective: Policy
    scale: float | Policy
    def __init__(self, objective: Policy | str = 'CrossEntropy', scale: float | Policy | str = 1.0) -> None: ...
