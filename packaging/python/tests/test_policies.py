"""Policies are the library's catalogue: their signatures, texts, errors; every one is made and called."""
import copy
import inspect
import pickle

import numpy as np
import pytest

import losskit
import losskit.numpy as lk

CATALOGUE = losskit.catalogue()


def options():
    return {o.name: o for p in CATALOGUE for c in p.choices for o in c.options}


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_every_policy_is_made_and_called(info, batch):
    cosines, labels = batch
    cls = getattr(losskit, info.name)
    assert info.name in losskit.__all__
    made = cls()
    assert isinstance(made, losskit.Policy) and made.kind == info.kind
    for p in info.parameters:
        assert getattr(made, p.name + "_" * (p.name in ("lambda", "from"))) == p.default
    if info.kind == "margin":
        assert np.isfinite(lk.loss_value(losskit.MarginSoftmax(made), cosines, labels).loss)
    elif info.kind == "objective":
        assert np.isfinite(lk.loss_value(losskit.SoftmaxLoss(made), cosines, labels).loss)
    elif info.kind == "rest rule":
        assert np.isfinite(lk.loss_value(losskit.MarginSoftmax(rest=made), cosines, labels).loss)
    elif info.kind == "point loss":
        assert np.isfinite(lk.point_loss(made, cosines, np.abs(cosines)).loss)
    elif info.kind == "schedule":
        assert np.isfinite(losskit.schedule_value(made, 10))
    elif info.kind == "scale":
        used = 0
        try:
            state = lk.advance(made, losskit.start(made), cosines, labels)
            used += state.steps == 1 and np.isfinite(state.value)
        except losskit.WrongTypeError:
            pass
        try:
            used += np.isfinite(lk.row_scales(made, [1.0, 2.0])[0]).all()
        except losskit.WrongTypeError:
            pass
        try:
            used += np.isfinite(lk.loss_value(losskit.MarginSoftmax(scale=made), cosines, labels).loss)
        except losskit.ParameterError:
            pass
        assert used == 1
    else:
        pytest.fail(f"what is a {info.kind} for?")
    for choice in info.choices:
        for option in choice.options:
            try:
                with_option = cls(**{choice.name: option.name})
            except losskit.ParameterError:  # a rule that this margin, with its defaults, does not take
                assert choice.name == "rule" and info.name in ("SphereMargin", "CombinedMargin")
                continue
            assert getattr(with_option, choice.name) == getattr(losskit, option.name)()


def test_signatures():
    assert str(inspect.signature(losskit.ArcMargin)) == "(m=0.5, *, rule='Monotone', gradient='Exact')"
    assert str(inspect.signature(losskit.Clamp)) == "(eps=0.0001)"
    assert str(inspect.signature(losskit.WingLoss)) == "(w=10.0, eps=2.0)"
    assert str(inspect.signature(losskit.Annealed)) == "(lambda_=5.0, *, margin='SphereMargin')"
    assert str(inspect.signature(losskit.MarginSoftmax)) == "(margin='NoMargin', scale=64.0, objective='CrossEntropy', rest='PlainRest')"
    assert str(inspect.signature(losskit.SoftmaxLoss)) == "(objective='CrossEntropy', scale=1.0)"
    for info in [*CATALOGUE, *options().values()]:
        parameters = inspect.signature(getattr(losskit, info.name)).parameters
        assert [p.rstrip("_") for p in parameters] == [p.name for p in info.parameters] + [c.name for c in info.choices]
        for p in info.parameters:
            text = f"{p.unit}, " if p.unit else ""
            assert text in getattr(losskit, info.name).__doc__ and p.range in getattr(losskit, info.name).__doc__


