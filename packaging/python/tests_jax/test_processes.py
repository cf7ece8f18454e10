"""JAX beside torch in one process, on several threads, without float64; the examples, the README's code, the types."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

import losskit

REPOSITORY = Path(__file__).parents[3]


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(code):
    return run(sys.executable, "-c", code)


def test_the_package_alone_imports_no_framework():
    python("import sys, losskit, losskit.numpy; assert not {'jax', 'torch', 'tensorflow'} & set(sys.modules)")


WORK = """
def jax_bits():
    import jax, losskit.jax as lj
    f = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(lj.ARCFACE, c, y)))
    loss, gradient = f(c)
    return float(loss), np.asarray(gradient).tobytes()
def torch_bits():
    import torch, losskit.torch.functional as F
    x = torch.from_numpy(c.copy()).requires_grad_()
    loss = F.margin_softmax(x, torch.from_numpy(y))
    loss.backward()
    return loss.item(), x.grad.numpy().tobytes()
import numpy as np
rng = np.random.default_rng(0)
c, y = rng.uniform(-1, 1, (128, 3000)).astype(np.float32), rng.integers(0, 3000, 128)
"""


@pytest.mark.parametrize("first, second", [("jax", "torch"), ("torch", "jax")])
def test_torch_and_jax_in_one_process(first, second):
    """Each imported first once; taking turns, and at once from two threads; an error of one leaves the other as it was."""
    pytest.importorskip("torch")
    python(WORK + f"""
first, second = {first}_bits(), {second}_bits()
assert first == second
for _ in range(3):
    assert {second}_bits() == first == {first}_bits()
import threading
wrong = []
def turn(f):
    for _ in range(5):
        if f() != first: wrong.append(f)
threads = [threading.Thread(target=turn, args=(f,)) for f in (jax_bits, torch_bits)]
[t.start() for t in threads], [t.join() for t in threads]
assert not wrong
good = y.copy(); y[3] = 5000
for f in (jax_bits, torch_bits):
    try: f()
    except Exception as error: assert "labels[3] = 5000" in str(error), error
    else: raise SystemExit("no error")
y = good
assert jax_bits() == torch_bits() == first
""")


def test_many_threads_at_once():
    """Calls that share XLA's threads, more of them than it has: none waits for another."""
    python(WORK + """
import jax, threading, losskit.jax as lj
f = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(lj.ARCFACE, c, y)))
one = np.asarray(f(c)[1]).tobytes()
wrong = []
def turn():
    for _ in range(10):
        if np.asarray(f(c)[1]).tobytes() != one: wrong.append(1)
threads = [threading.Thread(target=turn) for _ in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
assert not wrong
many = jax.jit(jax.vmap(jax.value_and_grad(lambda c: lj.margin_loss(lj.ARCFACE, c, y))))(np.stack([c] * 4))
assert np.asarray(many[1][3]).tobytes() == one
""")


def test_without_float64():
    """As JAX is by default: labels of int32, states in float32."""
    python("""
import jax, jax.numpy as jnp, numpy as np, losskit.jax as lj, losskit.numpy as lk, losskit
c, y = np.random.default_rng(0).uniform(-1, 1, (6, 5)).astype(np.float32), np.arange(6) % 5
loss, gradient = jax.jit(jax.value_and_grad(lambda c: lj.margin_loss(lj.ARCFACE, c, y, ignore_index=3)))(c)
theirs = lk.loss_and_gradient(lj.ARCFACE, c, y, ignore_index=3)
assert loss == np.float32(theirs.loss) and (gradient == theirs.gradient).all() and gradient.dtype == np.float32
state = lj.advance("AdaCosScale(classes=5)", lj.start("AdaCosScale(classes=5)"), c, y)
assert state.value.dtype == np.float32 and state.counts.tolist() == [1, 0]
scaled = jax.grad(lambda c: lj.margin_loss("MarginSoftmax", c, y, scale=state.value))(c)
assert np.isfinite(scaled).all() and lj.adaptive_wing_weights(c * c).shape == c.shape
""")


def test_the_example_runs():
    assert "apart" in run(sys.executable, REPOSITORY / "examples" / "jax" / "train.py")


def test_the_code_of_the_readme():
    part = (REPOSITORY / "README.md").read_text().split("### JAX\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in part.splitlines() if line]
    (block,) = re.findall(r"^```py\n(.*?)^```", part, re.MULTILINE | re.DOTALL)  # py: python is what runs without a framework
    (printed,) = re.findall(r"# prints (.*)", block)
    assert len(lines) <= 10 and printed in python(block)


def test_types(tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("""
import jax
import numpy as np
import losskit
import losskit.jax as lj

loss = losskit.MarginSoftmax(losskit.ArcMargin(m=0.5))
value: jax.Array = lj.margin_loss(loss, np.zeros((2, 3)), np.zeros(2, int), reduction="none", scales=np.ones(2))
state: lj.State = lj.advance("AdaCosScale", lj.start("AdaCosScale"), lj.cosine_layer(value, value), value)
""")
    bad.write_text("""
import losskit.jax as lj

lj.margin_loss("SoftmaxLoss", 1.0, 2.0, reduction=3)
lj.point_loss(3, 1.0, 2.0)
lj.nothing
""")
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, good, cwd=tmp_path)
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, bad], capture_output=True, text=True,
                          timeout=300, cwd=tmp_path)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if "error:" in line] == ["4", "5", "6"], done.stdout


def test_the_handlers_need_the_compilers_runtime_and_losskit_alone():
    library = Path(losskit.__file__).parent / "lib" / "liblosskit_jax.so"
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", run("readelf", "-d", library)))
    assert needed <= {"liblosskit.so", "libstdc++.so.6", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0",
                      "ld-linux-x86-64.so.2"}, needed
