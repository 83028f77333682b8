"""Scores restored slab by slab are those of the whole scan restored at once, bit for bit."""

import functools
import itertools
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.geometry import restoring
from imaging.geometry.restoring import restore_slabs
from imaging.recipe import Recipe, prepare
from imaging.regions import classes_of
from imaging.restoring import restore, restore_classes
from imaging.scan import Scan
from imaging.tiling import predict_slabs, predict_tiled

SIZE = st.integers(3, 14)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(SIZE, SIZE, SIZE),
    patch=st.tuples(*[st.integers(2, 6)] * 3),
    overlap=st.sampled_from([0, 0.25, 0.5, 0.75]),
    seed=st.integers(0, 99),
)
def test_slabs_of_tiles_are_the_whole(shape, patch, overlap, seed):
    voxels = np.random.default_rng(seed).normal(size=(*shape, 1)).astype(np.float32)

    def network(block):
        return np.concatenate([block, np.cumsum(block, axis=1)], axis=-1)

    whole = predict_tiled(voxels, patch, overlap, network)
    total, weight = reference(voxels, patch, overlap, network)
    np.testing.assert_allclose(whole, total / weight, atol=1e-4)
    parts, expected = [], 0
    for start, scores in predict_slabs(voxels, patch, overlap, network):
        assert start == expected
        assert len(scores) <= max(patch[0], 1)
        expected += len(scores)
        parts.append(scores.copy())
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def reference(voxels, patch, overlap, network):
    """The sums of a plain loop over tiles in double precision."""
    from imaging.tiling import gaussian_weights, pad_to, tiles

    padded, inner = pad_to(voxels, patch)
    total, weight = np.zeros((*padded.shape[:-1], 2)), np.zeros((*padded.shape[:-1], 1))
    for tile in tiles(padded.shape[:-1], patch, overlap):
        scale = functools.reduce(np.multiply.outer, map(gaussian_weights, patch))[..., None]
        total[tile] += network(padded[tile]) * scale
        weight[tile] += scale
    return total[inner], weight[inner]


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(SIZE, SIZE, SIZE),
    codes=st.sampled_from(["RAS", "LPS", "SAR", "PIL", "IRA"]),
    spacing=st.sampled_from([None, (1.0, 1.0, 1.0), (0.7, 1.9, 1.3), (2.5, 0.9, 0.6)]),
    crop=st.booleans(),
    slab=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_restored_slabs_are_the_whole(shape, codes, spacing, crop, slab, seed):
    rng = np.random.default_rng(seed)
    voxels = rng.integers(1, 9, (*shape, 1)).astype(np.float32)
    voxels[:1] = 0
    scan = Scan(voxels, np.diag([-1.0, 1.5, 1.2, 1]))
    prepared = prepare(scan, Recipe(3, orientation=codes, spacing=spacing, crop_nonzero=crop))
    scores = rng.normal(size=(*prepared.shape, 3)).astype(np.float32)
    cuts = [0, *sorted(set(rng.integers(1, len(scores) + 1, 3).tolist()) - {len(scores)}), len(scores)]
    slabs = ((start, scores[start:stop].copy()) for start, stop in itertools.pairwise(cuts))
    whole = restore(scores, prepared, scan)
    restored, covered = np.full_like(whole, np.nan), np.zeros(scan.shape, int)
    for place, values in restore_slabs(slabs, prepared, scan, slab):
        restored[place] = values
        covered[place] += 1
    assert covered.max() == 1
    np.testing.assert_array_equal(restored[covered == 1], whole[covered == 1])
    outside = whole[covered == 0]
    assert (outside == [scores.max(), scores.min(), scores.min()]).all()
    np.testing.assert_array_equal(restore_classes(scores, prepared, scan, slab=slab), whole.argmax(axis=-1))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(SIZE, SIZE, SIZE),
    codes=st.sampled_from(["RAS", "SAR", "PIL"]),
    spacing=st.sampled_from([(0.7, 1.9, 1.3), (2.5, 0.9, 0.6), (3.0, 3.0, 3.1)]),
    written=st.sampled_from([None, (2, 1, 2)]),
    levels=st.sampled_from([1, 100]),
    step=st.sampled_from([(0.37, 0.0), (2.0**-23, 1.0)]),
    side=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_classes_of_slabs_are_those_of_the_whole(shape, codes, spacing, written, levels, step, side, seed):
    """Scores in steps, as int8 has them, large parts of them alike; or as close to one another as float32 can tell."""
    rng = np.random.default_rng(seed)
    scan = Scan(np.zeros((*shape, 1), np.float32), np.diag([-1.0, 1.5, 1.2, 1]))
    prepared = prepare(scan, Recipe(3, orientation=codes, spacing=spacing))
    steps = rng.integers(-levels, levels + 1, (8, 8, 8, 3)).repeat(5, 0).repeat(5, 1).repeat(5, 2)
    x, y, z = prepared.shape
    scores = (step[1] + step[0] * steps[:x, :y, :z]).astype(np.float32)
    cut = rng.integers(0, x + 1)
    slabs = [(start, part) for start, part in ((0, scores[:cut]), (cut, scores[cut:])) if len(part)]
    expected = classes_of(restore(scores, prepared, scan), written)
    restored = np.full(scan.shape, 9, np.uint8)
    with mock.patch.dict(restoring.BOX, {3: side}):
        for place, classes in restoring.restore_class_slabs(slabs, prepared, scan, written, 3):
            assert (restored[place] == 9).all()
            restored[place] = classes
    reached = restored != 9
    np.testing.assert_array_equal(restored[reached], expected[reached])
    everywhere = restore(np.ones_like(scores), prepared, Scan(scan.voxels, scan.affine))[..., 0] == 1
    assert reached[everywhere].all()


