"""Trains a small network with losskit's ArcFace, and again from the same seed with ArcFace written in jax.numpy: one curve, twice.

    python examples/jax/train.py [--steps 50]

Float64, so that what is left between the curves is rounding: it exits with 1 where they differ by more than 1e-9 of a loss.
"""
import argparse

import jax
import jax.numpy as jnp

import losskit
import losskit.jax as lj

PEOPLE, PICTURE, EMBEDDING, BATCH, SCALE, MARGIN = 40, 24, 16, 32, 32.0, 0.4
ARCFACE = losskit.MarginSoftmax(losskit.ArcMargin(m=MARGIN), scale=SCALE)


def losskit_head(embeddings, centres, labels):
    return lj.margin_loss(ARCFACE, lj.cosine_layer(embeddings, centres), labels, in_place=True)


def plain_head(embeddings, centres, labels):
    """ArcFace as one would write it, with SphereFace's monotone psi past pi, losskit's default: -cos(theta + m) - 2."""
    unit = lambda a: a / jnp.linalg.norm(a, axis=1, keepdims=True)  # noqa: E731
    cosines = unit(embeddings) @ unit(centres).T
    rows = jnp.arange(len(labels))
    phi = jnp.arccos(cosines[rows, labels]) + MARGIN
    psi = jnp.where(phi <= jnp.pi, jnp.cos(phi), -jnp.cos(phi) - 2)
    return -jnp.mean(jax.nn.log_softmax(SCALE * cosines.at[rows, labels].set(psi))[rows, labels])


def train(head, steps):
    """The loss of each step. Faces are drawn around a mean for each person."""
    keys = jax.random.split(jax.random.key(7), 4)
    weights = {"first": jax.random.normal(keys[0], (PICTURE, 64)) / PICTURE**0.5,
               "second": jax.random.normal(keys[1], (64, EMBEDDING)) / 8, "centres": jax.random.normal(keys[2], (PEOPLE, EMBEDDING))}
    people = jax.random.normal(keys[3], (PEOPLE, PICTURE))

    def loss(weights, pictures, labels):
        embeddings = jax.nn.leaky_relu(pictures @ weights["first"]) @ weights["second"]
        return head(embeddings, weights["centres"], labels)

    @jax.jit
    def step(weights, speed, key):
        of_labels, of_noise = jax.random.split(key)
        labels = jax.random.randint(of_labels, (BATCH,), 0, PEOPLE)
        pictures = people[labels] + 0.3 * jax.random.normal(of_noise, (BATCH, PICTURE))
        value, gradient = jax.value_and_grad(loss)(weights, pictures, labels)
        speed = jax.tree.map(lambda v, g: 0.9 * v + g, speed, gradient)
        return jax.tree.map(lambda w, v: w - 0.05 * v, weights, speed), speed, value

    speed, losses = jax.tree.map(jnp.zeros_like, weights), []
    for key in jax.random.split(jax.random.key(8), steps):
        weights, speed, value = step(weights, speed, key)
        losses.append(float(value))
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    steps = parser.parse_args().steps
    jax.config.update("jax_enable_x64", True)
    ours, plain = train(losskit_head, steps), train(plain_head, steps)
    for step in sorted({*range(0, steps, 10), steps - 1}):
        print(f"step {step:3d}   losskit {ours[step]:.12f}   plain jax {plain[step]:.12f}")
    apart = max(abs(a - b) / abs(b) for a, b in zip(ours, plain))
    print(f"at most {apart:.1e} apart")
    return apart > 1e-9


if __name__ == "__main__":
    raise SystemExit(main())
