"""Ways to train: deep supervision, schedules, gradient accumulation, class weights, early stop."""

import dataclasses
import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import STILL, make_plan

from medseg.errors import UsageError
from train.cli import build_parser
from train.commands.preconditions import overridden
from train.fitting import callbacks
from train.fitting.checks import check
from train.fitting.curves import load_history
from train.fitting.fit import fit, network, objective, optimizer
from train.planning.plan import Network
from zoo import losses

fitting = importlib.import_module("train.fitting.fit")  # the module; train.fit is the function


def test_a_run_with_every_option_resumes_and_saves_the_plain_network(dataset, cache, tmp_path, monkeypatch):
    """Accumulation over two steps is cut by epochs of three."""
    plan = make_plan(
        dataset,
        epochs=2,
        deep_supervision=True,
        accumulate=2,
        class_weights=(0.5, 1.0, 2.0),
        schedule="poly",
        optimizer="sgd",
        augmentation=STILL,
    )
    whole = fit(plan, dataset, tmp_path / "whole", cache=cache, verbose=False)
    begin = callbacks.Schedule.on_train_batch_begin

    def interrupted(self, batch, logs=None):
        if self.clock.step == 4:
            raise KeyboardInterrupt
        begin(self, batch, logs)

    monkeypatch.setattr(callbacks.Schedule, "on_train_batch_begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    monkeypatch.undo()
    resumed = fit(None, dataset, tmp_path / "run", resume=True, cache=cache, verbose=False)
    model = whole.model()
    assert model.output_shape == (None, 16, 16, 8, 3)
    for weight, resumed_weight, fresh in zip(
        model.weights, resumed.model().weights, network(plan).weights, strict=True
    ):
        np.testing.assert_allclose(weight.numpy(), resumed_weight.numpy(), rtol=0, atol=1e-6, err_msg=weight.path)
        assert not np.array_equal(weight.numpy(), fresh.numpy()), weight.path
    history = load_history(whole.folder / "history.csv")
    assert set(history[0]) == {"epoch", "loss", "val_loss", "learning_rate", "seconds"}


def test_the_supervised_loss_is_the_weighted_sum_over_the_outputs(dataset):
    plan = make_plan(dataset, deep_supervision=True)
    model = network(plan, deep_supervision=True)
    model.compile(**objective(plan, 2), jit_compile=False)
    image = np.random.default_rng(0).normal(size=(2, 16, 16, 8, 1)).astype(np.float32)
    label = np.random.default_rng(1).integers(0, 3, (2, 16, 16, 8)).astype(np.int32)
    evaluated = model.evaluate(tf.data.Dataset.from_tensors((image, (label, label))), verbose=0, return_dict=True)[
        "loss"
    ]
    fine, coarse = model(image)
    loss = losses.get("dice_ce")
    expected = (2 * loss(label, fine) + loss(label[:, 1::2, 1::2, 1::2], coarse)) / 3
    assert evaluated == pytest.approx(float(expected), rel=1e-5)


def test_accumulated_steps_are_one_step_of_the_larger_batch(dataset):
    """Without batch normalisation, whose statistics are those of each small batch."""
    plan = make_plan(dataset, accumulate=2, ema=0.0, optimizer="sgd", clip_norm=0.0)
    whole = dataclasses.replace(plan, training=dataclasses.replace(plan.training, accumulate=1))
    x, y = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    results = []
    for each, batch in ((plan, 2), (whole, 4)):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
        model.compile(optimizer(each), "mse", jit_compile=False)
        model.fit(x, y, batch_size=batch, epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_class_weights_reach_the_loss(dataset):
    plan = make_plan(dataset, class_weights=(0.5, 1.0, 2.0))
    logits = np.random.default_rng(0).normal(size=(1, 4, 4, 4, 3)).astype(np.float32)
    label = np.random.default_rng(1).integers(0, 3, (1, 4, 4, 4)).astype(np.int32)
    expected = losses.get("dice_ce", class_weights=(0.5, 1.0, 2.0))(label, logits)
    assert float(objective(plan, 1)["loss"](label, logits)) == pytest.approx(float(expected), rel=1e-5)
    assert float(expected) != pytest.approx(float(losses.get("dice_ce")(label, logits)), rel=1e-3)


@pytest.mark.parametrize("name", losses.list_losses())
def test_every_loss_takes_class_weights(dataset, name):
    objective(make_plan(dataset, class_weights=(0.5, 1.0, 2.0), loss=name), 1)


def test_schedules(dataset):
    settings = make_plan(dataset, warmup=0.2, learning_rate=3.0).training
    for name, middle, end in (("cosine", 1.5, 0.0), ("poly", 3 * 0.5**0.9, 0.0), ("constant", 3.0, 3.0)):
        chosen = dataclasses.replace(settings, schedule=name)
        assert callbacks.rate(0.1, chosen) == pytest.approx(1.5)
        assert callbacks.rate(0.2, chosen) == pytest.approx(3.0)
        assert callbacks.rate(0.6, chosen) == pytest.approx(middle)
        assert callbacks.rate(1.0, chosen) == pytest.approx(end, abs=1e-9)
    assert callbacks.rate(0.0, dataclasses.replace(settings, warmup=0.0, schedule="poly")) == 3.0


def test_when_a_training_is_stale():
    def stale(*values, patience=2):
        return callbacks.is_stale([{"val_loss": value} for value in values], patience)

    assert not stale(3, 2, 2)
    assert stale(3, 2, 2, 2.5)
    assert not stale(3, 2, 2.5, 1.9)
    assert stale(1, 2, patience=1)
    assert not stale(1, 2, 3, 4, 5, patience=0)


def test_an_early_stop_ends_the_run(dataset, cache, tmp_path):
    """A learning rate too small to lower any loss by more than its noise, and weights that are not averaged."""
    plan = make_plan(dataset, epochs=9, steps_per_epoch=1, patience=1, learning_rate=1e-30, ema=0.0, augmentation=STILL)
    plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, weight_decay=0.0))
    run = fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    history = load_history(run.folder / "history.csv")
    assert 2 <= len(history) < 9
    assert callbacks.is_stale(history, 1)
    assert not callbacks.is_stale(history[:-1], 1)
    assert run.model_file.is_file()
    run.model_file.unlink()
    fit(None, dataset, run.folder, resume=True, cache=cache, verbose=False)
    assert len(load_history(run.folder / "history.csv")) == len(history)
    assert run.model_file.is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "linear"}, "training.schedule 'linear': expected one of cosine, poly, constant"),
        ({"accumulate": 0}, "training.accumulate is 0, expected at least 1"),
        ({"class_weights": (1.0,)}, r"training.class_weights is \(1.0,\), expected none, or 3 of at least 0"),
        ({"patience": -1}, "training.patience is -1"),
    ],
)
def test_settings_that_cannot_work(dataset, change, message):
    with pytest.raises(UsageError, match=message):
        check(make_plan(dataset, **change), dataset)


