"""``zoo-edge predict``: one clear line for every scan and output that cannot be, and the other scans go on."""

import json
import shutil

import cv2
import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of
from edge_scans import fails, save

from edge.cli import main


def test_predict_folder_goes_on_after_a_bad_scan(artifacts, here, capfd):
    (here / "in").mkdir()
    save("in/a.nii.gz", graded_scan((9, 9, 9), 1))
    save("in/b.nii.gz", np.full((9, 9, 9), np.nan))
    save("in/c.nii.gz", graded_scan((9, 9, 9), 3))
    assert main(["predict", str(artifacts["folded-int8"]), "in", "-o", "out"]) == 1
    out, err = capfd.readouterr()
    assert sorted(p.name for p in (here / "out").iterdir()) == ["a.nii.gz", "c.nii.gz"]
    assert "error: in/b.nii.gz: 729 of 729 voxels are NaN" in err
    assert err.endswith("zoo-edge: error: 1 of 3 scans could not be segmented, as said above\n")
    assert "in/a.nii.gz" in out
    assert "in/b.nii.gz" not in out
    np.testing.assert_array_equal(
        np.asarray(nibabel.load("out/c.nii.gz").dataobj), values_of(graded_scan((9, 9, 9), 3))
    )


@pytest.mark.parametrize(
    "error", [MemoryError("58 GiB"), KeyError("unit"), OSError(5, "Input/output"), RuntimeError("a\nb")]
)
def test_whatever_a_scan_raises_the_others_are_segmented(artifacts, here, capfd, monkeypatch, error):
    import edge.runtime.segmenter

    prepare = edge.runtime.segmenter.prepare

    def fails_for_large(scan, recipe):
        if scan.shape[0] == 10:
            raise error
        return prepare(scan, recipe)

    monkeypatch.setattr(edge.runtime.segmenter, "prepare", fails_for_large)
    (here / "in").mkdir()
    save("in/a.nii.gz", graded_scan((10, 9, 9), 1))
    save("in/b.nii.gz", graded_scan((9, 9, 9), 2))
    assert main(["predict", str(artifacts["folded-int8"]), "in", "-o", "out", "--json"]) == 1
    out, err = capfd.readouterr()
    assert err.count("\n") == 2
    assert err.startswith(f"error: in/a.nii.gz: {type(error).__name__}: ")
    first, second = json.loads(out)["scans"]
    assert first["error"].startswith("in/a.nii.gz: ")
    assert second["output"] == "out/b.nii.gz"
    assert [path.name for path in (here / "out").iterdir()] == ["b.nii.gz"]


def test_a_scan_in_another_unit_than_it_says_is_named_and_the_others_are_segmented(artifacts, here, capfd):
    artifact = shutil.copytree(artifacts["folded-int8"], here / "artifact")
    data = json.loads((artifact / "manifest.json").read_text())
    data["recipe"]["spacing"] = [1.0, 1.0, 1.0]
    (artifact / "manifest.json").write_text(json.dumps(data))
    (here / "in").mkdir()
    save("in/a.nii.gz", graded_scan((44, 52, 32), 1), np.diag([60, 60, 93.6, 1]))
    save("in/b.nii.gz", graded_scan((9, 9, 9), 2), np.eye(4))
    save("in/c.nii.gz", graded_scan((9, 9, 9), 2), np.diag([1e-6, 1e-6, 1e-6, 1]))
    assert main(["predict", str(artifact), "in", "-o", "out"]) == 1
    _, err = capfd.readouterr()
    lines = err.splitlines()
    assert len(lines) == 3
    assert "in/a.nii.gz: " in lines[0]
    assert "voxels of 60 x 60 x 93.6 mm resampled to (2640, 3120, 2996) of 1 x 1 x 1 mm (is the unit in its" in lines[0]
    assert "in/c.nii.gz: " in lines[1]
    assert "is the unit in the scan's header right?" in lines[1]
    assert [path.name for path in (here / "out").iterdir()] == ["b.nii.gz"]


