"""Trains a small network with losskit's ArcFace, and again from the same seed with ArcFace written in plain torch: one curve, twice.

    python examples/torch/train.py [--steps 50]

Float64, so that what is left between the curves is rounding: it exits with 1 where they differ by more than 1e-9 of a loss.
"""
import argparse
import math

import torch
from torch import nn

from losskit.torch import ArcFace

PEOPLE, PICTURE, EMBEDDING, BATCH = 40, 24, 16, 32


class PlainArcFace(nn.Module):
    """ArcFace as one would write it in torch, with SphereFace's monotone psi past pi, losskit's default: -cos(theta + m) - 2."""

    def __init__(self, in_features, num_classes, s=64.0, m=0.5):
        super().__init__()
        self.s, self.m = s, m
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, labels):
        cosines = nn.functional.linear(nn.functional.normalize(x), nn.functional.normalize(self.weight))
        target = cosines.gather(1, labels.view(-1, 1))
        phi = target.acos() + self.m
        psi = torch.where(phi <= math.pi, phi.cos(), -phi.cos() - 2)
        return nn.functional.cross_entropy(self.s * cosines.scatter(1, labels.view(-1, 1), psi), labels)


def train(head, steps):
    """The loss of each step. Faces are drawn around a mean for each person."""
    torch.manual_seed(7)
    body = nn.Sequential(nn.Linear(PICTURE, 64), nn.PReLU(), nn.Linear(64, EMBEDDING))
    model = nn.ModuleDict({"body": body, "head": head(EMBEDDING, PEOPLE, s=32.0, m=0.4)}).double()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    people = torch.randn(PEOPLE, PICTURE, dtype=torch.float64)
    losses = []
    for _ in range(steps):
        labels = torch.randint(PEOPLE, (BATCH,))
        pictures = people[labels] + 0.3 * torch.randn(BATCH, PICTURE, dtype=torch.float64)
        optimiser.zero_grad()
        loss = model["head"](model["body"](pictures), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    steps = parser.parse_args().steps
    ours, plain = train(ArcFace, steps), train(PlainArcFace, steps)
    for step in sorted({*range(0, steps, 10), steps - 1}):
        print(f"step {step:3d}   losskit {ours[step]:.12f}   plain torch {plain[step]:.12f}")
    apart = max(abs(a - b) / abs(b) for a, b in zip(ours, plain))
    print(f"at most {apart:.1e} apart")
    return apart > 1e-9


if __name__ == "__main__":
    raise SystemExit(main())
