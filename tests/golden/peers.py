#!/usr/bin/env python3
"""Golden values of README.md's table "From X to losskit": what peers compute, written from their published code, with 50 digits.

    pip install mpmath && python3 peers.py        (writes peers.inc beside this script)

Each entry names the repository, the file and the commit that its formula was read in, and has the name of its row: the heading above it,
and its first cell without backticks. A formula is a value and the slope that the peer's own backward uses: written out where the peer
writes it (Caffe, Paddle, OneFlow), the derivative of the forward where the peer leaves it to autograd. All but those without a gradient are
compared with a numerical derivative before anything is written. Nothing of losskit is used here, and nothing of generate.py's margins.

Parameters are the doubles nearest to what the table says; Caffe, Paddle and OneFlow round theirs to float. Losses have no cap here: Caffe
and insightface's PartialFC cap a row's loss (and not its gradient). That is among what is `apart`: where the peer's numbers are known to be
others than losskit's, and the table says so. A test asks that they are.
"""
import os
import random
import struct

from mpmath import mp, mpf, acos, cos, sin, pi, exp, log, sqrt, floor, diff

mp.dps = 50
HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES, ROWS = 5, 24
NAN = float("nan")  # no finite number
FLT_MIN = mpf(2) ** -126


# ------------------------------------------------------------------------------------------------- targets: value and slope at a cosine
# xialuxi/arcface-caffe 30ba26a, cosin_add_m_layer.cpp: Forward_cpu, Backward_cpu. Its sum formula; past the threshold a line.
def cosin_addm(m):
    def target(c):
        if c <= cos(pi - m):
            return c - sin(pi - m) * m, mpf(1)
        root = sqrt(1 - c * c)
        return c * cos(m) - root * sin(m), mpf(1) if root == 0 else cos(m) + sin(m) * c / root
    return target


# xialuxi/arcface-caffe 30ba26a (file at 1b0aa15), combined_margin_layer.cpp: no threshold. `angle`: it keeps the angle in a float.
def combined_margin(m1, m2, m3, angle=lambda theta: theta):
    def target(c):
        phi = m1 * angle(acos(c)) + m2
        return cos(phi) - m3, m1 * (1 - c * c) ** mpf(-0.5) * sin(phi)
    return target


# Joker316701882/Additive-Margin-Softmax 56c6e71, AM_softmax.py: AM_logits_compute. wespeaker bbc0bf0, projections.py: AddMarginProduct.
# pytorch-metric-learning 2.9.0, losses/cosface_loss.py. insightface, arcface_torch/losses.py, CosFace, every era.
def additive(m):
    return lambda c: (c - m, mpf(1))


# pytorch-metric-learning 2.9.0, losses/arcface_loss.py: the angle in radians of `degrees`; the comparison is of angles, and inclusive.
def pml_arcface(degrees):
    m = mpf(degrees) * pi / 180
    def target(c):
        angle = acos(c)
        if angle <= pi - m:
            return cos(angle + m), sin(angle + m) / sin(angle)
        return cos(angle) - m * sin(m), mpf(1)
    return target


