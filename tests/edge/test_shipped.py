"""Artifacts by name: those that come with the package."""

import shutil

import pytest

import edge
from edge import shipped
from edge.cli import main
from medseg.errors import InputError, UsageError


@pytest.fixture
def known(artifacts, tmp_path, monkeypatch):
    """A folder that stands for the shipped sets, with one artifact; the tests work elsewhere."""
    shutil.copytree(artifacts["folded-int8"], tmp_path / "sets" / "unet3d-toy" / "tflite-int8")
    shutil.copytree(artifacts["flat-int8"], tmp_path / "sets" / ".unet-half.tmp" / "tflite-int8")
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "sets")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "sets" / "unet3d-toy" / "tflite-int8"


def test_a_name_stands_for_its_folder(known):
    assert shipped.names() == ["unet3d-toy"]
    assert shipped.locate("unet3d-toy") == known
    assert edge.load_manifest("unet3d-toy") == edge.load_manifest(known)
    assert edge.load("unet3d-toy", 1).manifest == edge.load_manifest(known)


def test_what_lies_here_goes_before_what_is_shipped(known, artifacts):
    shutil.copytree(artifacts["flat-int8"], "unet3d-toy")
    assert edge.load_manifest("unet3d-toy") == edge.load_manifest(artifacts["flat-int8"])


def test_an_unknown_name_tells_the_known_ones(known):
    with pytest.raises(InputError, match=r"unet3d-tov: no such folder.* shipped one: unet3d-toy"):
        edge.load("unet3d-tov")


def test_the_command_line_takes_names(known, capsys):
    assert main(["info", "unet3d-toy"]) == 0
    assert "zoo-edge predict unet3d-toy SCAN" in capsys.readouterr().out
    assert main(["bench", "unet3d-toy", "--rounds", "1", "--warmup", "1", "--threads", "1"]) == 0
    assert "unet3d-toy" in capsys.readouterr().out


def test_a_set_has_a_short_name_too(known):
    assert shipped.locate("toy") == known
    shutil.copytree(known.parent, known.parents[1] / "mobile_unet3d-toy")
    assert shipped.locate("unet3d-toy") == known
    with pytest.raises(UsageError, match="toy: several shipped artifacts are called so; give mobile_unet3d-toy or "):
        shipped.locate("toy")
    with pytest.raises(InputError, match="unet3d: no such folder"):
        edge.load("unet3d")


def test_flat_ones_take_rows_and_columns_as_the_pictures_that_they_were_trained_on():
    flat = [
        manifest.recipe.orientation
        for name in shipped.names()
        if (manifest := edge.load_manifest(name)).recipe.rank == 2
    ]
    assert flat
    assert set(flat) == {"picture"}
