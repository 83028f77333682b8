"""A dataset of DICOM series with SEG or RTSTRUCT is the same dataset as its NIfTI twin, to the last bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from dicom_files import uid, write_series

import imaging
from edge.dicom import dicom_bytes, dicom_objects
from edge.dicom.origin import origin
from imaging.io.dicom import find_series, read_series
from imaging.labels import Label
from imaging.recipe import Normalise, Recipe
from medseg.errors import InputError
from train.data.dataset import open_dataset
from train.input.cache import cached

LABELS = (Label("background", 0), Label("liver", 1), Label("spleen", 2))
RECIPE = Recipe(rank=3, channels=1, orientation="RAS", spacing=(1.0, 1.0, 2.0), normalise=Normalise("zscore"))


def pair(folder, number):
    """A case as DICOM with an object of labels, and what it holds: scan and labels."""
    chance = np.random.default_rng(number)
    voxels = chance.integers(0, 900, (5, 12, 14)).astype(np.uint16)
    values = np.zeros((5, 12, 14), np.uint8)
    values[1:4, 2:8, 3:9], values[2, 8:11, 9:13] = 1, 2
    tags = {"name": f"series{number}", "FrameOfReferenceUID": uid("frame", number)}
    series = find_series(write_series(folder, voxels, **tags))[0]
    scan = read_series(series)
    return series, scan, replace(scan, voxels=values.transpose(2, 1, 0)[..., None])


def twins(folder, kind, layout="{case}/{part}", labels=LABELS):
    """The dataset as DICOM and as NIfTI."""
    for number in range(3):
        case = f"patient{number}"
        series, scan, marked = pair(folder / "dicom" / layout.format(case=case, part="ct"), number)
        (made,) = dicom_objects(marked, series, origin("by hand", labels), (kind,))[kind]
        place = folder / "dicom" / layout.format(case=case, part="labels")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{case}.dcm").write_bytes(dicom_bytes(made))
        imaging.write(folder / "nifti" / "images" / f"{case}.nii.gz", scan)
        imaging.write(folder / "nifti" / "labels" / f"{case}.nii.gz", marked)
    names = {label.name: label.value for label in labels}
    (folder / "nifti" / "dataset.json").write_text(json.dumps({"labels": names}))
    return open_dataset(folder / "dicom"), open_dataset(folder / "nifti")


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
@pytest.mark.parametrize("layout", ["{case}/{part}", "{case}"])
def test_dicom_and_nifti_prepare_to_the_same_arrays(kind, layout, tmp_path):
    dicom, nifti = twins(tmp_path, kind, layout)
    assert dicom.labels == nifti.labels
    assert len(dicom.cases) == len(nifti.cases) == 3
    for series, volume in zip(dicom.cases, nifti.cases, strict=True):
        prepared = [imaging.prepare(imaging.read(list(case.images)), RECIPE) for case in (series, volume)]
        np.testing.assert_array_equal(prepared[0].voxels, prepared[1].voxels)
        marked = [imaging.reorient(imaging.read_labels(case.label), "RAS").voxels for case in (series, volume)]
        np.testing.assert_array_equal(*marked)
        kept = [cached(case, RECIPE, LABELS, tmp_path / "cache") for case in (series, volume)]
        for name in ("image", "label"):
            np.testing.assert_array_equal(*(getattr(each, name)() for each in kept))


def test_series_of_one_folder_are_told_apart(tmp_path):
    both = tmp_path / "flat"
    for number in range(2):
        series, _, marked = pair(tmp_path / f"apart{number}", number)
        (made,) = dicom_objects(marked, series, origin("by hand", LABELS), ("seg",))["seg"]
        both.mkdir(exist_ok=True)
        for file in (tmp_path / f"apart{number}").iterdir():
            (both / f"{number}-{file.name}").write_bytes(file.read_bytes())
        (both / f"seg{number}.dcm").write_bytes(dicom_bytes(made))
    dataset = open_dataset(both)
    assert [case.name for case in dataset.cases] == ["series-001", "series-002"]
    read = [imaging.read(list(case.images)).voxels for case in dataset.cases]
    assert not np.array_equal(*read)
    assert all(imaging.read_labels(case.label).shape == (14, 12, 5) for case in dataset.cases)


def test_dataset_json_gives_the_values(tmp_path):
    dicom, _ = twins(tmp_path, "seg")
    labels = {"background": 0, "spleen": 1}
    (dicom.folder / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": {"0": "CT"}}))
    chosen = open_dataset(dicom.folder)
    before, after = (imaging.read_labels(dataset.cases[0].label).voxels for dataset in (dicom, chosen))
    np.testing.assert_array_equal(after, before == 2)


def test_what_refers_to_nothing_is_named(tmp_path):
    series, _, marked = pair(tmp_path / "away", 0)
    pair(tmp_path / "data" / "ct", 1)
    (made,) = dicom_objects(marked, series, origin("by hand", LABELS), ("seg",))["seg"]
    (tmp_path / "data" / "seg.dcm").write_bytes(dicom_bytes(made))
    with pytest.raises(InputError, match=r"seg\.dcm: refers to a series that is not here"):
        open_dataset(tmp_path / "data")
    (tmp_path / "data" / "seg.dcm").unlink()
    with pytest.raises(InputError, match="holds 1 DICOM series and no SEG or RTSTRUCT"):
        open_dataset(tmp_path / "data")


@pytest.mark.parametrize(
    ("patients", "groups"),
    [(("A", "B", "A"), 2), (("A", "A", "A"), 3), (("", "", "B"), 3)],  # one for all is no name, nor is none
)
def test_series_of_one_patient_are_one_group(tmp_path, patients, groups):
    for number, (name, patient) in enumerate(zip(("oak", "elm", "ash"), patients, strict=True)):
        voxels = np.random.default_rng(number).integers(0, 900, (5, 12, 14)).astype(np.uint16)
        tags = {"name": f"series{number}", "FrameOfReferenceUID": uid("frame", number), "PatientID": patient}
        series = find_series(write_series(tmp_path / name / "ct", voxels, **tags))[0]
        scan = read_series(series)
        values = np.zeros(scan.voxels.shape, np.uint8)
        values[2:8, 2:8, 1:4], values[9:12, 2:8, 1:4] = 1, 2
        (made,) = dicom_objects(replace(scan, voxels=values), series, origin("by hand", LABELS), ("seg",))["seg"]
        (tmp_path / name / "labels.dcm").write_bytes(dicom_bytes(made))
    dataset = open_dataset(tmp_path)
    assert len({case.group for case in dataset.cases}) == groups
    assert ("equal DICOM patient" in dataset.grouping) == (groups == 2)
    assert all("A" not in case.group for case in dataset.cases)
    assert len({case.group for case in open_dataset(tmp_path, groups="none").cases}) == 3
