"""A network with random weights, rewritten and compared with itself as Keras runs it."""

import keras
import numpy as np
from keras import layers

from export.rewrite import Layout, rewrite
from export.rewrite.batch1 import volume

LAYOUTS = (Layout(), Layout(subpixel=True))
BATCH1 = (Layout(fold="height"), Layout(fold="channels"), Layout(True, "height"), Layout(True, "channels"))


def convolution(x, filters, kernel=3, **options):
    return layers.Conv3D(filters, kernel, padding="same", **options)(x)


BLOCKS = {
    "conv, norm, act": lambda x: layers.ReLU()(layers.BatchNormalization()(convolution(x, 3, use_bias=False))),
    "pre-activation": lambda x: convolution(layers.ReLU()(layers.BatchNormalization()(x)), x.shape[-1]),
    "residual": lambda x: layers.Add()([x, layers.PReLU(shared_axes=(1, 2, 3))(convolution(x, x.shape[-1]))]),
    "dense": lambda x: layers.Concatenate()([x, convolution(x, 2, activation="silu")]),
    "pseudo-3D": lambda x: convolution(convolution(x, 3, (1, 3, 3)), 2, (3, 1, 1), activation="relu"),
    "squeeze-excitation": lambda x: layers.Multiply()(
        [
            x,
            layers.Reshape((1, 1, 1, x.shape[-1]))(
                layers.Dense(x.shape[-1], activation="sigmoid")(layers.GlobalAveragePooling3D()(x))
            ),
        ]
    ),
    "attention gate": lambda x: layers.Multiply()(
        [x, layers.Activation("sigmoid")(convolution(layers.ReLU()(convolution(x, 2, 1) + convolution(x, 2, 1)), 1, 1))]
    ),
    "instance": lambda x: layers.LeakyReLU(0.01)(layers.GroupNormalization(-1)(convolution(x, 2))),
    "dilated": lambda x: convolution(x, 2, dilation_rate=(1, 2, 2), activation="elu"),
    "dropout": lambda x: layers.SpatialDropout3D(0.3)(convolution(x, 2)),
    "up and down": lambda x: layers.AveragePooling3D(2)(layers.UpSampling3D(2)(x)),
    "down and up": lambda x: layers.Concatenate()(
        [x, layers.Conv3DTranspose(2, (1, 2, 2), strides=(1, 2, 2))(layers.MaxPooling3D((1, 2, 2))(x))]
    ),
    "around": lambda x: layers.Cropping3D(1)(convolution(layers.ZeroPadding3D(1)(x), 2)),
}


def small_unet(image):
    """Two levels and 3 classes; for ``network``."""
    x = layers.Conv3D(8, 3, padding="same")(image)
    skip = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling3D(2)(skip)
    x = layers.Conv3D(16, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.Conv3DTranspose(8, 2, strides=2)(x), skip])
    return layers.Conv3D(3, 1)(x)


def randomise(model, seed: int = 0) -> None:
    """Give every weight of a model a random value; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.normal(size=weight.shape) / np.sqrt(max(np.prod(weight.shape[:-1]), 1))
        if "variance" in weight.path:
            value = rng.uniform(0.5, 2.0, weight.shape)
        elif "gamma" in weight.path:
            value = rng.uniform(0.5, 1.5, weight.shape)
        weight.assign(value)


def network(build, shape, seed: int = 0):
    """A functional model with random weights: ``build`` from an input of (*spatial, channels) to its outputs."""
    image = keras.Input(shape)
    model = keras.Model(image, build(image), name="network")
    randomise(model, seed)
    return model


def difference(model, patch, layout=LAYOUTS[0], seed: int = 0) -> float:
    """Largest difference of any output after the rewrite, over the largest absolute value of that output."""
    flat = rewrite(model, patch, layout)
    names = [operation.name for operation in flat.operations]
    assert len(set(names)) == len(names)
    channels = model.inputs[0].shape[-1]
    image = np.random.default_rng(seed).normal(size=(*patch, channels)).astype("float32")
    expected = keras.tree.flatten(model(image[None], training=False))
    rewritten = keras.tree.flatten(flat(image.reshape(flat.inputs[0].shape), training=False))
    worst = 0.0
    for before, after in zip(expected, rewritten, strict=True):
        before, after = np.asarray(before), np.asarray(after)
        assert after.shape == (volume.layout(layout.fold, before.shape[1:]) if before.ndim == 5 else before.shape)
        after = after.reshape(before.shape)
        worst = max(worst, float(np.abs(before - after).max() / max(np.abs(before).max(), 1e-6)))
    return worst


def begins_at_the_first_voxel(size, strides, padding: str) -> bool:
    """Whether TensorFlow's kernels agree about where a window of this size begins.

    TensorFlow pads by zero voxels or more; its kernels without oneDNN, which run on processors without VNNI, by a
    negative number where a stride is longer than the window by two: they leave out the first voxels.
    """
    return padding == "valid" or all(step - n < 2 for n, step in zip(size, strides or size, strict=True))


def assert_exact(build, shape, layouts=LAYOUTS, seed: int = 0) -> None:
    """A network equals its rewrite in each of ``layouts`` within float rounding."""
    model = network(build, shape, seed)
    for layout in layouts:
        assert difference(model, shape[:-1], layout, seed) < 1e-5
