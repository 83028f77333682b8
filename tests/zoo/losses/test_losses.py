"""Losses against MONAI, PyTorch and closed forms; saving, masks, precision."""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.ndimage import distance_transform_edt

from zoo import losses
from zoo.errors import ZooError
from zoo.losses.distance import boundary_distance

_GOLDEN = Path(__file__).parents[2] / "golden" / "monai"
_spec = importlib.util.spec_from_file_location("make_losses", _GOLDEN / "make_losses.py")
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)
VALUES = json.loads((_GOLDEN / "losses.json").read_text(encoding="utf-8"))


def value(loss, labels, logits):
    return float(ops.convert_to_numpy(loss(labels, logits)))


def gradient(loss, labels, logits):
    """Gradient with respect to the logits, by TensorFlow."""
    import tensorflow as tf

    x = tf.Variable(logits)
    with tf.GradientTape() as tape:
        result = loss(labels, x)
    return tape.gradient(result, x).numpy()


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("key", golden.OURS)
def test_value_of_the_reference(key, rank):
    name, options = golden.OURS[key]
    labels, logits = golden.inputs(key, rank)
    weights = golden.voxels(key, rank)
    result = float(ops.convert_to_numpy(losses.get(name, **options)(labels, logits, weights)))
    assert result == pytest.approx(VALUES[f"{key}_{rank}d"], rel=2e-5)


def test_every_loss_has_a_golden_value():
    assert {name for name, _ in golden.OURS.values()} == set(losses.list_losses())


@pytest.fixture(scope="module", params=losses.list_losses())
def loss(request):
    return losses.get(request.param)


@pytest.fixture(scope="module")
def sample():
    return golden.inputs("any", 3)


def test_label_forms_agree(loss, sample):
    labels, logits = sample
    sparse = value(loss, labels, logits)
    one_hot = np.eye(3, dtype="float32")[labels]
    assert value(loss, labels[..., None], logits) == sparse
    assert value(loss, labels.astype("uint8"), logits) == sparse
    assert value(loss, one_hot, logits) == pytest.approx(sparse, rel=1e-6)


def test_saving(loss):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


def test_ignored_voxels_do_not_count(loss, sample):
    labels, logits = (a.copy() for a in sample)
    hidden = np.random.default_rng(0).uniform(size=labels.shape) < 0.3
    labels[hidden] = 255
    masked = type(loss)(**{**loss.get_config(), "ignore_class": 255})
    before = value(masked, labels, logits)
    changed = logits.copy()
    changed[hidden] = -changed[hidden] + 3
    assert value(masked, labels, changed) == pytest.approx(before, rel=1e-6)
    assert np.abs(gradient(masked, labels, logits)[hidden]).max() == 0
    one_hot = np.where(hidden[..., None], 0, np.eye(3)[np.where(hidden, 0, labels)]).astype("float32")
    assert value(masked, one_hot, logits) == pytest.approx(before, rel=1e-6)


def test_all_ignored_is_finite(loss, sample):
    labels, logits = sample
    masked = type(loss)(**{**loss.get_config(), "ignore_class": 255})
    everything = np.full_like(labels, 255)
    assert np.isfinite(value(masked, everything, logits))
    assert np.isfinite(gradient(masked, everything, logits)).all()


def test_extreme_logits_are_finite(loss, sample):
    labels, _ = sample
    for scale in (0, 1000, -1000):
        exact = (np.eye(3)[labels] * scale).astype("float32")
        assert np.isfinite(value(loss, labels, exact))
        assert np.isfinite(gradient(loss, labels, exact)).all()


def test_float16_logits(loss, sample):
    labels, logits = sample
    half = logits.astype("float16")
    assert value(loss, labels, half) == pytest.approx(value(loss, labels, half.astype("float32")), rel=1e-6)
    huge = np.full_like(half, 6e4)
    assert np.isfinite(value(loss, labels, huge))


def test_class_weights_scale(loss, sample):
    labels, logits = sample
    config = loss.get_config()
    even = type(loss)(**{**config, "class_weights": (1, 1, 1)})
    assert value(even, labels, logits) == pytest.approx(value(loss, labels, logits), rel=1e-6)
    uneven = type(loss)(**{**config, "class_weights": (1, 5, 1)})
    assert value(uneven, labels, logits) != pytest.approx(value(loss, labels, logits), rel=1e-3)
    with pytest.raises(ZooError, match="2 class_weights for 3 classes"):
        value(type(loss)(**{**config, "class_weights": (1, 1)}), labels, logits)


