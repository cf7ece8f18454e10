"""Trains a small network with AM-softmax as a Keras layer of losskit's, and again with Additive-Margin-Softmax's graph: one curve, twice.

    python examples/tensorflow/train.py [--steps 50]

Float64, so that what is left between the curves is rounding: it exits with 1 where they differ by more than 1e-9 of a loss.
"""
import argparse

import keras
import tensorflow as tf

import losskit
import losskit.tensorflow as lt

PEOPLE, PICTURE, EMBEDDING, BATCH = 40, 24, 16, 32


class AMSoftmax(keras.layers.Layer):
    """The head of a network: the loss of embeddings (B x D) and labels (B). Additive-Margin-Softmax fixes s = 30 and m = 0.35."""

    def __init__(self, people, s=30.0, m=0.35, **more):
        super().__init__(**more)
        self.people = people
        self.loss = losskit.MarginSoftmax(losskit.CosMargin(m=m), scale=s)

    def build(self, shape):
        self.centres = self.add_weight(shape=(self.people, shape[-1]), initializer=keras.initializers.GlorotUniform(seed=5), name="centres")

    def call(self, embeddings, labels):
        return lt.margin_loss(self.loss, lt.cosine_layer(embeddings, tf.convert_to_tensor(self.centres)), labels)


class ItsOwnGraph(AMSoftmax):
    """The same in the steps of Additive-Margin-Softmax's AM_logits_compute, then the mean cross-entropy."""

    def call(self, embeddings, labels):
        unit_w = tf.math.l2_normalize(tf.transpose(tf.convert_to_tensor(self.centres)), 0, 1e-10)
        cosines = tf.clip_by_value(tf.math.l2_normalize(embeddings, 1, 1e-10) @ unit_w, -1, 1)
        logits = 30.0 * tf.where(tf.one_hot(labels, self.people) == 1, cosines - 0.35, cosines)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def train(head, steps):
    """The loss of each step. Faces are drawn around a mean for each person."""
    seeded = lambda seed: keras.initializers.GlorotUniform(seed=seed)  # noqa: E731
    body = keras.Sequential([keras.layers.Dense(64, "relu", kernel_initializer=seeded(1)),
                             keras.layers.Dense(EMBEDDING, kernel_initializer=seeded(2))])
    optimiser = keras.optimizers.SGD(0.05, momentum=0.9)
    people = tf.random.stateless_normal((PEOPLE, PICTURE), (7, 0), dtype=tf.float64)
    body.build((BATCH, PICTURE))
    head.build((BATCH, EMBEDDING))
    weights = [w.value for w in body.trainable_variables + head.trainable_variables]

    @tf.function
    def step(seed):
        labels = tf.random.stateless_uniform((BATCH,), tf.stack([8, seed]), minval=0, maxval=PEOPLE, dtype=tf.int32)
        pictures = tf.gather(people, labels) + 0.3 * tf.random.stateless_normal((BATCH, PICTURE), tf.stack([9, seed]), dtype=tf.float64)
        with tf.GradientTape() as tape:
            loss = head(body(pictures), labels)
        return loss, tape.gradient(loss, weights)

    losses = []
    for seed in range(steps):
        loss, gradients = step(tf.constant(seed))
        optimiser.apply(gradients, body.trainable_variables + head.trainable_variables)
        losses.append(float(loss))
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    steps = parser.parse_args().steps
    keras.backend.set_floatx("float64")
    ours, own = train(AMSoftmax(PEOPLE), steps), train(ItsOwnGraph(PEOPLE), steps)
    for step in sorted({*range(0, steps, 10), steps - 1}):
        print(f"step {step:3d}   losskit {ours[step]:.12f}   its own graph {own[step]:.12f}")
    apart = max(abs(a - b) / abs(b) for a, b in zip(ours, own))
    print(f"at most {apart:.1e} apart")
    return apart > 1e-9


if __name__ == "__main__":
    raise SystemExit(main())
