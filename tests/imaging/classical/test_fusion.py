"""STAPLE against SimpleITK's, and votes."""

import numpy as np
import pytest
import SimpleITK

from imaging import InputError
from imaging.classical.fusion import staple, vote


def raters(count=4, seed=0):
    """A truth and raters that err at rates of their own."""
    random = np.random.default_rng(seed)
    truth = np.zeros((20, 24), int)
    truth[5:14, 6:18] = 1
    flips = [random.random(truth.shape) < rate for rate in (0.02, 0.05, 0.1, 0.3)[:count]]
    return truth, [np.where(flip, 1 - truth, truth) for flip in flips]


def test_staple_of_two_classes_equals_simpleitk():
    truth, given = raters()
    images = [SimpleITK.GetImageFromArray(labels.astype(np.uint8)) for labels in given]
    filtered = SimpleITK.STAPLEImageFilter()
    filtered.SetForegroundValue(1)
    expected = SimpleITK.GetArrayFromImage(filtered.Execute(images))
    probabilities, performance = staple(given, (0, 1))
    np.testing.assert_allclose(probabilities[..., 1], expected, atol=1e-3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    right = performance[:, 1, 1] + performance[:, 0, 0]
    assert np.argmin(right) == 3
    segmented = probabilities.argmax(-1)
    assert np.count_nonzero(segmented != truth) <= np.count_nonzero(vote(given, (0, 1)).argmax(-1) != truth)


def test_agreement_stays():
    _, given = raters()
    probabilities, _ = staple([given[0]] * 3, (0, 1))
    np.testing.assert_array_equal(probabilities.argmax(-1), given[0])


def test_votes():
    shares = vote([np.array([0, 2, 2]), np.array([0, 2, 0]), np.array([2, 2, 0])], (0, 2))
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0, 1], [2 / 3, 1 / 3]], rtol=1e-6)


def test_what_staple_refuses():
    with pytest.raises(InputError, match="no segmentations"):
        staple([], (0, 1))
    with pytest.raises(InputError, match="expected one"):
        staple([np.zeros(3, int), np.zeros(4, int)], (0, 1))
