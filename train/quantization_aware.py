"""Quantization-aware fine-tuning: a trained run goes on with fake quantization, and its int8 artifact loses less."""

import dataclasses
import os
import shutil
from pathlib import Path

import keras

from medseg.errors import UsageError
from train.plan import Plan
from train.run import Run

REFERENCE = "reference.keras"
"""In the run folder: the float network that the fine-tuning started from, which artifacts are compared with."""

EPOCHS = 6
SLOWER = 0.1  # of the learning rate that the network was trained with
CALIBRATION_BATCHES = 6


def finetune(
    run: Run,
    dataset,
    out,
    *,
    weights: str = "per-channel",
    epochs: int = EPOCHS,
    learning_rate: float | None = None,
    resume: bool = False,
    cache=None,
    verbose: bool = True,
) -> Run:
    """Fine-tune a finished run for int8; the result is a run like any other, with a plain float network.

    Args:
        run: the finished run.
        dataset: an open ``Dataset`` with its cases.
        out: the run folder to write.
        weights: scales of the int8 weights: "per-channel" or "per-tensor".
        epochs: of the plan's ``steps_per_epoch`` steps.
        learning_rate: highest; a tenth of the run's by default.
        resume: continue the run in ``out``.
        cache: folder of preprocessed cases, the user's cache by default.
        verbose: show progress.

    Returns:
        The finished run in ``out``. Its ``model.keras`` is the network to export, its ``reference.keras`` the one that
        was started from.

    Raises:
        InputError: if the run is not finished, the data cannot be used or ``out`` cannot be written.
        UsageError: for an unknown granularity of weights.
    """
    from train.fit import fit

    run.model()  # says so if there is none
    plan = finetuning_plan(run, weights, epochs, learning_rate)
    return fit(plan, dataset, out, run.fold, resume=resume, cache=cache, verbose=verbose)


def finetuning_plan(run: Run, weights: str, epochs: int = EPOCHS, learning_rate: float | None = None) -> Plan:
    """The run's plan, changed for quantization-aware fine-tuning that starts from it."""
    settings = dataclasses.replace(
        run.plan.training,
        epochs=epochs,
        minutes=None,
        learning_rate=learning_rate or SLOWER * run.plan.training.learning_rate,
        precision="float32",  # 8 bits of mantissa would round anew what is quantized
        deep_supervision=False,
        patience=0,
        start=str(run.folder),
        freeze=(),
        quantize=weights,
    )
    return dataclasses.replace(run.plan, training=settings)


def check(plan: Plan) -> None:
    """Require that a plan with ``training.quantize`` can work.

    Raises:
        UsageError: naming the field.
    """
    settings = plan.training
    if settings.quantize and not settings.start:
        raise UsageError("training.quantize: starts from a trained network; name its run in training.start")
    if settings.quantize and settings.deep_supervision:
        raise UsageError("training.quantize: trains the finest output only; set training.deep_supervision false")


def calibration(cases, plan: Plan) -> list:
    """Plain patches of training cases, (B, *patch, C) each, the same every time."""
    from train.pipeline import batches

    return [image.numpy() for image, _ in batches(cases, plan, training=False, steps=CALIBRATION_BATCHES)]


def prepared(model, plan: Plan, patches):
    """The network with fake quantization, its ranges measured on ``patches``."""
    from train.fused_layers import FusedFakeQuantize
    from zoo import quantization

    fast = keras.backend.backend() == "tensorflow"
    quantizer = FusedFakeQuantize if fast else quantization.FakeQuantize
    network = quantization.prepare(model, plan.training.quantize, quantizer=quantizer)
    quantization.calibrate(network, patches)
    return network


def keep_reference(model, run: Run) -> None:
    """Write ``reference.keras``: the network started from, or the one that that one is compared with."""
    temporary = run.folder / f".reference.{os.getpid()}.keras"
    earlier = Path(run.plan.training.start) / REFERENCE
    if earlier.is_file():
        shutil.copyfile(earlier, temporary)
    else:
        model.save(temporary)
    os.replace(temporary, run.folder / REFERENCE)


class Recalibrate(keras.callbacks.Callback):
    """Measures the ranges of the activations anew after each epoch, as the converter will do at the end.

    Args:
        patches: from ``calibration``.
    """

    def __init__(self, patches):
        super().__init__()
        self.patches = patches

    def on_epoch_end(self, epoch, logs=None):
        from zoo import quantization

        quantization.calibrate(self.model, self.patches)
