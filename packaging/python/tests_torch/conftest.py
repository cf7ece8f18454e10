import pytest

torch = pytest.importorskip("torch", minversion="2.10")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)
