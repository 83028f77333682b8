"""What zoo.load cannot open gets one line that names the file, the layer and the mend."""

import h5py
import keras
import numpy as np
import pytest
from legacy_files import GOLDEN, edited, golden, layer_entry, saved_model

import zoo


def test_unknown_layer_is_named_and_can_be_given(tmp_path):
    def change(config, _):
        layer_entry(config, "p_re_lu")["class_name"] = "OurGroup>OurActivation"

    path = edited(tmp_path, "unet_plain.h5", change)
    with pytest.raises(zoo.legacy.LoadError, match=r"'p_re_lu' is of class 'OurGroup>OurActivation'.*custom_objects="):
        zoo.load(path)
    model = zoo.load(path, custom_objects={"OurGroup>OurActivation": keras.layers.PReLU})
    x, expected = golden("unet_plain.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layer", "change", "message"),
    [
        ("unet_plain.h5", "p_re_lu", {"class_name": "Lambda"}, "'p_re_lu' is a Lambda layer"),
        (
            "unet_plain.h5",
            "conv2d_transpose",
            {"config": {"groups": 2}},
            "'conv2d_transpose' of class 'Conv2DTranspose' has groups=2",
        ),
        ("unet_plain.h5", "conv2d_1", {"config": {"kernel_size": [3, 3]}}, "'conv2d_1' .* has a kernel of shape"),
        ("unet_plain.h5", "conv2d_1", {"config": {"use_bias": False}}, "'conv2d_1' .* has 2 weights in the file"),
        ("unet_plain.h5", "conv2d_1", {"config": {"activation": "ours"}}, "'conv2d_1' .* cannot be built .*ours"),
        ("unet_plain.h5", "p_re_lu", {"inbound_nodes": [[["nowhere", 0, 0, {}]]]}, "graph of the model is broken"),
        ("unet_group.h5", "tf.concat", {"config": {"function": "stack"}}, r"'tf\.concat' calls .* tf\.stack"),
        (
            "unet_weightnorm.h5",
            "weight_normalization_1",
            {"config": {"layer": {"class_name": "LSTM", "config": {"units": 2}}}},
            "weight normalisation around 'LSTM'",
        ),
    ],
)
def test_what_cannot_be_rebuilt_is_named(tmp_path, name, layer, change, message):
    def apply(config, _):
        entry = layer_entry(config, layer)
        for key, value in change.items():
            entry[key] = {**entry[key], **value} if isinstance(value, dict) else value

    with pytest.raises(zoo.legacy.LoadError, match=message) as caught:
        zoo.load(edited(tmp_path, name, apply))
    assert name in str(caught.value)
    assert caught.value.exit_status == 1


def test_subclassed_model_is_refused(tmp_path):
    def change(config, _):
        config["class_name"] = "OurNetwork"
        config["config"] = {"width": 8}

    with pytest.raises(zoo.legacy.LoadError, match="the model is of class 'OurNetwork', written as Python code"):
        zoo.load(edited(tmp_path, "unet_plain.h5", change))


def test_files_that_are_not_models(tmp_path):
    def refused(path, message):
        with pytest.raises(zoo.legacy.LoadError, match=message) as caught:
            zoo.load(path)
        assert str(path) in str(caught.value)

    refused(tmp_path / "none.h5", "no such file; expected a .keras file")
    refused(tmp_path, "a folder without saved_model.pb")
    for suffix, message in ((".txt", "a file of kind '.txt'"), (".h5", "as HDF5"), (".keras", "as a Keras archive")):
        (tmp_path / f"text{suffix}").write_text("not a model")
        refused(tmp_path / f"text{suffix}", message)
    whole = (GOLDEN / "unet_plain.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "half.h5", "not readable as HDF5")
    whole = (GOLDEN / "unet_saved.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "half.keras", "not readable as a Keras archive")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["keras_version"] = "2.15.0"
    refused(tmp_path / "weights.h5", "weights without a network")


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("keras_metadata.pb", "without keras_metadata.pb"),
        ("variables/variables.index", "weights in variables/ are not readable"),
        ("saved_model.pb", "a folder without saved_model.pb"),
    ],
)
def test_incomplete_saved_model(tmp_path, lost, message):
    folder = saved_model(tmp_path)
    (folder / lost).unlink()
    with pytest.raises(zoo.legacy.LoadError, match=message):
        zoo.load(folder)


def test_truncated_saved_model_metadata(tmp_path):
    metadata = saved_model(tmp_path) / "keras_metadata.pb"
    metadata.write_bytes(metadata.read_bytes()[:500])
    with pytest.raises(zoo.legacy.LoadError, match="is the folder whole"):
        zoo.load(metadata.parent)


def test_a_class_that_keras_3_misses_in_its_own_files(tmp_path):
    class Ours(keras.layers.Layer):
        def call(self, x):
            return x * 2

    keras.Sequential([keras.Input((2,)), Ours()]).save(tmp_path / "ours.keras")
    with pytest.raises(zoo.legacy.LoadError, match="holds 'Ours', which Keras does not have; pass custom_objects="):
        zoo.load(tmp_path / "ours.keras")
    model = zoo.load(tmp_path / "ours.keras", custom_objects={"Ours": Ours})
    np.testing.assert_array_equal(model.predict(np.ones((1, 2)), verbose=0), [[2, 2]])
