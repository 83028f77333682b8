"""Fine-tuning: layers matched by name and shape, frozen layers."""

import dataclasses
import json

import numpy as np
import pytest
from tiny import STILL, make_plan, tiny_network

from medseg.errors import InputError, UsageError
from train.cli import build_parser
from train.commands.preconditions import overridden
from train.fitting.fit import fit, network
from train.fitting.warm_start import freeze, load_start, source_weights, start_text
from train.planning.plan import Network


@pytest.fixture
def two_classes():
    """The same network for two classes, every weight drawn anew."""
    model = tiny_network((16, 16, 8, 1), classes=2)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 1, weight.shape))
    return model


def test_layers_of_equal_name_and_shape_are_loaded_and_the_others_named(dataset, two_classes, tmp_path):
    two_classes.save(tmp_path / "other.keras")
    np.savez(
        tmp_path / "other.npz", extra=np.zeros(3), **{weight.path: weight.numpy() for weight in two_classes.weights}
    )
    for name, unused in (("other.keras", ()), ("other.npz", ("",))):
        model = network(make_plan(dataset))
        before = [weight.numpy() for weight in model.get_layer("logits").weights]
        start = load_start(model, source_weights(str(tmp_path / name), "tiny"), name)
        assert start.loaded == ("encoder0_conv", "encoder0_norm", "encoder1_conv", "encoder1_norm")
        assert start.unused == unused
        (fresh,) = start.fresh
        assert fresh.startswith("logits: bias has shape (3,) here and (2,) there")
        assert f"{name}: 4 layers loaded, 1 fresh\n  fresh: logits" in start_text(start)
        for layer in start.loaded:
            for weight, given in zip(model.get_layer(layer).weights, two_classes.get_layer(layer).weights, strict=True):
                np.testing.assert_array_equal(weight.numpy(), given.numpy())
        for weight, value in zip(model.get_layer("logits").weights, before, strict=True):
            np.testing.assert_array_equal(weight.numpy(), value)


def test_a_run_that_starts_from_weights_with_its_encoder_frozen(dataset, two_classes, tmp_path, capsys):
    two_classes.save(tmp_path / "other.keras")
    plan = make_plan(
        dataset,
        epochs=1,
        start=str(tmp_path / "other.keras"),
        freeze=("encoder",),
        precision="mixed_bfloat16",
        augmentation=STILL,
    )
    run = fit(plan, dataset, tmp_path / "run", cache=tmp_path / "cache")
    assert "4 layers loaded, 1 fresh" in capsys.readouterr().out
    about = json.loads((run.folder / "start.json").read_text())
    assert about["frozen"] == about["loaded"] == ["encoder0_conv", "encoder0_norm", "encoder1_conv", "encoder1_norm"]
    model = run.model()
    for layer in about["frozen"]:
        for weight, given in zip(model.get_layer(layer).weights, two_classes.get_layer(layer).weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), given.numpy(), err_msg=weight.path)
    fresh = network(plan).get_layer("logits").weights[0].numpy()
    assert not np.array_equal(model.get_layer("logits").weights[0].numpy(), fresh)
    # A run can be started from as well; and one that has an epoch needs its source no more.
    assert set(source_weights(str(run.folder), "tiny")) == {weight.path for weight in model.weights}
    (tmp_path / "other.keras").unlink()
    run.model_file.unlink()
    again = fit(None, dataset, run.folder, resume=True, cache=tmp_path / "cache", verbose=False).model()
    for weight, value in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value.numpy())


def test_freezing_by_wildcard(dataset):
    model = network(make_plan(dataset))
    assert freeze(model, ("encoder1*", "*_conv")) == ("encoder1_conv", "encoder1_norm", "encoder0_conv")
    assert {weight.path for weight in model.trainable_weights} == {
        "encoder0_norm/gamma",
        "encoder0_norm/beta",
        "logits/kernel",
        "logits/bias",
    }
    with pytest.raises(UsageError, match=r"training\.freeze 'encodr': fits no layer of tiny; its layers are encoder0"):
        freeze(model, ("encodr",))
    with pytest.raises(UsageError, match="leaves nothing of tiny to train"):
        freeze(model, ("*",))


def test_sources_that_do_not_work(dataset, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such run folder or file"):
        fit(make_plan(dataset, start="nowhere"), dataset, tmp_path / "run", cache=tmp_path / "cache", verbose=False)
    with pytest.raises(UsageError, match=r"training\.freeze 'encodr'"):
        fit(make_plan(dataset, freeze=("encodr",)), dataset, tmp_path / "run", cache=tmp_path / "cache", verbose=False)
    assert not (tmp_path / "run").exists()
    (tmp_path / "broken.keras").write_text("no")
    with pytest.raises(InputError, match=r"broken\.keras: cannot be read as weights"):
        source_weights(str(tmp_path / "broken.keras"), "tiny")
    (tmp_path / "weights.h5").write_text("no")
    with pytest.raises(InputError, match=r"expected a run folder, or a \.keras or \.npz file"):
        source_weights(str(tmp_path / "weights.h5"), "tiny")
    with pytest.raises(InputError, match="not a run folder"):
        source_weights(str(tmp_path), "tiny")
    with pytest.raises(InputError, match="none of its 1 layers fits one of tiny"):
        load_start(network(make_plan(dataset)), {"stem/kernel": np.zeros((1, 2))}, "x")


def test_the_command_line(dataset):
    args = build_parser().parse_args(
        ["train", "data", "--out", "run", "--from", "runs/a", "--freeze", "encoder", "--freeze", "decoder1*"]
    )
    settings = overridden(make_plan(dataset), args).training
    assert (settings.start, settings.freeze) == ("runs/a", ("encoder", "decoder1*"))


def test_a_network_of_another_width_shares_no_layer_but_those_of_equal_shape(dataset, two_classes):
    plan = make_plan(dataset)
    model = network(dataclasses.replace(plan, network=Network("tiny", {"width": 5})))
    with pytest.raises(InputError, match="none of its 5 layers fits"):
        load_start(model, {weight.path: weight.numpy() for weight in two_classes.weights}, "other")
