"""insightface's margin layers (arcface_torch/losses.py): from B x C cosines and labels to logits, for a softmax that lives elsewhere.
A label of -1 has no target in its row. labels: B, or B x 1.

Values and gradients are those of its code since 2022-12, whose ArcFace gives every cosine the slope 1 ("Detached") and lets the target
rise again past pi ("NoRule"). The cosines stay as they are; its code overwrites them.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

import losskit
from losskit.torch import functional as F


class _Margin(nn.Module):
    def __init__(self, loss: str):
        super().__init__()
        self.loss = losskit.policy(loss).text

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.margin_logits(logits, labels.reshape(-1), self.loss, ignore_index=-1)

    def extra_repr(self) -> str:
        return self.loss


class CombinedMarginLoss(_Margin):
    """m1 = 1, m3 = 0: ArcFace of m2 (radians). m3 > 0: CosFace of m3, whatever m1 and m2 are. Else an error, as there.
    interclass_filtering_threshold > 0: other classes' cosines above it become 0."""

    def __init__(self, s: float, m1: float, m2: float, m3: float, interclass_filtering_threshold: float = 0):
        if m1 == 1.0 and m3 == 0.0:
            margin = f"ArcMargin(m={float(m2)!r}, rule=NoRule, gradient=Detached)"
        elif m3 > 0:
            margin = f"CosMargin(m={float(m3)!r})"
        else:
            raise losskit.ParameterError(f"m1 = {m1:g}, m3 = {m3:g}: m1 must be 1 with m3 = 0, or m3 > 0")
        super().__init__(f"MarginSoftmax({margin}, scale={float(s)!r})")
        self.s, self.m1, self.m2, self.m3, self.interclass_filtering_threshold = s, m1, m2, m3, interclass_filtering_threshold

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.interclass_filtering_threshold > 0:
            target = labels.reshape(-1, 1) == torch.arange(logits.shape[1], device=logits.device)
            above = (logits.detach() > self.interclass_filtering_threshold) & ~target
            logits = logits.masked_fill(above, 0)
        return super().forward(logits, labels)


class ArcFace(_Margin):
    """margin in radians."""

    def __init__(self, s: float = 64.0, margin: float = 0.5):
        super().__init__(f"MarginSoftmax(ArcMargin(m={float(margin)!r}, rule=NoRule, gradient=Detached), scale={float(s)!r})")
        self.s, self.margin = s, margin


class CosFace(_Margin):
    def __init__(self, s: float = 64.0, m: float = 0.40):
        super().__init__(f"MarginSoftmax(CosMargin(m={float(m)!r}), scale={float(s)!r})")
        self.s, self.m = s, m
