"""Policies as Python objects, made from the library's catalogue. losskit is the interface."""
from __future__ import annotations

import ast
import difflib
import functools
import inspect
import keyword
import operator
import re
from ctypes import byref, c_double, c_int64
from typing import Any, ClassVar, Dict, Mapping, NamedTuple, Optional, Tuple, Type, Union

from losskit import _c
from losskit._c import ParameterError, WrongTypeError

# --- the catalogue ---------------------------------------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """A number that a policy is given."""

    name: str
    unit: str
    """"rad", "cosine", ...; "" for a plain number."""
    default: float
    low: float
    high: float
    has_low: bool
    """Does the low end belong to the range?"""
    has_high: bool
    whole: bool
    """An integer."""

    @property
    def range(self) -> str:
        """The range as text: "[0, inf)"."""
        return f"{'(['[self.has_low]}{self.low:g}, {self.high:g}{')]'[self.has_high]}"


class Choice(NamedTuple):
    """What a policy is given by name: one of `options`, the first of which is the default."""

    name: str
    options: Tuple["PolicyInfo", ...]


class PolicyInfo(NamedTuple):
    """A policy of the catalogue."""

    kind: str
    """"margin", "rest rule", "objective", "scale", "point loss", "schedule"; of an option what chooses it: "rule"."""
    name: str
    parameters: Tuple[Parameter, ...]
    """By position in this order."""
    choices: Tuple[Choice, ...]
    """By name only."""


def _info(c: _c.PolicyInfo) -> PolicyInfo:
    parameters = tuple(
        Parameter(p.name.decode(), p.unit.decode(), int(p.standard) if p.whole else p.standard, p.low, p.high, bool(p.has_low),
                  bool(p.has_high), bool(p.whole))
        for p in c.parameters[: c.parameter_count]
    )
    choices = tuple(Choice(o.name.decode(), tuple(map(_info, o.options[: o.option_count]))) for o in c.choices[: c.choice_count])
    return PolicyInfo(c.kind.decode(), c.name.decode(), parameters, choices)


@functools.lru_cache(maxsize=None)
def catalogue() -> Tuple[PolicyInfo, ...]:
    """Every policy that the library has, with its parameters (units, defaults, ranges) and choices."""
    count = c_int64()
    infos = _c.catalogue(byref(count))
    return tuple(map(_info, infos[: count.value]))


# --- policies --------------------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A parameter or a choice: its name in losskit's text and in Python, and its default."""

    key: str
    default: Any
    number: bool = False
    choice: bool = False  # with both: a number, or a policy that stands for one
    whole: bool = False
    keyword_only: bool = False
    help: str = ""

    @property
    def name(self) -> str:
        return _python_name(self.key)


def _python_name(key: str) -> str:
    """`lambda` and `from` are Python's own: lambda_, from_."""
    return key + "_" if keyword.iskeyword(key) else key


class Policy:
    """A part of a loss, or a whole one. Never changes; equal to every other of the same text; can be pickled.

    Raises ParameterError for a number outside its range or a choice that there is not, TypeError for arguments that it does not take.
    """

    kind: ClassVar[str] = ""
    """What the catalogue calls it: "margin", "loss", ..."""
    _fields: ClassVar[Tuple[_Field, ...]] = ()

    text: str
    """How losskit's C library and C++ call it, numbers to the last bit: "ArcMargin(m=0.5, rule=Monotone, gradient=Exact)"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            bound = inspect.signature(type(self)).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        bound.apply_defaults()
        values = {field.key: _value(type(self), field, bound.arguments[field.name]) for field in self._fields}
        handle = _made(type(self), _call_text(type(self), values))  # as it was given: what is wrong is said of this
        if any(isinstance(value, str) for value in values.values()):
            values = {key: policy(value) if isinstance(value, str) else value for key, value in values.items()}
            handle = _made(type(self), _call_text(type(self), values))
        for field in self._fields:
            object.__setattr__(self, field.name, values[field.key])
        object.__setattr__(self, "text", _call_text(type(self), values))
        object.__setattr__(self, "_handle", handle)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} never changes: make another")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{field.name}={_shown(getattr(self, field.name))}' for field in self._fields)})"

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Policy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> Tuple[Any, ...]:
        return policy, (self.text,)


def _value(cls: Type[Policy], field: _Field, given: Any) -> Any:
    """A number or a policy; a text stays one."""
    if field.choice and isinstance(given, (Policy, str)):
        return given
    if field.number:
        if field.whole:
            try:
                return operator.index(given)
            except TypeError:
                pass
        try:
            x = number(field.name, given)
            return int(x) if field.whole and x.is_integer() else x
        except WrongTypeError:
            pass
    takes = " or ".join(["a number"] * field.number + ["a policy or its name"] * field.choice)
    raise TypeError(f"{cls.__name__}: {field.name} takes {takes}, not {given!r:.80}")


def _call_text(cls: Type[Policy], values: Mapping[str, Any]) -> str:
    if not values:
        return cls.__name__
    return f"{cls.__name__}({', '.join(f'{key}={_text(value)}' for key, value in values.items())})"


def _text(value: Any) -> str:
    return value.text if isinstance(value, Policy) else value if isinstance(value, str) else repr(value)


def _shown(value: Any) -> str:
    """As Python code: the name of a policy that takes nothing is enough."""
    return repr(value.text) if isinstance(value, Policy) and not value._fields else repr(value)


# What C makes of its own; a policy of another kind is judged as a part of one.
_MADE = {"loss", "rest rule", "scale", "point loss", "schedule"}
_PART_OF = {"margin": "MarginSoftmax(margin={})", "objective": "SoftmaxLoss(objective={})"}


def _made(cls: Type[Policy], text: str) -> Optional[_c.Handle]:
    """The library's policy, or None where it only judges it. Raises what the library says."""
    kind = cls.kind
    if kind in _MADE:
        return _c.Handle(text)
    while kind not in _MADE:
        if kind in _PART_OF:
            text, kind = _PART_OF[kind].format(text), "loss"
        else:
            owner = next(p for p in catalogue() for c in p.choices if c.name == kind)
            text, kind = f"{owner.name}({kind}={text})", owner.kind
    _c.Handle(text)
    return None


