"""A cascade in training: what the first network finds goes into the second, made worse at random."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
from tiny import STILL, STILL_WORDS, make_plan, write_dataset

import imaging
from imaging import UsageError
from imaging.prior import one_hot
from imaging.tiling import predict_tiled
from medseg import record
from medseg.errors import InputError
from train.cli import main
from train.data.dataset import open_dataset
from train.evaluation.ensemble import ensemble_segmenter
from train.evaluation.evaluate import evaluate
from train.evaluation.reference import read_case
from train.fitting.fit import fit
from train.fitting.run import open_run
from train.input import prior_augmentation
from train.input.anisotropy import Grid
from train.input.cache import cache_cases
from train.input.pipeline import batches
from train.input.prior_cache import with_priors
from train.planning.plan import First, load_plan

fitting = importlib.import_module("train.fitting.fit")  # the module; train.fit is the function
GRID = Grid((24, 20, 16), (1.0, 1.0, 1.0))


def make_cascade(dataset, **training):
    """A plan for ``write_dataset`` whose first network sees voxels twice as large."""
    plan = make_plan(dataset, **training)
    low = dataclasses.replace(plan.recipe, spacing=(3.0, 2.0, 4.0))
    first = First(low, plan.network, (8, 8, 8), plan.training)
    recipe = dataclasses.replace(plan.recipe, prior=len(plan.labels) - 1)
    return dataclasses.replace(plan, recipe=recipe, first=first, configuration="cascade")


def label_of(case, plan):
    return read_case(case, plan.labels)[1].voxels[..., 0]


@pytest.fixture(scope="module")
def cascade(dataset, cache, tmp_path_factory):
    """A finished run."""
    plan = make_cascade(dataset, validate_every=3, augmentation=STILL)
    return fit(plan, dataset, tmp_path_factory.mktemp("cascade") / "run", cache=cache, verbose=False)


def by_hand(run, scan):
    """Probabilities of a scan by both networks, step by step, at the voxels of the prepared scan."""
    plan, low = run.plan, open_run(run.folder / "first")

    def scores(model, voxels, patch):
        return predict_tiled(voxels, patch, 0.5, lambda patch: np.asarray(model(patch[None])[0]))

    coarse = imaging.prepare(scan, plan.first.recipe)
    first_classes = imaging.restore_classes(scores(low.model(), coarse.voxels, plan.first.patch), coarse, scan)
    prepared = imaging.prepare(scan, plan.recipe)
    on_grid = imaging.prepare_labels(imaging.Scan(first_classes[..., None], scan.affine), prepared, plan.recipe).voxels[
        ..., 0
    ]
    channels = [prepared.voxels[..., 0], on_grid == 1, on_grid == 2]
    both = np.stack(channels, -1).astype(np.float32)
    return imaging.restore_classes(scores(run.model(), both, plan.patch), prepared, scan), first_classes


def test_the_first_network_is_a_run_of_its_own(cascade):
    first = open_run(cascade.folder / "first")
    assert first.plan.configuration == "3d-low"
    assert (first.plan.recipe, first.plan.first) == (cascade.plan.first.recipe, None)
    assert (first.plan.folds, first.fold) == (cascade.plan.folds, cascade.fold)
    assert first.model().input_shape[-1] == 1
    assert cascade.model().input_shape[-1] == 3
    assert (first.folder / "history.csv").is_file()


def test_scores_predictions_and_ensembles_are_of_both_networks(cascade, dataset, tmp_path):
    metrics = evaluate(cascade, dataset, keep=True)
    name = cascade.plan.folds[0][0]
    scan = imaging.read(dataset.case(name).images[0])
    expected, _ = by_hand(cascade, scan)
    values = np.array([label.value for label in cascade.plan.labels])
    kept = imaging.read_labels(cascade.folder / "predictions" / f"{name}.nii.gz").voxels[..., 0]
    np.testing.assert_array_equal(kept, values[expected])
    assert set(metrics["cases"]) == set(cascade.plan.folds[0])
    np.testing.assert_array_equal(ensemble_segmenter([cascade])(scan), expected)
    twice = ensemble_segmenter([cascade, cascade])(scan)
    assert np.mean(twice == expected) > 0.99  # by probabilities on the scan's grid
    with pytest.raises(UsageError, match="plan: is of a cascade, whose first network is in its run folder"):
        evaluate(cascade.model(), dataset, plan=cascade.plan)


def test_a_run_whose_first_network_is_gone(cascade, dataset, tmp_path):
    import shutil

    shutil.copytree(cascade.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "first")
    with pytest.raises(InputError, match=r"run: is of a cascade, whose first network is not there whole: plan\.json"):
        evaluate(open_run(tmp_path / "run"), dataset)


def test_interrupted_in_either_network_it_is_resumed(cascade, dataset, cache, tmp_path, monkeypatch):
    """Before the first network is trained, and once more before the second."""
    trained, calls = fitting._train, []

    def interrupted(run, *arguments):
        calls.append(run.folder.name)
        if len(calls) in (1, 3):
            raise KeyboardInterrupt
        return trained(run, *arguments)

    plan, first = make_cascade(dataset, validate_every=3, augmentation=STILL), tmp_path / "run" / "first"
    monkeypatch.setattr(fitting, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    assert calls == ["first"]
    assert not (first / "model.keras").exists()
    with pytest.raises(KeyboardInterrupt):
        fit(None, dataset, tmp_path / "run", resume=True, cache=cache, verbose=False)
    assert calls == ["first", "first", "run"]
    assert (first / "model.keras").is_file()
    run = fit(None, dataset, tmp_path / "run", resume=True, cache=cache, verbose=False)
    assert calls == ["first", "first", "run", "run"]
    for again, once in ((run, cascade), (open_run(first), open_run(cascade.folder / "first"))):
        for a, b in zip(again.model().weights, once.model().weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_second_network_is_given_what_the_first_finds(cascade, dataset, cache):
    """In validation untouched; the patch is the scan, so that it is seen whole."""
    plan = dataclasses.replace(cascade.plan, patch=(16, 24, 16))
    case = dataset.case(plan.folds[0][0])
    cached = cache_cases([case], plan.recipe, plan.labels, cache)
    first = open_run(cascade.folder / "first")
    segment, key = fitting.first_segmenter(cascade, plan), fitting._key(first)
    (known,) = with_priors([case], cached, segment, key, plan, cache)
    scan = imaging.read(case.images[0])
    _, first_classes = by_hand(cascade, scan)
    assert np.count_nonzero(first_classes)
    assert (known.first_answer(3).classes.shape, known.first_answer(3).channels) == (known.shape, 2)
    image, _ = next(iter(batches([known], plan, training=False, steps=1)))
    turned = imaging.prepare_labels(
        imaging.Scan(first_classes[..., None], scan.affine), imaging.prepare(scan, plan.recipe), plan.recipe
    ).voxels[..., 0]
    np.testing.assert_array_equal(known.first_answer(3).classes, turned)
    inner = tuple(slice((p - n) // 2, (p - n) // 2 + n) for p, n in zip(plan.patch, turned.shape, strict=True))
    np.testing.assert_array_equal(image.numpy()[0][inner][..., 1:], one_hot(turned, 2))


def test_augmentation_moves_the_prior_with_the_label(dataset, cache, monkeypatch):
    """A first network without fault: its channels are the label's, however scan and label are turned."""
    monkeypatch.setattr(prior_augmentation, "CHANGE_CHANCE", 0.0)
    monkeypatch.setattr(prior_augmentation, "LEAVE_OUT_CHANCE", 0.0)
    moving = dataclasses.replace(STILL, rotation_chance=1.0, scale_chance=1.0, elastic_chance=1.0, noise_chance=1.0)
    plan = make_cascade(dataset, augmentation=moving, foreground=1.0)
    cases = dataset.cases[:2]
    truth = iter([label_of(case, plan) for case in cases])
    cached = cache_cases(cases, plan.recipe, plan.labels, cache)
    known = with_priors(cases, cached, lambda scan: next(truth), "truth", plan, cache)
    seen = set()
    for image, label in batches(known, plan, training=True, steps=4):
        np.testing.assert_array_equal(image.numpy()[..., 1:], one_hot(label.numpy(), 2))
        seen |= set(np.unique(label))
    assert seen == {0, 1, 2}


