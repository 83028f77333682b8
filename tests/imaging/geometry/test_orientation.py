"""Orientation, against nibabel and by world coordinates."""

import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import Scan, UsageError, axis_codes, reorient

CODES = ["".join(c) for axes in itertools.permutations(["RL", "AP", "SI"]) for c in itertools.product(*axes)]


def random_affine(rng):
    matrix = nibabel.eulerangles.euler2mat(*rng.uniform(-np.pi, np.pi, 3)) @ np.diag(rng.uniform(0.3, 5, 3))
    return nibabel.affines.from_matvec(matrix, rng.uniform(-200, 200, 3))


def world(scan):
    index = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), axis=-1)
    return index @ scan.affine[:3, :3].T + scan.affine[:3, 3]


@pytest.mark.parametrize("codes", CODES)
def test_agrees_with_nibabel(codes):
    rng = np.random.default_rng(CODES.index(codes))
    data, affine = rng.random((3, 4, 5), np.float32), random_affine(rng)
    image = nibabel.Nifti1Image(data, affine)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(tuple(codes))
    )
    expected = image.as_reoriented(change)
    reoriented = reorient(Scan(data[..., None], affine), codes)
    np.testing.assert_array_equal(reoriented.voxels[..., 0], expected.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(reoriented.affine, expected.affine, atol=1e-9)
    assert axis_codes(reoriented.affine) == codes


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), codes=st.sampled_from(CODES))
def test_every_voxel_keeps_its_place_and_value(seed, codes):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 3))
    scan = Scan(np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1), random_affine(rng))
    turned = reorient(scan, codes)
    order = np.argsort(turned.voxels.ravel())
    np.testing.assert_allclose(world(turned).reshape(-1, 3)[order], world(scan).reshape(-1, 3), atol=1e-9)
    back = reorient(turned, axis_codes(scan.affine))
    np.testing.assert_array_equal(back.voxels, scan.voxels)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-9)


def test_no_copy():
    scan = Scan(np.zeros((3, 4, 5, 2), np.float32), np.diag([-1.0, -1, 1, 1]))
    assert np.shares_memory(reorient(scan, "RAS").voxels, scan.voxels)


@pytest.mark.parametrize("codes", ["RAR", "RA", "XYZ", "ras", "", "RASI"])
def test_codes_that_are_none(codes):
    with pytest.raises(UsageError, match="one each of R or L, A or P, S or I"):
        reorient(Scan(np.zeros((2, 2, 2, 1)), np.eye(4)), codes)


def test_two_axes_have_no_orientation():
    with pytest.raises(UsageError, match="expected 3 spatial axes"):
        reorient(Scan(np.zeros((2, 2, 1)), np.eye(4)), "RAS")
