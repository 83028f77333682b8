"""Postprocessing: chosen only where it raises the cross-validated Dice."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from scipy import ndimage
from tiny import make_plan

import imaging
from export.source.source import open_source
from imaging.adopted import adopted_postprocessing
from imaging.cleaning import ClassCleaning, Postprocessing, apply
from imaging.labels import Label
from imaging.measure import overlap
from medseg import record
from medseg.errors import InputError
from train.evaluation.averages import table
from train.evaluation.evaluate import evaluate
from train.evaluation.postprocess import (
    Decision,
    allow_largest,
    allowed_text,
    choose,
    classes_in_one_part,
    decide_for_run,
    decision_text,
)
from train.fitting.run import create_run
from train.input.pipeline import fold_cases
from zoo.cli import main as zoo_main

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


def with_second_ball(truth):
    truth[13:16, 0:3, 8:11] = 1
    return truth


def with_speck(truth):
    truth[18, 1, 10] = 1  # of about 257 voxels: 0.4 %
    return truth


def test_classes_of_one_part_by_their_labels():
    whole = [reference(seed) for seed in range(9)]
    assert classes_in_one_part(whole, LABELS) == ("ball", "box")
    assert classes_in_one_part([*map(with_speck, map(reference, range(9)))], LABELS) == ("ball", "box")
    assert classes_in_one_part([*whole, with_second_ball(reference(9))], LABELS) == ("ball", "box")  # 9 of 10
    assert classes_in_one_part([*whole[1:], with_second_ball(reference(9))], LABELS) == ("box",)  # 8 of 9
    assert classes_in_one_part(whole[:4], LABELS) == ()  # too few to tell
    without_box = [np.where(truth == 2, 0, truth) for truth in whole]
    assert classes_in_one_part([*without_box[:5], *whole[:4]], LABELS) == ("ball",)  # only four show a box


def test_the_largest_part_stays_where_the_network_agrees():
    decision = allow_largest(cases(specks)(), ("ball", "box"), LABELS)
    assert decision.chosen.classes == (ClassCleaning("ball", largest=True), ClassCleaning("box", largest=True))
    assert decision.dice_after["ball"] == 1.0 > decision.dice_before["ball"]
    assert decision.dice_after["box"] == decision.dice_before["box"] < 1.0  # its hole stays
    assert "ball: largest part only, as in the labels (mean Dice of 3 held-back cases 0.9" in allowed_text(decision)


def test_a_structure_that_the_network_finds_in_pieces_keeps_them():
    def broken(truth, seed):
        predicted = specks(truth, seed)
        predicted[:, :, 5:7][predicted[:, :, 5:7] == 1] = 0  # through the middle of the ball
        return predicted

    decision = allow_largest(cases(broken)(), ("ball", "box"), LABELS)
    assert [cleaning.label for cleaning in decision.chosen.classes] == ["box"]
    assert decision.dice_before["ball"] == decision.dice_after["ball"]
    assert "ball: all parts stay" in allowed_text(decision)
    assert "none; no class is one part" in allowed_text(allow_largest(cases(broken)(), (), LABELS))


def test_a_run_decides_by_its_labels_and_what_it_held_back(dataset, tmp_path):
    """A network of two thresholds finds the boxes, and single voxels of noise that are as bright."""
    inputs = keras.Input((16, 16, 8, 1))
    model = keras.Model(inputs, keras.layers.Conv3D(3, 1)(inputs))
    steps = np.array([0, 4, 10], np.float32).reshape(1, 1, 1, 1, 3)
    model.set_weights([steps, np.array([0, -6.4, -32.2], np.float32)])  # near above 1.6 deviations, far above 4.3
    plan = make_plan(dataset)
    run = create_run(tmp_path / "run", plan, 0, str(dataset.folder), *fold_cases(dataset, plan, 0))
    model.save(run.model_file)
    decision = decide_for_run(run, dataset)
    assert decision.cases == len(plan.folds[0])
    assert [cleaning.label for cleaning in decision.chosen.classes] == ["near", "far"]
    assert decision.dice_after["near"] > decision.dice_before["near"] > 0.5
    assert adopted_postprocessing(run.folder) == decision.chosen == open_source(run.folder).postprocessing
    metrics = evaluate(run, dataset)
    for name in ("near", "far"):
        assert metrics["mean"][name]["dice"] == pytest.approx(decision.dice_before[name])
        assert metrics["postprocessed"]["mean"][name]["dice"] == pytest.approx(decision.dice_after[name])
    assert table(metrics).count("cleaned") == 2
    case = fold_cases(dataset, plan, 0)[1][0]
    assert zoo_main(["predict", str(run.folder), str(case.images[0]), "-o", str(tmp_path / "out.nii.gz")]) == 0
    values = imaging.read_labels(tmp_path / "out.nii.gz").voxels[..., 0]
    assert [ndimage.label(values == value, np.ones((3, 3, 3)))[1] for value in (1, 5)] == [1, 1]
    assert decide_for_run(dataclasses.replace(run, fold=None), dataset) is None


def test_a_decision_that_is_none_is_named(dataset, tmp_path):
    plan = make_plan(dataset)
    run = create_run(tmp_path / "run", plan, 0, str(dataset.folder), (), ())
    assert adopted_postprocessing(run.folder) == Postprocessing()
    for text in ("{}", "[]", '{"chosen": 3}', "{"):
        (run.folder / "postprocessing.json").write_text(text)
        with pytest.raises(InputError, match=r"postprocessing.json: .*; expected what zoo train --resume"):
            adopted_postprocessing(run.folder)