def test_in_training_what_was_found_is_made_worse(dataset, cache):
    plan = make_cascade(dataset, augmentation=STILL, foreground=1.0, mirror=())
    cases = dataset.cases[:2]
    truth = iter([label_of(case, plan) for case in cases])
    cached = cache_cases(cases, plan.recipe, plan.labels, cache)
    known = with_priors(cases, cached, lambda scan: next(truth), "truth", plan, cache)
    changed = [
        np.any(channels[..., 1:] != one_hot(truth, 2))
        for image, label in batches(known, plan, training=True, steps=40)
        for channels, truth in zip(image.numpy(), label.numpy(), strict=True)
    ]
    assert 0.3 < np.mean(changed) < 0.75  # 0.4 and 0.2 make 0.52
    again = next(iter(batches(known, plan, training=True, steps=1)))
    np.testing.assert_array_equal(again[0], next(iter(batches(known, plan, training=True, steps=1)))[0])


def test_the_cache_of_scans_is_that_of_the_network_of_full_resolution(dataset, cache):
    plan = make_cascade(dataset)
    alone = dataclasses.replace(plan.recipe, prior=0)
    with_prior, without = (
        cache_cases(dataset.cases[:1], recipe, plan.labels, cache)[0].folder for recipe in (plan.recipe, alone)
    )
    assert with_prior == without


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": None}, "recipe.prior is 2, expected 0, as there is no first"),
        ({"recipe__prior": 1}, "recipe.prior is 1, expected 2, the labels but the background"),
        ({"first__recipe__prior": 2}, "first.recipe.prior is 2, expected 0"),
        ({"first__recipe__channels": 2}, "first.recipe.channels is 2, expected 1 as in recipe"),
        ({"first__recipe__slices": 1}, "first: "),
        ({"first__patch": [7, 8, 8]}, r"first: patch \(7, 8, 8\) must divide"),
        ({"first__training__batch": 0}, "first: training.batch is 0, expected at least 1"),
        ({"configuration": "3d"}, "configuration is '3d', expected 'cascade'"),
    ],
)
def test_a_plan_edited_by_hand(dataset, tmp_path, capsys, change, message):
    path = tmp_path / "plan.json"
    record.save(path, make_cascade(dataset))
    assert load_plan(path) == make_cascade(dataset)
    data = json.loads(path.read_text())
    for name, value in change.items():
        inner = data
        *outer, last = name.split("__")
        for part in outer:
            inner = inner[part]
        inner[last] = value
    path.write_text(json.dumps(data))
    assert main(["train", str(dataset.folder), "--plan", str(path), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    import re

    assert re.search(message, said)
    assert not (tmp_path / "run").exists()


def test_what_is_of_one_network_is_refused(cascade, dataset, tmp_path, capsys):
    assert main(["finetune", str(cascade.folder), "--out", str(tmp_path / "tuned")]) == 2
    assert "training.quantize: a cascade's networks are not fine-tuned for int8" in capsys.readouterr().err
    words = ["train", str(dataset.folder), "--plan", str(cascade.folder / "plan.json"), "--out", str(tmp_path / "run")]
    assert main([*words, "--model", "unet3d"]) == 2
    assert "--model unet3d: the plan is of a cascade; plan again with this model" in capsys.readouterr().err


def test_one_command_plans_trains_and_cross_validates(tmp_path, cache, capsys, monkeypatch):
    monkeypatch.setattr("train.planning.low_resolution.PATCH_VOXELS", {3: 8 * 8 * 8})
    monkeypatch.setattr("train.planning.planner.NETWORKS", {2: "tiny", 3: "tiny"})
    dataset = write_dataset(tmp_path / "data", cases=4)
    run = tmp_path / "run"
    words = ["train", str(dataset.folder), "--configuration", "cascade", "--folds", "2", "--epochs", "1"]
    words += ["--steps-per-epoch", "2", "--precision", "float32", "--augment", STILL_WORDS, "--cache", str(cache)]
    words += ["--out", str(run)]
    assert main(words) == 0
    assert "first network of the cascade, of low resolution" in capsys.readouterr().out
    for fold in (0, 1):
        plan = load_plan(run / f"fold_{fold}" / "plan.json")
        assert (plan.configuration, plan.recipe.prior) == ("cascade", 2)
        assert (plan.training.epochs, plan.first.training.epochs) == (1, 1)
        assert open_run(run / f"fold_{fold}" / "first").fold == fold
        assert plan.first.recipe.spacing[0] > plan.recipe.spacing[0]
        assert "first.recipe.spacing" in plan.reasons
    summary = json.loads((run / "summary.json").read_text())
    assert len(summary["cases"]) == 4
    assert main(["evaluate", str(run / "fold_0"), "--mirror"]) == 0
    assert (run / "fold_0" / "report_mirror.html").is_file()


def test_all_configurations_share_the_network_of_low_resolution(tmp_path, cache, capsys, monkeypatch):
    import zoo
    from train.commands import train_configurations

    monkeypatch.setattr("train.planning.low_resolution.PATCH_VOXELS", {3: 8 * 8 * 8})
    monkeypatch.setattr("train.planning.planner.NETWORKS", {2: "unet", 3: "tiny"})
    monkeypatch.setattr("train.configurations.plans.CONFIGURATIONS", ("3d-low", "cascade"))
    assert zoo.info("tiny").rank == 3
    dataset = write_dataset(tmp_path / "data", cases=4)
    run = tmp_path / "run"
    words = ["train", str(dataset.folder), "--configuration", "all", "--folds", "2", "--fold", "0", "--epochs", "1"]
    words += ["--steps-per-epoch", "1", "--precision", "float32", "--augment", STILL_WORDS, "--cache", str(cache)]
    words += ["--out", str(run)]
    assert main(words) == 0
    assert "3d-low, cascade apply" in capsys.readouterr().out
    low, first = run / "3d-low" / "fold_0", run / "cascade" / "fold_0" / "first"
    assert (low / "model.keras").read_bytes() == (first / "model.keras").read_bytes()
    assert not (first / "checkpoints").exists()
    assert train_configurations.ALL == "all"
    state = json.loads((run / "configurations.json").read_text())
    assert [each["names"] for each in state["scored"]] == [["3d-low"], ["cascade"], ["3d-low", "cascade"]]
    assert main(["train", "--resume", "--out", str(run), "--cache", str(cache)]) == 0


def test_sets_that_have_no_cascade(tmp_path, capsys):
    dataset = write_dataset(tmp_path / "data", cases=4)
    words = ["train", str(dataset.folder), "--out", str(tmp_path / "run")]
    assert main([*words, "--configuration", "cascade"]) == 2
    said = capsys.readouterr().err
    assert "configuration 'cascade': the median scan (14, 18, 13) has 3276 voxels, expected more than 442368" in said
    assert len(said.strip().splitlines()) == 1
    assert open_dataset(dataset.folder).cases
