"""The order of the worklist: what needs a person most comes first."""

import datetime

from review.store.cases import DECIDED, FAILED, SEGMENTED, Case

# Shares of the need of a case that was segmented and not decided on.
_QUALITY, _FLAGS, _AGE = 0.6, 0.3, 0.1
_UNKNOWN_DICE = 0.5  # where the manifest does not say how to predict it
_MANY_FLAGS = 3
_OLD_DAYS = 7.0
_WAITING = 0.02

ORDERS = ("need", "name", "age", "state")


def need(case: Case, at: datetime.datetime | None = None) -> float:
    """How much a case needs a person, 0 to 1.

    A case that could not be segmented needs one most (1), a decided one not at all (0). Between them
    ``0.6 (1 - d) + 0.3 min(1, f / 3) + 0.1 min(1, a / 7)``, where d is the lower bound of the predicted Dice (0.5
    where none is predicted), f the number of flags and a the age in days.

    Args:
        case: the case.
        at: the time, now by default.
    """
    if case.state in DECIDED:
        return 0.0
    if case.state == FAILED:
        return 1.0
    if case.state != SEGMENTED:
        return _WAITING
    dice = _UNKNOWN_DICE if case.quality is None else case.quality["low"]
    flags = min(1.0, len(case.flags) / _MANY_FLAGS)
    age = min(1.0, age_hours(case, at) / 24 / _OLD_DAYS)
    return round(_QUALITY * (1 - dice) + _FLAGS * flags + _AGE * age, 4)


def age_hours(case: Case, at: datetime.datetime | None = None) -> float:
    """Hours since a case came."""
    at = at or datetime.datetime.now(datetime.UTC)
    return max(0.0, (at - datetime.datetime.fromisoformat(case.added)).total_seconds() / 3600)


def ordered(cases: list[Case], order: str = "need") -> list[Case]:
    """Cases in one of ``ORDERS``; what is equal in it by name."""
    keys = {
        "need": lambda case: (-need(case), case.id),
        "name": lambda case: case.id,
        "age": lambda case: (case.added, case.id),
        "state": lambda case: (case.state, case.id),
    }
    return sorted(cases, key=keys[order])