def test_text_and_repr():
    arc = losskit.ArcMargin(m=0.1 + 0.2, rule=losskit.Clamp(eps=1e-3), gradient="Detached")
    assert arc.text == "ArcMargin(m=0.30000000000000004, rule=Clamp(eps=0.001), gradient=Detached)"
    assert repr(arc) == "ArcMargin(m=0.30000000000000004, rule=Clamp(eps=0.001), gradient='Detached')"
    loss = losskit.MarginSoftmax(arc, scale=30, objective=losskit.FocalLoss(gamma=2), rest="HardNegatives")
    assert loss.text == (f"MarginSoftmax(margin={arc.text}, scale=30.0, objective=FocalLoss(gamma=2.0, alpha=1.0), "
                         "rest=HardNegatives(t=0.2, weight=Adaptive))")
    assert losskit.AdaCosScale(classes=10575).text.startswith("AdaCosScale(classes=10575, ")
    assert losskit.AdaCosScale(classes=10575.0) == losskit.AdaCosScale(np.int32(10575))
    assert losskit.FeatureNorm().text == "FeatureNorm(low=0.0, high=inf, factor=1.0)"
    for made in (arc, loss, losskit.FeatureNorm(), losskit.Annealed(lambda_=3), losskit.LinearWarmUp(from_=0.1, to=0.4),
                 losskit.NoMargin()):
        assert eval(repr(made), {**vars(losskit), "inf": float("inf")}) == made
        assert losskit.policy(made.text) == made == pickle.loads(pickle.dumps(made)) == copy.deepcopy(made)
        assert hash(losskit.policy(made.text)) == hash(made) and str(made) == made.text
    assert losskit.ArcMargin(0.5) != losskit.ArcMargin(0.4) and losskit.ArcMargin() != "ArcMargin"


def test_from_text():
    assert losskit.policy("ArcMargin") == losskit.ArcMargin()
    assert losskit.policy(" ArcMargin( .25 , rule = Clamp(eps=1e-3) ) ") == losskit.ArcMargin(0.25, rule=losskit.Clamp(1e-3))
    assert losskit.policy("CosMargin(m=-0.5)").m == -0.5
    assert losskit.policy("Annealed(margin=SphereMargin(4), lambda=2)") == losskit.Annealed(2, margin=losskit.SphereMargin(4))
    assert losskit.policy("LinearWarmUp(from=0.1)").from_ == 0.1
    assert losskit.policy("MarginSoftmax(ArcMargin(0.3), 32)") == losskit.MarginSoftmax(losskit.ArcMargin(0.3), 32)
    assert losskit.MarginSoftmax("ArcMargin(0.3)") == losskit.MarginSoftmax(losskit.ArcMargin(m=0.3))
    assert losskit.MarginSoftmax(scale=losskit.FixedScale(30)).scale == losskit.FixedScale(30)


def test_policies_never_change():
    arc = losskit.ArcMargin()
    with pytest.raises(AttributeError):
        arc.m = 3
    with pytest.raises(AttributeError):
        del arc.m
    with pytest.raises(AttributeError):
        arc.other = 3


