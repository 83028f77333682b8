"""Quantization-aware fine-tuning: a trained run goes on with fake quantization, and its int8 artifact loses less."""

import dataclasses

from train.fitting.fit import fit
from train.fitting.run import Run
from train.planning.plan import Plan

EPOCHS = 6
SLOWER = 0.1  # of the learning rate that the network was trained with


def finetune(
    run: Run,
    dataset,
    out,
    *,
    weights: str = "per-channel",
    epochs: int = EPOCHS,
    learning_rate: float | None = None,
    **options,
) -> Run:
    """Fine-tune a finished run for int8; the result is a run like any other, with a plain float network.

    Args:
        run: the finished run.
        dataset: an open ``Dataset`` with its cases.
        out: the run folder to write.
        weights: scales of the int8 weights: "per-channel" or "per-tensor".
        epochs: of the plan's ``steps_per_epoch`` steps.
        learning_rate: highest; a tenth of the run's by default.
        options: resume, cache and verbose of ``train.fitting.fit.fit``.

    Returns:
        The finished run in ``out``. Its ``model.keras`` is the network to export, its ``reference.keras`` the one that
        was started from.

    Raises:
        InputError: if the run is not finished, the data cannot be used or ``out`` cannot be written.
        UsageError: for an unknown granularity of weights.
    """
    run.model()  # says so if there is none
    plan = finetuning_plan(run, weights, epochs, learning_rate)
    return fit(plan, dataset, out, run.fold, **options)


def finetuning_plan(run: Run, weights: str, epochs: int = EPOCHS, learning_rate: float | None = None) -> Plan:
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
        quantize=weights,
    )
    return dataclasses.replace(run.plan, training=settings)
