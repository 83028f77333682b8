"""Models of Keras 2 and tensorflow-addons predict here what they predicted there."""

import json
import subprocess
import sys
import warnings

import h5py
import keras
import numpy as np
import pytest
from legacy_files import GOLDEN, edited, golden, layer_entry, saved_model

import zoo

FILES = ("unet_plain.h5", "unet_instance3d.h5", "unet_group.h5", "unet_weightnorm.h5", "unet_saved.keras", "unet_saved")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Every golden model with the warnings of opening it, by file name."""
    models = {}
    folder = saved_model(tmp_path_factory.mktemp("saved"))
    for name in FILES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = zoo.load(folder if name == "unet_saved" else GOLDEN / name)
        models[name] = model, [str(w.message) for w in caught if name in str(w.message)]
    return models


def all_layers(model):
    for layer in model.layers:
        yield from all_layers(layer) if hasattr(layer, "layers") else (layer,)


@pytest.mark.parametrize("name", FILES)
def test_predicts_as_it_did(opened, name):
    x, expected = golden(name)
    np.testing.assert_allclose(opened[name][0].predict(x, verbose=0), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_holds_layers_of_keras_only_and_saves(opened, name, tmp_path):
    model = opened[name][0]
    assert {type(layer).__module__.partition(".")[0] for layer in all_layers(model)} == {"keras"}
    model.save(tmp_path / "again.keras")
    again = zoo.load(tmp_path / "again.keras")
    x, _ = golden(name)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_takes_any_size_where_the_file_does(opened):
    model = opened["unet_group.h5"][0]
    assert model.input_shape == (None, None, None, 1)
    assert model(np.zeros((1, 8, 24, 1))).shape == (1, 8, 24, 1)


def test_addons_layers_become_group_normalisation(opened):
    normalisations = [
        layer
        for layer in all_layers(opened["unet_instance3d.h5"][0])
        if isinstance(layer, keras.layers.GroupNormalization)
    ]
    assert [(layer.groups, layer.epsilon, layer.center) for layer in normalisations] == [
        (4, 1e-3, True),
        (6, 1e-5, True),
        (4, 1e-3, False),
    ]


def test_is_compiled_as_it_was_with_notes_on_what_was_mapped(opened):
    model, notes = opened["unet_instance3d.h5"]
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-2)
    assert model.optimizer.weight_decay == pytest.approx(1e-5 / 1e-2)
    assert len(notes) == 1
    assert "SigmoidFocalCrossEntropy is keras.losses.BinaryFocalCrossentropy here, with alpha=0.3" in notes[0]
    assert "divided by the learning rate" in notes[0]
    _, y = golden("unet_instance3d.h5")
    p, target = y.astype("float64"), y > 0.5
    p_t = np.where(target, p, 1 - p)
    focal = np.where(target, 0.3, 0.7) * (1 - p_t) ** 2 * -np.log(p_t)
    assert float(model.loss(target.astype("float32"), y)) == pytest.approx(focal.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "optimizer", "instead"),
    [
        ("unet_group.h5", keras.optimizers.Adam, "zoo.averaging.Lookahead(sync_period=5, slow_step_size=0.5)"),
        ("unet_weightnorm.h5", keras.optimizers.SGD, "zoo.averaging.SWA(start_averaging=0, average_period=10)"),
    ],
)
def test_averaging_around_the_optimizer_is_told(opened, name, optimizer, instead):
    model, notes = opened[name]
    assert isinstance(model.optimizer, optimizer)
    assert instead in notes[0]


def test_plain_model_opens_without_a_note_and_trains_on(opened):
    model, notes = opened["unet_plain.h5"]
    assert notes == []
    assert model.loss == "categorical_crossentropy"
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(model.optimizer.__class__(1e-3), model.loss)
    x, y = golden("unet_plain.h5")
    assert np.isfinite(copy.fit(x, y, verbose=0).history["loss"][0])


def test_unknown_loss_leaves_the_model_uncompiled_and_says_so(tmp_path):
    def change(_, file):
        training = json.loads(file.attrs["training_config"])
        training["loss"] = "dice_of_our_group"
        file.attrs["training_config"] = json.dumps(training)

    path = edited(tmp_path, "unet_plain.h5", change)
    with pytest.warns(UserWarning, match="loss dice_of_our_group is not known to Keras 3; the model is not compiled"):
        model = zoo.load(path)
    assert not model.compiled
    given = zoo.load(path, custom_objects={"dice_of_our_group": lambda y_true, y_pred: keras.ops.mean(y_pred)})
    assert given.compiled


def test_models_of_keras_3_open_too(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)])
    for name in ("new.keras", "new.h5"):
        model.save(tmp_path / name)
        np.testing.assert_array_equal(zoo.load(tmp_path / name).get_weights()[0], model.get_weights()[0])


# Weight normalisation


def test_weight_normalisation_is_folded(opened):
    with h5py.File(GOLDEN / "unet_weightnorm.h5") as file:
        group = file["model_weights/weight_normalization_2/weight_normalization_2"]
        v, g = group["kernel:0"][()], group["g:0"][()]
    kernel = opened["unet_weightnorm.h5"][0].get_layer("weight_normalization_2").get_weights()[0]
    np.testing.assert_allclose(np.sqrt((kernel**2).sum(axis=(0, 1, 2))), np.abs(g), rtol=1e-5)
    np.testing.assert_allclose(kernel, g * v / np.sqrt((v**2).sum(axis=(0, 1, 2))), rtol=1e-5)


def test_weight_normalisation_without_a_scale_yet(tmp_path):
    def forget(name):
        def change(_, file):
            file[f"model_weights/{name}/{name}/initialized:0"][()] = False

        return change

    path = edited(tmp_path, "unet_weightnorm.h5", forget("weight_normalization_2"))
    with pytest.warns(UserWarning, match="SWA"):
        model = zoo.load(path)
    with h5py.File(path) as file:
        v = file["model_weights/weight_normalization_2/weight_normalization_2/kernel:0"][()]
    np.testing.assert_array_equal(model.get_layer("weight_normalization_2").get_weights()[0], v)
    path = edited(tmp_path, "unet_weightnorm.h5", forget("weight_normalization_1"))
    with pytest.raises(zoo.legacy.LoadError, match=r"'weight_normalization_1' .* saved before its first batch"):
        zoo.load(path)


def test_frozen_weight_normalisation_has_its_weights_in_another_order(tmp_path, opened):
    """Keras 2 wrote the weights of a frozen wrapper as its own first, then those of the layer inside."""
    name = "weight_normalization_1"

    def freeze(config, file):
        layer_entry(config, name)["config"]["trainable"] = False
        group = file[f"model_weights/{name}"]
        order = ("g", "kernel", "initialized", "bias", "data_dep_init/kernel", "data_dep_init/bias")
        group.attrs["weight_names"] = [f"{name}/{w}:0" for w in order]

    path = edited(tmp_path, "unet_weightnorm.h5", freeze)
    with pytest.warns(UserWarning, match="SWA"):
        model = zoo.load(path)
    assert not model.get_layer(name).trainable
    for weight, expected in zip(model.get_weights(), opened["unet_weightnorm.h5"][0].get_weights(), strict=True):
        assert weight.shape == expected.shape
    x, y = golden("unet_weightnorm.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=0, atol=1e-5)


def test_naming_load_imports_no_framework():
    code = "import sys, zoo; zoo.load; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=GOLDEN.parents[2])
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["mse", "MSE", "mae", "kld", "logcosh", "huber_loss", "mean_squared_error", "bce"])
def test_losses_by_the_short_names_of_keras_2(tmp_path, name):
    def change(_, file):
        training = json.loads(file.attrs["training_config"])
        training["loss"], training["metrics"] = name, [name]
        file.attrs["training_config"] = json.dumps(training)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = zoo.load(edited(tmp_path, "unet_plain.h5", change))
    assert model.compiled
    x, y = golden("unet_plain.h5")
    seen = model.evaluate(x, y, verbose=0)
    assert np.isfinite(seen).all()
