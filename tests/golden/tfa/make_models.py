"""Small U-Nets of the Keras 2 era, trained for a few steps and saved with the predictions that they gave.

Run by ``make_golden.py``, which says what environment it needs.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

layers = tf.keras.layers
L2 = tf.keras.regularizers.L2(1e-5)


def _plain():
    """What a 2D U-Net of 2021 looks like: adapted input, batch normalisation, dropout, a nested encoder block."""
    block_in = tf.keras.Input((16, 16, 1))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(block_in)
    y = layers.BatchNormalization()(y)
    y = layers.LeakyReLU(alpha=0.2)(y)
    block = tf.keras.Model(block_in, y, name="stem")
    x = tf.keras.Input((16, 16, 1))
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(3).normal(0.4, 1.7, (32, 16, 16, 1)).astype("float32"))
    a = block(adapted(layers.Rescaling(1.5)(x)))
    b = layers.MaxPooling2D()(a)
    b = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(b)
    b = layers.BatchNormalization(momentum=0.9)(b)
    b = layers.SpatialDropout2D(0.1)(b)
    c = layers.Conv2DTranspose(4, 2, strides=2, padding="same", kernel_regularizer=L2)(b)
    c = layers.DepthwiseConv2D(3, padding="same")(layers.Concatenate(axis=3)([a, c]))
    c = layers.PReLU(shared_axes=[1, 2])(c)
    return tf.keras.Model(x, layers.Conv2D(3, 1, activation="softmax")(c), name="unet_plain")


def _instance3d():
    """A 3D U-Net with ``Addons>InstanceNormalization``."""
    x = tf.keras.Input((8, 8, 8, 2))
    a = layers.Conv3D(4, 3, padding="same")(x)
    a = layers.LeakyReLU(0.1)(tfa.layers.InstanceNormalization()(a))
    b = layers.Conv3D(6, 3, strides=2, padding="same")(a)
    b = tfa.layers.InstanceNormalization(axis=-1, epsilon=1e-5, gamma_regularizer=L2)(b)
    b = layers.Activation("relu")(b)
    c = layers.Conv3DTranspose(4, 2, strides=2)(b)
    c = tfa.layers.InstanceNormalization(center=False)(layers.Add()([a, c]))
    return tf.keras.Model(x, layers.Conv3D(1, 1, activation="sigmoid")(c), name="unet_instance3d")


def _group():
    """A 2D U-Net of any size with ``Addons>GroupNormalization``, ``Addons>mish`` and operators on tensors."""
    x = tf.keras.Input((None, None, 1))
    a = layers.Conv2D(4, 3, padding="same")(x / 2.0)
    a = tf.nn.relu(tfa.layers.GroupNormalization(groups=2, axis=3)(a))
    b = layers.AveragePooling2D()(a)
    b = layers.Conv2D(8, 3, padding="same")(b)
    b = tfa.layers.GroupNormalization(groups=4, scale=False)(b)
    b = layers.ZeroPadding2D(1)(layers.ReLU()(b))
    b = layers.Cropping2D(1)(b)
    c = layers.UpSampling2D(interpolation="bilinear")(b)
    c = tf.concat([a, c], axis=-1)
    c = layers.Conv2D(4, 3, padding="same", activation=tfa.activations.mish)(c)
    c = c + a
    return tf.keras.Model(x, tf.sigmoid(layers.Conv2D(1, 1)(c)), name="unet_group")


def _weightnorm():
    """A 2D U-Net whose convolutions are wrapped in ``Addons>WeightNormalization``, one of them in a nested model."""
    wrap = tfa.layers.WeightNormalization
    block_in = tf.keras.Input((8, 8, 4))
    y = wrap(layers.Conv2D(8, 3, padding="same", activation="relu"), data_init=False, name="deep_wn")(block_in)
    y = layers.BatchNormalization()(y)
    bottleneck = tf.keras.Model(block_in, wrap(layers.Dense(8, activation="tanh"))(y), name="bottleneck")
    x = tf.keras.Input((16, 16, 1))
    a = wrap(layers.Conv2D(4, 3, padding="same", activation="relu"), data_init=True)(x)
    b = bottleneck(layers.MaxPooling2D()(a))
    c = wrap(layers.Conv2DTranspose(4, 2, strides=2, use_bias=False), data_init=False)(b)
    c = layers.Concatenate()([a, c])
    return tf.keras.Model(x, wrap(layers.Conv2D(2, 1))(c), name="unet_weightnorm")


def _saved():
    """The one that is saved as a SavedModel: every Addons layer, nested and shared layers, a wrapper, attention."""
    wrap = tfa.layers.WeightNormalization
    block_in = tf.keras.Input((16, 16, 1))
    y = wrap(layers.Conv2D(4, 3, padding="same"), data_init=False)(block_in)
    block = tf.keras.Model(block_in, tfa.layers.InstanceNormalization()(y), name="encoder")
    x = tf.keras.Input((16, 16, 1))
    mix = tf.keras.Sequential([layers.InputLayer((16, 16, 4)), layers.Conv2D(4, 1), layers.ReLU()], name="mix")
    a = mix(block(x, training=False))
    shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="shared")
    b = layers.BatchNormalization()(shared(shared(layers.MaxPooling2D()(a))))
    b = tfa.layers.GroupNormalization(groups=2)(layers.SeparableConv2D(4, 3, padding="same")(b))
    tokens = layers.Reshape((64, 4))(layers.DepthwiseConv2D(3, padding="same")(b))
    tokens = layers.MultiHeadAttention(2, 4)(tokens, layers.TimeDistributed(layers.Dense(4))(tokens))
    c = layers.Conv2DTranspose(4, 2, strides=2)(layers.Reshape((8, 8, 4))(tokens))
    c = layers.Concatenate()([a, c])
    return tf.keras.Model(x, layers.Conv2D(2, 1, activation="softmax")(c), name="unet_saved")


def _train(model, shape, classes, loss, optimizer, rng):
    """A few steps, so that no weight and no statistic is at its initial value."""
    model.compile(optimizer, loss, metrics=["accuracy"])
    x = rng.standard_normal((8, *shape)).astype("float32")
    target = (x[..., :1] > 0.3).astype("float32")
    if classes > 1:
        target = np.concatenate([1 - target] + [target] * (classes - 1), axis=-1) / np.float32(classes - 1 or 1)
    if loss == "sparse_categorical_crossentropy":
        target = target[..., 1:2]
    model(x[:4])  # once outside a graph: it sets the scales of weight normalisation
    model.fit(x, target, batch_size=4, epochs=3, verbose=0)


def write_all(folder: Path) -> None:
    """Write every model file and ``<name>_predictions.npz`` (arrays ``x`` and ``y``) into ``folder``."""
    focal = tfa.losses.SigmoidFocalCrossEntropy
    recipes = {
        "unet_plain": (_plain, (16, 16, 1), 3, "categorical_crossentropy", tf.keras.optimizers.Adam(1e-2), (16, 16, 1)),
        "unet_instance3d": (
            _instance3d,
            (8, 8, 8, 2),
            1,
            focal(alpha=0.3, gamma=2.0, reduction="sum_over_batch_size"),
            tfa.optimizers.AdamW(weight_decay=1e-5, learning_rate=1e-2),
            (8, 8, 8, 2),
        ),
        "unet_group": (
            _group,
            (16, 16, 1),
            1,
            focal(reduction="sum_over_batch_size"),
            tfa.optimizers.Lookahead(tf.keras.optimizers.legacy.Adam(1e-2), sync_period=5),
            (12, 20, 1),
        ),
        "unet_weightnorm": (
            _weightnorm,
            (16, 16, 1),
            2,
            focal(from_logits=True, reduction="sum_over_batch_size"),
            tfa.optimizers.SWA(tf.keras.optimizers.legacy.SGD(1e-2, momentum=0.9)),
            (16, 16, 1),
        ),
        "unet_saved": (_saved, (16, 16, 1), 2, "sparse_categorical_crossentropy", "adam", (16, 16, 1)),
    }
    predictions = {}
    for name, (build, shape, classes, loss, optimizer, at) in recipes.items():
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(7)
        rng = np.random.default_rng(7)
        model = build()
        _train(model, shape, classes, loss, optimizer, rng)
        x = rng.standard_normal((2, *at)).astype("float32")
        predictions[f"{name}_x"] = x
        predictions[f"{name}_y"] = model(x, training=False).numpy()
        if name == "unet_saved":
            with tempfile.TemporaryDirectory() as temporary:
                model.save(Path(temporary) / name, save_format="tf")
                shutil.make_archive(str(folder / name), "zip", temporary, name)
            model.save(folder / f"{name}.keras")  # the Keras 2.15 writing of the .keras format
        else:
            model.save(folder / f"{name}.h5")
    np.savez_compressed(folder / "predictions.npz", **predictions)
