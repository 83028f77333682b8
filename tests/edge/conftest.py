import pytest
from edge_artifacts import build_all


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """Name to artifact folder; tests must not change them."""
    return build_all(tmp_path_factory.mktemp("artifacts"))
