"""losskit.jax beside what a user of JAX would write, the same work in turn in one process; each ratio is the median over rounds.

    frameworks_jax.py [--smoke]        in an environment with jax and the wheel

Runs itself again with malloc's thresholds raised, as frameworks_torch.py does: both sides then reuse the memory of their results.
"""
from frameworks_torch import MARGIN, SCALE, problem, race, raised, ratio, show


def measure(smoke):
    import jax
    import jax.numpy as jnp
    import losskit
    import losskit.jax as lj
    import losskit.numpy as lk
    import numpy as np

    rows, cols, width = 256, 2000 if smoke else 100000, 512
    rounds = 2 if smoke else 9
    shape = f"{rows}x{cols}"
    start, labels = problem(rows, cols)
    cosines, y = jnp.array(start), jnp.array(labels)
    text = f"MarginSoftmax(ArcMargin(m={MARGIN}), scale={SCALE})"
    cos_m, sin_m = np.float32(np.cos(MARGIN)), np.float32(np.sin(MARGIN))

    def scattered(c, y):
        """The target's logit put among the others."""
        at = jnp.arange(rows)
        t = c[at, y]
        z = (c * SCALE).at[at, y].set(SCALE * (t * cos_m - jnp.sqrt(1 - t * t) * sin_m))
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - z[at, y])

    def selected(c, y):
        """Every cosine with its margin or without, by a one-hot mask: no scatter, one loop for XLA."""
        t = jnp.take_along_axis(c, y[:, None], 1)
        target = SCALE * (t * cos_m - jnp.sqrt(1 - t * t) * sin_m)
        z = jnp.where(jnp.arange(cols)[None, :] == y[:, None], target, c * SCALE)
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - target[:, 0])

    def steps(loss):
        f = jax.jit(jax.value_and_grad(loss))
        return lambda: jax.block_until_ready(f(cosines, y))

    cases = {"losskit": steps(lambda c, y: lj.margin_loss(text, c, y)), "scattered": steps(scattered), "selected": steps(selected)}
    losses = {name: case() for name, case in cases.items()}
    for name in ("scattered", "selected"):  # the same work
        assert abs(losses[name][0] - losses["losskit"][0]) < 1e-4 * losses["losskit"][0]
        assert float(jnp.abs(losses[name][1] - losses["losskit"][1]).max()) < 1e-4 * float(jnp.abs(losses["losskit"][1]).max())
    loss_object, host = losskit.policy(text), np.asarray(cosines)
    cases["bare"] = lambda: lk.loss_and_gradient(loss_object, host, labels)
    times = race(cases, rounds)
    best = min(("scattered", "selected"), key=lambda name: sum(times[name]))
    show("loss over cosines, value and gradient", shape, ratio(times, best, "losskit"), f"time of jitted jnp (the better: {best})", 2, 5)
    show("loss over cosines, value and gradient", shape, ratio(times, "scattered", "losskit"), "time of jitted jnp, scattered", 2, 5)
    show("loss over cosines, value and gradient", shape, ratio(times, "selected", "losskit"), "time of jitted jnp, selected", 2, 5)
    show("adapter", shape, ratio(times, "losskit", "bare"), "time of the bare call", 1.05, 1.02, False)

    # A whole step: embeddings and centres to both gradients.
    rng = np.random.default_rng(2)
    x, w = (jnp.array(rng.standard_normal(s).astype(np.float32)) for s in ((rows, width), (cols, width)))
    unit = lambda a: a / jnp.linalg.norm(a, axis=1, keepdims=True)  # noqa: E731

    def head(loss):
        f = jax.jit(jax.value_and_grad(loss, (0, 1)))
        return lambda: jax.block_until_ready(f(x, w, y))

    plain = selected if best == "selected" else scattered
    times = race({"losskit": head(lambda x, w, y: lj.margin_loss(text, lj.cosine_layer(x, w), y)),
                  "in place": head(lambda x, w, y: lj.margin_loss(text, lj.cosine_layer(x, w), y, in_place=True)),
                  "plain": head(lambda x, w, y: plain(unit(x) @ unit(w).T, y))}, max(2, rounds // 2 + 1))
    wide = f"{shape}x{width}"
    show("cosine layer and loss, both gradients", wide, ratio(times, "plain", "losskit"), "time of jitted jnp", 1.1, 1.3)
    show("cosine layer and loss, in place", wide, ratio(times, "plain", "in place"), "time of jitted jnp", 1.1, 1.3)


if __name__ == "__main__":
    raised(__file__, measure)
