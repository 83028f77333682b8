"""``zoo train --configuration all``: every configuration is trained, and the best, or the best pair, is used."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from dataset_folders import write_flat
from scipy.ndimage import map_coordinates
from scipy.special import softmax
from tiny import STILL_WORDS, write_dataset

import imaging
import zoo
from imaging import configurations
from imaging.cleaning import apply
from imaging.configurations import Scored, load_configurations
from imaging.tiling import predict_tiled
from medseg import record
from medseg.errors import InputError
from train.cli import main
from train.commands.train_configurations import announcement
from train.configurations.choice import GAIN, choose, table
from train.configurations.plans import plan_all
from train.data.dataset import open_dataset
from train.evaluation.cross_validation import load_decision
from train.fitting import folds as fitting
from train.fitting.run import open_run
from train.planning import planner
from zoo.commands.predict import open_segmenter


def tiny_flat(input_shape, classes=2, *, deep_supervision=False, name="tiny_flat"):
    """A 2D network of two convolutions."""
    import keras
    from keras import layers

    inputs = keras.Input(input_shape, name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="encoder0_conv")(inputs)
    return keras.Model(inputs, layers.Conv2D(classes, 1, dtype="float32", name="logits")(x), name=name)


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """Plans of these tests have networks whose training takes seconds."""
    networks = dict(planner.NETWORKS)
    zoo.register("tiny_flat", tiny_flat, rank=2, replace=True)
    planner.NETWORKS.update({2: "tiny_flat", 3: "tiny"})
    yield
    planner.NETWORKS.update(networks)
    zoo.unregister("tiny_flat")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Every configuration of a dataset, with the second interrupted and then resumed: (folder, dataset, what was said).

    The time is over before the first epoch of each.
    """
    folder = tmp_path_factory.mktemp("all")
    dataset = write_dataset(folder / "data", cases=4, shape=(16, 16, 12))
    fit, calls = fitting.fit_folds, []

    def interrupted(plan, *args, **options):
        calls.append(plan.configuration)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(plan, *args, **options)

    words = ["train", str(dataset.folder), "--configuration", "all", "--folds", "2", "--fold", "0"]
    words += ["--minutes", "0.0001", "--steps-per-epoch", "1", "--precision", "float32", "--augment", STILL_WORDS]
    words += ["--out", str(folder / "run")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "fit_folds", interrupted)
        assert main([*words, "--cache", str(folder / "cache")]) == 130
    return folder / "run", dataset


def test_an_interrupted_command_is_resumed_where_it_stopped(trained, capsys):
    run, dataset = trained
    state = load_configurations(run)
    assert (state.planned, state.chosen, state.folds) == (("2d", "2.5d", "3d"), (), (0,))
    first = run / "2d" / "fold_0" / "model.keras"
    before = first.stat().st_mtime_ns
    assert not (run / "2.5d").exists()
    assert main(["evaluate", str(run)]) == 1
    assert f"have not all been trained; go on with zoo train --resume --out {run}" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(run), "--cache", str(run.parent / "cache")]) == 0
    said = capsys.readouterr().out
    assert first.stat().st_mtime_ns == before
    state = load_configurations(run)
    assert [each.names for each in state.scored[:3]] == [("2d",), ("2.5d",), ("3d",)]
    assert {each.names for each in state.scored[3:]} == {("2d", "2.5d"), ("2d", "3d"), ("2.5d", "3d")}
    assert state.chosen
    assert table(state) in said
    assert f"2d, 2.5d, 3d apply to {dataset.folder}" in said
    assert "3d-low does not apply: the median scan" in said
    assert "cascade does not apply: the median scan" in said
    assert "fold 0 of each: 3 networks, 0.0001 minutes a network, 0.0003 in all" in said
    assert "note: 3d, fold 0: 0 s were over before its first epoch" in said
    assert f"zoo export {run} --format tflite-int8" in said
    assert not (run / ".probabilities").exists()
    page = (run / "report.html").read_text()
    for each in state.scored:
        cells = "".join(f"<td>{value:.4f}</td>" for value in (each.score, *each.by_label.values()))
        assert f"<td>{'+'.join(each.names)}</td><td>{'yes' * (each.names == state.chosen)}</td>{cells}" in page
    assert all(
        f"href='{name}/report.html'" in page and (run / name / "report.html").is_file() for name in state.planned
    )
    for each in state.scored[:3]:
        summary = json.loads((run / each.names[0] / "summary.json").read_text())
        assert each.by_label == {label: row["dice"] for label, row in summary["mean"].items()}
        assert each.score == pytest.approx(np.mean(list(each.by_label.values())))


