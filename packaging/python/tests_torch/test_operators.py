"""The operators as torch sees them: schemas, fake kernels, the stable ABI, torch.compile, threads."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing._internal.optests.aot_autograd import aot_autograd_check

import losskit
import losskit.torch.functional as F
from common import LOSSES, POINT_LOSSES, batch, points, same_bits

ops = torch.ops.losskit
LIBRARY = Path(losskit.__file__).parent / "lib" / "liblosskit_torch.so"


def opcheck(op, *arguments, function=None):
    """Every check that torch has of an operator. Where not all of its outputs may be differentiated (those that are gradients may not),
    the last one, of its gradient under AOTAutograd with shapes that change, is made of the function that users call."""
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    assert set(torch.library.opcheck(op, arguments, test_utils=checks[:3] if function else checks).values()) == {"SUCCESS"}
    if function:
        aot_autograd_check(function, [a for a in arguments if isinstance(a, torch.Tensor)], {}, dynamic=True)


def arguments(loss, reduction=0):
    """Of loss_and_gradient."""
    cosines, labels = batch(rows=4, classes=3)
    labels[3] = -100
    rest = torch.full((1,), 0.3, dtype=torch.float64) if "CurricularRest" in loss else None
    return (cosines, labels, loss, reduction, -100, None, None, None, None, None, rest)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_an_operator(loss):
    opcheck(ops.loss_and_gradient, *arguments(loss), function=lambda c, y, rest=None: F.margin_softmax(c, y, loss, rest=rest))
    opcheck(ops.loss_value, *(a.detach() if isinstance(a, torch.Tensor) else a for a in arguments(loss)))


def test_every_argument_passes():
    cosines, labels, *more = arguments("MarginSoftmax(ArcMargin)", 2)
    numbers = [torch.rand(n, dtype=torch.float64) for n in (4, 3)]
    scales, margins = (torch.full((4,), x, dtype=torch.float64).requires_grad_() for x in (8.0, 0.3))
    given = (cosines, labels, *more[:3], *numbers, scales, margins, None, None)
    opcheck(ops.loss_and_gradient, *given, function=lambda c, y, w, cw, s, m: F.margin_softmax(
        c, y, "MarginSoftmax(ArcMargin)", reduction="none", weights=w, class_weights=cw, scales=s, margins=m))
    opcheck(ops.loss_and_gradient_, *(a.detach().clone() if isinstance(a, torch.Tensor) else a for a in given))
    scale = torch.full((1,), 3.0, dtype=torch.float64)
    opcheck(ops.loss_value, cosines.detach(), labels, "SoftmaxLoss", 2, -100, *[None] * 4, scale, None)
    one_scale = (cosines, labels, "MarginSoftmax(CosMargin)", -100, scales, None, None, None)
    opcheck(ops.logits, *one_scale)
    opcheck(ops.logits_backward, torch.rand(4, 3, dtype=torch.float64),
            *(a.detach() if isinstance(a, torch.Tensor) else a for a in one_scale))


@pytest.mark.parametrize("loss", POINT_LOSSES)
def test_every_point_loss_is_an_operator(loss):
    prediction, truth = points()
    for reduction in (0, 2):
        opcheck(ops.point_loss_and_gradient, prediction, truth, loss, reduction, None,
                function=lambda x, y: F.point_loss(x, y, loss, reduction=("mean", "", "none")[reduction]))
        opcheck(ops.point_loss, prediction.detach(), truth, loss, reduction, truth)


def test_the_head_and_the_states_are_operators():
    x, w = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    opcheck(ops.cosine_layer, x, w, function=F.cosine_layer_with_norms)
    opcheck(ops.cosine_layer_backward, torch.rand(4, 5), torch.rand(4), *[t.detach() for t in ops.cosine_layer(x, w)[2:4]],
            ops.cosine_layer(x, w)[1].detach(), ops.cosine_layer(x, w)[4].detach())
    given = [torch.rand(4, 5), torch.rand(4), *[t.detach() for t in ops.cosine_layer(x, w)[2:4]],
             ops.cosine_layer(x, w)[1].detach(), ops.cosine_layer(x, w)[4].detach()]
    opcheck(ops.cosine_layer_backward_, *[t.clone() for t in given])
    apart, place = ops.cosine_layer_backward(*given), given[3]
    assert torch.equal(ops.cosine_layer_backward_(*given), apart[0]) and torch.allclose(place, apart[1], rtol=1e-6, atol=1e-7)
    opcheck(ops.row_scales, torch.rand(4, requires_grad=True), "FeatureNorm", function=F.row_scales)
    opcheck(ops.adaptive_wing_weights, torch.rand(4, 4), 10.0, 0.2)
    cosines, labels = batch(requires_grad=False)
    for policy in ("AdaCosScale(classes=5)", "CurricularRest"):
        opcheck(ops.start, policy)
        opcheck(ops.advance, ops.start(policy), policy, cosines, labels, -100)


def test_the_binary_needs_torch_2_10_and_no_more():
    audit = shutil.which("torch-abi-audit", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not audit:
        pytest.skip("no torch-abi-audit")
    found = subprocess.run([audit, "-v", "--check", "torch", str(LIBRARY)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert re.search(r"Torch ABI:\s+STABLE", found.stdout) and re.search(r"Min torch:\s+2\.10\.0", found.stdout), found.stdout
    assert "PyInit" not in subprocess.run(["nm", "-D", str(LIBRARY)], capture_output=True, text=True).stdout  # any Python's


def test_there_is_one_openmp():
    cosines, labels = batch(rows=64, classes=1000)
    F.margin_softmax(cosines, labels).backward()
    maps = Path("/proc/self/maps").read_text()
    assert len(set(re.findall(r"/\S*lib(?:gomp|omp|iomp)\S*\.so\S*", maps))) <= 1


def test_the_bits_do_not_depend_on_threads():
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            cosines, labels = batch(rows=97, classes=513, dtype=torch.float32)
            loss = F.margin_softmax(cosines, labels)
            loss.backward()
            results.append((loss.detach(), cosines.grad))
    finally:
        torch.set_num_threads(before)
    assert all(same_bits(a, b) for result in results for a, b in zip(result, results[0]))


def test_any_layout_has_the_same_bits():
    cosines, labels = batch(rows=6, classes=5, requires_grad=False)
    wide = torch.full((6, 9), 7.0, dtype=torch.float64)
    wide[:, 2:7] = cosines
    column = torch.stack([labels, labels + 3], 1)[:, 0]
    for c in (cosines, wide[:, 2:7], cosines.t().contiguous().t(), cosines[:1].expand(6, 5), cosines[:, :1].expand(6, 5), cosines[::2]):
        for y in (labels[:len(c)], labels.int()[:len(c)], column[:len(c)]):
            a, b = c.detach().requires_grad_(), c.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
            F.margin_softmax(a, y).backward()
            F.margin_softmax(b, labels[:len(c)]).backward()
            assert same_bits(a.grad.contiguous(), b.grad)


MEMORY = """
import torch, losskit.torch.functional as F
c, y = torch.zeros(4, 4), torch.arange(4)
def call(i): F.margin_softmax(c, y, f"MarginSoftmax(Annealed(lambda={i}), scale=64" + " " * 4000 + ")")
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
for i in range(600): call(%s)
before = resident()
for i in range(8000): call(%s)
print(resident() - before)
"""


@pytest.mark.parametrize("texts", ["1", "i"])
def test_calls_lose_no_memory(texts):
    """Not those of one policy (torch's own way to a std::string argument loses one at each call), nor those of a new one each time."""
    run = subprocess.run([sys.executable, "-c", MEMORY % (texts, texts)], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 8_000_000  # 8000 texts are 32 MB


def test_a_policy_that_was_forgotten_is_made_again():
    cosines, labels = batch(requires_grad=False)
    texts = [f"MarginSoftmax(Annealed(lambda={i}))" for i in range(1000)]
    first = [F.margin_softmax(cosines, labels, text) for text in texts]
    assert len({loss.item() for loss in first}) == 1000
    assert all(same_bits(F.margin_softmax(cosines, labels, text), loss) for text, loss in zip(texts, first))


# --- torch.compile -----------------------------------------------------------------------------------------------------------------

BACKENDS = ["aot_eager"] + (["inductor"] if shutil.which("g++") or shutil.which("clang++") else [])


@pytest.fixture(params=BACKENDS)
def compiled(request):
    torch._dynamo.reset()
    return lambda f, **more: torch.compile(f, fullgraph=True, backend=request.param, **more)


def test_a_loss_compiles(compiled):
    loss = losskit.MarginSoftmax(losskit.ArcMargin(m=0.4), 8)

    def step(c, y, inplace):
        return F.margin_softmax(c * 1, y, loss, inplace=inplace)

    for inplace in (False, True):
        a, labels = batch()
        b, _ = batch()
        step(a, labels, inplace).backward()
        compiled(step)(b, labels, inplace).backward()
        assert torch.allclose(a.grad, b.grad, rtol=1e-15, atol=0)


def test_a_head_compiles_and_trains(compiled):
    from losskit.torch import AdaCos, CurricularFace, SphereFace, Wing

    for make in (lambda: AdaCos(8, 5), lambda: CurricularFace(8, 5), lambda: SphereFace(8, 5)):
        torch.manual_seed(1)
        eager = make()
        other = make()
        other.load_state_dict(eager.state_dict())
        fast = compiled(other)
        labels = torch.tensor([0, 1, 2, 4])
        for step in range(2):
            x = torch.randn(4, 8)
            a, b = eager(x, labels), fast(x, labels)
            a.backward(), b.backward()
            assert torch.allclose(a, b, rtol=1e-6)
            assert torch.allclose(eager.weight.grad, other.weight.grad, rtol=1e-5, atol=1e-7)
            for name, buffer in eager.named_buffers():
                assert torch.equal(buffer, dict(other.named_buffers())[name])
    prediction, truth = points()
    compiled(Wing())(prediction, truth).backward()
    assert prediction.grad is not None


def test_a_compiled_second_derivative_is_refused(compiled):
    cosines, labels = batch()
    loss = compiled(lambda c: F.margin_softmax(c, labels))(cosines)
    # torch's own refusal: 2.13 names double backward, 2.10 says that there is no graph.
    with pytest.raises(RuntimeError, match="double backward|second derivative|does not require grad"):
        (first,) = torch.autograd.grad(loss, cosines, create_graph=True)
        first.sum().backward()


def test_shapes_may_change_under_compile():
    torch._dynamo.reset()
    f = torch.compile(lambda c, y: F.margin_softmax(c, y), fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (4, 6, 9):
        a, labels = batch(rows=rows)
        b, _ = batch(rows=rows)
        f(a, labels).backward()
        F.margin_softmax(b, labels).backward()
        assert same_bits(a.grad, b.grad)
