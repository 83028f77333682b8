"""Resampling and sampling onto another grid: geometry by world coordinates, values against nibabel and SciPy."""

import nibabel
import nibabel.processing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imaging import Scan, UsageError, onto, reorient, resample
from imaging.geometry.affine import axis_map, index_map, moved
from imaging.geometry.resampling import thick_axis


def maps_exactly(affine, like):
    """Whether index operations are enough: the grids differ by flips, permutations and whole voxels."""
    aligned = axis_map(*index_map(affine, like.affine, like.rank), like.shape)
    return aligned is not None and aligned.exact


def oblique(rng):
    matrix = nibabel.eulerangles.euler2mat(*rng.uniform(-0.6, 0.6, 3)) @ np.diag(rng.uniform(0.5, 3, 3))
    return nibabel.affines.from_matvec(matrix, rng.uniform(-50, 50, 3))


def world(shape, affine):
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ affine[: len(shape), : len(shape)].T + affine[: len(shape), 3]


def field(shape, affine):
    """A function that is linear in the world, which linear interpolation reproduces exactly."""
    return (world(shape, affine) @ np.arange(1, len(shape) + 1) + 5).astype(np.float32)[..., None]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 2.2, 1.1), (4.0, 0.6, 9.0)])
@pytest.mark.parametrize("seed", range(3))
def test_spacing_keeps_world_places(spacing, seed):
    rng = np.random.default_rng(seed)
    affine = oblique(rng)
    scan = Scan(field((12, 13, 14), affine), affine)
    new = resample(scan, spacing=spacing)
    np.testing.assert_allclose(new.spacing, spacing, rtol=1e-9)
    # the same centre, and no source voxel left uncovered
    middle = affine @ [*(np.array(scan.shape) - 1) / 2, 1]
    np.testing.assert_allclose(new.affine @ [*(np.array(new.shape) - 1) / 2, 1], middle, atol=1e-9)
    assert all(
        n * s >= m * t * (1 - 1e-3) - 0.01 * s
        for n, s, m, t in zip(new.shape, spacing, scan.shape, scan.spacing, strict=True)
    )
    # away from the repeated border the linear field comes back
    inner = tuple(
        slice(k, n - k)
        for n, k in zip(
            new.shape, (int(np.ceil(t / s)) + 1 for s, t in zip(spacing, scan.spacing, strict=True)), strict=True
        )
    )
    resampled, expected = new.voxels[inner], field(new.shape, new.affine)[inner]
    np.testing.assert_allclose(resampled, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [(7, 9, 30), (12, 26, 7), (1, 1, 1)])
def test_size_keeps_the_extent(size):
    affine = oblique(np.random.default_rng(0))
    scan = Scan(field((12, 13, 14), affine), affine)
    new = resample(scan, size=size)
    assert new.shape == size
    for corner in np.ndindex(2, 2, 2):  # outer corners of the outermost voxels
        before = affine @ [*(np.array(corner) * scan.shape - 0.5), 1]
        np.testing.assert_allclose(new.affine @ [*(np.array(corner) * size - 0.5), 1], before, atol=1e-9)


def test_unchanged_spacing_is_not_touched():
    scan = Scan(np.random.default_rng(0).random((4, 5, 6, 1)), np.diag([1.0004, 1, 2, 1]))
    assert resample(scan, spacing=(1, 1, 2)) is scan
    assert resample(scan, size=(4, 5, 6)) is scan
    new = resample(scan, spacing=(1, 1, 1))
    assert new.shape == (4, 5, 12)
    assert new.spacing == pytest.approx((1.0004, 1, 1))


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"spacing": (1, 1), "size": (2, 2)},
        {"spacing": (1, 1, 1)},
        {"spacing": (0, 1)},
        {"spacing": (np.nan, 1)},
        {"size": (2.5, 2)},
        {"size": (0, 2)},
    ],
)
def test_wrong_arguments(grid):
    with pytest.raises(UsageError, match="resample"):
        resample(Scan(np.zeros((4, 4, 1)), np.eye(4)), **grid)


