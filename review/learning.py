"""Which case a person should correct next, so that the network learns most from it."""

import random
from collections.abc import Sequence

import numpy as np

from medseg.untrusted import shown
from review.errors import WrongRequestError
from review.store.cases import DECIDED, SEGMENTED, WAITING, Case

STRATEGIES = {
    "random": "any case that nobody decided on",
    "uncertainty": "the lowest predicted Dice, with the most flags",
    "diversity": "the case that is least like those decided on, by intensities, volumes and confidence",
    "both": "the least alike of the less certain half",
}
_UNKNOWN_DICE = 0.5


def next_case(cases: Sequence[Case], strategy: str, draw: random.Random | None = None) -> Case | None:
    """The case to correct next.

    Args:
        cases: all of them.
        strategy: one of ``STRATEGIES``.
        draw: source of chance, for "random".

    Returns:
        One that nobody decided on; None if there is none left.

    Raises:
        WrongRequestError: for an unknown strategy.
    """
    ranked = rank(cases, strategy, draw)
    return ranked[0] if ranked else None


def rank(cases: Sequence[Case], strategy: str, draw: random.Random | None = None) -> list[Case]:
    """The cases that nobody decided on, the one to correct first at the front.

    Core-set selection (Sener and Savarese, arXiv:1708.00489) for diversity: each next case is the farthest from those
    decided on and those before it, in features that are standardised over all cases.
    """
    if strategy not in STRATEGIES:
        raise WrongRequestError(f"strategy {shown(strategy)}: expected one of {', '.join(STRATEGIES)}")
    open_cases = [case for case in cases if case.state == SEGMENTED]
    waiting = [case for case in cases if case.state == WAITING]
    if strategy == "random":
        chosen = open_cases + waiting
        (draw or random.Random()).shuffle(chosen)
        return chosen
    if strategy == "uncertainty":
        return sorted(open_cases, key=_certainty) + waiting
    decided = [case for case in cases if case.state in DECIDED]
    if strategy == "both":
        ordered = sorted(open_cases, key=_certainty)
        half = (len(ordered) + 1) // 2
        return _farthest_first(ordered[:half], decided) + ordered[half:] + waiting
    return _farthest_first(open_cases, decided) + waiting


def _certainty(case):
    dice = _UNKNOWN_DICE if case.quality is None else case.quality["dice"]
    return dice, -len(case.flags), case.id


def _farthest_first(candidates, decided):
    points = _standardised([*candidates, *decided])
    left, order = list(range(len(candidates))), []
    near = np.full(len(candidates), np.inf)
    for reference in points[len(candidates) :]:
        near = np.minimum(near, np.linalg.norm(points[: len(candidates)] - reference, axis=1))
    if np.isinf(near).all() and len(candidates):  # nothing is decided yet: begin in the middle
        near = -np.linalg.norm(points[: len(candidates)] - points[: len(candidates)].mean(axis=0), axis=1)
        near -= near.max() + 1
    while left:
        chosen = max(left, key=lambda index: (near[index], -index))
        left.remove(chosen)
        order.append(candidates[chosen])
        distance = np.linalg.norm(points[: len(candidates)] - points[chosen], axis=1)
        near = distance if near[chosen] < 0 else np.minimum(near, distance)
    return order


def _standardised(cases):
    """Features (N, F) of mean 0 and deviation 1; those of the trust observation and the volumes of structures."""
    rows = [{**case.features, **{f"ml {name}": value for name, value in case.volumes.items()}} for case in cases]
    names = sorted(set().union(*rows)) if rows else []
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], float).reshape(len(rows), len(names))
    if not values.size:
        return np.zeros((len(rows), 1))
    middle = np.nanmean(values, axis=0)
    values = np.where(np.isnan(values), middle, values) - middle
    spread = values.std(axis=0)
    return values[:, spread > 0] / spread[spread > 0] if (spread > 0).any() else np.zeros((len(rows), 1))
