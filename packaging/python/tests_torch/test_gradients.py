"""The gradient is the derivative of the loss, for every policy; and what autograd may ask of it."""
import pytest
import torch
from torch.autograd import gradcheck

import losskit.torch.functional as F
from common import LOSSES, MARGIN_LOSSES, MARGINS, POINT_LOSSES, RESTS, SCALE, batch, points, same_bits

REDUCTIONS = ["mean", "sum", "none", "batch_mean", "weighted_mean"]


def checked(f, *inputs):
    return gradcheck(f, inputs, eps=1e-6, atol=1e-7, rtol=1e-6, check_undefined_grad=False)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_differentiated(loss):
    cosines, labels = batch()
    rest = 0.3 if "CurricularRest" in loss else None
    if "Detached" in loss:  # every slope is 1 by intent: the margin moves the value only
        F.margin_softmax(cosines, labels, loss).backward()
        free = cosines.detach().clone().requires_grad_()
        moved = F.margin_logits(cosines.detach(), labels, loss) + SCALE * (free - free.detach())
        torch.nn.functional.cross_entropy(moved, labels).backward()
        assert torch.allclose(cosines.grad, free.grad, rtol=1e-12, atol=1e-15)
    else:
        assert checked(lambda c: F.margin_softmax(c, labels, loss, rest=rest), cosines)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_reduction_is_differentiated(reduction):
    cosines, labels = batch()
    labels[2] = -100
    numbers = dict(weights=torch.rand(6) + 0.5, class_weights=torch.rand(5) + 0.5, scales=(torch.rand(6) + 4).double(),
                   margins=(torch.rand(6) * 0.5).double())

    def f(c, scales, margins):
        return F.margin_softmax(c, labels, f"MarginSoftmax(ArcMargin, {SCALE})", reduction=reduction,
                                **{**numbers, "scales": scales, "margins": margins})

    assert checked(f, cosines, numbers["scales"].requires_grad_(), numbers["margins"].requires_grad_())


@pytest.mark.parametrize("loss", POINT_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_point_loss_is_differentiated(loss, reduction):
    prediction, truth = points()
    if "SigmoidFocal" in loss:
        truth = (truth > 0.5).double()
    assert checked(lambda x: F.point_loss(x, truth, loss, reduction=reduction), prediction)
    assert checked(lambda x: F.point_loss(x, truth, loss, reduction=reduction, weights=truth + 1), prediction)


@pytest.mark.parametrize("margin", [m for m in MARGINS if "Detached" not in m])  # whose slope is 1 by intent
def test_the_margin_layer_is_differentiated(margin):
    cosines, labels = batch()
    labels[3] = -1
    scales = torch.linspace(2, 9, 6, dtype=torch.float64, requires_grad=True)
    f = lambda c, s: F.margin_logits(c, labels, f"MarginSoftmax({margin})", ignore_index=-1, scales=s)  # noqa: E731
    assert checked(f, cosines, scales)


@pytest.mark.parametrize("rest", RESTS)
def test_the_margin_layer_takes_every_rest_rule(rest):
    cosines, labels = batch()
    loss = f"MarginSoftmax(ArcMargin(m=0.3), {SCALE}, CrossEntropy, {rest})"
    assert checked(lambda c: F.margin_logits(c, labels, loss), cosines)
    whole = F.margin_softmax(cosines, labels, loss)
    apart = torch.nn.functional.cross_entropy(F.margin_logits(cosines, labels, loss), labels)
    assert torch.allclose(whole, apart, rtol=1e-14, atol=0)


def test_the_cosine_layer_is_differentiated():
    x, w = torch.randn(4, 3, dtype=torch.float64, requires_grad=True), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert checked(F.cosine_layer_with_norms, x, w)
    assert checked(lambda x: F.cosine_layer(x, w.detach()), x)
    assert checked(lambda w: F.cosine_layer(x.detach(), w), w)
    assert checked(lambda x: F.cosine_layer_with_norms(x, w.detach())[1], x)
    reference = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).t()
    assert torch.allclose(F.cosine_layer(x, w), reference, rtol=0, atol=1e-15)


def test_a_row_s_norm_as_its_scale_is_differentiated():
    x, w = torch.randn(4, 3, dtype=torch.float64, requires_grad=True), torch.randn(5, 3, dtype=torch.float64)

    def f(x):
        cosines, norms = F.cosine_layer_with_norms(x, w)
        return F.margin_softmax(cosines, torch.tensor([0, 1, 2, 3]), "MarginSoftmax(SphereMargin)",
                                scales=F.row_scales(norms, "FeatureNorm(low=1.5)"))

    assert checked(f, x)


# --- what autograd asks ------------------------------------------------------------------------------------------------------------


def gradient_of(upstream=None, **more):
    cosines, labels = batch()
    F.margin_softmax(cosines, labels, **more).backward(upstream)
    return cosines.grad


