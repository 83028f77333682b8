"""K-fold cross-validation by group."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from medseg.errors import InputError, UsageError


def split(cases: Sequence, folds: int = 5, seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Divide labelled cases into folds; all cases of a group fall into the same fold.

    Groups are shuffled by ``seed``, then taken from the largest to the smallest, each into the fold that has the
    fewest cases so far, so that folds differ by no more than the largest group. Cases without a label are left out.

    Args:
        cases: ``train.data.dataset.Case`` records (``name``, ``group``, ``label``).
        folds: number of folds, at least 2.
        seed: of the shuffle.

    Returns:
        For each fold the sorted names of its validation cases.

    Raises:
        UsageError: for fewer than 2 folds.
        InputError: if there are fewer groups than folds.
    """
    if folds < 2:
        raise UsageError(f"folds {folds}: expected 2 and more; one fold would leave nothing to train on")
    labelled = [case for case in cases if case.label is not None]
    sizes = Counter(case.group for case in labelled)
    if len(sizes) < folds:
        raise InputError(
            f"{len(labelled)} labelled cases in {len(sizes)} groups cannot make {folds} folds; "
            + (f"ask for --folds {len(sizes)} or name" if len(sizes) >= 2 else "add cases or name")
            + " the groups with --groups"
        )
    groups = sorted(sizes)
    np.random.default_rng(seed).shuffle(groups)
    groups.sort(key=lambda group: -sizes[group])  # stable: equal sizes keep the shuffled order
    held = [0] * folds
    fold_of = {}
    for group in groups:
        fold = int(np.argmin(held))
        fold_of[group] = fold
        held[fold] += sizes[group]
    return tuple(tuple(sorted(c.name for c in labelled if fold_of[c.group] == fold)) for fold in range(folds))


def given_folds(cases: Sequence, folds: int) -> tuple[tuple[str, ...], ...] | None:
    """The folds that the dataset's author made, where every labelled case has one.

    Args:
        cases: ``train.data.dataset.Case`` records.
        folds: how many are asked for.

    Returns:
        For each fold the sorted names of its validation cases; None where some case has none, there are more or fewer
        folds, or a group would part.
    """
    labelled = [case for case in cases if case.label is not None]
    numbers = sorted({case.fold for case in labelled if case.fold is not None})
    if len(numbers) != folds or any(case.fold is None for case in labelled):
        return None
    if len({(case.group, case.fold) for case in labelled}) > len({case.group for case in labelled}):
        return None
    return tuple(tuple(sorted(case.name for case in labelled if case.fold == number)) for number in numbers)
