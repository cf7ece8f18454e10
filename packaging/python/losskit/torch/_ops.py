"""torch.ops.losskit: loads the operators and registers what C++ does not give them: fake kernels, derivatives, casts, typed errors.

A loss runs once, in the forward: loss and gradient together. The backward multiplies what was saved, never in place. Private.
"""
from __future__ import annotations

import re
from pathlib import Path

import torch

import losskit

if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 10):
    raise ImportError(f"losskit.torch needs torch 2.10 or later; this is {torch.__version__}")
_library = Path(losskit.__file__).parent / "lib" / "liblosskit_torch.so"
if not _library.exists():
    raise ImportError(f"this losskit was built without its operators for torch: there is no {_library}")
torch.ops.load_library(str(_library))
ops = torch.ops.losskit

REDUCTIONS = {"mean": 0, "sum": 1, "none": 2, "batch_mean": 3, "weighted_mean": 4}
_NONE = REDUCTIONS["none"]

# --- errors ----------------------------------------------------------------------------------------------------------------------

_TYPED = re.compile(r"losskit\.(\w+): (.*)", re.DOTALL)


def call(op, *arguments):
    """The operator, its errors as losskit's: losskit.LabelError and its kin. Inside a compiled function they stay RuntimeErrors."""
    if torch.compiler.is_compiling():
        return op(*arguments)
    try:
        return op(*arguments)
    except RuntimeError as error:
        found = _TYPED.match(str(error))
        if not found or not hasattr(losskit, found[1]):
            raise
        text = found[2].split("\nException raised from", 1)[0]
        raise getattr(losskit, found[1])(text) from None


# --- shapes, for torch.compile, torch.export and the meta device -------------------------------------------------------------------


def _on_one_device(*tensors):
    """torch runs these also where one tensor of several is a meta tensor: what came out would be memory that nobody wrote."""
    devices = {t.device for t in tensors if isinstance(t, torch.Tensor)}
    if len(devices) > 1:
        raise RuntimeError(f"losskit.WrongMemoryError: tensors on different devices: {', '.join(sorted(map(str, devices)))}")


@torch.library.register_fake("losskit::loss_value")
def _(cosines, labels, policy, reduction, *rest):
    _on_one_device(cosines, labels, *rest)
    return cosines.new_empty(cosines.shape[:1] if reduction == _NONE else ())


def _per_row(cosines, *given):
    return tuple(cosines.new_empty((cosines.shape[0] if g is not None else 0,)) for g in given)


@torch.library.register_fake("losskit::loss_and_gradient")
def _(cosines, labels, policy, reduction, ignore_index, weights, class_weights, scales, margins, scale, rest):
    _on_one_device(cosines, labels, weights, class_weights, scales, margins, scale, rest)
    loss = cosines.new_empty(cosines.shape[:1] if reduction == _NONE else ())
    return (loss, cosines.new_empty(cosines.shape), *_per_row(cosines, scales, margins))


@torch.library.register_fake("losskit::loss_and_gradient_")
def _(cosines, labels, policy, reduction, ignore_index, weights, class_weights, scales, margins, scale, rest):
    _on_one_device(cosines, labels, weights, class_weights, scales, margins, scale, rest)
    loss = cosines.new_empty(cosines.shape[:1] if reduction == _NONE else ())
    return (loss, *_per_row(cosines, scales, margins))


@torch.library.register_fake("losskit::logits")
def _(cosines, labels, policy, ignore_index, scales, margins, scale, rest):
    _on_one_device(cosines, labels, scales, margins, scale, rest)
    return cosines.new_empty(cosines.shape)


@torch.library.register_fake("losskit::logits_backward")
def _(logits_gradient, cosines, labels, policy, ignore_index, scales, margins, scale, rest):
    _on_one_device(logits_gradient, cosines, labels, scales, margins, scale, rest)
    return (cosines.new_empty(cosines.shape), *_per_row(cosines, scales))


