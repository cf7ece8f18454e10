"""losskit.tensorflow beside Additive-Margin-Softmax's graph, the same work in turn in one process; each ratio is the median over rounds.

    frameworks_tensorflow.py [--smoke]        in an environment with tensorflow and the wheel

Runs itself again with malloc's thresholds raised, as frameworks_torch.py does: both sides then reuse the memory of their results.
"""
from frameworks_torch import problem, race, raised, ratio, show


def measure(smoke):
    import losskit.tensorflow as lt
    import tensorflow as tf

    rows, cols = 256, 2000 if smoke else 100000
    rounds = 2 if smoke else 9
    shape = f"{rows}x{cols}"
    start, labels = problem(rows, cols)
    cosines, y = tf.constant(start), tf.constant(labels)

    def graph(c, y):
        """AM_logits_compute from the cosines on, then the mean cross-entropy."""
        logits = 30.0 * tf.where(tf.one_hot(y, cols) == 1, c - 0.35, c)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))

    def scattered(c, y):
        """Without the one-hot: the margin at B places."""
        at = tf.stack([tf.range(rows), y], 1)
        logits = 30.0 * tf.tensor_scatter_nd_sub(c, at, tf.fill([rows], 0.35))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))

    def steps(loss, jit=False):
        @tf.function(autograph=False, jit_compile=jit)
        def f(c, y):
            with tf.GradientTape() as tape:
                tape.watch(c)
                value = loss(c, y)
            return value, tape.gradient(value, c)

        return lambda: f(cosines, y)[0].numpy()

    cases = {"losskit": steps(lambda c, y: lt.margin_loss(lt.AM_SOFTMAX, c, y)), "graph": steps(graph), "scattered": steps(scattered),
             "xla": steps(graph, True)}
    values = {name: case() for name, case in cases.items()}
    assert max(values.values()) - min(values.values()) < 1e-4 * values["losskit"], values  # the same work
    times = race(cases, rounds)
    for name, of in (("graph", "its graph (tf.function)"), ("scattered", "the margin scattered (tf.function)"),
                     ("xla", "its graph by XLA (jit_compile)")):
        show("AM-softmax over cosines, both ways", shape, ratio(times, name, "losskit"), f"time of {of}", 2, 5)


if __name__ == "__main__":
    raised(__file__, measure)
