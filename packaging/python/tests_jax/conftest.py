import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # every_policy

jax = pytest.importorskip("jax", minversion="0.6.1")
jax.config.update("jax_enable_x64", True)


def pytest_report_header(config):
    import jaxlib

    import losskit

    return f"losskit {losskit.__version__} ({losskit.isa()}) at {losskit.__path__[0]}, jax {jax.__version__}, jaxlib {jaxlib.__version__}"
