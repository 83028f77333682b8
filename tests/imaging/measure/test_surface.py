"""Surface distances: brute force on voxel borders by SciPy, and the package surface-distance."""

import numpy as np
import pytest
import surface_distance
from scipy import ndimage
from scipy.spatial.distance import cdist

from imaging import InputError
from imaging.measure.surface import assd, border, hausdorff, hd95, nsd, surface_distances

# surface-distance 0.1 calls SciPy by namespaces that SciPy is about to drop
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")

SPACINGS = {2: [(1, 1), (0.4, 2.5)], 3: [(1, 1, 1), (0.7, 1.3, 5.0)]}


def blobs(rank, seed, size=18):
    """Two random smooth masks that overlap in part."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(size + seed % 3,) * rank)
    masks = []
    for _ in range(2):
        field = ndimage.gaussian_filter(common + rng.normal(size=common.shape), 2)
        masks.append(field > np.quantile(field, 0.75))
    return masks


def reference_border(mask):
    padded = np.pad(mask, 1)
    eroded = ndimage.binary_erosion(padded, ndimage.generate_binary_structure(mask.ndim, 1))
    return (padded & ~eroded)[(slice(1, -1),) * mask.ndim]


CASES = [(rank, spacing, seed) for rank in (2, 3) for spacing in SPACINGS[rank] for seed in range(4)]


@pytest.mark.parametrize(("rank", "spacing", "seed"), CASES)
def test_agrees_with_brute_force(rank, spacing, seed):
    p, r = blobs(rank, seed)
    bp, br = reference_border(p), reference_border(r)
    np.testing.assert_array_equal(border(p), bp)
    table = cdist(np.argwhere(bp) * spacing, np.argwhere(br) * spacing)
    to_r, to_p = table.min(axis=1), table.min(axis=0)
    # the same distances once more, by distance transform
    np.testing.assert_allclose(ndimage.distance_transform_edt(~br, sampling=spacing)[bp], to_r)
    both = np.concatenate([to_r, to_p])
    assert hausdorff(p, r, spacing) == pytest.approx(both.max())
    assert hd95(p, r, spacing) == pytest.approx(max(np.percentile(to_r, 95), np.percentile(to_p, 95)))
    assert assd(p, r, spacing) == pytest.approx(both.mean())
    for tolerance in (0.5, 1.0, 2.0):
        assert nsd(p, r, spacing, tolerance) == pytest.approx((both <= tolerance + 1e-9).mean())


@pytest.mark.parametrize(("rank", "spacing", "seed"), CASES)
def test_aggregates_as_surface_distance_does(rank, spacing, seed):
    """Given our distances with equal weights, the package's own sums must say what ours say."""
    p, r = blobs(rank, seed)
    distances = surface_distances(p, r, spacing)
    theirs = {
        "distances_gt_to_pred": np.sort(distances.to_prediction),
        "distances_pred_to_gt": np.sort(distances.to_reference),
        "surfel_areas_gt": np.ones(len(distances.to_prediction)),
        "surfel_areas_pred": np.ones(len(distances.to_reference)),
    }
    assert surface_distance.compute_robust_hausdorff(theirs, 100) == pytest.approx(hausdorff(p, r, spacing))
    for tolerance in (0.0, 1.01, 2.02):
        assert surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance) == pytest.approx(
            nsd(p, r, spacing, tolerance)
        )
    means = surface_distance.compute_average_surface_distance(theirs)
    sizes = len(distances.to_prediction), len(distances.to_reference)
    assert np.average(means, weights=sizes) == pytest.approx(assd(p, r, spacing))
    # it takes an order statistic where we interpolate between two
    step = max(np.diff(np.sort(d)).max() for d in (distances.to_prediction, distances.to_reference))
    assert abs(surface_distance.compute_robust_hausdorff(theirs, 95) - hd95(p, r, spacing)) <= step


@pytest.mark.parametrize(("rank", "spacing", "seed"), CASES)
def test_within_a_voxel_of_surface_distance(rank, spacing, seed):
    """Its surface elements lie at voxel corners, at most half a voxel diagonal from a border voxel's centre."""
    p, r = blobs(rank, seed)
    theirs = surface_distance.compute_surface_distances(r, p, spacing)
    diagonal = np.linalg.norm(spacing)
    assert abs(surface_distance.compute_robust_hausdorff(theirs, 100) - hausdorff(p, r, spacing)) <= diagonal
    assert abs(np.mean(surface_distance.compute_average_surface_distance(theirs)) - assd(p, r, spacing)) <= diagonal


@pytest.mark.parametrize("spacing", SPACINGS[3])
@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 3, 0), (2, 0, 2)])
def test_shifted_box_is_the_same_in_both_definitions(spacing, shift):
    p = np.zeros((16, 16, 16), bool)
    p[3:10, 4:11, 5:12] = True
    r = np.roll(p, shift, (0, 1, 2))
    expected = np.linalg.norm(np.array(shift) * spacing)
    theirs = surface_distance.compute_surface_distances(r, p, spacing)
    assert hausdorff(p, r, spacing) == pytest.approx(expected)
    assert surface_distance.compute_robust_hausdorff(theirs, 100) == pytest.approx(expected)


