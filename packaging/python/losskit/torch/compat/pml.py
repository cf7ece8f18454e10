"""pytorch-metric-learning's classification losses, by its names, argument order, units (degrees) and parameter `W`, D x C, so that its
checkpoints load. Values and gradients are its own, to rounding; where its gradients are NaN (|cosine| = 1) these are finite.

Miners, reducers, regularisers and reference embeddings are not here.
"""
from __future__ import annotations

import math
from typing import Callable, Optional

import torch
from torch import Tensor, nn

import losskit
from losskit.torch import functional as F


class _Loss(nn.Module):
    def __init__(self, num_classes: int, embedding_size: int, loss: str, weight_init_func: Optional[Callable] = None):
        super().__init__()
        self.num_classes, self.loss = num_classes, losskit.policy(loss).text
        self.W = nn.Parameter(torch.empty(embedding_size, num_classes))
        (weight_init_func or nn.init.normal_)(self.W)

    def _cosines(self, embeddings: Tensor):
        return F.cosine_layer_with_norms(embeddings, self.W.to(embeddings.dtype).t())

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple=None, ref_emb=None, ref_labels=None) -> Tensor:
        """The mean loss of B x D embeddings."""
        for name, given in (("indices_tuple", indices_tuple), ("ref_emb", ref_emb), ("ref_labels", ref_labels)):
            if given is not None:
                raise losskit.ParameterError(f"{name}: losskit has no miners or reference embeddings")
        cosines, norms = self._cosines(embeddings)
        return F.margin_softmax(cosines, labels, self.loss, scales=self._scales(norms), inplace=True)

    def get_logits(self, embeddings: Tensor) -> Tensor:
        """B x C, without margin."""
        cosines, norms = self._cosines(embeddings)
        scales = self._scales(norms)
        return cosines * (self.scale if scales is None else scales.unsqueeze(1))

    def _scales(self, norms: Tensor) -> Optional[Tensor]:
        return None

    def extra_repr(self) -> str:
        return self.loss


class ArcFaceLoss(_Loss):
    """margin in degrees."""

    def __init__(self, num_classes: int, embedding_size: int, margin: float = 28.6, scale: float = 64, **more):
        radians = math.radians(margin)
        super().__init__(num_classes, embedding_size,
                         f"MarginSoftmax(ArcMargin(m={radians!r}, rule=LegacyLinear), scale={float(scale)!r})", **more)
        self.margin, self.scale = radians, scale


class CosFaceLoss(_Loss):
    def __init__(self, num_classes: int, embedding_size: int, margin: float = 0.35, scale: float = 64, **more):
        super().__init__(num_classes, embedding_size, f"MarginSoftmax(CosMargin(m={float(margin)!r}), scale={float(scale)!r})", **more)
        self.margin, self.scale = margin, scale


class SphereFaceLoss(_Loss):
    """margin: a whole number. The scale of a row is scale times its norm."""

    def __init__(self, num_classes: int, embedding_size: int, margin: int = 4, scale: float = 1, **more):
        super().__init__(num_classes, embedding_size, f"MarginSoftmax(SphereMargin(m={int(margin)}))", **more)
        self.margin, self.scale = int(margin), scale

    def _scales(self, norms: Tensor) -> Tensor:
        return norms * self.scale


class NormalizedSoftmaxLoss(_Loss):
    def __init__(self, num_classes: int, embedding_size: int, temperature: float = 0.05, **more):
        super().__init__(num_classes, embedding_size, f"MarginSoftmax(NoMargin, scale={1 / temperature!r})", **more)
        self.temperature, self.scale = temperature, 1 / temperature
