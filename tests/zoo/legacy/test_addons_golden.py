"""What replaces tensorflow-addons gives the values of its version 0.23 (made by tests/golden/tfa/make_golden.py)."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

import zoo
import zoo.averaging

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "tfa" / "values.npz")
CLOSE = {"rtol": 0, "atol": 1e-5}
TFA_PADDING_IN_SCIPY = {"REFLECT": "mirror", "SYMMETRIC": "reflect", "CONSTANT": "constant"}


# Normalisation


@pytest.mark.parametrize(
    ("case", "groups", "epsilon"),
    [("group2d", 4, 1e-3), ("group3d", 2, 1e-5), ("instance2d", -1, 1e-3), ("instance3d", -1, 1e-5)],
)
def test_group_and_instance_normalisation(case, groups, epsilon):
    x = GOLDEN[f"{case}_x"]
    layer = keras.layers.GroupNormalization(groups=groups, epsilon=epsilon)
    layer.build(x.shape)
    layer.set_weights([GOLDEN[f"{case}_gamma"], GOLDEN[f"{case}_beta"]])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), GOLDEN[f"{case}_y"], **CLOSE)


@pytest.mark.parametrize(
    ("addons", "ours"),
    [("mish", "mish"), ("tanhshrink", "tanh_shrink"), ("hardshrink", "hard_shrink"), ("softshrink", "soft_shrink")],
)
def test_activation(addons, ours):
    activated = keras.activations.get(ours)(ops.convert_to_tensor(GOLDEN["activation_x"]))
    np.testing.assert_allclose(ops.convert_to_numpy(activated), GOLDEN[f"activation_{addons}"], **CLOSE)


# Focal loss: tensorflow-addons gives the sum over the last axis, without reduction over voxels


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 1.5)])
@pytest.mark.parametrize("given", ["logits", "probabilities"])
def test_keras_focal_loss(alpha, gamma, given):
    truth, logits = GOLDEN["focal_truth"], GOLDEN["focal_logits"]
    predicted = logits if given == "logits" else 1 / (1 + np.exp(-logits))
    loss = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=alpha, gamma=gamma, from_logits=given == "logits", reduction="none"
    )
    losses = truth.shape[-1] * ops.convert_to_numpy(loss(truth, predicted))  # Keras takes the mean over the last axis
    # From probabilities Keras 2 took log(p + 1e-7) and Keras 3 takes log(p): 2e-5 in a loss of 5, so a relative bound.
    np.testing.assert_allclose(losses, GOLDEN[f"focal_a{alpha}_g{gamma}_{given}"], rtol=1e-5)


@pytest.mark.parametrize(
    ("alpha", "gamma", "key"),
    [(0.25, 2.0, "focal_a0.25_g2.0_logits"), (0.75, 1.5, "focal_a0.75_g1.5_logits"), (None, 2.0, "focal_unweighted")],
)
def test_our_focal_loss(alpha, gamma, key):
    """A softmax over the logits (0, z) is the sigmoid of z, so two classes are one channel there."""
    truth, logits = GOLDEN["focal_truth"], GOLDEN["focal_logits"]
    loss = zoo.losses.Focal(gamma=gamma, alpha=alpha)
    total = sum(
        float(loss(truth[..., c].astype("int32"), np.stack([np.zeros_like(logits[..., c]), logits[..., c]], axis=-1)))
        for c in range(truth.shape[-1])
    )
    assert total == pytest.approx(GOLDEN[key].mean(), abs=1e-5)


# Optimizers: twelve steps with given gradients


def trail(optimizer, read=lambda optimizer, variable: variable):
    variable = keras.Variable(GOLDEN["optimizer_start"])
    optimizer.build([variable])
    steps = []
    for gradient in GOLDEN["optimizer_gradients"]:
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
        steps.append(ops.convert_to_numpy(read(optimizer, variable)).copy())
    return np.stack(steps)


def test_adamw():
    """tensorflow-addons takes weight_decay off at every step, Keras 3 takes off weight_decay times learning_rate."""
    adamw = keras.optimizers.AdamW(learning_rate=1e-2, weight_decay=1e-4 / 1e-2)
    np.testing.assert_allclose(trail(adamw), GOLDEN["adamw"], **CLOSE)
    amsgrad = keras.optimizers.AdamW(learning_rate=1e-2, weight_decay=1e-3 / 1e-2, amsgrad=True, epsilon=1e-5)
    np.testing.assert_allclose(trail(amsgrad), GOLDEN["adamw_amsgrad"], **CLOSE)


def test_exponential_moving_average():
    """Equal from the weights after the first step on: tensorflow-addons would start from those before it."""
    sgd = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    averages = trail(sgd, lambda optimizer, variable: optimizer._model_variables_moving_average[0])
    np.testing.assert_allclose(averages, GOLDEN["ema"], **CLOSE)


class Given(keras.layers.Layer):
    """Its weight times its input, summed: the gradient of the weight is the input."""

    def build(self, input_shape):
        self.weight = self.add_weight(shape=input_shape[1:], name="weight")

    def call(self, x):
        return ops.sum(x * self.weight, axis=(1, 2))[:, None]


def fitted(callback, steps=None):
    gradients = GOLDEN["optimizer_gradients"][:steps]
    model = keras.Sequential([keras.Input(gradients.shape[1:]), Given()])
    model.set_weights([GOLDEN["optimizer_start"]])
    model.compile(keras.optimizers.SGD(0.1), loss=lambda y_true, y_pred: y_pred)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            seen.append(self.model.get_weights()[0].copy())

    model.fit(
        gradients, np.zeros((len(gradients), 1)), batch_size=1, shuffle=False, verbose=0, callbacks=[callback, Watch()]
    )
    return np.stack(seen), model.get_weights()[0]


def test_lookahead():
    seen, last = fitted(zoo.averaging.Lookahead(sync_period=3, slow_step_size=0.4))
    np.testing.assert_allclose(seen, GOLDEN["lookahead"], **CLOSE)
    np.testing.assert_array_equal(last, seen[-1])


@pytest.mark.parametrize("steps", [3, 6, 12])
def test_swa(steps):
    _, last = fitted(zoo.averaging.SWA(start_averaging=2, average_period=3), steps)
    np.testing.assert_allclose(last, GOLDEN["swa"][steps - 1], **CLOSE)


def test_swa_that_never_starts_says_so():
    with pytest.warns(UserWarning, match="averaged nothing: training ended after 2 steps"):
        seen, last = fitted(zoo.averaging.SWA(start_averaging=5), 2)
    np.testing.assert_array_equal(last, seen[-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zoo.averaging.Lookahead(sync_period=0), "sync_period=0"),
        (lambda: zoo.averaging.Lookahead(slow_step_size=1.5), "slow_step_size=1.5"),
        (lambda: zoo.averaging.SWA(start_averaging=-1), "start_averaging=-1"),
        (lambda: zoo.averaging.SWA(average_period=0), "average_period=0"),
    ],
)
def test_averaging_refuses(make, message):
    with pytest.raises(zoo.errors.ZooError, match=message):
        make()


def test_averaging_refuses_several_steps_at_once():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(zoo.errors.ZooError, match="steps_per_execution=2"):
        model.fit(np.zeros((4, 2)), np.zeros((4, 1)), batch_size=1, verbose=0, callbacks=[zoo.averaging.SWA()])


def test_batch_statistics_are_measured_anew():
    x = np.random.default_rng(0).normal(3, 2, (24, 5, 4)).astype("float32")
    inner = keras.Sequential([keras.Input((5, 4)), keras.layers.BatchNormalization(momentum=0.99)])
    model = keras.Sequential([keras.Input((5, 4)), inner])
    zoo.averaging.measure_batch_statistics(model, (x[i : i + 8] for i in range(0, 24, 8)))
    _, _, mean, variance = inner.layers[0].get_weights()
    batches = x.reshape(3, -1, 4)
    np.testing.assert_allclose(mean, batches.mean(axis=1).mean(axis=0), **CLOSE)
    np.testing.assert_allclose(variance, batches.var(axis=1).mean(axis=0), **CLOSE)
    assert inner.layers[0].momentum == 0.99
    with pytest.raises(zoo.errors.ZooError, match="no batches"):
        zoo.averaging.measure_batch_statistics(model, [])


# Images: (batch, height, width, channels)


def rotation(angle, height, width):
    """The map from output (x, y) to input that ``tfa.image.rotate`` uses: about the centre, in pixels."""
    c, s = np.cos(angle), np.sin(angle)
    x = ((width - 1) - (c * (width - 1) - s * (height - 1))) / 2
    y = ((height - 1) - (s * (width - 1) + c * (height - 1))) / 2
    return np.array([[c, -s, x], [s, c, y]])


@pytest.mark.parametrize(
    ("key", "interpolation", "fill"),
    [
        ("rotate_nearest", "nearest", "constant"),
        ("rotate_bilinear", "bilinear", "constant"),
        ("rotate_bilinear_nearest", "bilinear", "nearest"),
    ],
)
def test_rotate_is_affine_transform_of_keras(key, interpolation, fill):
    x = GOLDEN["image"]
    transform = np.stack([[*rotation(a, *x.shape[1:3]).ravel(), 0, 0] for a in GOLDEN["angles"]]).astype("float32")
    transformed = ops.convert_to_numpy(
        ops.image.affine_transform(x, transform, interpolation=interpolation, fill_mode=fill)
    )
    np.testing.assert_allclose(transformed, GOLDEN[key], **CLOSE)


@pytest.mark.parametrize(
    ("key", "mode"), [("rotate_bilinear", "grid-constant"), ("rotate_bilinear_nearest", "nearest")]
)
def test_rotate_is_affine_transform_of_scipy(key, mode):
    """Outside the image each neighbour is the fill value by itself: "grid-constant", not SciPy's "constant"."""
    x = GOLDEN["image"]
    for image, angle, expected in zip(x, GOLDEN["angles"], GOLDEN[key], strict=True):
        map_xy = rotation(angle, *x.shape[1:3])
        matrix, offset = map_xy[::-1, 1::-1], map_xy[::-1, 2]  # SciPy counts (row, column)
        for c in range(x.shape[-1]):
            transformed = ndimage.affine_transform(image[..., c], matrix, offset, order=1, mode=mode)
            np.testing.assert_allclose(transformed, expected[..., c], **CLOSE)


