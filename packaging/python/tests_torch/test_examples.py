"""The examples run, and the README's code; train.py exits with 1 where its two curves part."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "torch"


@pytest.mark.parametrize("name, says", [("train.py", "apart"), ("tour.py", "pml.ArcFaceLoss")])
def test_an_example_runs(name, says):
    run = subprocess.run([sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and says in run.stdout, run.stdout + run.stderr


def test_the_code_of_the_readme():
    page = (EXAMPLES.parents[1] / "README.md").read_text()
    blocks = [block for block in re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "losskit.torch" in block]
    assert blocks
    for block in blocks:
        run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
        for printed in re.findall(r"# prints (.*)", block):
            assert printed.strip() in run.stdout