@pytest.mark.parametrize("make, words", [
    (lambda: losskit.ArcMargin(4), "ArcMargin: m = 4 is outside"),
    (lambda: losskit.ArcMargin(float("nan")), "ArcMargin: m = nan"),
    (lambda: losskit.ArcMargin(m=0.5, rule="Clmp"), "did you mean Clamp"),
    (lambda: losskit.ArcMargin(rule=losskit.CosMargin()), "rule"),
    (lambda: losskit.Clamp(eps=2), "Clamp: eps = 2 is outside"),
    (lambda: losskit.FocalLoss(gamma=-1), "FocalLoss: gamma = -1 is outside"),
    (lambda: losskit.MarginSoftmax("ArkMargin"), "no margin is called \"ArkMargin\": did you mean ArcMargin"),
    (lambda: losskit.MarginSoftmax(losskit.WingLoss()), "no margin is called \"WingLoss\""),
    (lambda: losskit.MarginSoftmax(scale=-1), "scale = -1 is outside"),
    (lambda: losskit.MarginSoftmax(scale=losskit.AdaCosScale()), "AdaCosScale is no number"),
    (lambda: losskit.MarginSoftmax(margin=""), "MarginSoftmax"),
    (lambda: losskit.MarginSoftmax(margin="ArcMargin(0.5"), "is no policy"),
    (lambda: losskit.MarginSoftmax(margin="ArcMargin\0"), "is no policy"),
    (lambda: losskit.WingLoss(w=0), "WingLoss: w = 0 is outside"),
    (lambda: losskit.HardNegatives(weight="Fixt"), "did you mean Fixed"),
    (lambda: losskit.AdaCosScale(classes=2), "classes = 2 is outside"),
    (lambda: losskit.AdaCosScale(classes=10.5), "no whole number"),
    (lambda: losskit.FeatureNorm(3, 2), "[3, 2] is not a range"),
    (lambda: losskit.policy("ArkMargin(0.5)"), "is no policy: did you mean ArcMargin"),
    (lambda: losskit.policy("MarginSoftmax(ArkMargin)"), "no margin is called \"ArkMargin\""),
    (lambda: losskit.policy("64"), "is no policy"),
    (lambda: losskit.MarginSoftmax(scale="64"), "is no policy"),
    (lambda: losskit.policy(3), "is no policy: there is "),
    (lambda: losskit.policy("MarginSoftmax(ArcMargin(m=9))"), "ArcMargin: m = 9 is outside"),
    (lambda: losskit.policy("MarginSoftmax(ArcMargin(n=1))"), "ArcMargin has no parameter \"n\""),
    (lambda: losskit.policy("ArcMargin(m='0.5')"), "ArcMargin: m = \"'0.5'\" is no number"),
    (lambda: losskit.policy("__import__('os').getpid()"), "is no policy"),
    (lambda: losskit.policy("(" * 5000), "is no policy"),
    (lambda: losskit.policy(""), "is no policy"),
    (lambda: losskit.policy("losskit.ArcMargin"), "is no policy"),
])
def test_a_bad_value_is_refused_when_a_policy_is_made(make, words):
    with pytest.raises(losskit.ParameterError) as error:
        make()
    assert words in str(error.value)
    assert isinstance(error.value, ValueError) and isinstance(error.value, losskit.Error)


@pytest.mark.parametrize("make", [
    lambda: losskit.ArcMargin("0.5"),
    lambda: losskit.ArcMargin(None),
    lambda: losskit.ArcMargin(0.5, "Monotone"),
    lambda: losskit.ArcMargin(n=0.5),
    lambda: losskit.ArcMargin(rule=3),
    lambda: losskit.MarginSoftmax(margin=0.5),
    lambda: losskit.WingLoss(1, 2, 3),
])
def test_a_wrong_type_is_refused_when_a_policy_is_made(make):
    with pytest.raises(TypeError, match="ArcMargin|MarginSoftmax|WingLoss"):
        make()


def test_a_policy_of_another_kind(batch):
    for loss, call in [(losskit.ArcMargin(), lk.loss_and_gradient), (losskit.WingLoss(), lk.loss_and_gradient), (3, lk.loss_and_gradient),
                       (losskit.MarginSoftmax(), lk.point_loss), ("CosMargin", lk.loss_value)]:
        with pytest.raises(losskit.WrongTypeError, match=call.__name__):
            call(loss, *batch)
    with pytest.raises(TypeError):
        losskit.start(losskit.FixedScale())
    with pytest.raises(losskit.ParameterError, match="did you mean MarginSoftmax"):
        lk.loss_value("MarginSoftmx", *batch)


def test_schedules_and_scales():
    warm = losskit.LinearWarmUp(from_=0, to=0.2, start=100, end=200)
    assert [losskit.schedule_value(warm, step) for step in (0, 100, 200, 10**6)] == [0, 0, 0.2, 0.2]
    assert 0 < losskit.schedule_value(warm, 150) < 0.2
    with pytest.raises(losskit.Error):
        losskit.schedule_value(warm, -1)
    with pytest.raises(losskit.ParameterError):
        losskit.schedule_value(warm, 2**70)
    with pytest.raises(losskit.WrongTypeError):
        losskit.schedule_value(warm, 1.5)
    np.testing.assert_allclose(losskit.suggest_scale(2, 0.999), 0.5 * np.log(0.999 / 0.001), rtol=1e-14)
    with pytest.raises(losskit.ParameterError, match="probability = 0.1"):
        losskit.suggest_scale(2, 0.1)