@torch.library.register_fake("losskit::point_loss")
def _(prediction, truth, policy, reduction, weights):
    _on_one_device(prediction, truth, weights)
    return prediction.new_empty(prediction.shape if reduction == _NONE else ())


@torch.library.register_fake("losskit::point_loss_and_gradient")
def _(prediction, truth, policy, reduction, weights):
    _on_one_device(prediction, truth, weights)
    return prediction.new_empty(prediction.shape if reduction == _NONE else ()), prediction.new_empty(prediction.shape)


@torch.library.register_fake("losskit::adaptive_wing_weights")
def _(truth, weight, threshold):
    return truth.new_empty(truth.shape)


@torch.library.register_fake("losskit::cosine_layer")
def _(x, weight):
    _on_one_device(x, weight)
    rows, classes = x.shape[0], weight.shape[0]
    return (x.new_empty((rows, classes)), x.new_empty((rows,)), x.new_empty(x.shape), x.new_empty(weight.shape), x.new_empty((classes,)))


@torch.library.register_fake("losskit::cosine_layer_backward")
def _(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w):
    _on_one_device(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w)
    return unit_x.new_empty(unit_x.shape), unit_w.new_empty(unit_w.shape)


@torch.library.register_fake("losskit::cosine_layer_backward_")
def _(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w):
    _on_one_device(cosines_gradient, norms_gradient, unit_x, unit_w, norms_x, norms_w)
    return unit_x.new_empty(unit_x.shape)


@torch.library.register_fake("losskit::row_scales")
def _(norms, policy):
    return norms.new_empty(norms.shape), norms.new_empty(norms.shape)


@torch.library.register_fake("losskit::start")
def _(policy):
    return torch.empty(3, dtype=torch.float64)


@torch.library.register_fake("losskit::advance")
def _(state, policy, cosines, labels, ignore_index):
    _on_one_device(state, cosines, labels)
    return state.new_empty((3,))


# --- derivatives -----------------------------------------------------------------------------------------------------------------


def _differentiable(name, context, backward):
    """Registers the derivative of an operator, and returns the operator as functional.py calls it. In eager code it is a
    torch.autograd.Function of the same two functions: for a small batch a derivative registered in Python costs more than the loss itself."""
    op = getattr(ops, name).default
    torch.library.register_autograd(f"losskit::{name}", backward, setup_context=context)

    def forward(ctx, *arguments):
        output = op(*arguments)
        context(ctx, arguments, output)
        ctx.owns_saved = True  # functional.py returns none of the outputs that a backward may overwrite
        return output

    function = type(name, (torch.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})

    def run(*arguments):
        return op(*arguments) if torch.compiler.is_compiling() else call(function.apply, *arguments)

    return run


def _first_only(*gradients):
    """What a forward saved is a gradient: to differentiate it again would be the second derivative, which losskit has not."""
    if any(g is not None for g in gradients):
        raise RuntimeError("losskit: a loss can be differentiated once; its second derivative (double backward) is not implemented")


# Does the backward that is running keep its graph (retain_graph), so that what was saved is wanted again?
_keeps_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


def _times(upstream, saved, hand_on=False):
    """upstream times a gradient, per row or per element where the upstream is. hand_on: the saved tensor itself where upstream is 1 and
    nobody will want it again: whoever gets it may write over it, as a leaf does that keeps it as its .grad."""
    # Where it can be known cheaply: a number of ordinary eager training, not one that a compiler traces; no graph of the product.
    if (hand_on and type(upstream) is torch.Tensor and upstream.dim() == 0 and not torch.is_grad_enabled() and not _keeps_graph()
            and upstream.item() == 1):
        return saved
    while 0 < upstream.dim() < saved.dim():
        upstream = upstream.unsqueeze(-1)
    return saved * upstream


