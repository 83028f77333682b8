"""The choice of the precision in a run: timed once, kept, and resumed without timing; no test asks the processor."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
from tiny import STILL, make_plan

from medseg.errors import UsageError
from train.fitting.fit import fit, network
from train.fitting.folds import fit_folds
from train.fitting.run import open_run
from train.fitting.step_time import open_small_step, open_step
from train.hardware import precision
from train.planning.plan import Network

fitting = importlib.import_module("train.fitting.fit")  # the module; train.fit is the function


def test_a_step_is_one_of_the_plans(dataset, monkeypatch):
    """It changes the weights; the training's own, built later, are what they would be without it."""
    monkeypatch.setattr("train.hardware.fused.fuse", lambda model, mirrors: model)  # it makes a copy
    plan = make_plan(dataset, augmentation=STILL)
    built = []

    def build(*arguments):
        built.append(network(*arguments))
        return built[-1]

    step = open_step(build, plan, "float32")
    before = [weight.numpy() for weight in built[0].trainable_variables]
    assert 0 < step() < 600
    changed = [np.abs(a.numpy() - b).max() for a, b in zip(built[0].trainable_variables, before, strict=True)]
    assert max(changed) > 0
    again = network(plan)
    np.testing.assert_array_equal(again.trainable_variables[0].numpy(), before[0])  # the seed is the training's still


@pytest.mark.parametrize("change", [{"slices": 3}, {"prior": 2}])
def test_a_step_has_all_channels_of_the_network(dataset, change):
    """Neighbouring slices, and what the first network of a cascade finds, are channels beside the scan's own."""
    plan = make_plan(dataset, augmentation=STILL)
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, **change))
    if "slices" in change:
        plan = dataclasses.replace(plan, network=Network("mobile_unet", {"width": 4}), patch=(16, 16))
    assert 0 < open_step(network, plan, "float32")() < 600


@pytest.mark.parametrize("rank", [2, 3])
def test_a_small_step_is_done_in_float32_everywhere(rank):
    assert 0 < open_small_step(rank, "float32")() < 600


def test_a_precision_that_cannot_be_computed_is_refused_before_there_is_a_run(dataset, cache, tmp_path, monkeypatch):
    def opened(rank, kind):
        def step():
            raise RuntimeError("could not create a primitive descriptor")

        return step

    monkeypatch.setattr(fitting, "open_small_step", opened)
    plan = make_plan(dataset, precision="mixed_bfloat16")
    with pytest.raises(
        UsageError, match=r"^training\.precision 'mixed_bfloat16': .* \(RuntimeError\); expected float32"
    ):
        fit(plan, dataset, tmp_path / "run", cache=cache, verbose=False)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def timed(monkeypatch):
    """Steps of known length in place of real ones; the list of what was timed."""
    calls = []

    def opened(build, plan, kind):
        calls.append(kind)
        return lambda: {"float32": 0.2, "mixed_bfloat16": 0.1}[kind]

    monkeypatch.setattr(fitting, "open_step", opened)
    monkeypatch.setattr(fitting, "open_small_step", lambda rank, kind: lambda: 0.1)
    monkeypatch.setattr(precision, "WORTH_STEPS", 1)
    return calls


def test_a_run_keeps_the_choice_of_bfloat16_and_is_resumed_with_it(dataset, cache, tmp_path, timed, capsys):
    plan = make_plan(dataset, epochs=1, steps_per_epoch=1, augmentation=STILL, precision="auto")
    run = fit(plan, dataset, tmp_path / "run", cache=cache)
    assert timed == ["float32", "mixed_bfloat16"]
    assert "precision mixed_bfloat16: a step takes float32 200 ms, mixed_bfloat16 100 ms" in capsys.readouterr().out
    assert run.plan.training.precision == open_run(run.folder).plan.training.precision == "mixed_bfloat16"
    assert json.loads((run.folder / "run.json").read_text())["step_ms"] == {"float32": 200, "mixed_bfloat16": 100}
    run.model_file.unlink()
    resumed = fit(plan, dataset, run.folder, resume=True, cache=cache, verbose=False)
    assert resumed.plan == run.plan
    assert len(timed) == 2


def test_folds_are_timed_once(dataset, cache, tmp_path, timed, monkeypatch):
    monkeypatch.setattr(fitting, "_train", lambda run, *rest: run)
    plan = make_plan(dataset, precision="auto")
    runs = fit_folds(plan, dataset, tmp_path / "all", (0, 1), cache=cache, verbose=False)
    assert [run.plan.training.precision for run in runs] == ["mixed_bfloat16"] * 2
    assert timed == ["float32", "mixed_bfloat16"]
    assert dataclasses.replace(plan.training, precision="mixed_bfloat16") == runs[1].plan.training
