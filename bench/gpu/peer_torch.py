"""PyTorch's rows beside ours, on the same GPU: eager cross-entropy, torch.compile, an insightface-style chain, and Liger's
cross-entropy where it is installed. Appends them to the table and the rows that gates wrote.

    python3 peer_torch.py <table.md> <rows.json> <timings program>

The timings program (bench/gpu/peer.cu) prints our median in seconds for each shape.
"""
import json
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("PyTorch is not installed: its rows are not run")
    sys.exit(0)

table, rows, program = sys.argv[1:4]
scale, margin = 64.0, 0.5


def median_seconds(step):
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    times = []
    for _ in range(21):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return sorted(times)[len(times) // 2]


def plain(cosines, labels):
    return F.cross_entropy(cosines * scale, labels)


def arcface(cosines, labels):
    rows = torch.arange(labels.numel(), device=labels.device)
    target = cosines[rows, labels]
    sine = (1 - target * target).clamp_min(1e-12).sqrt()
    margined = target * torch.cos(torch.tensor(margin)) - sine * torch.sin(torch.tensor(margin))
    return F.cross_entropy(cosines.index_put((rows, labels), margined) * scale, labels)


def insightface(cosines, labels):
    """acos over the whole matrix, the margin on the target, cos over the whole matrix, as its CombinedMarginLoss."""
    rows = torch.arange(labels.numel(), device=labels.device)
    theta = cosines.clamp(-1 + 1e-7, 1 - 1e-7).acos()
    one_hot = torch.zeros_like(theta)
    one_hot[rows, labels] = margin
    return F.cross_entropy((theta + one_hot).cos() * scale, labels)


def stepped(loss, cosines, labels):
    def step():
        cosines.grad = None
        loss(cosines, labels).backward()

    return step


peers = [("torch eager cross-entropy", plain, 3, 4), ("torch.compile", torch.compile(arcface, dynamic=False), 1.6, 2.3), ("insightface-style chain", insightface, 8, 14)]
try:
    from liger_kernel.transformers.functional import liger_cross_entropy

    peers.append(("Liger cross-entropy", lambda c, y: liger_cross_entropy(c * scale, y), 1.5, 3))
except ImportError:
    print("Liger is not installed: its row is not run")

found = []
for batch, classes in ((4096, 16384), (2048, 50000), (1024, 131072)):
    ours = float(subprocess.run([program, str(batch), str(classes)], check=True, capture_output=True, text=True).stdout)
    cosines = (torch.rand(batch, classes, device="cuda") * 1.2 - 0.6).requires_grad_()
    labels = torch.randint(classes, (batch,), device="cuda")
    for name, loss, must, aim in peers:
        try:
            ratio = median_seconds(stepped(loss, cosines, labels)) / ours
        except Exception as error:  # of a peer: it loses its own row
            print(f"{name}, {batch} x {classes}: not run: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            continue
        found.append({"path": "ArcFace loss + gradient, float, against " + name, "shape": f"{batch} x {classes}", "ratio": round(ratio, 3),
                      "of": name, "better": "higher", "must": must, "aim": aim, "verdict": "ok" if ratio >= must else "short"})
    del cosines, labels

with open(rows) as file:
    all_rows = json.load(file) + found
with open(rows, "w") as file:
    json.dump(all_rows, file, indent=1)
with open(table, "a") as file:
    file.write(f"\nTimes faster than PyTorch {torch.__version__}, same shapes and type:\n\n| peer | shape | times | must | aim | |\n|---|---|---|---|---|---|\n")
    for row in found:
        file.write(f"| {row['of']} | {row['shape']} | {row['ratio']:.2f} | {row['must']} | {row['aim']} | {row['verdict']} |\n")
