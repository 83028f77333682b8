"""Continuing a run: what is asked for again agrees with it, or is refused in a line that names the difference."""

import dataclasses
import importlib
import json
import os
import shutil

import numpy as np
import pytest
from tiny import make_plan, write_dataset

import imaging
from medseg import record
from medseg.errors import InputError, UsageError
from train.cli import main
from train.fitting import resuming
from train.fitting.fit import fit, network
from train.fitting.run import create_run, open_run
from train.input.pipeline import fold_cases
from train.planning.plan import Network


@pytest.fixture
def run(dataset, tmp_path):
    """A run that has ended; of its network only the file's name is there."""
    plan = make_plan(dataset, mirror=(0,))
    made = create_run(tmp_path / "run", plan, 1, str(dataset.folder), (), ())
    made.model_file.touch()
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fold", "2"], "was begun with fold 1, not 2"),
        (["--fold", "none"], "was begun with fold 1, not none"),
        (["--fold", "all"], "holds a single run"),
        (["--model", "unet3d"], "was begun with network.name tiny, not unet3d"),
        (["--epochs", "9"], "was begun with training.epochs 3, not 9"),
        (["--augment", "blur=0.9"], "was begun with training.augmentation.blur_chance 0.2, not 0.9"),
        (["--labels", "labels_endo"], "was begun with labels labels, not labels_endo"),
        (["--plan", "plan.json"], "was begun with patch (16, 16, 8), not (16, 16, 16)"),
        (["data"], "was begun with the dataset "),
    ],
)
def test_another_wish_is_refused(run, dataset, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    record.save("plan.json", dataclasses.replace(run.plan, patch=(16, 16, 16)))
    write_dataset(tmp_path / "data", cases=2)
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    assert main(["train", *words, "--resume", "--out", str(run.folder)]) == 2
    error = capsys.readouterr().err
    assert f"error: {run.folder}: {said}" in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [[], ["--fold", "1"], ["--plan", "plan.json"], ["--model", "tiny", "--epochs", "3"], ["--precision", "auto"]],
)
def test_the_same_wish_or_none_continues(run, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    network(run.plan).save(run.model_file)
    settings = dataclasses.replace(run.plan.training, precision="auto")
    record.save("plan.json", dataclasses.replace(run.plan, training=settings, reasons={"patch": "another"}))
    assert main(["train", *words, "--resume", "--out", str(run.folder)]) == 0
    said = capsys.readouterr().out
    assert "model.keras is the trained network" in said
    assert "postprocessing: " in said  # it is decided again
    assert (run.folder / "postprocessing.json").is_file()


def test_a_dataset_that_was_moved_is_taken_from_where_it_is_now(tmp_path):
    moved = write_dataset(tmp_path / "moved", cases=3)
    run = create_run(tmp_path / "run", make_plan(moved), 0, str(tmp_path / "gone"), (), ())
    with pytest.raises(InputError, match=r"its dataset folder .*gone is gone; give the folder where it lies now"):
        resuming.dataset_folder(run)
    assert resuming.dataset_folder(run, moved.folder) == moved.folder


def test_training_cases_that_changed_since_are_told(tmp_path, capsys):
    data = write_dataset(tmp_path / "data", cases=3)
    plan = make_plan(data)
    training, held_back = fold_cases(data, plan, 1)
    run = create_run(tmp_path / "run", plan, 1, str(data.folder), training, held_back)
    run.model_file.touch()
    resume = ["train", "--resume", "--out", str(run.folder)]

    def told():
        assert main(resume) == 0
        return capsys.readouterr().err

    assert told() == ""
    exchange(held_back[0].label)
    assert told() == ""
    exchange(training[1].label)
    assert told().startswith(
        f"{run.folder}: 1 of 2 training cases changed since it was begun, such as {training[1].name}; what it learnt"
    )
    (run.folder / "contents.json").unlink()  # of a run that an older version began
    assert told() == ""
    (run.folder / "contents.json").write_text("[]")
    assert main(resume) == 1
    assert "contents.json: expected case names and digests" in capsys.readouterr().err


def exchange(path):
    """Replace a label file by one of the other values, as old as it was."""
    labels, state = imaging.read_labels(path), os.stat(path)
    imaging.write(path, dataclasses.replace(labels, voxels=np.where(labels.voxels == 1, 5, labels.voxels)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_nothing_to_resume_without_a_dataset(tmp_path, capsys):
    assert main(["train", "--resume", "--out", str(tmp_path / "none")]) == 2
    assert "holds no run to resume; give the dataset folder" in capsys.readouterr().err


def test_a_folder_of_folds_says_how_it_is_resumed(run, tmp_path, capsys):
    shutil.copytree(run.folder, tmp_path / "all" / "fold_1")
    assert main(["train", "--resume", "--out", str(tmp_path / "all")]) == 2
    assert "holds several folds; resume them with --fold all" in capsys.readouterr().err


def test_the_run_folder_remembers_the_dataset_wherever_it_was_started(dataset, cache, tmp_path, monkeypatch):
    plan = dataclasses.replace(make_plan(dataset, epochs=1, steps_per_epoch=1), network=Network("tiny"))
    monkeypatch.setattr(importlib.import_module("train.fitting.fit"), "_train", lambda run, *_: run)
    monkeypatch.chdir(dataset.folder.parent)
    relative = dataclasses.replace(dataset, folder=type(dataset.folder)(dataset.folder.name))
    run = fit(plan, relative, tmp_path / "run", fold=None, cache=cache, verbose=False)
    monkeypatch.chdir(tmp_path)
    assert open_run(run.folder).dataset == str(dataset.folder)
    assert resuming.dataset_folder(run) == dataset.folder
    with pytest.raises(UsageError, match="was begun with fold none, not 0"):
        fit(None, dataset, run.folder, 0, resume=True)


def test_scores_of_another_fold_and_of_flips_have_files_of_their_own(run, monkeypatch):
    untrained = network(run.plan)
    monkeypatch.setattr(type(run), "model", lambda self: untrained)
    names = {
        (): "metrics.json",
        ("--mirror",): "metrics_mirror.json",
        ("--fold", "2"): "metrics_fold2.json",
        ("--fold", "1"): "metrics.json",
        ("--fold", "2", "--mirror"): "metrics_fold2_mirror.json",
    }
    for words in names:
        assert main(["evaluate", str(run.folder), *words, "--no-report"]) == 0
    assert {path.name for path in run.folder.glob("metrics*")} == set(names.values())
    for words, name in names.items():
        metrics = json.loads((run.folder / name).read_text())
        assert metrics["mirror"] == ("--mirror" in words)
        assert metrics["fold"] == (2 if "2" in words else 1)


@pytest.mark.parametrize("words", [["--fold", "0"], ["--fold", "0,1"]])
@pytest.mark.parametrize("name", ["history.csv", "model.keras", "checkpoints/notes.txt"])
def test_a_training_replaces_nothing_of_the_users(dataset, tmp_path, capsys, name, words):
    record.save(tmp_path / "plan.json", make_plan(dataset))
    out = tmp_path / "project"
    place = out / "fold_0" / name if "," in words[1] else out / name
    place.parent.mkdir(parents=True)
    place.write_text("the user's")
    before = sorted(tmp_path.rglob("*"))
    command = ["train", str(dataset.folder), "--plan", str(tmp_path / "plan.json"), "--out", str(out), *words]
    for resume in ([], ["--resume"]):
        assert main([*command, *resume]) == 1
        assert f"holds {name.split('/')[0]}, which no training wrote" in capsys.readouterr().err
    assert place.read_text() == "the user's"
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_killed_process_left_of_a_new_run_is_no_hindrance(dataset, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("run.json", "cases.json"):
        (tmp_path / "run" / name).write_text("{}")
    assert create_run(tmp_path / "run", make_plan(dataset), 1, str(dataset.folder), (), ()).fold == 1


def test_a_run_of_a_newer_version_says_so_though_run_json_has_new_fields(run):
    for name, new in (("plan.json", {"schema": 99, "needs": "9.9"}), ("run.json", {"field": 1})):
        path = run.folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | new))
    with pytest.raises(InputError, match=r"plan schema 99, .* it needs medseg-zoo 9.9 or newer"):
        open_run(run.folder)