def on_grid(run, scan):
    """Probabilities of a run's network at the voxels of a scan, by SciPy from its scores of the prepared scan."""
    plan, model = run.plan, run.model()
    prepared = imaging.prepare(scan, plan.recipe)
    scores = predict_tiled(
        prepared.voxels,
        plan.patch,
        plan.overlap,
        lambda patch: np.asarray(model(patch[None])[0]),
        slices=plan.recipe.slices,
    )
    places = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij")).reshape(3, -1)
    matrix = np.linalg.inv(prepared.affine) @ scan.affine
    there = matrix[:3, :3] @ places + matrix[:3, 3:]
    values = [map_coordinates(scores[..., k], there, order=1, mode="nearest") for k in range(scores.shape[-1])]
    return softmax(np.stack(values, -1).reshape(*scan.shape, -1), axis=-1)


@pytest.fixture
def pair(trained, tmp_path):
    """The folder with 2D and 3D chosen together, whatever scored best."""
    run, dataset = trained
    shutil.copytree(run, tmp_path / "run")
    state = load_configurations(run)
    record.save(tmp_path / "run" / configurations.FILE, dataclasses.replace(state, chosen=("2d", "3d")))
    return tmp_path / "run", dataset


def test_a_pair_is_scored_by_the_mean_of_its_probabilities(pair, capsys):
    run, dataset = pair
    scored = {each.names: each for each in load_configurations(run).scored}[("2d", "3d")]
    members = [open_run(run / name / "fold_0") for name in scored.names]
    dice = {"near": [], "far": []}
    for name in members[0].plan.folds[0]:
        case = dataset.case(name)
        scan = imaging.read(case.images[0])
        classes = sum(on_grid(member, scan) for member in members).argmax(-1)
        label = imaging.read_labels(case.label).voxels[..., 0]
        for index, (which, value) in enumerate((("near", 1), ("far", 5)), 1):
            a, b = classes == index, label == value
            dice[which].append(2 * (a & b).sum() / (a.sum() + b.sum()))
    for which, values in dice.items():
        assert scored.by_label[which] == pytest.approx(np.mean(values), abs=0.01)  # ties fall either way
    assert main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    assert "2d and 3d are averaged" in said
    summary = json.loads((run / "2d+3d" / "summary.json").read_text())
    assert {label: row["dice"] for label, row in summary["mean"].items()} == pytest.approx(scored.by_label)
    assert f"{scored.by_label['near']:.4f} ± " in said
    voxels = {label: sum(row[0] for row in rows) for label, rows in summary["calibration"].items()}
    assert set(voxels.values()) == {2 * 16 * 16 * 12}
    assert main(["compare", str(run), str(run / "2d")]) == 0
    assert "difference" in capsys.readouterr().out


def test_a_pair_predicts_and_is_cleaned_up_together(pair):
    run, dataset = pair
    assert main(["evaluate", str(run), "--json"]) == 0
    scan = imaging.read(dataset.cases[0].images[0])
    members = [open_run(run / name / "fold_0") for name in ("2d", "3d")]
    classes = sum(on_grid(member, scan) for member in members).argmax(-1)
    cleaned = apply(classes, load_decision(run / "2d+3d").chosen, members[0].plan.labels, scan.spacing)
    segmenter = open_segmenter(run)
    labels = segmenter.predict(scan).labels.voxels[..., 0]
    assert np.mean(labels == np.array([0, 1, 5])[cleaned]) > 0.99  # ties fall either way
    assert segmenter.manifest.format == "Keras, mean of 2 networks"
    assert segmenter.manifest.name == "boxes-tiny_flat+tiny"


def test_a_pair_is_tested_on_other_scans(pair, tmp_path, capsys):
    run, _ = pair
    elsewhere = write_dataset(tmp_path / "other", cases=2, shape=(16, 16, 12))
    for path in (elsewhere.folder / "imagesTr").iterdir():  # other files than those trained on
        scan = imaging.read(path)
        imaging.write(path, dataclasses.replace(scan, voxels=scan.voxels + 1))
    assert main(["evaluate", str(run), str(elsewhere.folder), "--no-report"]) == 0
    assert "2d and 3d are averaged" in capsys.readouterr().out
    metrics = json.loads((run / "2d+3d" / "external" / "other" / "metrics.json").read_text())
    assert (metrics["name"], metrics["kind"]) == ("boxes-tiny_flat+tiny", "mean of 2 networks")
    assert len(metrics["cases"]) == 2
    assert main(["evaluate", str(run), str(elsewhere.folder), "--ensemble", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folds"] == [0]


def test_one_that_was_chosen_is_used_as_its_own_folder(trained, tmp_path, capsys):
    run, dataset = trained
    shutil.copytree(run, tmp_path / "run")
    run = tmp_path / "run"
    record.save(run / configurations.FILE, dataclasses.replace(load_configurations(run), chosen=("3d",)))
    assert main(["evaluate", str(run), "--no-report"]) == 0
    assert f"{run}: 3d was chosen" in capsys.readouterr().out
    scan = imaging.read(dataset.cases[0].images[0])
    labels = open_segmenter(run).predict(scan).labels.voxels
    np.testing.assert_array_equal(labels, open_segmenter(run / "3d").predict(scan).labels.voxels)
    assert main(["evaluate", str(run / "2.5d" / "fold_0"), "--no-report"]) == 0
    with pytest.raises(InputError, match=r"holds configurations; give a run of one of them, such as .*2d/fold_0"):
        open_run(run)


def test_what_is_there_is_not_overwritten(trained, capsys):
    run, dataset = trained
    for words in (["--configuration", "all"], ["--configuration", "2d"], ["--fold", "all"]):
        assert main(["train", str(dataset.folder), "--out", str(run), *words]) == 1
        assert "holds configurations already; continue with --resume" in capsys.readouterr().err
    assert main(["train", str(dataset.folder), "--out", str(run / "2d"), "--configuration", "all"]) == 1
    assert "holds a run of one configuration" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(run), "--configuration", "2d"]) == 2
    assert "resume it without --configuration" in capsys.readouterr().err


