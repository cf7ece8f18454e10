"""losskit beside PyTorch: ArcFace (m = 0.5, s = 64), loss and gradient over given cosines, in one process, on the same memory.

    peer_torch.py BUILD_FOLDER [--smoke]

Rounds alternate between torch and losskit; the ratio is the median over rounds of torch's time by losskit's. A process of
its own for each allocator setting, since glibc reads it once. Adds its rows to BUILD_FOLDER/summary.json.
"""
import ctypes
import json
import math
import os
import statistics
import subprocess
import sys
import time

RAISED = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "1000000000"}
SHAPES = [(256, 10000), (128, 100000), (512, 100000)]
NAMES = {"raised": "best eager, raised", "default": "best eager, default", "compiled": "torch.compile"}
GATES = {"avx512": {"raised": (14, 22), "default": (20, 60), "compiled": (13, 20)},  # must and aim, by losskit's instruction set
         "avx2": {"raised": (13, 18), "default": (20, 60), "compiled": (14, 18)}}
MARGIN, SCALE = 0.5, 64.0


def worker(build, allocator, smoke):
    """Measures in this process and prints a JSON list of {shape, path, against, ratio, ns of each}."""
    library = ctypes.CDLL(os.path.join(build, "bench", "losskit_peer.so"))
    wide = library.losskit_peer_width() == 16
    if not wide:
        os.environ["ATEN_CPU_CAPABILITY"] = "avx2"  # torch reads it once: both sides with the same registers
    import torch
    import torch.nn.functional as F

    if not wide:
        import torch._inductor.config
        torch._inductor.config.cpp.simdlen = 256
    torch.set_num_threads(2)
    torch.manual_seed(1)
    library.losskit_peer_memory.restype = ctypes.POINTER(ctypes.c_float)
    library.losskit_peer_memory.argtypes = [ctypes.c_int64]
    library.losskit_peer_arcface.restype = ctypes.c_double
    library.losskit_peer_arcface.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    cos_m, sin_m = math.cos(MARGIN), math.sin(MARGIN)

    def target_logit(cosines, labels):
        t = cosines.gather(1, labels)
        return SCALE * (t * cos_m - torch.sqrt(1 - t * t) * sin_m)

    # Two ways to put the margin in; the better one is torch's eager time.
    def scattered_in_place(cosines, labels):
        return F.cross_entropy((cosines * SCALE).scatter_(1, labels, target_logit(cosines, labels)), labels[:, 0])

    def scattered(cosines, labels):
        return F.cross_entropy(cosines.scatter(1, labels, target_logit(cosines, labels) / SCALE) * SCALE, labels[:, 0])

    def with_gradient(loss):
        def call(cosines, labels):
            value = loss(cosines, labels)
            return value, torch.autograd.grad(value, cosines)[0]
        return call

    def matrix(rows, cols):
        memory = library.losskit_peer_memory(rows * cols)
        array = ctypes.cast(memory, ctypes.POINTER(ctypes.c_float * (rows * cols))).contents
        return torch.frombuffer(array, dtype=torch.float32).view(rows, cols)

    results = []
    for rows, cols in SHAPES:
        cols = cols // 50 if smoke else cols
        labels = torch.randint(0, cols, (rows, 1))
        start = (torch.randn(rows, cols) * 0.045).scatter_(1, labels, (0.6 + 0.1 * torch.randn(rows, 1)).clamp(0, 0.95))
        cosines, gradient = matrix(rows, cols), matrix(rows, cols)
        leaf = cosines.detach().requires_grad_()  # the same memory
        cosines.copy_(start)

        def losskit(out):
            return library.losskit_peer_arcface(cosines.data_ptr(), labels.data_ptr(), rows, cols, out.data_ptr())

        cases = {"out of place": lambda: losskit(gradient), "in place": lambda: losskit(cosines),
                 "scattered_in_place": lambda: with_gradient(scattered_in_place)(leaf, labels),
                 "scattered": lambda: with_gradient(scattered)(leaf, labels)}
        if allocator == "raised":
            fastest = [torch.compile(f, dynamic=False) for f in (scattered_in_place, scattered)]
            cases["compiled_in_place"] = lambda: with_gradient(fastest[0])(leaf, labels)
            cases["compiled"] = lambda: with_gradient(fastest[1])(leaf, labels)

        # They must agree before they race.
        expected = cases["scattered"]()
        loss = cases["out of place"]()
        difference = (gradient - expected[1]).abs().max() / expected[1].abs().max()
        if abs(loss - expected[0].item()) > 1e-4 * loss or difference > 1e-4:
            sys.exit(f"torch and losskit disagree: loss {expected[0].item()} and {loss}, gradient by {difference:.1e}")
        del expected

        times = {name: [] for name in cases}
        for _ in range(2 if smoke else 9):
            for name, call in cases.items():
                time.sleep(0 if smoke else 0.05)  # until the other side's OpenMP threads no longer spin
                for timed in (False, True):  # the first run wakes the threads
                    cosines.copy_(start)
                    began = time.perf_counter()
                    call()
                    if timed:
                        times[name].append(time.perf_counter() - began)

        def against(ours, theirs):
            ratios = [min(statistics.median(t / o for t, o in zip(times[name], times[ours])) for name in theirs)]
            return ratios[0], min(statistics.median(times[name]) for name in theirs)

        peers = {allocator: ["scattered_in_place", "scattered"]}
        if allocator == "raised":
            peers["compiled"] = ["compiled_in_place", "compiled"]
        for ours in ("in place", "out of place"):
            for peer, names in peers.items():
                ratio, seconds = against(ours, names)
                nanoseconds = 1e9 / (rows * cols)
                results.append({"shape": f"{rows}x{cols // 1000}k" if cols >= 1000 else f"{rows}x{cols}", "ours": ours, "peer": peer,
                                "set": "avx512" if wide else "avx2", "ratio": ratio, "torch_ns": seconds * nanoseconds,
                                "losskit_ns": statistics.median(times[ours]) * nanoseconds})
    print(json.dumps(results))


def rows_of(build, allocator, smoke):
    environment = {**os.environ, **(RAISED if allocator == "raised" else {})}
    command = [sys.executable, __file__, build, "--worker", allocator] + (["--smoke"] if smoke else [])
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    for r in json.loads(done.stdout.splitlines()[-1]):
        (must, aim), of = GATES[r["set"]][r["peer"]], NAMES[r["peer"]]
        print(f"torch, {r['ours']:14s} {r['shape']:10s} {r['ratio']:7.1f}x {of:22s} must {must:3d} aim {aim:3d}  "
              f"{'ok' if r['ratio'] >= must else 'short':6s} torch {r['torch_ns']:.2f}, losskit {r['losskit_ns']:.3f} ns an element",
              flush=True)
        yield {"path": f"torch, {r['ours']}", "shape": r["shape"], "ratio": round(r["ratio"], 3), "of": of, "better": "higher",
               "must": must, "aim": aim, "verdict": "ok" if r["ratio"] >= must else "short"}


def main():
    build, smoke = sys.argv[1], "--smoke" in sys.argv
    if "--worker" in sys.argv:
        return worker(build, sys.argv[sys.argv.index("--worker") + 1], smoke)
    new = [row for allocator in ("raised", "default") for row in rows_of(build, allocator, smoke)]
    summary = os.path.join(build, "summary.json")
    old = []
    if os.path.exists(summary):
        with open(summary) as file:
            old = [row for row in json.load(file) if not row["path"].startswith("torch")]
    with open(summary, "w") as file:
        file.write("[\n" + ",\n".join("  " + json.dumps(row) for row in old + new) + "\n]\n")


main()
