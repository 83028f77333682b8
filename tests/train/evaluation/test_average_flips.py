"""Predictions that the plan averages over flips: scored, kept, cleaned up and printed as the plan says by default."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy.special import softmax
from tiny import make_plan

import imaging
from imaging.adopted import flips_suffix, summary_file
from imaging.recipe import Normalise, Recipe
from imaging.tiling import predict_tiled
from train.evaluation.cross_validation import cross_validate
from train.evaluation.ensemble import ensemble_segmenter
from train.evaluation.evaluate import evaluate
from train.evaluation.postprocess import decide_for_run
from train.fitting.fit import network
from train.fitting.run import Run, create_run, unless_planned
from train.planning.plan import Network
from zoo.cli import main

SLICES = Recipe(3, normalise=Normalise("zscore"), slices=1)


@pytest.fixture(scope="module")
def averaged(dataset):
    """A plan of slices whose predictions are averaged over flips of both axes, of a network that flips change."""
    plan = make_plan(dataset, mirror=(0, 1))
    images = dataclasses.replace(plan, recipe=SLICES, network=Network("unet", {"width": 2, "depth": 2}), patch=(16, 16))
    return dataclasses.replace(images, average_flips=True)


def saved_run(folder, dataset, plan, fold=0):
    """A run of random weights, the last of which are large enough that every class is somewhere."""
    run = create_run(folder, plan, fold, str(dataset.folder), (), ())
    model = network(plan)
    last = model.layers[-1]
    last.set_weights([20 * weight for weight in last.get_weights()])
    model.save(run.model_file)
    return run


@pytest.fixture
def run(dataset, averaged, tmp_path):
    return saved_run(tmp_path / "run", dataset, averaged)


def mean_of_flips(run, scan):
    """The mean of the probabilities over the flips of every patch, written out."""
    plan, model = run.plan, run.model()

    def scores(patch):
        sides = [slice(None), slice(None, None, -1)]
        total = 0
        for rows, columns in itertools.product(sides, sides):
            total = total + softmax(np.asarray(model(patch[rows, columns][None])[0]), axis=-1)[rows, columns]
        return total / 4

    prepared = imaging.prepare(scan, plan.recipe)
    return predict_tiled(prepared.voxels, plan.patch, plan.overlap, scores, slices=1)


def test_a_run_predicts_as_its_plan_says(run, dataset):
    scan = imaging.read(dataset.cases[0].images[0])
    prepared = imaging.prepare(scan, run.plan.recipe)
    expected = imaging.restore_classes(mean_of_flips(run, scan), prepared, scan)
    plain = ensemble_segmenter((run,), mirror=False)(scan)
    assert (plain != expected).mean() > 0.01  # flips make a difference
    for mirror in (None, True):
        assert (ensemble_segmenter((run,), mirror)(scan) == expected).mean() > 0.999


def test_what_the_plan_says_takes_the_plain_names(run, dataset):
    planned = evaluate(run, dataset, keep=True)
    assert planned["mirror"] is True
    assert planned == evaluate(run, dataset, mirror=True, keep=True)
    plain = evaluate(run, dataset, mirror=False, keep=True)
    assert plain["mirror"] is False
    assert plain["mean"] != planned["mean"]
    kept = {path.name for path in run.folder.iterdir()}
    assert kept >= {"metrics.json", "predictions", "metrics_plain.json", "predictions_plain"}
    assert not [name for name in kept if "mirror" in name]
    assert json.loads((run.folder / "metrics.json").read_text())["mean"] == planned["mean"]
    assert json.loads((run.folder / "metrics_plain.json").read_text())["mean"] == plain["mean"]


def test_a_cross_validation_takes_up_its_own_scores_alone(run, dataset):
    kept = cross_validate([run], dataset, run.folder.parent)
    plain = cross_validate([run], dataset, run.folder.parent, mirror=False, reuse=True)
    assert (kept["mirror"], plain["mirror"]) == (True, False)
    assert kept["mean"] != plain["mean"]
    written = {path.name: json.loads(path.read_text()) for path in run.folder.parent.glob("summary*.json")}
    assert {name: summary["mean"] for name, summary in written.items()} == {
        "summary.json": kept["mean"],
        "summary_plain.json": plain["mean"],
    }


def test_what_is_cleaned_up_is_decided_on_averaged_predictions(run, dataset):
    decision, scores = decide_for_run(run, dataset), evaluate(run, dataset, keep=True)
    averaged = {label: scores["mean"][label]["dice"] for label in decision.dice_before}
    one_pass = {label: row["dice"] for label, row in evaluate(run, dataset, mirror=False)["mean"].items()}
    assert decision.dice_before == pytest.approx(averaged, abs=1e-9)
    assert any(abs(dice - one_pass[label]) > 1e-6 for label, dice in decision.dice_before.items())


def test_names(averaged, tmp_path):
    as_planned = Run(tmp_path, averaged, 0)
    one_pass = Run(tmp_path, dataclasses.replace(averaged, average_flips=False), 0)
    ways = (None, True, False)
    assert [as_planned.result_file("metrics.json", 2, mirror).name for mirror in ways] == [
        "metrics_fold2.json",
        "metrics_fold2.json",
        "metrics_fold2_plain.json",
    ]
    assert [one_pass.result_file("metrics.json", 2, mirror).name for mirror in ways] == [
        "metrics_fold2.json",
        "metrics_fold2_mirror.json",
        "metrics_fold2.json",
    ]
    # Two networks that are planned differently: neither way is what both plans say.
    assert [unless_planned([as_planned, one_pass], mirror) for mirror in ways] == [None, True, False]
    assert [flips_suffix(mirror) for mirror in ways] == ["", "_mirror", "_plain"]
    assert summary_file(tmp_path).name == "summary.json"


def test_the_command_line(run, dataset, tmp_path, capsys):
    assert main(["evaluate", str(run.folder), "--json", "--no-report"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["mirror"] is True
    assert main(["evaluate", str(run.folder), "--json", "--no-report", "--no-mirror"]) == 0
    assert json.loads(capsys.readouterr().out)["mirror"] is False
    assert main(["evaluate", str(run.folder), "--no-mirror"]) == 0
    assert (run.folder / "report_plain.html").is_file()
    scan, segmentations = dataset.cases[0].images[0], {}
    for words in ((), ("--mirror",), ("--no-mirror",)):
        out = tmp_path / f"segmentation{''.join(words)}.nii.gz"
        assert main(["predict", str(run.folder), str(scan), "-o", str(out), *words]) == 0
        segmentations[words] = imaging.read_labels(out).voxels
    np.testing.assert_array_equal(segmentations[()], segmentations["--mirror",])
    assert (segmentations[()] != segmentations["--no-mirror",]).any()