def test_a_backward_can_be_repeated():
    for factor in (1.0, 2.0):
        cosines, labels = batch()
        loss = F.margin_softmax(cosines, labels) * factor
        loss.backward(retain_graph=True)
        first = cosines.grad.clone()
        loss.backward(retain_graph=True)  # accumulates: into memory that must not be the saved gradient's
        assert same_bits(cosines.grad, first + first)
        cosines.grad = None
        loss.backward()
        assert same_bits(cosines.grad, first)


def test_the_gradient_is_the_caller_s_to_change():
    cosines, labels = batch()
    loss = F.margin_softmax(cosines, labels)
    (one,) = torch.autograd.grad(loss, cosines, retain_graph=True)
    kept = one.clone()
    torch.autograd.grad(loss, cosines, retain_graph=True)[0]
    cosines2, _ = batch()
    loss2 = F.margin_softmax(cosines2, labels)
    loss2.backward(retain_graph=True)
    cosines2.grad.zero_()  # as an optimiser's zero_grad(set_to_none=False) does
    loss2.backward()
    assert same_bits(cosines2.grad, kept)


def test_upstream_may_have_any_strides():
    plain = torch.tensor([1.0, 2, 3, 4, 5, 6], dtype=torch.float64)
    contiguous = gradient_of(plain, reduction="none")
    strided = torch.stack([plain, plain * 7], 1)[:, 0]
    assert not strided.is_contiguous() and same_bits(gradient_of(strided, reduction="none"), contiguous)
    expanded = torch.tensor(3.0, dtype=torch.float64).expand(6)
    assert same_bits(gradient_of(expanded, reduction="none"), gradient_of(torch.full((6,), 3.0, dtype=torch.float64), reduction="none"))
    each = torch.stack([gradient_of(torch.eye(6, dtype=torch.float64)[i], reduction="none") for i in range(6)])
    assert torch.allclose((each * plain.view(6, 1, 1)).sum(0), contiguous, rtol=1e-15, atol=0)


def test_upstream_multiplies():
    whole = gradient_of()
    assert same_bits(gradient_of(torch.tensor(4.0, dtype=torch.float64)), whole * 4)
    assert same_bits(gradient_of(torch.ones((), dtype=torch.float64)), whole)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_gradient_of_upstream_one_is_that_of_any(inplace):
    leaf, labels = batch()
    cosines = leaf * 1
    before = cosines.detach().clone()
    loss = F.margin_softmax(cosines, labels, inplace=inplace)
    ask = lambda upstream: torch.autograd.grad(loss, leaf if inplace else cosines, upstream, retain_graph=True)[0]  # noqa: E731
    one, four = ask(torch.ones((), dtype=torch.float64)), ask(torch.full((), 4.0, dtype=torch.float64))
    assert same_bits(one, gradient_of()) and same_bits(four, one * 4)
    assert inplace or same_bits(cosines.detach(), before)


def test_the_centres_gradient_takes_their_place_and_is_the_same():
    """Where the graph is let go, it is written over the unit centres, some thousand classes at a time; a kept graph keeps them."""
    x, w = torch.randn(6, 5), torch.randn(5000, 5)  # more classes than that
    found = []
    for keep in (True, False):
        ours = [t.clone().requires_grad_() for t in (x, w)]
        cosines, norms = F.cosine_layer_with_norms(*ours)
        (cosines.square().sum() + norms.sum()).backward(retain_graph=keep)
        found.append([t.grad for t in ours])
    (kept_x, kept_w), (x_grad, w_grad) = found
    assert same_bits(kept_x, x_grad)
    assert torch.allclose(kept_w, w_grad, rtol=1e-5, atol=1e-7)
    assert w_grad.is_contiguous() and not w_grad.requires_grad


def addresses(retain_graph):
    """Of the gradient that the forward saved, and of the one that the backward gave."""
    leaf, labels = batch()
    loss = F.margin_softmax(leaf, labels)
    saved = loss.grad_fn.saved_tensors[0].data_ptr()
    return saved, torch.autograd.grad(loss, leaf, retain_graph=retain_graph)[0].data_ptr()


def test_the_saved_gradient_is_handed_on_where_nobody_wants_it_again():
    saved, given = addresses(retain_graph=False)
    assert saved == given  # no copy
    saved, given = addresses(retain_graph=True)
    assert saved != given


@pytest.mark.parametrize("through", [lambda t: t, lambda t: t.view(t.shape), lambda t: t[:], lambda t: t * 1])
def test_a_graph_that_is_kept_gives_the_same_bits_each_time(through):
    leaf, labels = batch()
    loss = F.margin_softmax(through(leaf), labels)
    for k in (1, 2, 3, 4):
        loss.backward(retain_graph=k < 4)
        assert same_bits(leaf.grad, gradient_of() * k)


