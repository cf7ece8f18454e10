#!/usr/bin/env python3
"""Golden values for losskit from an independent high-precision reference.

    pip install mpmath && python3 generate.py        (writes the *.inc files beside this script)

Everything is computed with 50 decimal digits, straight from the definitions, in the angle: theta = acos(c),
phi = m1 theta + m2. The library works the other way round (no acos, no cos), so an error shared by both is unlikely.
Inputs are doubles taken exactly; parameters are the doubles nearest to what is written here. Outputs are the
nearest doubles with 17 digits. Before anything is written the reference is checked against itself (each slope
against a numerical derivative) and against constants published by others.

Conventions that the mathematics leaves open:
  * at a kink the slope and value are those of the fallback: the margin's own branch needs c > break;
  * a margin with (pi - m2) / m1 >= pi never gets past pi, so its past-pi rule never acts (negative m2, small m1);
  * Easy takes the margin where c > 0; elsewhere the bare cosine, without m3;
  * at |c| = 1 the slope is the one at 1 - 2^-53 (the nearest double inside), unless its limit is finite;
  * a class equal to the threshold is no hard negative;
  * at the kink of Wing and SmoothL1 in 0 the slope is 0; at |d| = w and |d| = theta the outer branch holds.
"""
import os
from fractions import Fraction

from mpmath import mp, mpf, acos, cos, sin, pi, exp, log, log1p, expm1, sqrt, floor, nstr, diff

mp.dps = 50
HERE = os.path.dirname(os.path.abspath(__file__))


# ---------------------------------------------------------------------------------------------- numbers as C++
def to_double(x):
    """The double nearest to a high-precision number, rounded once."""
    x = mpf(x)
    if x == 0:
        return 0.0
    sign, man, e, _ = x._mpf_
    value = Fraction(int(man)) * (Fraction(2) ** int(e))
    return float(-value if sign else value)


def out(x):
    """A computed value: 17 digits bring back exactly the same double."""
    d = x if isinstance(x, float) else to_double(x)
    assert d == d and abs(d) != float("inf"), "golden values are finite"
    if d == 0.0:
        return "0.0"
    text = "%.17g" % d
    if float("%.15g" % d) == d:
        text = "%.15g" % d
    assert float(text) == d
    return text if any(ch in text for ch in ".en") else text + ".0"


def exact(x):
    """An input: a short exact decimal where there is one, else a hexadecimal literal."""
    d = float(x)
    text = repr(d)
    if Fraction(text) == Fraction(d) and len(text) <= 16:
        return text
    mantissa, power = d.hex().split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + power


def without_dust(x, largest=1):
    """sin(k pi) and sums that cancel leave 1e-50 where the exact result is 0."""
    return mpf(0) if abs(x) < mpf(10) ** -45 * largest else x


def param(x):
    return repr(float(x))


def cpp_bool(x):
    return "true" if x else "false"


# ------------------------------------------------------------------------------------------------------ margins
NONE, LEGACY, CONTINUOUS, MONOTONE, CLAMP, FALL, EASY = (
    "none", "legacy_linear", "continuous_linear", "monotone", "clamp", "fall_to_cosine", "easy")
RULES = [NONE, LEGACY, CONTINUOUS, MONOTONE, CLAMP, FALL, EASY]
NEEDS_M1_ONE = {LEGACY, FALL, EASY}
INSIDE = 1 - mpf(2) ** -53


class Margin:
    """psi(m1 theta + m2) - m3 and a rule past phi = pi."""

    def __init__(self, m1=1.0, m2=0.0, m3=0.0, rule=MONOTONE, eps=1e-4, detached=False, lam=None, top=None):
        self.m1, self.m2, self.m3, self.eps = mpf(m1), mpf(m2), mpf(m3), mpf(eps)
        self.rule, self.detached = rule, detached
        self.top = pi - self.eps if top is None else mpf(top)  # Clamp's upper end
        self.lam = None if lam is None else mpf(lam)
        assert rule not in NEEDS_M1_ONE or self.m1 == 1

    def phi(self, c):
        return self.m1 * acos(c) + self.m2

    def theta_break(self):
        return (pi - self.m2) / self.m1

    def raw(self, c):
        if self.m1 == 1 and self.m2 == 0:
            return c - self.m3  # exactly, so that a tie with the threshold is a tie
        return cos(self.phi(c)) - self.m3

    def past(self, c):
        """Does a rule that switches at the break take its fallback here?"""
        theta_b = self.theta_break()
        return theta_b < pi and c <= cos(theta_b)

    def bare_value(self, c):
        m1, m2, m3, phi = self.m1, self.m2, self.m3, self.phi(c)
        if self.rule == LEGACY and self.past(c):
            return c - m2 * sin(m2) - m3
        if self.rule == CONTINUOUS and self.past(c):
            return c - 1 - cos(self.theta_break()) - m3
        if self.rule == MONOTONE:
            k = floor(phi / pi)
            return (-1) ** int(k) * cos(phi) - 2 * k - m3
        if self.rule == CLAMP:
            return cos(min(max(phi, self.eps), self.top)) - m3
        if self.rule == FALL and self.past(c):
            return c - m3
        if self.rule == EASY and not c > 0:
            return c
        return cos(phi) - m3

    def bare_slope(self, c):
        m1, m2, phi = self.m1, self.m2, self.phi(c)
        if self.rule in (LEGACY, CONTINUOUS, FALL) and self.past(c):
            return mpf(1)
        if self.rule == EASY and not c > 0:
            return mpf(1)
        if self.rule == CLAMP and not self.eps <= phi <= self.top:
            return mpf(0)
        if abs(c) == 1:
            integer = m1 == floor(m1)
            if c == 1 and m2 == 0:
                return m1 ** 2
            if c == -1 and m2 == 0 and integer:
                return m1 ** 2 if self.rule == MONOTONE or int(m1) % 2 else -m1 ** 2
            return self.bare_slope(c * INSIDE)
        if self.rule == MONOTONE:
            return m1 * abs(sin(phi)) / sin(acos(c))
        return m1 * sin(phi) / sin(acos(c))

    def value(self, c):
        v = self.bare_value(c)
        return v if self.lam is None else (self.lam * c + v) / (1 + self.lam)

    def slope(self, c):
        d = self.bare_slope(c)
        if self.lam is not None:
            d = (self.lam + d) / (1 + self.lam)
        return mpf(1) if self.detached else d

    def kinks(self):
        theta_b = self.theta_break()
        result = [mpf(0)] if self.rule == EASY else []
        if self.rule in (LEGACY, CONTINUOUS, FALL) and theta_b < pi:
            result.append(cos(theta_b))
        if self.rule == CLAMP:
            for edge in (self.eps, self.top):
                theta = (edge - self.m2) / self.m1
                if 0 < theta < pi:
                    result.append(cos(theta))
        if self.rule == MONOTONE:  # no kink, but the branch changes here and the second derivative jumps
            k = 0
            while (k * pi - self.m2) / self.m1 < pi:
                if (k * pi - self.m2) / self.m1 > 0:
                    result.append(cos((k * pi - self.m2) / self.m1))
                k += 1
        return result