def test_nothing_is_interpolated_within_one_class():
    scan = Scan(np.zeros((60, 60, 60, 1), np.float32), np.eye(4))
    prepared = prepare(scan, Recipe(3, spacing=(3.0, 3.0, 3.0)))
    scores = np.zeros((20, 20, 20, 2), np.float32)
    scores[:, :, :10, 0] = scores[:, :, 10:, 1] = 1
    with mock.patch.dict(restoring.BOX, {3: 10}):
        boxes = list(restoring.restore_class_slabs([(0, scores)], prepared, scan))
    alike = [(place, int(classes)) for place, classes in boxes if classes.ndim == 0]
    assert {number for _, number in alike} == {0, 1}
    assert len(alike) == len(boxes) * 4 // 6  # all but those on either side of the border at 30


@pytest.mark.parametrize("at_once", [True, False])
def test_flat_slabs(at_once, monkeypatch):
    rng = np.random.default_rng(0)
    scan = Scan(rng.random((50, 70, 1)).astype(np.float32), np.eye(4))
    prepared = prepare(scan, Recipe(2, size=(32, 24)))
    scores = rng.normal(size=(32, 24, 2)).astype(np.float32)
    if not at_once:
        monkeypatch.setattr(restoring, "AT_ONCE_BYTES", 0)
    restored = np.zeros((50, 70, 2), np.float32)
    for place, values in restore_slabs([(0, scores[:13]), (13, scores[13:])], prepared, scan):
        restored[place] = values
    if at_once:
        np.testing.assert_array_equal(restored, restore(scores, prepared, scan))
    np.testing.assert_allclose(restored, restore(scores, prepared, scan), atol=1e-5)


def test_a_long_scan_takes_no_more_memory_than_its_window():
    voxels, patch = np.zeros((400, 24, 24, 1), np.float32), (8, 24, 24)
    tracemalloc.start()
    for _, scores in predict_slabs(voxels, patch, 0.5, lambda block: np.repeat(block, 3, -1)):
        assert scores.shape == (4, 24, 24, 3) or len(scores) == 8
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 4 * 3 * 8 * 24 * 24  # the window and a few tiles; the whole would be fifty tiles


def test_a_turned_grid_is_interpolated():
    """Scores of a registered scan: linear in the world, so linear scores come back as they were where they reach."""
    turned = np.array([[0.8, -0.6, 0, 3], [0.6, 0.8, 0, -2], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    scan = Scan(np.zeros((9, 9, 9, 1)), np.eye(4))
    index = np.indices((9, 9, 9))
    x, y = (sum(turned[row, axis] * index[axis] for axis in range(2)) + turned[row, 3] for row in range(2))
    scores = np.stack([x + 0.5 * y + 9, np.full_like(x, 2.0)], -1).astype(np.float32)
    values = np.full((9, 9, 9, 2), np.nan, np.float32)
    for place, part in restore_slabs([(0, scores[:4]), (4, scores[4:])], Scan(scores, turned), scan, slab=4):
        values[place] = part
    np.testing.assert_allclose(values[4, 4], [[4 + 2 + 9, 2.0]] * 9, atol=1e-4)
    assert np.isnan(values[8, 0, 0]).all()  # beyond the scores: no place


def test_what_a_turned_grid_does_not_reach_is_in_no_place():
    """Whatever the scores are: of logits, of probabilities, of a variance beside them."""
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    source = Scan(np.zeros((20, 22, 5, 1), np.float32), np.eye(4))
    turn[:3, 3] = [6, 4, 0]
    prepared = Scan(np.zeros((9, 8, 5, 1), np.float32), turn)
    scores = np.random.default_rng(0).uniform(-9, -5, (9, 8, 5, 3)).astype(np.float32)
    reached = np.zeros(source.shape, int)
    back = np.linalg.inv(turn)
    for place, values in restore_slabs([(0, scores[:4]), (4, scores[4:])], prepared, source, slab=3):
        reached[place] += 1
        assert values.shape == (*reached[place].shape, 3)
        assert values.min() >= -9
        assert values.max() <= -5
    index = np.moveaxis(np.indices(source.shape), 0, -1) @ back[:3, :3].T + back[:3, 3]
    expected = ((index >= -0.501) & (index <= np.array(prepared.shape) - 1 + 0.501)).all(-1)
    np.testing.assert_array_equal(reached, expected)
    assert 0 < expected.mean() < 0.5
