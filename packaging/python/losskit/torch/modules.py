"""losskit's losses as torch modules.

    head = ArcFace(in_features=512, num_classes=10000)
    loss = head(embeddings, labels)           # one number; loss.backward()
    scores = head(embeddings)                 # B x C: scale times cosine, without margin

The classes' centres are `weight`, C x D, one a row, of any length. What a loss knows of training (AdaCos, CurricularFace) is in buffers, is
saved with the module, and moves in training mode only, once a forward with labels.
"""
from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor, nn

import losskit
from losskit.torch import functional as F
from losskit.torch.functional import Policy, text_of

Scale = Union[float, Policy]


class MarginSoftmax(nn.Module):
    """A classifier by angle and its loss: centres, a margin, a scale, an objective and a rest rule.

    scale: a number; "AdaCosScale", which follows the batch; or "FeatureNorm", each row's own norm. With AdaCosScale, C is filled in.
    reduction, ignore_index: as of losskit.torch.functional.margin_softmax.
    """

    def __init__(self, in_features: int, num_classes: int, margin: Policy = "NoMargin", scale: Scale = 64.0,
                 objective: Policy = "CrossEntropy", rest: Policy = "PlainRest", *, reduction: str = "mean", ignore_index: int = -100,
                 device=None, dtype=None):
        super().__init__()
        self.in_features, self.num_classes = in_features, num_classes
        self.reduction, self.ignore_index = reduction, ignore_index
        F._reduction(reduction)
        self.objective, self.rest = text_of(objective), text_of(rest)
        self.follows: Optional[str] = None  # AdaCosScale: the scale's own text
        self.row_scale: Optional[str] = None  # FeatureNorm
        self.s = 64.0  # not read where another scale is
        if isinstance(scale, (int, float)):
            self.s = float(scale)
        else:
            self._take_scale(losskit.policy(text_of(scale)), num_classes)
        self.set_margin(margin)
        self.weight = nn.Parameter(torch.empty(num_classes, in_features, device=device, dtype=dtype))
        if self.follows:
            self.register_buffer("scale_state", F.start(self.follows).to(device=device))
        if self._rest_follows():
            self.register_buffer("rest_state", F.start(self.rest).to(device=device))
        self.reset_parameters()

    def _take_scale(self, scale: "losskit.Policy", num_classes: int) -> None:
        name = type(scale).__name__
        if name == "FixedScale":
            self.s = float(getattr(scale, next(iter(scale.__signature__.parameters))))
        elif name == "FeatureNorm":
            self.row_scale = scale.text
        elif name == "AdaCosScale":
            self.follows = losskit.AdaCosScale(num_classes, scale.floor, scale.ceiling).text
        else:
            raise losskit.WrongTypeError(f"{scale.text} is no scale")

    def _rest_follows(self) -> bool:
        return self.rest.startswith("CurricularRest")

    def set_margin(self, margin: Policy) -> None:
        """Another margin from now on, as of a schedule: head.set_margin(losskit.ArcMargin(m=schedule_value))."""
        self.margin = text_of(margin)
        self.loss = losskit.policy(
            f"MarginSoftmax(margin={self.margin}, scale={self.s!r}, objective={self.objective}, rest={self.rest})").text

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)

    def _apply(self, fn, recurse=True):
        # half() and float() are for the weights: a state keeps its digits.
        states = {name: buffer for name, buffer in self._buffers.items() if name.endswith("_state")}
        super()._apply(fn, recurse)
        for name, before in states.items():
            moved = self._buffers[name]
            if moved.dtype != before.dtype:
                self._buffers[name] = before.to(moved.device)
        return self

    def cosines(self, x: Tensor) -> Tensor:
        """B x C cosines of embeddings and centres."""
        return F.cosine_layer(x, self.weight)

    def forward(self, x: Tensor, labels: Optional[Tensor] = None) -> Tensor:
        """The loss; without labels B x C scores, scale times cosine."""
        cosines, norms = F.cosine_layer_with_norms(x, self.weight)
        scales = F.row_scales(norms, self.row_scale) if self.row_scale else None
        if labels is None:
            if scales is not None:
                return cosines * scales.unsqueeze(1)
            return cosines * (self.scale_state[0].to(cosines.dtype) if self.follows else self.s)
        if self.training:
            self._advance(cosines, labels)
        # The cosines are ours: their gradient may take their place.
        return F.margin_softmax(cosines, labels, self.loss, reduction=self.reduction, ignore_index=self.ignore_index, scales=scales,
                                scale=self.scale_state[:1] if self.follows else None,
                                rest=self.rest_state[:1] if self._rest_follows() else None, inplace=True)

    @torch.no_grad()
    def _advance(self, cosines: Tensor, labels: Tensor) -> None:
        if self.follows:
            self.scale_state.copy_(F.advance(self.scale_state, self.follows, cosines, labels, ignore_index=self.ignore_index))
        if self._rest_follows():
            self.rest_state.copy_(F.advance(self.rest_state, self.rest, cosines, labels, ignore_index=self.ignore_index))

    def extra_repr(self) -> str:
        scale = f", scale={self.follows or self.row_scale}" if self.follows or self.row_scale else ""
        return f"{self.in_features}, {self.num_classes}, {self.loss}{scale}"