# pytorch-metric-learning 2.9.0, losses/large_margin_softmax_loss.py: the binomial sum for cos(m theta); k has no gradient.
def pml_sphereface(m):
    def target(c):
        k = floor(acos(c) / (pi / m))
        sign = (-1) ** int(k)
        terms = [(mp.binomial(m, 2 * n) * (-1) ** n, m - 2 * n, n) for n in range(m // 2 + 1)]
        value = sum(a * c ** p * (1 - c * c) ** n for a, p, n in terms)
        slope = sum(a * (p * c ** (p - 1) * (1 - c * c) ** n if p else 0) for a, p, n in terms)
        slope += sum(a * c ** p * n * (1 - c * c) ** (n - 1) * -2 * c for a, p, n in terms if n)
        return sign * value - 2 * k, sign * slope
    return target


# insightface ede87b4a (2021-03), arcface_torch/losses.py, ArcFace: acos and cos under autograd, in place.
# insightface HEAD 7fadd420, arcface_mxnet/train.py, margin_softmax: the same with m1 and m3.
def insightface_angles(m1, m2, m3):
    def target(c):
        angle = acos(c)
        return cos(m1 * angle + m2) - m3, m1 * sin(m1 * angle + m2) / sin(angle)
    return target


# insightface 2e2e8c97 (2022-01), arcface_torch/losses.py, ArcFace; 5ef98047 (2022-03), CombinedMarginLoss with m1 = 1, m3 = 0.
def insightface_sum(m):
    def target(c):
        if c > cos(pi - m):
            return c * cos(m) - sqrt(1 - c ** 2) * sin(m), cos(m) + sin(m) * c / sqrt(1 - c ** 2)
        return c - sin(pi - m) * m, mpf(1)
    return target


# insightface 657ae30e (2022-12) to HEAD 7fadd420, arcface_torch/losses.py, CombinedMarginLoss with m1 = 1, m3 = 0: under no_grad.
def insightface_no_grad(m):
    return lambda c: (cos(acos(c) + m), mpf(1))


# PaddlePaddle 00bddd53, phi/kernels/gpu/margin_cross_entropy_kernel.cu; its backward, 06872305, margin_cross_entropy_grad_kernel.cu.
def paddle(m1, m2, m3):
    return lambda c: (cos(acos(c) * m1 + m2) - m3, m1 * sin(m1 * acos(c) + m2) / sqrt(1 - c * c))


# Oneflow-Inc/oneflow 25c8978c, user/kernels/combined_margin_loss_kernel.{cpp,cu}.
def oneflow(m1, m2, m3):
    return lambda c: (cos(acos(c) * m1 + m2) - m3, sin(acos(c) * m1 + m2) * m1 / sin(acos(c)))


# wenet-e2e/wespeaker bbc0bf0, models/projections.py: ArcMarginProduct.
def wespeaker_arc(m):
    def target(c):
        root = sqrt(1 - c ** 2)
        if c > cos(pi - m):
            return c * cos(m) - root * sin(m), cos(m) + sin(m) * c / root
        return c - (1 + cos(pi - m)), mpf(1)
    return target


# wenet-e2e/wespeaker bbc0bf0, models/projections.py: SphereProduct with margin 4 and its lambda; k has no gradient.
def wespeaker_sphere(lam):
    def target(c):
        k = floor(4 * acos(c) / pi)
        sign = (-1) ** int(k)
        phi, by_c = sign * (8 * c ** 4 - 8 * c ** 2 + 1) - 2 * k, sign * (32 * c ** 3 - 16 * c)
        return (phi - c) / (1 + lam) + c, (by_c - 1) / (1 + lam) + 1
    return target


def wespeaker_lambda(iteration):  # of its forward number 1, 2, ...
    return max(mpf(5), 1000 / (1 + mpf(0.12) * iteration))


# ----------------------------------------------------------------------------------------------- the other classes, and objectives of p
def plain(c, psi):
    return c, mpf(1)


# xialuxi/arcface-caffe 30ba26a (file at af3447d), SV_X_Softmax/sv-x-softmax.cpp, as it would be if it compiled (j is not declared): a class
# above the margined target, after its line past pi.
def sv_x(t):
    return lambda c, psi: (c * t + t - 1, t) if c > psi else (c, mpf(1))


def cross_entropy(p, q):  # of p and q = 1 - p: the loss, and its derivative by log p
    return -log(p), mpf(-1)


# zimenglan-sysu-512/Focal-Loss d767cb9, focal_loss_layer.cpp: the source of the layer that arcface-caffe's prototxt names.
def focal(gamma, alpha):
    return lambda p, q: (-alpha * q ** gamma * log(p), gamma * alpha * q ** gamma / q * log(p) * p - alpha * q ** gamma)


# happynear/caffe-windows 967eedf (branch ms), focal_loss_layer.cpp: `ones_` holds alpha, and alpha is not used again. Its loss.
def focal_of_caffe_windows(gamma, alpha):
    def objective(p, q):
        weight = (alpha - p) ** gamma
        return -weight * log(p), gamma * weight / q * log(p) * p - weight
    return objective


# ----------------------------------------------------------------------------------------------------------------------- whole losses
def row_loss(target, others, objective, s, cosines, y):
    """A row's loss and its gradient by every cosine."""
    c = [mpf(x) for x in cosines]
    psi, slope = target(c[y])
    entries = [(psi, slope) if j == y else others(x, psi) for j, x in enumerate(c)]
    weights = [exp(s * (value - psi)) for value, _ in entries]
    total = mp.fsum(weights)
    p, q = 1 / total, mp.fsum(w for j, w in enumerate(weights) if j != y) / total
    loss, by_log_p = objective(p, q)
    return loss, [by_log_p * (q if j == y else -weights[j] / total) * s * d for j, (_, d) in enumerate(entries)]


# xialuxi/arcface-caffe 30ba26a (file at 44d61a2), AdaCos/adacos_add_m_scale_layer.cpp: its scale after one batch, from the fixed one. The
# target's place holds 0 before the exponential, so each row adds 1; the angle is the mean of all.
def adacos_of_caffe(cosines, labels):
    s = sqrt(mpf(2)) * log(mpf(len(cosines[0]) - 1))
    angles = [acos(mpf(c)) for row in cosines for c in row]
    middle = min(mp.fsum(angles) / len(angles), pi / 4)
    total = mp.fsum(exp(s * (0 if j == y else mpf(c))) for row, y in zip(cosines, labels) for j, c in enumerate(row))
    return log(total / len(cosines)) / cos(middle)


class Peer:
    """theirs: the name of the row. scale: a number, or a function of (cosines, labels). norms: each row's own norm is its scale.
    exact: the slope is the derivative of the value.
    apart: (what, cosines, label, loss, gradient), each None where it is not what differs."""

    def __init__(self, theirs, target, scale=64, others=plain, objective=cross_entropy, norms=False, exact=True, apart=()):
        self.theirs, self.target, self.scale, self.others, self.objective = theirs, target, scale, others, objective
        self.norms, self.exact, self.apart = norms, exact, list(apart)

    def batch(self, cosines, labels, norms=None):
        """Row losses without cap, the gradient of their mean, and the scale."""
        s = mpf(self.scale(cosines, labels) if callable(self.scale) else self.scale)
        losses, gradient = [], []
        for i, (row, y) in enumerate(zip(cosines, labels)):
            loss, g = row_loss(self.target, self.others, self.objective, mpf(norms[i]) if self.norms else s, row, y)
            losses.append(loss)
            gradient.append([x / len(labels) for x in g])
        return losses, gradient, s


ONE = [1.0, 0.75, -0.25, 0.5, 0.125]  # a target of 1, and no other class far behind
OTHER_ONE = [0.875, 1.0, -0.25, 0.5, 0.125]  # another class at 1
WRONG = [-0.5, 0.875, -0.25, 0.5, 0.125]  # a row lost by more than any cap
PAST = [-0.96875, -0.984375, -0.990234375, -0.9921875, -0.98046875]  # a target past pi, every class below cos(theta + m)
SOLVED = [0.875, 0.25, -0.25, 0.5, 0.125]  # p near 1
ROUNDED = [1 + 2.0 ** -52, 0.9375, -0.25, 0.5, 0.125]  # a target that rounding left above 1


def capped(target, s, cap):
    """The loss of WRONG, which the peer caps."""
    assert row_loss(target, plain, cross_entropy, mpf(s), WRONG, 0)[0] > cap
    return cap


CAFFE_CAP, PARTIAL_FC_CAP = -log(FLT_MIN), -log(mpf("1e-30"))
to_float = lambda x: mpf(struct.unpack("f", struct.pack("f", float(x)))[0])
half = mpf(0.5)


def gradient_with(target, s, cosines, y, at, value):
    """A peer's gradient of one row, but for one class."""
    g = row_loss(target, plain, cross_entropy, mpf(s), cosines, y)[1]
    g[at] = value
    return g


def no_number_at_one(psi, s=64):
    """The gradient of ONE by a peer that divides by sin(theta) = 0 at its target, whose value there is psi."""
    return gradient_with(lambda c: (psi, mpf(1)), s, ONE, 0, 0, NAN)


AM = additive(mpf(0.35))
PEERS = [
    Peer("arcface-caffe: CosinAddm {m: 0.5}, Scale 64", cosin_addm(half), apart=[
        ("the slope at c = 1 is 1", ONE, 0, None, row_loss(cosin_addm(half), plain, cross_entropy, mpf(64), ONE, 0)[1]),
        ("the loss stops at 87.34", WRONG, 0, capped(cosin_addm(half), 64, CAFFE_CAP), None)]),
    Peer("arcface-caffe: the same, FocalLoss {gamma: 2 alpha: 0.25}", cosin_addm(half), objective=focal(2, mpf(0.25)), apart=[
        ("caffe-windows has (alpha - p)^gamma", SOLVED, 0,
         row_loss(cosin_addm(half), plain, focal_of_caffe_windows(2, mpf(0.25)), mpf(64), SOLVED, 0)[0], None)]),
    Peer("arcface-caffe: CombinedMargin {m1: 4 m2: 0.5 m3: 0.35}, Scale 64", combined_margin(4, half, mpf(0.35)), apart=[
        ("the angle is a float", SOLVED, 0,
         *row_loss(combined_margin(4, half, mpf(0.35), to_float), plain, cross_entropy, mpf(64), SOLVED, 0))]),
    Peer("arcface-caffe: SV_X_Softmax {m: 0.5 t: 1.2}, Scale 64", cosin_addm(half), others=sv_x(1 + mpf(0.2)), apart=[
        ("past pi the mask asks for the line", PAST, 0, *row_loss(cosin_addm(half), sv_x(1 + mpf(0.2)), cross_entropy, mpf(64), PAST, 0))]),
    Peer("arcface-caffe: AdaCosAddmScale {m: 0.5}", cosin_addm(half), scale=adacos_of_caffe),
    Peer("Additive-Margin-Softmax: AM_logits_compute", AM, scale=30, apart=[
        ("a clipped cosine has no gradient", ROUNDED, 0, None, gradient_with(AM, 30, [1.0] + ROUNDED[1:], 0, 0, mpf(0)))]),
    Peer("pytorch-metric-learning 2.9: ArcFaceLoss(C, D)", pml_arcface(28.6), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(cos(mpf(28.6) * pi / 180)))]),
    Peer("pytorch-metric-learning 2.9: CosFaceLoss(C, D)", AM),
    Peer("pytorch-metric-learning 2.9: SphereFaceLoss(C, D)", pml_sphereface(4), norms=True),
    Peer("pytorch-metric-learning 2.9: NormalizedSoftmaxLoss(C, D)", additive(mpf(0)), scale=1 / mpf(0.05)),
    Peer("insightface: ArcFace(), 2021-03 to 2022-01", insightface_angles(1, half, 0), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(cos(half)))]),
    Peer("insightface: ArcFace(), CombinedMarginLoss(64, 1, 0.5, 0), 2022-01 to 2022-12", insightface_sum(half), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(cos(half)))]),
    Peer("insightface: CombinedMarginLoss(64, 1, 0.5, 0), since 2022-12", insightface_no_grad(half), exact=False, apart=[
        ("PartialFC's loss stops at 69.08", WRONG, 0, capped(insightface_no_grad(half), 64, PARTIAL_FC_CAP), None)]),
    Peer("insightface: CombinedMarginLoss(64, 1, 0, 0.4), CosFace()", additive(mpf(0.4)), apart=[
        ("PartialFC's loss stops at 69.08", WRONG, 0, capped(additive(mpf(0.4)), 64, PARTIAL_FC_CAP), None)]),
    Peer("insightface: MXNet combined: 1, 0.3, 0.2", insightface_angles(1, mpf(0.3), mpf(0.2))),
    Peer("Paddle: margin_cross_entropy(logits, label)", paddle(1, half, 0), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(cos(half)))]),
    Peer("Paddle: margin_cross_entropy(logits, label, 1.35, 0)", paddle(mpf(1.35), 0, 0), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(mpf(1)))]),
    Peer("OneFlow: combined_margin_loss(x, label, 0.3, 0.5, 0.4) * 64", oneflow(mpf(0.3), half, mpf(0.4)), apart=[
        ("no number at c = 1", ONE, 0, None, no_number_at_one(cos(half) - mpf(0.4)))]),
    Peer("wespeaker: ArcMarginProduct(D, C)", wespeaker_arc(mpf(0.2)), scale=32, apart=[
        ("no number where any class is at 1", OTHER_ONE, 0, None, gradient_with(wespeaker_arc(mpf(0.2)), 32, OTHER_ONE, 0, 1, NAN))]),
    Peer("wespeaker: AddMarginProduct(D, C)", additive(mpf(0.2)), scale=32),
    Peer("wespeaker: SphereProduct(D, C, margin=4)", wespeaker_sphere(mpf(5)), norms=True),
]


