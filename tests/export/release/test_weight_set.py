"""A run to a set of pretrained weights: what is in it, and that parts that do not belong together are refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from export_runs import ball_network, write_run

import edge
import zoo
from export.artifact.folder import export_run
from export.release.weight_set import About, pack
from imaging.cleaning import ClassCleaning, Postprocessing
from medseg import record
from medseg.errors import InputError
from zoo import weights

ABOUT = About("balls", "made here", "CC0-1.0", "nobody", "tests", "all else")
NAMES = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd")


def quietly(line):
    """Takes the place of printing."""


def build_balls(input_shape, classes=2, *, name="balls"):
    """The network of the runs as an entry of the registry."""
    assert classes == 2
    return ball_network(len(input_shape) - 1, input_shape[-1])


@pytest.fixture(scope="module", autouse=True)
def registered():
    zoo.register("balls", build_balls, rank=3, edge="int8")
    yield
    zoo.unregister("balls")


def finish(run, fold, scores, epochs=3):
    """What training and evaluation would have left beside the network; ``scores`` by case."""
    edit(run / "run.json", fold=fold)
    edit(run / "plan.json", folds=[["a"], ["b"]])
    (run / "history.csv").write_text("epoch,loss\n" + "".join(f"{n},0.1\n" for n in range(epochs)))
    cases = {case: {"ball": dict.fromkeys(NAMES, value)} for case, value in scores.items()}
    mean = {"ball": dict.fromkeys(NAMES, float(np.mean(list(scores.values()))))} if scores else {}
    (run / "metrics.json").write_text(json.dumps({"fold": fold, "mirror": False, "cases": cases, "mean": mean}))
    return run


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The run of all cases with its artifact, and a scored run of each fold."""
    place = tmp_path_factory.mktemp("made")
    everything = finish(write_run(place / "all", training=5, validation=0), None, {})
    artifact = export_run(everything, ["tflite-int8"], place / "artifacts", tell=quietly)[0]
    folds = [
        finish(write_run(place / "fold0"), 0, {"validation_0": 0.8, "validation_1": 0.6}, epochs=2),
        finish(write_run(place / "fold1"), 1, {"other_0": 1.0}),
    ]
    return place, everything, artifact, folds


@pytest.fixture
def copied(made, tmp_path):
    """The same, to be changed."""
    shutil.copytree(made[0], tmp_path / "made")
    moved = [tmp_path / "made" / Path(path).relative_to(made[0]) for path in (made[1], made[2], *made[3])]
    return moved[0], moved[1], moved[2:]


@pytest.mark.parametrize("kind", weights.KINDS)
def test_a_set_is_whole_and_works(made, tmp_path, kind):
    _, run, artifact, folds = made
    folder = pack(run, "toys", ABOUT, artifact, folds, tmp_path, commands=("zoo train X",), kind=kind, tell=quietly)
    assert folder == tmp_path / "balls-toys"
    assert [path.name for path in tmp_path.iterdir()] == ["balls-toys"]
    assert {p.name for p in folder.iterdir()} == {"weights.npz", "card.json", "CARD.md", "tflite-int8"}

    card = weights.list_weights(folder=tmp_path)[0]
    assert (card.entry, card.name, card.classes, card.licence) == ("balls", "toys", ("background", "ball"), "CC0-1.0")
    assert (card.seed, card.epochs, card.parameters) == (0, 3, ball_network().count_params())
    assert (card.scores["folds"], card.scores["cases"]) == ([0, 1], 3)
    assert card.scores["mean"]["ball"]["dice"] == pytest.approx(0.8)
    assert card.scores["std"]["ball"]["dice"] == pytest.approx(np.std([0.8, 0.6, 1.0]), abs=1e-6)
    assert card.scores["training"] == {"0": {"epochs": [2, 3]}}
    assert card.split.startswith("trained on 5 cases, none held back; scored by cross-validation on 3 cases of folds 0")
    assert card.storage["kind"] == kind
    assert card.storage["labels"]["ball"]["dice_float32"] > 0.85
    assert card.commands[0] == "zoo train X"
    assert card.commands[1].startswith("zoo weights pack run --name toys")
    text = (folder / "CARD.md").read_text()
    for said in ("0.8000 ± 0.1633", "epochs 2 instead of 3", "that the network was trained on", "CC0-1.0"):
        assert said in text
    assert str(made[0]) not in text + (folder / "card.json").read_text()

    model = zoo.get("balls", weights=folder)
    patch = np.random.default_rng(0).normal(0.5, 0.3, (1, 8, 8, 8, 1)).astype("float32")
    bound = 1e-3 if kind == "float16" else 1e-2
    np.testing.assert_allclose(model(patch), ball_network()(patch), atol=bound)
    assert edge.load(weights.artifact("balls", folder), 1).manifest.sha256 == card.artifact["sha256"]


