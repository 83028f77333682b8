"""Quantization-aware fine-tuning of a run: what it leaves, that it resumes, what it refuses."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from tiny import STILL, make_plan

from medseg.errors import UsageError
from train.cli import build_parser
from train.fitting.checks import check
from train.fitting.finetuning import finetune, finetuning_plan
from train.fitting.fit import fit
from train.fitting.run import open_run
from train.hardware.fused_layers import FusedFakeQuantize
from zoo.quantization import FakeQuantize


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    plan = make_plan(dataset, epochs=1, augmentation=STILL)
    return fit(plan, dataset, folder / "run", cache=folder / "cache", verbose=False)


def weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def test_a_fine_tuned_run(run, dataset, tmp_path):
    cache = run.folder.parent / "cache"
    how = {"weights": "per-tensor", "epochs": 2, "cache": cache, "verbose": False}
    tuned = finetune(run, dataset, tmp_path / "tuned", **how)
    settings = open_run(tuned.folder).plan.training
    assert (settings.quantize, settings.start, settings.precision) == ("per-tensor", str(run.folder), "float32")
    assert settings.learning_rate == pytest.approx(0.1 * run.plan.training.learning_rate)
    before, after = weights(run.model()), weights(tuned.model())
    assert list(before) == list(after)
    moving = {path for path in before if "moving" in path}
    assert {path for path in before if np.array_equal(before[path], after[path])} == moving
    reference = weights(keras.saving.load_model(tuned.folder / "reference.keras", compile=False))
    for path, value in before.items():
        np.testing.assert_array_equal(reference[path], value)
    assert len((tuned.folder / "history.csv").read_text().splitlines()) == 3
    # resumed from its checkpoint, ranges included, it ends as it did
    tuned.model_file.unlink()
    again = weights(finetune(run, dataset, tuned.folder, resume=True, **how).model())
    for path, value in after.items():
        np.testing.assert_array_equal(again[path], value)
    # a second fine-tuning is compared with the same network
    second = finetune(tuned, dataset, tmp_path / "second", **{**how, "epochs": 1})
    kept = weights(keras.saving.load_model(second.folder / "reference.keras", compile=False))
    np.testing.assert_array_equal(kept["logits/kernel"], before["logits/kernel"])
    assert json.loads((second.folder / "start.json").read_text())["source"] == str(tuned.folder)


def test_tensorflow_kernel_does_the_same():
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(0).normal(size=(5, 7, 3)), tf.float32)
    computed = []
    for kind in (FakeQuantize, FusedFakeQuantize):
        layer = kind()
        layer.build(x.shape)
        layer.low.assign(-0.7)
        layer.high.assign(1.3)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        computed.append((y.numpy(), tape.gradient(y, x).numpy()))
    (apart, gradient), (together, fused) = computed
    np.testing.assert_allclose(apart, together, atol=1e-6)
    np.testing.assert_array_equal(gradient, fused)
    assert 0 < gradient.mean() < 1


def test_what_cannot_work_is_refused(run, dataset, tmp_path):
    plan = finetuning_plan(run, "per-channel")
    for changes, message in (
        ({"quantize": "int4"}, "training.quantize 'int4': expected one of , per-channel, per-tensor"),
        ({"start": ""}, "training.quantize: starts from a trained network"),
        ({"deep_supervision": True}, "training.quantize: trains the finest output only"),
    ):
        wrong = dataclasses.replace(plan, training=dataclasses.replace(plan.training, **changes))
        with pytest.raises(UsageError, match=message):
            check(wrong)


def test_the_command_line():
    words = ["finetune", "runs/a", "--out", "runs/b", "--weights", "per-tensor", "--epochs", "4"]
    args = build_parser().parse_args(words)
    assert (str(args.run), args.folder, args.weights, args.epochs) == ("runs/a", None, "per-tensor", 4)
