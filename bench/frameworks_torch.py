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


def problem(rows, cols):
    """NumPy's float32 cosines as training has them, the targets' at 0.6, and int32 labels: for the frameworks beside torch."""
    import numpy as np

    rng = np.random.default_rng(1)
    labels = rng.integers(0, cols, rows).astype(np.int32)
    cosines = (rng.standard_normal((rows, cols)) * 0.045).astype(np.float32)
    cosines[np.arange(rows), labels] = 0.6
    return cosines, labels


def raised(file, measure, first=lambda smoke: None):
    """The main of a bench: the head of its table and first(smoke), then measure(smoke) in a process with malloc's thresholds raised."""
    smoke = "--smoke" in sys.argv
    if "--raised" in sys.argv:
        return measure(smoke)
    print(f"{'path':42} {'shape':14} {'ratio':>8}  {'of':44} {'must':>6} {'aim':>6}", flush=True)
    first(smoke)
    sys.exit(subprocess.run([sys.executable, file, "--raised", *sys.argv[1:]], env={**os.environ, **RAISED}).returncode)


def insightface_head(torch, weight, labels):
    """The loss that insightface's arcface_torch trains with today, step by step, on one process: the angles without a gradient."""
    F = torch.nn.functional

    def loss(x):
        logits = F.linear(F.normalize(x), F.normalize(weight)).clamp(-1, 1)
        rows = torch.where(labels != -1)[0]
        with torch.no_grad():
            target = logits[rows, labels[rows]].arccos_() + MARGIN
            logits.arccos_()
            logits[rows, labels[rows]] = target
            logits.cos_()
        return F.cross_entropy(logits * SCALE, labels)
    return loss


def heads(torch, rows, cols, width):
    """The same head by each: name to (loss of x, its centres)."""
    from losskit.torch import ArcFace
    from pytorch_metric_learning.losses import ArcFaceLoss

    labels = torch.randint(0, cols, (rows,))
    ours, theirs = ArcFace(width, cols, s=SCALE, m=MARGIN), ArcFaceLoss(cols, width)
    weight = torch.nn.Parameter(torch.randn(cols, width))
    return {"losskit": (lambda x: ours(x, labels), ours.weight), "pml": (lambda x: theirs(x, labels), theirs.W),
            "insightface": (insightface_head(torch, weight, labels), weight)}


def peak_memory(name, rows, cols, width):
    """Bytes that one step takes at its peak, gradients included: of a process of its own, whose malloc gives back what is freed."""
    import torch

    def status(key):
        with open("/proc/self/status") as lines:
            return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))

    torch.set_num_threads(2)
    loss, weight = heads(torch, rows, cols, width)[name]
    x = torch.randn(rows, width, requires_grad=True)
    for _ in range(2):
        x.grad = weight.grad = None
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        loss(x).backward()
    print(status("VmHWM") - before)


def memory_of_heads(rows, cols, width):
    taken = {}
    for name in ("losskit", "pml", "insightface"):
        command = [sys.executable, __file__, "--peak", name, str(rows), str(cols), str(width)]
        taken[name] = int(subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}).stdout)
    for name, of in (("pml", "pytorch-metric-learning"), ("insightface", "insightface's steps")):
        show("ArcFace module, peak memory of a step", f"{rows}x{cols}x{width}", taken["losskit"] / taken[name], f"memory of {of}", 0.5, 0.3, False)


def measure(smoke):
    import math

    import losskit
    import losskit.numpy as lk
    import torch
    import torch.nn.functional as F
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

    # The bare calls, with threads of their own beside torch's, are in a race of their own: whoever comes after them waits for theirs.
    times = race({"losskit": ours, "eager": step(lambda: eager(cosines, labels), cosines),
                  "compiled": step(lambda: compiled(cosines, labels), cosines)}, rounds)
    show("loss over cosines, forward + backward", shape, ratio(times, "eager", "losskit"), "time of eager torch", 7, 14)
    show("loss over cosines, forward + backward", shape, ratio(times, "compiled", "losskit"), "time of torch.compile", 7, 13)
    times = race({"losskit": ours, "bare": bare, "scaled": scaled, "bare scaled": bare_scaled}, rounds)
    show("adapter, upstream 1", shape, ratio(times, "losskit", "bare"), "time of the bare call", 1.05, 1.02, False)
    show("adapter, upstream 0.37", shape, ratio(times, "scaled", "bare scaled"), "time of the bare call and k * a", 1.05, 1.02, False)

    x = torch.randn(rows, width, requires_grad=True)
    losses = heads(torch, rows, cols, width)
    w = losses["losskit"][1].detach().clone().requires_grad_()

    def eager_head():
        return eager(F.linear(F.normalize(x), F.normalize(w)), labels)

    compiled_head = torch.compile(eager_head, dynamic=False)
    cases = {name: step(lambda loss=loss: loss(x), x, weight) for name, (loss, weight) in losses.items()}
    cases |= {"eager": step(eager_head, x, w), "compiled": step(compiled_head, x, w)}
    times = race(cases, max(2, rounds // 2 + 1))
    wide = f"{shape}x{width}"
    show("ArcFace module", wide, ratio(times, "eager", "losskit"), "time of the eager module", 1.4, 1.7)
    show("ArcFace module", wide, ratio(times, "compiled", "losskit"), "time of torch.compile", 1.1, 1.3)
    show("ArcFace module", wide, ratio(times, "pml", "losskit"), "time of pytorch-metric-learning", 2, 4)
    show("ArcFace module", wide, ratio(times, "insightface", "losskit"), "time of insightface's steps", 2, 4)

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


def in_processes_of_their_own(smoke):
    import_time(smoke)
    memory_of_heads(256, 2000 if smoke else 100000, 512)


if __name__ == "__main__":
    if "--peak" in sys.argv:
        name, *sizes = sys.argv[sys.argv.index("--peak") + 1:]
        peak_memory(name, *map(int, sizes))
    else:
        raised(__file__, measure, in_processes_of_their_own)
