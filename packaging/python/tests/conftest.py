import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture
def batch(rng):
    """9 x 13 cosines away from the ends, where NumPy's arccos loses digits, and their labels."""
    return rng.uniform(-0.95, 0.95, (9, 13)), rng.integers(0, 13, 9)


def pytest_report_header(config):
    import losskit

    return f"losskit {losskit.__version__} ({losskit.isa()}) at {losskit.__path__[0]}, numpy {np.__version__}"
