"""One harness for all networks: what every entry of the registry has to pass, at a size that is quick.

A sweep over ``zoo.list_models()`` calls these; an entry that is added is swept with the rest.
"""

import contextlib

import keras
import numpy as np

import zoo
from zoo.building import option_names
from zoo.registry import entry

CLASSES = 3

# Options that make an entry small, tried on every builder that has them.
_SMALL = {
    "width": 6,
    "depth": 3,
    "hidden": 24,
    "heads": 2,
    "window": 3,
}
# Where these do not fit together.
_SMALL_OF = {
    "swin_unetr": {"blocks": (2, 2), "heads": (1, 2)},
    "unetr": {"blocks": 4},
    "encoder_unet": {"widths": (4, 4, 8, 8, 8)},
    "res_unet": {"blocks": (1, 2, 1)},
    "v_net": {"blocks": (1, 2, 1)},
    "segresnet": {"blocks": (1, 2, 1)},
}


def family(name: str) -> str:
    """The entry's name without "3d"."""
    return name.removesuffix("3d")


def small_options(name: str) -> dict:
    """Overrides that make an entry small enough for a sweep."""
    accepted = option_names(name)
    return {k: v for k, v in {**_SMALL, **_SMALL_OF.get(family(name), {})}.items() if k in accepted}


def small_shape(name: str, channels: int = 1, odd: bool = False) -> tuple[int, ...]:
    """An input shape (*spatial, channels) that the small network divides, or that it does not."""
    rank = entry(name).rank
    multiple = small_multiple(name)
    if odd:
        return (*(m + extra for m, extra in zip((multiple,) * rank, (5, 1, 3), strict=False)), channels)
    return (*(m * times for m, times in zip((multiple,) * rank, (1, 2, 2), strict=False)), channels)


def small_multiple(name: str) -> int:
    """What each size of the small network divides by."""
    own = {"unetr": 16, "swin_unetr": 8, "encoder_unet": 32, "mobile_unet3d": 8}
    return own.get(name, own.get(family(name), 4))


def small_model(name: str, *, channels: int = 1, odd: bool = False, seed: int = 0, **options):
    """The small network of an entry, from a seed, with moving statistics that are not the fresh 0 and 1."""
    keras.utils.set_random_seed(seed)
    model = zoo.get(name, small_shape(name, channels, odd), classes=CLASSES, **{**small_options(name), **options})
    random = np.random.default_rng(seed)
    for weight in model.non_trainable_weights:
        if weight.name == "moving_mean":
            weight.assign(random.uniform(-0.2, 0.2, weight.shape))
        elif weight.name == "moving_variance":
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


def sample(model, batch: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 (batch, *spatial, channels) and labels int32 (batch, *spatial) for a model."""
    random = np.random.default_rng(seed)
    shape = model.input_shape[1:]
    images = random.standard_normal((batch, *shape)).astype("float32")
    return images, random.integers(0, CLASSES, (batch, *shape[:-1])).astype("int32")


def predict(model, images) -> np.ndarray:
    """Logits in inference mode."""
    return keras.ops.convert_to_numpy(model(images, training=False))


def gradients(model, images, labels, loss=None) -> dict:
    """Gradient of a loss in training mode with respect to each trainable weight, path to array."""
    import tensorflow as tf

    loss = loss or zoo.losses.DiceCE()
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
    gradients_of = tape.gradient(value, [w.value for w in model.trainable_weights])
    arrays = [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients_of]
    return dict(zip((w.path for w in model.trainable_weights), arrays, strict=True))


@contextlib.contextmanager
def precision(policy: str):
    """A dtype policy for what is built within."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_option(name: str, option: str) -> bool:
    """Whether an entry's builder takes an option."""
    return option in option_names(name)
