"""Point losses, the cosine layer, states that follow training, recognition metrics."""
import formulas as f
import numpy as np
import pytest

import losskit
import losskit.numpy as lk

EXACT = dict(rtol=1e-12, atol=1e-12)

# --- point losses ----------------------------------------------------------------------------------------------------------------


def test_wing(rng):
    prediction, truth = rng.normal(0, 12, (20, 10)), rng.normal(0, 12, (20, 10))
    value, slope = f.wing(10, 2)(prediction - truth)
    result = lk.point_loss(losskit.WingLoss(w=10, eps=2), prediction, truth, element_losses=True)
    np.testing.assert_allclose(result.element_losses, value, **EXACT)
    np.testing.assert_allclose(result.loss, value.mean(), **EXACT)
    np.testing.assert_allclose(result.gradient, slope / value.size, **EXACT)
    assert result.report.elements == 200
    weights = rng.uniform(0, 2, prediction.shape)
    for reduction, divisor in {"mean": 200, "sum": 1, "none": 1, "batch_mean": 20, "weighted_mean": weights.sum()}.items():
        result = lk.point_loss("WingLoss", prediction, truth, weights=weights, reduction=reduction, upstream=3)
        np.testing.assert_allclose(result.loss, (weights * value).sum() / divisor, **EXACT)
        np.testing.assert_allclose(result.gradient, 3 * weights * slope / divisor, **EXACT)


