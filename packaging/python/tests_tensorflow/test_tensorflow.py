"""losskit.tensorflow: every policy's gradient, in eager code and in graphs; numbers of the C library; what is refused; the example."""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import losskit
import losskit.numpy as lk
import losskit.tensorflow as lt
from every_policy import LOSSES, POINT_LOSSES, SCALE

REPOSITORY = Path(__file__).parents[3]
REDUCTIONS = ["mean", "sum", "none", "batch_mean", "weighted_mean"]


def batch(rows=6, classes=5, dtype=np.float64):
    """Cosines, among them targets past every break, and labels."""
    rng = np.random.default_rng(3)
    cosines = rng.uniform(-0.9, 0.9, (rows, classes))
    labels = np.arange(rows) % classes
    cosines[0, labels[0]], cosines[1, labels[1]] = -0.96, 0.97
    return tf.constant(cosines, dtype), tf.constant(labels)


def points(shape=(3, 4)):
    """Predictions on both sides of every branch, and truths in [0, 1]."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 1, shape)
    prediction = truth + rng.normal(size=shape)
    prediction.reshape(-1)[0] += 20
    return tf.constant(prediction), tf.constant(truth)


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def checked(f, *inputs):
    """Central differences of every element, in eager code and in a graph."""
    for g in (f, tf.function(f, autograph=False)):
        analytic, numeric = tf.test.compute_gradient(g, inputs, delta=1e-6)
        for a, n in zip(analytic, numeric):
            np.testing.assert_allclose(a, n, rtol=1e-6, atol=1e-6)


def value_and_gradient(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_differentiated(loss):
    cosines, labels = batch()
    if "Detached" in loss:  # every slope is 1 by intent: the gradient is the C library's
        theirs = lk.loss_and_gradient(loss, cosines.numpy(), labels.numpy()).gradient
        assert same_bits(value_and_gradient(lambda c: lt.margin_loss(loss, c, labels), cosines)[1], theirs)
    else:
        checked(lambda c: lt.margin_loss(loss, c, labels, rest=0.3 if "CurricularRest" in loss else None), cosines)


@pytest.mark.parametrize("loss", LOSSES)
def test_numbers_are_those_of_the_c_library(loss):
    cosines, labels = batch(dtype=np.float32)
    theirs = lk.loss_and_gradient(loss, cosines.numpy(), labels.numpy())
    for f in (lambda c: lt.margin_loss(loss, c, labels), tf.function(lambda c: lt.margin_loss(loss, c, labels), autograph=False)):
        value, gradient = value_and_gradient(f, cosines)
        assert same_bits(value, np.float32(theirs.loss)) and same_bits(gradient, theirs.gradient)
    assert same_bits(lt.margin_loss(loss, cosines, labels, differentiable=False), value)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_reduction_is_differentiated(reduction):
    cosines, labels = batch()
    labels = tf.constant([0, 1, -100, 3, 4, 0])
    rng = np.random.default_rng(1)
    weights, class_weights = rng.uniform(0.5, 1.5, 6), rng.uniform(0.5, 1.5, 5)
    checked(lambda c, s, m: lt.margin_loss(f"MarginSoftmax(ArcMargin, {SCALE})", c, labels, ignore_index=-100, reduction=reduction,
                                           weights=weights, class_weights=class_weights, scales=s, margins=m),
            cosines, tf.constant(rng.uniform(4, 5, 6)), tf.constant(rng.uniform(0, 0.5, 6)))


@pytest.mark.parametrize("loss", POINT_LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_point_loss_is_differentiated(loss, reduction):
    prediction, truth = points()
    if "SigmoidFocal" in loss:
        truth = tf.cast(truth > 0.5, tf.float64)
    checked(lambda x: lt.point_loss(loss, x, truth, reduction=reduction), prediction)
    checked(lambda x: lt.point_loss(loss, x, truth, reduction=reduction, weights=truth + 1), prediction)


def test_the_cosine_layer_is_differentiated():
    rng = np.random.default_rng(2)
    x, w = tf.constant(rng.normal(size=(4, 3))), tf.constant(rng.normal(size=(5, 3)))
    checked(lt.cosine_layer, x, w)
    checked(lambda x, w: lt.cosine_layer_with_norms(x, w)[1], x, w)
    checked(lambda x, w: tf.concat([tf.reshape(t, [-1]) for t in lt.cosine_layer_with_norms(x, w)], 0), x, w)
    np.testing.assert_allclose(lt.cosine_layer(x, w), tf.math.l2_normalize(x, 1) @ tf.transpose(tf.math.l2_normalize(w, 1)), atol=1e-15)


def test_the_gradient_may_take_the_cosines_memory_and_is_the_same():
    """In a graph, where nobody needs them again; where somebody does, they are kept. More classes than the layer's band."""
    rng = np.random.default_rng(2)
    x, w = (tf.constant(rng.normal(size=s), tf.float32) for s in ((6, 5), (5000, 5)))
    y = tf.constant(np.arange(6) * 700)

    def step(x, w, kept):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            cosines = lt.cosine_layer(x, w)
            loss = lt.margin_loss(lt.ARCFACE, cosines, y)
        return (loss, *tape.gradient(loss, [x, w]), *([cosines] if kept else []))

    eager = step(x, w, True)
    for kept in (False, True):
        for a, b in zip(tf.function(step)(x, w, kept), eager):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert same_bits(eager[3], lk.cosine_layer(x.numpy(), w.numpy()).cosines)


