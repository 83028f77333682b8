"""Which cases a folder makes, and how pictures and DICOM travel to the page and back."""

import dataclasses
import os
import shutil
import time

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_files import OBLIQUE as OBLIQUE_ROWS
from dicom_files import write_series
from edge_artifacts import FLAT, Tensor, build_onnx, graded_scan, values_of, write_artifact
from review_phantoms import OBLIQUE, SHAPE, label_file, read_nifti, write_scans
from starlette.testclient import TestClient

from imaging.io.cases import check_case_name
from imaging.io.dicom.label import read_dicom_labels
from imaging.io.files import read
from imaging.recipe import Normalise
from medseg.errors import InputError
from review.segmenting import Segmenting, segment_case
from review.server.app import create_app
from review.service import open_service
from review.store.cases import all_cases
from review.volumes.opened import series_of
from review.volumes.page_grid import as_page, colour_bytes, off_page, on_page
from review.volumes.sources import find_sources


def open_segmented(folder, artifact):
    service = open_service(folder, [artifact], threads=1)
    for case in all_cases(service.database):
        segment_case(service, case)
    return service


@pytest.fixture(scope="module")
def flat_artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flat")
    quantization = build_onnx(folder / "flat.onnx", (1, 16, 24, 1))
    tensors = [
        Tensor(name, shape, "float32", *values)
        for name, shape, values in zip("xy", ((1, 16, 24, 1), (1, 16, 24, 3)), quantization, strict=True)
    ]
    recipe = dataclasses.replace(FLAT, normalise=Normalise("fixed", (0.0,), (50.0,)))
    content = (folder / "flat.onnx").read_bytes()
    return write_artifact(folder / "flat", content, tensors, recipe, False, "onnx-float32")


def test_scans_of_a_folder(tmp_path):
    write_scans(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    assert [source.name for source in find_sources(tmp_path, 1, 3)] == ["case_a", "case_b", "case_c"]


def test_dataset_folder_brings_its_labels(tmp_path, artifact):
    voxels = write_scans(tmp_path / "imagesTr", ["case_a", "case_b"])
    write_scans(tmp_path / "imagesTs", ["case_c"])
    labels = np.where(voxels["case_a"] > 2, 300, 0)
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "labelsTr" / "case_a.nii.gz").write_bytes(label_file(labels))
    service = open_segmented(tmp_path, artifact)
    states = {case.id: case.state for case in all_cases(service.database)}
    assert states == {"case_a": "accepted", "case_b": "segmented", "case_c": "segmented"}
    with TestClient(create_app(service)) as calls:
        assert np.array_equal(read_nifti(calls.get("/api/cases/case_a/label.nii").content)[0], labels)
        assert calls.get("/api/cases/case_a").json()["versions"][0]["kind"] == "reference"
    service.close()


def test_two_cases_of_one_name_are_told(tmp_path):
    write_scans(tmp_path / "imagesTr", ["case_a"])
    write_scans(tmp_path / "imagesTs", ["Case_A"])
    with pytest.raises(InputError, match="rename one"):
        find_sources(tmp_path, 1, 3)


def test_picture_and_its_label(tmp_path, flat_artifact):
    grey = np.rint(graded_scan((30, 44)) * 50).astype(np.uint8)
    (tmp_path / "scans").mkdir()
    cv2.imwrite(str(tmp_path / "scans" / "image.png"), grey)
    service = open_segmented(tmp_path / "scans", flat_artifact)
    with TestClient(create_app(service)) as calls:
        case = calls.get("/api/cases/image").json()
        assert case["shape"] == [44, 30, 1]
        voxels, affine = read_nifti(calls.get("/api/cases/image/volume.nii").content)
        assert np.array_equal(voxels[..., 0].T, grey)
        assert np.array_equal(np.diag(affine), [-1, -1, 1, 1])
        labels, _ = read_nifti(calls.get("/api/cases/image/label.nii").content)
        assert np.array_equal(labels[..., 0].T, values_of(graded_scan((30, 44))))
        labels = labels.copy()
        labels[5:9, 2:4] = 300
        saved = calls.put("/api/cases/image/label", content=label_file(labels, affine), headers={"If-Match": "1"})
        assert "warning" not in saved.json()
    final = cv2.imread(str(service.workspace.root / "final" / "image.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(final, labels[..., 0].T)
    service.close()


def test_colour_picture_is_rgb(tmp_path, flat_artifact):
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), colours[..., ::-1])
    image = nibabel.Nifti1Image.from_bytes(colour_bytes(read(tmp_path / "image.png")))
    shown = np.asarray(image.dataobj)
    assert image.header["datatype"] == 128
    assert np.array_equal(np.stack([shown[name][..., 0].T for name in "RGB"], axis=-1), colours)
    colours[0, 0] = 255
    cv2.imwrite(str(tmp_path / "deep.png"), colours[..., ::-1].astype(np.uint16) * 257)
    shown = np.asarray(nibabel.Nifti1Image.from_bytes(colour_bytes(read(tmp_path / "deep.png"))).dataobj)
    assert np.array_equal(np.stack([shown[name][..., 0].T for name in "RGB"], axis=-1), colours)


