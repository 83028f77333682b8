"""Fake quantization while fitting: the network prepared, its ranges measured, the float network kept beside it."""

import shutil
from pathlib import Path

import keras

from medseg.atomic import moved_into_place
from medseg.errors import UsageError
from train.fitting.run import Run
from train.planning.plan import Plan

REFERENCE = "reference.keras"
"""In the run folder: the float network that the fine-tuning started from, which artifacts are compared with."""

CALIBRATION_BATCHES = 6


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
    from train.input.pipeline import batches

    return [image.numpy() for image, _ in batches(cases, plan, training=False, steps=CALIBRATION_BATCHES)]


def prepared(model, plan: Plan, patches):
    """The network with fake quantization, its ranges measured on ``patches``."""
    from train.hardware.fused_layers import FusedFakeQuantize
    from zoo import quantization

    fast = keras.backend.backend() == "tensorflow"
    quantizer = FusedFakeQuantize if fast else quantization.FakeQuantize
    network = quantization.prepare(model, plan.training.quantize, quantizer=quantizer)
    quantization.calibrate(network, patches)
    return network


def keep_reference(model, run: Run) -> None:
    """Write ``reference.keras``: the float network that this fine-tuning, or one before it, started from."""
    earlier = Path(run.plan.training.start) / REFERENCE
    with moved_into_place(run.folder / REFERENCE) as temporary:
        if earlier.is_file():
            shutil.copyfile(earlier, temporary)
        else:
            model.save(temporary)


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