def test_arguments_stay_as_they_are():
    c, y = batch()
    variable, before = tf.Variable(c), c.numpy().copy()
    for f in (lambda c: lt.margin_loss(lt.ARCFACE, c, y), tf.function(lambda c: lt.margin_loss(lt.ARCFACE, c, y), autograph=False)):
        value_and_gradient(f, c)
        with tf.GradientTape() as tape:
            loss = f(variable)
        tape.gradient(loss, variable)
    assert same_bits(c, before) and same_bits(variable, before)


def test_half_precision_is_computed_in_float():
    c, y = batch(dtype=np.float32)
    for dtype in (tf.float16, tf.bfloat16):
        value, gradient = value_and_gradient(lambda c: lt.margin_loss(lt.ARCFACE, c, y), tf.cast(c, dtype))
        wide = value_and_gradient(lambda c: lt.margin_loss(lt.ARCFACE, c, y), tf.cast(tf.cast(c, dtype), tf.float32))
        assert value.dtype == tf.float32 and same_bits(value, wide[0]) and same_bits(gradient, tf.cast(wide[1], dtype))


# --- what is refused ---------------------------------------------------------------------------------------------------------------


def refused(text, **changed):
    c, y = batch()
    given = {"loss": lt.ARCFACE, "cosines": c, "labels": y, **changed}
    before = {name: np.array(x) for name, x in given.items() if tf.is_tensor(x)}
    for f in (lt.margin_loss, lambda **more: tf.function(lambda: lt.margin_loss(**more), autograph=False)()):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            f(**given)
    for name, x in before.items():
        assert same_bits(given[name], x)
    assert np.isfinite(lt.margin_loss(lt.ARCFACE, c, y))


def test_types():
    c, y = batch()
    refused("WrongTypeError: cosines", cosines=tf.cast(c, tf.int32))
    refused("WrongTypeError: cosines", cosines=tf.cast(c, tf.complex64))
    refused("WrongTypeError: labels", labels=tf.cast(y, tf.float32))
    refused("WrongTypeError: weights", weights=y)
    refused("WrongTypeError: .*WingLoss", loss="WingLoss")
    refused("WrongTypeError: .*no policy", loss=3)


def test_ranks_and_shapes():
    c, y = batch()
    refused("ShapeError: cosines must have 2 dimensions, not 1", cosines=c[0])
    refused("ShapeError: cosines must have 2 dimensions, not 3", cosines=c[None])
    refused("ShapeError: labels", labels=y[:-1])
    refused("ShapeError: labels must have 1 dimension, not 2", labels=y[:, None])
    for name, size in (("weights", 5), ("weights", 0), ("class_weights", 6), ("scales", 7)):
        refused("ShapeError", **{name: tf.ones(size, tf.float64)})
    for x, w in (((3, 4), (5, 6)), ((3,), (5, 3)), ((3, 4), (4,))):
        with pytest.raises(tf.errors.InvalidArgumentError, match="ShapeError"):
            lt.cosine_layer(tf.ones(x), tf.ones(w))
    x, t = points()
    for more in ({"truth": t[:2]}, {"truth": tf.reshape(t, (4, 3))}, {"weights": tf.ones(3, tf.float64)}):
        with pytest.raises(tf.errors.InvalidArgumentError, match="ShapeError"):
            lt.point_loss(**{"loss": "WingLoss", "prediction": x, "truth": t, **more})