def test_flat_scan_that_lies_somewhere_keeps_its_axes(tmp_path):
    """A client's labels of such a scan, a volume of one slice in the scan's place, mark the same pixels on the page."""
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(0, 300, (9, 9)).astype(np.int16))
    image.SetSpacing((0.5, 0.5))
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nrrd"))
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image]), str(tmp_path / "label.nrrd"))
    scan = read(tmp_path / "scan.nrrd")
    page = as_page(read(tmp_path / "label.nrrd"), scan, "the label")
    assert np.array_equal(page.voxels, on_page(scan).voxels)
    assert np.array_equal(off_page(page, scan).voxels, scan.voxels)


def test_scan_that_was_exchanged_is_read_again(tmp_path, artifact):
    write_scans(tmp_path / "scans", ["case_a"])
    service = open_segmented(tmp_path / "scans", artifact)
    with TestClient(create_app(service)) as calls:
        first = calls.get("/api/cases/case_a/volume.nii")
        tag = {"If-None-Match": first.headers["etag"]}
        assert calls.get("/api/cases/case_a/volume.nii", headers=tag).status_code == 304
        replacement = graded_scan(SHAPE, 99)
        nibabel.save(nibabel.Nifti1Image(replacement, OBLIQUE), tmp_path / "scans" / "case_a.nii.gz")
        second = calls.get("/api/cases/case_a/volume.nii", headers=tag)
        assert np.allclose(read_nifti(second.content)[0], replacement)
    service.close()


def test_dicom_series_and_its_segmentation(tmp_path, artifact):
    planes = np.rint(graded_scan((12, 24, 20), 3)).astype(np.int16)
    place = tmp_path / "study"
    tags = {
        "Manufacturer": "ACME",
        "ManufacturerModelName": "M1",
        "InstitutionName": "Clinic",
        "orientation": OBLIQUE_ROWS,
    }
    write_series(place / "one", planes, StudyDate="20240101", **tags)
    write_series(place / "two", planes, StudyDate="20240301", **tags, name="second", SeriesNumber=2)
    service = open_segmented(place, artifact)
    cases = all_cases(service.database)
    assert [case.origin["site"] for case in cases] == ["Clinic"] * 2
    assert all("P1" not in case.id + str(case.origin) and "Doe" not in str(case.origin) for case in cases)
    with TestClient(create_app(service), headers={"X-User": "Anna"}) as calls:
        rows = {row["id"]: row for row in calls.get("/api/cases").json()["cases"]}
        first, second = sorted(rows)
        assert (rows[first]["previous"], rows[second]["previous"]) == (None, first)
        labels, affine = read_nifti(calls.get(f"/api/cases/{first}/label.nii").content)
        assert np.array_equal(labels, values_of(planes.transpose(2, 1, 0)))
        labels = labels.copy()
        labels[3:6, 4:9, 2:5] = 300
        saved = calls.put(f"/api/cases/{first}/label", content=label_file(labels, affine), headers={"If-Match": "1"})
        assert "warning" not in saved.json()
    path = service.workspace.root / "final" / f"{first}.dcm"
    header = pydicom.dcmread(path)
    assert header.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert header.PatientID == "P1"
    series = series_of((f"{place}#{pydicom.dcmread(place / 'one' / '001.dcm').SeriesInstanceUID}",), 3)
    kept = read_dicom_labels(path, series, {"core": 7, "rim": 300}).voxels[..., 0]
    assert np.array_equal(kept, labels)
    service.close()


