"""Bad input: a typed error that says what is wrong, nothing written, and the next call works."""
import math

import pytest
import torch

import losskit
import losskit.torch.functional as F
from common import batch, points, same_bits
from losskit.torch import ArcFace, MarginSoftmax, PointLoss, SoftmaxLoss


def good():
    return batch(requires_grad=False)


def refused(error, text, **changed):
    """margin_softmax with these arguments in place of good ones."""
    cosines, labels = good()
    given = {"cosines": (cosines * 1).requires_grad_() * 1, "labels": labels, "inplace": True, **changed}
    tensors = {name: t for name, t in given.items() if isinstance(t, torch.Tensor) and t.device.type == "cpu"}
    before = {name: (t._version, t.detach().clone()) for name, t in tensors.items()}
    with pytest.raises(error, match=text):
        F.margin_softmax(**given)
    for name, t in tensors.items():
        version, bits = before[name]
        assert t._version == version and same_bits(t.detach().contiguous(), bits.contiguous())
    after = F.margin_softmax(cosines, labels)
    assert math.isfinite(after.item())


def test_types():
    c, y = good()
    refused(losskit.WrongTypeError, "cosines", cosines=c.long())
    refused(losskit.WrongTypeError, "cosines", cosines=c.to(torch.complex128))
    refused(losskit.WrongTypeError, "cosines", cosines=c.numpy())
    refused(losskit.WrongTypeError, "labels", labels=y.double())
    refused(losskit.WrongTypeError, "labels", labels=y.bool())
    refused(losskit.WrongTypeError, "labels", labels=[0, 1, 2, 3, 4, 0])
    refused(losskit.WrongTypeError, "weights", weights=y)
    refused(losskit.WrongTypeError, "WingLoss", loss="WingLoss")
    refused(losskit.WrongTypeError, "no policy", loss=3)


def test_devices():
    c, y = good()
    refused(losskit.WrongMemoryError, "labels", labels=y.to("meta"))
    refused(losskit.WrongMemoryError, "weights", weights=torch.ones(6, device="meta"))
    # The operator itself, which has no such check before it.
    for k, bad in ((1, y.to("meta")), (5, torch.ones(6, dtype=torch.float64, device="meta"))):
        arguments = [c, y, F.ARCFACE, 0, -100, None, None, None, None, None, None]
        arguments[k] = bad
        with pytest.raises((RuntimeError, NotImplementedError)):
            torch.ops.losskit.loss_value(*arguments)

    class Elsewhere(torch.Tensor):
        """A tensor that says that it is on a GPU: there may be none here."""
        device = torch.device("cuda:0")

    refused(losskit.WrongMemoryError, "cuda:0", cosines=c.as_subclass(Elsewhere))
    assert F.margin_softmax(c.to("meta"), y.to("meta")).shape == ()  # shapes alone


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_s_memory():
    c, y = good()
    refused(losskit.WrongMemoryError, "cuda", cosines=c.cuda())
    refused(losskit.WrongMemoryError, "cuda", labels=y.cuda())


def test_ranks_and_shapes():
    c, y = good()
    refused(losskit.ShapeError, "cosines", cosines=c[0].clone())
    refused(losskit.ShapeError, "cosines", cosines=c.view(2, 3, 5).clone())
    refused(losskit.ShapeError, "labels", labels=y[:-1])
    refused(losskit.ShapeError, "labels", labels=y.view(6, 1))
    refused(losskit.ShapeError, "labels", labels=torch.tensor(1))
    refused(losskit.ShapeError, "weights", weights=torch.ones(5))
    refused(losskit.ShapeError, "class_weights", class_weights=torch.ones(6))
    refused(losskit.ShapeError, "scales", scales=torch.ones(7))
    with pytest.raises(losskit.Error):
        F.cosine_layer(torch.randn(3, 4), torch.randn(5, 6))
    with pytest.raises(losskit.WrongTypeError):
        F.cosine_layer(torch.randn(3, 4), torch.randn(5, 4).double())


