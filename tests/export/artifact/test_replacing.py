"""Artifacts are written whole or not at all, and nothing that no export wrote is removed."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from export_runs import ball_network

import edge
from export.artifact import folder as folder_module
from export.artifact.folder import check_writable, export_run
from export.conversion import runtimes
from export.conversion.convert import convert, convert_checked
from export.errors import FidelityError, PrecisionError
from export.source.source import load_network
from medseg.errors import InputError


def quietly(line):
    """Takes the place of printing."""


def tree(folder):
    """Path to bytes of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    """The artifact folder of the run, verified; tests must not change it."""
    (folder,) = export_run(run, ["tflite-float32"], tmp_path_factory.mktemp("made"), tell=quietly)
    return folder


@pytest.fixture
def artifact(made, tmp_path):
    """A copy of it in an empty folder."""
    return shutil.copytree(made, tmp_path / "tflite-float32")


@pytest.fixture
def worse(monkeypatch):
    """What is converted is another, worse network."""
    network = ball_network(threshold=0.6)
    monkeypatch.setattr(folder_module, "convert_checked", lambda model, *args: convert_checked(network, *args))


@pytest.mark.usefixtures("worse")
def test_a_failed_verification_leaves_nothing(run, tmp_path):
    with pytest.raises(FidelityError, match=r"tflite-float32: verdict fail: mean Dice of ball falls from"):
        export_run(run, ["tflite-float32"], tmp_path / "out", tell=quietly)
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.usefixtures("artifact", "worse")
def test_an_artifact_survives_the_failure_of_its_replacement(run, tmp_path):
    before = tree(tmp_path)
    with pytest.raises(FidelityError):
        export_run(run, ["tflite-float32"], tmp_path, tell=quietly)
    assert tree(tmp_path) == before


def test_an_artifact_is_replaced_whole(run, artifact, tmp_path):
    manifest = json.loads((artifact / "manifest.json").read_text())
    (artifact / "stale.txt").write_text("of the old one")
    (artifact / "manifest.json").write_text(json.dumps(manifest | {"files": [*manifest["files"], "stale.txt"]}))
    export_run(run, ["tflite-float32"], tmp_path, patch=[8, 8, 4], verify=False, tell=quietly)
    assert edge.load_manifest(artifact).patch == (8, 8, 4)
    assert sorted(os.listdir(artifact)) == sorted(["manifest.json", *edge.load_manifest(artifact).files])
    assert not (artifact / "stale.txt").exists()
    assert os.listdir(tmp_path) == ["tflite-float32"]


def test_what_the_user_put_beside_an_artifact_is_not_removed(run, artifact, tmp_path):
    assert sorted(os.listdir(artifact)) == sorted(["manifest.json", *edge.load_manifest(artifact).files])
    (artifact / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"holds notes.txt, which no export wrote; move that away or give another"):
        export_run(run, ["tflite-float32"], tmp_path, tell=quietly)
    assert tree(tmp_path) == before
    manifest = json.loads((artifact / "manifest.json").read_text())
    (artifact / "manifest.json").write_text(json.dumps(manifest | {"schema": 1, "files": []}))
    for name in ("bom.json", "test_vector.npz"):  # which exports of the first schema did not write
        (artifact / name).unlink()
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        export_run(run, ["tflite-float32"], tmp_path, tell=quietly)
    (artifact / "notes.txt").unlink()
    export_run(run, ["tflite-float32"], tmp_path, patch=[8, 8, 4], verify=False, tell=quietly)
    assert edge.load_manifest(artifact).patch == (8, 8, 4)


def test_an_artifact_behind_a_link_is_replaced_where_it_lies(run, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "disk" / "tflite-float32")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tflite-float32").symlink_to(folder)
    export_run(run, ["tflite-float32"], tmp_path / "out", patch=[8, 8, 4], verify=False, tell=quietly)
    assert (tmp_path / "out" / "tflite-float32").is_symlink()
    assert edge.load_manifest(folder).patch == (8, 8, 4)
    assert os.listdir(tmp_path / "disk") == ["tflite-float32"]


def test_a_full_disk_leaves_nothing(run, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        export_run(run, ["tflite-float32"], tmp_path, tell=quietly)
    assert os.listdir(tmp_path) == []


def test_a_file_or_a_foreign_folder_in_the_way(run, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("mine")
    with pytest.raises(InputError, match=f"{blocked}: cannot be written .*choose another --out"):
        export_run(run, ["tflite-float32"], blocked, tell=quietly)
    with pytest.raises(InputError, match="cannot be written"):
        export_run(run, ["tflite-float32"], blocked / "deeper", tell=quietly)
    foreign = tmp_path / "out" / "tflite-float32"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is no artifact folder; give another --out"):
        export_run(run, ["tflite-float32"], tmp_path / "out", verify=False, tell=quietly)
    assert tree(tmp_path) == {"file": b"mine", "out/tflite-float32/thesis.txt": b"mine"}


def test_a_quantization_that_stays_float_is_refused(run, tmp_path, monkeypatch):
    converted = convert(load_network(run / "model.keras"), "tflite-float32", (8, 8, 8))
    monkeypatch.setitem(runtimes.BY_RUNTIME, "tflite", lambda *arguments: converted)
    with pytest.raises(PrecisionError, match=r"expected int8, got .*mean.* \(CONV_2D, float32\)"):
        export_run(run, ["tflite-int8"], tmp_path, tell=quietly)
    assert os.listdir(tmp_path) == []


def test_checking_a_place_leaves_nothing_there(tmp_path):
    check_writable(tmp_path / "new" / "deeper")
    assert not list(tmp_path.iterdir())
