"""Values and gradients against the papers' formulas in NumPy, and against finite differences."""
import itertools

import formulas as f
import numpy as np
import pytest

import losskit
import losskit.numpy as lk

EXACT = dict(rtol=1e-12, atol=1e-12)

CASES = {
    "softmax": (losskit.MarginSoftmax("NoMargin", 8), f.angular(), 8, {}),
    "ArcFace": (losskit.MarginSoftmax(losskit.ArcMargin(0.5), 64), f.angular(m2=0.5), 64, {}),
    "ArcFace, negative": (losskit.MarginSoftmax(losskit.ArcMargin(-0.3), 16), f.angular(m2=-0.3), 16, {}),
    "CosFace": (losskit.MarginSoftmax(losskit.CosMargin(0.35), 30), f.angular(m3=0.35), 30, {}),
    "SphereFace": (losskit.MarginSoftmax(losskit.SphereMargin(4), 30), f.angular(m1=4), 30, {}),
    "SphereFace, real": (losskit.MarginSoftmax(losskit.SphereMargin(1.7), 30), f.angular(m1=1.7), 30, {}),
    "combined": (losskit.MarginSoftmax(losskit.CombinedMargin(1, 0.3, 0.2), 64), f.angular(1, 0.3, 0.2), 64, {}),
    "combined, real": (losskit.MarginSoftmax(losskit.CombinedMargin(1.35, 0.3, 0.2), 20), f.angular(1.35, 0.3, 0.2), 20, {}),
    "focal": (losskit.MarginSoftmax(losskit.CosMargin(0.2), 8, losskit.FocalLoss(gamma=2)), f.angular(m3=0.2), 8,
              {"objective": f.focal(2)}),
    "focal, alpha": (losskit.MarginSoftmax(losskit.CosMargin(0.2), 8, losskit.FocalLoss(1.5, alpha=0.25)), f.angular(m3=0.2), 8,
                     {"objective": f.focal(1.5, 0.25)}),
    "label smoothing": (losskit.MarginSoftmax(losskit.ArcMargin(0.2), 16, losskit.LabelSmoothing(0.1)), f.angular(m2=0.2), 16,
                        {"objective": f.label_smoothing(0.1)}),
    "MV-Softmax": (losskit.MarginSoftmax(losskit.ArcMargin(0.5), 32, rest=losskit.HardNegatives(0.2)), f.angular(m2=0.5), 32,
                   {"rest": f.mv_softmax(0.2)}),
    "MV-Softmax, fixed": (losskit.MarginSoftmax(losskit.CosMargin(0.35), 32, rest=losskit.HardNegatives(0.2, weight="Fixed")),
                          f.angular(m3=0.35), 32, {"rest": f.mv_softmax(0.2, adaptive=False)}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_papers_formula(name, batch):
    loss, psi, scale, more = CASES[name]
    cosines, labels = batch
    losses, gradient = f.margin_softmax(cosines, labels, psi, scale, **more)
    result = lk.loss_and_gradient(loss, cosines, labels, row_losses=True)
    np.testing.assert_allclose(result.row_losses, losses, **EXACT)
    np.testing.assert_allclose(result.loss, losses.mean(), **EXACT)
    np.testing.assert_allclose(result.gradient, gradient / len(labels), **EXACT)
    assert lk.loss_value(loss, cosines, labels).loss == result.loss


def test_plain_logits(rng):
    logits, labels = rng.normal(0, 30, (7, 5)), rng.integers(0, 5, 7)
    log_p = logits - logits.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    for loss, objective in (("SoftmaxLoss", f.cross_entropy), (losskit.SoftmaxLoss(losskit.LabelSmoothing(0.2)), f.label_smoothing(0.2))):
        losses, gradient = objective(log_p, labels)
        result = lk.loss_and_gradient(loss, logits, labels, reduction="sum")
        np.testing.assert_allclose(result.loss, losses.sum(), **EXACT)
        np.testing.assert_allclose(result.gradient, gradient, **EXACT)


def difference(value, x, h=1e-6):
    """Central differences of value(x) by every element of x."""
    slopes = np.empty_like(x)
    for index in np.ndindex(x.shape):
        a, b = x.copy(), x.copy()
        a[index] += h
        b[index] -= h
        slopes[index] = (value(a) - value(b)) / (2 * h)
    return slopes


def names(kind):
    return [p.name for p in losskit.catalogue() if p.kind == kind]


COMPOSITIONS = list(itertools.product(names("margin"), names("objective"), names("rest rule")))


@pytest.mark.parametrize("margin, objective, rest", COMPOSITIONS)
def test_every_composition_against_finite_differences(margin, objective, rest, rng):
    cosines, labels = rng.uniform(-0.9, 0.9, (4, 6)), rng.integers(0, 6, 4)
    loss = losskit.MarginSoftmax(margin, 6, objective, rest)
    gradient = lk.loss_and_gradient(loss, cosines, labels).gradient
    np.testing.assert_allclose(gradient, difference(lambda c: lk.loss_value(loss, c, labels).loss, cosines), rtol=1e-6, atol=2e-8)


RULES = [(p.name, o.name) for p in losskit.catalogue() if p.kind == "margin" for c in p.choices if c.name == "rule" for o in c.options]


@pytest.mark.parametrize("margin, rule", RULES)
def test_every_rule_past_pi(margin, rule, rng):
    # Three rules are for m1 = 1.
    m1 = {"SphereMargin": "m=1, ", "CombinedMargin": "m1=1, "}.get(margin, "") if rule in ("LegacyLinear", "FallToCosine", "Easy") else ""
    margin_policy = losskit.policy(f"{margin}({m1}rule={rule})")
    cosines, labels = rng.uniform(-0.9, 0.9, (6, 5)), rng.integers(0, 5, 6)
    cosines[0, labels[0]] = -0.93  # past pi for ArcMargin 0.5
    loss = losskit.MarginSoftmax(margin_policy, 4)
    gradient = lk.loss_and_gradient(loss, cosines, labels).gradient
    np.testing.assert_allclose(gradient, difference(lambda c: lk.loss_value(loss, c, labels).loss, cosines), rtol=1e-6, atol=2e-8)


def test_a_detached_margin_has_slope_1(batch):
    cosines, labels = batch
    exact = lk.loss_and_gradient(losskit.MarginSoftmax(losskit.ArcMargin(0.5, rule="NoRule")), cosines, labels)
    detached = lk.loss_and_gradient(losskit.MarginSoftmax(losskit.ArcMargin(0.5, rule="NoRule", gradient="Detached")), cosines, labels)
    assert exact.loss == detached.loss
    rows = np.arange(len(labels))
    _, slope = f.angular(m2=0.5)(cosines[rows, labels])
    within = np.arccos(cosines[rows, labels]) + 0.5 < np.pi
    np.testing.assert_allclose(exact.gradient[rows, labels][within], (detached.gradient[rows, labels] * slope)[within], **EXACT)
    others = np.ones_like(cosines, bool)
    others[rows, labels] = False
    assert np.array_equal(exact.gradient[others], detached.gradient[others])


def test_weights_upstream_and_reductions(batch, rng):
    cosines, labels = batch
    loss, psi, scale, _ = CASES["CosFace"]
    losses, gradient = f.margin_softmax(cosines, labels, psi, scale)
    B, C = cosines.shape
    weights, class_weights, upstream = rng.uniform(0, 2, B), rng.uniform(0, 2, C), rng.normal(size=B)
    w = weights * class_weights[labels]
    for reduction, divisor in {"mean": B, "sum": 1, "none": 1, "batch_mean": B, "weighted_mean": w.sum()}.items():
        result = lk.loss_and_gradient(loss, cosines, labels, weights=weights, class_weights=class_weights, upstream=upstream,
                                      reduction=reduction)
        np.testing.assert_allclose(result.loss, (w * losses).sum() / divisor, **EXACT)
        np.testing.assert_allclose(result.gradient, gradient * (w * upstream)[:, None] / divisor, **EXACT)
        if reduction == "none":
            np.testing.assert_allclose(result.row_losses, w * losses, **EXACT)
    twice = lk.loss_and_gradient(loss, cosines, labels, upstream=2)
    assert np.array_equal(twice.gradient, 2 * lk.loss_and_gradient(loss, cosines, labels).gradient)


def test_ignored_rows(batch):
    cosines, labels = batch
    loss = CASES["ArcFace"][0]
    some = labels.copy()
    some[[1, 4]] = -1
    kept = some >= 0
    result = lk.loss_and_gradient(loss, cosines, some, ignore_index=-1)
    of_kept = lk.loss_and_gradient(loss, cosines[kept], labels[kept])
    np.testing.assert_allclose(result.loss, of_kept.loss, **EXACT)
    np.testing.assert_allclose(result.gradient[kept], of_kept.gradient, **EXACT)
    assert not result.gradient[~kept].any()
    assert (result.report.rows, result.report.valid) == (9, 7)


def test_report(rng):
    cosines = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.1, 0.2, 0.3], [2.0, 0.1, np.nan]])
    report = lk.loss_value("MarginSoftmax(CosMargin)", cosines, [0, 0, 0, 1], top_k=2).report
    assert report.rows == report.valid == 4
    assert (report.top1, report.topk) == (1, 2)  # a tie is wrong, and so is a NaN
    assert (report.out_of_range, report.non_finite) == (1, 1)
    angles = lk.loss_value("MarginSoftmax", cosines[:3], [0, 0, 0]).report.mean_target_angle
    np.testing.assert_allclose(angles, np.arccos([0.9, 0.5, 0.1]).mean(), **EXACT)