# --- classes from the catalogue --------------------------------------------------------------------------------------------------


def _fields_of(info: PolicyInfo) -> Tuple[_Field, ...]:
    numbers = tuple(
        _Field(p.name, p.default, number=True, whole=p.whole,
               help=", ".join(filter(None, [p.unit, f"{'a whole number' if p.whole else ''} in {p.range}".strip()])))
        for p in info.parameters
    )
    choices = tuple(
        _Field(c.name, c.options[0].name, choice=True, keyword_only=True, help=" | ".join(o.name for o in c.options))
        for c in info.choices
    )
    return numbers + choices


def _class(kind: Type[Policy], name: str, fields: Tuple[_Field, ...], about: str) -> Type[Policy]:
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([inspect.Parameter(f.name, kinds[f.keyword_only], default=f.default) for f in fields])
    helps = "".join(f"\n{f.name}: {f.help}" for f in fields)
    body = {
        "__doc__": f"{about}\n{helps}".rstrip() + "\n",
        "__module__": "losskit",
        "__signature__": signature,
        "_fields": fields,
    }
    return type(name, (kind,), body)


def _kind_class(kind: str) -> Type[Policy]:
    name = kind.title().replace(" ", "")
    return type(name, (Policy,), {"__module__": "losskit", "kind": kind, "__doc__": f"A policy of the kind {kind!r}."})


def _classes() -> Tuple[Dict[str, Type[Policy]], Dict[str, Type[Policy]]]:
    """By name: one class for each kind, and the policies."""
    kinds = {"loss": _kind_class("loss")}
    classes: Dict[str, Type[Policy]] = {}

    def add(info: PolicyInfo) -> None:
        if info.name in classes:
            return
        if info.kind not in kinds:
            kinds[info.kind] = _kind_class(info.kind)
        classes[info.name] = _class(kinds[info.kind], info.name, _fields_of(info),
                                    f"A {info.kind}. Its formula, kinks and source are in its header under losskit.include_dir().")

    for info in catalogue():
        add(info)
    for info in catalogue():
        for choice in info.choices:
            for option in choice.options:
                add(option)

    def part(key: str, default: str, kind: str) -> _Field:
        return _Field(key, default, choice=True, help=" | ".join(p.name for p in catalogue() if p.kind == kind))

    fixed = next(p for p in catalogue() if p.name == "FixedScale").parameters[0]
    margin = part("margin", "NoMargin", "margin")
    objective = part("objective", "CrossEntropy", "objective")
    rest = part("rest", "PlainRest", "rest rule")
    scale = _Field("scale", fixed.default, number=True, choice=True, help=f"in {fixed.range}, or a FixedScale")
    classes["MarginSoftmax"] = _class(
        kinds["loss"], "MarginSoftmax", (margin, scale, objective, rest),
        "A loss over cosines: z_y = scale margin(c_y), z_j = scale rest(c_j), loss = objective(log softmax(z)_y).")
    classes["SoftmaxLoss"] = _class(
        kinds["loss"], "SoftmaxLoss", (objective, scale._replace(default=1.0, help="a factor on every logit, in [0, 1e6]")),
        "A loss over logits, any finite numbers: objective(log softmax(scale z)_y).")
    return {cls.__name__: cls for cls in kinds.values()}, classes


