import pytest
from export_runs import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run on 3D scans; tests must not change it."""
    return write_run(tmp_path_factory.mktemp("balls"))