def test_scores_of_the_artifacts_of_the_folds(made, tmp_path):
    _, run, artifact, folds = made
    on_device = export_run(folds[0], ["tflite-int8"], tmp_path / "device", tell=quietly)[0]
    scores = edge.load_manifest(on_device).fidelity["labels"]["ball"]
    place = tmp_path / "fold0"
    shutil.copytree(folds[0].parent, place)
    cases = dict.fromkeys(("validation_0", "validation_1"), scores["dice_network"])
    scored = finish(place / "run", 0, cases)
    folder = pack(run, "toys", ABOUT, artifact, [scored], tmp_path, device_scores=[on_device], tell=quietly)
    card = weights.list_weights(folder=tmp_path)[0]
    assert card.int8_scores == {"folds": [0], "cases": 2, "dice": {"ball": round(scores["dice_artifact"], 6)}}
    assert "through the device runtime: ball" in (folder / "CARD.md").read_text()
    with pytest.raises(InputError, match=r"the run of fold 0 has 0\.7; give the artifact of that run"):
        pack(run, "toys", ABOUT, artifact, folds, tmp_path, device_scores=[on_device], tell=quietly)
    with pytest.raises(InputError, match="an artifact of fold None"):
        pack(run, "toys", ABOUT, artifact, folds, tmp_path, device_scores=[artifact], tell=quietly)


@pytest.mark.parametrize("whose", ["run", "cross-validation"])
def test_artifacts_that_clean_up_are_held_against_cleaned_scores(made, tmp_path, whose):
    """The network alone scored 0.3 here, which tells nothing of an artifact that cleans up."""
    _, run, artifact, folds = made
    on_device = tmp_path / "device"
    shutil.copytree(export_run(folds[0], ["tflite-int8"], tmp_path / "plain", tell=quietly)[0], on_device)
    manifest = edge.load_manifest(on_device)
    chosen = Postprocessing((ClassCleaning("ball", largest=True),))
    record.save(on_device / "manifest.json", dataclasses.replace(manifest, postprocessing=chosen))
    names = ("validation_0", "validation_1")
    scored = tmp_path / "runs" / "fold_0"
    shutil.copytree(folds[0], scored)
    finish(scored, 0, dict.fromkeys(names, 0.3))
    words = {"device_scores": [on_device], "tell": quietly}
    with pytest.raises(InputError, match="the run of fold 0 has None; give the artifact of that run"):
        pack(run, "toys", ABOUT, artifact, [scored], tmp_path, **words)
    dice = manifest.fidelity["labels"]["ball"]["dice_network"]
    cleaned = {"cases": {case: {"ball": dict.fromkeys(NAMES, dice)} for case in names}}
    place = scored / "metrics.json" if whose == "run" else scored.parent / "summary.json"
    content = json.loads(place.read_text()) if place.is_file() else {"folds": [], "postprocessing": {"chosen": {}}}
    place.write_text(json.dumps(content | {"postprocessed": cleaned}))
    pack(run, "toys", ABOUT, artifact, [scored], tmp_path, **words)
    card = weights.list_weights(folder=tmp_path)[0]
    assert card.scores["mean"]["ball"]["dice"] == 0.3
    assert card.int8_scores["dice"]["ball"] == round(manifest.fidelity["labels"]["ball"]["dice_artifact"], 6)


def test_a_folder_of_folds_is_its_runs(made, tmp_path):
    _, run, artifact, folds = made
    for number, fold in enumerate(folds):
        shutil.copytree(fold, tmp_path / "folds" / f"fold_{number}")
    pack(run, "toys", ABOUT, artifact, [tmp_path / "folds"], tmp_path / "out", tell=quietly)
    assert weights.list_weights(folder=tmp_path / "out")[0].scores["folds"] == [0, 1]