kinds, classes = _classes()

# --- from text -------------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def policy(text: str) -> Policy:
    """The policy that a text names, as in a file of settings: policy("MarginSoftmax(ArcMargin(m=0.5), scale=64)").

    The text is a name, then what the policy is given by position and by name; names of policies stand without quotes.
    Raises ParameterError, whose text says what there is.
    """
    try:
        # Python's own words can be names: Annealed(lambda=5).
        plain = re.sub(r"\b\w+(?=\s*=)", lambda name: _python_name(name[0]), text.strip())
        made = _from_tree(ast.parse(plain, mode="eval").body)
        if isinstance(made, Policy):
            return made
    except ParameterError:
        raise
    except (SyntaxError, TypeError, ValueError, KeyError, AttributeError, RecursionError, MemoryError):
        pass
    name = str(text).partition("(")[0].strip()
    if name in classes:
        _made(classes[name], text)  # says what is wrong
        raise ParameterError(f"{text!r:.80} is no policy: {name}{inspect.signature(classes[name])}")
    near = difflib.get_close_matches(name, classes)
    raise ParameterError(f"{text!r:.80} is no policy: {'did you mean' if near else 'there is'} {', '.join(near or classes)}")


def _from_tree(node: ast.AST) -> Any:
    if isinstance(node, ast.Name):
        return float(node.id) if node.id in ("inf", "nan") else classes[node.id]()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return classes[node.func.id](*map(_from_tree, node.args), **{str(word.arg): _from_tree(word.value) for word in node.keywords})
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        x = _from_tree(node.operand)
        return -x if isinstance(node.op, ast.USub) else +x
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    raise ValueError("a name, or name(value, name=value)")


def handle_of(call: str, loss: Union[Policy, str], *kinds: str) -> int:
    """The library's policy, of one of these kinds."""
    made = policy(loss) if isinstance(loss, str) else loss
    if not isinstance(made, Policy):
        raise WrongTypeError(f"{call}: {loss!r:.80} is no policy of losskit")
    if made.kind not in kinds:
        raise WrongTypeError(f"{call}: {made.text}, a {made.kind}, is no {' or '.join(kinds)}")
    return made._handle.pointer  # type: ignore[attr-defined]


# --- what needs no array ---------------------------------------------------------------------------------------------------------


class State(NamedTuple):
    """What an AdaCosScale or a CurricularRest knows of training so far. Keep it with the model."""

    value: float
    """The scale s, for `scale=`; or the rest rule's number t, for `rest=`."""
    steps: int = 0
    """Batches seen."""
    kept: int = 0
    """Of these, how many left an AdaCosScale as it was."""
    log_mean_rest: float = 0.0
    """Of an AdaCosScale, to be seen: ln B_avg of the last batch. 0 before the first."""
    median_target_angle: float = 0.0
    """Likewise: the median of its target angles, in radians."""


def start(policy: Union[Policy, str]) -> State:
    """The state before the first batch, of an AdaCosScale or a CurricularRest."""
    state = _c.State()
    _c.start(handle_of("start", policy, "scale", "rest rule"), byref(state))
    return State(state.value, state.steps, state.kept, state.log_mean_rest, state.median_target_angle)


def schedule_value(schedule: Union[Policy, str], step: int) -> float:
    """A schedule's number at a training step; the first step is 0."""
    value = c_double()
    _c.schedule(handle_of("schedule_value", schedule, "schedule"), whole("step", step), byref(value))
    return value.value


def suggest_scale(classes: int, probability: float, margin: float = 0.0) -> float:
    """The scale at which a perfect sample of `classes` >= 2 classes has this probability, in (1 / classes, 1).

    margin: what the margin takes at angle 0, in cosine units: m of CosMargin, 1 - cos(m) of ArcMargin.
    """
    scale = c_double()
    _c.suggest_scale(whole("classes", classes), number("probability", probability), number("margin", margin), byref(scale))
    return scale.value


def number(name: str, x: Any) -> float:
    """x as a C double; a text is none."""
    try:
        if not isinstance(x, (str, bytes, bytearray)):
            return float(x)
    except (TypeError, ValueError):
        pass
    raise WrongTypeError(f"{name} = {x!r:.40} is no number")


def whole(name: str, x: Any, bits: int = 64) -> int:
    """x as a C integer, which ctypes would cut to size."""
    try:
        n = operator.index(x)
    except TypeError:
        raise WrongTypeError(f"{name} = {x!r:.40} is no whole number") from None
    if not -(1 << (bits - 1)) <= n < 1 << (bits - 1):
        raise ParameterError(f"{name} = {n} is outside {bits} bits")
    return n