def test_a_second_derivative_is_refused():
    cosines, labels = batch()
    (first,) = torch.autograd.grad(F.margin_softmax(cosines, labels), cosines, create_graph=True)
    assert same_bits(first.detach(), gradient_of())
    with pytest.raises(RuntimeError, match="second derivative"):
        first.sum().backward()
    x, w = torch.randn(3, 2, requires_grad=True), torch.randn(4, 2, requires_grad=True)
    (first,) = torch.autograd.grad(F.cosine_layer(x, w)[0, 0], x, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivative"):
        first.sum().backward()
    prediction, truth = points()
    (first,) = torch.autograd.grad(F.point_loss(prediction, truth), prediction, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivative"):
        first.sum().backward()
    (first,) = torch.autograd.grad(F.margin_logits(cosines, labels).sum(), cosines, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivative"):
        first.sum().backward()


def test_without_a_gradient_the_loss_alone_is_computed(monkeypatch):
    calls = []
    real = F.call
    monkeypatch.setattr(F, "call", lambda op, *a: (calls.append(str(op)), real(op, *a))[1])
    cosines, labels = batch()
    prediction, truth = points()
    with torch.no_grad():
        a, b = F.margin_softmax(cosines, labels), F.point_loss(prediction, truth)
    F.margin_softmax(cosines.detach(), labels), F.point_loss(prediction.detach(), truth)
    with torch.inference_mode():
        F.margin_softmax(cosines, labels, inplace=True)
    assert {name.split(".")[-1] for name in calls} == {"loss_value", "point_loss"}
    assert not a.requires_grad and same_bits(a, F.margin_softmax(cosines, labels).detach())
    assert not b.requires_grad and same_bits(b, F.point_loss(prediction, truth).detach())


# --- in place ----------------------------------------------------------------------------------------------------------------------


def test_cosines_are_kept_unless_they_are_given_away():
    cosines, labels = batch()
    before = cosines.detach().clone()
    F.margin_softmax(cosines, labels).backward()
    F.margin_logits(cosines, labels).sum().backward()
    assert same_bits(cosines.detach(), before)


@pytest.mark.parametrize("loss", [MARGIN_LOSSES[0], MARGIN_LOSSES[-1], "SoftmaxLoss"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_in_place_has_the_same_bits(loss, reduction):
    results = []
    for inplace in (False, True):
        leaf, labels = batch()
        cosines = leaf * 1
        value = F.margin_softmax(cosines, labels, loss, reduction=reduction, inplace=inplace)
        value.sum().backward(retain_graph=True)
        first = leaf.grad.clone()
        value.sum().backward()
        results.append((value.detach(), first, leaf.grad))
        assert (same_bits(cosines.detach(), (leaf * 1).detach())) != inplace
    assert all(same_bits(a, b) for a, b in zip(*results))


def test_cosines_given_away_are_refused_to_others():
    leaf, labels = batch()
    cosines = torch.tanh(leaf)  # needs its own output to go back
    F_loss = F.margin_softmax(cosines, labels, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        F_loss.backward()
    cosines = leaf * 1
    F.margin_softmax(cosines, labels, inplace=True)
    with pytest.raises(RuntimeError, match="overwritten by a loss"):
        cosines.sum().backward()


# --- types -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_is_computed_in_float32(dtype):
    cosines, labels = batch(dtype=dtype)
    loss = F.margin_softmax(cosines, labels)
    loss.backward()
    reference = cosines.detach().float().requires_grad_()
    expected = F.margin_softmax(reference, labels)
    expected.backward()
    assert loss.dtype == torch.float32 and same_bits(loss.detach(), expected.detach())
    assert cosines.grad.dtype == dtype and same_bits(cosines.grad, reference.grad.to(dtype))
    prediction, truth = points(dtype=dtype)
    F.point_loss(prediction, truth).backward()
    assert prediction.grad.dtype == dtype


def test_autocast_computes_in_float32():
    x, w = torch.randn(4, 8, requires_grad=True), torch.randn(5, 8, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 3])
    with torch.autocast("cpu", torch.bfloat16):
        narrow = torch.nn.functional.linear(x, torch.eye(8))
        assert narrow.dtype == torch.bfloat16
        cosines = F.cosine_layer(narrow, w)
        loss = F.margin_softmax(cosines, labels)
        # The operators themselves too, without what the functions do first.
        direct = torch.ops.losskit.loss_value(cosines.detach().bfloat16(), labels, F.ARCFACE, 0, -100, *[None] * 6)
        torch.ops.losskit.cosine_layer(narrow.detach(), w.detach())
    assert cosines.dtype == loss.dtype == direct.dtype == torch.float32
    loss.backward()
    assert x.grad.dtype == torch.float32 and w.grad.dtype == torch.float32


def test_a_cosine_of_one_in_half_gives_no_nan():
    """The fault most reported of the peers: acos has an infinite slope at 1, which half reaches by rounding."""
    c = torch.tensor([[1.0, 0.2], [0.1, 1.0]], dtype=torch.float16)
    labels = torch.tensor([0, 0])

    def peer(c):  # acos and cos under autograd (insightface 2021, and many after it)
        theta = torch.acos(c)
        theta = theta + torch.nn.functional.one_hot(labels, 2) * 0.5
        return torch.nn.functional.cross_entropy((torch.cos(theta) * 64).float(), labels)

    theirs, ours = c.clone().requires_grad_(), c.clone().requires_grad_()
    peer(theirs).backward()
    F.margin_softmax(ours, labels).backward()
    assert not theirs.grad.isfinite().all()
    assert ours.grad.isfinite().all() and (ours.grad != 0).any()
