"""Regions from the dataset folder to the device: planned, trained with a sigmoid each, scored, exported, predicted."""

import dataclasses
import json

import nibabel
import numpy as np
import pytest
import tensorflow as tf
from batches import taken
from tiny import STILL, make_plan, write_dataset

import edge
import imaging
from export.artifact.folder import export_run
from imaging.labels import Label, Region
from imaging.measure.overlap import dice
from imaging.regions import classes_of
from medseg import record
from medseg.errors import InputError, UsageError
from train.data.dataset import open_dataset
from train.evaluation.cross_validation import cross_validate, summary_table
from train.evaluation.ensemble import ensemble_segmenter
from train.evaluation.evaluate import evaluate
from train.evaluation.segmenting import patch_predictor
from train.fitting.compiling import objective
from train.fitting.fit import fit, network
from train.input.augmentation_chances import with_chances
from train.input.cache import cache_cases
from train.input.pipeline import batches
from train.planning.plan import Plan
from train.planning.plan_check import check_plan
from train.planning.planner import make_plan as plan_by_rules

REGIONS = (Region("whole", (1, 5), 1), Region("far", (5,), 5))


def write_regions(folder, ignored: bool = False):
    """The boxes of ``write_dataset``, described as nnU-Net v2 describes regions; ``ignored`` is value 9."""
    write_dataset(folder)
    for path in list((folder / "imagesTr").iterdir()):
        path.rename(path.with_name(path.name.replace(".nii.gz", "_0000.nii.gz")))
    labels = {"background": 0, "whole": [1, 5], "far": [5]}
    if ignored:
        labels["ignore"] = 9
        for path in (folder / "labelsTr").iterdir():
            image = nibabel.load(path)
            values = np.asarray(image.dataobj).copy()
            values[:4] = 9
            nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    about = {
        "channel_names": {"0": "MRI"}, "labels": labels, "regions_class_order": [1, 5], "file_ending": ".nii.gz",
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(about))
    return open_dataset(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_regions(tmp_path_factory.mktemp("regions"))


@pytest.fixture(scope="module")
def plan(dataset):
    made = make_plan(dataset, epochs=6, steps_per_epoch=10, learning_rate=2e-2, validate_every=6)
    return dataclasses.replace(made, regions=dataset.regions)


@pytest.fixture(scope="module")
def run(dataset, plan, cache, tmp_path_factory):
    return fit(plan, dataset, tmp_path_factory.mktemp("runs") / "run", cache=cache, verbose=False)


@pytest.fixture(scope="module")
def scores(run, dataset):
    return evaluate(run, dataset, keep=True)


@pytest.fixture(scope="module")
def artifacts(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("artifacts")
    export_run(run.folder, ["onnx-float32", "tflite-int8"], out, max_drop=0.2, tell=lambda line: None)
    return out


def test_a_plan_by_the_rules(dataset, tmp_path):
    plan = plan_by_rules(dataset, folds=3)
    assert plan.regions == dataset.regions == REGIONS
    assert (plan.outputs, plan.region_classes, plan.written_classes) == (2, ((1, 2), (2,)), (1, 2))
    assert plan.labels == (Label("background", 0), Label("class_1", 1), Label("far", 5))
    record.save(tmp_path / "plan.json", plan)
    assert record.load(tmp_path / "plan.json", Plan) == plan
    check_plan(plan, dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: dataclasses.replace(p, regions=REGIONS[:1]), "regions are whole, those of .* whole, far"),
        (lambda p: dataclasses.replace(p, regions=()), "regions are none, those of"),
        (lambda p: dataclasses.replace(p, regions=(Region("whole", (1, 7), 1),)), "value 7 is no class"),
        (
            lambda p: dataclasses.replace(p, training=dataclasses.replace(p.training, loss="unified_focal")),
            "unified_focal, which regions cannot use",
        ),
        (
            lambda p: dataclasses.replace(p, training=dataclasses.replace(p.training, class_weights=(1.0, 1.0, 1.0))),
            "none, or 2 of at least 0",
        ),
    ],
)
def test_plans_that_do_not_fit(dataset, plan, change, message):
    with pytest.raises(UsageError, match=message):
        check_plan(change(plan), dataset)


