"""losskit for TensorFlow: losses and the cosine layer as functions of tensors, differentiable; on the CPU.

    import losskit.tensorflow as lt

    cosines = lt.cosine_layer(embeddings, centres)                                          # B x C
    loss = lt.margin_loss("MarginSoftmax(CosMargin(m=0.35), scale=30)", cosines, labels)    # AM-softmax

Built for one version of TensorFlow, whose C++ interface changes with each: importing it under another is an ImportError that names both.
It works in eager code, in tf.function and in Keras layers. A loss is a policy (losskit.MarginSoftmax(...)) or its text. Numbers are float32
or float64; float16 and bfloat16 are computed in float32. What is refused is tf.errors.InvalidArgumentError with losskit's text, before
anything is written. A loss can be differentiated once: its second derivative is refused.
"""
from losskit.tensorflow._functions import AM_SOFTMAX, ARCFACE, cosine_layer, cosine_layer_with_norms, margin_loss, point_loss

__all__ = ["AM_SOFTMAX", "ARCFACE", "cosine_layer", "cosine_layer_with_norms", "margin_loss", "point_loss"]