def test_falls_when_the_prediction_gets_better(loss, sample):
    labels, _ = sample
    steps = [value(loss, labels, (np.eye(3)[labels] * scale).astype("float32")) for scale in (-4, 0, 2, 6)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


def test_graph_and_unknown_sizes(loss, sample):
    import tensorflow as tf

    labels, logits = sample
    spec = [tf.TensorSpec((None, None, None, None), "int32"), tf.TensorSpec((None, None, None, None, 3), "float32")]
    compiled = tf.function(lambda y, x: loss(y, x), input_signature=spec)
    assert float(compiled(labels, logits)) == pytest.approx(value(loss, labels, logits), rel=1e-5)


def test_dice_by_hand():
    # Certain logits: class 1 predicted in 2 voxels of 4, labelled in 1 of them.
    labels = np.array([[[0, 0], [0, 1]]])
    logits = 1e4 * np.eye(2, dtype="float32")[np.array([[[0, 0], [1, 1]]])]
    assert value(losses.Dice(smooth=0), labels, logits) == pytest.approx(1 - 2 / 3)
    assert value(losses.Jaccard(smooth=0), labels, logits) == pytest.approx(1 - 1 / 2)
    assert value(losses.Tversky(1, 0, smooth=0), labels, logits) == pytest.approx(1 - 1 / 2)
    assert value(losses.Tversky(0, 1, smooth=0), labels, logits) == pytest.approx(0, abs=1e-6)


def test_absent_class_not_predicted_costs_nothing():
    labels = np.zeros((1, 4, 4), "int32")
    logits = 1e4 * np.eye(3, dtype="float32")[labels]
    assert value(losses.Dice(), labels, logits) == pytest.approx(0, abs=1e-6)


def test_batch_of_one_loss_per_sample():
    labels, logits = golden.inputs("any", 2)
    each = losses.Dice(reduction="none")(labels, logits)
    alone = [value(losses.Dice(), labels[i : i + 1], logits[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(each, alone, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 9, 8, 2), (2, 9, 8, 3, 1), (2, 9)])
def test_labels_of_a_wrong_shape(shape):
    with pytest.raises(ZooError, match="labels of shape"):
        losses.Dice()(np.zeros(shape, "int32"), np.zeros((2, 9, 8, 3), "float32"))


def test_one_channel_of_logits():
    with pytest.raises(ZooError, match="at least 2 classes"):
        losses.Dice()(np.zeros((2, 9, 8), "int32"), np.zeros((2, 9, 8, 1), "float32"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dise", {}, "Did you mean 'dice'"),
        ("dice", {"smooth": -1}, "smooth=-1; expected 0 or more"),
        ("focal", {"gamma": -1}, "gamma=-1"),
        ("top_k_cross_entropy", {"share": 0}, "share=0; expected above 0 to 1"),
        ("generalised_dice", {"weighting": "cube"}, "weighting='cube'"),
        ("unified_focal", {"include_background": False}, "include_background=False; expected True"),
        ("hausdorff", {"spacing": (1, 0)}, "sizes above 0"),
        ("cl_dice", {"iterations": -1}, "iterations=-1"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ZooError, match=message):
        losses.get(name, **options)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 2, 1.25)])
def test_distance_against_scipy(spacing):
    random = np.random.default_rng(1)
    mask = random.uniform(size=(2, 7, 9, 12, 2)) < [0.1, 0.8]
    inside, outside = (ops.convert_to_numpy(a) for a in boundary_distance(ops.convert_to_tensor(mask), spacing))
    for sample in range(2):
        for channel in range(2):
            structure = mask[sample, ..., channel]
            np.testing.assert_allclose(
                inside[sample, ..., channel], distance_transform_edt(structure, spacing), rtol=1e-5
            )
            np.testing.assert_allclose(
                outside[sample, ..., channel], distance_transform_edt(~structure, spacing), rtol=1e-5
            )


def test_distance_without_boundary_is_zero():
    for mask in (np.zeros((1, 4, 4, 1), bool), np.ones((1, 4, 4, 1), bool)):
        assert all(float(ops.max(ops.abs(d))) == 0 for d in boundary_distance(ops.convert_to_tensor(mask)))


def test_deep_supervision_sees_thinned_labels():
    labels = np.arange(16, dtype="int32").reshape(1, 4, 4) % 3
    coarse = labels[:, 1::2, 1::2]
    logits = np.random.default_rng(0).standard_normal((1, 2, 2, 3)).astype("float32")
    assert value(losses.DeepSupervision(losses.DiceCE()), labels, logits) == value(losses.DiceCE(), coarse, logits)
    with pytest.raises(ZooError, match="whole multiples"):
        losses.DeepSupervision(losses.DiceCE())(labels, logits[:, :1].repeat(3, axis=1))
    with pytest.raises(ZooError, match=r"expected a loss of zoo\.losses"):
        losses.DeepSupervision("mse")


def test_deep_supervision_settings():
    settings = losses.deep_supervision(losses.DiceCE(ignore_class=9), 3)
    np.testing.assert_allclose(settings["loss_weights"], [4 / 7, 2 / 7, 1 / 7])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(settings["loss"][1]))
    assert copy.loss.get_config() == losses.DiceCE(ignore_class=9).get_config()


def test_gradient_of_skeletons_is_that_of_finite_differences():
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, (1, 6, 5, 4))
    logits = tf.constant(random.normal(size=(1, 6, 5, 4, 3)), tf.float32)
    loss = losses.get("cl_dice")

    def gradient(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = loss(labels, values)
        return tape.gradient(value, values)

    along = tf.constant(random.normal(size=logits.shape), tf.float32)
    step = 1e-3
    slope = float(loss(labels, logits + step * along) - loss(labels, logits - step * along)) / (2 * step)
    for computed in (gradient(logits), tf.function(gradient)(logits)):
        assert float(tf.reduce_sum(computed * along)) == pytest.approx(slope, rel=0.2)  # corners within the step
