"""Scans and seeds that a method cannot segment, and those that only look so: swept over the registry."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from harness_methods import ball, dice, run

from imaging import InputError
from imaging.classical import METHODS, get, names, segment
from imaging.scan import Scan

SEEDED = [method.name for method in METHODS if method.seeds != "none"]
NEED_SEEDS = [method.name for method in METHODS if method.seeds == "needed"]


@pytest.mark.parametrize("name", names())
def test_units_of_intensity_do_not_matter(name):
    """The same picture in other units, stored as float32: very large, very small, far from 0, or as integers."""
    scan, _ = ball(2, noise=4.0)
    scan = replace(scan, voxels=np.rint(scan.voxels))
    expected = run(name, scan).voxels[..., 0] == 1
    others = [scan.voxels * np.float32(1e30), scan.voxels * np.float32(1e-30), scan.voxels + np.float32(1e6)]
    others += [scan.voxels.astype(np.int16), (scan.voxels - 200).astype(np.float64)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for voxels in others:
            assert dice(run(name, replace(scan, voxels=voxels)).voxels[..., 0] == 1, expected) > 0.97


@pytest.mark.parametrize("name", names())
def test_what_is_no_image_is_refused(name):
    rank = get(name).ranks[-1]
    scan, _ = ball(rank)
    for value in (np.nan, np.inf):
        voxels = scan.voxels.copy()
        voxels[(3,) * rank] = value
        with pytest.raises(InputError, match=f"method {name}: the scan holds NaN or infinite voxels"):
            run(name, replace(scan, voxels=voxels))
    with pytest.raises(InputError, match=f"method {name}: a scan of shape .*expected at least one voxel"):
        run(name, replace(scan, voxels=scan.voxels[:0]))


@pytest.mark.parametrize("name", [method.name for method in METHODS if 3 in method.ranks])
def test_a_single_slice_is_a_scan(name):
    """Or is refused in one line; no warning, no array error."""
    scan, mask = ball(3)
    middle = mask.shape[2] // 2
    slab = Scan(scan.voxels[:, :, middle : middle + 1], scan.affine)
    seeds = np.full(slab.shape, -1)
    seeds[24, 18:23, 0], seeds[4, 4, 0] = 1, 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name == "atlas":
            with pytest.raises(InputError, match="expected at least 4 voxels along each axis"):
                run(name, slab)
            return
        options = {"seeds": seeds} if get(name).seeds == "needed" else {}
        assert segment(slab, name, **options).voxels.shape == slab.voxels.shape


@pytest.mark.parametrize("name", SEEDED)
def test_seed_arrays_are_checked(name):
    rank = get(name).ranks[0]
    scan, mask = ball(rank)
    for seeds, message in (
        (np.full(mask.shape, -1), "nothing is marked"),
        (np.zeros((3,) * rank, int), "seeds of shape"),
        (np.where(mask, -5, 0), "values -5 to 0, expected labels from 0 to 65535"),
        (np.where(mask, 70000, 0), "values 0 to 70000, expected labels"),
        (mask.astype(float), "expected whole numbers"),
        (np.zeros(mask.shape, int), "marked|expected seeds of|expected a box, or seeds of 0 and of one label"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            segment(scan, name, seeds=seeds)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NEED_SEEDS)
def test_seeds_everywhere_are_the_result(name):
    scan, mask = ball(get(name).ranks[0])
    labels = segment(scan, name, seeds=np.where(mask, 7, 0)).voxels[..., 0]
    np.testing.assert_array_equal(labels, np.where(mask, 7, 0))


@pytest.mark.parametrize("name", [method.name for method in METHODS if 3 in method.ranks and method.name != "atlas"])
def test_a_turned_grid_keeps_its_geometry(name):
    """The voxels of an oblique scan are segmented as they lie, and the seeds of the world find their place."""
    scan, mask = ball(3)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]]
    oblique = Scan(scan.voxels, turn @ scan.affine)
    labels = run(name, oblique)
    np.testing.assert_array_equal(labels.affine, oblique.affine)
    assert dice(labels.voxels[..., 0] == 1, mask) > (0.5 if name == "ridges" else 0.7)


@pytest.mark.parametrize("name", ["otsu", "sauvola", "ridges", "watershed", "chan-vese"])
def test_channels_that_cancel_are_refused(name):
    scan, mask = ball(2)
    voxels = np.stack([np.where(mask, 200, 50), np.where(mask, 55, 205)], -1).astype(np.uint8)
    with pytest.raises(InputError, match=r"the mean of the scan's 2 channels is .* everywhere"):
        run(name, replace(scan, voxels=voxels))


@pytest.mark.parametrize("name", ["chan-vese", "geodesic-contours"])
def test_contours_in_one_slice_and_in_a_row(name):
    scan, mask = ball(2)
    seeds = np.where(mask, 1, -1)[:, :, None] if name == "geodesic-contours" else None
    slab = Scan(scan.voxels[:, :, None], np.eye(4))
    assert segment(slab, name, seeds=seeds).voxels.shape == slab.voxels.shape
    row = Scan(scan.voxels[:, 20:21, None], np.eye(4))
    with pytest.raises(InputError, match="more than one voxel along two axes"):
        segment(row, name, seeds=None if seeds is None else seeds[:, 20:21])


def test_surroundings_of_seeds_are_millimetres():
    """Slices cut in three, of the same values, change nothing."""
    scan, mask = ball(3, (1.0, 1.0, 1.0), noise=12.0)
    seeds = np.full(mask.shape, -1)
    seeds[24, 20, 18] = 1
    thirds = np.full((*mask.shape[:2], 3 * mask.shape[2]), -1)
    thirds[:, :, 1::3] = seeds
    fine = Scan(np.repeat(scan.voxels, 3, axis=2), scan.affine @ np.diag([1, 1, 1 / 3, 1]))
    options = {"multiplier": 1.5, "radius_mm": 3.0}
    coarse = segment(scan, "confidence-connected", seeds=seeds, **options).voxels[..., 0]
    labels = segment(fine, "confidence-connected", seeds=thirds, **options).voxels[:, :, 1::3, 0]
    assert dice(labels == 1, coarse == 1) > 0.97
