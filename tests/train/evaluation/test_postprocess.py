"""Postprocessing: chosen only where it raises the cross-validated Dice."""

import dataclasses
import json

import numpy as np
import pytest

from imaging.cleaning import ClassCleaning, Postprocessing, apply
from imaging.labels import Label
from imaging.measure import overlap
from medseg import record
from train.evaluation.postprocess import Decision, choose, decision_text

LABELS = (Label("background", 0), Label("ball", 1), Label("box", 7))
SPACING = (1.0, 1.0, 2.0)


def reference(seed):
    random = np.random.default_rng(seed)
    x = np.stack(np.meshgrid(*(np.arange(n) for n in (20, 20, 12)), indexing="ij"))
    centre = np.array([6, 6, 6]) + random.integers(-1, 2, 3)
    truth = (((x - centre.reshape(3, 1, 1, 1)) ** 2).sum(0) <= 16).astype(np.int32)
    truth[12:18, 12:18, 3:9] = 2
    return truth


def specks(truth, seed):
    """Small wrong parts of class 1, and holes in class 2 with a voxel of class 1 in one of them."""
    predicted = truth.copy()
    random = np.random.default_rng(seed)
    for z in (1, 10):
        predicted[random.integers(0, 3), random.integers(12, 19), z] = 1
    predicted[14:16, 14, 5] = 0
    return predicted


def cases(spoil):
    return lambda: ((spoil(reference(seed), seed), reference(seed), SPACING) for seed in range(3))


def test_specks_and_holes_are_found_and_mended():
    decision = choose(cases(specks), LABELS)
    assert [cleaning.label for cleaning in decision.chosen.classes] == ["ball", "box"]
    ball, box = decision.chosen.classes
    assert (ball.largest, ball.fill_holes) == (True, False)
    assert (box.largest, box.min_volume_mm3, box.fill_holes) == (False, 0.0, True)
    for prediction, truth, spacing in cases(specks)():
        np.testing.assert_array_equal(apply(prediction, decision.chosen, LABELS, spacing), truth)
    assert decision.dice_after == {"ball": 1.0, "box": 1.0}
    assert decision.cases == 3
    before = [overlap.dice(predicted == 1, truth == 1) for predicted, truth, _ in cases(specks)()]
    assert decision.dice_before["ball"] == pytest.approx(np.mean(before))
    assert "ball: largest part only (mean Dice 0.9" in decision_text(decision)


def test_nothing_is_done_where_nothing_improves():
    perfect = choose(cases(lambda truth, seed: truth), LABELS)
    assert perfect.chosen == Postprocessing()
    assert perfect.dice_before == perfect.dice_after
    assert decision_text(perfect).startswith("postprocessing: none")
    # Two true parts: keeping the largest alone would hurt.
    truth = np.zeros((16, 16), np.int32)
    truth[2:6, 2:6] = truth[9:14, 9:14] = 1
    assert choose(lambda: [(truth, truth, (1.0, 1.0))], LABELS[:2]).chosen == Postprocessing()


def test_small_parts_go_where_several_are_true():
    truth = np.zeros((32, 32), np.int32)
    truth[2:9, 2:9] = truth[20:27, 20:27] = 1
    predicted = truth.copy()
    predicted[2, 30] = predicted[30, 2] = 1
    (cleaning,) = choose(lambda: [(predicted, truth, (0.5, 0.5))], LABELS[:2]).chosen.classes
    assert not cleaning.largest
    assert 0.25 < cleaning.min_volume_mm3 < 49 * 0.25
    np.testing.assert_array_equal(apply(predicted, Postprocessing((cleaning,)), LABELS[:2], (0.5, 0.5)), truth)


def test_a_class_inside_another_stays_when_holes_are_filled():
    predicted = np.zeros((12, 12), np.uint8)
    predicted[2:10, 2:10] = 1
    predicted[4:8, 4:8] = 0
    predicted[5, 5] = 2
    filled = apply(predicted, Postprocessing((ClassCleaning("ball", fill_holes=True),)), LABELS, (1.0, 1.0))
    assert filled.dtype == predicted.dtype
    assert filled[5, 5] == 2
    assert (filled == 1).sum() == 63
    np.testing.assert_array_equal(apply(predicted, Postprocessing(), LABELS, (1.0, 1.0)), predicted)


def test_an_absent_class_and_json():
    decision = choose(lambda: [(np.zeros((8, 8), int), np.zeros((8, 8), int), (1.0, 1.0))], LABELS)
    assert decision.chosen == Postprocessing()
    decision = dataclasses.replace(decision, chosen=Postprocessing((ClassCleaning("box", min_volume_mm3=3.0),)))
    assert record.from_dict(Decision, json.loads(json.dumps(record.to_dict(decision)))) == decision
