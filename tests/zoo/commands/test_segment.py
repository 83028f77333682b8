"""``zoo segment`` and ``zoo annotate`` on the command line."""

import json

import nibabel
import numpy as np
import pytest
import SimpleITK
from dicom_files import OBLIQUE, write_series
from harness_methods import ball, dice

import imaging
from imaging.classical import METHODS, names
from zoo.cli import main
from zoo.commands.segment import markdown


@pytest.fixture
def files(tmp_path):
    scan, mask = ball(3)
    imaging.write(tmp_path / "scan.nii.gz", scan)
    points = [{"point": p, "label": 2} for p in ([0, 0, 6], [0, 6, 0], [6, 0, 0], [-6, 0, 0], [0, -6, 0], [0, 0, -6])]
    points += [{"point": p, "label": 0} for p in ([0, 0, 13], [0, 13, 0], [13, 0, 0], [-13, 0, 0], [0, -13, 0])]
    (tmp_path / "seeds.json").write_text(json.dumps({"space": "world", "strokes": points}))
    return tmp_path, mask


def run(capsys, *words):
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_methods_are_listed(capsys):
    status, out, _ = run(capsys, "segment", "--list")
    assert status == 0
    assert all(f"\n{name} " in f"\n{out}" for name in names())
    status, out, _ = run(capsys, "segment", "--list", "--json")
    assert [row["name"] for row in json.loads(out)] == list(names())
    status, out, _ = run(capsys, "segment", "otsu", "--list")
    assert "smooth_mm" in out
    assert "default 0.0" in out


def test_the_reference_page_holds_every_method_and_parameter():
    page = markdown(METHODS)
    for method in METHODS:
        section = page.split(f"\n## {method.name}\n")[1].split("\n## ")[0]
        assert all(f"| `{parameter.name}` |" in section for parameter in method.parameters)
        assert method.paper in section


def test_a_scan_is_segmented(files, capsys):
    folder, mask = files
    words = (
        "segment",
        "otsu",
        folder / "scan.nii.gz",
        "-o",
        folder / "out.nii.gz",
        "--param",
        "largest=true",
        "--json",
    )
    status, out, _ = run(capsys, *words)
    report = json.loads(out)
    labels = imaging.read_labels(folder / "out.nii.gz")
    assert status == 0
    assert report["parameters"]["largest"] is True
    assert report["scans"][0]["voxels"] == {"1": int(labels.voxels.sum())}
    assert dice(labels.voxels[..., 0] == 1, mask) > 0.95
    np.testing.assert_allclose(labels.affine, imaging.read(folder / "scan.nii.gz").affine)


