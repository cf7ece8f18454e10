"""README.md's table "From X to losskit": its losskit.torch column, and its texts in Python, against the peers' published formulas
(tests/golden/peers.py) and the installed peer. Cells are read from the page and evaluated, so that table and test cannot drift apart."""
import importlib.util
import pathlib
import re

import pytest
import torch
from torch import nn

import losskit
import losskit.torch
from losskit.torch import functional
from losskit.torch.compat import insightface, pml

ROOT = pathlib.Path(__file__).resolve().parents[3]
C, D = 5, 2
NAMES = {**vars(losskit.torch), "pml": pml, "insightface": insightface, "functional": functional, "C": C, "D": D}


def golden_peers():
    spec = importlib.util.spec_from_file_location("golden_peers", ROOT / "tests/golden/peers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


peers = golden_peers()


def table():
    """By the heading above a row and its first cell without backticks: what stands between backticks in its first three cells."""
    page = (ROOT / "README.md").read_text()
    rows, heading = {}, ""
    for line in re.search(r"<!-- from:.*?-->\n(.*?)<!-- end of from", page, re.DOTALL)[1].splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[1]:
            rows[f"{heading}: " + cells[0].replace("`", "")] = [re.findall("`(.*?)`", cell) for cell in cells[:3]]
        else:
            heading = cells[0].strip("*")
    return rows


TABLE = table()


def close(a, b, of=None):
    """To 1e-12 of the largest."""
    b = torch.as_tensor(b, dtype=torch.float64)
    off = (a - b).abs().max() / (b if of is None else torch.as_tensor(of)).abs().max()
    assert off <= 1e-12, off.item()


def doubles(rows):
    return torch.tensor([[float(x) for x in row] for row in rows], dtype=torch.float64)


def test_there_is_a_row_for_each_peer_and_no_other():
    assert set(TABLE) == {peer.theirs for peer in peers.PEERS} | {name for name, _, _ in peers.POINTS} | {peers.LAYER}


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.theirs)
def test_the_text_over_cosines(peer):
    text, *says = TABLE[peer.theirs][1]
    cosines, labels, norms = peers.inputs()
    losses, gradient, s = peer.batch(cosines, labels, norms)
    c = torch.tensor(cosines, dtype=torch.float64, requires_grad=True)
    given = {"scales": torch.tensor(norms, dtype=torch.float64)} if "Batch::scales" in says else {}
    if "Batch::scale" in says:
        given["scale"] = float(s)
    loss = functional.margin_softmax(c, torch.tensor(labels), losskit.policy(text), **given)
    loss.backward()
    close(loss.detach(), float(sum(losses) / len(losses)))
    close(c.grad, doubles(gradient))


class Plane:
    """Embeddings of any length and centres in the plane. A cosine is that of a difference of angles: the formulas' gradient by it gives
    d loss / d angle, and d loss / d scale, with no other arithmetic of losskit's or torch's."""

    def __init__(self):
        self.angles = [0.05 + 0.26 * i for i in range(24)]
        self.centres = [1.2345 * j for j in range(C)]
        self.labels = [i * 3 % C for i in range(24)]
        self.lengths = [0.5 + (i * 37 % 29) / 2 for i in range(24)]
        self.cosines = [[peers.cos(peers.mpf(a) - peers.mpf(b)) for b in self.centres] for a in self.angles]
        a, b, r = (torch.tensor(x, dtype=torch.float64) for x in (self.angles, self.centres, self.lengths))
        self.unit, self.along = torch.stack([a.cos(), a.sin()], 1), torch.stack([-a.sin(), a.cos()], 1)
        self.x = (self.unit * r[:, None]).requires_grad_()
        self.w = torch.stack([b.cos(), b.sin()], 1) * (1 + torch.arange(C, dtype=torch.float64))[:, None]
        self.y = torch.tensor(self.labels)

    def expected(self, peer):
        """The mean loss, d loss / d angle of each row and of each centre, and d loss / d length of each row where it is the scale."""
        losses, g, s = peer.batch(self.cosines, self.labels, self.lengths)
        turned = [[-v * peers.sin(peers.mpf(a) - peers.mpf(b)) for v, b in zip(row, self.centres)] for row, a in zip(g, self.angles)]
        by_length = [0.0] * len(losses)
        if peer.norms:
            by_length = [float(peers.diff(lambda r: peers.row_loss(peer.target, peer.others, peer.objective, r, c, y)[0], peers.mpf(n)))
                         / len(losses) for c, y, n in zip(self.cosines, self.labels, self.lengths)]
        by_centre = [-float(sum(column)) for column in zip(*turned)]
        return float(sum(losses) / len(losses)), [float(sum(row)) for row in turned], by_centre, by_length, s


