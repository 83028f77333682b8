"""Voxels that nobody has labelled: in no loss, no draw of patches, no score, from the dataset folder to the metrics."""

import dataclasses
import json

import nibabel
import numpy as np
import pytest
import tensorflow as tf
from batches import taken
from tiny import STILL, make_plan, write_dataset

import imaging
import train
from export.source.source import open_source
from export.verify.comparison import compare
from imaging.io.cases import CaseFiles
from imaging.labels import Label
from medseg.errors import UsageError
from train.data.dataset import open_dataset
from train.evaluation.cross_validation import cross_validate
from train.evaluation.evaluate import evaluate, score_cases
from train.evaluation.postprocess import choose
from train.fitting.checks import check
from train.fitting.fit import fit, objective
from train.input.augmentation_chances import with_chances
from train.input.cache import cache_cases, case_key
from train.input.pipeline import batches
from train.input.reading import reader
from train.planning.inspection import inspect
from train.planning.planner import make_plan as plan_by_rules
from zoo import losses, metrics

IGNORED = 9
LABELS = (Label("background", 0), Label("near", 1), Label("far", 5))


def hide(folder, value: int):
    """Give the lower half of every label file's first axis another value, and declare 9 as "ignore" if it is that."""
    for path in (folder / "labelsTr").iterdir():
        image = nibabel.load(path)
        label = np.asarray(image.dataobj)
        label[:7] = value
        nibabel.save(nibabel.Nifti1Image(label, image.affine), path)
    about = json.loads((folder / "dataset.json").read_text())
    if value == IGNORED:
        about["labels"]["9"] = "ignore"
    (folder / "dataset.json").write_text(json.dumps(about))
    return open_dataset(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder)
    return hide(folder, IGNORED)


@pytest.fixture(scope="module")
def plan(dataset):
    return dataclasses.replace(make_plan(dataset, epochs=1), ignore=dataset.ignore)


@pytest.fixture(scope="module")
def run(dataset, plan, cache, tmp_path_factory):
    plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, augmentation=STILL))
    return fit(plan, dataset, tmp_path_factory.mktemp("runs") / "run", cache=cache, verbose=False)


def test_a_dataset_declares_it_and_the_plan_is_that_of_background_there(dataset, tmp_path):
    assert dataset.ignore == IGNORED
    assert dataset.labels == LABELS
    assert not inspect(dataset).fatal
    write_dataset(tmp_path)
    as_background = hide(tmp_path, 0)
    assert as_background.ignore is None
    assert plan_by_rules(dataset, folds=3) == dataclasses.replace(plan_by_rules(as_background, folds=3), ignore=IGNORED)


def test_nnunets_way_to_write_it(tmp_path):
    write_dataset(tmp_path, cases=2)
    for path in list((tmp_path / "imagesTr").iterdir()):
        path.rename(path.with_name(path.name.replace(".nii.gz", "_0000.nii.gz")))
    about = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "near": 1, "far": 5, "ignore": 9},
        "file_ending": ".nii.gz",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    opened = open_dataset(tmp_path)
    assert (opened.ignore, opened.labels) == (IGNORED, LABELS)


def test_no_patch_is_centred_there_and_none_but_it_is_ignored(dataset, plan, cache):
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, cache, ignore=plan.ignore)
    assert case_key(dataset.cases[0], plan.recipe, plan.labels) != case_key(
        dataset.cases[0], plan.recipe, plan.labels, plan.ignore
    )
    for case in cases:
        label = case.label()
        assert set(np.unique(label[:7])) == {3}
        assert label[7:].max() < 3
        assert (case.positions()[0][:, 0] >= 7).all()
        assert sorted(map(tuple, case.labelled())) == [tuple(p) for p in np.argwhere(label < 3)]
    read = tf.function(reader(cases[:1], (3, 3, 3), (3, 3, 3), 0.33))
    for draws in np.random.default_rng(0).random((50, 6)):
        label = read(0, tf.constant(draws))[1].numpy()
        assert label[1, 1, 1] < 3 or (label < 3).any()


def test_nothing_there_reaches_the_gradient(dataset, plan, cache):
    """Neither the labels nor the logits of ignored voxels, with class indices and with the soft labels of mixup."""
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, cache, ignore=plan.ignore)
    loss = objective(plan, 1)["loss"]
    for settings in (with_chances(STILL, rotation=1.0), with_chances(STILL, mixup=1.0)):
        changed = dataclasses.replace(plan, training=dataclasses.replace(plan.training, augmentation=settings))
        for _, label in taken(batches(cases, changed, training=True), 1):
            hidden = label == 3 if label.ndim == 4 else label.sum(-1) == 0
            assert 0 < hidden.mean() < 1
            logits = tf.Variable(np.random.default_rng(0).normal(size=(*hidden.shape, 3)).astype(np.float32))
            with tf.GradientTape() as tape:
                value = loss(label, logits)
            gradient = tape.gradient(value, logits).numpy()
            assert np.abs(gradient[hidden]).max() == 0
            assert np.abs(gradient[~hidden]).min() > 0
            logits.assign(tf.where(hidden[..., None], -7.0 * logits + 3.0, logits))
            assert float(loss(label, logits)) == pytest.approx(float(value), rel=1e-5)
    # The mean over labelled voxels alone, from scratch.
    label = np.random.default_rng(1).integers(0, 4, (1, 6, 6, 6))
    logits = np.random.default_rng(2).normal(size=(1, 6, 6, 6, 3)).astype(np.float32)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_p, np.minimum(label, 2)[..., None], -1)[label < 3].mean()
    assert float(losses.get("cross_entropy", ignore_class=3)(label, logits)) == pytest.approx(expected, rel=1e-5)