BASE_COSINES = [-1.0, -(1 - 2.0 ** -53), -(1 - 2.0 ** -24), -0.9990234375, -0.96875, -0.90625, -0.75, -0.609375, -0.5,
                -0.359375, -0.125, -2.0 ** -30, 0.0, 2.0 ** -30, 0.125, 0.359375, 0.5, 0.6875, 0.8125, 0.90625, 0.96875,
                0.9990234375, 1 - 2.0 ** -24, 1 - 2.0 ** -53, 1.0]


def cosine_grid(margin):
    """The common grid and points close to each side of every kink (multiples of 2^-24, so that they are floats)."""
    cosines = set(BASE_COSINES)
    for kink in margin.kinks()[:3]:
        for offset in (-2.0 ** -12, -2.0 ** -20, 2.0 ** -20, 2.0 ** -12):
            c = float(floor((kink + offset) * 2 ** 24)) / 2 ** 24
            if -1 < c < 1:
                cosines.add(c)
    kinks = margin.kinks()
    easy_kink_is_exact = lambda c, kink: margin.rule == EASY and kink == 0 and c == 0.0
    # Monotone is C1: a point on a branch change is safe, whichever branch takes it.
    keep = lambda c: margin.rule == MONOTONE or all(
        abs(mpf(c) - k) > 1e-9 or easy_kink_is_exact(c, k) for k in kinks)
    return sorted(c for c in cosines if keep(c))


def check_slope(margin, c):
    """The slope against a five-point derivative of the value, on the side that belongs to c."""
    c = mpf(c)
    if abs(c) > 1 - mpf(2) ** -12 or any(abs(c - k) < mpf(2) ** -26 for k in margin.kinks()):
        return
    h = mpf(10) ** -12
    f = margin.value
    numeric = (f(c - 2 * h) - 8 * f(c - h) + 8 * f(c + h) - f(c + 2 * h)) / (12 * h)
    assert abs(numeric - margin.slope(c)) < mpf(10) ** -20 * (1 + margin.m1 ** 2), (vars(margin), c)


def margin_list():
    listed = []
    for m in (0.2, 0.35, 0.5, 1.0, -0.3, -1.0):
        listed.append(("arc", 1.0, m, 0.0))
    for m in (0.35, 0.4):
        listed.append(("cos", 1.0, 0.0, m))
    for m in (1.0, 2.0, 3.0, 4.0, 1.35, 1.7, 7.0):
        listed.append(("sphere", m, 0.0, 0.0))
    for m1, m2, m3 in ((1, .3, .2), (.9, .4, .15), (1.2, .4, 0), (4, .5, .35), (1.1, -.3, .1), (.3, .5, .4), (1.3, 0, 0), (16, 1, 0)):
        listed.append(("combined", float(m1), float(m2), float(m3)))
    return listed


def write_margins():
    cases, points = [], []

    def add(kind, margin, lam_text=None):
        first = len(points)
        for c in cosine_grid(margin):
            if margin.lam is None:
                check_slope(margin, c)
            points.append("{%s, %s, %s}," % (exact(c), out(without_dust(margin.value(mpf(c)))), out(without_dust(margin.slope(mpf(c))))))
        cases.append("{Kind::%s, Rule::%s, %s, %s, %s, %s, %s, %d, %d}," % (
            kind, margin.rule, param(margin.m1), param(margin.m2), param(margin.m3), param(margin.eps),
            param(-1 if margin.lam is None else margin.lam), first, len(points) - first))
        points.append("// end of case %d" % (len(cases) - 1))

    for kind, m1, m2, m3 in margin_list():
        for rule in RULES:
            if rule in NEEDS_M1_ONE and m1 != 1.0:
                continue
            add(kind, Margin(m1, m2, m3, rule))
    add("sphere", Margin(1.7, rule=CLAMP, eps=0.0))  # SphereFace-R
    add("arc", Margin(1.0, 0.5, rule=CLAMP, eps=1e-3))
    for lam in (0.0, 1.5, 5.0, 1000.0):
        add("sphere", Margin(4.0, rule=MONOTONE, lam=lam))
        add("arc", Margin(1.0, 0.5, rule=MONOTONE, lam=lam))
    comments = lambda: sum(1 for p in points if p.startswith("//"))
    # The comment lines are no array elements: number the cases without them.
    fixed, seen, where = [], 0, 0
    for text in cases:
        head, first, count = text[:-2].rsplit(", ", 2)
        fixed.append("%s, %d, %d}," % (head, seen, int(count)))
        seen += int(count)
    write("margins.inc", "psi(c) and d psi/d c for every margin and past-pi rule; lambda < 0: no annealing",
          [("MarginCase", "margin_cases", fixed), ("Point", "margin_points", points)])
    return len(fixed), seen


