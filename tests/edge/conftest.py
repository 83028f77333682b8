import pytest
from edge_artifacts import build_all, graded_scan
from edge_scans import save
from made_once import made_once


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """Name to artifact folder; tests must not change them."""
    folder = made_once(tmp_path_factory, "edge_artifacts", build_all)
    return {path.parent.name: path.parent for path in folder.glob("*/manifest.json")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with one good scan."""
    monkeypatch.chdir(tmp_path)
    save("scan.nii.gz", graded_scan((11, 18, 12)))
    return tmp_path