def test_memory_that_one_scan_lacks_is_one_line(artifacts, here, capfd, monkeypatch):
    def lacks(*_):
        raise MemoryError("Unable to allocate 58.0 GiB")

    monkeypatch.setattr("edge.runtime.segmenter.prepare", lacks)
    arguments = ["predict", artifacts["folded-int8"], "scan.nii.gz", "-o", "seg.nii.gz"]
    fails(capfd, arguments, 1, "scan.nii.gz: MemoryError: Unable to allocate 58.0 GiB; crop the scan")


SCANS = {
    "missing": (None, "bad.nii.gz: no such file"),
    "truncated": (b"\x1f\x8b\x08\x00garbage", "bad.nii.gz: cannot be read as NIfTI"),
    "text": (b"hello", "bad.nii.gz: is not a NIfTI file"),
    "4D": (np.zeros((8, 8, 8, 5)), "bad.nii.gz: shape (8, 8, 8, 5) has 4 axes, expected 3 axes"),
    "2D": (np.zeros((8, 8)), "bad.nii.gz: shape (8, 8) has 2 spatial axes, folded-int8 takes 3"),
    "NaN": (np.full((8, 8, 8), np.nan), "bad.nii.gz: 512 of 512 voxels are NaN or infinite"),
    "infinite": (np.full((8, 8, 8), np.inf), "bad.nii.gz: 512 of 512 voxels are NaN or infinite"),
}


@pytest.mark.parametrize("kind", SCANS)
def test_bad_scans(artifacts, here, capfd, kind):
    content, message = SCANS[kind]
    if isinstance(content, bytes):
        (here / "bad.nii.gz").write_bytes(content)
    elif content is not None:
        save("bad.nii.gz", content)
    before = sorted(p.name for p in here.iterdir())
    fails(capfd, ["predict", artifacts["folded-int8"], "bad.nii.gz", "-o", "seg.nii.gz"], 1, message)
    assert sorted(p.name for p in here.iterdir()) == before


def test_wrong_number_of_channels(artifacts, here, capfd):
    two = "scan.nii.gz,scan.nii.gz"
    fails(capfd, ["predict", artifacts["folded-int8"], two, "-o", "s.nii"], 1, "expected 1 channels, got 2")
    cv2.imwrite("image.png", np.zeros((20, 20), np.uint8))
    fails(capfd, ["predict", artifacts["two-channels"], "image.png", "-o", "s.png"], 1, "expected 2 channels, got 1")


@pytest.mark.parametrize(
    ("out", "status", "message"),
    [
        ("scan.nii.gz", 2, "is an input and would be overwritten"),
        ("scan.nii.gz/seg.nii.gz", 1, "is not a folder"),
        ("seg.jpg", 2, "JPEG alters values"),
        ("seg.png", 2, "a 3D segmentation is written as .nii, .nii.gz, .nrrd"),
        ("seg.v2", 1, "its suffix is not one of"),
    ],
)
def test_bad_outputs(artifacts, here, capfd, out, status, message):
    fails(capfd, ["predict", artifacts["folded-int8"], "scan.nii.gz", "-o", out], status, message)
    assert [p.name for p in here.iterdir()] == ["scan.nii.gz"]


def test_a_full_disk_leaves_nothing(artifacts, here, capfd, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    fails(capfd, ["predict", artifacts["folded-int8"], "scan.nii.gz", "-o", "seg.nii.gz"], 1, "No space left")
    assert [p.name for p in here.iterdir()] == ["scan.nii.gz"]


@pytest.mark.parametrize(
    ("scan", "out"), [("scan.hdr", "scan.img"), ("scan.img", "scan.hdr"), ("scan.hdr", "scan.HDR")]
)
def test_neither_file_of_a_pair_is_written_over(artifacts, here, capfd, scan, out):
    nibabel.save(nibabel.Nifti1Pair(graded_scan((9, 9, 9)), np.eye(4)), "scan.hdr")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    status = main(["predict", str(artifacts["folded-int8"]), scan, "-o", out])
    assert all((here / name).read_bytes() == content for name, content in before.items())
    if out.islower():
        assert status == 2
        assert f"--out {out}: is an input and would be overwritten" in capfd.readouterr().err