# ------------------------------------------------------------------------------------------------------ presets
def write_presets():
    cosines = [-0.96875, -0.90625, -0.75, -0.5, 0.0, 0.125, 0.5, 0.8125, 0.96875]
    degrees = mpf(28.6) * pi / 180
    table = [
        ("pytorch_metric_learning_arcface", 64, Margin(m2=degrees, rule=LEGACY)),
        ("pytorch_metric_learning_cosface", 64, Margin(m3=.35)),
        ("insightface_2021_03_arcface", 64, Margin(m2=.5, rule=NONE)),
        ("insightface_2022_01_arcface", 64, Margin(m2=.5, rule=LEGACY)),
        ("insightface_2022_12_arcface", 64, Margin(m2=.5, rule=NONE, detached=True)),
        ("insightface_cosface", 64, Margin(m3=.4, rule=NONE)),
        ("insightface_mxnet_combined", 64, Margin(1, .3, .2, rule=NONE)),
        ("paddle_arcface", 64, Margin(m2=.5, rule=NONE)),
        ("paddle_sphereface", 64, Margin(1.35, rule=NONE)),
        ("oneflow_combined_0.3_0.5_0.4", 1, Margin(.3, .5, .4, rule=NONE)),
        ("oneflow_combined_1_0.5_0", 1, Margin(1, .5, 0, rule=NONE)),
        ("oneflow_combined_1_0_0.4", 1, Margin(1, 0, .4, rule=NONE)),
        ("oneflow_combined_0.3_0_0", 1, Margin(.3, 0, 0, rule=NONE)),
        ("wespeaker_arc", 32, Margin(m2=.2, rule=CONTINUOUS)),
        ("wespeaker_cos", 32, Margin(m3=.2)),
        ("keras_insightface_arcface", 64, Margin(m2=.5, rule=MONOTONE)),
        ("keras_insightface_combined", 64, Margin(1, .3, .2, rule=MONOTONE)),
        ("adaface_repository_arcface", 64, Margin(m2=.5, rule=CLAMP, eps=1e-4)),
        ("opensphere_arcface", 64, Margin(m2=.5, rule=CLAMP, eps=1e-5, top=3.14159, detached=True)),
        ("opensphere_sphereface", 64, Margin(1.7, rule=MONOTONE, detached=True)),
        ("facex_zoo_arcface", 32, Margin(m2=.35, rule=FALL)),
        ("xialuxi_arcface", 64, Margin(m2=.5, rule=LEGACY)),
        ("sphereface_caffe", 1, Margin(4, rule=MONOTONE)),
    ]
    lines = []
    for name, scale, margin in table:
        for c in cosines:
            assert all(abs(mpf(c) - k) > 1e-9 for k in margin.kinks()) or margin.rule == MONOTONE
            lines.append('{"%s", %d, %s, %s, %s},' % (name, scale, exact(c), out(without_dust(margin.value(mpf(c)))), out(without_dust(margin.slope(mpf(c))))))
    m = mpf(.35)  # happynear: the margin is subtracted only above m; its backward is the identity
    for c in cosines + [0.34375, 0.359375]:
        c = mpf(c)
        lines.append('{"happynear_am", 30, %s, %s, 1.0},' % (exact(c), out(c - m if c > m else c)))
    write("presets.inc", "published settings by peer and era: scale, cosine, value and slope",
          [("PresetPoint", "preset_points", lines)])
    return len(lines)


# ------------------------------------------------------------------------------------- rest rules and objectives
PLAIN, ADAPTIVE, FIXED = "plain", "adaptive", "fixed"


def rest(kind, t, c, threshold):
    t = mpf(t)
    if kind == PLAIN or not c > threshold:
        return c, mpf(1)
    return ((1 + t) * c + t, 1 + t) if kind == ADAPTIVE else (c + t, mpf(1))


def objective(gamma, alpha, lp):
    """-alpha (1 - p)^gamma log p and its derivative by log p, with the limits at p = 1."""
    gamma, alpha, lp = mpf(gamma), mpf(alpha), mpf(lp)
    if lp == 0:
        return mpf(0), (-alpha if gamma == 0 else mpf(0))
    p, u = exp(lp), -expm1(lp)
    return -alpha * u ** gamma * lp, alpha * u ** gamma * (gamma * p * lp / u - 1)


def write_rest_and_objectives():
    lines = []
    for kind in (PLAIN, ADAPTIVE, FIXED):
        for t in (0.2, 0.12):
            for threshold in (-0.875, 0.0, 0.40625):
                for c in (-1.0, -0.5, 0.0, 0.40625, 0.4375, 0.9375, 1.0):
                    v, d = rest(kind, t, mpf(c), mpf(threshold))
                    lines.append("{Rest::%s, %s, %s, %s, %s, %s}," % (kind, param(t), exact(c), exact(threshold), out(v), out(d)))
            if kind == PLAIN:
                break
    write("rest.inc", "what a rest rule makes of a class: c, threshold, value, slope", [("RestPoint", "rest_points", lines)])
    n = len(lines)
    lines = []
    grid = [0.0, -1e-300, -1e-20, -1e-12, -1e-9, -1e-6, -1e-3, -0.0625, -0.5, -0.6875, -1.0, -2.5, -7.0, -13.0, -15.5, -16.25, -16.75, -20.0, -34.0, -37.5, -88.0, -120.0, -200.0]
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        for alpha in (1.0, 0.25):
            for lp in grid:
                v, d = objective(gamma, alpha, lp)
                if lp:
                    numeric = diff(lambda x: objective(gamma, alpha, x)[0], mpf(lp), h=mpf(lp) * mpf(10) ** -20)
                    assert abs(numeric - d) < mpf(10) ** -15 * (1 + gamma) * max(abs(d), mpf(10) ** -300), (gamma, lp, numeric, d)
                lines.append("{%s, %s, %s, %s, %s}," % (param(gamma), param(alpha), float(lp).hex() if lp and abs(lp) < 1e-2 else exact(lp), out(v), out(d)))
    write("objectives.inc", "-alpha (1 - p)^gamma log p and its derivative by log p: gamma, alpha, log_p, value, slope (gamma = 0, alpha = 1: cross-entropy)",
          [("ObjectivePoint", "objective_points", lines)])
    return n, len(lines)


# -------------------------------------------------------------------------------------------------- point losses
def sign(x):
    return mpf((x > 0) - (x < 0))


def wing(w, eps, d):
    w, eps, a = mpf(w), mpf(eps), abs(d)
    if a < w:
        return w * log(1 + a / eps), sign(d) * w / (eps + a)
    return a - (w - w * log(1 + w / eps)), sign(d)


def adaptive_wing(alpha, omega, eps, theta, d, truth):
    alpha, omega, eps, theta = mpf(alpha), mpf(omega), mpf(eps), mpf(theta)
    q = alpha - truth
    at = lambda a: omega * log(1 + (a / eps) ** q)
    slope_at = lambda a: omega * q * (a / eps) ** (q - 1) / (eps * (1 + (a / eps) ** q))
    a = abs(d)
    if a == 0:
        return mpf(0), mpf(0)
    if a < theta:
        return at(a), sign(d) * slope_at(a)
    return slope_at(theta) * (a - theta) + at(theta), sign(d) * slope_at(theta)


def smooth_l1(sigma, d):
    s2, a = mpf(sigma) ** 2, abs(d)
    return (s2 * d * d / 2, s2 * d) if a < 1 / s2 else (a - 1 / (2 * s2), sign(d))


def huber(delta, d):
    delta, a = mpf(delta), abs(d)
    return (d * d / 2, d) if a < delta else (delta * (a - delta / 2), delta * sign(d))


