"""The postprocessing that was adopted: by a cross-validation for the runs of its folds, or by a single run."""

from pathlib import Path

from imaging.cleaning import Postprocessing
from medseg import record
from medseg.command import command_line
from medseg.errors import InputError
from medseg.untrusted import read_json

FILE = "postprocessing.json"
"""What a single run decided when its training ended, in its folder."""


def flips_suffix(mirror: bool | None) -> str:
    """What file names say of predictions: averaged over flips, not averaged, or as the plan says (None)."""
    return "" if mirror is None else "_mirror" if mirror else "_plain"


def summary_file(out, mirror: bool | None = None) -> Path:
    """Where the summary of a cross-validation lies.

    Args:
        out: the folder that holds ``fold_0``, ``fold_1``, ...
        mirror: of predictions averaged over flips, or not; None for those as the plan says.
    """
    return Path(out) / f"summary{flips_suffix(mirror)}.json"


def adopted_postprocessing(run, mirror: bool | None = None) -> Postprocessing:
    """What the cross-validation that a run is a fold of decided on, else what the run itself did, or nothing.

    Prediction and export both ask here, so that a fold's network and its artifact segment alike. A run that was
    fine-tuned for int8 is cleaned up as the run that it was started from.

    Args:
        run: run folder, ``fold_0`` and the like in the folder of a cross-validation.
        mirror: as for ``summary_file``; a single run decided for all.

    Raises:
        InputError: if the decision cannot be read.
    """
    run = _started_from(Path(run).resolve())  # a link to a fold is that fold
    summary = summary_file(run.parent, mirror)
    if run.name.startswith("fold_") and summary.is_file() and (run / "run.json").is_file():
        content = read_json(summary, "cross-validation's summary")
        if read_json(run / "run.json", "run").get("fold") in content.get("folds", []):
            return _chosen(content, summary, run.parent)
    own = run / FILE
    if not own.is_file():
        return Postprocessing()
    try:
        return record.from_dict(Postprocessing, read_json(own, "postprocessing")["chosen"], "chosen")
    except (KeyError, TypeError, InputError) as error:
        mend = command_line("zoo train --resume --out", run)
        raise InputError(f"{own}: {error}; expected what {mend} writes") from None


def _started_from(run) -> Path:
    """The run whose fine-tuning for int8 a run is, or the one before that; the run itself where it is none."""
    seen = set()
    while run not in seen and (run / "plan.json").is_file():
        seen.add(run)
        plan = read_json(run / "plan.json", "plan")
        settings = plan.get("training") if isinstance(plan, dict) else None
        start = settings.get("start") if isinstance(settings, dict) and settings.get("quantize") else None
        if not isinstance(start, str) or not start:
            break
        run = Path(start).resolve()
    return run


def adopted_by(out, mirror: bool | None = None) -> Postprocessing:
    """What a cross-validation decided on; nothing where there is no summary.

    Args:
        out: the folder of its summary.
        mirror: as for ``summary_file``.

    Raises:
        InputError: if the summary cannot be read.
    """
    summary = summary_file(out, mirror)
    return _chosen(read_json(summary, "summary"), summary, out) if summary.is_file() else Postprocessing()


def _chosen(content, summary, folder) -> Postprocessing:
    try:
        return record.from_dict(Postprocessing, content["postprocessing"]["chosen"], "postprocessing")
    except (KeyError, TypeError):
        evaluation = command_line("zoo evaluate", folder)
        raise InputError(f"{summary}: holds no postprocessing; expected the summary that {evaluation} writes") from None
