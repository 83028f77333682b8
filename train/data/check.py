"""Everything that is wrong with a dataset folder, in one pass, before anything is trained."""

from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from train.data import layouts
from train.data.dataset import Dataset, from_listing
from train.data.dataset_json import Choices
from train.planning.inspection import Inspection, Problem, inspect
from train.planning.plan import Plan
from train.planning.plan_check import check_plan
from train.planning.split import given_folds, split


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        dataset: the cases whose files exist.
        inspection: of these cases.
        problems: all of them, those of the files first.
    """

    dataset: Dataset
    inspection: Inspection
    problems: tuple[Problem, ...]


def check_dataset(
    folder,
    choices: Choices | None = None,
    groups: str | None = None,
    plan: Plan | None = None,
    folds: int = 5,
    seed: int = 0,
    progress: bool = False,
    nan: float | None = None,
) -> Report:
    """Verify a dataset folder.

    Looked for: missing, doubled or unmatched files; unreadable ones; image and label on different grids; values that
    are no label's; NaN and infinite voxels; constant images; empty masks; labels that never occur; images of equal
    content; a split that cannot be made; a patient, or an image under two names, in more than one fold; a plan that
    cannot work or was made for something else.

    Args:
        folder: the dataset.
        choices: of its folders, and whether listed paths may lead out of it.
        groups: see ``train.data.dataset.open_dataset``.
        plan: whose folds are verified; else those that ``folds`` and ``seed`` give.
        folds: of the cross-validation.
        seed: of the split.
        progress: show a bar.
        nan: what voxels that are NaN stand for; a plan knows it already.

    Returns:
        The report; no problem means that training can start.

    Raises:
        InputError: if the folder is no dataset at all.
    """
    listing = layouts.read(Path(folder), choices)
    dataset = from_listing(listing, groups)
    inspection = inspect(dataset, progress, nan if plan is None else plan.recipe.nan)
    problems = [*(Problem(message) for message in listing.problems), *inspection.problems]
    if plan is None:
        try:
            parts = given_folds(dataset.cases, folds) or split(dataset.cases, folds, seed)
        except InputError as error:
            problems.append(Problem(str(error)))
            parts = ()
    else:
        parts = plan.folds
        try:
            check_plan(plan, dataset)  # leaks between its folds are among what it tells
        except InputError as error:
            problems.append(Problem(str(error)))
    problems.extend(Problem(f"leak: {leak}") for leak in twins_apart(parts, inspection))
    return Report(dataset, inspection, tuple(problems))


def twins_apart(folds, inspection: Inspection) -> tuple[str, ...]:
    """Images of equal content that are in different folds under different names, a line each.

    Args:
        folds: names of the cases of each fold.
        inspection: of the dataset.
    """
    same = {}
    for fact in inspection.facts:
        same.setdefault(fact.digest, []).append(fact.name)
    fold_of = {name: number for number, names in enumerate(folds) for name in names}
    lines = []
    for names in same.values():
        numbers = sorted({fold_of[name] for name in names if name in fold_of})
        if len(numbers) > 1:
            lines.append(f"{', '.join(names)} are one image, in folds {', '.join(map(str, numbers))}; keep one of them")
    return tuple(lines)
