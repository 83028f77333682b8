"""Model files from strangers, as far as Keras itself must look at them; tests/hostile has those refused before."""

import json
import zipfile

import h5py
import keras
import pytest

import zoo
from zoo.legacy.allowed import LAYERS, REFUSED, check_classes, layers_of
from zoo.legacy.contents import MAX_CLASSES, check_file
from zoo.legacy.errors import LoadError


def test_allowed_layers_are_layers_of_keras_and_refused_ones_are_not_allowed():
    for name in LAYERS:
        assert issubclass(getattr(keras.layers, name), keras.layers.Layer | keras.Operation), name
    assert not LAYERS & REFUSED.keys()
    assert {name for name in REFUSED if not name.startswith("_")} <= set(dir(keras.layers))


def test_no_allowed_layer_takes_a_path_or_code():
    """By the names of their arguments; a layer that Keras adds is not allowed before somebody has looked at it."""
    import inspect

    words = ("path", "file", "vocab", "function", "module", "fn", "endpoint")
    for name in LAYERS:
        arguments = inspect.signature(getattr(keras.layers, name).__init__).parameters
        assert not [a for a in arguments if any(word in a for word in words)], name


@pytest.mark.parametrize("name", ["unet3d", "mobile_unet", "segresnet"])
def test_networks_of_the_zoo_are_allowed(name, tmp_path):
    model = zoo.get(name)
    model.compile("adamw", loss=zoo.losses.get("dice"), metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    contents = check_file(tmp_path / "model.keras")
    assert layers_of(contents.config) < MAX_CLASSES / 10
    assert contents.numbers >= model.count_params()


def wide(size):
    """A network that asks for size² weights, and a file that does not have them."""
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="first"), keras.layers.Dense(2, name="last")]
    )
    config = json.loads(model.to_json())
    for layer in config["config"]["layers"]:
        if "units" in layer["config"]:
            layer["config"]["units"] = size
            layer.pop("build_config", None)
    config.pop("build_config", None)
    return model, config


def test_weights_that_the_file_does_not_hold_take_no_memory(tmp_path):
    model, config = wide(30_000)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    with pytest.raises(LoadError, match=r"'last' asks for a weight of shape \(30000, 30000\); the file holds"):
        zoo.load(tmp_path / "model.keras")


def test_weights_that_an_old_file_does_not_hold_take_no_memory(tmp_path):
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"}},
        {"class_name": "Dense", "config": {"name": "first", "units": 30_000}},
        {"class_name": "Dense", "config": {"name": "last", "units": 30_000}},
    ]
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "n", "layers": layers}})
        file.create_group("model_weights")
    with pytest.raises(LoadError, match=r"'last' asks for a weight of shape \(30000, 30000\); the file holds"):
        zoo.load(tmp_path / "model.h5")


@pytest.mark.parametrize("end", ["os.abort()", "os.kill(os.getpid(), 9)", "sys.exit(1)"])
def test_a_file_that_kills_its_reader_is_told_in_a_line(tmp_path, monkeypatch, end):
    (tmp_path / "model.h5").write_bytes(b"anything")
    monkeypatch.setattr("zoo.legacy.reading._CODE", f"import os, sys; {end}")
    with pytest.raises(LoadError, match=r"model\.h5: not readable as HDF5, the file is damaged: its reader crashed"):
        zoo.load(tmp_path / "model.h5")


def test_weights_are_watched_only_while_a_file_is_opened(tmp_path):
    before = keras.layers.Layer.add_weight
    test_weights_that_an_old_file_does_not_hold_take_no_memory(tmp_path)
    assert keras.layers.Layer.add_weight is before
    keras.layers.Dense(2000).build((None, 2000))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class_name": "run", "module": "os", "config": {}}, "holds 'run', which Keras does not have"),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"}, "'get_file'"),
        ({"class_name": "function", "module": "keras.layers", "config": "Lambda"}, "Lambda layer"),
        ({"class_name": "Net", "module": "keras_hub.models", "config": {}}, "holds 'Net', which Keras does not have"),
        ({"class_name": "SavedModelArtifact", "module": "keras.src.export", "config": {}}, "does more than compute"),
        ({"class_name": "AugMix", "module": "keras.layers", "config": {}}, "does more than compute"),
        ({"class_name": "X", "registered_name": "evil>Lambda", "config": {}}, "Lambda layer"),
        ({"class_name": "X", "module": 5, "config": {}}, "holds 'X'"),
    ],
)
def test_classes_by_name_and_module(entry, message):
    config = {"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "config": {"of": [entry]}}]}}
    with pytest.raises(LoadError, match=message):
        check_classes(config)
    check_classes(
        config, {entry["class_name"], entry["config"]} if isinstance(entry["config"], str) else {entry["class_name"]}
    )
