"""Quantization-aware fine-tuning: a trained run goes on with fake quantization, and its int8 artifact loses less."""

import dataclasses

from train.fitting.fit import fit
from train.fitting.quantization_aware import FORMAT_OF_BEFORE
from train.fitting.run import Run
from train.planning.plan import Plan

EPOCHS = 6
SLOWER = 0.1  # of the learning rate that the network was trained with


@dataclasses.dataclass(frozen=True)
class Target:
    """The int8 artifact that a network is fine-tuned for.

    Attributes:
        format: of ``zoo export``: "tflite-int8", "onnx-int8" or "openvino-int8".
        weights: scales of the int8 weights: "per-channel" or "per-tensor".
        bits: of the weights; 0 for the format's own, 8 in TFLite and 7 in ONNX and OpenVINO files. 8 for those that
            are exported with ``--processor amx``.
    """

    format: str = FORMAT_OF_BEFORE
    weights: str = "per-channel"
    bits: int = 0


TFLITE = Target()


def finetune(
    run: Run,
    dataset,
    out,
    *,
    target: Target = TFLITE,
    epochs: int = EPOCHS,
    learning_rate: float | None = None,
    **options,
) -> Run:
    """Fine-tune a finished run for int8; the result is a run like any other, with a plain float network.

    Args:
        run: the finished run.
        dataset: an open ``Dataset`` with its cases.
        out: the run folder to write.
        target: the int8 artifact that it is fine-tuned for.
        epochs: of the plan's ``steps_per_epoch`` steps.
        learning_rate: highest; a tenth of the run's by default.
        options: resume, cache and verbose of ``train.fitting.fit.fit``.

    Returns:
        The finished run in ``out``. Its ``model.keras`` is the network to export, its ``reference.keras`` the one that
        was started from.

    Raises:
        InputError: if the run is not finished, the data cannot be used or ``out`` cannot be written.
        UsageError: for an unknown format or granularity of weights.
    """
    run.model()  # says so if there is none
    plan = finetuning_plan(run, target, epochs, learning_rate)
    return fit(plan, dataset, out, run.fold, **options)


def finetuning_plan(run: Run, target: Target, epochs: int = EPOCHS, learning_rate: float | None = None) -> Plan:
    """The run's plan, changed for quantization-aware fine-tuning that starts from it."""
    settings = dataclasses.replace(
        run.plan.training,
        epochs=epochs,
        minutes=None,
        learning_rate=SLOWER * run.plan.training.learning_rate if learning_rate is None else learning_rate,
        precision="float32",  # 8 bits of mantissa would round anew what is quantized
        deep_supervision=False,
        patience=0,
        start=str(run.folder.absolute()),  # it is asked later, too, what was adopted there
        freeze=(),
        quantize=target.weights,
        quantize_format=target.format,
        quantize_bits=target.bits,
    )
    return dataclasses.replace(run.plan, training=settings)
