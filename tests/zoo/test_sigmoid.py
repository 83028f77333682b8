"""Losses and metrics of a sigmoid: channels that overlap, given as maps or as regions of classes."""

import keras
import numpy as np
import pytest
from keras import ops

from zoo import losses, metrics
from zoo.errors import ZooError

REGIONS = ((1, 2, 3), (2, 3), (3,))
SIGMOID = tuple(name for name in losses.list_losses() if name != "unified_focal")


def number(value) -> float:
    return float(ops.convert_to_numpy(value))


def batch(ignored: bool = False):
    """Class indices (2, 7, 6) of four classes and logits of three regions; some voxels are 4 where asked for."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, (2, 7, 6))
    if ignored:
        labels[random.uniform(size=labels.shape) < 0.3] = 4
    return labels, random.standard_normal((2, 7, 6, 3)).astype("float32")


def maps(labels):
    return np.stack([np.isin(labels, region) for region in REGIONS], axis=-1).astype("float32")


@pytest.mark.parametrize("name", SIGMOID)
def test_regions_are_the_maps_that_they_stand_for(name):
    labels, logits = batch()
    regions, plain = losses.get(name, regions=REGIONS), losses.get(name, activation="sigmoid")
    expected = number(plain(maps(labels), logits))
    assert number(regions(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert number(regions(labels[..., None].astype("uint8"), logits)) == pytest.approx(expected, rel=1e-6)
    assert number(regions(np.eye(4)[labels], logits)) == pytest.approx(expected, rel=1e-6)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(regions))
    assert number(copy(labels, logits)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SIGMOID)
def test_ignored_voxels_reach_nothing(name):
    labels, logits = batch(ignored=True)
    hidden = labels == 4
    loss = losses.get(name, regions=REGIONS, ignore_class=4)
    before = number(loss(labels, logits))
    changed = np.where(hidden[..., None], 3 - 2 * logits, logits)
    assert number(loss(labels, changed)) == pytest.approx(before, rel=1e-6)
    given = np.where(hidden[..., None], 255, maps(labels))
    plain = losses.get(name, activation="sigmoid", ignore_class=255)
    assert number(plain(given, logits)) == pytest.approx(before, rel=1e-6)
    with pytest.raises(ZooError, match="class 4; expected 0 to 3"):
        losses.get(name, regions=REGIONS)(labels, logits)


def test_binary_cross_entropy_is_that_of_keras():
    labels, logits = batch()
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    ours = losses.CrossEntropy(activation="sigmoid", label_smoothing=0.1)
    weights = np.random.default_rng(1).uniform(0, 2, labels.shape).astype("float32")
    assert number(ours(maps(labels), logits)) == pytest.approx(number(theirs(maps(labels), logits)), rel=1e-5)
    assert number(ours(maps(labels), logits, weights)) == pytest.approx(
        number(theirs(maps(labels), logits, weights)), rel=1e-5
    )


def test_one_channel():
    labels = (batch()[0] > 1).astype("uint8")
    logits = batch()[1][..., :1]
    for name in SIGMOID:
        loss = losses.get(name, activation="sigmoid")
        assert number(loss(labels, logits)) == pytest.approx(number(loss(labels[..., None], logits)), rel=1e-6)
    softmax = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    by_sigmoid, by_softmax = losses.CrossEntropy(activation="sigmoid"), losses.CrossEntropy()
    assert number(by_sigmoid(labels, logits)) == pytest.approx(number(by_softmax(labels, softmax)), rel=1e-5)
    with pytest.raises(ZooError, match="labels from 0 to 255; expected 0 to 1"):
        losses.Dice(activation="sigmoid")(labels * np.uint8(255), logits)
    metric = metrics.Dice(1, activation="sigmoid")
    metric.update_state(labels, logits)
    guess = logits[..., 0] > 0
    assert number(metric.result()) == pytest.approx(2 * (guess & (labels == 1)).sum() / (guess.sum() + labels.sum()))


@pytest.mark.parametrize("ignored", [False, True])
def test_metrics_of_regions(ignored):
    labels, logits = batch(ignored)
    options = {"ignore_class": 4} if ignored else {}
    known = labels != 4
    for name in metrics.list_metrics():
        each = []
        for channel, region in enumerate(REGIONS):
            binary = metrics.get(name, 2)
            binary.update_state(
                np.isin(labels, region)[known][None, None],
                np.eye(2)[(logits[..., channel] > 0).astype(int)][known][None, None],
            )
            each.append(number(binary.result()))
        metric = metrics.get(name, 3, regions=REGIONS, per_class=True, **options)
        metric.update_state(labels, logits)
        result = metric.result()
        np.testing.assert_allclose([number(result[f"{metric.name}_{c}"]) for c in range(3)], each, rtol=1e-5)
        assert number(result[metric.name]) == pytest.approx(np.mean(each), rel=1e-5)
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert copy.get_config() == metric.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "activation='relu'; expected softmax or sigmoid"),
        ({"activation": "softmax", "regions": REGIONS}, "need activation='sigmoid'"),
        ({"regions": ((0, 1), (2,))}, "1 or more"),
        ({"regions": REGIONS, "ignore_class": 2}, "ignore_class=2 belongs to a region"),
        ({"positive_weights": (1, 2)}, "positive_weights"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ZooError, match=message):
        losses.CrossEntropy(**options)


def test_wrong_shapes():
    labels, logits = batch()
    with pytest.raises(ZooError, match="for 2 regions"):
        losses.Dice(regions=REGIONS[:2])(labels, logits)
    with pytest.raises(ZooError, match="a map of 0 and 1 for every channel, or class indices and regions="):
        losses.Dice(activation="sigmoid")(labels, logits)
    with pytest.raises(ZooError, match="classes=2 for 3 regions"):
        metrics.Dice(2, regions=REGIONS)
    with pytest.raises(ZooError, match="expected softmax"):
        losses.UnifiedFocal(regions=REGIONS)


@pytest.mark.parametrize("value", [2.0, -1.0, np.nan])
def test_maps_beyond_0_to_1_are_never_scored(value):
    labels, logits = batch()
    broken = maps(labels)
    broken[0, 0, 0, 1] = value
    for name in SIGMOID:
        with pytest.raises(ZooError, match="expected 0 to 1 in every channel"):
            losses.get(name, activation="sigmoid")(broken, logits)
    with pytest.raises(ZooError, match="expected 0 to 1 in every channel"):
        metrics.Dice(3, activation="sigmoid").update_state(broken, logits)
