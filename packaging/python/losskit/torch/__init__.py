"""losskit for torch: modules (ArcFace, CosFace, ...), functions of tensors (losskit.torch.functional) and peers' interfaces
(losskit.torch.compat). torch 2.10 or later; on the CPU."""
from losskit.torch import functional
from losskit.torch.modules import (MV, AdaCos, AdaptiveWing, ArcFace, CombinedMargin, CosFace, CurricularFace, Focal, MarginSoftmax,
                                   PointLoss, SoftmaxLoss, SphereFace, Wing)

__all__ = ["AdaCos", "AdaptiveWing", "ArcFace", "CombinedMargin", "CosFace", "CurricularFace", "Focal", "MV", "MarginSoftmax", "PointLoss",
           "SoftmaxLoss", "SphereFace", "Wing", "functional"]