def test_labels_keep_their_values_and_centre_of_mass():
    labels = np.zeros((24, 26, 28, 1), np.int16)
    labels[4:14, 6:18, 8:20] = 7
    labels[14:18, 6:18, 8:20] = 300
    scan = Scan(labels, np.eye(4))
    for spacing in [(2, 2, 2), (0.6, 0.6, 0.6), (1.5, 3, 1), (1.7, 0.9, 2.3)]:
        new = resample(scan, spacing=spacing, is_label=True)
        assert new.voxels.dtype == np.int16
        assert set(np.unique(new.voxels)) == {0, 7, 300}
        for value in (7, 300):
            before = world(scan.shape, scan.affine)[labels[..., 0] == value].mean(axis=0)
            after = world(new.shape, new.affine)[new.voxels[..., 0] == value].mean(axis=0)
            np.testing.assert_allclose(after, before, atol=0.35 * max(spacing))


def test_label_majority_is_one_hot_interpolation():
    rng = np.random.default_rng(0)
    labels = Scan(rng.integers(0, 4, (15, 16, 1)), np.eye(4))
    new = resample(labels, size=(7, 6), is_label=True)
    hot = resample(Scan((labels.voxels == np.arange(4)).astype(np.float32), np.eye(4)), size=(7, 6)).voxels
    np.testing.assert_array_equal(new.voxels[..., 0], hot.argmax(axis=-1))


def test_halving_labels_does_not_shift_them():
    disc = ((np.indices((64, 64)) - 31.5) ** 2).sum(axis=0) < 20**2
    new = resample(Scan(disc[..., None].astype(np.uint8), np.eye(4)), size=(32, 32), is_label=True).voxels[..., 0]
    np.testing.assert_array_equal(new, new[::-1, ::-1])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_onto_is_exact_for_flips_permutations_and_whole_shifts(seed):
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(2, 4))
    shape = tuple(rng.integers(1, 6, rank))
    affine = oblique(rng) if rank == 3 else np.diag([*rng.uniform(0.5, 2, 2), 1, 1])
    array = rng.integers(1, 1000, (*shape, 2)).astype(np.int32)
    order = rng.permutation(rank)
    signs = rng.choice([-1, 1], rank)
    local = np.eye(4)
    local[:rank, :rank] = np.eye(rank)[:, order] * signs
    local[:rank, 3] = rng.integers(-3, 7, rank)
    like = Scan(np.zeros((*rng.integers(1, 8, rank), 1)), affine @ local)
    resampled = onto(array, affine, like, fill=(-1, -2))
    assert resampled.dtype == np.int32
    assert maps_exactly(affine, like)
    for index in np.ndindex(*like.shape):
        source = local[:rank, :rank] @ index + local[:rank, 3]
        inside = np.all((source >= 0) & (source < shape))
        expected = array[tuple(source.astype(int))] if inside else (-1, -2)
        np.testing.assert_array_equal(resampled[index], expected)


@pytest.mark.parametrize("seed", range(5))
def test_onto_agrees_with_nibabel_on_oblique_grids(seed):
    rng = np.random.default_rng(seed)
    affine = oblique(rng)
    data = rng.random((9, 10, 11), np.float32)
    like = Scan(
        np.zeros((8, 7, 9, 1), np.float32),
        moved(affine, (1, 1, 1))
        @ nibabel.affines.from_matvec(
            nibabel.eulerangles.euler2mat(*rng.uniform(-0.1, 0.1, 3)), rng.uniform(-0.3, 0.3, 3)
        ),
    )
    expected = nibabel.processing.resample_from_to(
        nibabel.Nifti1Image(data, affine), (like.shape, like.affine), order=1, mode="nearest"
    ).get_fdata()
    resampled = onto(np.stack([data, 2 * data], axis=-1), affine, like, fill=-5)
    assert resampled.dtype == np.float32
    assert not maps_exactly(affine, like)
    inside = resampled[..., 0] != -5
    assert inside.mean() > 0.9
    np.testing.assert_allclose(resampled[..., 0][inside], expected[inside], atol=1e-4)
    np.testing.assert_allclose(resampled[..., 1][inside], 2 * expected[inside], atol=1e-4)


