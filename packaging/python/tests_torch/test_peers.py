"""Peers' losses by their own interfaces: the same numbers, in float64 to 1e-12 of the largest."""
import math

import pytest
import torch
from torch import nn

import losskit
from losskit.torch.compat import insightface, pml

CLASSES = 10


def close(a, b):
    assert (a - b).abs().max() <= 1e-12 * b.abs().max(), ((a - b).abs().max() / b.abs().max()).item()


def grid():
    """180 embeddings of any length at 0 .. 179 degrees in the plane, centres between them so that no cosine is 1, and labels."""
    angles = torch.arange(180, dtype=torch.float64) * math.pi / 180
    lengths = 0.5 + torch.arange(180, dtype=torch.float64).remainder(7)
    x = torch.stack([angles.cos(), angles.sin()], 1) * lengths.view(-1, 1)
    centres = (torch.arange(CLASSES, dtype=torch.float64) * 36.3 + 0.4321) * math.pi / 180
    w = torch.stack([centres.cos(), centres.sin()]) * (1 + torch.arange(CLASSES, dtype=torch.float64))
    return x, w, torch.arange(180) % CLASSES


@pytest.mark.parametrize("name, given", [("ArcFaceLoss", {}), ("ArcFaceLoss", {"margin": 57.3, "scale": 30}), ("CosFaceLoss", {}),
                                         ("CosFaceLoss", {"margin": 0.2, "scale": 16}), ("SphereFaceLoss", {}),
                                         ("SphereFaceLoss", {"margin": 2, "scale": 3}), ("NormalizedSoftmaxLoss", {}),
                                         ("NormalizedSoftmaxLoss", {"temperature": 0.1})])
def test_pytorch_metric_learning(name, given):
    peers = pytest.importorskip("pytorch_metric_learning.losses")
    x, w, labels = grid()
    results = []
    theirs = getattr(peers, name)(CLASSES, 2, **given)
    theirs.W.data = w.clone()
    ours = getattr(pml, name)(CLASSES, 2, **given).double()
    ours.load_state_dict(theirs.state_dict())
    for loss in (theirs, ours):
        embeddings = x.clone().requires_grad_()
        value = loss(embeddings, labels)
        value.backward()
        results.append((value.detach(), embeddings.grad, loss.W.grad, loss.get_logits(x).detach()))
    for theirs, ours in zip(*results):
        close(ours, theirs)


def test_pytorch_metric_learning_s_other_arguments_are_refused():
    loss = pml.ArcFaceLoss(3, 2, weight_init_func=nn.init.ones_)
    assert (loss.W == 1).all()
    with pytest.raises(losskit.ParameterError, match="miners"):
        loss(torch.randn(2, 2), torch.tensor([0, 1]), indices_tuple=(1, 2, 3))
    with pytest.raises(TypeError):
        pml.ArcFaceLoss(3, 2, weight_regularizer=None)


class Published:
    """What insightface's code does, written again from its formulas: the margin without a gradient, on the logits given."""

    @staticmethod
    def arcface(logits, labels, s, m):
        rows = torch.where(labels != -1)[0]
        theta = logits.detach().acos()
        theta[rows, labels[rows]] += m
        return (logits + (theta.cos() - logits).detach()) * s

    @staticmethod
    def cosface(logits, labels, s, m):
        rows = torch.where(labels != -1)[0]
        taken = torch.zeros_like(logits)
        taken[rows, labels[rows]] = m
        return (logits - taken) * s


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("layer, published", [
    (insightface.ArcFace(), lambda c, y: Published.arcface(c, y, 64.0, 0.5)),
    (insightface.ArcFace(32.0, 0.3), lambda c, y: Published.arcface(c, y, 32.0, 0.3)),
    (insightface.CosFace(), lambda c, y: Published.cosface(c, y, 64.0, 0.4)),
    (insightface.CombinedMarginLoss(64, 1.0, 0.5, 0.0), lambda c, y: Published.arcface(c, y, 64.0, 0.5)),
    (insightface.CombinedMarginLoss(64, 1.0, 0.0, 0.4), lambda c, y: Published.cosface(c, y, 64.0, 0.4)),
])
def test_insightface(layer, published, shape):
    x, w, labels = grid()
    labels[::9] = -1
    cosines = nn.functional.normalize(x) @ nn.functional.normalize(w, dim=0)
    a, b = cosines.clone().requires_grad_(), cosines.clone().requires_grad_()
    ours, theirs = layer(a, labels.view(shape)), published(b, labels)
    close(ours.detach(), theirs.detach())
    for logits in (ours, theirs):
        nn.functional.cross_entropy(logits, labels, ignore_index=-1).backward()
    close(a.grad, b.grad)
    assert torch.equal(a.detach(), cosines)


def test_insightface_s_filter_and_errors():
    c = torch.tensor([[0.7, 0.6, 0.1], [0.9, 0.2, 0.8]], dtype=torch.float64, requires_grad=True)
    layer = insightface.CombinedMarginLoss(10, 1.0, 0.0, 0.1, interclass_filtering_threshold=0.55)
    logits = layer(c, torch.tensor([0, -1]))
    assert torch.allclose(logits, torch.tensor([[6.0, 0, 1], [0, 2, 0]], dtype=torch.float64))
    logits.sum().backward()
    assert torch.equal(c.grad, torch.tensor([[10.0, 0, 10], [0, 10, 0]], dtype=torch.float64))
    with pytest.raises(losskit.ParameterError):
        insightface.CombinedMarginLoss(64, 2.0, 0.5, 0.0)
