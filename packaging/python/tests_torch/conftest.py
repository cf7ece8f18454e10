import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # every_policy

torch = pytest.importorskip("torch", minversion="2.10")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)