def _margin(name: str, rule: Optional[Policy], gradient: Optional[Policy], **numbers: float) -> str:
    parts = [f"{key}={float(x)!r}" for key, x in numbers.items()]
    parts += [f"{key}={text_of(choice)}" for key, choice in (("rule", rule), ("gradient", gradient)) if choice is not None]
    return f"{name}({', '.join(parts)})"


class ArcFace(MarginSoftmax):
    """Deng et al. 2019. m in radians. easy_margin: the margin only where the cosine is above 0. rule: what happens past pi ("Monotone", or
    what a peer does: "LegacyLinear", "NoRule", ...); gradient: "Exact" or "Detached". Checkpoints of arcface-pytorch's ArcMarginProduct
    load: `weight` is the same; its scale is 30 and its rule LegacyLinear."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = 64.0, m: float = 0.5, easy_margin: bool = False, *,
                 rule: Optional[Policy] = None, gradient: Optional[Policy] = None, **more):
        if easy_margin and rule is not None:
            raise losskit.ParameterError("easy_margin is the rule Easy: give one of both")
        super().__init__(in_features, num_classes, _margin("ArcMargin", "Easy" if easy_margin else rule, gradient, m=m), s, **more)


class CosFace(MarginSoftmax):
    """Wang et al. 2018. m is a cosine."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = 64.0, m: float = 0.35, *, rule: Optional[Policy] = None,
                 gradient: Optional[Policy] = None, **more):
        super().__init__(in_features, num_classes, _margin("CosMargin", rule, gradient, m=m), s, **more)


class SphereFace(MarginSoftmax):
    """Liu et al. 2017: m times the angle, and each row's own norm as its scale. s: a number in place of the norm. annealing: the paper's
    lambda, the weight of the plain cosine; set_margin changes it."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = "FeatureNorm", m: float = 4, *, annealing: float = 0.0,
                 rule: Optional[Policy] = None, gradient: Optional[Policy] = None, **more):
        margin = _margin("SphereMargin", rule, gradient, m=m)
        super().__init__(in_features, num_classes, f"Annealed(lambda={float(annealing)!r}, margin={margin})" if annealing else margin, s,
                         **more)


class CombinedMargin(MarginSoftmax):
    """cos(m1 theta + m2) - m3. Deng et al. 2019, eq. 4. m2 in radians."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = 64.0, m1: float = 1.0, m2: float = 0.3, m3: float = 0.2, *,
                 rule: Optional[Policy] = None, gradient: Optional[Policy] = None, **more):
        super().__init__(in_features, num_classes, _margin("CombinedMargin", rule, gradient, m1=m1, m2=m2, m3=m3), s, **more)


class AdaCos(MarginSoftmax):
    """Zhang et al. 2019: no margin, a scale that follows the batch (buffer `scale_state`). At least 3 classes. In a process group each
    process moves its own; DistributedDataParallel hands the first one's to all."""

    def __init__(self, in_features: int, num_classes: int, margin: Policy = "NoMargin", **more):
        super().__init__(in_features, num_classes, margin, "AdaCosScale", **more)


