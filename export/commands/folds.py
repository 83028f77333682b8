"""The folds of a cross-validation, or of the configurations that one chose: which of them are exported."""

import math
from pathlib import Path

from export.source.source import folds_in
from imaging.configurations import chosen_folders
from medseg.command import command_line
from medseg.errors import InputError, UsageError
from medseg.untrusted import read_json

BEST, ALL = "best", "all"


def check_fold(fold: str) -> None:
    """Require a fold's number, "best" or "all".

    Raises:
        UsageError: for anything else.
    """
    if fold not in (BEST, ALL) and not fold.isdecimal():
        raise UsageError(f"--fold {fold}: expected a number, {BEST} or {ALL}")


def exported_runs(folder, fold: str | None, out) -> list[tuple[Path, Path]]:
    """Run folders, or the saved model, with the folder that takes the artifacts of each.

    Args:
        folder: a run, a saved model, or what ``zoo train --fold all`` or ``--configuration all`` wrote. Of the latter
            the configuration that was chosen, or both of the pair, each into a folder of its name.
        fold: as for ``chosen_folds``, None for the best.
        out: that takes all.

    Raises:
        InputError: if there is no such fold, or none was scored.
        UsageError: for another text, or a fold of what has none.
    """
    folder, out = Path(folder), Path(out)
    if fold is not None:
        check_fold(fold)
    places = chosen_folders(folder)
    if not places and not folds_in(folder):
        if fold is not None:
            raise UsageError(f"--fold: is for a folder of zoo train --fold all; {folder} is none")
        return [(folder, out)]
    runs = []
    for place in places or (folder,):
        within = out / place.name if len(places) == 2 else out
        chosen = chosen_folds(place, fold or BEST)
        runs += [(run, within / run.name if fold == ALL else within) for run in chosen.values()]
    return runs


def chosen_folds(folder, fold: str) -> dict[int, Path]:
    """The runs of a cross-validation that are exported.

    Args:
        folder: as ``zoo train --fold all`` wrote it.
        fold: a number, "all", or "best": that of the highest mean Dice over all labels. Each fold is scored on other
            cases, so its lead may be theirs.

    Returns:
        Run folders by fold.

    Raises:
        InputError: if there is no such fold, or none was scored.
    """
    runs = folds_in(folder)
    if fold == ALL:
        return runs
    number = best_fold(folder, runs) if fold == BEST else int(fold)
    if number not in runs:
        raise InputError(f"{folder}: has no fold {number}, expected one of {', '.join(map(str, runs))}")
    return {number: runs[number]}


def best_fold(folder, runs: dict[int, Path]) -> int:
    """The fold of the highest mean Dice on the cases that it held back.

    Raises:
        InputError: if not all of several were scored.
    """
    if len(runs) == 1:
        return next(iter(runs))
    summary = Path(folder) / "summary.json"
    means = read_json(summary, "cross-validation's summary").get("mean_of_fold", {}) if summary.is_file() else {}
    scores = {number: _mean_dice(means.get(str(number), {})) for number in runs}
    missing = [number for number, score in scores.items() if not math.isfinite(score)]
    if missing:
        raise InputError(
            f"{folder}: fold {', '.join(map(str, missing))} has no score in summary.json, so the best is not known; "
            f"{command_line('zoo evaluate', folder)} scores them, or give --fold {missing[0]}, or --fold {ALL}"
        )
    return max(scores, key=scores.get)


def _mean_dice(labels) -> float:
    values = [float(metrics["dice"]) for metrics in labels.values() if math.isfinite(metrics.get("dice", math.nan))]
    return sum(values) / len(values) if values else math.nan
