"""``zoo-edge predict`` of DICOM series: a volume in, NIfTI, SEG and report out."""

import shutil

import cv2
import highdicom
import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from edge_artifacts import graded_scan, values_of
from node_parts import phantom, quick_artifact

import edge
import imaging
from edge.cli import main
from imaging.io.dicom import choose, find_series, read_dicom_labels, read_series


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return quick_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def predict(artifact, tmp_path):
    """A function of a command line's words."""
    return lambda scans, out, *words: main(["predict", str(artifact), str(scans), "-o", str(tmp_path / out), *words])


def test_every_kind_of_a_series(predict, artifact, tmp_path):
    scans = phantom(tmp_path / "scans")
    assert predict(scans, "out", "--write", "nifti,seg,sr") == 0
    series = choose(find_series(scans))
    imaging.write(tmp_path / "same.nii.gz", read_series(series))
    expected = edge.load(artifact).predict_file(tmp_path / "same.nii.gz").labels
    written = imaging.read_labels(tmp_path / "out" / "scans.nii.gz")
    np.testing.assert_array_equal(written.voxels, expected.voxels)
    np.testing.assert_allclose(written.affine, read_series(series).affine, atol=1e-5)
    back = read_dicom_labels(tmp_path / "out" / "scans-seg.dcm", series, {"core": 7, "rim": 300})
    np.testing.assert_array_equal(back.voxels, expected.voxels)
    report = highdicom.sr.srread(tmp_path / "out" / "scans-sr.dcm")
    assert len(report.content.get_volumetric_roi_measurement_groups()) == 2


def test_a_zip_to_one_object(predict, tmp_path):
    scans = phantom(tmp_path / "scans")
    shutil.make_archive(tmp_path / "scans", "zip", scans)
    assert predict(tmp_path / "scans.zip", "a.dcm") == 0
    assert predict(scans, "b.dcm") == 0
    first, second = (highdicom.seg.segread(tmp_path / name) for name in ("a.dcm", "b.dcm"))
    assert first.SOPInstanceUID == second.SOPInstanceUID


def test_several_series_are_listed(predict, tmp_path, capsys):
    study = tmp_path / "study"
    phantom(study / "a", seed=1)
    second_series = phantom(study / "b", seed=2, SeriesNumber=7)
    assert predict(study, "out.nii.gz") == 2
    said = capsys.readouterr().err
    assert "holds several series; choose one by --series NUMBER or UID" in said
    assert "series 7 MR" in said
    assert predict(study, "out.nii.gz", "--series", "2") == 0
    assert predict(second_series, "other.nii.gz") == 0
    first, second = (imaging.read_labels(tmp_path / name).voxels for name in ("out.nii.gz", "other.nii.gz"))
    np.testing.assert_array_equal(first, second)
    assert predict(study, "out.nii.gz", "--series", "9") == 2


def test_what_does_not_fit_is_told_in_a_line(predict, tmp_path, capsys):
    scans = phantom(tmp_path / "scans")
    gap = phantom(tmp_path / "gap", seed=1)
    (gap / "004.dcm").unlink()
    for place, words, match in (
        (scans, ("--write", "seg,dose"), "--write 'dose': expected nifti, seg, sr, rtstruct, capture"),
        (gap, (), "missing"),
        (tmp_path / "none", (), "no such file"),
    ):
        assert predict(place, "out", *words) in (1, 2)
        said = capsys.readouterr().err
        assert match in said
        assert len(said.splitlines()) == 1


def test_what_lies_beside_the_labels_of_a_slice_lies_as_they_do(artifacts, tmp_path):
    """And its overlay is that of the same pixels as a picture, which no square image tells from one on its side."""
    pixels = graded_scan((40, 40)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), pixels)
    scan = write_series(tmp_path / "series", pixels[None]) / "001.dcm"
    for given, out in ((scan, "slice.nii.gz"), (tmp_path / "image.png", "picture.png")):
        words = ["predict", str(artifacts["flat-int8"]), str(given), "-o", str(tmp_path / out)]
        assert main([*words, "--save", "overlay,entropy,instances,probabilities"]) == 0
    overlays = [(tmp_path / f"{stem}_overlay.png").read_bytes() for stem in ("slice", "picture")]
    assert overlays[0] == overlays[1]
    labels = nibabel.load(tmp_path / "slice.nii.gz")
    np.testing.assert_array_equal(np.asarray(labels.dataobj)[..., 0].T, values_of(pixels))
    for kind in ("entropy", "instances", "probabilities"):
        image = nibabel.load(tmp_path / f"slice_{kind}.nii.gz")
        assert image.shape[:3] == labels.shape
        np.testing.assert_array_equal(image.affine, labels.affine)
    numbers = np.asarray(nibabel.load(tmp_path / "slice_instances.nii.gz").dataobj)
    np.testing.assert_array_equal(numbers > 0, np.asarray(labels.dataobj) > 0)
