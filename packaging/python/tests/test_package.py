"""The installed package: processes, types, headers, CMake, the README's code, sizes and times."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stubs

import losskit

repository = Path(__file__).parents[3]


def run(*command, timeout=120, **more):
    """What the command prints. At the time limit it and its children are killed."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               **more)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, out + errors
    return out


def test_it_is_the_installed_one():
    assert not Path(losskit.__file__).is_relative_to(repository / "packaging")
    header = (repository / "include/losskit/core/version.hpp").read_text()
    version = ".".join(re.search(rf"LOSSKIT_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH"))
    from importlib.metadata import requires, version as installed

    assert losskit.__version__ == installed("losskit") == version
    assert [r.split(">")[0] for r in requires("losskit")] == ["numpy"]
    assert losskit.isa() in ("x86-64-v4", "x86-64-v3", "baseline")


@pytest.mark.parametrize("threads", [1, 4, None])
def test_after_a_fork(threads):
    """The same bits in a child, in its child, and in the parent again."""
    out = run(sys.executable, "-c", f"""
import os, sys
import numpy as np
import losskit, losskit.numpy as lk

rng = np.random.default_rng(1)
cosines, labels = rng.uniform(-1, 1, (300, 500)).astype(np.float32), rng.integers(0, 500, 300)
loss = losskit.MarginSoftmax(losskit.ArcMargin(0.5))

def bits():
    result = lk.loss_and_gradient(loss, cosines, labels, threads={threads})
    layer = lk.cosine_layer(cosines, cosines[:50], threads={threads})
    return repr(hash((result.loss, result.gradient.tobytes(), layer.cosines.tobytes())))

def in_child(task):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, task().encode())
        os._exit(0)
    os.close(write)
    text = os.read(read, 1000).decode()
    assert os.waitpid(pid, 0)[1] == 0
    return text

first = bits()
assert in_child(bits) == first
assert in_child(lambda: in_child(bits)) == first
assert bits() == first
print("same")
""", timeout=60)
    assert out.strip() == "same"


def test_every_set_of_instructions():
    """LOSSKIT_ISA picks one; each gives the loss to rounding."""
    losses = {}
    for isa in ("baseline", "x86-64-v3", "x86-64-v4"):
        out = run(sys.executable, "-c", """
import losskit, losskit.numpy as lk
print(lk.loss_value("MarginSoftmax(ArcMargin)", [[0.5, 0.1, -0.3], [0.2, 0.3, 0.4]], [0, 1]).loss, losskit.isa())
""", env={"LOSSKIT_ISA": isa, "PATH": ""}).split()
        losses[out[1]] = float(out[0])
    assert "baseline" in losses
    for loss in losses.values():
        assert loss == pytest.approx(losses["baseline"], rel=1e-13)


def test_stubs_are_those_of_the_catalogue():
    assert (stubs.package / "__init__.pyi").read_text() == stubs.text(), "python packaging/python/tests/stubs.py write"


def test_types(tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("""
import numpy as np
import losskit
import losskit.numpy as lk

margin: losskit.Margin = losskit.ArcMargin(m=0.5, rule=losskit.Clamp(eps=1e-4), gradient="Exact")
loss: losskit.Loss = losskit.MarginSoftmax(margin, scale=64, objective=losskit.FocalLoss(gamma=2))
result = lk.loss_and_gradient(loss, np.zeros((2, 3)), [0, 1], ignore_index=-1)
number: float = result.loss + losskit.ArcMargin().m + losskit.suggest_scale(10, 0.9)
count: int = result.report.top1 + losskit.AdaCosScale(classes=10).classes
path: str = losskit.include_dir()
""")
    bad.write_text("""
import losskit

losskit.ArcMargin(n=0.5)
losskit.ArcMargin(m="0.5")
losskit.ArcMargin(0.5, "Clamp")
losskit.ArkMargin()
""")
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, good, timeout=300, cwd=tmp_path)
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, bad], capture_output=True, text=True,
                          timeout=300, cwd=tmp_path)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if "error:" in line] == ["4", "5", "6", "7"], done.stdout


def test_headers_and_cmake(tmp_path):
    """A program in C++ by find_package, and one in C, against the wheel's headers and library."""
    (tmp_path / "main.cpp").write_text("""
#include "losskit/recognition/suggest_scale.hpp"
int main() { return losskit::suggest_scale(10, 0.9) > 0 ? 0 : 1; }
""")
    (tmp_path / "program.c").write_text("""
#include <stdio.h>
#include "losskit/c/losskit.h"
int main(void) { losskit_policy* p; return losskit_make("MarginSoftmax(ArcMargin)", &p) || puts(losskit_version()) < 0; }
""")
    (tmp_path / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.23)
project(consumer LANGUAGES CXX)
find_package(losskit REQUIRED)
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE losskit::losskit)
""")
    build = tmp_path / "build"
    run("cmake", "-S", tmp_path, "-B", build, f"-Dlosskit_DIR={losskit.cmake_dir()}")
    run("cmake", "--build", build, timeout=300)
    run(build / "consumer")
    library = Path(losskit.__file__).parent / "lib"
    run("cc", "-I", losskit.include_dir(), "program.c", "-o", "program", f"-L{library}", "-llosskit", f"-Wl,-rpath,{library}", cwd=tmp_path)
    assert run(tmp_path / "program").strip() == losskit.__version__
    assert (Path(losskit.include_dir()) / "losskit" / "losskit.hpp").exists()


def test_the_library_depends_on_libc_and_the_compilers_runtime_alone():
    library = Path(losskit.__file__).parent / "lib" / "liblosskit.so"
    needed = set(re.findall(r"\[(lib[^\]]*|ld[^\]]*)\]", run("readelf", "-d", library).split("SONAME")[0]))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"}, needed


def test_the_code_of_the_readme():
    blocks = re.findall(r"^```python\n(.*?)^```", (repository / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        out = run(sys.executable, "-c", block)
        for printed in re.findall(r"# prints (.*)", block):
            assert printed.strip() in out


def test_sizes_and_times(capsys):
    """Printed, not judged."""

    def seconds(module):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            run(sys.executable, "-c", f"import {module}")
            times.append(time.perf_counter() - start)
        return min(times)

    base = seconds("sys")
    with capsys.disabled():
        for module in ("numpy", "losskit", "losskit.numpy"):
            print(f"\nimport {module}: {1e3 * (seconds(module) - base):.0f} ms", end="")
        for wheel in sorted((repository / "build" / "python" / "dist").glob("*.whl")):
            print(f"\n{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB", end="")
        print()
