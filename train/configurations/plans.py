"""Plans of every configuration that applies to a dataset, and the folder that they are trained into.

``OUT/configurations.json``, ``OUT/plans/2d.json``, ..., and a folder for each configuration as of a cross-validation.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from imaging.configurations import FILE, Configurations
from imaging.prior import FOLDER
from medseg import record
from medseg.atomic import temporary_folder
from medseg.command import command_line
from medseg.errors import InputError, UsageError
from train.fitting.folds import check_folds, fold_folder, open_folds
from train.fitting.resuming import require_same_plan
from train.fitting.run import Run, open_run
from train.planning.configuration import CONFIGURATIONS
from train.planning.inspection import inspect
from train.planning.plan import Plan, load_plan
from train.planning.planner import make_plan

PLANS = "plans"
LOW, CASCADE = "3d-low", "cascade"
OF_A_RUN = ("plan.json", "run.json", "cases.json", "contents.json", "model.keras", "history.csv", "progress.png")


def plan_all(dataset, folds: int, progress: bool = False) -> tuple[dict[str, Plan], dict[str, str]]:
    """A plan of each configuration that applies, of one split.

    Args:
        dataset: an open ``Dataset``.
        folds: of the cross-validation.
        progress: show a bar while the cases are read, which is done once.

    Returns:
        Configuration to its plan, and configuration to why it does not apply.

    Raises:
        InputError: as ``make_plan``.
    """
    plans, left_out = {}, {}
    inspection = inspect(dataset, progress)
    for name in CONFIGURATIONS:
        try:
            plans[name] = make_plan(dataset, folds=folds, inspection=inspection, configuration=name)
        except UsageError as error:
            start, _, why = str(error).partition(": ")
            if start not in (f"configuration {name}", f"configuration {name!r}"):
                raise
            left_out[name] = why
    return plans, left_out


def save_plans(out, plans: Mapping[str, Plan], state: Configurations) -> None:
    """Begin a folder of configurations."""
    for name, plan in plans.items():
        record.save(Path(out) / PLANS / f"{name}.json", plan)
    record.save(Path(out) / FILE, state)


def load_plans(out, state: Configurations) -> dict[str, Plan]:
    """The plans that a folder was begun with.

    Raises:
        InputError: if one is missing or cannot be read.
    """
    return {name: load_plan(Path(out) / PLANS / f"{name}.json") for name in state.planned}


def check_place(out, plans: Sequence[str], folds: Sequence[int], resume: bool) -> None:
    """Require that configurations can be trained into a folder.

    Raises:
        InputError: if it holds something else, or without ``resume`` what was begun.
    """
    out = Path(out)
    if (out / "plan.json").exists() or any(out.glob("fold_*/plan.json")):
        raise InputError(f"{out}: holds a run of one configuration; give another --out")
    if (out / FILE).exists() and not resume:
        raise InputError(f"{out}: holds configurations already; continue with --resume or give another --out")
    for name in plans:
        check_folds(out / name, folds, resume)


def share_first(out, plans: Mapping[str, Plan], folds: Sequence[int]) -> None:
    """Give each fold of the cascade the network of "3d-low" that was trained as its first one will be.

    Args:
        out: the folder.
        plans: by configuration.
        folds: that are to be trained.
    """
    if not {LOW, CASCADE} <= set(plans):
        return
    for fold in folds:
        low, place = fold_folder(Path(out) / LOW, fold), fold_folder(Path(out) / CASCADE, fold) / FOLDER
        if place.exists() or not (low / "model.keras").is_file():
            continue
        require_same_plan(open_run(low), plans[CASCADE].first_plan())
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(place) as temporary:
            for name in OF_A_RUN:
                if (low / name).is_file():
                    shutil.copy(low / name, temporary)
            os.replace(temporary, place)


def finished(out, names: Sequence[str], folds: Sequence[int] | None = None) -> dict[str, tuple[Run, ...]]:
    """Configuration to its finished runs, of the folds that all of them have.

    Args:
        out: the folder.
        names: configurations.
        folds: that are wanted; all by default.

    Raises:
        InputError: if they have no fold in common, or one that is wanted is not there.
    """
    runs = {name: {run.fold: run for run in open_folds(Path(out) / name) if run.model_file.is_file()} for name in names}
    shared = sorted(set.intersection(*(set(each) for each in runs.values())))
    missing = sorted(set(folds or ()) - set(shared))
    if missing or not shared:
        which = ", ".join(map(str, missing)) or "of all configurations"
        mend = command_line("zoo train --resume --out", out)
        raise InputError(f"{out}: fold {which} has not been trained; go on with {mend}")
    return {name: tuple(each[fold] for fold in folds or shared) for name, each in runs.items()}
