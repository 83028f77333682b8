"""Transfer of classification weights into the encoder U-Net."""

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import ZooError
from zoo.models.encoder_unet import ENCODERS

SMALL = {"widths": (4, 4, 8, 8, 8)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a three-channel MobileNetV2 that stand for ImageNet's."""
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("encoder") / "mobilenet.weights.h5"
    keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(None, None, 3)).save_weights(path)
    return path


def features(model, images):
    """What the encoder gives to the decoder."""
    body = keras.Model(model.input, model.get_layer("out_relu").output)
    return np.asarray(body(images, training=False))


def test_grey_images_give_the_same_features_on_any_number_of_channels(weights):
    image = np.random.default_rng(0).standard_normal((1, 64, 64, 1)).astype("float32")
    shapes = {
        c: features(zoo.get("encoder_unet", channels=c, encoder_weights=weights, **SMALL), image.repeat(c, axis=-1))
        for c in (1, 3, 4)
    }
    for c in (1, 4):
        np.testing.assert_allclose(shapes[c], shapes[3], rtol=1e-3, atol=1e-4 * np.abs(shapes[3]).max())


def test_three_channels_are_copied(weights):
    model = zoo.get("encoder_unet", channels=3, encoder_weights=weights, **SMALL)
    source = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(None, None, 3))
    source.load_weights(weights)
    for layer in ("Conv1", "block_16_project", "bn_Conv1"):
        for a, b in zip(model.get_layer(layer).weights, source.get_layer(layer).weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder(encoder):
    model = zoo.get("encoder_unet", (64, 96, 1), classes=3, encoder=encoder, **SMALL)
    assert model.output_shape == (None, 64, 96, 3)
    sizes = [tuple(model.get_layer(name).output.shape[1:3]) for name in ENCODERS[encoder][2]]
    assert sizes == [(64 >> i, 96 >> i) for i in range(1, 6)]
    assert all(la.momentum == 0.9 for la in model.layers if isinstance(la, keras.layers.BatchNormalization))


def test_weights_that_cannot_be_read(tmp_path):
    bad = tmp_path / "bad.weights.h5"
    bad.write_bytes(b"nothing")
    with pytest.raises(ZooError, match=r"encoder_weights=.* of mobilenetv2: cannot be read"):
        zoo.get("encoder_unet", encoder_weights=bad, **SMALL)
