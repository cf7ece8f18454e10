"""Every policy of the catalogue as a loss, each with each of its options: what the layers over torch, JAX and TensorFlow try."""
import losskit

SCALE = 8.0


def _choices(info):
    """A policy's text with each of its options in turn, and with its defaults."""
    yield info.name
    for choice in info.choices:
        if choice.name != "margin":
            yield from (f"{info.name}({choice.name}={option.name})" for option in choice.options)
        else:
            yield from (f"{info.name}(margin={option})" for inner in choice.options for option in _choices(inner))


def _of_kind(kind):
    """Every policy of a kind. A rule that a margin's default numbers do not allow is none of them."""
    made = []
    for info in losskit.catalogue():
        if info.kind == kind:
            for text in _choices(info):
                try:
                    made.append(losskit.policy(text).text)
                except losskit.ParameterError:
                    assert any(rule in text for rule in ("LegacyLinear", "FallToCosine", "Easy"))  # published for m1 = 1 alone
    return sorted(set(made))


MARGINS, RESTS, OBJECTIVES = _of_kind("margin"), _of_kind("rest rule"), _of_kind("objective")
POINT_LOSSES = _of_kind("point loss")
MARGIN_LOSSES = sorted(
    {f"MarginSoftmax({margin}, {SCALE})" for margin in MARGINS}
    | {f"MarginSoftmax(ArcMargin(m=0.4), {SCALE}, {objective})" for objective in OBJECTIVES}
    | {f"MarginSoftmax(ArcMargin(m=0.4), {SCALE}, CrossEntropy, {rest})" for rest in RESTS})
SOFTMAX_LOSSES = [f"SoftmaxLoss({objective}, scale=1.5)" for objective in OBJECTIVES]
LOSSES = MARGIN_LOSSES + SOFTMAX_LOSSES
