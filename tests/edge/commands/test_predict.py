"""``zoo-edge predict``: results, tables, JSON."""

import json
import shutil

import cv2
import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of
from edge_scans import AFFINE, save

from edge.cli import main


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
    assert ["core", f"{core}", f"{core * 3 / 1000:.3f}"] in map(str.split, out.splitlines())
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
    assert ["core", f"{core}", f"{core * 0.1:.3f}"] in map(str.split, out.splitlines())


def change_values(artifact, **values):
    path = artifact / "manifest.json"
    data = json.loads(path.read_text())
    for label in data["labels"]:
        label["value"] = values.get(label["name"], label["value"])
    path.write_text(json.dumps(data))


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


def test_scan_smaller_than_the_patch_works(artifacts, here):
    save("small.nii.gz", graded_scan((3, 4, 5)))
    assert main(["predict", str(artifacts["folded-int8"]), "small.nii.gz", "-o", "seg.nii.gz"]) == 0
    np.testing.assert_array_equal(np.asarray(nibabel.load("seg.nii.gz").dataobj), values_of(graded_scan((3, 4, 5))))


def test_constant_scan_works(artifacts, here):
    save("flat.nii.gz", np.full((9, 9, 9), 3))
    assert main(["predict", str(artifacts["folded-int8"]), "flat.nii.gz", "-o", "seg.nii.gz"]) == 0
    assert (np.asarray(nibabel.load("seg.nii.gz").dataobj) == 300).all()