def test_seeds_and_atlases(files, capsys):
    folder, mask = files
    scan, out = folder / "scan.nii.gz", folder / "out.nii.gz"
    assert run(capsys, "segment", "watershed", scan, "-o", out, "--seeds", folder / "seeds.json")[0] == 0
    assert dice(imaging.read_labels(out).voxels[..., 0] == 2, mask) > 0.9
    imaging.write(folder / "set" / "images" / "a.nii.gz", imaging.read(scan))
    affine = imaging.read(scan).affine
    imaging.write(folder / "set" / "labels" / "a.nii.gz", imaging.Scan(mask[..., None].astype(np.uint8), affine))
    words = ("segment", "atlas", scan, "-o", out, "--atlases", folder / "set", "--param", "iterations=2")
    assert run(capsys, *words)[0] == 0
    assert dice(imaging.read_labels(out).voxels[..., 0] == 1, mask) > 0.9


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["segment", "oztu", "SCAN", "-o", "OUT"], 2, "did you mean otsu"),
        (["segment", "otsu", "SCAN", "-o", "OUT", "--param", "k=2"], 2, "unknown parameter 'k'"),
        (["segment", "otsu", "SCAN", "-o", "OUT", "--param", "smooth_mm=-1"], 2, "a number from 0 to 100"),
        (["segment", "otsu", "SCAN", "-o", "OUT", "--param", "smooth_mm"], 2, "expected NAME=VALUE"),
        (["segment", "otsu", "SCAN"], 2, "-o: missing"),
        (["segment", "otsu", "SCAN", "-o", "OUT.png"], 2, "a 3D segmentation is written as .nii"),
        (["segment", "random-walker", "SCAN", "-o", "OUT"], 2, "needs seeds"),
        (["segment", "otsu", "SCAN", "-o", "OUT", "--seeds", "SEEDS"], 2, "takes no seeds"),
        (["segment", "grabcut", "SCAN", "-o", "OUT", "--seeds", "SEEDS"], 1, "a scan of 3 axes, expected 2"),
        (["segment", "otsu", "MISSING", "-o", "OUT"], 1, "no such file"),
        (["annotate", "SCAN", "-o", "OUT"], 2, "STROKES.json: missing"),
        (["annotate", "SCAN", "SEEDS", "-o", "SCAN"], 2, "would be overwritten"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--method", "network"], 2, "needs --artifact"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--fill", "SCAN"], 2, "takes no strokes"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--labels", "A", "--artifact", "B"], 2, "exclude each other"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--method", "watershed", "--unsure", "U"], 2, "no probabilities"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--unsure", "OUT"], 2, "is the file of the labels too"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--artifact", "none"], 1, "error: none: no such folder"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT", "--param", "beta=-1"], 2, "error: method random-walker: beta -1"),
        (["annotate", "SCAN", "SEEDS", "-o", "OUT.png"], 2, "expected a name ending in .nii"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(files, capsys, words, status, message):
    folder, _ = files
    names = {
        "SCAN": folder / "scan.nii.gz",
        "OUT": folder / "out.nii.gz",
        "OUT.png": folder / "out.png",
        "SEEDS": folder / "seeds.json",
        "MISSING": folder / "missing.nii.gz",
        "U": folder / "unsure.nii.gz",
    }
    before = {path: path.read_bytes() for path in folder.iterdir()}
    exit_status, _, err = run(capsys, *(names.get(word, word) for word in words))
    assert (exit_status, err.count("\n")) == (status, 1)
    assert message in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_strokes_become_labels(files, capsys):
    folder, mask = files
    scan, out, unsure = folder / "scan.nii.gz", folder / "out.nii.gz", folder / "unsure.nii.gz"
    status, text, _ = run(capsys, "annotate", scan, folder / "seeds.json", "-o", out, "--unsure", unsure)
    assert status == 0
    assert "out.nii.gz written" in text
    labels = imaging.read_labels(out).voxels[..., 0]
    assert dice(labels == 2, mask) > 0.75
    doubt = imaging.read(unsure).voxels
    assert 0 <= doubt.min() < doubt.max() <= 1
    assert run(capsys, "annotate", scan, folder / "seeds.json", "-o", folder / "b.nii.gz", "--labels", out)[0] == 0


def test_slices_are_filled(files, capsys):
    folder, mask = files
    scan = imaging.read(folder / "scan.nii.gz")
    sparse = np.where(np.arange(mask.shape[2]) % 3 == 0, mask, False).astype(np.uint8)
    imaging.write(folder / "sparse.nii.gz", imaging.Scan(sparse[..., None], scan.affine))
    words = ("annotate", folder / "scan.nii.gz", "-o", folder / "out.nii.gz", "--fill", folder / "sparse.nii.gz")
    assert run(capsys, *words)[0] == 0
    assert dice(imaging.read_labels(folder / "out.nii.gz").voxels[..., 0] == 1, mask) > 0.85


def test_a_single_dicom_slice_lies_where_itk_has_it(tmp_path, capsys):
    """Labels, and a filtered and cropped image, of a slice that is turned in the patient."""
    pixels = np.zeros((1, 20, 30), np.uint16)
    pixels[0, 3:6, 11:25] = 900
    scan = write_series(tmp_path / "series", pixels, orientation=OBLIQUE) / "001.dcm"
    image = SimpleITK.ReadImage(str(scan))
    (tmp_path / "seeds.json").write_text(
        json.dumps({"strokes": [{"point": [4, 15], "label": 1}, {"point": [15, 5], "label": 0}]})
    )
    out = tmp_path / "out.nii.gz"
    for words in (
        ("segment", "otsu", scan, "-o", out),
        ("annotate", scan, tmp_path / "seeds.json", "-o", out, "--method", "region-growing"),
        ("filter", "crop_body=margin_mm:0", scan, "-o", out),
        ("filter", "gaussian=sigma_mm:0.01", scan, "-o", out),
    ):
        assert run(capsys, *words)[0] == 0
        written = nibabel.load(out)
        marked = np.argwhere(np.asarray(written.dataobj) > 0)
        places = nibabel.affines.apply_affine(written.affine, marked[[0, -1]]) * (-1, -1, 1)
        expected = [image.TransformIndexToPhysicalPoint(index) for index in ((11, 3, 0), (24, 5, 0))]
        np.testing.assert_allclose(places, expected, atol=1e-4)
