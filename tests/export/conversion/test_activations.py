"""Activations of int8 files: what they clip stays clipped where the quantizer's range is that of a wider tensor."""

import keras
import numpy as np
import pytest
from export_running import patches, run
from keras import layers

import export

SHAPE = (12, 12, 2)
# What clips, how far the convolution before it reaches, and how far the tensor reaches that it is joined with.
NETWORKS = {
    "relu6": (layers.ReLU(6.0), 18.0, 9.0),
    "relu6 beside a far wider one": (layers.ReLU(6.0), 18.0, 30.0),
    "clip": (lambda x: keras.ops.clip(x, -3.0, 3.0), 12.0, 5.0),
    "clip above zero": (lambda x: keras.ops.clip(x, 1.0, 3.0), 12.0, 5.0),
    "clip beside a far wider one": (lambda x: keras.ops.clip(x, -3.0, 3.0), 12.0, 24.0),
    "hard tanh": (layers.Activation("hard_tanh"), 6.0, 1.7),
    "hard sigmoid": (layers.Activation("hard_sigmoid"), 9.0, 1.7),
}


def network(clip, reach, beside, images):
    """Two convolutions, one clipped and one rectified, joined for the logits; they reach as far as given on images."""
    random = np.random.default_rng(0)
    image = keras.Input(SHAPE)
    wide = layers.Conv2D(4, 3, padding="same", name="wide")
    rest = layers.Conv2D(4, 3, padding="same", name="rest")
    joined = layers.Concatenate()([clip(wide(image)), layers.ReLU(name="rectified")(rest(image))])
    head = layers.Conv2D(3, 1, name="head")
    model = keras.Model(image, head(joined))
    for layer, goal in ((wide, reach), (rest, beside)):
        kernel = random.normal(size=layer.kernel.shape)
        layer.set_weights([kernel, np.zeros(4)])
        values = np.asarray(layer(np.stack(images)))
        layer.set_weights([kernel * goal / values.max(), np.zeros(4)])
    kernel = random.normal(size=head.kernel.shape)
    kernel[:, :, 4:] /= beside  # else the errors of the wider tensor hide those of the other
    head.set_weights([kernel, np.zeros(3)])
    return model


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["onnx-int8", "openvino-int8", "tflite-int8"])
def test_what_is_clipped_stays_clipped(kind, name, tmp_path):
    images = patches(SHAPE, 3)
    model = network(*NETWORKS[name], images)
    expected = np.asarray(model(images[0][None]))[0]
    logits = run(export.convert(model, kind, calibration=images, method="minmax"), tmp_path, images[0])
    assert np.sqrt(np.mean((logits - expected) ** 2)) < 0.05 * expected.std()