def test_a_training_ends_and_its_scores_leave_them_out(run, dataset, plan):
    scores = evaluate(run, dataset, keep=True)
    by_name = {case.name: case for case in dataset.cases}
    for name, scored in scores["cases"].items():
        predicted = imaging.read_labels(run.folder / "predictions" / f"{name}.nii.gz").voxels[..., 0]
        reference = imaging.read_labels(by_name[name].label).voxels[..., 0]
        kept = reference != IGNORED
        for label in LABELS[1:]:
            mine, theirs = predicted[kept] == label.value, reference[kept] == label.value
            total = mine.sum() + theirs.sum()
            assert scored[label.name]["dice"] == pytest.approx(2 * (mine & theirs).sum() / total if total else 1.0)
    summary = cross_validate([run], dataset, reuse=True)
    assert summary["postprocessing"]["dice_before"] == pytest.approx(
        {name: row["dice"] for name, row in scores["mean"].items()}
    )


def test_scores_of_a_prediction_do_not_depend_on_what_it_says_there(dataset, plan):
    def segment(inside):
        def segment(scan):
            result = np.zeros(scan.shape, np.uint8)
            result[8:12, 4:12, 3:9] = 1
            result[:7] = inside
            return result

        return segment

    first, second = (score_cases(segment(i), dataset.cases[:2], LABELS, ignore=IGNORED) for i in (0, 2))
    assert first == second
    reference = np.zeros((10, 10), np.uint8)
    reference[2:5, 2:5], reference[6:] = 1, 2
    prediction = np.where(reference == 2, 1, reference)
    assert imaging.score_case(prediction, reference, LABELS[:2], (1.0, 1.0))["near"]["hd95"] == 0
    noisy = np.random.default_rng(0).integers(0, 2, (10, 10))
    chosen = choose(lambda: [(np.where(reference == 2, noisy, reference), reference, (1.0, 1.0))], LABELS[:2])
    assert chosen.dice_before == {"near": 1.0}


def test_an_export_verifies_without_them(run, dataset):
    source = open_source(run.folder)
    assert source.ignore == IGNORED
    case = dataset.cases[0]
    files = (CaseFiles(case.name, tuple(map(str, case.images)), str(case.label)),)
    truth = imaging.read_labels(case.label).voxels[..., 0]

    def at(inside):
        return lambda scan: np.where(truth == IGNORED, inside, truth)

    fidelity = compare(at(1), at(5), files, LABELS, ignore=IGNORED)
    assert {label.dice_artifact for label in fidelity.labels.values()} == {1.0}
    assert {label.dice_network for label in fidelity.labels.values()} == {1.0}


def test_metrics_of_soft_labels_leave_out_voxels_of_no_class():
    label = np.array([[[0, 1, 2, 3]]])
    logits = np.eye(3, dtype=np.float32)[[[[0, 1, 1, 2]]]]
    one_hot = np.where(label[..., None] == 3, 0, np.eye(3)[np.minimum(label, 2)]).astype(np.float32)
    for y in (label, one_hot):
        metric = metrics.get("dice", 3, ignore_class=3, per_class=True)
        metric.update_state(y, logits)
        np.testing.assert_allclose([float(metric.result()[f"dice_{c}"]) for c in range(3)], [1.0, 2 / 3, 0.0])


def test_the_pipeline_says_what_losses_and_metrics_need(dataset, plan, cache, monkeypatch):
    monkeypatch.setenv("MEDSEG_CACHE", str(cache))
    with pytest.warns(UserWarning, match=r"DiceCE\(ignore_class=3\) and ignore_class in every metric"):
        batches = train.pipeline(dataset, plan)
    assert plan.ignore_class == 3
    _, label = next(iter(batches))
    assert label.numpy().max() == 3
    logits = np.zeros((*label.shape, 3), np.float32)
    with pytest.raises(ValueError, match=r"labels hold class 3; expected 0 to 2\. Set ignore_class=3"):
        losses.DiceCE()(label, logits)
    with pytest.raises(ValueError, match="labels hold class 3"):
        metrics.Dice(3).update_state(label, logits)
    assert np.isfinite(float(losses.DiceCE(ignore_class=plan.ignore_class)(label, logits)))


def test_a_plan_of_another_value(dataset, plan):
    with pytest.raises(UsageError, match="ignore is 5, the value of a class"):
        check(dataclasses.replace(plan, ignore=5))
    with pytest.raises(UsageError, match=r"ignore is None, that of .* 9; plan again"):
        check(dataclasses.replace(plan, ignore=None), dataset)