def sigmoid_focal(gamma, alpha, x, truth):
    gamma, alpha, x = mpf(gamma), mpf(alpha), mpf(x)
    y, a = (mpf(1), alpha) if truth else (mpf(-1), 1 - alpha)
    p, u = 1 / (1 + exp(-y * x)), 1 / (1 + exp(y * x))
    lp = -log1p(exp(-y * x))
    return -a * u ** gamma * lp, y * a * u ** gamma * (gamma * p * lp - u)


def derivative_ok(f, d, slope, kinks=()):
    if any(abs(abs(d) - k) < mpf(10) ** -9 for k in kinks):
        return
    h = mpf(10) ** -14
    numeric = (f(d - 2 * h) - 8 * f(d - h) + 8 * f(d + h) - f(d + 2 * h)) / (12 * h)
    assert abs(numeric - slope) <= mpf(10) ** -20 * (1 + abs(slope)), (d, numeric, slope)


def write_points():
    lines = []

    def add(kind, a, b, c, d, prediction, truth, pair):
        lines.append("{PointKind::%s, %s, %s, %s, %s, %s, %s, %s, %s}," % (
            kind, param(a), param(b), param(c), param(d), exact(prediction), exact(truth), out(pair[0]), out(pair[1])))

    residuals = [0.0, 2.0 ** -40, 2.0 ** -20, 0.0078125, 0.125, 0.5, 0.96875, 1.0, 1.5, 2.0, 4.75, 9.9375, 10.0, 10.0625, 15.0, 37.5, 1000.0, 2.0 ** 40]
    residuals = sorted({s * r for r in residuals for s in (1, -1)})
    for w, eps in ((10.0, 2.0), (15.0, 3.0), (1.5, 0.1), (0.125, 2.0)):
        for r in residuals:
            for truth in (0.0, 0.75):
                if truth and abs(r) not in (0.125, 1.5, 10.0625):
                    continue
                pair = wing(w, eps, mpf(r))
                derivative_ok(lambda d: wing(w, eps, d)[0], mpf(r), pair[1], (mpf(0), mpf(w)))
                add("wing", w, eps, 0, 0, r + truth, truth, pair)
    predictions = [-8.0, -1.0, -0.25, 0.0, 2.0 ** -20, 0.125, 0.25, 0.4375, 0.5, 0.5625, 0.75, 1.0, 1.0625, 1.5, 2.0, 30.0]
    for alpha, omega, eps, theta in ((2.1, 14.0, 1.0, 0.5), (2.5, 10.0, 0.5, 0.25)):
        for truth in (0.0, 0.25, 0.5, 0.75, 1.0, -0.25, 1.5):
            used = min(max(truth, 0.0), 1.0)  # a truth outside [0, 1] counts as its nearest end
            for x in predictions:
                d = mpf(x) - mpf(used)
                pair = adaptive_wing(alpha, omega, eps, theta, d, mpf(used))
                derivative_ok(lambda e: adaptive_wing(alpha, omega, eps, theta, e, mpf(used))[0], d, pair[1], (mpf(0), mpf(theta)))
                add("adaptive_wing", alpha, omega, eps, theta, x, truth, pair)
    for sigma in (1.0, 3.0, 0.5):
        for r in residuals + [4.0, -4.0, 0.109375, -0.109375]:
            pair = smooth_l1(sigma, mpf(r))
            derivative_ok(lambda d: smooth_l1(sigma, d)[0], mpf(r), pair[1], (mpf(1) / mpf(sigma) ** 2,))
            add("smooth_l1", sigma, 0, 0, 0, r, 0.0, pair)
    for delta in (1.0, 0.25, 4.75):
        for r in residuals:
            pair = huber(delta, mpf(r))
            derivative_ok(lambda d: huber(delta, d)[0], mpf(r), pair[1], (mpf(delta),))
            add("huber", delta, 0, 0, 0, r + 0.5 if abs(r) < 100 and abs(r) > 1e-3 else r, 0.5 if abs(r) < 100 and abs(r) > 1e-3 else 0.0, pair)
    logits = [0.0, 2.0 ** -20, 0.125, 0.5, 1.0, 2.5, 5.0, 10.0, 17.5, 20.0, 36.75, 40.0, 88.0, 104.0, 200.0]
    logits = sorted({s * r for r in logits for s in (1, -1)})
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        for x in logits:
            for truth in (0.0, 1.0):
                pair = sigmoid_focal(gamma, 0.25, x, truth)
                derivative_ok(lambda e: sigmoid_focal(gamma, 0.25, e, truth)[0], mpf(x), pair[1])
                add("sigmoid_focal", gamma, 0.25, 0, 0, x, truth, pair)
    write("points.inc", "point losses: kind, up to four parameters in the constructor's order, prediction, truth, value, slope by the prediction",
          [("PointLossPoint", "point_loss_points", lines)])
    return len(lines)


