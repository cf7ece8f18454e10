import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # every_policy

tf = pytest.importorskip("tensorflow")


def pytest_report_header(config):
    import losskit

    return f"losskit {losskit.__version__} ({losskit.isa()}) at {losskit.__path__[0]}, tensorflow {tf.__version__}"
