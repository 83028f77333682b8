"""A network with random weights, rewritten and compared with itself as Keras runs it."""

import keras
import numpy as np

from export.rewrite import Form, rewrite

FORMS = (Form(), Form(subpixel=True))


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


def difference(model, patch, form=FORMS[0], seed: int = 0) -> float:
    """Largest difference of any output after the rewrite, over the largest absolute value of that output."""
    flat = rewrite(model, patch, form)
    names = [operation.name for operation in flat.operations]
    assert len(set(names)) == len(names)
    channels = flat.inputs[0].shape[-1]
    image = np.random.default_rng(seed).normal(size=(*patch, channels)).astype("float32")
    expected = keras.tree.flatten(model(image[None], training=False))
    found = keras.tree.flatten(flat(image if len(patch) == 3 else image[None], training=False))
    worst = 0.0
    for one, other in zip(expected, found, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        one = one[0] if one.ndim == 5 else one
        assert one.shape == other.shape
        worst = max(worst, float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-6)))
    return worst


def assert_exact(build, shape, forms=FORMS, seed: int = 0) -> None:
    """A network equals its rewrite in each of ``forms`` within float rounding."""
    model = network(build, shape, seed)
    for form in forms:
        assert difference(model, shape[:-1], form, seed) < 1e-5