def holds(plane, peer, module):
    """A loss of embeddings has the peer's numbers. Its centres are W, one a column, or weight, one a row."""
    loss, by_angle, by_centre, by_length, s = plane.expected(peer)
    centres = module.W if hasattr(module, "W") else module.weight
    centres.data = plane.w.t().clone() if hasattr(module, "W") else plane.w.clone()
    if hasattr(module, "scale_state"):
        module.scale_state[0] = float(s)
    value = module(plane.x, plane.y)
    value.backward()
    of_w = centres.grad.t() if hasattr(module, "W") else centres.grad
    across = torch.stack([-plane.w[:, 1], plane.w[:, 0]], 1)
    close(value.detach(), loss)
    close((plane.x.grad * plane.along).sum(1) * torch.tensor(plane.lengths, dtype=torch.float64), by_angle)
    close((of_w * across).sum(1), by_centre)
    close((plane.x.grad * plane.unit).sum(1), by_length, of=by_angle)


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.theirs)
def test_the_module(peer):
    plane, (made,) = Plane(), TABLE[peer.theirs][2]
    module = eval(made, dict(NAMES))
    if made.startswith("insightface."):  # a layer of logits
        c = doubles(plane.cosines).requires_grad_()
        nn.functional.cross_entropy(module(c, plane.y), plane.y).backward()
        close(c.grad, doubles(peer.batch(plane.cosines, plane.labels)[1]))
        return
    module = module.double().eval()  # a state stays as it is given
    if hasattr(module, "scale_state"):  # AdaCos: the peer's scale starts alike, and is then given
        assert module.scale_state[0].item() == pytest.approx(float(peers.sqrt(2) * peers.log(C - 1)), rel=1e-15)
    holds(plane, peer, module)


@pytest.mark.parametrize("peer", [peer for peer in peers.PEERS if peer.theirs.startswith("pytorch-metric-learning")],
                         ids=lambda peer: peer.theirs)
def test_the_formula_is_the_installed_peer(peer):
    """Their call of the first column, made by the package itself."""
    theirs = pytest.importorskip("pytorch_metric_learning.losses")
    module = eval(TABLE[peer.theirs][0][0], {**vars(theirs), "C": C, "D": D})
    holds(Plane(), peer, module)
    for _, cosines, _, _, _ in peer.apart:  # its gradient has no number where the target is at 1
        assert cosines[0] == 1
        x = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
        module.W.data = torch.tensor([[1.0, 0.0]] * C, dtype=torch.float64).t()
        module(x, torch.tensor([0])).backward()
        assert not x.grad.isfinite().all()


@pytest.mark.parametrize("theirs, loss, others", peers.POINTS, ids=lambda x: x if isinstance(x, str) else "")
def test_the_point_losses(theirs, loss, others):
    text, reduction = TABLE[theirs][1]
    value, slopes = peers.points(loss, peers.POINT_PREDICTIONS, peers.POINT_TRUTHS)
    truth = torch.tensor(peers.POINT_TRUTHS, dtype=torch.float64)
    for made in (eval(TABLE[theirs][2][0], dict(NAMES)),
                 lambda p, t: functional.point_loss(p, t, text, reduction=reduction.removeprefix("Reduction::"))):
        prediction = torch.tensor(peers.POINT_PREDICTIONS, dtype=torch.float64, requires_grad=True)
        got = made(prediction, truth)
        got.backward()
        close(got.detach(), float(value))
        close(prediction.grad, doubles(slopes))


def test_the_cosine_layer():
    """But for what it adds to squared norms (1e-7, 1e-6), and for its gradient along w."""
    x = torch.tensor(peers.LAYER_X, dtype=torch.float64, requires_grad=True)
    w = torch.tensor(peers.LAYER_W, dtype=torch.float64)
    w = (w / (w.square().sum(1, keepdim=True) + 1e-6).sqrt()).requires_grad_()
    cosines, dx, dw = map(doubles, peers.layer())
    got = eval(TABLE[peers.LAYER][2][0], {**NAMES, "x": x, "w": w})
    got.backward(torch.tensor(peers.LAYER_DC, dtype=torch.float64))
    unit = nn.functional.normalize(w.detach())
    along = (unit * dw).sum(1, keepdim=True)
    assert (got - cosines).abs().max() <= 2e-6 and (x.grad - dx).abs().max() <= 2e-6
    assert (w.grad - (dw - along * unit)).abs().max() <= 1e-5 and along.abs().max() > 0.1