def test_values_and_parameters():
    c, y = batch()
    for bad in (5, -1, 2**40):
        refused(rf"LabelError: labels\[3\] = {bad} ", labels=tf.constant([0, 1, 2, bad, 4, 0], tf.int64))
    refused("ParameterError: .*weights", weights=-tf.ones(6, tf.float64))
    refused("ParameterError: .*margin", loss="MarginSoftmax(SphereMargin)", margins=tf.ones(6, tf.float64))
    refused("ParameterError: reduction", reduction="median")
    refused("ParameterError: .*ArcMargin", loss="MarginSoftmax(ArcMargn)")
    refused("ParameterError: .*m = 9", loss="MarginSoftmax(ArcMargin(m=9))")


def test_gradients_that_there_are_not():
    c, y = batch()
    x, t = points()
    for f, at in ((lambda c: lt.margin_loss(lt.ARCFACE, c, y), c), (lambda x: lt.point_loss("WingLoss", x, t), x),
                  (lambda x: tf.reduce_sum(lt.cosine_layer(x, c) ** 2), x[:, :1] * np.ones((1, 5)))):
        with tf.GradientTape() as outer:
            outer.watch(at)
            gradient = value_and_gradient(f, at)[1]
        with pytest.raises(LookupError, match="second derivative"):
            outer.gradient(gradient, at)
    with pytest.raises(LookupError, match="differentiable=False"):
        value_and_gradient(lambda c: lt.margin_loss(lt.ARCFACE, c, y, differentiable=False), c)
    weights = tf.ones(6, tf.float64)
    assert value_and_gradient(lambda w: lt.margin_loss(lt.ARCFACE, c, y, weights=w), weights)[1] is None


def test_empty_and_small():
    for rows, classes in ((0, 3), (1, 1), (2, 1)):
        f = lambda c: lt.margin_loss(lt.ARCFACE, c, tf.zeros(c.shape[0], tf.int32))  # noqa: E731
        value, gradient = value_and_gradient(f, tf.zeros((rows, classes)))
        assert np.isfinite(value) and gradient.shape == (rows, classes) and np.isfinite(gradient).all()
    for shape in ((), (0,), (5,), (2, 0, 3), (2, 3, 4)):
        x = tf.fill(shape, 0.5)
        assert lt.point_loss("WingLoss", x, tf.zeros(shape), reduction="none").shape == shape
        assert value_and_gradient(lambda x: lt.point_loss("WingLoss", x, tf.zeros(shape)), x)[1].shape == shape


# --- the whole -----------------------------------------------------------------------------------------------------------------------


def test_another_version_of_tensorflow_is_refused():
    code = "import tensorflow as tf; tf.__version__ = '1.2.3'; import losskit.tensorflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and f"built for TensorFlow {tf.__version__}; this is 1.2.3" in done.stderr


def test_a_graph_serves_any_batch():
    """Traced once with unknown sizes."""
    f = tf.function(lambda c, y: lt.margin_loss(lt.ARCFACE, c, y), autograph=False,
                    input_signature=[tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.int64)])
    for rows, classes in ((6, 5), (3, 7)):
        c, y = batch(rows, classes, np.float32)
        y = tf.cast(y, tf.int64)
        assert same_bits(f(c, y), lt.margin_loss(lt.ARCFACE, c, y))
        assert same_bits(value_and_gradient(lambda c: f(c, y), c)[1], value_and_gradient(lambda c: lt.margin_loss(lt.ARCFACE, c, y), c)[1])


def test_the_example_runs():
    program = REPOSITORY / "examples" / "tensorflow" / "train.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "apart" in done.stdout, done.stdout + done.stderr


def test_the_code_of_the_readme():
    part = (REPOSITORY / "README.md").read_text().split("### TensorFlow\n", 1)[1].split("\n#", 1)[0]
    (block,) = re.findall(r"^```py\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"# prints (.*)", block)
    run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and printed in run.stdout, run.stdout + run.stderr


def test_the_operators_need_tensorflow_and_losskit_alone():
    library = Path(losskit.__file__).parent / "lib" / "liblosskit_tensorflow.so"
    out = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"NEEDED.*\[(.*?)\]", out)) <= {
        "liblosskit.so", "libtensorflow_framework.so.2", "libstdc++.so.6", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0",
        "ld-linux-x86-64.so.2"}, out
