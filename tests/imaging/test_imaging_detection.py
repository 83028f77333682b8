"""Lesions found, missed and invented."""

import numpy as np
import pytest

from imaging import InputError
from imaging.detection import LesionCounts, lesion_counts, lesion_f1


def mask(*boxes):
    out = np.zeros((30, 30), bool)
    for top, left, size in boxes:
        out[top : top + size, left : left + size] = True
    return out


def test_counts():
    reference = mask((0, 0, 4), (10, 10, 3), (20, 0, 5))
    prediction = mask((3, 3, 2), (0, 20, 3), (20, 0, 1), (24, 4, 1), (28, 20, 1))
    # two parts of the prediction lie in one lesion; one lesion is missed; two parts lie in none
    assert lesion_counts(prediction, reference) == LesionCounts(found=2, missed=1, false=2, true=3)
    precision, recall = 3 / 5, 2 / 3
    assert lesion_f1(prediction, reference) == pytest.approx(2 * precision * recall / (precision + recall))


def test_equal_is_perfect_and_disjoint_is_zero():
    reference = mask((0, 0, 4), (10, 10, 3))
    assert lesion_f1(reference, reference) == 1
    assert lesion_f1(mask((20, 20, 3)), reference) == 0


def test_empty():
    empty, one = mask(), mask((0, 0, 2))
    assert lesion_f1(empty, empty) == 1
    assert lesion_f1(empty, one) == lesion_f1(one, empty) == 0
    assert lesion_counts(empty, one) == LesionCounts(0, 1, 0, 0)
    with pytest.raises(InputError, match="the reference has"):
        lesion_f1(one, one[:3])
