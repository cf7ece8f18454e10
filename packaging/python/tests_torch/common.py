"""What the tests share: batches to try every policy on."""
import torch

from every_policy import LOSSES, MARGIN_LOSSES, MARGINS, OBJECTIVES, POINT_LOSSES, RESTS, SCALE, SOFTMAX_LOSSES  # noqa: F401


def batch(rows=6, classes=5, dtype=torch.float64, requires_grad=True):
    """Cosines, among them targets past every break, and labels."""
    generator = torch.Generator().manual_seed(3)
    cosines = torch.rand(rows, classes, generator=generator, dtype=torch.float64) * 1.8 - 0.9
    labels = torch.arange(rows) % classes
    cosines[0, labels[0]], cosines[1, labels[1]] = -0.96, 0.97
    return cosines.to(dtype).requires_grad_(requires_grad), labels


def points(shape=(3, 4), dtype=torch.float64, requires_grad=True):
    """Predictions on both sides of every branch, and truths in [0, 1]."""
    generator = torch.Generator().manual_seed(5)
    truth = torch.rand(*shape, generator=generator, dtype=torch.float64)
    prediction = truth + torch.randn(*shape, generator=generator, dtype=torch.float64)
    prediction.view(-1)[0] += 20
    return prediction.to(dtype).requires_grad_(requires_grad), truth.to(dtype)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
