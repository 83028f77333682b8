"""Calibration of probabilities: closed forms and a slow loop."""

import numpy as np
import pytest

from imaging import InputError
from imaging.measure.calibration import (
    calibration_error,
    class_reliability,
    expected_calibration_error,
    pooled,
    reliability,
)


def test_certain_and_right_or_wrong():
    hot = np.eye(3)[np.array([0, 1, 2, 0])]
    assert expected_calibration_error(hot, np.array([0, 1, 2, 0])) == 0
    assert expected_calibration_error(hot, np.array([1, 2, 0, 1])) == 1
    assert expected_calibration_error(hot, np.array([0, 1, 0, 1])) == pytest.approx(0.5)


def test_known_bin():
    probabilities = np.tile([0.2, 0.8], (10, 1))
    reference = np.array([1] * 6 + [0] * 4)
    assert expected_calibration_error(probabilities, reference, bins=10) == pytest.approx(0.2)
    table = reliability(probabilities, reference, bins=10)
    assert table.shape == (10, 3)
    np.testing.assert_allclose(table[7], [10, 0.8, 0.6])  # a bin holds its upper limit
    assert (np.delete(table, 7, axis=0) == 0).all()


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_loop(bins):
    rng = np.random.default_rng(bins)
    probabilities = rng.dirichlet((1, 1, 1), (4, 5, 6))
    reference = rng.integers(0, 3, (4, 5, 6))
    error, flat = 0.0, probabilities.reshape(-1, 3)
    for b in range(bins):
        chosen = [i for i, p in enumerate(flat) if b / bins < p.max() <= (b + 1) / bins]
        if chosen:
            right = np.mean([flat[i].argmax() == reference.ravel()[i] for i in chosen])
            error += len(chosen) / len(flat) * abs(right - np.mean([flat[i].max() for i in chosen]))
    assert expected_calibration_error(probabilities, reference, bins) == pytest.approx(error)


@pytest.mark.parametrize("bins", [1, 6])
def test_each_class_by_a_loop_and_joined_from_halves(bins):
    rng = np.random.default_rng(bins)
    probabilities = rng.dirichlet((1, 1, 1), (6, 7)).astype(np.float32)
    reference = rng.integers(0, 4, (6, 7))  # 3 is no class
    tables = class_reliability(probabilities, reference, bins)
    for k in range(3):
        error = 0.0
        for b in range(bins):
            chosen = [
                (p[k], r == k)
                for p, r in zip(probabilities.reshape(-1, 3), reference.ravel(), strict=True)
                if r < 3 and b / bins < p[k] <= (b + 1) / bins
            ]
            assert tables[k, b, 0] == len(chosen)
            if chosen:
                np.testing.assert_allclose(tables[k, b, 1:], np.mean(chosen, axis=0), rtol=1e-6)
                error += len(chosen) / (reference < 3).sum() * abs(tables[k, b, 1] - tables[k, b, 2])
        assert calibration_error(tables[k]) == pytest.approx(error)
    halves = [class_reliability(probabilities[i], reference[i], bins) for i in (slice(0, 2), slice(2, 6))]
    np.testing.assert_allclose(pooled(halves), tables)


def test_shapes():
    with pytest.raises(InputError, match="expected that and"):
        expected_calibration_error(np.ones((3, 2)), np.ones(4, int))
    with pytest.raises(InputError, match="expected that and"):
        class_reliability(np.ones((3, 2)), np.ones(4, int))
