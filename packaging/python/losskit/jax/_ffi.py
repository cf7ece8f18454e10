"""losskit's handlers for XLA: loads and registers them, and calls them. Private."""
from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import jax
import jax.numpy as jnp
import numpy as np

import losskit

if jax.__version_info__ < (0, 6, 1):
    raise ImportError(f"losskit.jax needs jax 0.6.1 or later; this is {jax.__version__}")
_path = Path(losskit.__file__).parent / "lib" / "liblosskit_jax.so"
if not _path.exists():
    raise ImportError(f"this losskit was built without its handlers for JAX: there is no {_path}")
_library = ctypes.CDLL(str(_path))

for _name in ("loss_value", "loss_and_gradient", "logits", "logits_backward", "point_loss", "point_loss_and_gradient",
              "adaptive_wing_weights", "cosine_layer", "cosine_layer_backward", "row_scales", "advance"):
    jax.ffi.register_ffi_target(f"losskit_{_name}", jax.ffi.pycapsule(getattr(_library, f"losskit_jax_{_name}")), platform="cpu")


def call(name: str, results: Sequence[jax.ShapeDtypeStruct], inputs: Sequence[Optional[jax.Array]], like: jax.Array,
         aliases: Optional[Dict[int, int]] = None, **attributes: Any) -> Sequence[jax.Array]:
    """A handler's results. An input that is None is handed over as no elements, of the type of `like`. aliases: the inputs whose memory a
    result may take, where XLA finds that nobody else needs it; else XLA copies."""
    nothing = jnp.zeros((0,), like.dtype)
    function = jax.ffi.ffi_call(f"losskit_{name}", tuple(results), vmap_method="sequential", input_output_aliases=aliases)
    out: Sequence[jax.Array] = function(*(nothing if x is None else x for x in inputs), **attributes)
    return out


def result(shape: Sequence[int], like: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(shape), like.dtype)


def per_row(like: jax.Array, wanted: bool) -> jax.ShapeDtypeStruct:
    """A number a row, or nothing."""
    return result(like.shape[:1] if wanted else (0,), like)


def loss_shape(each: Sequence[int], reduction: int) -> Sequence[int]:
    return each if reduction == REDUCTIONS["none"] else ()


REDUCTIONS = losskit._c.REDUCTIONS
int32, int64, float64 = np.int32, np.int64, np.float64
