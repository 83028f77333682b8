"""Fitting: run folder, resume, budget, guard, bad input."""

import dataclasses
import errno
import importlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import STILL, make_plan

from medseg.errors import InputError, UsageError
from train.fitting import callbacks, curves
from train.fitting import checkpoint as checkpoints
from train.fitting.checks import check
from train.fitting.curves import load_history
from train.fitting.fit import fit, network
from train.fitting.run import open_run
from train.planning.planner import make_plan as plan_by_rules

fitting = importlib.import_module("train.fitting.fit")  # the module; train.fit is the function


@pytest.fixture(scope="module")
def run(dataset, cache, tmp_path_factory):
    """A training of three epochs that nothing disturbed."""
    return fit(make_plan(dataset), dataset, tmp_path_factory.mktemp("runs") / "whole", cache=cache, verbose=False)


def test_a_run_folder_is_whole(run, dataset):
    names = {path.name for path in run.folder.iterdir()}
    expected = "plan.json run.json model.keras history.csv progress.png tensorboard checkpoints"
    assert set(expected.split()) <= names
    assert not [name for name in names if "tmp" in name or name.startswith(".")]
    assert open_run(run.folder) == run
    assert run.fold == 0
    assert list((run.folder / "tensorboard").rglob("events*"))
    history = load_history(run.folder / "history.csv")
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(np.isfinite([row["loss"], row["val_loss"]]).all() for row in history)
    assert history[-1]["learning_rate"] < history[0]["learning_rate"]
    assert (run.folder / "progress.png").read_bytes()[:4] == b"\x89PNG"


def test_the_saved_network_is_plain_and_holds_the_average_of_the_weights(run):
    model = run.model()
    assert model.input_shape == (None, 16, 16, 8, 1)
    assert model.output_shape == (None, 16, 16, 8, 3)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert not [layer for layer in model.layers if type(layer).__module__.startswith("train")]
    with np.load(run.folder / "checkpoints" / "last.npz") as arrays:
        stored = [arrays[name] for name in arrays.files]
    for weight in model.trainable_weights:
        value = weight.numpy()
        assert any(a.shape == value.shape and np.array_equal(a, value) for a in stored), weight.path


def test_interrupted_in_mid_epoch_and_resumed_it_ends_as_if_undisturbed(run, dataset, cache, tmp_path, monkeypatch):
    plan = make_plan(dataset)
    begin = callbacks.Schedule.on_train_batch_begin

    def interrupted(self, batch, logs=None):
        if self.clock.step == 4:
            raise KeyboardInterrupt
        begin(self, batch, logs)

    monkeypatch.setattr(callbacks.Schedule, "on_train_batch_begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    monkeypatch.undo()
    assert not (tmp_path / "run" / "model.keras").exists()
    with pytest.raises(InputError, match=r"holds no model.keras.*--resume"):
        open_run(tmp_path / "run").model()
    assert len(load_history(tmp_path / "run" / "history.csv")) == 1
    with pytest.raises(UsageError, match=r"was begun with training\.epochs 3, not 9"):
        fit(make_plan(dataset, epochs=9), dataset, tmp_path / "run", resume=True, cache=cache, verbose=False)
    resumed = fit(None, dataset, tmp_path / "run", resume=True, cache=cache, verbose=False)
    for weight, resumed_weight in zip(run.model().weights, resumed.model().weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), resumed_weight.numpy(), rtol=0, atol=1e-6, err_msg=weight.path)
    first, second = (load_history(r.folder / "history.csv") for r in (run, resumed))
    np.testing.assert_allclose([row["loss"] for row in first], [row["loss"] for row in second], atol=1e-6)


def test_a_finished_run_is_only_opened(run, dataset, cache, monkeypatch):
    monkeypatch.setattr(fitting, "_train", None)
    assert fit(None, dataset, run.folder, resume=True, cache=cache, verbose=False) == run
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        fit(run.plan, dataset, run.folder, cache=cache, verbose=False)