def test_the_loss_is_dice_and_binary_cross_entropy_of_the_maps(dataset, plan, cache):
    """Also of the soft labels of mixup; voxels that nobody has labelled reach neither."""
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, cache)
    loss = objective(plan, 1)["loss"]
    for settings in (STILL, with_chances(STILL, mixup=1.0)):
        changed = dataclasses.replace(plan, training=dataclasses.replace(plan.training, augmentation=settings))
        for _, label in taken(batches(cases, changed, training=True), 1):
            soft = np.eye(3)[label] if label.ndim == 4 else label
            truth = np.stack([soft[..., 1] + soft[..., 2], soft[..., 2]], axis=-1)
            logits = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
            p, axes = 1 / (1 + np.exp(-logits)), (1, 2, 3)
            overlap, sizes = (truth * p).sum(axes), truth.sum(axes) + p.sum(axes)
            expected = (1 - (2 * overlap + 1e-5) / (sizes + 1e-5)).mean()
            expected -= (truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
            assert float(loss(label, logits)) == pytest.approx(expected, rel=1e-4)
    ignoring = objective(dataclasses.replace(plan, ignore=9), 1)["loss"]
    hidden = tf.where(tf.random.stateless_uniform(label.shape[:4], (1, 2)) < 0.3, 3, tf.argmax(label, -1, tf.int32))
    moved = tf.where((hidden == 3)[..., None], 5 - 2 * logits, logits)
    assert float(ignoring(hidden, logits)) == pytest.approx(float(ignoring(hidden, moved)), rel=1e-5)
    coarse = objective(plan, 2)["loss"][1](hidden.numpy() % 3, logits[:, ::2, ::2, ::2])
    assert np.isfinite(float(coarse))


def test_it_learns_and_every_region_is_scored(run, scores, dataset, plan):
    assert run.model().output_shape == (None, 16, 16, 8, 2)
    assert list(scores["mean"]) == ["whole", "far"] == list(scores["calibration"])
    assert scores["mean"]["whole"]["dice"] > 0.5
    history = (run.folder / "history.csv").read_text()
    assert "val_dice_whole" in history
    assert "val_dice_far" in history
    for case in dataset.cases:
        if case.name in scores["cases"]:
            predicted = imaging.read_labels(run.folder / "predictions" / f"{case.name}.nii.gz").voxels
            truth = imaging.read_labels(case.label).voxels
            assert set(np.unique(predicted)) <= {0, 1, 5}
            for region in REGIONS:
                expected = dice(np.isin(predicted, region.values), np.isin(truth, region.values))
                assert scores["cases"][case.name][region.name]["dice"] == pytest.approx(expected)
    assert "not tried for regions" in summary_table(cross_validate([run], dataset, reuse=True))


def test_logits_are_averaged_over_flips_and_networks(run, plan, dataset):
    model = run.model()
    patch = np.random.default_rng(0).normal(size=(16, 16, 8, 1)).astype(np.float32)
    plain = patch_predictor(model, regions=True)
    flipped = np.flip(plain(np.ascontiguousarray(np.flip(patch, 0))), 0)
    np.testing.assert_allclose(
        patch_predictor([model, model], (0,), regions=True)(patch), (plain(patch) + flipped) / 2, atol=1e-4
    )
    scan = imaging.read(dataset.cases[0].images[0])
    assert set(np.unique(ensemble_segmenter([run, run], mirror=True)(scan))) <= {0, 1, 2}


def test_the_device_writes_what_the_network_finds(run, dataset, artifacts):
    manifest = edge.manifest.load_manifest(artifacts / "onnx-float32")
    assert manifest.regions == REGIONS
    assert manifest.output.shape[-1] == 2
    assert list(manifest.fidelity["labels"]) == ["whole", "far"]
    segmenter = edge.load(artifacts / "onnx-float32")
    predict = patch_predictor(run.model())
    for case in dataset.cases[:2]:
        scan = imaging.read(case.images[0])
        result = segmenter.predict(scan)
        prepared = imaging.prepare(scan, run.plan.recipe)
        logits = imaging.tiling.predict_tiled(prepared.voxels, run.plan.patch, run.plan.overlap, predict)
        expected = imaging.restore_classes(logits, prepared, scan, written=(1, 2))
        values = np.array([0, 1, 5])[expected]
        assert np.mean(result.labels.voxels[..., 0] == values) > 0.999
        volumes = result.volumes_ml
        assert list(volumes) == ["class_1", "far", "whole"]
        assert volumes["whole"] == pytest.approx(volumes["class_1"] + volumes["far"])
        logits = segmenter.logits(prepared.voxels)
        np.testing.assert_array_equal(classes_of(logits, (1, 2)) > 0, (logits > 0).any(-1))


def test_int8_is_verified_by_region(artifacts):
    manifest = edge.manifest.load_manifest(artifacts / "tflite-int8")
    assert list(manifest.fidelity["labels"]) == ["whole", "far"]
    report = json.loads((artifacts / "tflite-int8" / "report.json").read_text(encoding="utf-8"))
    assert "whole" in json.dumps(report)
    changed = dataclasses.replace(manifest, regions=REGIONS[:1])
    record.save(artifacts / "tflite-int8" / "manifest.json", changed)
    with pytest.raises(InputError, match=r"output\.shape"):
        edge.load(artifacts / "tflite-int8")


def test_an_ignored_value_beside_regions(tmp_path, cache):
    dataset = write_regions(tmp_path, ignored=True)
    assert (dataset.ignore, dataset.regions) == (9, REGIONS)
    plan = dataclasses.replace(make_plan(dataset), regions=dataset.regions, ignore=9)
    metrics = evaluate(network(plan), dataset, plan=plan)
    assert all(np.isfinite(row["dice"]) for row in metrics["mean"].values())
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, cache, ignore=9)
    assert {int(v) for case in cases for v in np.unique(case.label())} == {0, 1, 2, 3}


def test_one_region_is_one_channel(tmp_path):
    write_dataset(tmp_path)
    about = json.loads((tmp_path / "dataset.json").read_text())
    about |= {"labels": {"background": 0, "whole": [1, 5]}, "regions_class_order": [1]}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    dataset = open_dataset(tmp_path)
    plan = plan_by_rules(dataset, folds=3)
    assert (plan.outputs, plan.region_classes) == (1, ((1, 2),))
    assert network(plan).output_shape[-1] == 1
