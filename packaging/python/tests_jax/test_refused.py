"""Bad input: an error that says what is wrong, nothing written, and the next call works."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import losskit
import losskit.jax as lj
from problems import batch, points, refusals, same_bits


def refused(error, text, **changed):
    """margin_loss with these arguments in place of good ones: when it is traced, with jit and without."""
    cosines, labels = batch()
    given = {"loss": lj.ARCFACE, "cosines": cosines, "labels": labels, **changed}
    loss = given.pop("loss")
    arrays = {name: x for name, x in given.items() if hasattr(x, "shape")}
    others = {name: x for name, x in given.items() if name not in arrays}
    before = {name: np.array(x) for name, x in arrays.items()}
    f = lambda **arrays: lj.margin_loss(loss, **arrays, **others)  # noqa: E731
    for call in (f, jax.jit(f)):
        with pytest.raises(error, match=text):
            jax.block_until_ready(call(**arrays))
    for name, x in arrays.items():
        assert same_bits(x, before[name])
    assert np.isfinite(lj.margin_loss(lj.ARCFACE, cosines, labels))


def test_types():
    c, y = batch()
    refused(losskit.WrongTypeError, "cosines", cosines=c.astype(int))
    refused(losskit.WrongTypeError, "cosines", cosines=c.astype(complex))
    refused(losskit.WrongTypeError, "labels", labels=y.astype(float))
    refused(losskit.WrongTypeError, "labels", labels=y > 1)
    refused(losskit.WrongTypeError, "labels", labels=[0, 1, 2, 3, 4, 0])
    refused(losskit.WrongTypeError, "weights", weights=y)
    refused(losskit.WrongTypeError, "scale", scale=jnp.asarray(True))
    refused(losskit.WrongTypeError, "WingLoss", loss="WingLoss")
    refused(losskit.WrongTypeError, "no policy", loss=3)


def test_ranks_and_shapes():
    c, y = batch()
    refused(losskit.ShapeError, "cosines", cosines=c[0])
    refused(losskit.ShapeError, "cosines", cosines=c.reshape(2, 3, 5))
    refused(losskit.ShapeError, "labels", labels=y[:-1])
    refused(losskit.ShapeError, "labels", labels=y[:, None])
    refused(losskit.ShapeError, "weights", weights=jnp.ones(5))
    refused(losskit.ShapeError, "weights", weights=jnp.ones(0))
    refused(losskit.ShapeError, "class_weights", class_weights=jnp.ones(6))
    refused(losskit.ShapeError, "scales", scales=jnp.ones(7))
    refused(losskit.ShapeError, "scale", scale=jnp.ones(2))
    refused(losskit.ShapeError, "rest", rest=jnp.ones(2))
    for x, w in (((3, 4), (5, 6)), ((3,), (5, 3)), ((3, 4), (4,))):
        with pytest.raises(losskit.ShapeError):
            lj.cosine_layer(jnp.ones(x), jnp.ones(w))
    with pytest.raises(losskit.WrongTypeError):
        lj.cosine_layer(jnp.ones((3, 4)), jnp.ones((5, 4), np.float32))


def test_parameters():
    refused(losskit.ParameterError, "reduction", reduction="median")
    refused(losskit.ParameterError, "ArcMargin", loss="MarginSoftmax(ArcMargn)")
    refused(losskit.ParameterError, "m = 9", loss="MarginSoftmax(ArcMargin(m=9))")


def test_values():
    """Known only when it runs: XLA's INVALID_ARGUMENT with losskit's text."""
    c, y = batch()
    for bad in (5, -1, 2**40):
        refused(refusals(), rf"LabelError: labels\[3\] = {bad} ", labels=y.at[3].set(bad))
    refused(refusals(), "ParameterError: .*weights", weights=-jnp.ones(6))
    refused(refusals(), "ParameterError: .*margin", loss="MarginSoftmax(SphereMargin)", margins=jnp.ones(6))
    refused(refusals(), "ParameterError: .*scale", scale=jnp.asarray(-1.0))


@pytest.mark.parametrize("rows, classes", [(6, 5), (300, 2000)])
def test_every_function_refuses_a_label_and_goes_on(rows, classes):
    """In a training step, of a size that JAX runs at once and one that it runs later."""
    c, y = batch(rows, classes)
    wrong = y.at[rows - 1].set(classes)
    says = rf"LabelError: labels\[{rows - 1}\] = {classes} "
    for f in (lambda c, y: lj.margin_loss(lj.ARCFACE, c, y), lambda c, y: lj.margin_loss(lj.ARCFACE, c * 1.01, y, in_place=True),
              lambda c, y: lj.logits(lj.ARCFACE, c, y).sum()):
        for g in (jax.grad(f), jax.jit(jax.grad(f)), jax.jit(f)):
            good = np.array(g(c, y))
            with pytest.raises(refusals(), match=says):
                jax.block_until_ready(g(c, wrong))
            assert same_bits(g(c, y), good)
    with pytest.raises(refusals(), match=says):
        jax.block_until_ready(lj.advance("AdaCosScale(classes=5)", lj.start("AdaCosScale(classes=5)"), c, wrong))


def test_gradients_that_there_are_not():
    c, y = batch()
    loss = "MarginSoftmax(ArcMargin, 16, CrossEntropy, CurricularRest)"
    for name, x in (("weights", jnp.ones(6)), ("class_weights", jnp.ones(5)), ("scale", jnp.asarray(4.0)), ("rest", jnp.asarray(0.3))):
        f = lambda x, name=name: lj.margin_loss(loss, c, y, **{name: x})  # noqa: E731
        for g in (jax.grad(f), jax.jit(jax.grad(f)), jax.grad(jax.jit(f))):
            with pytest.raises(losskit.WrongTypeError, match=f"{name} is differentiated"):
                g(x)
        g = jax.grad(lambda c, x: lj.margin_loss(loss, c, y, **{name: jax.lax.stop_gradient(x)}), (0, 1))(c, x)
        assert g[0].any() and not g[1].any()
    x, t = points()
    with pytest.raises(losskit.WrongTypeError, match="truth is differentiated"):
        jax.grad(lambda t: lj.point_loss("WingLoss", x, t))(t)


def test_a_second_derivative_is_refused():
    c, y = batch()
    x, t = points()
    for f, at in ((lambda c: lj.margin_loss(lj.ARCFACE, c, y), c), (lambda c: lj.logits(lj.ARCFACE, c, y).sum(), c),
                  (lambda x: lj.point_loss("WingLoss", x, t), x), (lambda x: lj.cosine_layer(x, c).sum(), c)):
        with pytest.raises(ValueError, match="cannot be differentiated"):
            jax.grad(lambda at: jax.grad(f)(at).sum())(at)
        with pytest.raises(TypeError, match="jvp"):
            jax.jvp(f, (at,), (at,))


def test_point_losses():
    x, t = points()
    for error, a, b, more in ((losskit.ShapeError, x, t[:2], {}), (losskit.ShapeError, x, t.reshape(4, 3), {}),
                              (losskit.WrongTypeError, x.astype(int), t, {}), (losskit.ShapeError, x, t, {"weights": jnp.ones(3)}),
                              (losskit.ParameterError, x, t, {"reduction": "middle"}),
                              (losskit.WrongTypeError, x, t, {"loss": "MarginSoftmax"}),
                              (refusals(), x, t, {"weights": -jnp.ones((3, 4))})):
        with pytest.raises(error):
            jax.block_until_ready(lj.point_loss(**{"loss": "WingLoss", "prediction": a, "truth": b, **more}))
        assert np.isfinite(lj.point_loss("WingLoss", x, t))


# --- the handlers themselves, which anyone may call ----------------------------------------------------------------------------------


def handler(name, results, *inputs, **attributes):
    return jax.ffi.ffi_call(f"losskit_{name}", [jax.ShapeDtypeStruct(s, t) for s, t in results])(*inputs, **attributes)


def of_loss(c, y, *others, gradient=None, loss=((), np.float64), **attributes):
    nothing = jnp.zeros(0)
    gradient = gradient or (c.shape, c.dtype)
    inputs = list(others) + [nothing] * (6 - len(others))
    attributes = {"policy": lj.ARCFACE, "reduction": np.int32(0), "ignore": np.int64(-100), **attributes}
    return handler("loss_and_gradient", [loss, gradient, ((0,), np.float64), ((0,), np.float64)], c, y, *inputs, **attributes)


def test_a_handler_checks_for_itself():
    c, y = batch()
    loss, gradient, *_ = of_loss(c, y)
    for says, call in ((r"WrongTypeError: cosines", lambda: of_loss(c.astype(np.float16), y)),
                       (r"WrongTypeError", lambda: of_loss(c, y.astype(float))),
                       (r"WrongTypeError", lambda: of_loss(c.astype(int), y, gradient=(c.shape, np.float64))),
                       (r"ShapeError: cosines must have 2 dimensions, not 3", lambda: of_loss(c[None], y)),
                       (r"ShapeError: labels must have 1 dimension, not 2", lambda: of_loss(c, y[:, None])),
                       (r"ShapeError", lambda: of_loss(c, y[:-1])), (r"ShapeError", lambda: of_loss(c, y, jnp.ones(5))),
                       (r"ShapeError", lambda: of_loss(c, y, gradient=((5, 5), np.float64))),
                       (r"WrongTypeError", lambda: of_loss(c, y, gradient=(c.shape, np.float32))),
                       (r"ShapeError", lambda: of_loss(c, y, loss=((3,), np.float64))),
                       (r"ShapeError", lambda: of_loss(c, y, loss=((), np.float64), reduction=np.int32(2))),
                       (r"ParameterError", lambda: of_loss(c, y, reduction=np.int32(9))),
                       (r"WrongTypeError|ParameterError", lambda: of_loss(c, y, policy="WingLoss")),
                       (r"ParameterError", lambda: of_loss(c, y, policy="Nothing")),
                       (r"ShapeError", lambda: handler("cosine_layer_backward", [(c.shape, c.dtype), ((5, 3), c.dtype)], c, jnp.zeros(0), c,
                                                       jnp.ones((5, 3)), jnp.ones(6), jnp.ones(5))),
                       (r"ShapeError", lambda: handler("point_loss", [((), np.float64)], c, c[:3], jnp.zeros(0), policy="WingLoss",
                                                       reduction=np.int32(0))),
                       (r"ShapeError: truth", lambda: handler("point_loss", [((), np.float64)], c, c[..., None], jnp.zeros(0),
                                                              policy="WingLoss", reduction=np.int32(0))),
                       (r"ShapeError", lambda: handler("advance", [((1,), np.float64), ((3,), np.int32)], jnp.ones(1),
                                                       jnp.zeros(2, np.int32), c, y, policy="AdaCosScale(classes=5)",
                                                       ignore=np.int64(-1)))):
        with pytest.raises(refusals(), match=says):
            jax.block_until_ready(call())
        again = of_loss(c, y)
        assert same_bits(again[0], loss) and same_bits(again[1], gradient)