def test_deep_supervision_is_asked_for_in_one_place(dataset):
    plan = make_plan(dataset)
    inside = dataclasses.replace(plan, network=Network("tiny", {"deep_supervision": True}))
    with pytest.raises(UsageError, match=r"set training\.deep_supervision instead"):
        check(inside, dataset)


def test_plans_of_before_these_settings_can_be_read(dataset, tmp_path):
    from medseg import record
    from train.planning.plan import Plan

    plan = make_plan(dataset)
    old = record.to_dict(plan)
    for name in ("schedule", "accumulate", "class_weights", "deep_supervision", "patience"):
        del old["training"][name]
    (tmp_path / "plan.json").write_text(json.dumps(old))
    assert record.load(tmp_path / "plan.json", Plan) == plan


def test_the_command_line_overrides_the_plan(dataset):
    options = "--accumulate 2 --class-weights 1,2,3 --patience 5 --deep-supervision --schedule poly --optimizer sgd"
    args = build_parser().parse_args(["train", "data", "--out", "run", *options.split()])
    settings = overridden(make_plan(dataset), args).training
    assert (settings.accumulate, settings.class_weights, settings.patience) == (2, (1.0, 2.0, 3.0), 5)
    assert (settings.deep_supervision, settings.schedule, settings.optimizer) == (True, "poly", "sgd")
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "data", "--out", "run", "--class-weights", "a,b"])