def test_onto_oblique_labels_are_nearest_and_filled_outside():
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 5, (9, 10, 1)).astype(np.uint8)
    c, s = np.cos(0.5), np.sin(0.5)
    turn = np.array([[c, -s, 0, 2], [s, c, 0, -3], [0, 0, 1, 0], [0, 0, 0, 1]])
    like = Scan(np.zeros((12, 12, 1)), turn)
    resampled = onto(labels, np.eye(4), like, fill=0, is_label=True)
    assert resampled.dtype == np.uint8
    place = world((12, 12), turn)
    nearest = np.rint(place).astype(int)
    inside = ((place > -0.5) & (place < np.array([9, 10]) - 0.5)).all(axis=-1)
    expected = np.where(inside, labels[tuple(np.clip(nearest, 0, (8, 9)).transpose(2, 0, 1))][..., 0], 0)
    np.testing.assert_array_equal(resampled[..., 0], expected)


def test_onto_scaled_flipped_and_permuted_keeps_a_linear_field():
    rng = np.random.default_rng(3)
    affine = oblique(rng)
    array = field((10, 11, 12), affine)
    local = np.array([[0, -0.5, 0, 7.2], [0, 0, 0.4, 2.1], [1.5, 0, 0, 1.3], [0, 0, 0, 1]])
    like = Scan(np.zeros((6, 9, 14, 1)), affine @ local)
    np.testing.assert_allclose(onto(array, affine, like), field(like.shape, like.affine), rtol=1e-5, atol=1e-4)


def test_edge_voxels_reach_half_a_voxel():
    array = np.float32([1, 2]).reshape(2, 1, 1)
    like = Scan(np.zeros((8, 1, 1)), moved(np.eye(4), (-0.75, 0), (0.5, 1)))
    resampled = onto(array, np.eye(4), like, fill=9)[:, 0, 0]
    np.testing.assert_allclose(resampled, [9, 1, 1.25, 1.75, 2, 9, 9, 9])


def test_grids_that_do_not_meet_are_all_fill():
    for step in (1, 0.5):
        like = Scan(np.zeros((3, 4, 1)), moved(np.eye(4), (100, 0), (step, step)))
        resampled = onto(np.ones((3, 4, 2), np.float32), np.eye(4), like, fill=(7, 8))
        np.testing.assert_array_equal(resampled, np.broadcast_to(np.float32([7, 8]), (3, 4, 2)))


def test_reorient_and_back_through_onto():
    rng = np.random.default_rng(0)
    scan = Scan(rng.random((4, 5, 6, 1), np.float32), oblique(rng))
    turned = reorient(scan, "PIL")
    np.testing.assert_array_equal(onto(turned.voxels, turned.affine, scan), scan.voxels)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 6.0), (5.0, 1.0, 1.0)])
def test_cubic_is_the_spline_of_scipy_with_thick_slices_apart(spacing):
    """As nnU-Net: splines of order 3 by ``scipy.ndimage.zoom``, slices of a thick axis taken, not mixed."""
    source = np.random.default_rng(0).normal(size=(8, 12, 10)).astype(np.float32)
    scan = Scan(source[..., None], np.diag([*spacing, 1.0]))
    shape = (10, 9, 12)
    resampled = resample(scan, size=shape, interpolation="cubic").voxels[..., 0]
    factors = np.array(shape) / source.shape
    thick = int(np.argmax(spacing)) if max(spacing) > 3 else None
    if thick is None:
        expected = ndimage.zoom(source, factors, order=3, mode="nearest", grid_mode=True)
    else:
        count = shape[thick]
        picked = np.floor((np.arange(count) + 0.5) / factors[thick]).astype(int)
        source = np.take(source, picked, axis=thick)
        plane = np.delete(factors, thick)
        slices = [
            ndimage.zoom(part, plane, order=3, mode="nearest", grid_mode=True) for part in np.moveaxis(source, thick, 0)
        ]
        expected = np.moveaxis(np.stack(slices), 0, thick)
    np.testing.assert_allclose(resampled, expected, atol=1e-4)
    linear = resample(scan, size=shape)
    np.testing.assert_array_equal(resample(scan, size=shape, interpolation="cubic").affine, linear.affine)


def test_which_axis_is_thick():
    assert thick_axis((1, 1, 1), (1, 1, 1)) is None
    assert thick_axis((1, 1, 3), (1, 1, 1)) is None
    assert thick_axis((1, 1, 3.1), (1, 1, 1)) == 2
    assert thick_axis((1, 1, 1), (4, 1, 1)) == 0
    assert thick_axis((5, 1, 5), (1, 1, 1)) is None
    assert thick_axis((5, 1), (1, 1)) is None
