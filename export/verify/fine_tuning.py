"""Where int8 loses too much: quantization-aware fine-tuning of the run, in a process of its own, and another export."""

import dataclasses
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from export.errors import FidelityError
from export.formats import find_format
from export.source.fine_tuned import target_of, weight_bits
from export.source.source import Source, open_source, run_folder
from imaging.prior import FOLDER
from medseg.atomic import check_writable
from medseg.command import command_line
from medseg.errors import InputError, UsageError
from medseg.process import environment, module_command
from medseg.quiet import visible_stderr
from medseg.untrusted import read_json
from zoo.user_code import was_run


def check_finetune(run, formats: Sequence[str], finetune, processor: str | None = None) -> None:
    """Require that a fine-tuning can be of use before any work is done.

    Args:
        run: run folder or ``Source``.
        formats: names from ``export.FORMATS``.
        finetune: the run folder that it would write, or None.
        processor: that int8 files are made for, or None.

    Raises:
        UsageError: nothing is int8, the formats round in different ways, what is exported is no run, or the folder
            holds another run or one that was fine-tuned for another rounding.
        InputError: it cannot be written.
    """
    if finetune is None:
        return
    from zoo.quantization.targets import target  # which imports Keras

    int8 = [name for name in formats if find_format(name).activations == "int8"]
    if not int8:
        raise UsageError(f"finetune: holds for int8 formats, not for {', '.join(formats)}; leave it out")
    folder = run_folder(run)
    if folder is None:
        raise UsageError("finetune: goes on with the training of a run; a saved model has none, leave it out")
    if (folder / FOLDER / "plan.json").is_file():
        raise UsageError(f"finetune: {folder} is a cascade, whose networks are not fine-tuned; leave it out")
    check_writable(finetune, f"--finetune {finetune}")
    format_of = {target(name, weight_bits(name, processor)): name for name in int8}
    if len(format_of) > 1:
        raise UsageError(
            f"finetune {finetune}: {' and '.join(format_of.values())} round in different ways, and a run is fine-tuned "
            "for one; export them one by one, each with a folder of its own"
        )
    if not (Path(finetune) / "plan.json").is_file():
        return
    training = read_json(Path(finetune) / "plan.json", "plan").get("training", {})
    if not training.get("quantize") or Path(training.get("start") or ".").resolve() != folder.resolve():
        raise UsageError(f"finetune {finetune}: holds a run that was not started from {folder}; give another folder")
    held, bits = target_of(training)
    if target(held, bits) not in format_of:
        raise UsageError(
            f"finetune {finetune}: holds a run that was fine-tuned for {held} with weights of {bits} bits, expected "
            f"{', '.join(int8)}; give another folder"
        )


def export_finetuned(export: Callable, run, options, out, finetune=None, tell: Callable[[str], None] = print) -> list:
    """Export; a run's int8 artifact that loses too much is made again of the run fine-tuned for int8.

    Args:
        export: ``export.artifact.folder.export_checked``, which is called with what is exported, options, ``out`` and
            ``tell``.
        run: run folder, or a ``Source``.
        options: ``ExportOptions``.
        out: folder that gets one sub-folder a format.
        finetune: run folder for the fine-tuned network, used as it is where it is finished; None does without.
        tell: takes a line of progress.

    Returns:
        The artifact folders.

    Raises:
        UsageError: ``finetune`` is given where it can be of no use.
        InputError: as ``export_run``, or the fine-tuning failed.
    """
    check_finetune(run, options.formats, finetune, options.processor)
    if finetune is None:
        return export(run, options, out, tell)
    folders = []
    for name in options.formats:
        asked = dataclasses.replace(options, formats=(name,))
        try:
            folders += export(run, dataclasses.replace(asked, ship_anyway=False), out, tell)
        except FidelityError as error:
            if find_format(name).activations != "int8":
                raise
            tell(f"{error}")
            tell(f"{name}: fine-tuning for int8, as allowed, into {finetune}")
            origin = run if isinstance(run, Source) else open_source(run)
            tuned = _finetuned(run_folder(run), Path(finetune), name, options)
            folders += export(_decided_as(origin, tuned), asked, out, tell)
    return folders


def _decided_as(run: Source, tuned: Source) -> Source:
    """The fine-tuned network with what was decided of the run since it was trained."""
    elsewhere = {name: value for name, value in run.provenance.items() if name == "verified_on"}
    return dataclasses.replace(
        tuned,
        postprocessing=run.postprocessing,
        validation=run.validation if elsewhere else tuned.validation,
        provenance=tuned.provenance | elsewhere,
    )


def _finetuned(run: Path, folder: Path, name: str, options) -> Source:
    """The run fine-tuned, in a process of its own: training and export know each other by run folders only."""
    if not (folder / "model.keras").is_file():
        words = ["--format", name, "--weights", options.weights]
        words += ["--weight-bits", str(bits)] if (bits := weight_bits(name, options.processor)) else []
        command = module_command("train", "finetune", run, "--out", folder, *words)
        command += ["--code"] if was_run(run) else []
        command += ["--resume"] if (folder / "plan.json").is_file() else []
        if subprocess.run(
            command, env=environment(), stdout=visible_stderr(), stderr=visible_stderr(), check=False
        ).returncode:
            alone = command_line("zoo finetune", run, "--out", folder, *words)
            raise InputError(f"{folder}: the fine-tuning failed, as told above; {alone} tries it alone")
    return open_source(folder)
