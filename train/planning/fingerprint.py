"""The fingerprint: what the cases of a dataset have in common, as plain numbers from which the plan follows."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from train.planning.inspection import CaseFacts
from train.planning.proposals import summarise

SAME_ORDER = 0.9  # share of the cases in which two classes must lie in the same order to count as ordered


def fingerprint(dataset, facts: Sequence[CaseFacts]) -> dict:
    """Summarise the facts of all cases.

    Args:
        dataset: a ``train.data.dataset.Dataset``.
        facts: of its labelled cases, at least one; see ``train.planning.inspection``.

    Returns:
        Plain JSON types:

        - ``cases``, ``rank``, ``channels``, ``has_spacing`` (False for flat image files, whose pixels have no size);
        - ``orientation`` of flat scans, as their recipe has it, else None;
        - ``shape`` (``median``, ``minimum``, ``maximum``) in voxels, ``extent_mm`` (median of shape times spacing);
        - ``nonzero_share``: median share of a scan that its bounding box of non-zero voxels takes, and
          ``nonzero_extent_mm``, the median size of that box;
        - ``spacing`` (``median``, ``percentile_10``, ``minimum``, ``maximum``) in mm per axis;
        - ``intensity``: per channel ``mean``, ``std``, ``median``, ``percentile_00_5``, ``percentile_99_5`` of the
          foreground voxels and ``minimum`` of all voxels;
        - ``classes``: per class ``voxel_share``, ``cases`` that hold it, ``volume`` (median mm³ or pixels where
          present) and ``thickness`` (median of the mean thickness in pixels, 2D only, else None);
        - ``quality``: ``noise``, ``bias``, ``bias_share`` and ``histogram_shift`` of the first channel, see
          ``train.planning.proposals``;
        - ``ordered``: axis number to the pairs of classes that lie apart and in the same order along it in at least
          90 % of the cases.
    """
    shapes = np.array([fact.shape for fact in facts], float)
    cropped = np.array([fact.cropped for fact in facts], float)
    spacings = np.array([fact.spacing for fact in facts])
    return {
        "cases": len(facts),
        "rank": shapes.shape[1],
        "channels": list(dataset.channels),
        "has_spacing": any(fact.has_spacing for fact in facts),
        "orientation": facts[0].orientation,
        "shape": {
            "median": _numbers(np.median(shapes, axis=0)),
            "minimum": _numbers(shapes.min(axis=0)),
            "maximum": _numbers(shapes.max(axis=0)),
        },
        "extent_mm": _numbers(np.median(shapes * spacings, axis=0)),
        "nonzero_share": _number(np.median(cropped.prod(axis=1) / shapes.prod(axis=1))),
        "nonzero_extent_mm": _numbers(np.median(cropped * spacings, axis=0)),
        "spacing": {
            "median": _numbers(np.median(spacings, axis=0)),
            "percentile_10": _numbers(np.percentile(spacings, 10, axis=0)),
            "minimum": _numbers(spacings.min(axis=0)),
            "maximum": _numbers(spacings.max(axis=0)),
        },
        "intensity": _intensity(facts),
        "classes": _classes(dataset.labels, facts, spacings.prod(axis=1)),
        "quality": summarise([fact.quality for fact in facts if fact.quality]),
        "ordered": ordered_classes(facts, [label.name for label in dataset.labels]),
    }


def ordered_classes(facts: Sequence[CaseFacts], names: Sequence[str]) -> dict[str, list[list[str]]]:
    """Pairs of foreground classes that a flip would confuse.

    Two classes are ordered along an axis if, in at least 90 % of the cases that hold both, their centres lie in the
    same order and further apart than the mean of their standard deviations along that axis. A flipped patch then shows
    an arrangement that no scan has: left and right kidney, head and tail of the hippocampus.

    Args:
        facts: of the cases.
        names: of the classes, by class index.

    Returns:
        Axis number (as text, for JSON) to pairs of names, the one at the smaller index first.
    """
    centres = np.array([fact.centres for fact in facts])
    spreads = np.array([fact.spreads for fact in facts])
    order = {}
    for axis in range(centres.shape[2]):
        pairs = []
        for a, b in combinations(range(1, len(names)), 2):
            both = ~np.isnan(centres[:, a, axis]) & ~np.isnan(centres[:, b, axis])
            if not both.any():
                continue
            apart = centres[both, b, axis] - centres[both, a, axis]
            spread = (spreads[both, a, axis] + spreads[both, b, axis]) / 2
            if (apart > spread).mean() >= SAME_ORDER:
                pairs.append([names[a], names[b]])
            elif (apart < -spread).mean() >= SAME_ORDER:
                pairs.append([names[b], names[a]])
        if pairs:
            order[str(axis)] = pairs
    return order


def _intensity(facts):
    minimum = np.min([fact.minimum for fact in facts], axis=0)
    samples = np.concatenate([fact.samples for fact in facts]).astype(np.float64)
    channels = []
    for c in range(len(minimum)):
        values = samples[:, c] if len(samples) else np.zeros(1)
        low, middle, high = np.percentile(values, (0.5, 50, 99.5))
        channels.append(
            {
                "mean": _number(values.mean()),
                "std": _number(values.std()),
                "median": _number(middle),
                "percentile_00_5": _number(low),
                "percentile_99_5": _number(high),
                "minimum": _number(minimum[c]),
            }
        )
    return channels


def _classes(labels, facts, voxel_volumes):
    counts = np.array([fact.counts for fact in facts], float)
    thickness = np.array([fact.thickness for fact in facts])
    shares = counts.sum(axis=0) / counts.sum()
    classes = {}
    for k, label in enumerate(labels):
        present = counts[:, k] > 0
        known = thickness[~np.isnan(thickness[:, k]), k]
        classes[label.name] = {
            "voxel_share": _number(shares[k]),
            "cases": int(present.sum()),
            "volume": _number(np.median((counts[:, k] * voxel_volumes)[present])) if present.any() else 0.0,
            "thickness": _number(np.median(known)) if len(known) else None,
        }
    return classes


def _number(value):
    return float(f"{float(value):.6g}")


def _numbers(values):
    return [_number(value) for value in values]
