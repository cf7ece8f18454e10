"""The examples run; train.py exits with 1 where its two curves part."""
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "torch"


@pytest.mark.parametrize("name, says", [("train.py", "apart"), ("tour.py", "pml.ArcFaceLoss")])
def test_an_example_runs(name, says):
    run = subprocess.run([sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and says in run.stdout, run.stdout + run.stderr
