"""What sticks out in a dataset, case by case, by robust statistics over all of its cases."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from train.inspect.looks import CaseLook

FAR = 6.0  # deviations from the median (by the median absolute deviation) beyond which a case is an outlier
FEWEST = 8  # cases below which there is no saying what is usual
ALIKE = 0.995  # correlation of coarse copies from which two scans are nearly the same
ISLAND = 0.02  # share of the largest part of a class below which a part is an island, where parts are few
HOLE = 4  # voxels of the smallest hole that is told
SIDES = 0.9  # share of the cases in which two classes lie in the same order, for another order to be suspicious
APART = 3.0  # deviations that the distance of two classes must be from 0 for them to have an order
NEAR = 0.15  # of the scan's size that a class may always lie from its usual place


@dataclass(frozen=True)
class Finding:
    """Something that sticks out.

    Attributes:
        kind: one of ``KINDS``.
        case: name of the case, or of the second of two that are alike.
        message: what was found and what is usual.
        of: the other case, or the class or classes that it is about.
    """

    kind: str
    case: str
    message: str
    of: tuple[str, ...] = ()


# In the order of the page, with the heading and whether ``mend`` can do something about it.
KINDS = {
    "unreadable": "Cases that cannot be read",
    "duplicate": "The same scan twice",
    "near_duplicate": "Scans that are nearly the same",
    "island": "Tiny islands in labels",
    "hole": "Holes in labels",
    "mirrored": "Sides exchanged",
    "far": "Labels far from their usual place",
    "empty": "Labels that mark nothing",
    "size": "Unusual sizes",
    "spacing": "Unusual voxel sizes",
    "intensity": "Unusual intensities",
}


def findings(looks: Sequence[CaseLook], instances: bool = False) -> tuple[Finding, ...]:
    """Everything that sticks out, in the order of ``KINDS``.

    Args:
        looks: of ``train.inspect.looks.look_at``.
        instances: label files number objects, of which small ones and many parts are usual.
    """
    read = [look for look in looks if not look.problem]
    suspicious = [Finding("unreadable", look.name, look.problem) for look in looks if look.problem]
    suspicious += [*_duplicates(read), *_empty(read), *_outliers(read)]
    if not instances:
        sides = list(_sides(read))
        exchanged = {(finding.case, name) for finding in sides for name in finding.of}
        suspicious += [*_islands(read), *_holes(read), *sides]
        suspicious += [finding for finding in _far(read) if (finding.case, finding.of[0]) not in exchanged]
    order = list(KINDS)
    return tuple(sorted(suspicious, key=lambda finding: (order.index(finding.kind), finding.case)))


def _duplicates(looks):
    same = defaultdict(list)
    for look in looks:
        same[look.digest].append(look.name)
    for first, *others in same.values():
        for name in others:
            yield Finding("duplicate", name, f"holds the same voxels as {first}", (first,))
    first_of = {name: names[0] for names in same.values() for name in names}
    by_shape = defaultdict(list)
    for look in looks:
        if first_of[look.name] == look.name and look.small.any():
            by_shape[look.small.shape].append(look)
    for group in by_shape.values():
        vectors = np.stack([look.small.ravel() for look in group])
        alike = vectors @ vectors.T / vectors.shape[1]
        for i, j in zip(*np.nonzero(np.triu(alike >= ALIKE, 1)), strict=True):
            earlier, later = group[i], group[j]
            message = f"correlates {alike[i, j]:.4f} with {earlier.name} at {SMALL_TEXT}"
            yield Finding("near_duplicate", later.name, message, (earlier.name,))


SMALL_TEXT = "16 samples along each axis"


def _empty(looks):
    for look in looks:
        if look.classes and not any(c.voxels for c in look.classes.values()):
            yield Finding("empty", look.name, "every voxel is background")


def _outliers(looks):
    if len(looks) < FEWEST:
        return
    ranks = {len(look.shape) for look in looks}
    if len(ranks) > 1:
        return
    for kind, quantity, table in (
        ("size", "extent in mm", [[n * s for n, s in zip(k.shape, k.spacing, strict=True)] for k in looks]),
        ("spacing", "voxel size in mm", [look.spacing for look in looks]),
    ):
        values = np.log(np.array(table, float))
        for row, axis in _beyond(values, 0.1):
            usual = math.exp(np.median(values[:, axis]))
            message = (
                f"{quantity} along axis {axis} is {math.exp(values[row, axis]):.4g}, of the median case {usual:.4g}"
            )
            yield Finding(kind, looks[row].name, message)
    quantiles = np.array([look.quantiles for look in looks])
    span = max(float(np.median(quantiles[:, 4] - quantiles[:, 0])), 1e-9)
    named = set()
    for row, column in _beyond(quantiles / span, 0.05):
        if row not in named:
            named.add(row)
            name = ("1 %", "25 %", "50 %", "75 %", "99 %")[column]
            usual = np.median(quantiles[:, column])
            message = f"{name} of its voxels lie below {quantiles[row, column]:.4g}, of the median case {usual:.4g}"
            yield Finding("intensity", looks[row].name, message)


def _beyond(values, least):
    """Rows and columns that lie more than ``FAR`` deviations from their column's median; ``least`` is a deviation."""
    middle = np.median(values, axis=0)
    deviation = np.maximum(1.4826 * np.median(np.abs(values - middle), axis=0), least)
    return list(zip(*np.nonzero(np.abs(values - middle) > FAR * deviation), strict=True))


