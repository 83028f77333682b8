"""Lesions found, missed and invented."""

import numpy as np
import pytest

from imaging import InputError
from imaging.measure.detection import LesionCounts, lesion_counts, lesion_f1, panoptic_quality


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


def test_panoptic_quality_by_hand():
    reference = mask((0, 0, 4), (10, 10, 3), (20, 0, 5))
    prediction = mask((0, 0, 4), (10, 11, 3), (0, 20, 3))
    # the first is perfect, the second shares 6 of 12 voxels, which is no match, the third is missed
    result = panoptic_quality(prediction, reference)
    assert (result.matched, result.missed, result.false) == (1, 2, 2)
    assert (result.recognition, result.segmentation) == pytest.approx((1 / 3, 1))
    assert result.quality == pytest.approx(1 / (1 + 2 / 2 + 2 / 2))
    prediction = mask((0, 0, 4), (10, 10, 2))
    prediction[12, 10:13] = True  # 7 of 9
    result = panoptic_quality(prediction, reference)
    assert result.quality == pytest.approx((1 + 7 / 9) / (2 + 1 / 2))


def test_panoptic_quality_of_numbered_objects_that_touch():
    reference = np.zeros((6, 6), int)
    reference[:, :3], reference[:, 3:] = 7, 40
    assert panoptic_quality(reference, reference).matched == 2
    assert panoptic_quality(reference > 0, reference).matched == 0
    swapped = np.where(reference == 7, 2, 1)
    assert panoptic_quality(swapped, reference).quality == 1
    assert panoptic_quality(np.zeros_like(reference), reference).quality == 0
    assert panoptic_quality(np.zeros_like(reference), np.zeros_like(reference)).quality == 1
    with pytest.raises(InputError, match=r"threshold=0\.4: expected"):
        panoptic_quality(reference, reference, 0.4)
    with pytest.raises(InputError, match="the reference has"):
        panoptic_quality(reference, reference[:3])
    with pytest.raises(InputError, match="objects numbered -1"):
        panoptic_quality(reference - 8, reference)