def inputs():
    """A row a target angle, 2.5 to 175 degrees: cosines (multiples of 2^-20), labels and norms."""
    random.seed(13)
    cosines, labels = [], []
    for i in range(ROWS):
        row = [random.randrange(-870, 871) / 1024 for _ in range(CLASSES)]
        row[i % CLASSES] = round(float(cos((2.5 + 7.5 * i) * pi / 180)) * 2 ** 20) / 2 ** 20
        cosines.append(row)
        labels.append(i % CLASSES)
    return cosines, labels, [0.5 + (i * 37 % 29) / 2 for i in range(ROWS)]


# ------------------------------------------------------------------------------------------------------------------------ point losses
# xialuxi/arcface-caffe 30ba26a (file at 8a05fc0), landmark_and_pose/wing_loss_layer.cpp: Forward_cpu, Backward_cpu.
def wing(w, eps):
    outside = w * (1 - log(1 + mpf(w) / eps))
    def loss(d):
        if w > abs(d):
            return w * log(1 + abs(d) / eps), w / (d + eps) if d > 0 else w / (d - eps)
        return abs(d) - outside, mpf(1 if d > 0 else -1)
    return loss


# xialuxi/arcface-caffe 30ba26a, landmark_and_pose/smooth_L1_loss_layer.cu. Its .cpp is that of sigma = 1, whatever sigma is.
def smooth_l1(sigma):
    s2 = mpf(sigma) ** 2
    return lambda d: (d * d * s2 / 2, s2 * d) if abs(d) < 1 / s2 else (abs(d) - 1 / (2 * s2), mp.sign(d))


