"""A short tour of losskit.torch: a head, a loss put together from parts, functions, states, half precision, a peer's interface.

    python examples/torch/tour.py
"""
import torch

import losskit
import losskit.torch.functional as F
from losskit.torch import AdaCos, ArcFace, MarginSoftmax, Wing
from losskit.torch.compat import pml

torch.manual_seed(0)
embeddings, labels = torch.randn(8, 16), torch.arange(8) % 5

# A head is centres and a loss. With labels it is the loss; without, the scores that a prediction takes.
head = ArcFace(in_features=16, num_classes=5, s=64.0, m=0.5)
loss = head(embeddings, labels)
loss.backward()
print(f"ArcFace: loss {loss.item():.4f}, centres' gradient {tuple(head.weight.grad.shape)}, scores {tuple(head(embeddings).shape)}")

# A loss is put together from parts: objects with checked numbers, or their text.
parts = MarginSoftmax(16, 5, margin=losskit.CosMargin(m=0.35), scale=30, objective="FocalLoss(gamma=2)", rest="HardNegatives(t=0.1)")
print(f"CosFace, focal, with hard negatives: loss {parts(embeddings, labels).item():.4f}\n  {parts.loss}")

# What cannot be is said before anything is written.
try:
    ArcFace(16, 5, rule="Monoton")
except losskit.ParameterError as error:
    print(f"refused: {error}")

# Functions take cosines from anywhere. One loss a row, rows left out, a scale or margin a row that learns.
cosines = F.cosine_layer(embeddings, head.weight)
margins = torch.full((8,), 0.3, requires_grad=True)
rows = F.margin_softmax(cosines, labels, "MarginSoftmax(ArcMargin, scale=16)", reduction="none", margins=margins)
rows.mean().backward()
print(f"losses a row: {', '.join(f'{x:.2f}' for x in rows.tolist())}; by the first row's margin: {margins.grad[0]:.4f}")

# What a loss knows of training is in buffers, saved with the model.
adacos = AdaCos(16, 5)
before = adacos.scale_state[0].item()
adacos(embeddings, labels)
print(f"AdaCos: scale {before:.3f}, after a batch {adacos.scale_state[0].item():.3f}, saved: {', '.join(adacos.state_dict())}")

# Half precision is computed in float32: no NaN where a cosine rounds to 1.
near = embeddings.half()
print(f"half: loss {head.half()(near, labels).item():.4f}")

# Points, for key points or heatmaps.
print(f"Wing: {Wing(w=10, eps=2)(torch.randn(8, 68, 2) * 4, torch.zeros(8, 68, 2)).item():.4f}")

# A peer's interface: pytorch-metric-learning's, margin in degrees.
print(f"pml.ArcFaceLoss: {pml.ArcFaceLoss(num_classes=5, embedding_size=16, margin=28.6, scale=64)(embeddings, labels).item():.4f}")