def test_the_best_is_chosen_and_a_pair_only_where_it_gains():
    alone = [Scored(("2d",), 0.8), Scored(("3d",), 0.82), Scored(("3d-low",), 0.82)]
    assert choose(alone[:1], "dice", 1) == (
        ("2d",),
        "the only configuration that applies: mean Dice 0.8000 of 1 held-back case",
    )
    names, reason = choose([*alone, Scored(("2d", "3d"), 0.82 + 0.9 * GAIN), Scored(("2d", "3d-low"), 0.7)], "dice", 9)
    assert names == ("3d",)
    assert reason.startswith("the highest mean Dice of 9 held-back cases, 0.8200; the best pair, 2d+3d (0.8218)")
    assert "brings 0.0018 more" in reason
    names, reason = choose([*alone, Scored(("2d", "3d"), 0.83), Scored(("2d", "3d-low"), 0.9)], "dice", 9)
    assert names == ("2d", "3d-low")
    assert reason == "mean Dice 0.9000 of 9 held-back cases, 0.0800 more than the best alone, 3d (0.8200)"
    assert "brings no more" in choose([*alone, Scored(("2d", "3d"), 0.8)], "dice", 9)[1]
    assert choose(alone, "ap", 9) == (("3d",), "the highest average precision of 9 held-back cases, 0.8200")


def test_a_set_of_which_one_configuration_applies(tmp_path):
    write_flat(tmp_path / "flat", [f"scan_{n}" for n in range(6)], shape=(32, 32))
    dataset = open_dataset(tmp_path / "flat")
    plans, left_out = plan_all(dataset, 2)
    assert list(plans) == ["2d"]
    assert set(left_out) == {"2.5d", "3d", "3d-low", "cascade"}
    assert left_out["3d"] == "expected volumes, these scans are 2D; leave it out"
    state = configurations.Configurations("flat", (0,), ("2d",), left_out)
    said = announcement(state, plans, (0,))
    assert said.startswith("only 2d applies to flat\n2.5d does not apply: expected volumes")
    assert said.endswith("nothing to choose between, and it is trained alone\nfold 0 of each: 1 network")


def test_large_volumes_are_planned_at_low_resolution_too(tmp_path, monkeypatch):
    dataset = write_dataset(tmp_path / "data", cases=4)
    monkeypatch.setattr("train.planning.low_resolution.PATCH_VOXELS", {3: 8 * 8 * 8})
    plans, left_out = plan_all(dataset, 2)
    assert (list(plans), left_out) == (["2d", "2.5d", "3d", "3d-low", "cascade"], {})
    assert len({plan.folds for plan in plans.values()}) == 1
    assert len({str(plan.recipe) for plan in plans.values()}) == 5
    assert record.to_dict(plans["cascade"].first_plan()) | {"reasons": {}} == record.to_dict(
        dataclasses.replace(plans["3d-low"], reasons={})
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"planned": ["../2d"]}, "expected the name of a folder beside it"),
        ({"planned": [".."]}, "expected the name of a folder beside it"),
        ({"planned": []}, "expected configurations and folds, got none"),
        ({"chosen": ["4d"]}, "expected one or two of"),
        ({"chosen": ["2d", "2.5d", "3d"]}, "expected one or two of"),
        ({"folds": "0"}, "expected a list"),
    ],
)
def test_a_file_of_configurations_that_is_none(tmp_path, change, says):
    state = configurations.Configurations("data", (0,), ("2d", "2.5d", "3d"), chosen=("2d",))
    record.save(tmp_path / configurations.FILE, state)
    assert load_configurations(tmp_path) == state
    content = json.loads((tmp_path / configurations.FILE).read_text()) | change
    (tmp_path / configurations.FILE).write_text(json.dumps(content))
    with pytest.raises(InputError, match=says):
        load_configurations(tmp_path)


def test_the_history_tells_what_the_notes_say(trained):
    run, _ = trained
    (note,) = [note for note in load_configurations(run).notes if note.startswith("3d,")]
    with open(run / "3d" / "fold_0" / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert f"which took {float(row['seconds']):.0f} s" in note
