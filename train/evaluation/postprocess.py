"""How segmentations are cleaned up, decided class by class where that has improved the cross-validated Dice.

Chosen as in nnU-Net (Isensee et al., Nature Methods 2021, arXiv:1904.08128), with more to choose from.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from imaging.cleaning import ClassCleaning, Postprocessing, clean, cleaning_text
from imaging.labels import Label, Region
from imaging.measure import overlap

SHARES = (0.01, 0.03, 0.1, 0.3)  # of the median volume of a class, tried as the smallest size of a part
GAIN = 1e-4  # of the mean Dice; what brings less than this is left alone


@dataclass(frozen=True)
class Decision:
    """A choice of postprocessing and the mean Dice of each class over the cases that it rests on.

    Attributes:
        chosen: what is done.
        cases: how many there were.
        dice_before: class to mean Dice of the network alone.
        dice_after: class to mean Dice with what was chosen.
        tried: candidates per class.
    """

    chosen: Postprocessing
    cases: int
    dice_before: dict[str, float]
    dice_after: dict[str, float]
    tried: int


def choose(cases: Callable[[], Iterable], labels: Sequence[Label], regions: Sequence[Region] = ()) -> Decision:
    """Decide for each class what improves its mean Dice most; of equals the simplest, and nothing unless it improves.

    Args:
        cases: gives (prediction, reference, spacing) of each held-back case, arrays of class indices, one at a time;
            called twice. Where a reference is ``len(labels)`` nobody has labelled, and nothing counts.
        labels: classes by class index, background first.
        regions: structures that may overlap; where there are such nothing is tried, as a part that goes from one would
            have to stay in another.
    """
    if regions:
        return Decision(Postprocessing(), sum(1 for _ in cases()), {}, {}, 0)
    volumes = {label.name: [] for label in labels[1:]}
    for _, reference, spacing in cases():
        for index, label in enumerate(labels[1:], 1):
            volumes[label.name].append(np.count_nonzero(reference == index) * math.prod(spacing))
    candidates = {name: _candidates(name, volume) for name, volume in volumes.items()}
    scores = {name: [[] for _ in tried] for name, tried in candidates.items()}
    for prediction, reference, spacing in cases():
        background, labelled = prediction == 0, reference < len(labels)
        for index, label in enumerate(labels[1:], 1):
            mask, truth = prediction == index, reference == index
            for number, cleaning in enumerate(candidates[label.name]):
                cleaned = clean(mask, background, cleaning, spacing)
                scores[label.name][number].append(overlap.dice(cleaned & labelled, truth))
    chosen, before, after = [], {}, {}
    for name, tried in candidates.items():
        means = [float(np.mean(values)) for values in scores[name]]
        best = max(range(len(tried)), key=lambda number: (round(means[number], 12), -number))
        best = best if means[best] >= means[0] + GAIN else 0
        before[name], after[name] = means[0], means[best]
        if best:
            chosen.append(tried[best])
    count = len(next(iter(volumes.values())))
    return Decision(Postprocessing(tuple(chosen)), count, before, after, max(map(len, candidates.values())))


def decision_text(decision: Decision) -> str:
    """The decision in a line per class that is cleaned up, or one line that says that none is."""
    if not decision.tried:
        return "postprocessing: none; it is not tried for regions, which overlap"
    if not decision.chosen.classes:
        return f"postprocessing: none; of {decision.tried} tried per class no one raises the mean Dice by {GAIN:g}"
    lines = []
    for cleaning in decision.chosen.classes:
        name = cleaning.label
        gain = f"mean Dice {decision.dice_before[name]:.4f} to {decision.dice_after[name]:.4f}"
        lines.append(f"postprocessing: {name}: {cleaning_text(cleaning)} ({gain})")
    return "\n".join(lines)


def _candidates(name, volumes):
    """From the simplest (nothing) on."""
    present = [volume for volume in volumes if volume > 0]
    median = float(np.median(present)) if present else 0.0
    sizes = [float(f"{share * median:.3g}") for share in SHARES if median]
    kept = [{}, {"largest": True}, *({"min_volume_mm3": size} for size in sizes)]
    return [ClassCleaning(name, **limits, fill_holes=fill) for fill in (False, True) for limits in kept]
