"""Cross-validated runs: the best fold, a given one, or all of them as an ensemble of artifacts."""

import dataclasses
import json
import shutil

import pytest
from export_runs import write_run

import edge
from edge.runtime.ensemble import load_ensemble
from export.commands.folds import best_fold, chosen_folds, exported_runs
from export.source.source import folds_in, open_source
from imaging.configurations import FILE, Configurations
from imaging.io.files import read
from medseg import record
from medseg.errors import InputError
from zoo.cli import main


@pytest.fixture
def folds(tmp_path):
    """What ``zoo train --fold all`` leaves of three folds."""
    run, folder = write_run(tmp_path / "balls"), tmp_path / "all"
    for fold in range(3):
        shutil.copytree(run, folder / f"fold_{fold}")
        (folder / f"fold_{fold}" / "run.json").write_text(json.dumps({"fold": fold, "versions": {}}))
    summarise(folder, 0.7, 0.9, 0.8)
    return folder


def summarise(folder, *dice):
    means = {str(fold): {"ball": {"dice": value}, "rest": {"dice": 0.5}} for fold, value in enumerate(dice)}
    decision = {"chosen": {"classes": []}}
    text = json.dumps({"folds": list(range(len(dice))), "mean_of_fold": means, "postprocessing": decision})
    (folder / "summary.json").write_text(text)


def test_which_folds_there_are(folds):
    assert list(folds_in(folds)) == [0, 1, 2]
    assert folds_in(folds / "fold_0") == {}
    assert list(chosen_folds(folds, "all")) == [0, 1, 2]
    assert chosen_folds(folds, "best") == {1: folds / "fold_1"}
    assert chosen_folds(folds, "2") == {2: folds / "fold_2"}
    with pytest.raises(InputError, match="has no fold 7, expected one of 0, 1, 2"):
        chosen_folds(folds, "7")
    with pytest.raises(InputError, match=r"holds the folds of a cross-validation; give one, .*fold_0"):
        open_source(folds)


def test_a_best_fold_needs_scores_of_all(folds):
    summary = json.loads((folds / "summary.json").read_text())
    del summary["mean_of_fold"]["1"]
    (folds / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"fold 1 has no score in summary.json, .*; zoo evaluate .* scores them"):
        best_fold(folds, folds_in(folds))
    (folds / "summary.json").unlink()
    with pytest.raises(InputError, match="fold 0, 1, 2 has no score"):
        best_fold(folds, folds_in(folds))
    shutil.rmtree(folds / "fold_1")
    shutil.rmtree(folds / "fold_2")
    assert best_fold(folds, folds_in(folds)) == 0


def export(*words):
    return main(["export", *map(str, words), "--format", "onnx-float32"])


def test_the_best_fold_becomes_an_artifact(folds, tmp_path, capfd):
    assert export(folds, "--out", tmp_path / "best") == 0
    assert "fold_1" in capfd.readouterr().err
    assert edge.load_manifest(tmp_path / "best" / "onnx-float32").source["fold"] == 1
    assert export(folds, "--out", tmp_path / "given", "--fold", 2) == 0
    assert edge.load_manifest(tmp_path / "given" / "onnx-float32").source["fold"] == 2


def test_all_folds_become_an_ensemble(folds, tmp_path, capfd):
    assert export(folds, "--out", tmp_path / "out", "--fold", "all") == 0
    places = [tmp_path / "out" / f"fold_{fold}" / "onnx-float32" for fold in range(3)]
    assert f"zoo-edge predict {','.join(map(str, places))} SCAN" in capfd.readouterr().out
    scan = read(open_source(folds / "fold_0").validation[0].images[0])
    labels = load_ensemble(places).predict(scan).labels.voxels
    assert (labels == edge.load(places[0]).predict(scan).labels.voxels).all()  # three of the same network


@pytest.fixture
def configurations(folds, tmp_path):
    """What ``zoo train --configuration all`` leaves of two configurations, of which both are averaged."""
    folder = tmp_path / "configurations"
    for name in ("2d", "3d"):
        shutil.copytree(folds, folder / name)
    pair = {"chosen": {"classes": [{"label": "ball", "largest": True}]}}
    (folder / "2d+3d").mkdir()
    (folder / "2d+3d" / "summary.json").write_text(json.dumps({"folds": [0], "postprocessing": pair}))
    record.save(folder / FILE, Configurations("data", (0, 1, 2), ("2d", "3d"), chosen=("2d", "3d")))
    return folder


def test_which_runs_of_a_pair_are_exported(configurations, tmp_path):
    out = tmp_path / "out"
    best = [configurations / name / "fold_1" for name in ("2d", "3d")]
    assert exported_runs(configurations, None, out) == [(best[0], out / "2d"), (best[1], out / "3d")]
    assert [run.name for run, _ in exported_runs(configurations, "2", out)] == ["fold_2", "fold_2"]
    every = exported_runs(configurations, "all", out)
    assert [place for _, place in every] == [out / name / f"fold_{n}" for name in ("2d", "3d") for n in range(3)]
    state = Configurations("data", (0, 1, 2), ("2d", "3d"), chosen=("3d",))
    record.save(configurations / FILE, state)
    assert exported_runs(configurations, None, out) == [(best[1], out)]
    record.save(configurations / FILE, dataclasses.replace(state, chosen=()))
    with pytest.raises(InputError, match="have not all been trained; go on with zoo train --resume"):
        exported_runs(configurations, None, out)


def test_a_pair_becomes_two_artifacts_that_are_cleaned_up_together(configurations, tmp_path, capfd):
    assert export(configurations, "-o", tmp_path / "out") == 0
    places = [tmp_path / "out" / name / "onnx-float32" for name in ("2d", "3d")]
    assert f"zoo-edge predict {','.join(map(str, places))} SCAN" in capfd.readouterr().out
    for place in places:
        manifest = edge.load_manifest(place)
        assert manifest.source["fold"] == 1
        assert [(each.label, each.largest) for each in manifest.postprocessing.classes] == [("ball", True)]
    assert load_ensemble(places).others
    with pytest.raises(InputError, match=r"holds configurations; give a run of one of them, such as .*2d.fold_0"):
        open_source(configurations)
    assert export(configurations, "-o", tmp_path / "tuned", "--finetune", tmp_path / "run") == 2
    assert "--finetune: goes with a single network" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--fold", "some"], 2, "--fold some: expected a number, best or all"),
        (["--fold", "9"], 1, "has no fold 9"),
        (["--fold", "all", "--finetune", "tuned"], 2, "--finetune: goes with a single network"),
    ],
)
def test_mistakes_are_told_before_any_work(folds, tmp_path, capfd, words, status, message):
    assert export(folds, "--out", tmp_path / "out", *words) == status
    assert message in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_single_run_has_no_folds_to_choose(folds, tmp_path, capfd):
    assert export(folds / "fold_0", "--out", tmp_path / "out", "--fold", "best") == 2
    assert "--fold: is for a folder of zoo train --fold all" in capfd.readouterr().err
