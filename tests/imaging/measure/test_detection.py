"""Lesions found, missed and invented."""

import numpy as np
import pytest

from imaging import InputError
from imaging.measure.detection import (
    LesionCounts,
    average_precision,
    lesion_counts,
    lesion_dice,
    lesion_f1,
    overlaps,
    panoptic_quality,
    score_objects,
)


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
    empty, single = mask(), mask((0, 0, 2))
    assert lesion_f1(empty, empty) == 1
    assert lesion_f1(empty, single) == lesion_f1(single, empty) == 0
    assert lesion_counts(empty, single) == LesionCounts(0, 1, 0, 0)
    with pytest.raises(InputError, match="the reference has"):
        lesion_f1(single, single[:3])


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


def numbered(*boxes):
    out = np.zeros((30, 30), int)
    for number, (top, left, height, width) in enumerate(boxes, 1):
        out[top : top + height, left : left + width] = number
    return out


def test_average_precision_by_hand():
    reference = numbered((0, 0, 4, 4), (10, 10, 4, 5), (20, 0, 5, 5))
    prediction = numbered((20, 0, 5, 5), (0, 0, 4, 3), (10, 20, 3, 3))
    # one pair shares all, one 12 of 16 voxels; an object is missed and one is false
    scores = average_precision(prediction, reference, (0.5, 0.7, 0.75, 0.9))
    assert scores == pytest.approx({0.5: 2 / 4, 0.7: 2 / 4, 0.75: 1 / 5, 0.9: 1 / 5})
    of_objects = score_objects(prediction, reference)
    assert of_objects["ap"] == pytest.approx((5 * 2 / 4 + 5 * 1 / 5) / 10)  # at 0.75 itself they share no more than it
    assert (of_objects["ap50"], of_objects["ap75"]) == pytest.approx((2 / 4, 1 / 5))
    assert (of_objects["objects"], of_objects["reference_objects"]) == (3, 3)
    assert of_objects["f1"] == pytest.approx(2 / 3)
    assert of_objects["lesion_dice"] == pytest.approx((1 + 24 / 28) / 4)


def test_average_precision_equals_all_pairs_one_by_one():
    random = np.random.default_rng(3)
    objects = [np.kron(random.integers(0, 6, (6, 6)), np.ones((5, 5), int)) for _ in range(2)]
    objects[1] = np.where(random.uniform(size=(30, 30)) < 0.4, objects[1], objects[0])
    masks = [[part == n for n in np.unique(part[part > 0])] for part in objects]
    shares = [[(a & b).sum() / (a | b).sum() for b in masks[1]] for a in masks[0]]
    for threshold, score in average_precision(*objects).items():
        matched = sum(share > threshold for row in shares for share in row)
        assert score == pytest.approx(matched / (len(masks[0]) + len(masks[1]) - matched))


def test_a_lesion_has_one_partner():
    reference = numbered((0, 0, 4, 10))
    prediction = numbered((0, 0, 4, 6), (0, 6, 4, 4))
    assert lesion_dice(prediction, reference) == pytest.approx(2 * 24 / (24 + 40) / 2)
    assert lesion_dice(reference * 0, reference * 0) == 1
    assert lesion_dice(reference, reference * 0) == 0


def test_nothing_and_nothing_is_perfect():
    empty, single = numbered(), numbered((0, 0, 3, 3))
    assert score_objects(empty, empty)["ap"] == score_objects(single, single)["ap"] == 1
    assert score_objects(empty, single)["ap"] == score_objects(single, empty)["pq"] == 0
    with pytest.raises(InputError, match=r"thresholds \(0.4,\)"):
        average_precision(single, single, (0.4,))
    with pytest.raises(InputError, match="the reference has"):
        overlaps(single, single[:3])
