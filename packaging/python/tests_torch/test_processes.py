"""Several processes: data-parallel training equals one process; a forked child computes what its parent does."""
import os
import subprocess
import sys

import torch
import torch.distributed as dist
from torch import nn

from losskit.torch import ArcFace

CLASSES, WIDTH, ROWS, STEPS = 6, 5, 8, 3


def network():
    torch.manual_seed(4)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, WIDTH)
            self.head = ArcFace(WIDTH, CLASSES, s=16.0)

        def forward(self, x, labels):
            return self.head(self.body(x), labels)

    return Both().double()


def data(step):
    generator = torch.Generator().manual_seed(100 + step)
    return torch.randn(ROWS, 3, generator=generator, dtype=torch.float64), torch.randint(CLASSES, (ROWS,), generator=generator)


def train(model, share):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(STEPS):
        x, labels = data(step)
        optimiser.zero_grad()
        loss = model(x[share], labels[share])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def work(rank, store, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model = network()
    losses = train(nn.parallel.DistributedDataParallel(model), slice(rank * ROWS // 2, (rank + 1) * ROWS // 2))
    torch.save((losses, model.state_dict()), f"{results}.{rank}")
    dist.barrier()  # whoever leaves first takes its connections along
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(work, (str(tmp_path / "store"), str(tmp_path / "result")), nprocs=2)
    (losses_0, state_0), (losses_1, state_1) = (torch.load(tmp_path / f"result.{rank}") for rank in (0, 1))
    model = network()
    losses = train(model, slice(None))
    for one, a, b in zip(losses, losses_0, losses_1):
        assert abs((a + b) / 2 - one) <= 1e-12 * abs(one)
    for name, one in model.state_dict().items():
        assert torch.equal(state_0[name], state_1[name])
        assert (state_0[name] - one).abs().max() <= 1e-12 * one.abs().max()


def test_a_forked_child_computes_what_its_parent_does():
    code = """
import os, signal, torch
torch.set_num_threads(1)
import losskit.torch.functional as F
torch.manual_seed(0)
c, y = torch.rand(64, 1000) * 2 - 1, torch.arange(64)
def bits():
    x = c.clone().requires_grad_()
    F.margin_softmax(x, y).backward()
    return x.grad
here = bits()
child = os.fork()
if child == 0:
    signal.alarm(60)  # one that hangs ends
    os._exit(0 if torch.equal(bits(), here) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=120).returncode == 0