class MV(MarginSoftmax):
    """Wang et al. 2020 (MV-Softmax): classes that beat the margined target weigh more. t: a cosine. weight_rule: "Adaptive" or "Fixed"."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = 32.0, margin: Policy = "ArcMargin(m=0.35)", t: float = 0.2, *,
                 weight_rule: Policy = "Adaptive", **more):
        super().__init__(in_features, num_classes, margin, s, rest=f"HardNegatives(t={float(t)!r}, weight={text_of(weight_rule)})", **more)


class CurricularFace(MarginSoftmax):
    """Huang et al. 2020: hard classes weigh more and more as training goes on (buffer `rest_state`). m in radians."""

    def __init__(self, in_features: int, num_classes: int, s: Scale = 64.0, m: float = 0.5, momentum: float = 0.01, *,
                 rule: Optional[Policy] = None, gradient: Optional[Policy] = None, **more):
        super().__init__(in_features, num_classes, _margin("ArcMargin", rule, gradient, m=m), s,
                         rest=f"CurricularRest(t=0.0, momentum={float(momentum)!r})", **more)


# --- losses without centres ----------------------------------------------------------------------------------------------------------


class SoftmaxLoss(nn.Module):
    """An objective over plain logits (B x C). reduction, ignore_index: as of losskit.torch.functional.margin_softmax."""

    def __init__(self, objective: Policy = "CrossEntropy", scale: float = 1.0, *, reduction: str = "mean", ignore_index: int = -100):
        super().__init__()
        F._reduction(reduction)
        self.loss = losskit.policy(f"SoftmaxLoss(objective={text_of(objective)}, scale={float(scale)!r})").text
        self.reduction, self.ignore_index = reduction, ignore_index

    def forward(self, logits: Tensor, labels: Tensor, weights: Optional[Tensor] = None,
                class_weights: Optional[Tensor] = None) -> Tensor:
        return F.softmax_loss(logits, labels, self.loss, reduction=self.reduction, ignore_index=self.ignore_index, weights=weights,
                              class_weights=class_weights)

    def extra_repr(self) -> str:
        return self.loss


class Focal(SoftmaxLoss):
    """Lin et al. 2017 on the softmax: alpha (1 - p)^gamma times cross-entropy, per row."""

    def __init__(self, gamma: float = 2.0, alpha: float = 1.0, **more):
        super().__init__(f"FocalLoss(gamma={float(gamma)!r}, alpha={float(alpha)!r})", **more)


class PointLoss(nn.Module):
    """A point loss of predictions and truths of one shape. reduction: as of losskit.torch.functional.point_loss."""

    def __init__(self, loss: Policy, *, reduction: str = "mean"):
        super().__init__()
        F._reduction(reduction)
        self.loss, self.reduction = losskit.policy(text_of(loss)).text, reduction

    def forward(self, prediction: Tensor, truth: Tensor, weights: Optional[Tensor] = None) -> Tensor:
        return F.point_loss(prediction, truth, self.loss, weights=weights, reduction=self.reduction)

    def extra_repr(self) -> str:
        return self.loss


class Wing(PointLoss):
    """Feng et al. 2018, for coordinates. w, eps: in their unit."""

    def __init__(self, w: float = 10.0, eps: float = 2.0, *, reduction: str = "mean"):
        super().__init__(f"WingLoss(w={float(w)!r}, eps={float(eps)!r})", reduction=reduction)


class AdaptiveWing(PointLoss):
    """Wang et al. 2019, for heatmaps in [0, 1]. weight: what pixels near a truth >= 0.2 weigh more than others (10 in the paper); None:
    all alike, and the mean is over all pixels either way."""

    def __init__(self, alpha: float = 2.1, omega: float = 14.0, eps: float = 1.0, theta: float = 0.5, *, weight: Optional[float] = None,
                 reduction: str = "mean"):
        numbers = f"alpha={float(alpha)!r}, omega={float(omega)!r}, eps={float(eps)!r}, theta={float(theta)!r}"
        super().__init__(f"AdaptiveWingLoss({numbers})", reduction=reduction)
        self.weight = weight

    def forward(self, prediction: Tensor, truth: Tensor, weights: Optional[Tensor] = None) -> Tensor:
        if weights is None and self.weight is not None:
            weights = F.adaptive_wing_weights(truth, self.weight)
        return super().forward(prediction, truth, weights)
