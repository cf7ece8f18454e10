"""The modules: what they compute, what they keep, what trains."""
import copy
import io
import math

import pytest
import torch
from torch import nn

import losskit
import losskit.torch.functional as F
from common import same_bits
from losskit.torch import (MV, AdaCos, AdaptiveWing, ArcFace, CombinedMargin, CosFace, CurricularFace, Focal, MarginSoftmax, PointLoss,
                           SoftmaxLoss, SphereFace, Wing)

HEADS = [ArcFace, CosFace, SphereFace, CombinedMargin, AdaCos, MV, CurricularFace, MarginSoftmax]


def made(head, *, classes=5, **more):
    torch.manual_seed(2)
    return head(7, classes, **more).double()


def inputs(rows=10, classes=5):
    torch.manual_seed(3)
    return torch.randn(rows, 7, dtype=torch.float64, requires_grad=True), torch.arange(rows) % classes


@pytest.mark.parametrize("head", HEADS)
def test_every_centre_moves_when_its_class_is_trained(head):
    for label in range(5):
        module = made(head)
        before = module.weight.detach().clone()
        x, _ = inputs(3)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
        module(x, torch.full((3,), label)).backward()
        optimiser.step()
        moved = (module.weight - before).norm(dim=1)
        assert moved[label] > 0 and x.grad.abs().max() > 0
    module = made(head)
    before = module.weight.detach().clone()
    x, labels = inputs()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = module(x.detach(), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert ((module.weight - before).norm(dim=1) > 0).all()
    assert losses[-1] < losses[0] or head is AdaCos  # its scale moves too


@pytest.mark.parametrize("head", HEADS)
def test_scores_have_no_margin(head):
    module, (x, _) = made(head), inputs()
    cosines = nn.functional.normalize(x) @ nn.functional.normalize(module.weight).t()
    scale = {AdaCos: math.sqrt(2) * math.log(4), SphereFace: x.norm(dim=1, keepdim=True), MV: 32.0}.get(head, 64.0)
    assert torch.allclose(module(x), scale * cosines, rtol=1e-13, atol=1e-13)
    assert torch.allclose(module.cosines(x), cosines, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("head", HEADS)
def test_a_module_can_be_saved_and_copied(head):
    module, (x, labels) = made(head), inputs()
    for _ in range(3):
        module(x, labels)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = head(7, 5).double()
    other.load_state_dict(torch.load(file))
    for again in (other, copy.deepcopy(module)):
        assert same_bits(again.eval()(x, labels).detach(), module.eval()(x, labels).detach())
        assert all(same_bits(a, b) for a, b in zip(again.buffers(), module.buffers()))


def reference_arcface(cosines, labels, s, m, easy):
    """arcface-pytorch's formula, and what a checkpoint of it is trained with."""
    target = cosines.gather(1, labels.view(-1, 1))
    phi = target * math.cos(m) - (1 - target**2).sqrt() * math.sin(m)
    phi = torch.where(target > 0, phi, target) if easy else torch.where(target > math.cos(math.pi - m), phi, target - m * math.sin(m))
    return nn.functional.cross_entropy(cosines.scatter(1, labels.view(-1, 1), phi) * s, labels)


@pytest.mark.parametrize("easy", [False, True])
def test_arcface_pytorch_s_checkpoints_load(easy):
    checkpoint = {"weight": torch.randn(5, 7, dtype=torch.float64)}  # ArcMarginProduct's state_dict
    module = ArcFace(7, 5, s=30.0, m=0.5, easy_margin=easy, rule=None if easy else "LegacyLinear").double()
    module.load_state_dict(checkpoint)
    x, labels = inputs()
    loss = module(x, labels)
    loss.backward()
    y = x.detach().clone().requires_grad_()
    w = checkpoint["weight"].requires_grad_()
    expected = reference_arcface(nn.functional.linear(nn.functional.normalize(y), nn.functional.normalize(w)), labels, 30.0, 0.5, easy)
    expected.backward()
    for a, b in ((loss, expected), (x.grad, y.grad), (module.weight.grad, w.grad)):
        assert (a - b).abs().max() <= 1e-12 * b.abs().max()


def test_adacos_follows_the_batch():
    module, (x, labels) = made(AdaCos), inputs()
    start = module.scale_state.clone()
    assert start[0] == pytest.approx(math.sqrt(2) * math.log(4), rel=1e-15)
    module.eval()(x, labels)
    with torch.no_grad():
        module(x)
    assert same_bits(module.scale_state, start)  # training alone moves it
    cosines = module.cosines(x).detach()
    labels[4] = -100
    module.train()(x, labels)
    seen = torch.arange(10) != 4
    others = (start[0] * cosines).exp().masked_fill(nn.functional.one_hot(labels.clamp(0), 5).bool(), 0)[seen].sum(1).mean()
    median = cosines[seen].gather(1, labels[seen].view(-1, 1)).acos().median()  # the lower one of two
    expected = others.log() / torch.cos(median.clamp(max=math.pi / 4))
    assert module.scale_state[0] == pytest.approx(expected.item(), rel=1e-12) and module.scale_state[1] == 1


def test_curricular_face_follows_the_batch():
    module, (x, labels) = made(CurricularFace), inputs()
    target = module.cosines(x).detach().gather(1, labels.view(-1, 1)).mean()
    module(x, labels)
    assert module.rest_state[0] == pytest.approx(0.01 * target.item(), rel=1e-12)
    module(x, labels)
    assert module.rest_state[0] == pytest.approx(0.01 * target.item() * (1 + 0.99), rel=1e-12) and module.rest_state[1] == 2


def test_a_state_keeps_its_digits():
    module, (x, labels) = made(AdaCos), inputs()
    module(x, labels)
    before = module.scale_state.clone()
    assert same_bits(module.half().scale_state, before) and module.weight.dtype == torch.float16
    module(x.detach().half(), labels).backward()
    assert module.weight.grad.dtype == torch.float16 and module.weight.grad.isfinite().all()


def test_mixed_precision():
    module, labels = ArcFace(7, 5), torch.tensor([0, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(torch.randn(3, 7).bfloat16(), labels)
    loss.backward()
    assert loss.dtype == torch.float32 and module.weight.grad.dtype == torch.float32
    assert ArcFace(7, 5).bfloat16()(torch.randn(3, 7).bfloat16(), labels).dtype == torch.float32


def test_a_margin_may_change():
    module, (x, labels) = made(ArcFace), inputs()
    module.set_margin(losskit.ArcMargin(m=0.2))
    assert same_bits(module(x, labels).detach(), made(ArcFace, m=0.2)(x, labels).detach())
    annealed = made(SphereFace, annealing=5)
    assert "lambda=5" in annealed.loss
    annealed.set_margin("SphereMargin(m=4)")
    assert same_bits(annealed(x, labels).detach(), made(SphereFace)(x, labels).detach())


def test_reductions_and_ignored_rows():
    x, labels = inputs()
    each = made(ArcFace, reduction="none")(x, labels)
    assert each.shape == (10,) and each.mean().item() == pytest.approx(made(ArcFace)(x, labels).item(), rel=1e-14)
    labels[1] = 255
    ignored = made(ArcFace, ignore_index=255)(x, labels)
    assert ignored.item() == pytest.approx(each[torch.arange(10) != 1].mean().item(), rel=1e-14)


def test_policies_by_object_and_by_text():
    x, labels = inputs()
    by_object = made(MarginSoftmax, margin=losskit.ArcMargin(m=0.3, rule=losskit.Clamp(eps=1e-3)), scale=losskit.FixedScale(s=20),
                     objective=losskit.FocalLoss(gamma=1), rest=losskit.HardNegatives(t=0.1, weight="Fixed"))
    by_text = made(MarginSoftmax, margin="ArcMargin(m=0.3, rule=Clamp(eps=1e-3))", scale=20, objective="FocalLoss(1)",
                   rest="HardNegatives(t=0.1, weight=Fixed)")
    assert by_object.loss == by_text.loss and same_bits(by_object(x, labels).detach(), by_text(x, labels).detach())
    assert "FocalLoss" in repr(by_object)


def test_softmax_losses_agree_with_torch():
    logits, labels = torch.randn(6, 5, dtype=torch.float64) * 9, torch.arange(6) % 5
    labels[2] = -100
    close = lambda a, b: torch.allclose(a, b, rtol=1e-13, atol=0)  # noqa: E731
    ce = nn.functional.cross_entropy
    assert close(SoftmaxLoss()(logits, labels), ce(logits, labels))
    assert close(SoftmaxLoss("LabelSmoothing(0.1)")(logits, labels), ce(logits, labels, label_smoothing=0.1))
    assert close(SoftmaxLoss(scale=0.5, reduction="sum")(logits, labels), ce(logits * 0.5, labels, reduction="sum"))
    by_class = torch.rand(5, dtype=torch.float64) + 0.1
    assert close(SoftmaxLoss(reduction="weighted_mean")(logits, labels, class_weights=by_class), ce(logits, labels, weight=by_class))
    plain = ce(logits, labels, reduction="none")
    assert close(Focal(gamma=2, reduction="none")(logits, labels), (1 - (-plain).exp()) ** 2 * plain)


def test_point_losses_agree_with_torch():
    x, y = torch.randn(3, 4, 5, dtype=torch.float64) * 3, torch.rand(3, 4, 5, dtype=torch.float64)
    assert torch.allclose(PointLoss("SmoothL1Loss")(x, y), nn.functional.smooth_l1_loss(x, y), rtol=1e-14)
    assert torch.allclose(PointLoss("HuberLoss(2)", reduction="none")(x, y), nn.functional.huber_loss(x, y, delta=2, reduction="none"))
    d = (x - y).abs()
    wing = torch.where(d < 10, 10 * torch.log1p(d / 2), d - 10 + 10 * math.log1p(5))
    assert torch.allclose(Wing(reduction="none")(x, y), wing, rtol=1e-13)
    a = 14 / (1 + 0.5 ** (2.1 - y)) * (2.1 - y) * 0.5 ** (1.1 - y)
    awing = torch.where(d < 0.5, 14 * torch.log1p(d ** (2.1 - y)), a * d - (0.5 * a - 14 * torch.log1p(0.5 ** (2.1 - y))))
    assert torch.allclose(AdaptiveWing(reduction="none")(x, y), awing, rtol=1e-12)
    near = nn.functional.max_pool2d(y, 3, 1, 1) >= 0.2
    assert torch.equal(F.adaptive_wing_weights(y), 1 + 10.0 * near)
    assert torch.allclose(AdaptiveWing(weight=10)(x, y), (awing * (1 + 10.0 * near)).mean(), rtol=1e-12)
