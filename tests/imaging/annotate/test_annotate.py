"""Labels from clicks, corrections, filling between slices, and the clicks themselves."""

from dataclasses import replace

import numpy as np
import pytest
from harness_methods import ball, dice

from imaging import InputError, UsageError
from imaging.annotate import annotate, fill_between, refine, refine_labels, simulated_clicks
from imaging.annotate.annotation import METHODS
from imaging.classical import get
from imaging.classical.seeds.strokes import Stroke
from imaging.scan import Scan


def clicks(scan, mask, seed=0, label=1):
    return simulated_clicks(mask, scan.spacing, 5, np.random.default_rng(seed), label)


@pytest.mark.parametrize(("method", "rank"), [(m, r) for m in METHODS for r in get(m).ranks])
def test_clicks_segment_a_ball(method, rank):
    scan, mask = ball(rank, noise=3.0)
    settings = {"tolerance": 0.3} if method == "region-growing" else {}
    annotation = annotate(scan, clicks(scan, mask, label=9), method, **settings)
    assert annotation.labels.voxels.shape == (*scan.shape, 1)
    np.testing.assert_array_equal(annotation.labels.affine, scan.affine)
    assert set(np.unique(annotation.labels.voxels)) == {0, 9}
    assert dice(annotation.labels.voxels[..., 0] == 9, mask) > 0.75


def test_only_the_surroundings_are_looked_at():
    """Another bright ball far from the clicks changes nothing."""
    scan, mask = ball(3)
    wide = np.concatenate([scan.voxels, np.full((60, *scan.voxels.shape[1:]), 900, np.float32)])
    wide = Scan(wide, scan.affine)
    far = np.concatenate([mask, np.zeros((60, *mask.shape[1:]), bool)])
    near = annotate(scan, clicks(scan, mask)).labels.voxels
    segmented = annotate(wide, clicks(scan, mask)).labels.voxels
    assert not segmented[len(mask) + 5 :].any()
    assert dice(segmented[: len(mask), ..., 0] > 0, near[..., 0] > 0) > 0.95
    assert far.shape == segmented.shape[:3]


def test_a_box_is_enough():
    scan, mask = ball(3)
    low, high = (np.argwhere(mask).min(0) - 1, np.argwhere(mask).max(0) + 1)
    strokes = [Stroke("box", 4, (tuple(map(float, low)), tuple(map(float, high)))), *clicks(scan, mask, label=4)[:5]]
    segmented = annotate(scan, strokes).labels.voxels[..., 0]
    assert dice(segmented == 4, mask) > 0.75
    outside = np.ones(segmented.shape, bool)
    outside[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = False
    assert not segmented[outside].any()


def test_doubt_is_at_the_boundary():
    from scipy.ndimage import binary_dilation, binary_erosion

    scan, mask = ball(3, noise=15.0)
    doubt = annotate(scan, clicks(scan, mask)).uncertainty.voxels[..., 0]
    assert doubt.dtype == np.float32
    assert 0 <= doubt.min() <= doubt.max() <= 1
    edge = binary_dilation(mask) & ~binary_erosion(mask)
    assert doubt[edge].mean() > 2 * doubt[~edge].mean()


def test_what_annotate_refuses():
    scan, mask = ball(2)
    with pytest.raises(UsageError, match="expected one of random-walker"):
        annotate(scan, clicks(scan, mask), "otsu")
    with pytest.raises(InputError, match="only label 1 is marked"):
        annotate(scan, clicks(scan, mask)[:5])
    with pytest.raises(InputError, match="no strokes"):
        annotate(scan, [])
    flat = replace(scan, voxels=np.ones_like(scan.voxels))
    with pytest.raises(InputError, match="expected an image with contrast"):
        annotate(flat, clicks(scan, mask))
    broken = scan.voxels.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="holds NaN"):
        annotate(replace(scan, voxels=broken), clicks(scan, mask))
    with pytest.raises(InputError, match="channel 5 of a scan of 1"):
        annotate(scan, clicks(scan, mask), channel=5)
    single = np.zeros((6, 6, 6, 1), np.uint8)
    single[1:4, 1:4, 2] = 1
    with pytest.raises(InputError, match="a single labelled slice along axis 2"):
        fill_between(Scan(single, np.eye(4)))
    for empty in (np.zeros_like(mask), np.ones_like(mask)):
        with pytest.raises(InputError, match="expected a structure and surroundings"):
            clicks(scan, empty)


def test_clean_up_is_done():
    scan, mask = ball(3)
    counts = [np.count_nonzero(annotate(scan, clicks(scan, mask), open_mm=mm).labels.voxels) for mm in (0.0, 6.0)]
    assert counts[1] < counts[0]


def test_clicks_keep_from_the_boundary():
    from scipy.ndimage import distance_transform_edt

    scan, mask = ball(3)
    for stroke in clicks(scan, mask):
        place = tuple(int(v) for v in stroke.points[0])
        assert mask[place] == (stroke.label == 1)
        inside = mask if stroke.label else ~mask
        assert distance_transform_edt(inside, scan.spacing)[place] >= 2
    assert clicks(scan, mask, 3) == clicks(scan, mask, 3) != clicks(scan, mask, 4)


