"""The coarse picture of the training tells what lies otherwise; against turning the scan itself, by NumPy."""

import dataclasses
import itertools

import numpy as np
import pytest

from edge.trust.layout import CELLS, cells_of, check_layout, layout_features, make_layout
from imaging.scan import Scan
from medseg.errors import InputError

SHAPES = [(61, 80), (40, 33, 27)]


def scan_of(seed, shape):
    """A bright corner and a brighter edge, with noise; no way to turn it gives the same."""
    random = np.random.default_rng(seed)
    voxels = random.normal(0, 0.3, shape)
    voxels[tuple(slice(0, n // 3) for n in shape)] += 3
    voxels[: shape[0] // 6] += 5
    voxels[:, : shape[1] // 8] += 2
    return Scan(voxels[..., None].astype(np.float32), np.eye(4))


def turned(cells):
    """All ways to turn and mirror an array, itself first."""
    for order in itertools.permutations(range(cells.ndim)):
        for axes in itertools.product((False, True), repeat=cells.ndim):
            yield np.flip(cells.transpose(order), [axis for axis, flip in enumerate(axes) if flip])


@pytest.mark.parametrize("shape", SHAPES)
def test_likeness_is_that_of_every_turned_scan_computed_one_by_one(shape):
    cells = [cells_of(scan_of(seed, shape)) for seed in range(7)]
    layout = make_layout(cells[:6])
    weights = 1 / (np.std(cells[:6], axis=0, ddof=1) ** 2 + 0.05)
    mean = np.mean(cells[:6], axis=0)

    def likeness(picture):
        covariance = np.cov(picture.ravel(), mean.ravel(), aweights=weights.ravel())
        return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])

    every = [likeness(picture) for picture in turned(cells[6])]
    features = layout_features(cells[6], layout)
    assert features["likeness"] == pytest.approx(every[0], abs=0.01)
    assert features["likeness over turned"] == pytest.approx(every[0] - max(every[1:]), abs=0.02)
    for picture in list(turned(cells[6]))[1:]:
        assert layout_features(picture, layout)["likeness over turned"] < -0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_neither_gain_nor_offset_changes_the_cells(shape):
    scan = scan_of(0, shape)
    rescaled = dataclasses.replace(scan, voxels=7 * scan.voxels - 100)
    np.testing.assert_allclose(cells_of(rescaled), cells_of(scan), atol=1e-4)
    assert cells_of(scan).shape == (CELLS[scan.rank],) * scan.rank


def test_cells_are_means_where_they_divide_the_scan():
    voxels = np.random.default_rng(0).normal(size=(128, 128, 2)).astype(np.float32)
    means = voxels.mean(axis=-1).reshape(16, 8, 16, 8).mean(axis=(1, 3))
    cells = cells_of(Scan(voxels, np.eye(4)))
    np.testing.assert_allclose(cells, (means - means.mean()) / means.std(), atol=1e-5)


def test_a_scan_without_contrast_is_like_nothing():
    layout = make_layout([cells_of(scan_of(seed, SHAPES[0])) for seed in range(6)])
    flat = cells_of(Scan(np.full((9, 5, 1), 3.0, np.float32), np.eye(4)))
    assert layout_features(flat, layout) == {"likeness": 0.0, "likeness over turned": 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (16,)}, r"training.layout.shape \[16\]: expected \[16, 16\]"),
        ({"shape": (10**9, 10**9)}, "training.layout.shape"),
        ({"mean": "no number"}, "training.layout.mean: is no hexadecimal"),
        ({"deviation": "abcdef"}, "training.layout.deviation: holds 3 bytes, expected 256"),
        ({"mean": "\u00e9"}, "training.layout.mean: is no hexadecimal"),
    ],
)
def test_layouts_that_make_no_sense_are_refused(change, message):
    layout = make_layout([cells_of(scan_of(seed, SHAPES[0])) for seed in range(6)])
    check_layout(layout, 2)
    with pytest.raises(InputError, match=message):
        check_layout(dataclasses.replace(layout, **change), 2)