def test_dense_image_warp():
    """output[j, i] = image[j - flow_j, i - flow_i], linear, the edge's value outside."""
    x, flow = GOLDEN["image"], GOLDEN["flow"]
    rows, columns = np.meshgrid(np.arange(x.shape[1]), np.arange(x.shape[2]), indexing="ij")
    for image, shift, expected in zip(x, flow, GOLDEN["warp"], strict=True):
        where = np.stack([rows - shift[..., 0], columns - shift[..., 1]]).astype("float32")
        for c in range(x.shape[-1]):
            by_keras = ops.image.map_coordinates(image[..., c], where, order=1, fill_mode="nearest")
            np.testing.assert_allclose(ops.convert_to_numpy(by_keras), expected[..., c], **CLOSE)
            by_scipy = ndimage.map_coordinates(image[..., c], where, order=1, mode="nearest")
            np.testing.assert_allclose(by_scipy, expected[..., c], **CLOSE)


@pytest.mark.parametrize("padding", ["REFLECT", "SYMMETRIC", "CONSTANT"])
def test_gaussian_filter_is_that_of_scipy(padding):
    filtered = ndimage.gaussian_filter(GOLDEN["image"], 1.5, radius=3, mode=TFA_PADDING_IN_SCIPY[padding], axes=(1, 2))
    np.testing.assert_allclose(filtered, GOLDEN[f"gaussian_{padding}"], **CLOSE)