def _loss_context(ctx, inputs, output):
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _loss_backward(ctx, upstream, *others):
    _first_only(*others)
    by_input = [None] * 11
    if upstream is not None:
        for k, saved in zip((0, 7, 8), ctx.saved_tensors):
            if ctx.needs_input_grad[k]:
                by_input[k] = _times(upstream, saved, k == 0)
    return tuple(by_input)


loss_and_gradient = _differentiable("loss_and_gradient", _loss_context, _loss_backward)


def _point_backward(ctx, upstream, *others):
    _first_only(*others)
    return (None if upstream is None else _times(upstream, ctx.saved_tensors[0], True), None, None, None, None)


point_loss_and_gradient = _differentiable("point_loss_and_gradient", _loss_context, _point_backward)


class InPlaceLoss(torch.autograd.Function):
    """loss_and_gradient with the gradient in the cosines' place: they are marked dirty, so that whoever needs their old value is told."""

    @staticmethod
    def forward(ctx, cosines, *arguments):
        loss, by_scale, by_margin = ops.loss_and_gradient_(cosines, *arguments)
        ctx.mark_dirty(cosines)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(cosines, by_scale, by_margin)
        return loss, cosines

    @staticmethod
    def backward(ctx, upstream, *others):
        if others[0] is not None:
            raise RuntimeError("losskit: these cosines were overwritten by a loss with inplace=True and have no gradient any more")
        return _loss_backward(ctx, upstream)


def _logits_context(ctx, inputs, output):
    cosines, labels, policy, ignore_index, *numbers = inputs
    ctx.policy, ctx.ignore_index = policy, ignore_index
    ctx.save_for_backward(cosines, labels, *numbers)


def _once(ctx_op):
    """Marks a backward operator as one that has no derivative."""

    def refuse(ctx, *gradients):
        raise RuntimeError("losskit: a layer can be differentiated once; its second derivative (double backward) is not implemented")

    torch.library.register_autograd(ctx_op, refuse)


def _logits_backward(ctx, upstream):
    cosines, labels, scales, margins, scale, rest = ctx.saved_tensors
    gradient, by_scale = ops.logits_backward(upstream, cosines, labels, ctx.policy, ctx.ignore_index, scales, margins, scale, rest)
    return gradient, None, None, None, by_scale if scales is not None else None, None, None, None


logits = _differentiable("logits", _logits_context, _logits_backward)
_once("losskit::logits_backward")


def _layer_context(ctx, inputs, output):
    _, norms_x, unit_x, unit_w, norms_w = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(unit_x, unit_w, norms_x, norms_w)


def _layer_backward(ctx, by_cosines, by_norms, *others):
    _first_only(*others)
    unit_x, unit_w, norms_x, norms_w = ctx.saved_tensors
    if by_cosines is None:
        by_x = None if by_norms is None else unit_x * by_norms.unsqueeze(1)
        return by_x, None
    saved = unit_x, unit_w, norms_x, norms_w
    if getattr(ctx, "owns_saved", False) and not torch.is_grad_enabled() and not _keeps_graph() and unit_w.is_contiguous():
        return ops.cosine_layer_backward_(by_cosines, by_norms, *saved), unit_w.detach()  # the centres' gradient in their place
    return ops.cosine_layer_backward(by_cosines, by_norms, *saved)


cosine_layer = _differentiable("cosine_layer", _layer_context, _layer_backward)
_once("losskit::cosine_layer_backward")


def _scales_context(ctx, inputs, output):
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1])


def _scales_backward(ctx, by_scales, by_slopes):
    _first_only(by_slopes)
    return (None if by_scales is None else by_scales * ctx.saved_tensors[0]), None


row_scales = _differentiable("row_scales", _scales_context, _scales_backward)

# --- autocast: losses compute in float32 ---------------------------------------------------------------------------------------------

for _name in ("loss_value", "loss_and_gradient", "logits", "point_loss", "point_loss_and_gradient", "cosine_layer", "row_scales"):
    torch.library.register_autocast(f"losskit::{_name}", "cpu", torch.float32)