def test_scales_margins_and_their_gradients(batch, rng):
    cosines, labels = batch
    scales, margins = rng.uniform(2, 9, 9), rng.uniform(0.1, 0.4, 9)
    for margin in (losskit.ArcMargin(0.5), losskit.CosMargin(0.35)):
        loss = losskit.MarginSoftmax(margin, 64)
        result = lk.loss_and_gradient(loss, cosines, labels, scales=scales, margins=margins, row_losses=True, scale_gradient=True,
                                      margin_gradient=True)
        for i in range(9):  # row by row, with a loss of its own
            own = losskit.MarginSoftmax(type(margin)(margins[i]), scales[i])
            row = lk.loss_and_gradient(own, cosines[i : i + 1], labels[i : i + 1])
            np.testing.assert_allclose(result.row_losses[i], row.loss, **EXACT)
            np.testing.assert_allclose(result.gradient[i] * 9, row.gradient[0], **EXACT)
        by_scale = difference(lambda s: lk.loss_value(loss, cosines, labels, scales=s, margins=margins).loss, scales)
        by_margin = difference(lambda m: lk.loss_value(loss, cosines, labels, scales=scales, margins=m).loss, margins)
        np.testing.assert_allclose(result.scale_gradient, by_scale, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(result.margin_gradient, by_margin, rtol=1e-6, atol=1e-8)
    common = lk.loss_and_gradient(losskit.MarginSoftmax("ArcMargin"), cosines, labels, scale=10.0)
    own = lk.loss_and_gradient(losskit.MarginSoftmax("ArcMargin", 10), cosines, labels)
    assert common.loss == own.loss and np.array_equal(common.gradient, own.gradient)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forms_of_one_call_have_the_same_bits(dtype, batch, rng):
    """Apart, in place, from a saved pass; accumulated on zeros; int32 labels; any number of threads."""
    cosines, labels = rng.uniform(-1, 1, (200, 1001)).astype(dtype), rng.integers(0, 1001, 200)
    loss = losskit.MarginSoftmax(losskit.ArcMargin(0.5), 64, rest="HardNegatives")
    result = lk.loss_and_gradient(loss, cosines, labels, threads=1)
    assert result.gradient.dtype == dtype
    for threads in (None, 2, 3, 7):
        again = lk.loss_and_gradient(loss, cosines, labels.astype(np.int32), threads=threads)
        assert again.loss == result.loss and np.array_equal(again.gradient, result.gradient)

    memory = cosines.copy()
    in_place = lk.loss_and_gradient(loss, memory, labels, out=memory)
    assert in_place.gradient is memory and in_place.loss == result.loss and np.array_equal(memory, result.gradient)

    value = lk.loss_value(loss, cosines, labels, save=True)
    assert value.loss == result.loss
    later = lk.loss_gradient(loss, cosines, labels, value.saved, scale_gradient=True)
    np.testing.assert_allclose(later.gradient, result.gradient, rtol=8 * np.finfo(dtype).eps, atol=1e-36)
    for threads in (1, 5):
        assert np.array_equal(lk.loss_gradient(loss, cosines, labels, value.saved, threads=threads).gradient, later.gradient)

    sums = np.ones_like(cosines)
    lk.loss_and_gradient(loss, cosines, labels, out=sums, accumulate=True)
    np.testing.assert_allclose(sums, 1 + result.gradient, rtol=0, atol=2 * np.finfo(dtype).eps)
    lk.loss_gradient(loss, cosines, labels, value.saved, out=sums, accumulate=True)
    np.testing.assert_allclose(sums, 1 + 2 * result.gradient, rtol=0, atol=8 * np.finfo(dtype).eps)


def test_logits_and_their_backward(batch):
    cosines, labels = batch
    loss, psi, scale, _ = CASES["ArcFace"]
    rows = np.arange(len(labels))
    expected = scale * cosines
    expected[rows, labels] = scale * psi(cosines[rows, labels])[0]
    made = lk.logits(loss, cosines, labels)
    np.testing.assert_allclose(made.logits, expected, **EXACT)
    assert made.report.rows == 9
    whole = lk.loss_and_gradient(loss, cosines, labels, scale_gradient=True)
    outer = lk.loss_and_gradient("SoftmaxLoss", made.logits, labels)
    back = lk.logits_backward(loss, cosines, labels, outer.gradient, scale_gradient=True)
    np.testing.assert_allclose(outer.loss, whole.loss, **EXACT)
    np.testing.assert_allclose(back.gradient, whole.gradient, **EXACT)
    np.testing.assert_allclose(back.scale_gradient, whole.scale_gradient, **EXACT)
    memory = cosines.copy()
    assert lk.logits(loss, memory, labels, out=memory).logits is memory
    assert np.array_equal(memory, made.logits)
    with pytest.raises(losskit.Error):
        lk.logits("SoftmaxLoss", cosines, labels)


def test_empty_batches():
    result = lk.loss_and_gradient("MarginSoftmax(ArcMargin)", np.empty((0, 5)), [])
    assert result.loss == 0 and result.gradient.shape == (0, 5)
    result = lk.loss_and_gradient("MarginSoftmax(ArcMargin)", np.full((2, 5), 0.1), [7, 7], ignore_index=7)
    assert result.loss == 0 and not result.gradient.any()
