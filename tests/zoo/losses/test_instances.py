"""The loss of foreground and distance: closed forms, gradients, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from zoo import losses
from zoo.errors import ZooError


@pytest.fixture
def loss():
    return losses.Instances(losses.get("dice_ce", activation="sigmoid"))


def value(loss, labels, logits):
    return float(ops.convert_to_numpy(loss(labels, logits.astype("float32"))))


def sample(rank=2):
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (2, *(6,) * rank)) * random.integers(0, 2, (2, *(6,) * rank))
    return levels, random.normal(size=(2, *(6,) * rank, 2))


@pytest.mark.parametrize("rank", [2, 3])
def test_sum_of_the_foreground_loss_and_the_divergence(loss, rank):
    levels, logits = sample(rank)
    foreground = losses.get("dice_ce", activation="sigmoid")
    inside = (levels > 0)[..., None].astype("float32")
    share, chance = levels / 255, 1 / (1 + np.exp(-logits[..., 1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.nan_to_num(share * np.log(share / chance)) + np.nan_to_num(
            (1 - share) * np.log((1 - share) / (1 - chance))
        )
    means = [part[level > 0].mean() + part[level == 0].mean() for part, level in zip(parts, levels, strict=True)]
    expected = float(foreground(inside, logits[..., :1].astype("float32"))) + np.mean(means)
    assert value(loss, levels, logits) == pytest.approx(expected, rel=1e-4)
    assert value(loss, levels[..., None].astype("uint8"), logits) == pytest.approx(expected, rel=1e-4)


def test_a_perfect_answer_costs_nothing(loss):
    levels, _ = sample()
    share = np.clip(levels / 255, 1e-7, 1 - 1e-7)
    perfect = np.stack([np.where(levels > 0, 30.0, -30.0), np.log(share / (1 - share))], -1)
    assert value(loss, levels, perfect) == pytest.approx(0, abs=1e-3)


def test_only_the_distance_costs_where_the_foreground_is_right(loss):
    levels = np.full((1, 8, 8), 128)
    logits = np.stack([np.full((1, 8, 8), 30.0), np.zeros((1, 8, 8))], -1)
    assert value(loss, levels, logits) == pytest.approx(0, abs=1e-3)
    logits[..., 1] = 2.0
    assert value(loss, levels, logits) > 0.25


def test_few_voxels_count_as_many_and_none_as_nothing(loss):
    """A wrong distance inside costs the same whatever share of the patch objects take."""
    costs = []
    for size in (2, 8):
        levels = np.zeros((1, 16, 16), int)
        levels[:, :size, :size] = 255
        logits = np.stack([np.where(levels > 0, 30.0, -30.0), np.where(levels > 0, 0.0, -30.0)], -1)
        costs.append(value(loss, levels, logits))
    assert costs == pytest.approx([np.log(2)] * 2, abs=1e-3)
    empty = np.stack([np.full((1, 8, 8), -30.0)] * 2, -1)
    assert value(loss, np.zeros((1, 8, 8), int), empty) == pytest.approx(0, abs=1e-3)


def test_saving(loss):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
    levels, logits = sample()
    assert value(copy, levels, logits) == value(loss, levels, logits)


def test_what_does_not_fit(loss):
    levels, logits = sample()
    with pytest.raises(ZooError, match="expected 2 channels"):
        loss(levels, logits[..., :1])
    with pytest.raises(ZooError, match="activation='sigmoid'"):
        losses.Instances(losses.get("dice_ce"))
    with pytest.raises(ZooError, match="weight=-1"):
        losses.Instances(losses.get("dice_ce", activation="sigmoid"), weight=-1)
