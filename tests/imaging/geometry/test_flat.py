"""Flat scans as rows and columns, against what SimpleITK makes of a picture and by world coordinates."""

import dataclasses

import nibabel
import numpy as np
import pytest
import SimpleITK

import imaging
from imaging.geometry.flat import PICTURE, as_picture
from imaging.recipe import Normalise, Recipe
from imaging.scan import Scan
from medseg.errors import InputError

# Rows and columns of an F, all of whose turned and mirrored copies differ.
LETTER = np.zeros((9, 7), np.uint8)
LETTER[1:8, 1] = LETTER[1, 1:6] = LETTER[4, 1:4] = 200
RECIPE = Recipe(2, orientation=PICTURE, normalise=Normalise("fixed", (0.0,), (1.0,)))

# Where columns and rows of the picture run to in the patient.
PLANES = {"axial": "LP", "coronal": "LI", "sagittal": "PI"}


def direction(code):
    return np.eye(3)["RAS".index(code)] if code in "RAS" else -np.eye(3)["LPI".index(code)]


def nifti(path, plane, mirrored=(False, False), columns_first=True, offset=(20.0, -7.0, 3.0), turn=None):
    """The letter as a NIfTI file that viewers show as it is."""
    columns, rows = (direction(code) for code in PLANES[plane])
    voxels, steps = LETTER, [rows * 0.5, columns * 2.0]
    for axis in range(2):
        if mirrored[axis]:
            voxels, steps[axis] = np.flip(voxels, axis), -steps[axis]
    if columns_first:
        voxels, steps = voxels.T, steps[::-1]
    axes = np.column_stack([*steps, np.cross(*steps)])
    axes = axes if turn is None else nibabel.eulerangles.euler2mat(*turn) @ axes
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels), nibabel.affines.from_matvec(axes, offset)), path)
    return path


@pytest.mark.parametrize("turn", [None, (0.3, 0.2, -0.25)])
@pytest.mark.parametrize("columns_first", [True, False])
@pytest.mark.parametrize("mirrored", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("plane", PLANES)
def test_a_nifti_is_prepared_as_the_picture_that_viewers_show(tmp_path, plane, mirrored, columns_first, turn):
    scan = imaging.read(nifti(tmp_path / "flat.nii", plane, mirrored, columns_first, turn=turn))
    prepared = imaging.prepare(scan, RECIPE)
    np.testing.assert_array_equal(prepared.voxels[..., 0], LETTER)
    np.testing.assert_allclose(prepared.spacing, (0.5, 2.0), atol=1e-6)
    scores = np.stack([np.zeros(LETTER.shape), LETTER - 100.0], axis=-1)
    np.testing.assert_array_equal(imaging.restore_classes(scores, prepared, scan), scan.voxels[..., 0] > 0)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_what_simpleitk_makes_of_a_picture_is_prepared_like_it(tmp_path, suffix):
    image = SimpleITK.GetImageFromArray(LETTER)
    SimpleITK.WriteImage(image, str(tmp_path / "flat.png"))
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "flat.png")), str(tmp_path / f"flat{suffix}"))
    picture, scan = (imaging.read(tmp_path / f"flat{end}") for end in (".png", suffix))
    assert scan.shape == picture.shape[::-1]
    np.testing.assert_array_equal(imaging.prepare(scan, RECIPE).voxels, imaging.prepare(picture, RECIPE).voxels)


def unknown(path):
    """Flat files whose headers hold nothing but voxel sizes, or an affine that no code gives a meaning."""
    image = nibabel.Nifti1Image(LETTER.T, np.diag([0.5, 0.5, 1, 1]))
    if path.name.startswith("codes"):
        image = nibabel.Nifti1Image(LETTER.T, None)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["codes.nii", "codes.hdr", "sizes.nii.gz"])
def test_what_does_not_say_how_it_lies_is_taken_where_all_training_files_were_so_alone(tmp_path, name):
    scan = imaging.read(unknown(tmp_path / name))
    with pytest.raises(InputError, match=r"shape \(7, 9\): its header does not say which way its axes run"):
        imaging.prepare(scan, RECIPE)
    stored = dataclasses.replace(RECIPE, orientation="stored")
    np.testing.assert_array_equal(imaging.prepare(scan, stored).voxels, scan.voxels)
    imaging.write(tmp_path / "flat.png", Scan(LETTER[..., None], np.eye(4)))
    for path in (tmp_path / "flat.png", nifti(tmp_path / "told.nii", "axial")):
        with pytest.raises(InputError, match="expected a header that does not say which way the axes run"):
            imaging.prepare(imaging.read(path), stored)
        before = imaging.prepare(imaging.read(path), dataclasses.replace(RECIPE, orientation=None))
        np.testing.assert_array_equal(before.voxels, imaging.read(path).voxels)


def test_volumes_and_arrays_stay_as_they_are():
    volume = Scan(np.zeros((3, 4, 5, 1)), np.diag([-1.0, -1, 1, 1]))
    assert as_picture(volume) is volume
    rows = Scan(LETTER[..., None], np.diag([0.5, 2.0, 1, 1]))
    for recipe in (RECIPE, dataclasses.replace(RECIPE, orientation="stored")):
        np.testing.assert_array_equal(imaging.prepare(rows, recipe).voxels[..., 0], LETTER)
