"""Scans that are nearly the same: copies, other exports of one acquisition, neighbouring frames of one sweep.

Each scan is reduced to a sketch of 16 voxels a side, of which the mean of all sketches is taken away, since scans of
one part of the body are alike without being of one patient. What is left is the patient's own: two scans are near
duplicates if theirs correlate above 0.9. (Of 120 hippocampi, 60 hearts and 200 fetal heads, those of different patients
stayed below 0.79 among the highest pairs, which were looked at; other phases and frames of one patient reached 0.96.)
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from train.data.grouping import joined, of_equal_keys

SIDE = 16
ALIKE = 0.9
SHOWN = 5  # pairs that are named
BLOCK = 512  # rows that are compared with all at a time


def sketch(voxels: np.ndarray) -> np.ndarray:
    """The means of a scan over a grid of 16 parts along each axis, of mean 0 and deviation 1, float32 (16**rank,).

    Args:
        voxels: (*spatial, C); the first channel counts.
    """
    small = voxels[..., 0]
    for axis, size in enumerate(small.shape):
        if size < SIDE:
            small = np.take(small, np.arange(SIDE) * size // SIDE, axis)
            continue
        edges = np.arange(SIDE) * size // SIDE
        shape = [SIDE if a == axis else 1 for a in range(small.ndim)]
        counts = np.diff([*edges, size]).reshape(shape)
        small = np.add.reduceat(small, edges, axis, dtype=np.float64) / counts
    small = small.ravel() - small.mean()
    return (small / max(float(small.std()), 1e-12)).astype(np.float32)


def near_duplicates(sketches: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of positions of scans that are nearly the same, the smaller first.

    Args:
        sketches: of scans of one number of axes.
    """
    if len(sketches) < 2:
        return []
    rows = np.stack(sketches)
    own = rows - rows.mean(axis=0)
    lengths = np.linalg.norm(own, axis=1, keepdims=True)
    own = np.divide(own, lengths, out=np.zeros_like(own), where=lengths > 1e-3 * np.sqrt(rows.shape[1]))
    pairs = []
    for begin in range(0, len(own), BLOCK):
        alike = own[begin : begin + BLOCK] @ own.T > ALIKE
        pairs += [(int(a) + begin, int(b)) for a, b in np.argwhere(alike) if a + begin < b]
    return pairs


def with_duplicates_together(dataset, facts: Sequence, folds: int):
    """The dataset with scans that are the same, or nearly, in one group; what the user said of groups stays.

    Args:
        dataset: a ``train.data.dataset.Dataset``.
        facts: of its labelled cases, see ``train.planning.inspection``.
        folds: that it is split into; where too few groups would be left, nothing is joined, and the rule says so.
    """
    if dataset.grouped_by_user or any(case.fold is not None for case in dataset.cases):
        return dataset
    fact_of = {fact.name: fact for fact in facts}
    cases = [case for case in dataset.cases if case.name in fact_of]
    known = [fact_of[case.name] for case in cases]
    pairs = near_duplicates([fact.sketch for fact in known]) + of_equal_keys([fact.digest for fact in known])
    apart = sorted({(cases[a].name, cases[b].name) for a, b in pairs if cases[a].group != cases[b].group})
    if not apart:
        return dataset
    more = f" and {len(apart) - SHOWN} more pairs" if len(apart) > SHOWN else ""
    shown = ", ".join(f"{a} and {b}" for a, b in apart[:SHOWN]) + more
    groups = joined([case.group for case in cases], pairs)
    if len(set(groups)) < folds:
        left = f"which would leave {len(set(groups))} groups for {folds} folds"
        return dataclasses.replace(
            dataset, grouping=f"{dataset.grouping}; not joined: {shown} are nearly alike, {left}"
        )
    group_of = dict(zip((case.name for case in cases), groups, strict=True))
    together = tuple(dataclasses.replace(case, group=group_of.get(case.name, case.group)) for case in dataset.cases)
    rule = f"{dataset.grouping}; scans that are nearly alike are of one patient: {shown}"
    return dataclasses.replace(dataset, cases=together, grouping=rule)
