"""What the tests share: batches to try every policy on."""
import jax
import jax.numpy as jnp
import numpy as np


def batch(rows=6, classes=5, dtype=np.float64):
    """Cosines, among them targets past every break, and labels."""
    rng = np.random.default_rng(3)
    cosines = rng.uniform(-0.9, 0.9, (rows, classes))
    labels = np.arange(rows) % classes
    cosines[0, labels[0]], cosines[1, labels[1]] = -0.96, 0.97
    return jnp.asarray(cosines, dtype), jnp.asarray(labels)


def points(shape=(3, 4), dtype=np.float64):
    """Predictions on both sides of every branch, and truths in [0, 1]."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 1, shape)
    prediction = truth + rng.normal(size=shape)
    prediction.reshape(-1)[0] += 20
    return jnp.asarray(prediction, dtype), jnp.asarray(truth, dtype)


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def refusals():
    """What JAX makes of a handler's INVALID_ARGUMENT."""
    return (ValueError, jax.errors.JaxRuntimeError)
