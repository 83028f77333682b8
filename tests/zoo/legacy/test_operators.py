"""TensorFlow operators in Keras 2 networks become layers that do the same."""

import keras
import numpy as np
import pytest

import zoo
from zoo.legacy.operators import operator


@pytest.mark.parametrize(
    ("function", "make", "expected"),
    [
        ("math.add", lambda x, z: ([x], {"y": z}), lambda x, z: x + z),
        ("__operators__.add", lambda x, z: ([x], {"y": 2.5}), lambda x, z: x + 2.5),
        ("math.subtract", lambda x, z: ([x], {"y": z}), lambda x, z: x - z),
        ("math.subtract", lambda x, z: ([x], {"y": 2}), lambda x, z: x - 2),
        ("math.subtract", lambda x, z: ([1.0], {"y": x}), lambda x, z: 1 - x),
        ("math.multiply", lambda x, z: ([x], {"y": z}), lambda x, z: x * z),
        ("math.multiply", lambda x, z: ([3.0], {"y": x, "name": None}), lambda x, z: 3 * x),
        ("math.truediv", lambda x, z: ([x], {"y": 4.0}), lambda x, z: x / 4),
        ("concat", lambda x, z: ([[x, z]], {"axis": -1}), lambda x, z: np.concatenate([x, z], -1)),
        ("nn.relu", lambda x, z: ([x], {}), lambda x, z: np.maximum(x, 0)),
        ("nn.leaky_relu", lambda x, z: ([x], {"alpha": 0.1}), lambda x, z: np.where(x > 0, x, 0.1 * x)),
        (
            "nn.softmax",
            lambda x, z: ([x], {"axis": -1}),
            lambda x, z: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
        ),
        (
            "compat.v1.pad",
            lambda x, z: ([x], {"paddings": [[0, 0], [1, 2], [0, 1], [0, 0]]}),
            lambda x, z: np.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]),
        ),
        (
            "image.resize",
            lambda x, z: ([x], {"size": [6, 10], "method": "nearest"}),
            lambda x, z: x.repeat(2, 1).repeat(2, 2),
        ),
    ],
)
def test_operator(function, make, expected):
    x, z = np.random.default_rng(0).standard_normal((2, 2, 3, 5, 4)).astype("float32")
    tensors = [keras.Input((3, 5, 4)), keras.Input((3, 5, 4))]
    layer, inputs = operator("here", function, *make(*tensors))
    result = keras.Model(tensors, layer(inputs)).predict([x, z], verbose=0)
    np.testing.assert_allclose(result, expected(x, z), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("math.reduce_std", {}),
        ("math.truediv", {"y": keras.KerasTensor((None, 4))}),
        ("pad", {"paddings": [[0, 0], [1, 1]], "mode": "REFLECT"}),
        ("image.resize", {"size": [6, 10], "antialias": True}),
    ],
)
def test_operator_without_a_layer(function, options):
    with pytest.raises(zoo.legacy.LoadError, match=rf"layer 'here' calls the TensorFlow operator tf\.{function}"):
        operator("here", function, [keras.KerasTensor((None, 4))], options)
