"""Where int8 loses too much: quantization-aware fine-tuning of the run, in a process of its own, and another export."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from export.errors import FidelityError
from export.formats import find_format
from export.source.source import Source, open_source
from medseg.errors import InputError, UsageError
from medseg.process import environment, module_command
from medseg.quiet import visible_stderr
from zoo.user_code import was_run


def check_finetune(run, formats: Sequence[str], finetune) -> None:
    """Require that a fine-tuning can be of use before any work is done.

    Args:
        run: run folder or ``Source``.
        formats: names from ``export.FORMATS``.
        finetune: the run folder that it would write, or None.

    Raises:
        UsageError: nothing is int8, what is exported is no run, or the folder holds another run.
    """
    if finetune is None:
        return
    if not any(find_format(name).activations == "int8" for name in formats):
        raise UsageError(f"finetune: holds for int8 formats, not for {', '.join(formats)}; leave it out")
    folder = run_folder(run)
    if folder is None:
        raise UsageError("finetune: goes on with the training of a run; a saved model has none, leave it out")
    if (Path(finetune) / "plan.json").is_file() and _started_from(finetune) != folder.resolve():
        raise UsageError(f"finetune {finetune}: holds a run that was not started from {folder}; give another folder")


def run_folder(run) -> Path | None:
    """The run folder of what is exported; None for a network of another origin."""
    folder = run.model_file.parent if isinstance(run, Source) else Path(run)
    return folder if (folder / "run.json").is_file() else None


def export_finetuned(run, formats: Sequence[str], out, finetune=None, **options) -> list[Path]:
    """``export_run``; a run's int8 artifact that loses too much is made again of the run fine-tuned for int8.

    Args:
        run: run folder, or a ``Source``.
        formats: names from ``export.FORMATS``.
        out: folder that gets one sub-folder a format.
        finetune: run folder for the fine-tuned network, used as it is where it is finished; None does without.
        options: of ``export_run``.

    Returns:
        The artifact folders.

    Raises:
        UsageError: ``finetune`` is given where it can be of no use.
        InputError: as ``export_run``, or the fine-tuning failed.
    """
    from export.artifact.folder import export_run

    check_finetune(run, formats, finetune)
    if finetune is None:
        return export_run(run, formats, out, **options)
    folders, tell = [], options.get("tell", print)
    for name in formats:
        try:
            folders += export_run(run, [name], out, **options | {"ship_anyway": False})
        except FidelityError as error:
            if find_format(name).activations != "int8":
                raise
            tell(f"{error}")
            tell(f"{name}: fine-tuning for int8, as allowed, into {finetune}")
            tuned = _finetuned(run_folder(run), Path(finetune), options.get("weights", "per-channel"))
            folders += export_run(tuned, [name], out, **options)
    return folders


def _finetuned(run: Path, folder: Path, weights: str) -> Source:
    """The run fine-tuned, in a process of its own: training and export know each other by run folders only."""
    if not (folder / "model.keras").is_file():
        command = module_command("train", "finetune", run, "--out", folder, "--weights", weights)
        command += ["--code"] if was_run(run) else []
        command += ["--resume"] if (folder / "plan.json").is_file() else []
        if subprocess.run(
            command, env=environment(), stdout=visible_stderr(), stderr=visible_stderr(), check=False
        ).returncode:
            raise InputError(
                f"{folder}: the fine-tuning failed, as told above; zoo finetune {run} --out {folder} --weights "
                f"{weights} tries it alone"
            )
    return open_source(folder)


def _started_from(folder) -> Path | None:
    settings = json.loads((Path(folder) / "plan.json").read_text(encoding="utf-8")).get("training", {})
    return Path(settings["start"]).resolve() if settings.get("quantize") and settings.get("start") else None