def _islands(looks):
    for name in _names(looks):
        usual = np.median([len(look.classes[name].parts) for look in looks if look.classes[name].voxels] or [0])
        for look in looks:
            parts = look.classes[name].parts
            tiny = [part for part in parts[1:] if part < ISLAND * parts[0]]
            if tiny and usual <= 3:
                message = f"{name} has {len(tiny)} parts of {min(tiny)} to {max(tiny)} voxels beside one of {parts[0]}"
                yield Finding("island", look.name, message, (name,))


def _holes(looks):
    for name in _names(looks):
        having = sum(look.classes[name].holes >= HOLE for look in looks)
        if having > len(looks) / 2 and len(looks) > 3:
            continue  # a structure with a hole, such as a ring
        for look in looks:
            if look.classes[name].holes >= HOLE:
                yield Finding(
                    "hole", look.name, f"{name} encloses {look.classes[name].holes} voxels of background", (name,)
                )


def _sides(looks):
    """Classes that lie the other way round: which exchanges put a case right, or that none does."""
    orders = [order for pair in combinations(_names(looks), 2) for order in _orders(looks, *pair)]
    for look in looks:
        places = {name: seen.centre for name, seen in look.classes.items()}
        wrong = _reversed(places, orders)
        while wrong:
            exchanges = [_exchanged(places, order) for order in wrong]
            left = [_reversed(exchange, orders) for exchange in exchanges]
            best = min(range(len(wrong)), key=lambda number: len(left[number]))
            a, b, axis, _ = wrong[best]
            message = f"{a} and {b} lie the other way round along axis {axis} than in the other cases"
            if len(left[best]) >= len(wrong):
                yield Finding("far", look.name, f"{message}; exchanging them would not mend it", (a, b))
                break
            yield Finding("mirrored", look.name, message, (a, b))
            places, wrong = exchanges[best], left[best]


def _orders(looks, a, b):
    """Axes along which two classes lie in the same order in nearly all cases: (a, b, axis, usual distance)."""
    both = [look for look in looks if look.classes[a].centre and look.classes[b].centre]
    if len(both) < FEWEST:
        return
    apart = np.array([np.subtract(k.classes[b].centre, k.classes[a].centre) for k in both])
    for axis in range(apart.shape[1]):
        usual = np.median(apart[:, axis])
        spread = 1.4826 * np.median(np.abs(apart[:, axis] - usual))
        ordered = np.mean(np.sign(apart[:, axis]) == np.sign(usual)) >= SIDES
        if ordered and abs(usual) >= max(0.05, APART * spread):
            yield a, b, axis, float(usual)


def _reversed(places, orders):
    """The orders that a case does not keep."""
    wrong = []
    for order in orders:
        a, b, axis, usual = order
        distance = places[b][axis] - places[a][axis] if places[a] and places[b] else usual
        if distance * usual < 0 and abs(distance) > abs(usual) / 3:
            wrong.append(order)
    return wrong


def _exchanged(places, order):
    a, b, *_ = order
    return {**places, a: places[b], b: places[a]}


def _far(looks):
    for name in _names(looks):
        having = [look for look in looks if look.classes[name].centre]
        if len(having) < FEWEST:
            continue
        centres = np.array([look.classes[name].centre for look in having])
        middle = np.median(centres, axis=0)
        deviation = 1.4826 * np.median(np.abs(centres - middle), axis=0)
        limit = np.maximum(FAR * deviation, NEAR)
        for look, centre in zip(having, centres, strict=True):
            axes = np.flatnonzero(np.abs(centre - middle) > limit)
            if len(axes):
                axis = int(axes[0])
                message = f"{name} lies at {centre[axis]:.0%} of axis {axis}, in the median case at {middle[axis]:.0%}"
                yield Finding("far", look.name, message, (name,))


def _names(looks):
    return list(looks[0].classes) if looks else []
