"""losskit for JAX: losses, the margin layer, the cosine layer and states, as pure functions of arrays. jax 0.6.1 or later; on the CPU.

    import losskit.jax as lj

    def loss(embeddings, centres, labels):
        cosines = lj.cosine_layer(embeddings, centres)                                            # B x C
        return lj.margin_loss("MarginSoftmax(ArcMargin(m=0.5), scale=64)", cosines, labels)       # ArcFace
    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(embeddings, centres, labels)

What every function keeps to:
  It works under jit, grad, vmap and checkpoint. It is differentiated once, in reverse: jvp, or a gradient of a gradient, is JAX's error.
  A loss is a policy (losskit.MarginSoftmax(...)) or its text; it is constant where a function is traced.
  B rows (samples) and C columns (classes), D the embedding's width. Numbers are float32 or float64; float16 and bfloat16 are computed in
  float32, and their gradients come back in their type. Labels are integers. vmap adds dimensions in front, one call after another.
  What can be told from types, shapes and policies is refused when a function is traced: losskit.WrongTypeError, ShapeError, ParameterError,
  all of them ValueErrors. What takes values, such as a label outside [0, C), is refused when it runs: jax.errors.JaxRuntimeError,
  INVALID_ARGUMENT, with losskit's text. Nothing was written then. Under jit JAX may run later than it was called: block_until_ready.
"""
from losskit.jax._functions import (ARCFACE, State, adaptive_wing_weights, advance, cosine_layer, cosine_layer_with_norms, logits,
                                    margin_loss, point_loss, row_scales, start)

__all__ = ["ARCFACE", "State", "adaptive_wing_weights", "advance", "cosine_layer", "cosine_layer_with_norms", "logits", "margin_loss",
           "point_loss", "row_scales", "start"]