def test_a_killed_last_step_is_made_up_for(run, dataset, cache):
    expected = [weight.numpy() for weight in run.model().weights]
    run.model_file.unlink()
    fit(None, dataset, run.folder, resume=True, cache=cache, verbose=False)
    for weight, value in zip(run.model().weights, expected, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_loss_without_number_stops_and_keeps_the_last_checkpoint(dataset, cache, tmp_path, monkeypatch):
    plan = make_plan(dataset, augmentation=STILL)
    whole = fitting.batches

    def spoilt(cases, plan, *, training, **options):
        stream = whole(cases, plan, training=training, **options)
        if not training:
            return stream
        return stream.enumerate().map(lambda n, pair: (tf.where(n == 4, np.nan, 1.0) * pair[0], pair[1]))

    monkeypatch.setattr(fitting, "batches", spoilt)
    with pytest.raises(
        InputError, match=r"the loss is nan in epoch 2, step 2 \(cases case_.*epoch 1 is kept"
    ) as caught:
        fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    from train.input.cache import cache_cases
    from train.input.pipeline import cases_of_step, fold_cases

    cases = cache_cases(fold_cases(dataset, plan, 0)[0], plan.recipe, plan.labels, cache)
    assert ", ".join(cases_of_step(cases, plan, 4)) in str(caught.value)
    with np.load(tmp_path / "run" / "checkpoints" / "last.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    checkpoints.save_checkpoint(tmp_path, model, checkpoints.State(epoch=1))
    before = (tmp_path / "last.npz").read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save_checkpoint(tmp_path, model, checkpoints.State(epoch=2))
    assert [path.name for path in tmp_path.iterdir()] == ["last.npz"]
    assert (tmp_path / "last.npz").read_bytes() == before


def test_minutes_end_a_training_in_bfloat16_and_lead_its_schedule(dataset, cache, tmp_path):
    plan = make_plan(dataset, minutes=1e-3, precision="mixed_bfloat16", augmentation=STILL)
    run = fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    history = load_history(run.folder / "history.csv")
    assert len(history) == 1
    assert history[0]["learning_rate"] < 0.1 * plan.training.learning_rate
    assert {layer.dtype_policy.name for layer in run.model().layers} == {"float32"}


def test_curves_are_drawn_at_first_at_the_end_and_now_and_then(tmp_path, monkeypatch):
    now, drawn = [0.0], []
    clock = SimpleNamespace(
        settings=SimpleNamespace(patience=0, validate_every=0), seconds=1.0, finished=lambda epoch: epoch == 5
    )
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.1))
    record = callbacks.Record(SimpleNamespace(folder=tmp_path), checkpoints.State(), clock)
    record.set_model(model)
    monkeypatch.setattr(callbacks, "save_checkpoint", lambda *arguments: None)
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(curves, "save_curves", lambda path, history: drawn.append(len(history)))
    for epoch in range(6):
        record.on_epoch_end(epoch, {"loss": 1.0})
        now[0] += 4.0
    assert drawn == [1, 4, 6]


def test_rate_rises_falls_and_ends_at_zero(dataset):
    settings = make_plan(dataset, warmup=0.1, learning_rate=2.0).training
    values = [callbacks.rate(x, settings) for x in np.linspace(0, 1, 101)]
    assert values[10] == pytest.approx(2.0)
    assert values[5] == pytest.approx(1.0)
    assert values[55] == pytest.approx(1.0)
    assert values[100] == pytest.approx(0.0)
    assert callbacks.rate(1.7, settings) == pytest.approx(0.0)
    assert (np.diff(values[:11]) > 0).all()
    assert (np.diff(values[10:]) < 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "float8"}, "training.precision 'float8': expected one of auto, float32"),
        ({"optimizer": "lamb"}, "training.optimizer 'lamb': expected one of adamw, sgd"),
        ({"loss": "dise"}, "training.loss 'dise': expected one of .*dice_ce"),
        ({"minutes": -1.0}, "training.minutes is -1.0"),
        ({"batch": 0}, "training.batch is 0"),
        ({"mirror": (3,)}, "training.mirror holds axis 3"),
    ],
)
def test_a_plan_that_cannot_work_says_which_field(dataset, change, message):
    with pytest.raises(UsageError, match=message):
        check(make_plan(dataset, **change), dataset)


def test_a_run_folder_that_cannot_be_written(dataset, cache, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/run.*cannot be written"):
        fit(make_plan(dataset), dataset, tmp_path / "file" / "run", cache=cache, verbose=False)
    with pytest.raises(InputError, match="holds no run to resume"):
        fit(None, dataset, tmp_path / "none", resume=True, cache=cache, verbose=False)


def test_fewer_cases_than_folds(dataset):
    with pytest.raises(InputError, match="cannot make 9 folds"):
        plan_by_rules(dataset, folds=9)


def test_the_same_seed_gives_the_same_network(dataset):
    plan = make_plan(dataset)
    for first, second in zip(network(plan).weights, network(plan).weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    reseeded = network(
        dataclasses.replace(plan, training=dataclasses.replace(plan.training, seed=1, augmentation=STILL))
    )
    assert np.abs(reseeded.weights[0].numpy() - network(plan).weights[0].numpy()).max() > 0