def test_gaussian_filter_of_opencv_and_keras():
    x = GOLDEN["image"]
    for image, expected in zip(x, GOLDEN["gaussian_REFLECT"], strict=True):
        filtered = cv2.GaussianBlur(image, (7, 7), 1.5, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(filtered, expected, **CLOSE)
    # Filter shape and sigma are (height, width) in tensorflow-addons, (width, height) in OpenCV.
    for image, expected in zip(x, GOLDEN["gaussian_anisotropic"], strict=True):
        filtered = cv2.GaussianBlur(image, (7, 3), sigmaX=1.7, sigmaY=0.8, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(filtered, expected, **CLOSE)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="gaussian_blur of Keras 3.15 is another one on JAX")
def test_gaussian_filter_of_keras():
    """Keras pads with zeros, which is "CONSTANT"."""
    x = GOLDEN["image"]
    filtered = ops.convert_to_numpy(ops.image.gaussian_blur(x, kernel_size=(7, 7), sigma=(1.5, 1.5)))
    np.testing.assert_allclose(filtered, GOLDEN["gaussian_CONSTANT"], **CLOSE)


@pytest.mark.parametrize("padding", ["REFLECT", "SYMMETRIC", "CONSTANT"])
def test_median_filter_is_that_of_scipy(padding):
    filtered = ndimage.median_filter(GOLDEN["image"], size=(3, 3), mode=TFA_PADDING_IN_SCIPY[padding], axes=(1, 2))
    np.testing.assert_allclose(filtered, GOLDEN[f"median_{padding}"], **CLOSE)


def test_median_filter_not_square():
    filtered = ndimage.median_filter(GOLDEN["image"], size=(5, 3), mode="mirror", axes=(1, 2))
    np.testing.assert_allclose(filtered, GOLDEN["median_5x3"], **CLOSE)


def test_median_filter_of_opencv_inside():
    """OpenCV repeats the edge, which tensorflow-addons could not: equal one pixel inside it."""
    for image, expected in zip(GOLDEN["image"], GOLDEN["median_REFLECT"], strict=True):
        for c in range(image.shape[-1]):
            filtered = cv2.medianBlur(np.ascontiguousarray(image[..., c]), 3)
            np.testing.assert_allclose(filtered[1:-1, 1:-1], expected[1:-1, 1:-1, c], **CLOSE)
