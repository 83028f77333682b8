"""Continuing a run: whatever is asked for again must be what the run was begun with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medseg import record
from medseg.errors import InputError, UsageError
from medseg.untrusted import read_json
from train.evaluation.contents import exchanged
from train.fitting.run import CONTENTS, Run
from train.planning.filter_learning import forgotten
from train.planning.plan import Plan

NO_MATTER = ("reasons", "fingerprint", "bounds", "schema", "needs")  # fields of a plan that no training goes by


def require_same_plan(run: Run, plan: Plan) -> None:
    """Require a plan to train what the run was begun with.

    Raises:
        UsageError: naming the first field that differs.
    """
    if plan.training.precision == "auto":  # a plan's is whatever the machine is fastest with that it is begun on
        plan = replace(plan, training=replace(plan.training, precision=run.plan.training.precision))
    plain = [replace(each, recipe=forgotten(each.recipe)) for each in (run.plan, plan)]  # a fold learns its own
    begun, asked = (_flat(record.to_dict(each)) for each in plain)
    for name in dict.fromkeys((*begun, *asked)):
        if begun.get(name) != asked.get(name):
            raise UsageError(
                f"{run.folder}: was begun with {name} {_short(begun.get(name))}, not {_short(asked.get(name))}; "
                "resume it without changes, or give another --out"
            )


def require_same_fold(run: Run, fold: int | None) -> None:
    """Require a fold to be the one that the run holds back.

    Raises:
        UsageError: naming both.
    """
    if fold != run.fold:
        raise UsageError(
            f"{run.folder}: was begun with fold {_name(run.fold)}, not {_name(fold)}; resume it without --fold, or "
            "give another --out"
        )


def dataset_folder(run: Run, asked=None) -> Path:
    """The dataset folder that a run goes on with.

    Args:
        run: the run.
        asked: the folder that was given, or None.

    Raises:
        UsageError: if it is another than the run was begun with, which is still there.
        InputError: if none was given and the run's is gone.
    """
    begun = Path(run.dataset)
    if asked is None:
        if not begun.is_dir():
            raise InputError(f"{run.folder}: its dataset folder {begun} is gone; give the folder where it lies now")
        return begun
    if begun.is_dir() and begun.resolve() != Path(asked).resolve():
        raise UsageError(
            f"{run.folder}: was begun with the dataset {begun}, not {asked}; resume it without a folder, or give "
            "another --out"
        )
    return Path(asked)


def require_same_folders(run: Run, images: str | None, labels: str | None) -> None:
    """Require ``--images`` and ``--labels``, where given, to name the folders that the run was begun with.

    Raises:
        UsageError: naming both.
    """
    plan = run.plan
    for option, asked, begun in (("images", images, plan.images_folder), ("labels", labels, plan.labels_folder)):
        if asked is not None and asked != begun:
            raise UsageError(
                f"{run.folder}: was begun with {option} {begun}, not {asked}; resume it without --{option}, or give "
                "another --out"
            )


def exchanged_text(run: Run, training: Sequence) -> str | None:
    """A line of the training cases whose files hold something else than when the run was begun.

    Args:
        run: the run; of one that was begun by an older version nothing is known.
        training: its training cases as they are now.

    Returns:
        The line, or None where nothing changed.
    """
    path = run.folder / CONTENTS
    before = read_json(path, "digests of the cases") if path.is_file() else {}
    if not isinstance(before, dict):
        raise InputError(f"{path}: expected case names and digests; remove it, and the run goes on without")
    names = exchanged(before, training)
    if not names:
        return None
    return (
        f"{run.folder}: {len(names)} of {len(training)} training cases changed since it was begun, such as {names[0]}; "
        "what it learnt of them before stays, give another --out to train anew"
    )


def _flat(values, prefix=""):
    """The fields of a plan by dotted name, without those that no training goes by."""
    flat = {}
    for name, value in values.items():
        if not prefix and name in NO_MATTER:
            continue
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _short(value):
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _name(fold):
    return "none" if fold is None else fold
