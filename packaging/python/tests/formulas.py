"""The papers' formulas in plain NumPy, double precision: what losskit is compared with. Each gives a value and a slope."""
import numpy as np


def angular(m1=1.0, m2=0.0, m3=0.0):
    """cos(m1 theta + m2) - m3, continued past pi as SphereFace does: (-1)^k cos(phi) - 2 k, k = floor(phi / pi)."""

    def psi(c):
        phi = m1 * np.arccos(c) + m2
        k = np.floor(phi / np.pi)
        sign = np.where(k % 2 == 0, 1.0, -1.0)
        return sign * np.cos(phi) - 2 * k - m3, sign * np.sin(phi) * m1 / np.sqrt((1 - c) * (1 + c))

    psi.threshold = lambda c: np.cos(m1 * np.arccos(c) + m2) - m3
    return psi


def plain_rest(c, threshold):
    return c, np.ones_like(c)


def mv_softmax(t, adaptive=True):
    def rest(c, threshold):
        hard = c > threshold[:, None]
        value = (1 + t) * c + t if adaptive else c + t
        return np.where(hard, value, c), np.where(hard, 1 + t if adaptive else 1.0, 1.0)

    return rest


def cross_entropy(log_p, y):
    return -log_p[np.arange(len(y)), y], np.exp(log_p) - np.eye(log_p.shape[1])[y]


def focal(gamma, alpha=1.0):
    def objective(log_p, y):
        rows = np.arange(len(y))
        l = log_p[rows, y]
        p = np.exp(l)
        by_log_p = -alpha * ((1 - p) ** gamma - gamma * (1 - p) ** (gamma - 1) * p * l)
        return -alpha * (1 - p) ** gamma * l, by_log_p[:, None] * (np.eye(log_p.shape[1])[y] - np.exp(log_p))

    return objective


def label_smoothing(eps):
    def objective(log_p, y):
        truth = (1 - eps) * np.eye(log_p.shape[1])[y] + eps / log_p.shape[1]
        return -(truth * log_p).sum(1), np.exp(log_p) - truth

    return objective


def margin_softmax(c, y, psi, scale, objective=cross_entropy, rest=plain_rest):
    """Losses of the rows, and d (sum of them) / d cosines."""
    rows = np.arange(len(y))
    target = c[rows, y]
    value, slope = psi(target)
    r, by_c = rest(c, psi.threshold(target))
    r, by_c = r.copy(), by_c.copy()
    r[rows, y], by_c[rows, y] = value, slope
    z = scale * r
    z = z - z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    losses, by_z = objective(log_p, y)
    return losses, by_z * scale * by_c


def wing(w, eps):
    def loss(d):
        a = np.abs(d)
        c = w - w * np.log1p(w / eps)
        return np.where(a < w, w * np.log1p(a / eps), a - c), np.sign(d) * np.where(a < w, w / (eps + a), 1.0)

    return loss


def adaptive_wing(alpha, omega, eps, theta):
    def loss(x, y):
        d = x - y
        a = np.abs(d)
        k = alpha - y
        ratio = theta / eps
        big_a = omega / (1 + ratio**k) * k * ratio ** (k - 1) / eps
        big_c = theta * big_a - omega * np.log1p(ratio**k)
        inside = a < theta
        safe = np.where(inside & (a > 0), a, theta)
        value = np.where(inside, np.where(a > 0, omega * np.log1p((safe / eps) ** k), 0), big_a * a - big_c)
        slope = np.where(inside, omega * k / eps * (safe / eps) ** (k - 1) / (1 + (safe / eps) ** k), big_a)
        return value, np.sign(d) * slope

    return loss
