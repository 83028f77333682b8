"""Weights and masks of voxels in every loss and metric, against Keras' own losses and against leaving voxels out."""

import keras
import numpy as np
import pytest
from keras import ops

from zoo import losses, metrics
from zoo.errors import ZooError

# Losses of neighbourhoods see the voxels that are left out, so that only means and overlaps are compared.
SUMS = tuple(name for name in losses.list_losses() if name != "top_k_cross_entropy")


def batch(size: int = 2, rank: int = 2, seed: int = 0):
    """Labels (size, *spatial) of three classes, logits and weights of voxels from 0 to 2."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, (size, 6, 5, 4)[: rank + 1])
    logits = (2 * np.eye(3)[labels] + random.standard_normal((*labels.shape, 3))).astype("float32")
    return labels, logits, random.uniform(0, 2, labels.shape).astype("float32")


def number(value) -> float:
    return float(ops.convert_to_numpy(value))


def shapes(weights):
    """The same weights in all forms that hold one for each voxel."""
    return (weights, weights[..., None])


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "none"])
def test_cross_entropy_is_that_of_keras(size, rank, reduction):
    labels, logits, weights = batch(size, rank)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=reduction)
    ours = losses.CrossEntropy(reduction=reduction)
    one_hot = np.eye(3, dtype="float32")[labels]
    for given in (weights, weights[:, :1] * np.ones_like(weights), weights[:1] * np.ones_like(weights)):
        expected = ops.convert_to_numpy(theirs(one_hot, logits, given))
        for form in shapes(given):
            np.testing.assert_allclose(ours(labels, logits, form), expected, rtol=1e-5)
            np.testing.assert_allclose(ours(one_hot, logits, form), expected, rtol=1e-5)


@pytest.mark.parametrize("name", losses.list_losses())
@pytest.mark.parametrize("size", [1, 2])
def test_weights_that_broadcast_are_those_written_out(name, size):
    labels, logits, weights = batch(size)
    loss = losses.get(name)
    for part in (weights[:, :1], weights[:, :, :1], weights[:1]):
        whole = number(loss(labels, logits, np.broadcast_to(part, weights.shape)))
        if part.shape[-1] > 1 or part.shape[1] > 1:  # else it is a weight of samples
            assert number(loss(labels, logits, part)) == pytest.approx(whole, rel=1e-5)
            assert number(loss(labels, logits, part[..., None])) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("name", losses.list_losses())
def test_weights_of_samples(name):
    labels, logits, _ = batch(2)
    loss = losses.get(name, reduction="sum", **({"batch": False} if name == "dice" else {}))
    plain = ops.convert_to_numpy(losses.get(name, reduction="none")(labels, logits))
    if plain.ndim > 1:
        plain = np.array([number(losses.get(name)(labels[i : i + 1], logits[i : i + 1])) for i in range(2)])
    weights = np.array([0.5, 2.0], "float32")
    expected = float((plain * weights).sum())
    for form in (weights, weights[:, None], weights[:, None, None]):
        assert number(loss(labels, logits, form)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("size", [1, 2])
def test_a_weight_of_0_hides_a_voxel(name, size):
    """Neither its label nor its logits reach the loss; a mean is over all voxels, as in Keras."""
    labels, logits, weights = batch(size)
    weights[weights < 1] = 0
    hidden = weights == 0
    loss = losses.get(name)
    before = number(loss(labels, logits, weights))
    if name in ("boundary", "hausdorff", "cl_dice", "dice_cl_dice"):  # distances and skeletons are of the whole mask
        assert before != pytest.approx(number(loss(labels, logits)), rel=1e-4)
        return
    changed = np.where(hidden[..., None], -3 * logits, logits)
    assert number(loss(np.where(hidden, 1, labels), changed, weights)) == pytest.approx(before, rel=1e-5)


def test_weighted_dice_by_hand():
    labels, logits, weights = batch(2)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    t, w = np.eye(3)[labels], weights[..., None]
    axes = (1, 2)
    for squared in (False, True):
        power = 2 if squared else 1
        below = (w * t**power).sum(axes) + (w * p**power).sum(axes)
        expected = (1 - 2 * (w * t * p).sum(axes) / below).mean()
        loss = losses.Dice(include_background=True, squared=squared, smooth=0)
        assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", losses.list_losses())
def test_a_mask_of_keras_is_an_ignored_class(name):
    labels, logits, weights = batch(2)
    hidden = weights < 0.6
    masked = keras.ops.convert_to_tensor(logits)
    masked._keras_mask = ops.convert_to_tensor(~hidden)
    expected = number(losses.get(name, ignore_class=9)(np.where(hidden, 9, labels), logits))
    assert number(losses.get(name)(labels, masked)) == pytest.approx(expected, rel=1e-5)


def test_in_fit_and_with_deep_supervision():
    labels, logits, weights = batch(2)
    model = keras.Sequential([keras.Input((5, 4, 3)), keras.layers.Activation("linear")])
    logits, labels, weights = (np.repeat(a[:, :5], 1, axis=0) for a in (logits, labels, weights))
    model.compile("sgd", loss=losses.DiceCE(), weighted_metrics=[metrics.Dice(3)])
    seen = model.evaluate(logits, labels, sample_weight=weights, verbose=0, return_dict=True)
    assert seen["loss"] == pytest.approx(number(losses.DiceCE()(labels, logits, weights)), rel=1e-5)
    alone = metrics.Dice(3)
    alone.update_state(labels, logits, weights)
    assert seen["dice"] == pytest.approx(number(alone.result()), rel=1e-6)
    fine = [np.repeat(np.repeat(a, 2, axis=1), 2, axis=2) for a in (labels, weights)]
    supervised = losses.DeepSupervision(losses.DiceCE())
    for form in shapes(fine[1]):
        assert number(supervised(fine[0], logits, form)) == pytest.approx(seen["loss"], rel=1e-5)
    assert number(supervised(fine[0], logits, np.array([1.0, 0.0]))) == pytest.approx(
        number(losses.DiceCE()(labels, logits, np.array([1.0, 0.0]))), rel=1e-5
    )


@pytest.mark.parametrize("name", metrics.list_metrics())
@pytest.mark.parametrize("size", [1, 2])
def test_a_metric_counts_a_voxel_as_often_as_its_weight_says(name, size):
    labels, logits, _ = batch(size)
    times = np.random.default_rng(3).integers(0, 3, labels.shape)
    repeated = metrics.get(name, 3)
    flat = np.repeat(labels.ravel(), times.ravel()), np.repeat(logits.reshape(-1, 3), times.ravel(), axis=0)
    repeated.update_state(flat[0][None, None], flat[1][None, None])
    for form in shapes(times):
        metric = metrics.get(name, 3)
        metric.update_state(labels, logits, form)
        assert number(metric.result()) == pytest.approx(number(repeated.result()), rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 5), (5, 4), (2, 6, 4), (3,), (2, 6, 5, 3), (2, 6, 5, 1, 1)])
def test_other_shapes_are_refused(shape):
    labels, logits, _ = batch(2, 2)
    labels, logits = labels[:, :6], logits[:, :6]
    weights = np.ones(shape, "float32")
    with pytest.raises(ZooError, match="sample_weight of shape"):
        losses.Dice()(labels, logits, weights)
    with pytest.raises(ZooError, match="sample_weight of shape"):
        metrics.Dice(3).update_state(labels, logits, weights)


@pytest.mark.parametrize("name", losses.list_losses())
def test_an_empty_batch_costs_nothing(name):
    loss = losses.get(name)
    assert number(loss(np.zeros((0, 6, 5), int), np.zeros((0, 6, 5, 3), "float32"))) == 0
    assert number(loss(np.zeros((0, 6, 5), int), np.zeros((0, 6, 5, 3), "float32"), np.zeros((0, 6, 5)))) == 0


@pytest.mark.parametrize("strange", [3, -1, 255])
def test_a_class_index_without_a_class_is_never_scored(strange):
    labels, logits, _ = batch(2)
    labels[0, 0, 0] = strange
    for name in losses.list_losses():
        loss = losses.get(name)
        with pytest.raises(ZooError, match=f"class {strange}; expected 0 to 2. Set ignore_class={strange}"):
            loss(labels, logits)
        assert np.isfinite(number(losses.get(name, ignore_class=strange)(labels, logits)))
    for name in metrics.list_metrics():
        metric = metrics.get(name, 3)
        with pytest.raises(ZooError, match=f"class {strange}; expected 0 to 2"):
            metric.update_state(labels, logits)
        assert number(metric.seen[0]) == 0
    model = keras.Sequential([keras.Input((5, 4, 3)), keras.layers.Activation("linear")])
    model.compile("sgd", loss=losses.Dice(), metrics=[metrics.Dice(3)])
    labels = labels[:, :5]
    assert all(np.isnan(v) for v in model.evaluate(logits[:, :5], labels, verbose=0))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("channel", [False, True])
def test_no_compiled_loss_scores_a_class_index_without_a_class(compiled, channel):
    """Also by XLA, whose minimum and exponential lose a NaN among the logits of some losses."""
    import tensorflow as tf

    labels, logits, _ = batch(3)
    labels[0, 0, 0] = 3
    labels = labels[..., None] if channel else labels
    scored = {}
    for name in losses.list_losses():
        call = tf.function(losses.get(name), jit_compile=compiled)
        scored[name] = number(call(tf.constant(labels), tf.constant(logits)))
    assert all(np.isnan(value) for value in scored.values()), scored


@pytest.mark.parametrize("value", [1.5, 0.02, np.nan])
def test_labels_between_classes_are_never_scored(value):
    """As an interpolated mask holds them; whole numbers that arithmetic has moved a little are classes."""
    import tensorflow as tf

    labels, logits, _ = batch(2)
    broken = labels.astype("float32")
    broken[0, 0, 0] = value
    for call in (losses.DiceCE(), metrics.Dice(3).update_state):
        with pytest.raises(ZooError, match=r"expected whole numbers from 0 to 2\. Resize label maps by the nearest"):
            call(broken, logits)
        with pytest.raises(ZooError, match="expected whole numbers from 0 to 2"):
            call(broken[..., None], logits)
    metric = metrics.Dice(3)
    tf.function(metric.update_state)(tf.constant(broken), tf.constant(logits))
    assert np.isnan(number(metric.result()))
    assert np.isnan(number(tf.function(losses.Dice(ignore_class=9))(tf.constant(broken), tf.constant(logits))))
    near = labels.astype("float32") - 0.001
    assert number(losses.DiceCE()(near, logits)) == number(losses.DiceCE()(labels, logits))


def test_the_former_name_of_ignore_class():
    labels, logits, _ = batch(1)
    labels[0, 0] = 7
    with pytest.warns(FutureWarning, match="ignore_label is called ignore_class now"):
        loss = losses.DiceCE(ignore_label=7)
    assert number(loss(labels, logits)) == number(losses.DiceCE(ignore_class=7)(labels, logits))
    assert loss.get_config()["ignore_class"] == 7
    with pytest.warns(FutureWarning, match="ignore_label"):
        assert metrics.Dice(3, ignore_label=7).ignore_class == 7
    with pytest.raises(ZooError, match="former name of ignore_class"):
        losses.Dice(ignore_label=1, ignore_class=2)


def test_means_without_empty_classes():
    labels = np.zeros((1, 4, 4), int)
    labels[0, :2] = 1
    logits = np.eye(3)[labels]
    logits[0, 0] = [0, 0, 1]
    plain, present = (metrics.Dice(3, ignore_empty=empty) for empty in (False, True))
    for metric in (plain, present):
        metric.update_state(labels, logits)
    assert number(plain.result()) == pytest.approx((2 / 3 + 0) / 2)
    assert number(present.result()) == pytest.approx(2 / 3)
    assert np.isnan(number(metrics.Dice(3, ignore_empty=True).result()))
