"""Fake quantization while fitting: the network prepared, its ranges measured, the float network kept beside it."""

import shutil
from pathlib import Path

import keras

from medseg.atomic import moved_into_place
from medseg.errors import UsageError
from train.fitting.run import Run
from train.planning.plan import Plan
from zoo.errors import ZooError

REFERENCE = "reference.keras"
"""In the run folder: the float network that the fine-tuning started from, which artifacts are compared with."""

CALIBRATION_BATCHES = 6
FORMAT_OF_BEFORE = "tflite-int8"  # of plans that name none


def check(plan: Plan) -> None:
    """Require that a plan with ``training.quantize`` can work.

    Raises:
        UsageError: naming the field.
    """
    settings = plan.training
    if settings.quantize and plan.first is not None:
        raise UsageError("training.quantize: a cascade's networks are not fine-tuned for int8; leave it out")
    if settings.quantize and not settings.start:
        raise UsageError("training.quantize: starts from a trained network; name its run in training.start")
    if settings.quantize and settings.deep_supervision:
        raise UsageError("training.quantize: trains the finest output only; set training.deep_supervision false")
    try:
        runtime_and_bits(plan)
    except ZooError as error:
        raise UsageError(f"training.quantize_format, training.quantize_bits: {error}") from None


def runtime_and_bits(plan: Plan) -> tuple[str, int]:
    """What the format that a plan trains for asks of ``zoo.quantization.prepare``.

    Raises:
        ZooError: if there is no such format, or its weights have other bits.
    """
    from zoo.quantization import target

    return target(plan.training.quantize_format or FORMAT_OF_BEFORE, plan.training.quantize_bits)


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
    runtime, bits = runtime_and_bits(plan)
    network = quantization.prepare(model, plan.training.quantize, runtime, quantizer, bits)
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
