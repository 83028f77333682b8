"""Tiles: coverage, weights, identity."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import InputError
from imaging.tiling import gaussian_weights, pad_to, predict_tiled, tiles

AXIS = st.tuples(st.integers(1, 40), st.integers(1, 16))


@settings(max_examples=100, deadline=None)
@given(axes=st.lists(AXIS, min_size=1, max_size=3), overlap=st.floats(0, 0.9))
def test_every_voxel_is_covered_and_no_tile_leaves_the_scan(axes, overlap):
    patch = tuple(p for _, p in axes)
    shape = tuple(max(n, p) for n, p in axes)
    covered = np.zeros(shape, int)
    placed = tiles(shape, patch, overlap)
    for tile in placed:
        assert tuple(s.stop - s.start for s in tile) == patch
        assert all(s.start >= 0 and s.stop <= n for s, n in zip(tile, shape, strict=True))
        covered[tile] += 1
    assert covered.min() >= 1
    assert len(set(map(str, placed))) == len(placed)


@pytest.mark.parametrize(
    ("shape", "patch", "overlap", "starts"),
    [((10,), (4,), 0.0, [0, 3, 6]), ((10,), (4,), 0.5, [0, 2, 4, 6]), ((8,), (4,), 0, [0, 4]), ((4,), (4,), 0.5, [0])],
)
def test_positions(shape, patch, overlap, starts):
    assert [t[0].start for t in tiles(shape, patch, overlap)] == starts


def test_order_is_first_axis_slowest():
    assert [(a.start, b.start) for a, b in tiles((4, 4), (2, 2), 0)] == [(0, 0), (0, 2), (2, 0), (2, 2)]


@pytest.mark.parametrize("overlap", [-0.1, 0.95, 1.0])
def test_overlap_out_of_range(overlap):
    with pytest.raises(InputError, match=r"expected 0 to 0\.9"):
        tiles((8,), (4,), overlap)


def test_scan_smaller_than_the_patch_is_refused_by_tiles():
    with pytest.raises(InputError, match=r"scan of shape \(8, 3\) is smaller than the patch \(4, 4\); pad it"):
        tiles((8, 3), (4, 4), 0.5)


def of_patch(patch):
    """The weights of all voxels of a patch."""
    return functools.reduce(np.multiply.outer, map(gaussian_weights, patch))


@pytest.mark.parametrize("patch", [(5,), (8, 9), (7, 16, 48)])
def test_gaussian(patch):
    weights = of_patch(patch)
    assert weights.shape == patch
    assert weights.dtype == np.float64
    assert weights.min() > 0
    for axis in range(len(patch)):
        np.testing.assert_allclose(weights, np.flip(weights, axis), rtol=1e-5)
    grid = np.meshgrid(*[(np.arange(p) - (p - 1) / 2) / (p / 8) for p in patch], indexing="ij")
    np.testing.assert_allclose(weights, np.exp(-0.5 * np.sum(np.square(grid), axis=0)), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(axes=st.lists(AXIS, min_size=2, max_size=3), overlap=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_identity_network_returns_the_scan(axes, overlap, seed):
    voxels = np.random.default_rng(seed).normal(size=(*[n for n, _ in axes], 2)).astype(np.float32)
    patch = [p for _, p in axes]
    merged = predict_tiled(voxels, patch, overlap, lambda block: block)
    assert merged.dtype == np.float32
    # A mean is one sum of float32 over another: as many roundings as tiles lie on a voxel, each, and those of a
    # product and the quotient.
    terms = len(tiles([max(n, p) for n, p in axes], patch, overlap))
    np.testing.assert_allclose(merged, voxels, rtol=2 * (terms + 2) * 2.0**-24)


def test_blend_is_the_weighted_mean_of_tiles():
    rng = np.random.default_rng(0)
    voxels = rng.normal(size=(11, 13, 9, 1)).astype(np.float32)
    patch = (6, 8, 9)
    answers = iter(rng.normal(size=(99, *patch, 3)).astype(np.float32))
    given_answers = []

    def network(block):
        assert block.shape == (*patch, 1)
        assert block.flags.c_contiguous
        given_answers.append(next(answers))
        return given_answers[-1]

    merged = predict_tiled(voxels, patch, 0.5, network)
    total, weight = np.zeros((11, 13, 9, 3)), np.zeros((11, 13, 9, 1))
    for tile, answer in zip(tiles((11, 13, 9), patch, 0.5), given_answers, strict=True):
        total[tile] += answer * of_patch(patch)[..., None]
        weight[tile] += of_patch(patch)[..., None]
    np.testing.assert_allclose(merged, total / weight, atol=1e-5)


def test_one_tile_is_passed_through_untouched():
    answer = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    merged = predict_tiled(np.zeros((4, 5, 1), np.float32), (4, 5), 0.5, lambda _: answer)
    assert np.shares_memory(merged, answer)
    np.testing.assert_array_equal(merged, answer)


def test_small_scan_is_padded_with_zeros_on_both_sides():
    voxels = np.ones((3, 9, 1), np.float32)
    seen = []
    merged = predict_tiled(voxels, (8, 4), 0.25, lambda block: seen.append(block) or block)
    np.testing.assert_array_equal(merged, voxels)
    assert all(block[2:5].all() and not block[:2].any() and not block[5:].any() for block in seen)
    padded, inner = pad_to(voxels, (8, 4))
    assert padded.shape == (8, 9, 1)
    np.testing.assert_array_equal(padded[inner], voxels)
    assert pad_to(voxels, (2, 2))[0] is voxels


def test_network_of_another_shape():
    with pytest.raises(InputError, match=r"returned shape \(2, 2, 1\); expected \(4, 4\)"):
        predict_tiled(np.zeros((4, 4, 1)), (4, 4), 0, lambda block: block[::2, ::2])
    with pytest.raises(InputError, match="expected 3 spatial axes"):
        predict_tiled(np.zeros((4, 4, 1)), (4, 4, 4), 0, lambda block: block)


@pytest.mark.parametrize(("shape", "tiles_there_are"), [((4, 4), 1), ((4, 10), 4), ((9, 10), 16)])
def test_progress_counts_every_tile_once(shape, tiles_there_are):
    seen = []
    voxels = np.zeros((*shape, 1), np.float32)
    predict_tiled(voxels, (4, 4), 0.5, lambda patch: patch, lambda *counts: seen.append(counts))
    assert seen == [(number, tiles_there_are) for number in range(1, tiles_there_are + 1)]