POINT_PREDICTIONS = [[12.5, -3.0, 0.25], [7.0, 0.0625, -11.0], [4.0, -0.015625, 30.0], [-10.0, 9.0, 1.5]]
POINT_TRUTHS = [[2.5, -1.0, 0.125], [-6.0, 0.125, 2.0], [4.5, 0.015625, 10.0], [-9.75, 19.0, 1.0]]
POINTS = [  # (theirs, loss, [(what, loss of the peer, prediction, truth)])
    ("arcface-caffe: WingLoss {w: 10 epsilon: 2}", wing(10, 2), [("the slope at 0 is -w / epsilon", wing(10, 2), [[3.0]], [[3.0]])]),
    ("arcface-caffe: SmoothL1Loss {sigma: 3}", smooth_l1(3), [("on the CPU sigma is 1", smooth_l1(1), [[0.25]], [[0.0]])]),
]


def points(loss, prediction, truth):
    """sum / rows, and its gradient: both layers divide by num()."""
    n = len(prediction)
    both = [[loss(mpf(p) - mpf(t)) for p, t in zip(ps, ts)] for ps, ts in zip(prediction, truth)]
    return mp.fsum(v for row in both for v, _ in row) / n, [[d / n for _, d in row] for row in both]


# ------------------------------------------------------------------------------------------------------------------------------ layers
LAYER = "arcface-caffe: NormL2, InnerProduct {normalize: true}"
LAYER_X = [[3.0, -1.0, 0.5], [0.25, 2.0, -4.0]]
LAYER_W = [[1.0, 2.0, -2.0], [0.5, 0.0, 0.25], [-1.0, 4.0, 8.0], [0.75, -0.5, 0.125]]
LAYER_DC = [[0.5, -1.0, 0.25, 2.0], [-0.75, 0.125, 1.0, -0.5]]


