"""The command line, in process: results, tables, JSON, and one clear line for every mistake."""

import json
import shutil

import cv2
import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of

from edge.cli import main

AFFINE = np.array([[-1.0, 0, 0, 20], [0, 2.0, 0, -9], [0, 0, 1.5, 3], [0, 0, 0, 1]])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with one good scan."""
    monkeypatch.chdir(tmp_path)
    save("scan.nii.gz", graded_scan((11, 18, 12)))
    return tmp_path


def save(path, voxels, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(np.asarray(voxels, np.float32), affine), path)


def fails(capfd, arguments, status, *parts):
    """Require one line on standard error that holds every part, nothing on standard output, and the exit status."""
    assert main([str(a) for a in arguments]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("zoo-edge: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_predict(artifacts, here, capfd):
    assert main(["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "new/seg.nii.gz"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    written = nibabel.load("new/seg.nii.gz")
    expected = values_of(graded_scan((11, 18, 12)))
    np.testing.assert_array_equal(np.asarray(written.dataobj), expected)
    np.testing.assert_array_equal(written.affine, AFFINE)
    assert written.get_data_dtype() == np.int16
    core = np.count_nonzero(expected == 7)
    assert f"core{core:13d}{core * 3 / 1000:12.3f}" in out
    assert "new/seg.nii.gz written" in out
    assert [p.name for p in (here / "new").iterdir()] == ["seg.nii.gz"]


@pytest.mark.parametrize("name", ["folded-uint8", "onnx-folded-uint8", "onnx-native-float"])
def test_predict_json(artifacts, here, capfd, name):
    assert main(["predict", str(artifacts[name]), "scan.nii.gz", "-o", "s.nii", "--json", "--threads", "1"]) == 0
    out, _ = capfd.readouterr()
    (report,) = json.loads(out)["scans"]
    rim = int(np.count_nonzero(values_of(graded_scan((11, 18, 12))) == 300))
    assert report["voxels"]["rim"] == rim
    assert report["volumes_ml"]["rim"] == pytest.approx(rim * 3 / 1000)
    assert report["output"] == "s.nii"
    assert 0 < report["seconds"] == pytest.approx(sum(report["stages"].values()))


def test_predict_image(artifacts, here, capfd):
    pixels = graded_scan((40, 50)).astype(np.uint8)
    cv2.imwrite("image.png", pixels)
    artifact = shutil.copytree(artifacts["flat-int8"], here / "flat")
    change_values(artifact, rim=9)
    assert main(["predict", str(artifact), "image.png", "-o", "seg.png"]) == 0
    expected = values_of(pixels)
    expected[expected == 300] = 9
    np.testing.assert_array_equal(cv2.imread("seg.png", cv2.IMREAD_UNCHANGED), expected)
    out, _ = capfd.readouterr()
    assert out.split("\n")[0].split() == ["label", "pixels"]  # a picture does not tell the size of a pixel


def test_predict_flat_nifti_has_areas(artifacts, here, capfd):
    nibabel.save(nibabel.Nifti1Image(graded_scan((40, 50)).astype(np.float32), np.diag([0.5, 0.2, 1, 1])), "flat.nii")
    words = ["predict", str(artifacts["flat-int8"]), "flat.nii", "-o", "seg.nii"]
    assert main(words) == 0
    out, _ = capfd.readouterr()
    assert out.split("\n")[0].split() == ["label", "pixels", "mm²"]
    assert main([*words, "--json"]) == 0
    (report,) = json.loads(capfd.readouterr().out)["scans"]
    core = np.count_nonzero(np.asarray(nibabel.load("seg.nii").dataobj) == 7)
    assert core > 0
    assert report["voxels"]["core"] == core
    assert report["areas_mm2"]["core"] == pytest.approx(core * 0.1)
    assert report["volumes_ml"] == {}
    assert f"core{core:13d}{core * 0.1:12.3f}" in out


def change_values(artifact, **values):
    path = artifact / "manifest.json"
    data = json.loads(path.read_text())
    for label in data["labels"]:
        label["value"] = values.get(label["name"], label["value"])
    path.write_text(json.dumps(data))


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


def test_the_result_lies_where_the_scan_lies_for_simpleitk(artifacts, here):
    import SimpleITK

    turned = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.2, 0, 0.1), [8, -5, 3]) @ AFFINE
    image = nibabel.Nifti1Image(graded_scan((11, 18, 12)), None)
    image.set_qform(AFFINE, 1)
    image.set_sform(turned, 2)
    nibabel.save(image, "scan.nii.gz")
    assert main(["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "out"]) == 0
    scan, result = (SimpleITK.ReadImage(name) for name in ("scan.nii.gz", "out/scan.nii.gz"))
    for index in ((0, 0, 0), (10, 17, 11), (5, 2, 9)):
        assert scan.TransformIndexToPhysicalPoint(index) == result.TransformIndexToPhysicalPoint(index)
    header = nibabel.load("out/scan.nii.gz").header
    assert (header["qform_code"], header["sform_code"]) == (1, 2)


def test_info(artifacts, capfd):
    assert main(["info", str(artifacts["folded-int8"])]) == 0
    out, _ = capfd.readouterr()
    lines = dict(line.split("  ", 1) for line in out.split("\n") if "  " in line)
    shown = {key.strip(): value.strip() for key, value in lines.items()}
    assert shown["labels"] == "background = 0, core = 7, rim = 300"
    assert shown["patch"] == "8 x 16 x 12, overlap 0.5"
    assert shown["scan"] == "3D, RAS, fixed"
    assert shown["source network"] == "closed form"
    assert "zoo-edge predict" in out
    assert not set("()[]{}") & set(out.replace("(matches)", ""))
    assert max(map(len, out.splitlines())) <= 120
    assert len(out.splitlines()) <= 20
    assert main(["info", str(artifacts["folded-int8"]), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads((artifacts["folded-int8"] / "manifest.json").read_text())


def test_bench(artifacts, capfd):
    folders = [str(artifacts["native-float"]), str(artifacts["folded-int8"])]
    assert main(["bench", *folders, "--rounds", "2", "--warmup", "1"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.split("\n")[1:3]] == folders
    assert out.splitlines()[-1].split()[0] in folders
    assert out.splitlines()[-1].endswith("is the quickest on this machine, by the median")
    assert main(["bench", *folders, "--rounds", "2", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert [row["name"] for row in report["artifacts"]] == folders
    assert report["threads"] == 2
    assert report["quickest"] == min(report["artifacts"], key=lambda row: row["median_ms"])["name"]


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


def test_scan_smaller_than_the_patch_works(artifacts, here):
    save("small.nii.gz", graded_scan((3, 4, 5)))
    assert main(["predict", str(artifacts["folded-int8"]), "small.nii.gz", "-o", "seg.nii.gz"]) == 0
    np.testing.assert_array_equal(np.asarray(nibabel.load("seg.nii.gz").dataobj), values_of(graded_scan((3, 4, 5))))


def test_constant_scan_works(artifacts, here):
    save("flat.nii.gz", np.full((9, 9, 9), 3))
    assert main(["predict", str(artifacts["folded-int8"]), "flat.nii.gz", "-o", "seg.nii.gz"]) == 0
    assert (np.asarray(nibabel.load("seg.nii.gz").dataobj) == 300).all()


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


@pytest.mark.parametrize("action", ["predict", "info", "bench"])
def test_bad_artifacts(artifacts, here, capfd, action):
    more = ["scan.nii.gz", "-o", "seg.nii.gz"] if action == "predict" else []
    fails(capfd, [action, "absent", *more], 1, "absent: no such folder")
    fails(capfd, [action, ".", *more], 1, ".: holds no manifest.json")
    altered = shutil.copytree(artifacts["folded-int8"], here / "altered")
    with open(altered / "model.tflite", "ab") as file:
        file.write(b"\0")
    fails(capfd, [action, "altered", *more], 1, "model.tflite: altered since it was exported")
    schema = json.loads((altered / "manifest.json").read_text()) | {"schema": 99}
    (altered / "manifest.json").write_text(json.dumps(schema))
    fails(capfd, [action, "altered", *more], 1, "manifest.json: manifest schema 99, expected 1 to ")
    assert not (here / "seg.nii.gz").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["segment"],
        ["predict", "artifact"],
        ["predict", "artifact", "scan.nii.gz"],
        ["predict", "artifact", "scan.nii.gz", "-o", "x.nii", "--threads", "0"],
        ["predict", "artifact", "scan.nii.gz", "-o", "x.nii", "--threads", "many"],
        ["bench", "artifact", "--rounds", "-3"],
    ],
)
def test_wrong_usage(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: zoo-edge" in capfd.readouterr().err


def test_version(capsys):
    from importlib.metadata import version

    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == version("medseg-zoo") + "\n"