def test_received_series_of_a_node_are_cases_once_they_are_complete(tmp_path):
    planes = np.zeros((4, 24, 20), np.int16)
    for name, age in (("old", 100), ("new", 0)):
        folder = write_series(tmp_path / "received" / name, planes, name=name)
        for file in folder.iterdir():
            os.utime(file, (time.time() - age,) * 2)
    old = pydicom.dcmread(tmp_path / "received" / "old" / "001.dcm").SeriesInstanceUID
    (source,) = find_sources(tmp_path, 1, 3)
    assert source.files == (f"{tmp_path}/received#{old}",)


def test_background_thread_segments_and_tells_what_failed(tmp_path, artifact):
    write_scans(tmp_path / "scans")
    content = (tmp_path / "scans" / "case_b.nii.gz").read_bytes()
    (tmp_path / "scans" / "case_b.nii.gz").write_bytes(content[: len(content) // 2])
    service = open_service(tmp_path / "scans", [artifact], threads=1)
    thread = Segmenting(service)
    while (case := thread._next()) is not None:
        thread._handle(case)
    states = {case.id: (case.state, case.error) for case in all_cases(service.database)}
    assert states["case_a"] == states["case_c"] == ("segmented", None)
    assert states["case_b"][0] == "failed"
    assert "truncated" in states["case_b"][1]
    service.close()


def test_known_case_keeps_its_results_when_the_server_starts_again(tmp_path, artifact):
    write_scans(tmp_path / "scans", ["case_a"])
    open_segmented(tmp_path / "scans", artifact).close()
    write_scans(tmp_path / "scans", ["case_z"])
    (tmp_path / "scans" / "case_a.nii.gz").unlink()
    again = open_service(tmp_path / "scans", [])
    assert [(case.id, case.state) for case in all_cases(again.database)] == [("case_z", "waiting")]
    nibabel.save(nibabel.Nifti1Image(graded_scan(SHAPE), OBLIQUE), tmp_path / "scans" / "case_a.nii.gz")
    again.look_for_cases()
    assert [(case.id, case.version) for case in all_cases(again.database)] == [("case_a", 1), ("case_z", None)]
    again.close()


def test_artifact_that_vanished_is_told(tmp_path, artifact):
    shutil.copytree(artifact, tmp_path / "mine")
    write_scans(tmp_path / "scans", ["case_a"])
    service = open_service(tmp_path / "scans", [tmp_path / "mine"], threads=1)
    shutil.rmtree(tmp_path / "mine")
    service._segmenters.clear()
    thread = Segmenting(service)
    thread._handle(thread._next())
    (case,) = all_cases(service.database)
    assert case.state == "failed"
    assert "cannot be opened" in case.error
    service.close()
    with pytest.raises(InputError, match="is gone"):
        open_service(tmp_path / "scans", [])


@pytest.mark.parametrize("modality", ["../../../E", "=1+1", "C T\\N", "CON:", ""])
def test_a_modality_of_a_stranger_names_a_case(tmp_path, modality):
    write_series(tmp_path / "one", np.zeros((3, 8, 8), np.uint16), Modality=modality)
    (source,) = find_sources(tmp_path, 1, 3)
    check_case_name(source.name)
    assert source.name.replace("-", "").isalnum()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".png"])
def test_a_flat_scan_lies_on_the_page_as_its_format_says(tmp_path, suffix):
    """The page shows the array of a format of volumes as it is stored, whatever the format, and a picture as rows."""
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)  # no axis is turned or flipped
    path = tmp_path / f"flat{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), stored)
    elif suffix == ".nrrd":
        image = SimpleITK.GetImageFromArray(stored.T)
        image.SetDirection((-1, 0, 0, -1))  # to the right and to the front, as an identity in NIfTI
        SimpleITK.WriteImage(image, str(path))
    else:
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), path)
    scan = read(path)
    page = on_page(scan)
    np.testing.assert_array_equal(page.voxels[:, :, 0, 0], stored.T if suffix == ".png" else stored)
    np.testing.assert_array_equal(np.diag(page.affine), [-1, -1, 1, 1] if suffix == ".png" else [1, 1, 1, 1])
    np.testing.assert_array_equal(off_page(page, scan).voxels, scan.voxels)