def test_strokes_correct_a_proposal():
    """A proposal that misses half of the ball; clicks there bring it back, and what is far away stays."""
    scan, mask = ball(3, noise=3.0)
    half = mask & (np.indices(mask.shape)[0] < mask.shape[0] // 2)
    corner = np.zeros_like(mask)
    corner[:2, :2, :2] = True
    chances = np.stack([1 - 0.8 * (half | corner) - 0.1, 0.8 * (half | corner) + 0.1], -1).astype(np.float32)
    plain = refine(scan, (), chances, (0, 6)).labels.voxels[..., 0]
    np.testing.assert_array_equal(plain == 6, half | corner)
    missed = mask & ~half
    strokes = [stroke for stroke in clicks(scan, missed, label=6) if stroke.label]
    better = refine(scan, strokes, chances, (0, 6)).labels.voxels[..., 0] == 6
    assert dice(better & ~corner, mask) > dice(half, mask) + 0.1
    for stroke in strokes:
        assert better[tuple(int(v) for v in stroke.points[0])]
    labels = replace(scan, voxels=(6 * (half | corner)).astype(np.uint8)[..., None])
    again = refine_labels(scan, strokes, labels).labels.voxels[..., 0] == 6
    assert dice(again & ~corner, mask) > dice(half, mask) + 0.1
    with pytest.raises(InputError, match="label 9 is none of the proposal's"):
        refine(scan, clicks(scan, mask, label=9), chances, (0, 6))
    with pytest.raises(InputError, match="probabilities of shape"):
        refine(scan, strokes, chances[1:], (0, 6))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sparse_ball_is_filled(axis):
    scan, mask = ball(3, (1.0, 1.0, 1.0))
    sparse = np.zeros(mask.shape, np.int16)
    every = np.arange(mask.shape[axis]) % 4 == 0
    every = np.moveaxis(np.broadcast_to(every[:, None, None], np.moveaxis(mask, axis, 0).shape), 0, axis)
    sparse[mask & every] = 300
    segmented = fill_between(replace(scan, voxels=sparse[..., None]))
    assert segmented.voxels.dtype == np.int16
    np.testing.assert_array_equal(segmented.voxels[..., 0][every], sparse[every])
    assert dice(segmented.voxels[..., 0] == 300, mask) > 0.9
    assert np.array_equal(fill_between(segmented).voxels, segmented.voxels)


def test_a_cone_is_filled_evenly():
    """Between discs of radius 4 and 8, six slices apart, the middle one has radius 6."""
    grid = np.indices((31, 31)) - 15
    radius = np.sqrt((grid**2).sum(axis=0))
    sparse = np.zeros((31, 31, 7, 1), np.uint8)
    sparse[..., 0, 0], sparse[..., 6, 0] = radius <= 4, radius <= 8
    middle = fill_between(Scan(sparse, np.diag([1.0, 1.0, 3.0, 1.0]))).voxels[..., 3, 0]
    assert middle.sum() == pytest.approx(np.pi * 6**2, rel=0.1)
    assert not middle[radius > 7].any()
    assert middle[radius <= 5].all()


def test_what_filling_refuses():
    scan, mask = ball(3)
    labels = np.zeros((*mask.shape, 1), np.uint8)
    with pytest.raises(InputError, match="nothing is labelled"):
        fill_between(Scan(labels, scan.affine))
    labels[:, :, 4] = 1
    with pytest.raises(InputError, match="1 labelled slice along axis 2"):
        fill_between(Scan(labels, scan.affine), axis=2)
    with pytest.raises(UsageError, match="expected 3 axes"):
        fill_between(Scan(labels[..., 4, :], scan.affine))
    with pytest.raises(UsageError, match="axis 5"):
        fill_between(Scan(labels, scan.affine), axis=5)
    with pytest.raises(UsageError, match="expected 0 to 17"):
        fill_between(Scan(labels, scan.affine), axis=2, slices=(3, 90))


def few_clicks(kind):
    """A picture with a bright structure of any shape, one or two clicks in it and beside it."""
    x, y = np.indices((64, 64))
    mask, inside, outside = {
        "disc": ((x - 32) ** 2 + (y - 32) ** 2 < 18**2, [(32, 32)], [(4, 4)]),
        "half": (x >= 32, [(50, 32)], [(10, 32)]),
        "bar": ((x > 20) & (x < 40) & (y > 5) & (y < 58), [(30, 30)], [(5, 5), (60, 60)]),
        "hook": (
            ((x > 10) & (x < 54) & (y > 10) & (y < 22)) | ((x > 42) & (x < 54) & (y > 10) & (y < 54)),
            [(16, 16), (48, 48)],
            [(20, 40), (60, 5)],
        ),
    }[kind]
    voxels = 100 + 60 * mask + np.random.default_rng(0).normal(0, 8, mask.shape)
    points = [Stroke("point", k, (tuple(map(float, p)),)) for k, ps in ((1, inside), (0, outside)) for p in ps]
    return Scan(voxels.astype(np.float32)[..., None], np.eye(4)), mask, points


@pytest.mark.parametrize("method", ["random-walker", "graph-cut"])
@pytest.mark.parametrize("kind", ["disc", "half", "bar", "hook"])
def test_a_click_is_enough_where_intensity_tells(kind, method):
    """Whatever the shape, and wherever the structure goes on beyond the clicks."""
    scan, mask, points = few_clicks(kind)
    assert dice(annotate(scan, points, method).labels.voxels[..., 0] == 1, mask) > 0.9