def _scored_on_training(run, artifact, folds):
    finish(folds[0], 0, {"training_1": 0.99})


def _scored_twice(run, artifact, folds):
    finish(folds[1], 1, {"validation_1": 0.9})


def _not_scored(run, artifact, folds):
    (folds[0] / "metrics.json").unlink()


def _trained_on_all(run, artifact, folds):
    edit(folds[0] / "run.json", fold=None)


def _another_recipe(run, artifact, folds):
    recipe = json.loads((folds[1] / "plan.json").read_text())["recipe"]
    edit(folds[1] / "plan.json", recipe=recipe | {"spacing": [1.0, 1.0, 1.0]})


def _another_network(run, artifact, folds):
    edit(folds[0] / "plan.json", network={"name": "unet3d", "options": {}})


def _another_fold_in_the_artifact(run, artifact, folds):
    source = json.loads((artifact / "manifest.json").read_text())["source"]
    edit(artifact / "manifest.json", source=source | {"fold": 2})


def _not_verified(run, artifact, folds):
    edit(artifact / "manifest.json", fidelity={})


def _other_weights(run, artifact, folds):
    ball_network(threshold=0.7).save(run / "model.keras")


def _a_place(run, artifact, folds):
    source = json.loads((artifact / "manifest.json").read_text())["source"]
    edit(artifact / "manifest.json", source=source | {"model_file": "/home/someone/model.keras"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_scored_on_training, "scores training_1, which the run was trained on"),
        (_scored_twice, "case validation_1 was scored by another run too"),
        (_not_scored, "score the run with zoo evaluate"),
        (_trained_on_all, "was trained on every case"),
        (_another_recipe, "its recipe differs"),
        (_another_network, "trained network unet3d, the shipped run balls"),
        (_another_fold_in_the_artifact, "made of fold 2, the run has None"),
        (_not_verified, "was not verified"),
        (_other_weights, "was verified against a network of Dice"),
        (_a_place, "'/home/someone/model.keras' names a place on this machine"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_is_left(copied, tmp_path, spoil, message):
    run, artifact, folds = copied
    spoil(run, artifact, folds)
    with pytest.raises(InputError, match=message):
        pack(run, "toys", ABOUT, artifact, folds, tmp_path / "out", tell=quietly)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_storage_that_costs_too_much_is_refused(made, tmp_path):
    _, run, artifact, folds = made
    with pytest.raises(InputError, match=r"stored as int8: .*mean Dice drops by .*; store it as float16"):
        pack(run, "toys", ABOUT, artifact, folds, tmp_path, kind="int8", max_drop=-1.0, tell=quietly)
    assert list(tmp_path.iterdir()) == []


def test_the_gate_holds_whatever_drop_is_allowed(made, tmp_path, monkeypatch):
    _, run, artifact, folds = made
    write_set = weights.write_set

    def write_another(folder, model, card, kind):
        write_set(folder, model, card, kind)
        with np.load(folder / "weights.npz") as stored:
            zeros = {name: np.zeros_like(value) for name, value in stored.items()}
        np.savez(folder / "weights.npz", **zeros)

    monkeypatch.setattr(weights, "write_set", write_another)
    with pytest.raises(InputError, match=r"stored as float16: verdict fail: .*; store it as float16"):
        pack(run, "toys", ABOUT, artifact, folds, tmp_path, max_drop=1.0, tell=quietly)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(made, tmp_path, capsys):
    from zoo.cli import main

    _, run, artifact, folds = made
    record.save(tmp_path / "about.json", ABOUT)
    words = ["weights", "pack", run, "--name", "toys", "--about", tmp_path / "about.json", "--artifact", artifact]
    words += ["--scores", *folds, "--command", "zoo train X", "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0
    assert main(["weights", "show", str(tmp_path / "out" / "balls-toys")]) == 0
    said = capsys.readouterr().out
    assert "MB in all" in said
    assert "# balls-toys" in said
    assert main([str(word) for word in words[:-1]] + [str(tmp_path / "out")]) == 0, "a set is replaced"
    assert main(["weights", "show", "unet3d-nothing"]) == 2
    assert "unknown set of weights 'unet3d-nothing'" in capsys.readouterr().err