def layer():
    """Cosines, and the gradients by x and by w, for LAYER_DC.

    xialuxi/arcface-caffe 30ba26a, AdaCos/normL2_layer.cpp: x / sqrt(|x|^2 + 1e-7), and its derivative. happynear/caffe-windows 967eedf
    (branch ms), inner_product_layer.cpp: each row of w is replaced by w / sqrt(|w|^2 + 1e-6), and the backward is the plain product's.
    """
    dot = lambda a, b: mp.fsum(p * q for p, q in zip(a, b))
    to = lambda m: [[mpf(v) for v in row] for row in m]
    x, w, dc = to(LAYER_X), to(LAYER_W), to(LAYER_DC)
    nx = [sqrt(dot(r, r) + mpf("1e-7")) for r in x]
    y = [[v / n for v in r] for r, n in zip(x, nx)]
    w = [[v / sqrt(dot(r, r) + mpf("1e-6")) for v in r] for r in w]
    dy = [[mp.fsum(dc[i][j] * w[j][k] for j in range(len(w))) for k in range(3)] for i in range(len(x))]
    dx = [[(dy[i][k] - y[i][k] * dot(y[i], dy[i])) / nx[i] for k in range(3)] for i in range(len(x))]
    dw = [[mp.fsum(dc[i][j] * y[i][k] for i in range(len(x))) for k in range(3)] for j in range(len(w))]
    return [[dot(a, b) for b in w] for a in y], dx, dw


