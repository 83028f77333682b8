"""Whole cases segmented while training: what is scored, what is shown, and that the training does not notice."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tiny import STILL, make_plan

from imaging.labels import Label
from medseg.errors import UsageError
from train.evaluation.evaluate import evaluate
from train.fitting import callbacks
from train.fitting.checks import check
from train.fitting.curves import draw_curves, load_history
from train.fitting.fit import fit
from train.fitting.validation import class_dice, segment_cached

EVERY = {"validate_every": 2, "validate_cases": 1, "augmentation": STILL}


@pytest.fixture(scope="module")
def killed(dataset, cache, tmp_path_factory):
    """A run folder of three epochs, validated every second, that was left before the second was written; its logs."""
    plan, folder, seen = make_plan(dataset, **EVERY), tmp_path_factory.mktemp("runs") / "validated", []
    whole = callbacks.Record.on_epoch_end

    def end(self, epoch, logs=None):
        if epoch == 1:
            seen.append(dict(logs))
            raise KeyboardInterrupt
        whole(self, epoch, logs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(callbacks.Record, "on_epoch_end", end)
        with pytest.raises(KeyboardInterrupt):
            fit(plan, dataset, folder, cache=cache, verbose=False)
    return folder, seen[0]


@pytest.fixture(scope="module")
def run(killed, dataset, cache):
    """That run, resumed."""
    return fit(None, dataset, killed[0], resume=True, cache=cache, verbose=True)


def test_the_dice_is_that_of_the_averaged_weights_on_whole_cases(run, dataset):
    history = load_history(run.folder / "history.csv")
    assert [row["epoch"] for row in history if "val_dice" in row] == [2, 3]
    # The recipe keeps the voxels of these scans, so both are in the same geometry.
    scores = evaluate(run, dataset)["cases"][run.plan.folds[0][0]]
    for name in ("near", "far"):
        assert history[-1][f"val_dice_{name}"] == pytest.approx(scores[name]["dice"], abs=1e-3)
    assert history[-1]["val_dice"] == pytest.approx((history[-1]["val_dice_near"] + history[-1]["val_dice_far"]) / 2)


def test_validated_and_interrupted_it_ends_as_if_undisturbed(killed, run, dataset, cache, tmp_path):
    uninterrupted = fit(make_plan(dataset, augmentation=STILL), dataset, tmp_path / "run", cache=cache, verbose=False)
    for weight, value in zip(run.model().weights, uninterrupted.model().weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), value.numpy(), rtol=0, atol=1e-6, err_msg=weight.path)
    assert not any("val_dice" in row for row in load_history(uninterrupted.folder / "history.csv"))
    again = load_history(run.folder / "history.csv")[1]
    dice = {name: value for name, value in killed[1].items() if name.startswith("val_dice")}
    assert set(dice) == {"val_dice", "val_dice_near", "val_dice_far"}
    assert dice == pytest.approx({name: again[name] for name in dice}, abs=1e-3)


def test_tensorboard_holds_the_dice_and_a_picture(run):
    histories = {}
    for path in (run.folder / "tensorboard" / "validation").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                histories.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    case = run.plan.folds[0][0]
    assert set(histories[case]) == set(histories["epoch_dice"]) == set(histories["epoch_dice_near"]) == {1, 2}
    for width, height, *pictures in histories[case].values():
        picture = tf.io.decode_png(pictures[0]).numpy()
        assert picture.shape == (int(height), int(width), 3)
        assert picture.std() > 1


def test_curves_have_a_second_panel_for_the_dice(run):
    history = load_history(run.folder / "history.csv")
    figure = draw_curves(history)
    titles = [axes.get_ylabel() for axes in figure.axes]
    assert titles == ["loss", "learning rate", "Dice of whole cases"]
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[2].lines}
    assert lines["near"] == [row["val_dice_near"] for row in history[1:]]
    assert set(lines) == {"near", "far", "mean"}
    assert len(draw_curves([row for row in history if "val_dice" not in row]).axes) == 2


def test_a_case_is_segmented_whole_and_unlabelled_voxels_do_not_count():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, (20, 13))
    label = truth.astype(np.uint8)
    label[:2] = 3  # nobody has labelled these
    image = np.eye(3, dtype=np.float32)[truth]
    image[0] = 0, 0, 1
    case = SimpleNamespace(image=lambda: image, label=lambda: label, first_answer=lambda classes: None)
    labels = (Label("background", 0), Label("a", 1), Label("b", 2))
    plan = SimpleNamespace(
        patch=(8, 8), overlap=0.5, labels=labels, written_classes=None, instances=None, recipe=SimpleNamespace(slices=0)
    )
    model = SimpleNamespace(predict_on_batch=lambda batch: batch)
    predicted, reference = segment_cached(model, case, plan)
    np.testing.assert_array_equal(predicted[2:], truth[2:])
    assert not predicted[:2].any()
    assert class_dice(predicted, reference, labels) == {"a": 1.0, "b": 1.0}
    wrong = np.where(predicted == 1, 2, predicted)
    both = np.isin(reference, (1, 2)).sum()
    assert class_dice(wrong, reference, labels) == pytest.approx(
        {"a": 0.0, "b": 2 * (reference == 2).sum() / (both + (reference == 2).sum())}
    )


def test_patience_goes_by_the_dice_where_there_is_one():
    def stale(*values, patience=2):
        history = [{"val_loss": 1.0} | ({} if value is None else {"val_dice": value}) for value in values]
        return callbacks.is_stale(history, patience, whole=True)

    assert not stale(None, None, None, 0.5)
    assert not stale(None, 0.5, None, 0.6)
    assert stale(None, 0.5, None, 0.5)
    assert stale(0.5, 0.4, 0.3)
    assert not stale(0.5, 0.4, 0.6)
    assert not stale(None, 0.5, None, None)
    assert not stale(0.5, 0.4, 0.3, patience=0)


def test_what_cannot_be_validated(dataset, cache, tmp_path):
    with pytest.raises(UsageError, match=r"training\.validate_every 2: without a fold no case is held back"):
        fit(make_plan(dataset, **EVERY), dataset, tmp_path / "run", fold=None, cache=cache)
    plan = make_plan(dataset, validate_every=-1)
    plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, validate_cases=-2))
    with pytest.raises(UsageError, match=r"validate_every is -1, expected at least 0; .*validate_cases is -2"):
        check(plan, dataset)
