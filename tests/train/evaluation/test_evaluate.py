"""Evaluation, report and the command lines."""

import dataclasses
import json

import keras
import nibabel
import numpy as np
import pytest
from tiny import STILL, make_plan, write_dataset

from imaging.recipe import Normalise
from medseg.errors import InputError
from train.cli import main
from train.evaluation import figures
from train.evaluation.evaluate import evaluate, score_cases
from train.evaluation.reliability import errors, joined
from train.evaluation.report import case_table, write_report
from train.evaluation.segmenting import patch_predictor, segmenter
from train.fitting.run import create_run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Scans stored from right to left, so that preparing turns them round."""
    return write_dataset(tmp_path_factory.mktemp("data"), flip=True)


@pytest.fixture
def plan(dataset):
    return make_plan(dataset)


def threshold_network(shape):
    """A network that knows the boxes: class 0 below 120, class 1 to 160, class 2 above, at intensities as stored."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Lambda(_classes)(inputs))


def _classes(x):
    distance = [keras.ops.abs(x - level) for level in (100.0, 140.0, 180.0)]
    return -keras.ops.concatenate(distance, -1)


def unchanged(plan):
    """The plan with intensities left as they are."""
    return dataclasses.replace(
        plan, recipe=dataclasses.replace(plan.recipe, normalise=Normalise("fixed", (0.0,), (1.0,)))
    )


def test_a_network_that_knows_scores_as_in_the_files_own_geometry(dataset, plan):
    plan = unchanged(plan)
    metrics = evaluate(threshold_network((*plan.patch, 1)), dataset, 1, plan=plan)
    assert metrics["fold"] == 1
    assert list(metrics["cases"]) == list(plan.folds[1])
    for name, scores in metrics["cases"].items():
        # The same rule on the voxels as stored, with no geometry in between.
        image = nibabel.load(dataset.case(name).images[0]).get_fdata()
        label = nibabel.load(dataset.case(name).label).get_fdata()
        for key, value, inside in (("near", 1, (image > 120) & (image < 160)), ("far", 5, image > 160)):
            expected = 2 * (inside & (label == value)).sum() / (inside.sum() + (label == value).sum())
            assert scores[key]["dice"] == pytest.approx(expected)
            assert scores[key]["reference_ml"] == pytest.approx((label == value).sum() * 3e-3)
    assert metrics["mean"]["near"]["dice"] == pytest.approx(
        np.mean([scores["near"]["dice"] for scores in metrics["cases"].values()])
    )


def test_a_perfect_and_an_empty_segmentation(dataset, plan):
    from train.evaluation.reference import read_reference

    cases = dataset.cases[:2]
    answers = iter([read_reference(case, plan.labels).voxels[..., 0] for case in cases])
    perfect = score_cases(lambda scan: next(answers), cases, plan.labels)["mean"]["near"]
    assert (perfect["dice"], perfect["hd95"], perfect["nsd"]) == (1.0, 0.0, 1.0)
    empty = score_cases(lambda scan: np.zeros(scan.shape, int), cases, plan.labels)["mean"]["near"]
    assert (empty["dice"], empty["hd95"], empty["nsd"]) == (0.0, np.inf, 0.0)


def test_mirroring_averages_probabilities_over_all_flips():
    class Slanted:
        def predict_on_batch(self, batch):
            ramp = np.arange(batch.shape[1], dtype=np.float32)[None, :, None, None]
            return np.concatenate([batch * 0, batch + ramp], -1)

    patch = np.random.default_rng(0).normal(size=(4, 6, 1)).astype(np.float32)
    plain = patch_predictor(Slanted())(patch)
    np.testing.assert_allclose(plain[..., 1], patch[..., 0] + np.arange(4)[:, None], rtol=1e-6)
    averaged = patch_predictor(Slanted(), (0, 1))(patch)
    flipped = [1 / (1 + np.exp(-(patch[..., 0] + ramp[:, None]))) for ramp in (np.arange(4), np.arange(4)[::-1])]
    np.testing.assert_allclose(averaged[..., 1], np.mean(flipped, axis=0), rtol=1e-5)
    np.testing.assert_allclose(averaged.sum(-1), 1, rtol=1e-5)


def test_label_of_another_shape_is_an_error(dataset, plan, tmp_path):
    case = dataset.cases[0]
    label = nibabel.load(case.label)
    smaller = nibabel.Nifti1Image(np.asarray(label.dataobj)[:-1], label.affine)
    nibabel.save(smaller, tmp_path / "label.nii.gz")
    wrong = dataclasses.replace(case, label=tmp_path / "label.nii.gz")
    with pytest.raises(InputError, match=r"label.nii.gz: shape \(13, 18, 13\), but .*case_00.nii.gz has shape \(14"):
        score_cases(segmenter(None, plan), [wrong], plan.labels)