# ------------------------------------------------------------------------------------------------------------------------------ output
def number(x):
    x = float(x)
    if x != x:
        return "nan"
    return repr(x)


def flat(rows):
    return [x for row in rows for x in row]


def array(kind, name, xs, show=number, at_once=5):
    lines = [", ".join(show(x) for x in xs[k:k + at_once]) + ",\n" for k in range(0, len(xs), at_once)]
    return "inline constexpr %s %s[] = {\n%s};\n" % (kind, name, "".join(lines))


def check(peer, cosines, labels):
    for row, y in zip(cosines, labels):
        c = mpf(row[y])
        if peer.exact:
            assert abs(diff(lambda v: peer.target(v)[0], c) - peer.target(c)[1]) < mpf(10) ** -15, (peer.theirs, row[y])
        for j, v in enumerate(row):
            psi = peer.target(c)[0]
            assert j == y or abs(mpf(v) - psi) > 1e-6, "a class at the threshold"


def main():
    cosines, labels, norms = inputs()
    cases, losses, gradients, apart = [], [], [], []
    for peer in PEERS:
        check(peer, cosines, labels)
        row_losses, gradient, s = peer.batch(cosines, labels, norms)
        cases.append('{"%s", %s, %d, %d},\n' % (peer.theirs, number(s if callable(peer.scale) else 0), len(losses), len(gradients)))
        losses += row_losses
        gradients += flat(gradient)
        for what, row, y, loss, g in peer.apart:
            apart.append('{"%s", "%s", {%s}, %d, %s, {%s}},\n' % (
                peer.theirs, what, ", ".join(map(number, row)), y, "unsaid" if loss is None else number(loss),
                ", ".join(["unsaid"] * CLASSES if g is None else map(number, g))))
    point_cases, predictions, truths, slopes = [], [], [], []
    for theirs, loss, others in POINTS:
        for what, of, prediction, truth in [("", loss, POINT_PREDICTIONS, POINT_TRUTHS)] + others:
            value, slope = points(of, prediction, truth)
            point_cases.append('{"%s", "%s", %d, %d, %d, %s},\n' % (
                theirs, what, len(prediction), len(prediction[0]), len(predictions), number(value)))
            predictions += flat(prediction)
            truths += flat(truth)
            slopes += flat(slope)
    c, dx, dw = layer()
    with open(os.path.join(HERE, "peers.inc"), "w", encoding="ascii") as f:
        f.write("// What peers compute, by the rows of README.md's table \"From X to losskit\".\n"
                "// Generated by peers.py (mpmath, %d digits); do not edit. Types: golden.hpp.\n" % mp.dps)
        f.write('#include "golden.hpp"\nnamespace golden {\n')
        f.write("inline constexpr int peer_rows = %d, peer_classes = %d;\n" % (ROWS, CLASSES))
        f.write(array("double", "peer_cosines", flat(cosines)) + array("int", "peer_labels", labels, str, 12))
        f.write(array("double", "peer_norms", norms, number, 12))
        f.write(array("double", "peer_lambdas", [wespeaker_lambda(step) for step in range(1, 5)] + [wespeaker_lambda(5000)]))
        f.write("inline constexpr PeerCase peer_cases[] = {\n%s};\n" % "".join(cases))
        f.write(array("double", "peer_losses", losses, number, 6) + array("double", "peer_gradients", gradients))
        f.write("inline constexpr PeerApart peers_apart[] = {\n%s};\n" % "".join(apart))
        f.write("inline constexpr PeerPoints peer_points[] = {\n%s};\n" % "".join(point_cases))
        for name, xs in (("predictions", predictions), ("truths", truths), ("slopes", slopes)):
            f.write(array("double", "peer_" + name, xs))
        f.write('inline constexpr char const* peer_layer = "%s";\n' % LAYER)
        for name, m in (("x", LAYER_X), ("w", LAYER_W), ("dc", LAYER_DC), ("cosines", c), ("dx", dx), ("dw", dw)):
            f.write(array("double", "peer_layer_" + name, flat(m)))
        f.write("}  // namespace golden\n")
    print("%d rows of the table, %d gradient entries, %d numbers apart" % (len(PEERS) + len(POINTS) + 1, len(gradients), len(apart) + 2))


if __name__ == "__main__":
    main()