def test_labels_and_numbers():
    c, y = good()
    for bad in (5, -1, 2**40):
        wrong = y.clone()
        wrong[3] = bad
        refused(losskit.LabelError, f"labels\\[3\\] = {bad}", labels=wrong)
    refused(losskit.ParameterError, "weights", weights=-torch.ones(6))
    refused(losskit.ParameterError, "reduction", reduction="median")
    refused(losskit.ParameterError, "ArcMargin", loss="MarginSoftmax(ArcMargn)")
    refused(losskit.ParameterError, "m = 9", loss="MarginSoftmax(ArcMargin(m=9))")
    refused(losskit.ParameterError, "margin", loss="MarginSoftmax(SphereMargin)", margins=torch.ones(6))


def test_gradients_that_there_are_not():
    c, y = good()
    refused(losskit.WrongTypeError, "weights requires a gradient", weights=torch.ones(6, requires_grad=True))
    refused(losskit.WrongTypeError, "scale requires a gradient", scale=torch.ones(1, requires_grad=True))
    prediction, truth = points()
    with pytest.raises(losskit.WrongTypeError, match="truth requires a gradient"):
        F.point_loss(prediction, truth.requires_grad_())


def test_overwriting_what_cannot_be():
    c, y = good()
    refused(losskit.WrongMemoryError, "leaf", cosines=c.clone().requires_grad_())
    refused(losskit.StrideError, "columns", cosines=(c.t().contiguous().requires_grad_() * 1).t())


def test_point_losses():
    prediction, truth = points()
    for error, x, y, more in ((losskit.ShapeError, prediction, truth[:2], {}), (losskit.ShapeError, prediction, truth.view(4, 3), {}),
                              (losskit.ShapeError, prediction, truth.view(3, 2, 2), {}),
                              (losskit.WrongTypeError, prediction.detach().long(), truth, {}),
                              (losskit.WrongMemoryError, prediction, truth.to("meta"), {}),
                              (losskit.ShapeError, prediction, truth, {"weights": torch.ones(3)}),
                              (losskit.ParameterError, prediction, truth, {"weights": -torch.ones(3, 4)}),
                              (losskit.ParameterError, prediction, truth, {"reduction": "middle"}),
                              (losskit.WrongTypeError, prediction, truth, {"loss": "MarginSoftmax"})):
        before = x.detach().clone()
        with pytest.raises(error):
            F.point_loss(x, y, **more)
        assert same_bits(x.detach(), before) and F.point_loss(prediction, truth).isfinite()


def test_modules_refuse_when_they_are_made():
    for make in (lambda: ArcFace(4, 3, m=9), lambda: ArcFace(4, 3, rule="Nothing"), lambda: ArcFace(4, 3, easy_margin=True, rule="Clamp"),
                 lambda: ArcFace(4, 3, s=-1), lambda: MarginSoftmax(4, 3, scale="ArcMargin"), lambda: MarginSoftmax(4, 3, "FocalLoss"),
                 lambda: MarginSoftmax(4, 2, scale="AdaCosScale"), lambda: ArcFace(4, 3, reduction="middle"),
                 lambda: SoftmaxLoss("ArcMargin"), lambda: PointLoss("FocalLoss", reduction="middle")):
        with pytest.raises(losskit.Error):
            make()


def test_empty_and_small():
    for rows, classes in ((0, 3), (1, 1), (2, 1)):
        c = torch.zeros(rows, classes, requires_grad=True)
        loss = F.margin_softmax(c, torch.zeros(rows, dtype=torch.long))
        loss.backward()
        assert loss.isfinite() and c.grad.shape == c.shape and c.grad.isfinite().all()
    ignored = torch.zeros(2, 3, requires_grad=True)
    F.margin_softmax(ignored, torch.full((2,), -100)).backward()
    assert (ignored.grad == 0).all()
    for shape in ((), (0,), (5,), (2, 0, 3), (2, 3, 4)):
        x = torch.rand(shape, requires_grad=True)
        loss = F.point_loss(x, torch.zeros(shape), reduction="none")
        assert loss.shape == torch.Size(shape)
        F.point_loss(x, torch.zeros(shape)).backward()
        assert x.grad.shape == torch.Size(shape)
