"""Streaming metrics against scikit-learn."""

import keras
import numpy as np
import pytest
from sklearn import metrics as reference

from zoo import losses, metrics
from zoo.errors import ZooError

NAMES = (
    "dice", "iou", "precision", "recall", "specificity", "f1", "accuracy",
    "false_positive_rate", "false_negative_rate", "mcc",
)  # fmt: skip
LOWER_IS_BETTER = ("false_positive_rate", "false_negative_rate")


def batches(seed=0, count=3, classes=4):
    """Labels (2, 7, 6, 5) and logits with a class each, several batches."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        labels = random.integers(0, classes, (2, 7, 6, 5))
        yield labels, 2.0 * np.eye(classes)[labels] + random.standard_normal((*labels.shape, classes))


def expected(name, labels, guess, classes):
    """The score of each class by scikit-learn."""
    options = {"labels": range(classes), "average": None, "zero_division": 1}
    if name in ("dice", "f1"):
        return reference.f1_score(labels, guess, **options)
    if name == "iou":
        return reference.jaccard_score(labels, guess, **options)
    if name == "precision":
        return reference.precision_score(labels, guess, **options)
    if name == "recall":
        return reference.recall_score(labels, guess, **options)
    per_class = [(labels == c, guess == c) for c in range(classes)]
    if name == "false_negative_rate":
        return 1 - np.array(expected("recall", labels, guess, classes))
    if name == "false_positive_rate":
        return 1 - np.array(expected("specificity", labels, guess, classes))
    if name == "mcc":
        return [reference.matthews_corrcoef(truth, predicted) for truth, predicted in per_class]
    if name == "specificity":
        return [reference.recall_score(truth, predicted, pos_label=False) for truth, predicted in per_class]
    return [reference.accuracy_score(truth, predicted) for truth, predicted in per_class]


def rounding(name):
    """The relative error that float32 makes; one minus a share loses the digits that both have in common."""
    return 2e-6 if name in LOWER_IS_BETTER else 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_stream_equals_scikit_learn(name):
    mean, each = metrics.get(name, 4), metrics.get(name, 4, per_class=True, include_background=True)
    seen = list(batches())
    for labels, logits in seen:
        mean.update_state(labels, logits)
        each.update_state(labels[..., None], logits)
    labels = np.concatenate([labels.ravel() for labels, _ in seen])
    guess = np.concatenate([logits.argmax(-1).ravel() for _, logits in seen])
    by_hand = expected(name, labels, guess, 4)
    assert float(mean.result()) == pytest.approx(np.mean(by_hand[1:]), rel=rounding(name))
    results = each.result()
    np.testing.assert_allclose([float(results[f"{name}_{c}"]) for c in range(4)], by_hand, rtol=rounding(name))
    assert float(results[name]) == pytest.approx(np.mean(by_hand), rel=rounding(name))


@pytest.mark.parametrize("name", NAMES)
def test_one_hot_ignore_weights_and_reset(name):
    ((labels, logits),) = batches(count=1)
    metric = metrics.get(name, 4)
    metric.update_state(labels, logits)
    before = float(metric.result())
    metric.reset_state()
    metric.update_state(np.eye(4)[labels], logits)
    assert float(metric.result()) == before
    hidden = labels == 3
    ignoring = metrics.get(name, 4, ignore_class=3, per_class=True)
    ignoring.update_state(labels, logits)
    by_hand = expected(name, labels[~hidden], logits.argmax(-1)[~hidden], 4)
    np.testing.assert_allclose(
        [float(ignoring.result()[f"{name}_{c}"]) for c in range(3)], by_hand[:3], rtol=rounding(name)
    )
    metric.reset_state()
    metric.update_state(labels, logits, sample_weight=np.array([1.0, 0.0]))
    only = expected(name, labels[0].ravel(), logits[0].argmax(-1).ravel(), 4)
    assert float(metric.result()) == pytest.approx(np.mean(only[1:]), rel=rounding(name))


def test_nothing_there_and_nothing_found_is_one():
    labels, logits = np.zeros((1, 4, 4), int), np.eye(3)[np.zeros((1, 4, 4), int)]
    for name in NAMES:
        metric, best = metrics.get(name, 3), float(name not in LOWER_IS_BETTER)
        assert float(metric.result()) == best
        metric.update_state(labels, logits)
        assert float(metric.result()) == best


def test_found_where_nothing_is_is_zero():
    labels, logits = np.zeros((1, 4, 4), int), np.eye(2)[np.ones((1, 4, 4), int)]
    for name in ("dice", "iou", "precision", "f1"):
        metric = metrics.get(name, 2)
        metric.update_state(labels, logits)
        assert float(metric.result()) == 0


@pytest.mark.parametrize("name", NAMES)
def test_saving(name):
    metric = metrics.get(name, 5, ignore_class=2, per_class=True, include_background=True)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()


def test_in_compile():
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Activation("linear")])
    model.compile(metrics=[metrics.Dice(3, per_class=True), metrics.IoU(3)], loss=losses.DiceCE())
    labels = np.arange(32).reshape(2, 4, 4) % 3
    evaluated = model.evaluate(np.eye(3)[labels], labels, verbose=0, return_dict=True)
    assert evaluated["dice"] == evaluated["dice_2"] == evaluated["iou"] == 1


def test_mistakes():
    with pytest.raises(ZooError, match="Did you mean 'dice'"):
        metrics.get("dize", 3)
    with pytest.raises(ZooError, match="classes=1; expected at least 2"):
        metrics.Dice(1)
    with pytest.raises(ZooError, match="for classes=3"):
        metrics.Dice(3).update_state(np.zeros((1, 4, 4), int), np.zeros((1, 4, 4, 4)))
    with pytest.raises(ZooError, match="labels of shape"):
        metrics.Dice(3).update_state(np.zeros((1, 4, 5), int), np.zeros((1, 4, 4, 3)))
