"""Several folds of one plan: ``OUT/fold_0``, ``OUT/fold_1``, ..., each a run folder of its own."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from imaging.configurations import FILE
from medseg.errors import InputError, UsageError
from train.fitting.run import Run, check_free, open_run
from train.hardware.precision import with_precision
from train.planning.filter_learning import forgotten
from train.planning.plan import Plan


def fold_numbers(text: str, plan: Plan) -> tuple[int | None, ...]:
    """The folds that a command line names.

    Args:
        text: "all", a number, numbers joined by commas, or "none".
        plan: has the folds.

    Returns:
        Their numbers; None alone where no case is held back.

    Raises:
        UsageError: if the text is none of these, or the plan has no such fold.
    """
    last = len(plan.folds) - 1
    if text == "all":
        return tuple(range(last + 1))
    if text == "none":
        return (None,)
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--fold {text}: expected all, none, a number, or numbers joined by commas") from None
    for number in numbers:
        if not 0 <= number <= last:
            raise UsageError(f"fold {number}: the plan has folds 0 to {last}")
    return numbers


def is_several(text: str | None) -> bool:
    """Whether ``--fold`` asks for a folder of runs instead of one."""
    return text is not None and (text == "all" or "," in text)


def fold_folder(out, fold: int) -> Path:
    """Where the run of a fold lies."""
    return Path(out) / f"fold_{fold}"


def open_folds(out, folds: Sequence[int] | None = None) -> tuple[Run, ...]:
    """The runs of a folder that ``fit_folds`` wrote, by fold.

    Args:
        out: the folder.
        folds: which; all that lie there by default.

    Raises:
        InputError: if there is none, one is missing, or their plans differ.
    """
    out = Path(out)
    if folds is None:
        plans = sorted(out.glob("fold_*/plan.json"), key=lambda path: (len(path.parent.name), path.parent.name))
        if not plans:
            raise InputError(f"{out}: holds no fold_0, fold_1, ...; give the --out of a zoo train --fold all")
        runs = tuple(open_run(path.parent) for path in plans)
    else:
        runs = tuple(open_run(fold_folder(out, fold)) for fold in folds)
    for run in runs[1:]:
        if _what_is_shared(run.plan) != _what_is_shared(runs[0].plan):
            raise InputError(
                f"{run.folder}: its plan differs from that of {runs[0].folder}; expected folds of one plan"
            )
    return runs


def check_folds(out, folds: Sequence[int], resume: bool = False) -> None:
    """Require that the folds can be trained into ``out``.

    Raises:
        InputError: if it is a run itself or, without ``resume``, holds one of the folds already.
    """
    if (Path(out) / "plan.json").exists():
        raise InputError(f"{out}: holds a single run; give another --out for several folds")
    if (Path(out) / FILE).exists() and not resume:
        raise InputError(f"{out}: holds configurations already; continue with --resume or give another --out")
    begun = [fold for fold in folds if (fold_folder(out, fold) / "plan.json").exists()]
    if begun and not resume:
        raise InputError(f"{fold_folder(out, begun[0])}: holds a run already; continue with --resume")
    for folder in (out, *(fold_folder(out, fold) for fold in folds)):
        check_free(folder)


def fit_folds(
    plan: Plan,
    dataset,
    out,
    folds: Sequence[int],
    resume: bool = False,
    cache=None,
    verbose: bool = True,
    devices=None,
) -> tuple[Run, ...]:
    """Train the folds of a plan one after the other.

    Args:
        plan: what to train.
        dataset: an open ``Dataset`` with the plan's cases.
        out: the folder that takes a run folder per fold.
        folds: their numbers.
        resume: keep what is finished, continue what was begun, start what is missing.
        cache: folder of preprocessed cases, the user's cache by default.
        verbose: show progress.
        devices: as for ``fit``.

    Returns:
        The finished runs.

    Raises:
        InputError: if ``out`` is a run itself or, without ``resume``, holds one of the folds already.
        UsageError: if the plan names what does not exist.
    """
    from train.fitting.fit import fit

    out = Path(out)
    check_folds(out, folds, resume)
    runs = []
    for fold in folds:
        if verbose:
            print(f"fold {fold}, {folds.index(fold) + 1} of {len(folds)}")
        begun = (fold_folder(out, fold) / "plan.json").is_file()
        asked = plan if begun or not runs else with_precision(plan, runs[0].plan.training.precision)
        runs.append(fit(asked, dataset, fold_folder(out, fold), fold, resume, cache, verbose, devices))
    return tuple(runs)


def _what_is_shared(plan):
    """A plan without what a machine decides, and what filters learnt from the cases of a fold."""
    training = dataclasses.replace(plan.training, precision="auto")
    return dataclasses.replace(plan, training=training, recipe=forgotten(plan.recipe))