def test_the_report_holds_everything_itself(dataset, plan, tmp_path, monkeypatch):
    plan = unchanged(plan)
    run = create_run(tmp_path / "run", plan, 0, "<folder>", (), ())
    (run.folder / "history.csv").write_text("epoch,loss,val_loss,learning_rate\n1,0.9,1.0,0.001\n2,0.5,0.7,0.0\n")
    monkeypatch.setattr(type(run), "model", lambda self: threshold_network((*plan.patch, 1)))
    metrics = evaluate(run, dataset)
    assert json.loads((run.folder / "metrics.json").read_text())["mean"] == metrics["mean"]
    page = write_report(run, dataset, metrics).read_text()
    assert page.count("data:image/png;base64,") == 3 + 3
    assert "http" not in page
    assert all(page.count(f"<td>{name}</td>") == 2 for name in plan.folds[0])
    assert "&lt;" not in case_table(metrics["cases"])
    # A network that is nearly always right and sure of it: what is left is how far its probability is from 1.
    assert 0 < errors(metrics["calibration"])["near"] < 0.05
    for part in ("Calibration", "Seed and versions", "&quot;seed&quot;: 0", "&quot;keras&quot;", "zoo export", "Plan"):
        assert part in page
    assert "Calibration" not in write_report(run, dataset, {**metrics, "calibration": None}).read_text()


def test_calibration_is_counted_on_the_grid_of_the_network(dataset, plan):
    """Of a network that says the same everywhere: its probabilities, and the shares of the classes in the files."""
    inputs = keras.Input((*plan.patch, 1))
    logits = np.array([2.0, 1.0, -1.0], np.float32)
    constant = keras.Model(inputs, keras.layers.Conv3D(3, 1, bias_initializer=keras.initializers.Constant(0))(inputs))
    constant.set_weights([np.zeros((1, 1, 1, 1, 3), np.float32), logits])
    calibration = evaluate(constant, dataset, 1, plan=plan)["calibration"]
    labels = np.concatenate([nibabel.load(dataset.case(n).label).get_fdata().ravel() for n in plan.folds[1]])
    for index, (name, value) in enumerate((("near", 1), ("far", 5)), 1):
        table = np.array(calibration[name])
        probability = np.exp(logits[index]) / np.exp(logits).sum()
        (row,) = table[table[:, 0] > 0]
        np.testing.assert_allclose(row, [labels.size, probability, (labels == value).mean()], rtol=1e-5)
        assert errors(calibration)[name] == pytest.approx(abs(probability - (labels == value).mean()), rel=1e-4)
        assert joined([calibration, calibration])[name][int(np.argmax(table[:, 0]))][0] == 2 * labels.size


def test_names_cannot_break_the_page():
    row = dict.fromkeys(("dice", "iou", "precision", "recall", "hd95", "assd", "nsd"), 0.5)
    table = case_table({"<script>": {"a&b": row}})
    assert "<td>&lt;script&gt;</td><td>a&amp;b</td>" in table


@pytest.mark.parametrize("channels", [1, 3])
def test_flat_images_have_one_view(channels):
    from imaging.scan import Scan

    label = np.zeros((20, 30), int)
    label[5:10, 5:20] = 1
    scan = Scan(np.random.default_rng(0).normal(size=(20, 30, channels)), np.eye(4))
    assert figures.overlay(scan, label, label, ("background", "x")).startswith("data:image/png")


@pytest.mark.parametrize("shape", [(20, 30, 1), (1, 20, 30), (20, 1, 30), (20, 1, 1)])
def test_volumes_of_one_slice_have_one_view(shape):
    from imaging.scan import Scan

    label = np.zeros(shape, int)
    label.reshape(-1)[: label.size // 3] = 1
    scan = Scan(np.random.default_rng(0).normal(size=(*shape, 1)), np.eye(4))
    drawn = figures.draw_overlay(scan, label, label, ("background", "x"))
    assert len(drawn.axes) == 1
    assert figures.png(drawn)


def test_train_and_evaluate_from_the_command_line(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    from medseg import record

    record.save(tmp_path / "plan.json", make_plan(dataset, epochs=9, augmentation=STILL))
    out = str(tmp_path / "run")
    common = ["train", str(dataset.folder), "--plan", str(tmp_path / "plan.json"), "--epochs", "1", "--out", out]
    assert main([*common, "--fold", "7"]) == 2
    assert "fold 7: the plan has folds 0 to 2" in capsys.readouterr().err
    assert main([*common, "--minutes", "1"]) == 2
    assert "--minutes and --epochs exclude each other" in capsys.readouterr().err
    assert main([*common, "--fold", "1"]) == 0
    assert f"Next: zoo evaluate {out} {dataset.folder} --fold 1" in capsys.readouterr().out
    assert main([*common, "--fold", "1"]) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert main(["evaluate", out, str(dataset.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fold"] == 1
    assert main(["evaluate", out, str(dataset.folder), "--no-report", "--mirror"]) == 0
    assert "mean over 2 cases of fold 1" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path), str(dataset.folder)]) == 1
    assert "not a run folder" in capsys.readouterr().err


def test_a_label_in_another_order_of_axes_scores_the_same(dataset, plan, tmp_path):
    case = dataset.cases[0]
    stored = nibabel.load(case.label)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(stored.affine), nibabel.orientations.axcodes2ornt("SPL")
    )
    nibabel.save(stored.as_reoriented(change), tmp_path / "label.nii.gz")
    turned = dataclasses.replace(case, label=tmp_path / "label.nii.gz")

    def segment(scan):
        return ((scan.voxels[..., 0] > 120) & (scan.voxels[..., 0] < 160)).astype(int)

    assert score_cases(segment, [turned], plan.labels) == score_cases(segment, [case], plan.labels)
