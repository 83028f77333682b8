"""Classical methods scored on a fold, their parameters chosen on the other cases."""

import json

import numpy as np
import pytest
from dataset_folders import write_flat, write_msd

import imaging
from imaging import UsageError
from imaging.classical import segment
from imaging.measure.overlap import dice
from train.data.dataset import open_dataset
from train.evaluation.classical import Conditions, evaluate_method, evenly, fold_of
from train.planning.split import split
from zoo.cli import main


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    return write_msd(tmp_path_factory.mktemp("classical") / "balls", cases=6)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classical") / "discs"
    write_flat(folder, [f"case{letter}" for letter in "abcdef"])
    return folder


def test_scores_are_those_of_the_method_on_the_fold(volumes):
    dataset = open_dataset(volumes)
    metrics = evaluate_method("otsu", volumes, Conditions(fold=1, folds=3), {"smooth_mm": 1.0})
    assert tuple(sorted(metrics["cases"])) == split(dataset.cases, 3)[1]
    for name, scores in metrics["cases"].items():
        case = dataset.case(name)
        mask = segment(imaging.read(list(case.images)), "otsu", smooth_mm=1.0).voxels[..., 0] > 0
        expected = dice(mask, imaging.read_labels(case.label).voxels[..., 0] > 0)
        assert scores["back+front"]["dice"] == pytest.approx(expected)
    assert metrics["seconds"] > 0
    of_fold = evaluate_method("otsu", volumes, Conditions(fold=1, folds=3, label="front"), {"smooth_mm": 1.0})
    assert list(of_fold["mean"]) == ["front"]
    assert of_fold["mean"]["front"]["dice"] < metrics["mean"]["back+front"]["dice"]


def test_parameters_are_chosen_on_training_cases_only(pictures, monkeypatch):
    from train.evaluation import classical

    asked = []
    original = classical._Trial.segmented
    monkeypatch.setattr(
        classical._Trial, "segmented", lambda self, name, *rest: asked.append(name) or original(self, name, *rest)
    )
    conditions = Conditions(fold=0, folds=3, tuning_cases=3)
    metrics = evaluate_method("otsu", pictures, conditions, {"channel": -1}, tune=True)
    training, validation = (({case.name for case in part}) for part in fold_of(open_dataset(pictures), conditions))
    assert set(asked[: -len(validation)]) <= training
    assert set(asked[-len(validation) :]) == validation == set(metrics["cases"])
    plain = evaluate_method("otsu", pictures, conditions)
    (label,) = metrics["mean"]
    assert metrics["mean"][label]["dice"] >= plain["mean"][label]["dice"]
    assert metrics["parameters"]["smooth_mm"] > 0


def test_seeds_and_atlases_come_from_the_right_cases(volumes):
    conditions = Conditions(fold=0, folds=3, candidates=2)
    walked = evaluate_method("watershed", volumes, conditions)
    assert list(walked["mean"]) == ["back+front"]
    seeded = evaluate_method("watershed", volumes, Conditions(fold=0, folds=3, clicks=4))
    assert list(seeded["mean"]) == ["back", "front"]
    assert seeded["mean"]["back"]["dice"] > 0.6
    walked = evaluate_method("random-walker", volumes, conditions)
    assert list(walked["mean"]) == ["back", "front"]
    assert walked["mean"]["back"]["dice"] > 0.6
    again = evaluate_method("random-walker", volumes, conditions)
    assert again["mean"] == walked["mean"]
    atlas = evaluate_method("atlas", volumes, conditions, {"iterations": 2})
    assert list(atlas["mean"]) == ["back", "front"]
    assert atlas["mean"]["back"]["dice"] > 0.8


def test_what_is_refused(volumes):
    for conditions, message in (
        (Conditions(fold=5), "expected 0 to 4"),
        (Conditions(label="top"), "expected one of back, front"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate_method("otsu", volumes, conditions)


def test_evenly():
    assert evenly(list("abcdefg"), 3) == ["a", "d", "g"]
    assert evenly([1, 2], 5) == [1, 2]


def test_command(pictures, capsys):
    assert main(["evaluate", "--method", "otsu", str(pictures), "--param", "smooth_mm=2", "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["method"] == "otsu"
    assert metrics["parameters"]["smooth_mm"] == 2
    assert np.isfinite(metrics["seconds"])
    assert main(["evaluate", "--method", "otsu", str(pictures), "--param", "smooth_mm=2"]) == 0
    out = capsys.readouterr().out
    assert "of fold 0" in out
    assert "--param smooth_mm=2.0" in out
    for words, message in (
        (["--method", "otzu", str(pictures)], "did you mean otsu"),
        (["--method", "otsu", str(pictures), "--mirror"], "--mirror: of a run"),
        (["--method", "otsu", str(pictures), "--no-mirror"], "--no-mirror: of a run"),
        (["--method", "otsu", str(pictures), "--fold", "all"], "expected the number of a fold"),
        ([str(pictures), "--tune"], "--tune: of a classical method"),
    ):
        assert main(["evaluate", *words]) == 2
        assert message in capsys.readouterr().err
