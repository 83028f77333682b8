"""Quantization-aware fine-tuning of a run: what it leaves, that it resumes, what it refuses."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from tiny import STILL, make_plan

from medseg import record
from medseg.errors import UsageError
from train.cli import build_parser, main
from train.fitting import quantization_aware
from train.fitting.checks import check
from train.fitting.finetuning import Target, finetune, finetuning_plan
from train.fitting.fit import fit
from train.fitting.run import open_run
from train.hardware.fused_layers import FusedFakeQuantize
from train.planning.plan import Plan
from zoo.quantization import FakeQuantize, FakeQuantizedProduct


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    plan = make_plan(dataset, epochs=1, augmentation=STILL)
    return fit(plan, dataset, folder / "run", cache=folder / "cache", verbose=False)


def weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def test_a_fine_tuned_run(run, dataset, tmp_path):
    cache = run.folder.parent / "cache"
    how = {"target": Target("onnx-int8", "per-tensor"), "epochs": 2, "cache": cache, "verbose": False}
    tuned = finetune(run, dataset, tmp_path / "tuned", **how)
    settings = open_run(tuned.folder).plan.training
    assert (settings.quantize, settings.start, settings.precision) == ("per-tensor", str(run.folder), "float32")
    assert (settings.quantize_format, settings.quantize_bits) == ("onnx-int8", 0)
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
    plan = finetuning_plan(run, Target())
    for changes, message in (
        ({"quantize": "int4"}, "training.quantize 'int4': expected one of , per-channel, per-tensor"),
        ({"quantize_format": "onnx-float32"}, "training.quantize_format.*'onnx-float32'"),
        ({"quantize_bits": 7}, "training.quantize_bits: weights of 7 bits: tflite-int8 has 8; 0 stands for 8"),
        ({"start": ""}, "training.quantize: starts from a trained network"),
        ({"deep_supervision": True}, "training.quantize: trains the finest output only"),
    ):
        wrong = dataclasses.replace(plan, training=dataclasses.replace(plan.training, **changes))
        with pytest.raises(UsageError, match=message):
            check(wrong)


@pytest.mark.parametrize(
    ("target", "steps", "joined"),
    [
        (Target(), 127, False),
        (Target("onnx-int8"), 64, True),
        (Target("openvino-int8"), 64, True),
        (Target("openvino-int8", bits=8), 127, True),
    ],
)
def test_format_decides_what_is_emulated(run, target, steps, joined):
    """Bits of the weights, and whether what is joined is quantized anew; each as the plan says that is kept."""
    plan = record.from_dict(Plan, record.to_dict(finetuning_plan(run, target)))
    patch = np.random.default_rng(0).normal(size=(1, *plan.patch, len(plan.channels))).astype("float32")
    prepared = quantization_aware.prepared(run.model(), plan, [patch])
    assert {layer.levels for layer in prepared.layers if isinstance(layer, FakeQuantizedProduct)} == {steps}
    quantized = {layer.name for layer in prepared.layers if isinstance(layer, FakeQuantize)}
    joins = [layer.name for layer in prepared.layers if isinstance(layer, keras.layers.Concatenate)]
    assert joins
    assert all((f"{name}_quantized" in quantized) == joined for name in joins)


def test_run_of_before_goes_on_as_it_was(run):
    plan = finetuning_plan(run, Target())
    before = dataclasses.replace(plan, training=dataclasses.replace(plan.training, quantize_format=""))
    assert quantization_aware.runtime_and_bits(before) == ("tflite", 8)


def test_the_command_line(run, capsys):
    assert main(["finetune", str(run.folder), "--out", "runs/b", "--format", "onnx-int4"]) == 2
    assert "'onnx-int4'" in capsys.readouterr().err
    assert main(["finetune", str(run.folder), "--out", "runs/b", "--weight-bits", "7"]) == 2
    assert "tflite-int8 has 8" in capsys.readouterr().err
    words = ["finetune", "runs/a", "--out", "runs/b", "--weights", "per-tensor", "--epochs", "4"]
    args = build_parser().parse_args([*words, "--format", "openvino-int8", "--weight-bits", "8"])
    assert (args.format, args.weight_bits) == ("openvino-int8", 8)
    assert (str(args.run), args.folder, args.weights, args.epochs) == ("runs/a", None, "per-tensor", 4)