# --------------------------------------------------------------------------------------------------- whole losses
class Random:
    """A small generator of our own, so that the inputs never change."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return (self.state >> 33) % n

    def cosine(self, low, high):  # a multiple of 1/256
        return (low + self.below(high - low + 1)) / 256.0


def matrices():
    """Rows in turn: typical, easy, hard (past every break), confused (a rest above the target), all equal."""
    result = []
    for seed, classes in ((11, 2), (23, 3), (37, 7), (41, 37)):
        random, rows, labels = Random(seed), [], []
        for i in range(5):
            label = random.below(classes)
            spread = (64, 48, 200, 120, 0)[i]
            row = [random.cosine(-spread, spread) for _ in range(classes)]
            row[label] = (0.4296875, 0.94921875, -0.94140625, 0.19921875, 0.0)[i]
            if i == 3:
                row[(label + 1) % classes] = 0.78125
            if i == 4:
                row = [0.25] * classes
            rows.append(row)
            labels.append(label)
        result.append((classes, rows, labels))
    inside = 1 - 2.0 ** -24
    rows = [[1.0, -1.0, 0.5, 1.0, 0.0, -0.25, 0.125], [-1.0, 0.25, -1.0, 0.5, 0.0, -0.25, 0.75], [0.0, inside, 0.5, -inside, 1.0, -1.0, 0.125],
            [0.5, 0.25, 0.75, -0.5, -inside, -0.25, inside], [-0.0625, 0.25, -0.125, -0.5, 0.0, 0.0625, 1.0]]
    result.append((7, rows, [0, 2, 1, 4, 6]))  # targets on and beside the ends
    return result


WEIGHTS = [1.0, 0.5, 0.0, 2.0, 0.25]
ROW_SCALES = [30.0, 64.0, 12.5, 1.0, 20.25]


def whole_loss(margin, gamma, alpha, kind, t, scale, row, label, weight):
    """One row: loss, d(weight loss)/dc for every class, d(weight loss)/ds."""
    scale = mpf(scale)
    threshold = margin.raw(mpf(row[label]))
    value, slope = [], []
    for j, c in enumerate(row):
        c = mpf(c)
        v, d = (margin.value(c), margin.slope(c)) if j == label else rest(kind, t, c, threshold)
        value.append(v)
        slope.append(d)
    z = [scale * v for v in value]
    top = max(z)
    total = sum(exp(x - top) for x in z)
    lp = -log1p(sum(exp(x - z[label]) for j, x in enumerate(z) if j != label))
    loss, by_lp = objective(gamma, alpha, lp)
    p = [exp(x - top) / total for x in z]
    miss = -expm1(lp)  # 1 - p_y without cancellation
    dz = [weight * by_lp * (miss if j == label else -p[j]) for j in range(len(row))]
    terms = [dz[j] * value[j] for j in range(len(row))]
    return loss, [dz[j] * scale * slope[j] for j in range(len(row))], without_dust(sum(terms), max(map(abs, terms)))


def check_whole(margin, args, row, label, gradient):
    """The gradient of one row against central differences in 50 digits (skips cosines at the ends and detached slopes)."""
    if margin.detached:
        return
    for j in (label, (label + 1) % len(row)):
        if abs(row[j]) > 0.999 or mpf(row[j]) == margin.raw(mpf(row[label])):
            continue  # an end, or a tie on the edge of the mask
        h = mpf(10) ** -18
        def moved(by):
            r = [mpf(c) for c in row]
            r[j] += by
            if j != label:
                return whole_loss(margin, *args, r, label, mpf(1))[0]
            # the rest rule's mask is not differentiated: hold the threshold while the target moves
            fixed = Margin(margin.m1, margin.m2, margin.m3, margin.rule, margin.eps, lam=margin.lam)
            fixed.raw = lambda _c: margin.raw(mpf(row[label]))
            return whole_loss(fixed, *args, r, label, mpf(1))[0]
        numeric = (moved(h) - moved(-h)) / (2 * h)
        assert abs(numeric - gradient[j]) < mpf(10) ** -8 * (1 + abs(gradient[j])), (vars(margin), args, j, numeric, gradient[j])


def write_whole():
    m = Margin
    arc, cosine = lambda rule=MONOTONE, **k: m(m2=.5, rule=rule, **k), lambda: m(m3=.35)
    ce, focal, focal_half, focal_quarter = (0.0, 1.0), (2.0, 1.0), (0.5, 1.0), (2.0, 0.25)
    plain, mv, fixed = (PLAIN, 0.2), (ADAPTIVE, 0.2), (FIXED, 0.2)
    W, S = True, True
    C2, C3, C7, C37, E7 = range(5)
    # margin's kind, margin, objective, rest rule, scale, matrix, weighted, scale per row
    table = [
        ("none", m(), ce, plain, 1.0, C3, 0, 0), ("none", m(), ce, plain, 30.0, C7, 0, 0), ("none", m(), ce, plain, 64.0, C2, W, 0),
        ("none", m(), focal, plain, 30.0, C7, 0, 0), ("none", m(), ce, mv, 30.0, C7, 0, 0),
        ("arc", arc(), ce, plain, 64.0, C37, 0, 0), ("arc", arc(), ce, plain, 30.0, C7, W, 0), ("arc", arc(), ce, plain, 1.0, C2, 0, 0),
        ("arc", arc(), ce, plain, 30.12, C37, W, 0), ("arc", arc(), ce, plain, 1e4, C7, 0, 0), ("arc", arc(), ce, plain, 1e-6, C7, 0, 0),
        ("arc", arc(), ce, plain, 1.0, C7, 0, S), ("arc", arc(), ce, plain, 1.0, C37, W, S), ("arc", arc(), ce, plain, 64.0, E7, 0, 0),
        ("arc", arc(NONE), ce, plain, 64.0, C7, 0, 0), ("arc", arc(NONE), ce, plain, 30.0, C3, 0, 0), ("arc", arc(LEGACY), ce, plain, 64.0, C7, 0, 0),
        ("arc", arc(LEGACY), ce, plain, 30.0, C37, W, 0), ("arc", arc(CONTINUOUS), ce, plain, 64.0, C7, 0, 0), ("arc", arc(CONTINUOUS), ce, plain, 32.0, C3, W, S),
        ("arc", arc(CLAMP), ce, plain, 64.0, C7, 0, 0), ("arc", arc(FALL), ce, plain, 32.0, C7, 0, 0), ("arc", arc(EASY), ce, plain, 64.0, C7, W, 0),
        ("arc", arc(NONE, detached=True), ce, plain, 64.0, C7, 0, 0), ("arc", arc(NONE, detached=True), ce, plain, 64.0, E7, 0, 0),
        ("cos", cosine(), ce, plain, 30.0, C3, 0, 0), ("cos", cosine(), ce, plain, 64.0, C37, 0, 0), ("cos", cosine(), ce, plain, 30.12, C7, W, S),
        ("cos", cosine(), ce, plain, 64.0, E7, 0, 0), ("cos", cosine(), focal, plain, 64.0, C7, 0, 0), ("cos", cosine(), ce, mv, 32.0, C7, 0, 0),
        ("cos", cosine(), ce, fixed, 32.0, C7, W, 0),
        ("sphere", m(4.0), ce, plain, 30.0, C7, 0, 0), ("sphere", m(4.0), ce, plain, 1.0, C7, 0, S), ("sphere", m(4.0), ce, plain, 64.0, E7, 0, 0),
        ("sphere", m(1.7), ce, plain, 64.0, C7, 0, 0), ("sphere", m(1.7, detached=True), ce, plain, 64.0, C7, 0, 0), ("sphere", m(1.35, rule=NONE), ce, plain, 64.0, C3, 0, 0),
        ("sphere", m(4.0, lam=5.0), ce, plain, 30.0, C7, 0, 0), ("sphere", m(4.0, lam=5.0), ce, plain, 1.0, C3, W, S),
        ("combined", m(1.0, .3, .2), ce, plain, 64.0, C7, 0, 0), ("combined", m(.9, .4, .15), ce, plain, 64.0, C37, 0, 0), ("combined", m(4.0, .5, .35), ce, plain, 30.0, C7, 0, 0),
        ("combined", m(1.2, .4, 0, rule=CONTINUOUS), ce, plain, 64.0, C7, 0, 0), ("combined", m(1.0, .3, .2, rule=NONE), ce, plain, 64.0, C7, W, 0),
        ("combined", m(.9, .4, .15), focal, plain, 30.0, C7, 0, 0),
        ("arc", arc(), focal, plain, 64.0, C7, 0, 0), ("arc", arc(), focal, plain, 30.0, C37, W, 0), ("arc", arc(), focal, plain, 64.0, C2, 0, 0),
        ("arc", arc(), focal_half, plain, 30.0, C7, 0, 0), ("arc", arc(), focal_quarter, plain, 30.0, C7, 0, S), ("arc", arc(), (5.0, 1.0), plain, 64.0, C3, 0, 0),
        ("arc", arc(), (0.0, 0.25), plain, 64.0, C7, 0, 0), ("arc", arc(), focal, plain, 1e4, C7, 0, 0), ("arc", arc(), focal, plain, 1e-6, C7, 0, 0),
        ("arc", arc(), ce, mv, 64.0, C7, 0, 0), ("arc", arc(), ce, mv, 32.0, C37, W, 0), ("arc", arc(), ce, mv, 30.0, C3, 0, S),
        ("arc", arc(), ce, fixed, 64.0, C7, 0, 0), ("arc", arc(), ce, mv, 64.0, E7, 0, 0), ("arc", arc(NONE), ce, mv, 64.0, C7, 0, 0),
        ("arc", arc(), focal, mv, 64.0, C7, 0, 0), ("arc", arc(), focal, fixed, 30.0, C7, W, S),
    ]
    inputs = matrices()
    cosines, labels, mats = [], [], []
    n = 0
    for classes, rows, label in inputs:
        mats.append("{%d, %d, {%s}}," % (classes, n, ", ".join(map(str, label))))
        for row in rows:
            cosines.append(", ".join(exact(c) for c in row) + ",")
        n += 5 * classes
    cases, losses, gradients, by_scale = [], [], [], []
    at = 0
    for number, (kind, margin, (gamma, alpha), (rest_kind, t), scale, which, weighted, per_row) in enumerate(table):
        classes, rows, label = inputs[which]
        gap = lambda c, i: abs(mpf(c) - margin.raw(mpf(rows[i][label[i]])))
        threshold_ok = lambda i: all(gap(c, i) > 1e-9 or gap(c, i) == 0 for j, c in enumerate(rows[i]) if j != label[i])
        row_loss, row_scale = [], []
        gradients.append("// case %d" % number)
        for i in range(5):
            assert rest_kind == PLAIN or threshold_ok(i)
            s = ROW_SCALES[i] if per_row else scale
            w = WEIGHTS[i] if weighted else 1.0
            args = (gamma, alpha, rest_kind, t, s)
            if number % 2 == 0 or rest_kind != PLAIN:
                check_whole(margin, args, rows[i], label[i], whole_loss(margin, *args, rows[i], label[i], mpf(1))[1])
            loss, gradient, ds = whole_loss(margin, *args, rows[i], label[i], mpf(w))
            row_loss.append(out(loss))
            row_scale.append(out(ds))
            gradients.append(", ".join(out(g) for g in gradient) + ",")
        losses.append("{{%s}, {%s}}," % (", ".join(row_loss), ", ".join(row_scale)))
        cases.append("{Kind::%s, Rule::%s, %s, %s, %s, %s, %s, %s, %s, %s, Rest::%s, %s, %s, %d, %s, %s, %d}," % (
            kind, margin.rule, param(margin.m1), param(margin.m2), param(margin.m3), param(margin.eps), param(-1 if margin.lam is None else margin.lam),
            cpp_bool(margin.detached), param(gamma), param(alpha), rest_kind, param(t), param(scale), which, cpp_bool(weighted), cpp_bool(per_row), at))
        at += 5 * classes
    write("whole.inc", "whole losses of small batches: row losses (without weights), the gradient of the weighted sum by every cosine and by every row's scale",
          [("Matrix", "matrices", mats), ("double", "matrix_cosines", cosines), ("WholeCase", "whole_cases", cases),
           ("WholeRows", "whole_rows", losses), ("double", "whole_gradients", gradients),
           ("double", "whole_weights", [", ".join(map(param, WEIGHTS)) + ","]), ("double", "whole_row_scales", [", ".join(map(param, ROW_SCALES)) + ","])])
    return len(table), at


# ------------------------------------------------------------------------------------------------------- schemes
def adacos_fixed(classes):
    return sqrt(mpf(2)) * log(mpf(classes) - 1)


def adacos_next(s, rows, labels):
    """s after one batch, and whether the batch was unusable (ln B_avg <= 0), in which case s stays."""
    n = len(rows)
    total = sum(exp(s * mpf(c)) for row, y in zip(rows, labels) for j, c in enumerate(row) if j != y)
    log_b = log(total / n)
    angles = sorted(acos(mpf(row[y])) for row, y in zip(rows, labels))
    median = angles[(n - 1) // 2]  # the lower of the two where n is even
    if log_b <= 0:
        return s, True
    return log_b / cos(min(pi / 4, median)), False


def adacos_sequences():
    random, classes = Random(5), 10

    def batch(n, target_low, target_high, low, high):
        labels = [random.below(classes) for _ in range(n)]
        rows = [[random.cosine(low, high) for _ in range(classes)] for _ in range(n)]
        for row, y in zip(rows, labels):
            row[y] = random.cosine(target_low, target_high)
        return rows, labels

    early = [batch(n, -40, 60, -60, 60) for n in (4, 5, 6, 5, 4)]
    late = [batch(n, 190, 250, -50, 50) for n in (5, 4, 6, 7, 4)]
    # Targets so uneven that mean, lower and upper median give three different scales, all inside pi / 4.
    uneven = []
    for n in (4, 5, 6, 4, 5):
        rows, labels = batch(n, 200, 200, -30, 90)
        for i, (row, y) in enumerate(zip(rows, labels)):
            row[y] = (0.99609375, 0.95703125, 0.73828125, -0.5, 0.984375, 0.8125)[i]
        uneven.append((rows, labels))
    # Step 2: every rest at -0.75, so that B_avg < 1 and the state stays; step 3: one rest far above.
    kept = [batch(5, 100, 220, -40, 40), batch(4, 100, 220, -192, -192), batch(4, 100, 220, -192, -100), batch(6, 100, 250, -40, 120), batch(1, 210, 210, -40, 40)]
    # A large scale, where exp(s c) leaves the doubles: e^(2000 * 0.7).
    large = [batch(n, 100, 220, -60, 180) for n in (5, 4, 5, 6, 4)]
    s0 = adacos_fixed(10)
    return [("early", s0, early), ("late", s0, late), ("uneven", s0, uneven), ("kept", s0, kept), ("large", mpf(2000), large)]


def write_adacos():
    steps, cosines, labels, kept_any = [], [], [], False
    at = row_at = 0
    for number, (name, s, batches) in enumerate(adacos_sequences()):
        for step, (rows, y) in enumerate(batches):
            angles = sorted(acos(mpf(r[k])) for r, k in zip(rows, y))
            mean = sum(angles) / len(angles)
            if name == "uneven":
                n = len(angles)
                assert angles[(n - 1) // 2] < pi / 4 and abs(mean - angles[(n - 1) // 2]) > 0.05
                assert n % 2 or angles[n // 2] - angles[n // 2 - 1] > 0.05
            before = s
            s, kept = adacos_next(s, rows, y)
            kept_any = kept_any or kept
            steps.append('{%d, %d, %d, %d, %d, %s, %s, %s}, // %s' % (number, step, len(rows), at, row_at, out(before), out(s), cpp_bool(kept), name))
            for row in rows:
                cosines.append(", ".join(exact(c) for c in row) + ",")
            labels.append(", ".join(map(str, y)) + ",")
            at += len(rows) * 10
            row_at += len(rows)
    assert kept_any
    fixed = ["{%d, %s}," % (c, out(adacos_fixed(c))) for c in (3, 10, 100, 1000, 10575, 85742, 93431, 1000000)]
    write("adacos.inc", "AdaCos with 10 classes: sequences of the scale over batches, from s(0) = sqrt(2) ln(C - 1)",
          [("AdaCosStep", "adacos_steps", steps), ("double", "adacos_cosines", cosines), ("int", "adacos_labels", labels), ("AdaCosFixed", "adacos_fixed", fixed)])
    return len(steps)


def sphere_lambda(base, gamma, power, least, step):
    return max(mpf(least), mpf(base) * (1 + mpf(gamma) * step) ** -mpf(power))


def warm_up(kind, m0, m1, start, end, step):
    m0, m1 = mpf(m0), mpf(m1)
    if step < start:
        return m0
    if step >= end:
        return m1
    x = mpf(step - start) / (end - start)
    r = x if kind == "linear" else 1 - exp(x * log(mpf("1e-3") / (1 + mpf("1e-6"))))
    return m0 + (m1 - m0) * r


def write_schedules():
    lam, warm = [], []
    for base, gamma, power, least in ((1000.0, .12, 1.0, 5.0), (1000.0, .12, 1.0, 0.0), (1.0, 0.0, 1.0, 0.0), (1000.0, 1e-4, 2.0, 5.0), (1500.0, .2, 0.5, 0.0)):
        for step in (0, 1, 2, 3, 10, 100, 1000, 1658, 1659, 10000, 131421, 131422, 1000000, 5000000000):
            lam.append("{%s, %s, %s, %s, %d, %s}," % (param(base), param(gamma), param(power), param(least), step, out(sphere_lambda(base, gamma, power, least, step))))
    for kind in ("exponential", "linear"):
        for m0, m1, start, end in ((0.0, 0.2, 0, 100), (0.0, 0.5, 40, 140), (0.2, 0.5, 1000, 4000)):
            for step in sorted({0, 1, start - 1, start, start + 1, (3 * start + end) // 4, (start + end) // 2, end - 1, end, end + 1, 10 * end}):
                if step >= 0:
                    warm.append("{%s, %s, %s, %d, %d, %d, %s}," % (cpp_bool(kind == "exponential"), param(m0), param(m1), start, end, step, out(warm_up(kind, m0, m1, start, end, step))))
    write("schedules.inc", "schedules, the first step being 0: SphereFace's lambda (base, gamma, power, minimum, step) and margin warm-up (exponential, from, to, start, end, step)",
          [("LambdaStep", "lambda_steps", lam), ("WarmUpStep", "warm_up_steps", warm)])
    return len(lam) + len(warm)


# ------------------------------------------------------------------------------------------------ published values
COMPARED = []


def near(value, quoted):
    """quoted is a decimal text: the value must agree to half a unit of its last digit (one unit where it was cut)."""
    COMPARED.append(quoted)
    digits = len(quoted.split("e")[0].split(".")[1]) if "." in quoted else 0
    assert abs(value - mpf(quoted)) <= mpf(10) ** -digits, (nstr(value, 20), quoted)


def published():
    """Constants that others quote: the literature's formulas, evaluated elsewhere."""
    exact_ones = 0
    arc = lambda rule: Margin(m2=.5, rule=rule)
    for c, raw, coef in ((.9, ".580847558329", "1.86747241787"), (.5, ".0235965852909", "1.15437902566"), (0, "-.479425538604", ".877582561890"),
                         (-.5, "-.853985976599", ".600786098121"), (-.9, "-.998801053074", "-.112307294086")):
        near(arc(NONE).value(mpf(repr(c))), raw), near(arc(NONE).slope(mpf(repr(c))), coef)
    c = mpf("-.9")
    near(arc(LEGACY).value(c), "-1.13971276930"), near(arc(CONTINUOUS).value(c), "-1.02241743811")
    near(arc(MONOTONE).value(c), "-1.00119894693"), near(arc(MONOTONE).slope(c), ".112307294086")
    for c, v, d in ((".9", "-.2312", "8.928"), (".5", "-1.5", "4"), ("0", "-3", "0"), ("-.5", "-4.5", "4")):
        psi = Margin(4)
        assert abs(psi.value(mpf(c)) - mpf(v)) < mpf(10) ** -40 and abs(psi.slope(mpf(c)) - mpf(d)) < mpf(10) ** -40
        exact_ones += 2
    for c, v, d in ((".9", ".530988568552", "1.56550935489"), (".5", ".0217402382625", "1.12595515999"), ("0", "-.495520206661", ".955336489126")):
        psi = Margin(1, mpf("0.3"), mpf("0.2"), rule=NONE)
        near(psi.value(mpf(c)), v), near(psi.slope(mpf(c)), d)
    # Polynomial forms of A-Softmax for every c of the grid.
    for c in BASE_COSINES:
        c = mpf(c)
        s0 = sign(c)
        s1 = sign(abs(c) - mpf(".5"))
        s2 = s0 * (1 + s1) - 2
        s3 = s0 * sign(2 * c * c - 1)
        s4 = 2 * s0 + s3 - 3
        for m, v in ((2, 2 * s0 * c * c - 1), (3, s1 * (4 * c ** 3 - 3 * c) + s2), (4, s3 * (8 * c ** 4 - 8 * c ** 2 + 1) + s4)):
            assert abs(Margin(m).value(c) - v) < mpf(10) ** -40, (m, c)
            exact_ones += 1
    # Jumps and values at the break and at pi (m = .5).
    theta_b = pi - mpf(".5")
    near(cos(theta_b) - mpf(".5") * sin(mpf(".5")), "-1.1173"), near(-1 - mpf(".5") * sin(mpf(".5")), "-1.2397")
    near(Margin(m2=.5, rule=CONTINUOUS).value(mpf(-1)), "-1.1224"), near(Margin(m2=.5).value(mpf(-1)), "-1.1224")
    near(Margin(m2=.5, rule=NONE).value(mpf(-1)), "-.8776"), near(cos(theta_b), "-.8776")
    assert Margin(m2=.5, rule=FALL).value(mpf(-1)) == -1
    for m, jump in ((".5", "-.117"), (".3", "-.044"), ("1", "-.382")):
        near(-(cos(mpf(m)) + mpf(m) * sin(mpf(m)) - 1), jump)
    for degrees, ratio in ((1, "28.3"), (5, "6.36"), (10, "3.60"), (30, "1.71"), (60, "1.15"), (90, ".878"), (120, ".60"), (150, ".047"), (160, "-.44"), (175, "-4.6")):
        near(Margin(m2=mpf(".5"), rule=NONE).slope(cos(mpf(degrees) * pi / 180)), ratio)
    # Wing and its relatives.
    near(mpf(10) - 10 * log(mpf(6)), "-7.917595"), near(wing(10, 2, mpf(10))[0], "17.918"), near(mpf(10) / 12, ".833")
    near(mpf(2) - 20 * log(mpf(5)), "-30.188758")
    near(adaptive_wing(mpf("2.1"), 14, 1, mpf(".5"), mpf(1), mpf(0))[0], "8.4959459")
    # Sigmoid focal, asymmetric loss (positive 1, negative 4, clip .05), smoothing, seesaw, cross-entropy, heatmap focal.
    logits = [5, -5, 0, 5, -5, 0]
    mean = lambda labels: sum(sigmoid_focal(2, mpf(".25"), x, t)[0] for x, t in zip(logits, labels)) / 6
    near(mean([1, 0, 1, 0, 1, 0]), ".8522014"), near(mean([1, 0, 0, 0, 1, 0]), ".8666420")

    def asymmetric(clip):
        total = mpf(0)
        for x, t in zip(logits, [1, 0, 1, 0, 1, 0]):
            p = 1 / (1 + exp(-mpf(x)))
            pt = p if t else min(1 - p + clip, mpf(1))
            total -= log(pt) * (1 - pt) ** (1 if t else 4)
        return total / 6
    near(asymmetric(mpf(".05")), "1.2694792"), near(asymmetric(mpf(0)), "1.7061941")
    lp0, lp1 = -log1p(exp(mpf(-2))), -2 - log1p(exp(mpf(-2)))
    near(-(mpf(".95") * lp0 + mpf(".05") * lp1), ".2269280")
    near(-(mpf("1.05") * lp0 + mpf(".05") * lp1) / mpf("1.1"), ".2178371")
    ce = lambda row, y: log(sum(exp(mpf(x) - max(row)) for x in row)) + max(row) - row[y]
    near((ce([-1000, 1000], 0) + ce([100, -100], 1)) / 2, "1100.0")
    near(ce([mpf(-100), 100 + log(exp(mpf(-20)))], 0), "180.0"), near(ce([mpf(-100), 100 + log(mpf(100))], 0) - log(mpf(100)), "200.0")
    heat = -75 * log(1 - mpf(".4")) * mpf(".4") ** 2 * (1 - mpf(".6")) ** 4
    near(heat, ".1569256"), near(heat * sum(range(75)) / 75, "5.8062484")
    slope = (mpf(".8") - mpf(".45")) / 100
    near(64 * slope * 110 ** 2 * 10 ** 2 / mpf(110 ** 2 - 10 ** 2), "22.586667")
    for classes, s in ((2, "0.0"), (3, ".98"), (10, "3.11"), (100, "6.50"), (10575, "13.10"), (85742, "16.06"),
                       (10, "3.107345"), (1000, "9.767626"), (93431, "16.185629"), (1000000, "19.538081")):
        near(adacos_fixed(classes), s)
    # AdaCos with three classes and every rest at -1 goes negative in the plain recursion: both published values.
    log_b = log(2 * exp(-adacos_fixed(3)))
    near(log_b, "-.29"), near(log_b / cos(pi / 4), "-.41")
    # Losses at the start, all cosines 0.
    start = lambda psi, s, classes: log1p((classes - 1) * exp(-s * psi))
    for classes, loss in ((2, "30.68"), (4, "31.78"), (10575, "39.95"), (85742, "42.04")):
        near(start(cos(pi / 2 + mpf(".5")), 64, classes), loss)
    near(start(mpf("-.35"), 30, 10575), "19.77")
    near(log1p(9 * exp(64 * (-1 - Margin(m2=.5, rule=NONE).value(mpf(-1))))), ".0036")  # all cosines -1: collapse
    return len(COMPARED) + exact_ones


# ---------------------------------------------------------------------------------------------------------- output
def write(name, what, arrays):
    path = os.path.join(HERE, name)
    with open(path, "w", encoding="ascii") as f:
        f.write("// %s.\n// Generated by generate.py (mpmath, %d digits, in the angle); do not edit. Types: golden.hpp.\n" % (what, mp.dps))
        f.write("#include \"golden.hpp\"\nnamespace golden {\n")
        for kind, array, lines in arrays:
            f.write("inline constexpr %s %s[] = {\n" % (kind, array))
            f.writelines(line + "\n" for line in lines)
            f.write("};\n")
        f.write("}  // namespace golden\n")


def main():
    print("published constants reproduced:", published())
    print("margins: %d cases, %d points" % write_margins())
    print("presets: %d points" % write_presets())
    print("rest rules: %d, objectives: %d points" % write_rest_and_objectives())
    print("point losses: %d points" % write_points())
    print("whole losses: %d cases, %d gradient entries" % write_whole())
    print("AdaCos: %d steps" % write_adacos())
    print("schedules: %d steps" % write_schedules())


if __name__ == "__main__":
    main()
