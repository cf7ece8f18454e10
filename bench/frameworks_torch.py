"""losskit.torch beside what a user of torch would write, the same work in turn in one process; each ratio is the median over rounds.

    frameworks_torch.py [--smoke]        in an environment with torch, the wheel and pytorch-metric-learning

Runs itself again with malloc's thresholds raised: torch's eager code gains by it, and that better form is what losskit is compared with.
"""
import os
import statistics
import subprocess
import sys
import time

RAISED = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "1000000000"}
MARGIN, SCALE = 0.5, 64.0


def race(cases, rounds, repeats=1):
    """Seconds of each case, round by round; every round begins with another one."""
    times = {name: [] for name in cases}
    names = list(cases)
    for round in range(rounds + 1):
        for k in range(len(names)):
            name = names[(k + round) % len(names)]
            begin = time.perf_counter()
            for _ in range(repeats):
                cases[name]()
            if round > 0:
                times[name].append(time.perf_counter() - begin)
    return times


def ratio(times, slow, fast):
    return statistics.median(a / b for a, b in zip(times[slow], times[fast]))


def show(path, shape, value, of, must, aim, higher=True):
    good = value >= must if higher else value <= must
    best = value >= aim if higher else value <= aim
    print(f"{path:42} {shape:14} {value:8.3f}  {of:44} {must:6.2f} {aim:6.2f}  {'ok' if good else 'short'}{', aim reached' if best else ''}", flush=True)


def measure(smoke):
    import math

    import losskit
    import losskit.numpy as lk
    import torch
    import torch.nn.functional as F
    from losskit.torch import ArcFace
    from losskit.torch import functional as LF

    torch.set_num_threads(2)
    torch.manual_seed(1)
    rows, cols, width = 256, 2000 if smoke else 100000, 512
    rounds = 2 if smoke else 9
    shape = f"{rows}x{cols}"
    cos_m, sin_m = math.cos(MARGIN), math.sin(MARGIN)
    labels = torch.randint(0, cols, (rows,))
    cosines = (torch.randn(rows, cols) * 0.045).scatter_(1, labels[:, None], 0.6).requires_grad_()

    def eager(c, y):
        t = c.gather(1, y[:, None])
        return F.cross_entropy((c * SCALE).scatter_(1, y[:, None], SCALE * (t * cos_m - torch.sqrt(1 - t * t) * sin_m)), y)

    def step(loss, *leaves):
        def run():
            for leaf in leaves:
                leaf.grad = None
            loss().backward()
        return run

    compiled = torch.compile(eager, dynamic=False)
    text = f"MarginSoftmax(ArcMargin(m={MARGIN}), scale={SCALE})"
    ours = step(lambda: LF.margin_softmax(cosines, labels, text), cosines)
    array = cosines.detach().numpy()
    loss_object = losskit.policy(text)

    def bare():
        return lk.loss_and_gradient(loss_object, array, labels.numpy(), threads=2)  # into a fresh array

    scaled = step(lambda: 0.37 * LF.margin_softmax(cosines, labels, text), cosines)

    def bare_scaled():
        gradient = lk.loss_and_gradient(loss_object, array, labels.numpy(), threads=2).gradient
        return torch.from_numpy(gradient) * 0.37

    cases = {"losskit": ours, "eager": step(lambda: eager(cosines, labels), cosines), "compiled": step(lambda: compiled(cosines, labels), cosines),
             "bare": bare, "scaled": scaled, "bare scaled": bare_scaled}
    times = race(cases, rounds)
    show("loss over cosines, forward + backward", shape, ratio(times, "eager", "losskit"), "time of eager torch", 7, 14)
    show("loss over cosines, forward + backward", shape, ratio(times, "compiled", "losskit"), "time of torch.compile", 7, 13)
    show("adapter, upstream 1", shape, ratio(times, "losskit", "bare"), "time of the bare call", 1.05, 1.02, False)
    show("adapter, upstream 0.37", shape, ratio(times, "scaled", "bare scaled"), "time of the bare call and k * a", 1.05, 1.02, False)

    x = torch.randn(rows, width, requires_grad=True)
    head = ArcFace(width, cols, s=SCALE, m=MARGIN)
    w = head.weight.detach().clone().requires_grad_()

    def eager_head():
        return eager(F.linear(F.normalize(x), F.normalize(w)), labels)

    compiled_head = torch.compile(eager_head, dynamic=False)
    cases = {"losskit": step(lambda: head(x, labels), x, head.weight), "eager": step(eager_head, x, w), "compiled": step(compiled_head, x, w)}
    try:
        from pytorch_metric_learning.losses import ArcFaceLoss
        theirs = ArcFaceLoss(cols, width)
        cases["pml"] = step(lambda: theirs(x, labels), x, theirs.W)
    except ImportError:
        print("left out: no pytorch-metric-learning here")

    times = race(cases, max(2, rounds // 2 + 1))
    wide = f"{shape}x{width}"
    show("ArcFace module", wide, ratio(times, "eager", "losskit"), "time of the eager module", 1.4, 1.7)
    show("ArcFace module", wide, ratio(times, "compiled", "losskit"), "time of torch.compile", 1.1, 1.3)
    if "pml" in cases:
        show("ArcFace module", wide, ratio(times, "pml", "losskit"), "time of pytorch-metric-learning", 2, 4)

    # The cost of a call: an operator that does nothing, registered the same way.
    library = torch.library.Library("losskit_bench", "DEF")
    library.define("nothing(Tensor x, Tensor y) -> (Tensor, Tensor)")
    library.impl("nothing", lambda a, b: (a.new_empty(()), torch.empty_like(a)), "CPU")
    torch.library.register_autograd(
        "losskit_bench::nothing", lambda ctx, g, _: (ctx.saved_tensors[0] * g, None),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(output[1]))
    small, few = torch.rand(4, 4, requires_grad=True), torch.tensor([0, 1, 2, 3])
    times = race({"losskit": step(lambda: LF.margin_softmax(small, few, text), small),
                  "empty": step(lambda: torch.ops.losskit_bench.nothing(small, few)[0], small)}, rounds, 20 if smoke else 500)
    show("fixed cost, forward + backward", "4x4", ratio(times, "losskit", "empty"), "time of an empty operator", 1.5, 1.2, False)


def import_time(smoke):
    def seconds(code):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin
    pairs = [(seconds("import numpy, losskit.numpy"), seconds("import numpy")) for _ in range(3 if smoke else 15)]
    show("import losskit.numpy", "", statistics.median(a / b for a, b in pairs), "time of import numpy", 1.5, 1.2, False)


if __name__ == "__main__":
    smoke = "--smoke" in sys.argv
    if "--raised" not in sys.argv:
        print(f"{'path':42} {'shape':14} {'ratio':>8}  {'of':44} {'must':>6} {'aim':>6}")
        import_time(smoke)
        sys.exit(subprocess.run([sys.executable, __file__, "--raised", *sys.argv[1:]], env={**os.environ, **RAISED}).returncode)
    measure(smoke)
