"""Volumes slice by slice: their place, their neighbours, and tiles of each as of an image of its own."""

import math

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from imaging import Scan, UsageError
from imaging.geometry.orientation import axis_codes
from imaging.recipe import Normalise, Recipe, prepare
from imaging.restoring import restore, restore_classes
from imaging.slices import ORIENTATIONS, images, slice_box, slice_stack
from imaging.tiling import predict_slabs, predict_tiled

PLAIN = Normalise("fixed", (0.0,), (1.0,))
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([-0.8, 1.2, 7.5]), [-31.5, 12.25, 7.0]
)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@given(depth=st.integers(1, 6), slices=st.sampled_from([1, 3, 5, 7]), channels=st.integers(1, 2))
def test_neighbours_are_those_of_a_scan_padded_with_its_ends(depth, slices, channels):
    voxels = noise(depth, 3, 4, channels)
    reach = slices // 2
    padded = np.pad(voxels, ((reach, reach), (0, 0), (0, 0), (0, 0)), mode="edge")
    for index, image in enumerate(images(voxels, slices)):
        expected = np.moveaxis(padded[index : index + slices], 0, 2).reshape(3, 4, slices * channels)
        np.testing.assert_array_equal(image, expected)
        np.testing.assert_array_equal(slice_stack(voxels, index, slices), expected)
    assert index == depth - 1


def test_a_scan_without_slices_is_seen_whole():
    voxels = noise(2, 3, 4, 1)
    assert [image is voxels for image in images(voxels, 0)] == [True]
    assert (slice_box((8, 9), 3), slice_box((4, 8, 9), 0)) == ((1, 8, 9), (4, 8, 9))


@pytest.mark.parametrize("across", "RAS")
def test_slices_come_first_and_keep_their_distance_and_place(across):
    recipe = Recipe(3, orientation=ORIENTATIONS[across], spacing=(5.0, 0.6, 0.7), normalise=PLAIN, slices=1)
    scan = Scan(noise(9, 11, 4, 1), OBLIQUE)
    prepared = prepare(scan, recipe)
    codes = axis_codes(prepared.affine)
    assert codes[0] == across
    assert "RAS".replace(across, "") == codes[1:]
    axis = axis_codes(OBLIQUE).translate(str.maketrans("LPI", "RAS")).index(across)
    assert prepared.shape[0] == scan.shape[axis]
    np.testing.assert_allclose(prepared.spacing, (scan.spacing[axis], 0.6, 0.7), rtol=1e-6)
    # Every slice holds what lies at its place: SimpleITK interpolates the source there, in the same plane.
    fine = prepare(scan, Recipe(3, orientation=recipe.orientation, normalise=PLAIN, slices=1))
    image = SimpleITK.GetImageFromArray(fine.voxels[..., 0].transpose(2, 1, 0))
    image.SetSpacing(fine.spacing)
    size = prepared.shape
    offset = np.linalg.inv(fine.affine) @ prepared.affine[:, 3]
    grid = SimpleITK.Image(*size, SimpleITK.sitkFloat32)
    grid.SetSpacing(prepared.spacing)
    grid.SetOrigin([float(o * s) for o, s in zip(offset[:3], fine.spacing, strict=True)])
    resampled = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, grid)).transpose(2, 1, 0)
    # SimpleITK has nothing to say of the outer half of an edge voxel.
    edges = [math.ceil(f / p / 2) + 1 for f, p in zip(fine.spacing, prepared.spacing, strict=True)]
    inner = (slice(None), *(slice(edge, -edge) for edge in edges[1:]))
    np.testing.assert_allclose(prepared.voxels[..., 0][inner], resampled[inner], atol=2e-5)


def test_the_way_back_is_exact():
    recipe = Recipe(3, orientation="SRA", spacing=(5.0, 0.4, 0.6), normalise=PLAIN, slices=1)
    source = Scan((np.arange(4)[None, None, :] * np.ones((9, 11, 1)))[..., None].astype(np.float32), OBLIQUE)
    prepared = prepare(source, recipe)
    for index, image in enumerate(prepared.voxels):
        assert np.allclose(image, image.flat[0]), index  # no slice is mixed with another
    np.testing.assert_allclose(restore(prepared.voxels, prepared, source)[..., 0], source.voxels[..., 0], atol=1e-5)
    scores = np.concatenate([1 - abs(prepared.voxels - value) for value in range(4)], axis=-1)
    np.testing.assert_array_equal(restore_classes(scores, prepared, source), source.voxels[..., 0])


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("shape", [(5, 20, 30), (1, 20, 30), (3, 6, 40)])
def test_slabs_are_slices_tiled_as_images_of_their_own(slices, shape):
    voxels, patch, calls = noise(*shape, 2), (8, 12), []

    def predict(image):
        assert image.shape == (*patch, 2 * slices)
        weights = np.arange(1, 2 * slices + 1, dtype=np.float32)
        return np.stack([(image * weights).sum(-1), image[..., 0] + np.arange(12) / 7], axis=-1)

    whole = predict_tiled(voxels, patch, 0.5, predict, lambda done, count: calls.append((done, count)), slices)
    assert whole.shape == (*shape, 2)
    assert [done for done, _ in calls] == list(range(1, len(calls) + 1))
    assert {count for _, count in calls} == {len(calls)}
    for index in range(shape[0]):
        alone = predict_tiled(slice_stack(voxels, index, slices), patch, 0.5, predict)
        np.testing.assert_array_equal(whole[index], alone)
    starts = [start for start, _ in predict_slabs(voxels, patch, 0.5, predict, slices=slices)]
    assert starts == list(range(shape[0]))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(2, slices=1), "slices 1: expected 0 for scans of rank 2"),
        (Recipe(3, slices=2), "slices 2: expected an odd number from 1 to 31"),
        (Recipe(3, slices=-1), "slices -1: expected an odd number"),
        (Recipe(3, slices=33), "slices 33: expected an odd number"),
        (Recipe(3, slices=1, size=(8, 8, 8)), "slices: expected a spacing rather than a size"),
        (Recipe(3, channels=1000, slices=3), "slices 3 of 1000 channels: expected at most 1024"),
    ],
)
def test_slices_that_cannot_be(recipe, message):
    with pytest.raises(UsageError, match=message):
        prepare(Scan(noise(4, 4, 4, recipe.channels), np.eye(4)), recipe)