def test_known_values():
    p, r = np.zeros((9, 20), bool), np.zeros((9, 20), bool)
    p[4, 2], r[4, [2, 12]] = True, True
    assert hausdorff(p, r, (1, 0.5)) == 5
    assert assd(p, r, (1, 0.5)) == pytest.approx(5 / 3)
    assert nsd(p, r, (1, 0.5), 1) == pytest.approx(2 / 3)
    assert hd95(p, r, (1, 0.5)) == pytest.approx(4.75)


def test_the_edge_of_the_array_is_a_surface():
    full = np.ones((5, 6), bool)
    assert border(full).sum() == 18
    assert border(np.ones((1, 1, 1), bool)).all()
    assert hausdorff(full, full, (1, 1)) == 0


def test_tolerance_forgives_rounding():
    p, r = np.zeros((1, 30), bool), np.zeros((1, 30), bool)
    p[0, 3], r[0, 13] = True, True
    assert nsd(p, r, (1, 0.1), 1.0) == 1.0


def test_empty_masks():
    empty, full = np.zeros((4, 5, 6), bool), np.ones((4, 5, 6), bool)
    for distance in (hausdorff, hd95, assd):
        assert distance(empty, empty, (1, 1, 1)) == 0
        assert distance(empty, full, (1, 1, 1)) == np.inf
        assert distance(full, empty, (1, 1, 1)) == np.inf
    assert nsd(empty, empty, (1, 1, 1)) == 1
    assert nsd(empty, full, (1, 1, 1)) == nsd(full, empty, (1, 1, 1)) == 0


def test_masks_far_apart_in_a_large_array():
    p, r = np.zeros((200, 150, 120), bool), np.zeros((200, 150, 120), bool)
    p[1, 1, 1] = r[190, 140, 110] = True
    assert hausdorff(p, r, (1, 2, 3)) == pytest.approx(np.linalg.norm([189, 278, 327]))


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, np.nan), (1, 1, -1)])
def test_spacing_must_fit(spacing):
    with pytest.raises(InputError, match="expected 3 positive numbers in mm"):
        hausdorff(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), spacing)


def test_shapes_must_agree():
    with pytest.raises(InputError, match="the reference has"):
        assd(np.ones((2, 2), bool), np.ones((2, 3), bool), (1, 1))


@pytest.mark.parametrize(("rank", "spacing", "seed"), CASES)
def test_elements_are_those_of_surface_distance(rank, spacing, seed):
    p, r = blobs(rank, seed)
    theirs = surface_distance.compute_surface_distances(r, p, spacing)
    ours = surface_distances(p, r, spacing, "elements")
    np.testing.assert_allclose(np.sort(ours.to_reference), theirs["distances_pred_to_gt"])
    np.testing.assert_allclose(ours.prediction_areas.sum(), theirs["surfel_areas_pred"].sum())
    np.testing.assert_allclose(ours.reference_areas.sum(), theirs["surfel_areas_gt"].sum())
    for tolerance in (0.0, 0.3, 1.01, 2.02):
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert nsd(p, r, spacing, tolerance, "elements") == pytest.approx(expected)
    for percent in (50, 95, 100):
        assert ours.percentile(percent) == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, percent))
    assert hd95(p, r, spacing, "elements") == ours.percentile(95)
    means = surface_distance.compute_average_surface_distance(theirs)
    areas = theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()
    assert ours.mean() == pytest.approx(np.average(means, weights=areas))


@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 1, 1), (2, 2)])
def test_elements_of_tiny_objects(shape):
    """Where the two definitions differ most."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        p, r = (np.pad(rng.random(shape) < 0.6, 2) for _ in range(2))
        if p.any() and r.any():
            spacing = (1.0, 2.0, 0.5)[: len(shape)]
            theirs = surface_distance.compute_surface_distances(r, p, spacing)
            expected = surface_distance.compute_surface_dice_at_tolerance(theirs, 0.5)
            assert nsd(p, r, spacing, 0.5, "elements") == pytest.approx(expected)


def test_the_surface_of_a_ball_by_elements():
    grid = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"))
    ball = (grid**2).sum(0) <= 100
    area = surface_distances(ball, ball, (1, 1, 1), "elements").reference_areas.sum()
    assert area == pytest.approx(4 * np.pi * 10.0**2, rel=0.12)  # triangles of a staircase, somewhat more than the ball


def test_percentile_of_both_directions_together():
    p, r = blobs(3, 0)
    ours = surface_distances(p, r, (1, 1, 1))
    both = np.concatenate([ours.to_reference, ours.to_prediction])
    assert hd95(p, r, (1, 1, 1), pooled=True) == pytest.approx(np.percentile(both, 95))
    assert ours.percentile(100, pooled=True) == ours.percentile(100)


@pytest.mark.parametrize("tolerance", [-0.1, np.nan, np.inf])
def test_tolerance_must_be_a_distance(tolerance):
    full = np.ones((3, 3), bool)
    for mask in (full, np.zeros_like(full)):
        with pytest.raises(InputError, match=r"tolerance_mm=.*: expected a distance in mm"):
            nsd(mask, mask, (1, 1), tolerance)
    with pytest.raises(InputError, match="surface='mesh': expected"):
        nsd(full, full, (1, 1), 1, "mesh")