def test_adaptive_wing_on_heatmaps(rng):
    prediction, truth = rng.uniform(0, 1, (2, 3, 8, 7)), rng.uniform(0, 1, (2, 3, 8, 7))
    value, slope = f.adaptive_wing(2.1, 14, 1, 0.5)(prediction, truth)
    weights = lk.adaptive_wing_weights(np.where(truth > 0.9, truth, 0))
    near = np.zeros(truth.shape, bool)
    peaks = np.pad(truth > 0.9, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i in range(3):
        for j in range(3):
            near |= peaks[..., i : i + 8, j : j + 7]
    assert np.array_equal(weights, np.where(near, 11.0, 1.0))
    result = lk.point_loss("AdaptiveWingLoss", prediction, truth, weights=weights)
    np.testing.assert_allclose(result.loss, (weights * value).mean(), rtol=1e-6)  # its parameters are kept in float
    np.testing.assert_allclose(result.gradient, weights * slope / value.size, rtol=1e-6, atol=1e-12)
    assert result.gradient.shape == truth.shape
    of_rows = lk.point_loss("AdaptiveWingLoss", prediction, truth, reduction="batch_mean")
    np.testing.assert_allclose(of_rows.loss, value.sum() / (2 * 3 * 8), rtol=1e-6)
    alone = lk.point_loss("AdaptiveWingLoss", prediction[0, 0, 0], truth[0, 0, 0], reduction="batch_mean")
    np.testing.assert_allclose(alone.loss, value[0, 0, 0].sum(), rtol=1e-6)


@pytest.mark.parametrize("name", [p.name for p in losskit.catalogue() if p.kind == "point loss"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_point_loss(name, dtype, rng):
    prediction, truth = rng.uniform(0.05, 0.45, (5, 6)).astype(dtype), rng.integers(0, 2, (5, 6)).astype(dtype)
    expected = lk.point_loss(name, prediction, truth)
    assert lk.point_loss(name, prediction, truth, gradient=False).loss == expected.loss
    if dtype == np.float64:
        h = 1e-6
        up, down = (lk.point_loss(name, prediction + d, truth, gradient=False, element_losses=True).element_losses for d in (h, -h))
        np.testing.assert_allclose(expected.gradient, (up - down) / (2 * h) / 30, rtol=1e-6, atol=1e-9)
    for shape in [(30,), (2, 3, 5), (5, 3, 2, 1)]:
        same = lk.point_loss(name, prediction.reshape(shape), truth.reshape(shape), threads=2)
        assert same.gradient.shape == shape
        np.testing.assert_allclose(same.gradient.reshape(5, 6), expected.gradient, rtol=4 * np.finfo(dtype).eps)
    memory = prediction.copy()
    assert lk.point_loss(name, memory, truth, out=memory).gradient is memory
    assert np.array_equal(memory, expected.gradient)
    block = np.ones((2, 3, 5), dtype)
    lk.point_loss(name, prediction.reshape(2, 3, 5), truth.reshape(2, 3, 5), out=block, accumulate=True)
    np.testing.assert_allclose(block.reshape(5, 6), 1 + expected.gradient, rtol=4 * np.finfo(dtype).eps)
    columns = np.asfortranarray(prediction)
    assert np.array_equal(lk.point_loss(name, columns, truth).gradient, expected.gradient)


@pytest.mark.parametrize("given, error", [
    (dict(truth=np.zeros((3, 4))), losskit.ShapeError),
    (dict(truth=np.zeros((2, 3), np.float32)), losskit.WrongTypeError),
    (dict(prediction=np.zeros((2, 3), np.float16)), losskit.WrongTypeError),
    (dict(prediction=1.0), losskit.ShapeError),
    (dict(weights=-np.ones((2, 3))), losskit.ParameterError),
    (dict(out=np.zeros(6)), losskit.ShapeError),
    (dict(out=np.zeros((3, 2)).T), losskit.StrideError),
    (dict(out=np.zeros((2, 3)), gradient=False), losskit.ParameterError),
    (dict(accumulate=True), losskit.ParameterError),
    (dict(prediction=np.zeros((2, 3, 4)), truth=np.zeros((2, 3, 4)), out=np.zeros((2, 3, 8))[:, :, :4]), losskit.StrideError),
])
def test_what_a_point_loss_refuses(given, error):
    given = {"prediction": np.zeros((2, 3)), "truth": np.zeros((2, 3)), **given}
    with pytest.raises(error):
        lk.point_loss("WingLoss", **given)


# --- the head --------------------------------------------------------------------------------------------------------------------


def test_normalize(rng):
    x = rng.normal(size=(5, 8))
    norms = np.linalg.norm(x, axis=1)
    y, n = lk.normalize(x)
    np.testing.assert_allclose(n, norms, **EXACT)
    np.testing.assert_allclose(y, x / norms[:, None], **EXACT)
    dy, dn = rng.normal(size=x.shape), rng.normal(size=5)
    dx = lk.normalize_backward(y, n, dy, dnorms=dn)
    np.testing.assert_allclose(dx, (dy - y * (y * dy).sum(1, keepdims=True)) / norms[:, None] + dn[:, None] * y, **EXACT)
    memory = x.copy()
    assert lk.normalize(memory, out=memory)[0] is memory and np.array_equal(memory, y)
    sums = np.ones_like(x)
    lk.normalize_backward(y, n, dy, dnorms=dn, out=sums, accumulate=True)
    np.testing.assert_allclose(sums, 1 + dx, **EXACT)
    with pytest.raises(losskit.ShapeError):
        lk.normalize_backward(y, n[:3], dy)


def test_cosine_layer(rng):
    x, w = rng.normal(size=(6, 5)), rng.normal(size=(9, 5))
    labels = rng.integers(0, 9, 6)
    loss = losskit.MarginSoftmax(losskit.CosMargin(0.1), 4)
    layer = lk.cosine_layer(x, w)
    unit_x, unit_w = x / np.linalg.norm(x, axis=1)[:, None], w / np.linalg.norm(w, axis=1)[:, None]
    np.testing.assert_allclose(layer.cosines, unit_x @ unit_w.T, **EXACT)
    dx, dw = lk.cosine_layer_backward(layer, lk.loss_and_gradient(loss, layer.cosines, labels).gradient)

    def value(x, w):
        return lk.loss_value(loss, lk.cosine_layer(x, w).cosines, labels).loss

    from test_losses import difference
    np.testing.assert_allclose(dx, difference(lambda a: value(a, w), x), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(dw, difference(lambda a: value(x, a), w), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose((w * dw).sum(1), 0, atol=1e-12)
    more_x, more_w = np.ones_like(x), np.ones_like(w)
    gradient = lk.loss_and_gradient(loss, layer.cosines, labels).gradient
    lk.cosine_layer_backward(layer, gradient, dx=more_x, dw=more_w, accumulate=True)
    np.testing.assert_allclose(more_x, 1 + dx, **EXACT)
    np.testing.assert_allclose(more_w, 1 + dw, **EXACT)
    dn = rng.normal(size=6)
    with_norms, _ = lk.cosine_layer_backward(layer, gradient, dnorms_x=dn)
    np.testing.assert_allclose(with_norms, dx + dn[:, None] * unit_x, **EXACT)
    with pytest.raises(losskit.ShapeError):
        lk.cosine_layer(x, w[:, :4])
    with pytest.raises(losskit.WrongTypeError):
        lk.cosine_layer(x, w.astype(np.float32))


# --- states ----------------------------------------------------------------------------------------------------------------------


def test_adacos(rng):
    classes = 50
    cosines, labels = rng.uniform(-0.5, 0.9, (20, classes)), rng.integers(0, classes, 20)
    scale = losskit.AdaCosScale(classes=classes)
    state = losskit.start(scale)
    np.testing.assert_allclose(state.value, np.sqrt(2) * np.log(classes - 1), **EXACT)  # eq. 12
    after = lk.advance(scale, state, cosines, labels)
    rows = np.arange(20)
    e = np.exp(state.value * cosines)
    e[rows, labels] = 0
    angle = min(np.pi / 4, np.median(np.arccos(cosines[rows, labels])))
    np.testing.assert_allclose(after.value, np.log(e.sum(1).mean()) / np.cos(angle), rtol=1e-9)  # eqs. 15 to 17
    np.testing.assert_allclose(after.log_mean_rest, np.log(e.sum(1).mean()), rtol=1e-9)
    np.testing.assert_allclose(after.median_target_angle, np.sort(np.arccos(cosines[rows, labels]))[9], rtol=1e-9)  # the lower of two
    assert after.steps == 1 and state.steps == 0
    assert lk.advance(scale, state, cosines, labels) == after  # pure
    assert lk.advance(scale, after, cosines, labels).steps == 2
    empty = lk.advance(scale, after, cosines[:0], labels[:0])
    assert empty.value == after.value and empty.kept == 1
    assert lk.advance(scale, empty, cosines, labels)[1:3] == (empty.steps + 1, 1)
    loss = losskit.MarginSoftmax()
    with_state = lk.loss_value(loss, cosines, labels, scale=after.value).loss
    np.testing.assert_allclose(with_state, lk.loss_value(losskit.MarginSoftmax(scale=after.value), cosines, labels).loss, **EXACT)


def test_curricular(rng):
    cosines, labels = rng.uniform(-0.5, 0.9, (20, 7)), rng.integers(0, 7, 20)
    rest = losskit.CurricularRest(t=0.0, momentum=0.01)
    state = lk.advance(rest, losskit.start(rest), cosines, labels)
    np.testing.assert_allclose(state.value, 0.01 * cosines[np.arange(20), labels].mean(), **EXACT)
    assert state.steps == 1
    loss = losskit.MarginSoftmax("ArcMargin", 16, rest=rest)
    own = losskit.MarginSoftmax("ArcMargin", 16, rest=losskit.CurricularRest(t=0.3))
    for number in (0.3, np.full(20, 0.3), [0.3] * 20):
        assert lk.loss_value(loss, cosines, labels, rest=number).loss == lk.loss_value(own, cosines, labels).loss


def test_feature_norm():
    scales, slopes = lk.row_scales(losskit.FeatureNorm(low=1, high=3), [0.5, 2.0, 3.0, 4.0])
    assert scales.tolist() == [1, 2, 3, 3] and slopes.tolist() == [0, 1, 1, 0]
    scales, slopes = lk.row_scales("FeatureNorm(factor=2)", [0.5, 2.0])
    assert scales.tolist() == [1, 4] and slopes.tolist() == [2, 2]
    with pytest.raises(losskit.ParameterError):
        lk.row_scales("FeatureNorm", [-1.0])


# --- recognition -----------------------------------------------------------------------------------------------------------------


def test_similarities(rng):
    a, b = rng.normal(size=7), rng.normal(size=7)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(lk.cosine_similarity(a, b), cosine, **EXACT)
    np.testing.assert_allclose(lk.angle_between(a, b), np.arccos(cosine), **EXACT)
    np.testing.assert_allclose(lk.squared_distance(a[::-1], b[::-1]), ((a - b) ** 2).sum(), **EXACT)
    with pytest.raises(losskit.ShapeError):
        lk.cosine_similarity(a, b[:3])


def test_curve(rng):
    n = 300
    same = rng.integers(0, 2, n)
    scores = np.round(rng.normal(same * 0.8, 1), 1)  # with ties
    curve = lk.roc(scores, same)
    positive, negative = scores[same == 1], scores[same == 0]
    assert np.isinf(curve["threshold"][0]) and (np.diff(curve["threshold"]) < 0).all()
    for point in curve:
        assert point["true_accepts"] == (positive >= point["threshold"]).sum()
        assert point["false_accepts"] == (negative >= point["threshold"]).sum()
    pairs = positive[:, None] - negative
    np.testing.assert_allclose(lk.auc(curve), ((pairs > 0) + (pairs == 0) / 2).mean(), **EXACT)
    target = lk.tar_at_far(curve, 0.1)
    assert target.far <= 0.1 and not target.resolution_insufficient
    assert target.tar == (positive >= target.threshold).mean()
    assert lk.tar_at_far(curve, 1e-4).resolution_insufficient
    error = lk.equal_error_rate(curve)
    far, frr = (negative >= error.threshold).mean(), (positive < error.threshold).mean()
    assert far >= frr and abs(error.rate - frr) <= abs(far - frr) + 1 / n
    for truth in (same.astype(bool), same.astype(np.int32), same.astype(np.uint8), same.tolist()):
        assert np.array_equal(lk.roc(scores, truth), curve)
    assert np.array_equal(lk.roc(scores.astype(np.float32), same)["true_accepts"], curve["true_accepts"])
    with pytest.raises(losskit.ParameterError):
        lk.roc(scores, np.ones(n, bool))
    with pytest.raises(losskit.ParameterError):
        lk.tar_at_far(curve, 2)
    with pytest.raises(losskit.ParameterError):
        lk.auc(curve["threshold"])
    with pytest.raises(losskit.ShapeError):
        lk.roc(scores, same[:5])


def test_verification_accuracy(rng):
    same = np.tile([1, 0], 100)
    perfect = lk.verification_accuracy(same * 1.0, same)
    assert perfect == (1.0, 0.0)
    scores = rng.normal(same * 2.0, 1)
    of_neighbours = lk.verification_accuracy(scores, same, folds=4)
    given = lk.verification_accuracy(scores, same, folds=4, fold_of_pair=np.repeat(np.arange(4), 50))
    assert of_neighbours == given and 0.7 < given.mean < 1
    accuracies = []
    for k in range(4):
        test = np.repeat(np.arange(4), 50) == k
        thresholds = np.append(np.sort(scores[~test])[::-1], np.inf)
        best = max(((scores[~test] >= t) == same[~test]).mean() for t in thresholds)
        chosen = max(t for t in thresholds if ((scores[~test] >= t) == same[~test]).mean() == best)
        accuracies.append(((scores[test] >= chosen) == same[test]).mean())
    np.testing.assert_allclose(given, (np.mean(accuracies), np.std(accuracies)), **EXACT)
    with pytest.raises(losskit.Error):
        lk.verification_accuracy(scores, same, folds=1)
