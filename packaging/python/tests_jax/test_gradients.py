"""The gradient is the derivative of the loss, for every policy; under jit, vmap, checkpoint and scan; numbers are the C library's."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import losskit
import losskit.jax as lj
import losskit.numpy as lk
from every_policy import LOSSES, MARGINS, POINT_LOSSES, RESTS, SCALE
from problems import batch, points, same_bits

REDUCTIONS = ["mean", "sum", "none", "batch_mean", "weighted_mean"]


def checked(f, *inputs):
    """Central differences along a random direction, with and without jit."""
    for g in (f, jax.jit(f)):
        check_grads(g, inputs, order=1, modes=("rev",), eps=1e-6, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_differentiated(loss):
    cosines, labels = batch()
    rest = 0.3 if "CurricularRest" in loss else None
    if "Detached" in loss:  # every slope is 1 by intent: the margin moves the value only
        def free(c):
            z = jax.lax.stop_gradient(lj.logits(loss, cosines, labels)) + SCALE * (c - cosines)
            return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(6), labels])

        ours = jax.grad(lambda c: lj.margin_loss(loss, c, labels))(cosines)
        np.testing.assert_allclose(ours, jax.grad(free)(cosines), rtol=1e-12, atol=1e-15)
    else:
        checked(lambda c: lj.margin_loss(loss, c, labels, rest=rest), cosines)


@pytest.mark.parametrize("loss", LOSSES)
def test_numbers_are_those_of_the_c_library(loss):
    cosines, labels = batch(dtype=np.float32)
    ours = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(loss, c, labels)))(cosines)
    theirs = lk.loss_and_gradient(loss, np.asarray(cosines), np.asarray(labels))
    assert same_bits(ours[0], np.float32(theirs.loss)) and same_bits(ours[1], theirs.gradient)
    assert same_bits(lj.margin_loss(loss, cosines, labels), np.float32(lk.loss_value(loss, np.asarray(cosines), np.asarray(labels)).loss))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_reduction_is_differentiated(reduction):
    cosines, labels = batch()
    labels = labels.at[2].set(-100)
    rng = np.random.default_rng(1)
    weights, class_weights = rng.uniform(0.5, 1.5, 6), rng.uniform(0.5, 1.5, 5)

    def f(c, scales, margins):
        return lj.margin_loss(f"MarginSoftmax(ArcMargin, {SCALE})", c, labels, ignore_index=-100, reduction=reduction, weights=weights,
                              class_weights=class_weights, scales=scales, margins=margins)

    checked(f, cosines, rng.uniform(4, 5, 6), rng.uniform(0, 0.5, 6))
    gradient = jax.jacrev(f)(cosines, jnp.full(6, 4.0), jnp.full(6, 0.2))
    assert (np.asarray(gradient)[..., 2, :] == 0).all()


@pytest.mark.parametrize("loss", POINT_LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_point_loss_is_differentiated(loss, reduction):
    prediction, truth = points()
    if "SigmoidFocal" in loss:
        truth = (truth > 0.5).astype(float)
    checked(lambda x: lj.point_loss(loss, x, truth, reduction=reduction), prediction)
    checked(lambda x: lj.point_loss(loss, x, truth, reduction=reduction, weights=truth + 1), prediction)


@pytest.mark.parametrize("margin", [m for m in MARGINS if "Detached" not in m])  # whose slope is 1 by intent
def test_the_margin_layer_is_differentiated(margin):
    cosines, labels = batch()
    labels = labels.at[3].set(-1)
    checked(lambda c, s: lj.logits(f"MarginSoftmax({margin})", c, labels, ignore_index=-1, scales=s), cosines, jnp.linspace(2, 9, 6))


@pytest.mark.parametrize("rest", RESTS)
def test_the_margin_layer_takes_every_rest_rule(rest):
    cosines, labels = batch()
    loss = f"MarginSoftmax(ArcMargin(m=0.3), {SCALE}, CrossEntropy, {rest})"
    checked(lambda c: lj.logits(loss, c, labels), cosines)
    apart = -jnp.mean(jax.nn.log_softmax(lj.logits(loss, cosines, labels))[jnp.arange(6), labels])
    np.testing.assert_allclose(lj.margin_loss(loss, cosines, labels), apart, rtol=1e-14)


def test_the_cosine_layer_is_differentiated():
    rng = np.random.default_rng(2)
    x, w = jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=(5, 3)))
    checked(lj.cosine_layer_with_norms, x, w)
    checked(lj.cosine_layer, x, w)
    checked(lambda x: lj.cosine_layer(x, w), x)
    checked(lambda w: lj.cosine_layer(x, w), w)
    checked(lambda x: lj.cosine_layer_with_norms(x, w)[1], x)
    unit = lambda a: a / jnp.linalg.norm(a, axis=1, keepdims=True)  # noqa: E731
    np.testing.assert_allclose(lj.cosine_layer(x, w), unit(x) @ unit(w).T, rtol=0, atol=1e-15)


def test_the_centres_gradient_is_the_same_where_it_takes_their_place():
    """Some thousand classes at a time: with more than that."""
    rng = np.random.default_rng(2)
    x, w = (jnp.asarray(rng.normal(size=s), np.float32) for s in ((6, 5), (5000, 5)))
    weights = jnp.asarray(rng.normal(size=(6, 5000)), np.float32)
    ours = jax.jit(jax.grad(lambda x, w: (lj.cosine_layer(x, w) * weights).sum(), (0, 1)))(x, w)
    unit = lambda a: a / jnp.linalg.norm(a, axis=1, keepdims=True)  # noqa: E731
    plain = jax.grad(lambda x, w: (unit(x) @ unit(w).T * weights).sum(), (0, 1))(x, w)
    for a, b in zip(ours, plain):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_row_s_norm_as_its_scale_is_differentiated():
    rng = np.random.default_rng(2)
    x, w = jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=(5, 3)))

    def f(x):
        cosines, norms = lj.cosine_layer_with_norms(x, w)
        return lj.margin_loss("MarginSoftmax(SphereMargin)", cosines, jnp.arange(4), scales=lj.row_scales("FeatureNorm(low=1.5)", norms))

    checked(f, x)


# --- transformations ---------------------------------------------------------------------------------------------------------------


def loss_of(c, labels, **more):
    return lj.margin_loss(lj.ARCFACE, c, labels, **more)


def test_vmap_is_one_call_after_another():
    c, y = batch()
    many = jnp.stack([c, c * 0.5, -c])
    each = [jax.value_and_grad(loss_of)(one, y) for one in many]
    for f in (jax.vmap(jax.value_and_grad(loss_of), (0, None)), jax.jit(jax.vmap(jax.value_and_grad(loss_of), (0, None)))):
        values, gradients = f(many, y)
        assert same_bits(values, jnp.stack([v for v, _ in each])) and same_bits(gradients, jnp.stack([g for _, g in each]))
    several = jnp.stack([y, (y + 1) % 5, (y + 2) % 5])
    assert same_bits(jax.vmap(loss_of)(many, several), jnp.stack([loss_of(a, b) for a, b in zip(many, several)]))
    assert same_bits(jax.vmap(lambda b: loss_of(c, b))(several), jnp.stack([loss_of(c, b) for b in several]))
    checked(lambda many: jax.vmap(lambda c: loss_of(c, y, reduction="none"))(many), many)
    checked(lambda many: jax.vmap(lambda c: lj.point_loss("WingLoss", c, jnp.full(c.shape, 0.1)))(many), many)
    checked(lambda many: jax.vmap(lambda x: lj.cosine_layer(x, c))(many), many)
    x = jax.vmap(lambda c: lj.logits(lj.ARCFACE, c, y))(many)
    assert same_bits(x[1], lj.logits(lj.ARCFACE, many[1], y))


def test_upstream_multiplies():
    c, y = batch()
    one, four = (jax.grad(lambda c, k=k: k * loss_of(c, y))(c) for k in (1.0, 4.0))
    assert same_bits(four, one * 4)
    value, back = jax.vjp(lambda c: loss_of(c, y, reduction="none"), c)
    rows = np.asarray(jax.vmap(lambda e: back(e)[0])(jnp.eye(6)))
    np.testing.assert_allclose(back(jnp.arange(1.0, 7))[0], (rows * np.arange(1.0, 7)[:, None, None]).sum(0), rtol=1e-15)


def test_checkpoint_and_scan():
    c, y = batch()
    plain = jax.grad(loss_of)(c, y)
    assert same_bits(jax.grad(jax.checkpoint(loss_of))(c, y), plain)

    def steps(c):
        return jax.lax.scan(lambda at, _: (at - 0.01 * jax.grad(loss_of)(at, y), loss_of(at, y)), c, length=3)[1]

    losses = steps(c)
    at = c
    for k in range(3):
        assert abs(losses[k] - loss_of(at, y)) < 1e-12
        at = at - 0.01 * jax.grad(loss_of)(at, y)
    through = jax.grad(lambda c: jax.lax.scan(lambda total, one: (total + loss_of(one, y), None), 0.0, jnp.stack([c, c]))[0])(c)
    np.testing.assert_allclose(through, 2 * plain, rtol=1e-15)


@pytest.mark.parametrize("loss", ["SoftmaxLoss", lj.ARCFACE, "MarginSoftmax(ArcMargin, 8, FocalLoss)"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_in_place_has_the_same_bits(loss, reduction):
    c, y = batch()
    results = []
    for in_place in (False, True):
        # Cosines that the same jit computes, and those that it is given; some that something else needs.
        f = lambda c: lj.margin_loss(loss, jnp.sin(c), y, reduction=reduction, in_place=in_place).sum()  # noqa: E731
        g = lambda c: lj.margin_loss(loss, c, y, reduction=reduction, in_place=in_place).sum() + (c * c).sum()  # noqa: E731
        results.append([jax.jit(jax.value_and_grad(f))(c), jax.jit(jax.value_and_grad(g))(c), jax.value_and_grad(g)(c),
                        jax.jit(jax.vmap(jax.value_and_grad(f)))(jnp.stack([c, c / 2]))])
        given = jnp.array(c)
        donated = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(loss, c, y, in_place=in_place)), donate_argnums=0)(given)
        results[-1].append(donated)
    for a, b in zip(*map(jax.tree.leaves, results)):
        assert same_bits(a, b)


def test_in_place_takes_the_cosines_memory():
    """Those that are donated, and those that the same jit computes: a matrix less each."""
    c, y = batch(64, 1000)

    def temporary(of, in_place, **more):
        f = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(lj.ARCFACE, of(c), y, in_place=in_place)), **more)
        memory = f.lower(c).compile().memory_analysis()
        return memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes

    for of, more in ((lambda c: c, {"donate_argnums": 0}), (jnp.sin, {})):
        assert temporary(of, True, **more) + c.nbytes <= temporary(of, False, **more)


def test_arguments_stay_as_they_are():
    c, y = batch()
    before = np.array(c)
    for in_place in (False, True):
        jax.jit(jax.value_and_grad(lambda c: loss_of(c, y, in_place=in_place)))(c)
        jax.value_and_grad(lambda c: loss_of(c, y, in_place=in_place))(c)
    lj.logits(lj.ARCFACE, c, y)
    assert same_bits(c, before)


def test_half_precision_is_computed_in_float():
    c, y = batch(dtype=np.float32)
    for dtype in (jnp.float16, jnp.bfloat16):
        value, gradient = jax.value_and_grad(loss_of)(c.astype(dtype), y)
        wide, wide_gradient = jax.value_and_grad(loss_of)(c.astype(dtype).astype(np.float32), y)
        assert value.dtype == np.float32 and same_bits(value, wide)
        assert gradient.dtype == dtype and same_bits(gradient, wide_gradient.astype(dtype))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_labels_of_any_integer_type(dtype):
    c, y = batch()
    assert same_bits(loss_of(c, y.astype(dtype)), loss_of(c, y))


def test_objects_are_policies_too():
    c, y = batch()
    loss = losskit.MarginSoftmax(losskit.ArcMargin(m=0.3), scale=16, objective=losskit.FocalLoss(gamma=2))
    assert same_bits(lj.margin_loss(loss, c, y), lj.margin_loss(loss.text, c, y))
    static = jax.jit(lj.margin_loss, static_argnums=0)
    assert same_bits(static(loss, c, y), lj.margin_loss(loss, c, y))


# --- states ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy, word", [("AdaCosScale(classes=5)", "scale"), ("CurricularRest", "rest")])
def test_states_follow_training(policy, word):
    c, y = batch()
    state, theirs = lj.start(policy, c.dtype), losskit.start(policy)
    step = jax.jit(lambda state, c: lj.advance(policy, state, c, y))
    for k in range(3):
        state, theirs = step(state, c / (k + 1)), lk.advance(policy, theirs, np.asarray(c / (k + 1)), np.asarray(y))
        assert (float(state.value), *state.counts.tolist()) == (theirs.value, theirs.steps, theirs.kept)
    loss = "MarginSoftmax(NoMargin)" if word == "scale" else "MarginSoftmax(ArcMargin, 16, CrossEntropy, CurricularRest)"
    ours = lj.margin_loss(loss, c, y, **{word: state.value})
    assert float(ours) == lk.loss_value(loss, np.asarray(c), np.asarray(y), **{word: theirs.value}).loss
    assert jax.grad(lambda c: lj.advance(policy, state, c, y).value)(c).any() == False  # noqa: E712


def test_adaptive_wing_weights():
    rng = np.random.default_rng(0)
    heat = rng.uniform(0, 0.3, (2, 3, 6, 7))
    for shape in ((6, 7), (3, 6, 7), (2, 3, 6, 7)):
        one = heat.reshape(-1, *shape)[0] if len(shape) < 4 else heat
        assert same_bits(jax.jit(lj.adaptive_wing_weights)(one), lk.adaptive_wing_weights(one))


def test_empty_and_small():
    for rows, classes in ((0, 3), (1, 1), (2, 1)):
        c = jnp.zeros((rows, classes))
        value, gradient = jax.value_and_grad(loss_of)(c, jnp.zeros(rows, int))
        assert np.isfinite(value) and gradient.shape == c.shape and np.isfinite(gradient).all()
    ignored = jax.grad(lambda c: loss_of(c, jnp.full(2, -100), ignore_index=-100))(jnp.zeros((2, 3)))
    assert (ignored == 0).all()
    for shape in ((), (0,), (5,), (2, 0, 3), (2, 3, 4)):
        x = jnp.full(shape, 0.5)
        assert lj.point_loss("WingLoss", x, x * 0, reduction="none").shape == shape
        assert jax.grad(lambda x: lj.point_loss("WingLoss", x, jnp.zeros(shape)))(x).shape == shape
