"""How segmentations are cleaned up, decided class by class: by cross-validation, or of a single run by the labels.

Chosen as in nnU-Net (Isensee et al., Nature Methods 2021, arXiv:1904.08128). Cross-validation has more to choose from.
A single run has few held-back cases, which its scores are of, so that they choose nothing: they may only forbid what
the labels say, as those do not know whether the network finds a structure in pieces.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from imaging.adopted import FILE
from imaging.cleaning import ClassCleaning, Postprocessing, clean, cleaning_text
from imaging.labels import Label, Region
from imaging.measure import overlap
from imaging.measure.components import share_of_largest
from medseg import record
from medseg.progress import track
from train.evaluation.reference import read_case, read_reference
from train.evaluation.segmenting import first_segmenter, patch_predictor, segmenter
from train.input.pipeline import fold_cases

SHARES = (0.01, 0.03, 0.1, 0.3)  # of the median volume of a class, tried as the smallest size of a part
GAIN = 1e-4  # of the mean Dice; what brings less than this is left alone
WHOLE = 0.99  # share of a structure's voxels in its largest part, from which it counts as one part
USUAL = 0.9  # share of the labels in which a class must be one part
LABELS = (5, 30)  # fewest and most labels that are looked at
CASES = (3, 12)  # held-back cases that are segmented; more than the first number within a tenth of the training's time


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


def classes_in_one_part(references: Iterable[np.ndarray], labels: Sequence[Label]) -> tuple[str, ...]:
    """Names of the classes that are one connected part in nearly all of the references that hold them.

    Args:
        references: arrays of class indices, 2 or 3 axes; none counts for a class that it does not hold.
        labels: classes by class index, background first.
    """
    shares = {label.name: [] for label in labels[1:]}
    for reference in references:
        for index, label in enumerate(labels[1:], 1):
            share = share_of_largest(reference == index)
            if share is not None:
                shares[label.name].append(share >= WHOLE)
    return tuple(name for name, whole in shares.items() if len(whole) >= LABELS[0] and np.mean(whole) >= USUAL)


def allow_largest(cases: Iterable, names: Sequence[str], labels: Sequence[Label]) -> Decision:
    """Decide for each of the named classes that only its largest part stays, unless that lowers its mean Dice.

    Args:
        cases: (prediction, reference, spacing) of held-back cases, arrays of class indices; at least one where there
            are names.
        names: of classes that are one part, see ``classes_in_one_part``.
        labels: classes by class index, background first.
    """
    cleanings = [ClassCleaning(name, largest=True) for name in names]
    indices = {label.name: index for index, label in enumerate(labels)}
    scores = {name: [] for name in names}
    count = 0
    for prediction, reference, spacing in cases:
        count += 1
        for cleaning in cleanings:
            mask, truth = prediction == indices[cleaning.label], reference == indices[cleaning.label]
            cleaned = clean(mask, prediction == 0, cleaning, spacing)
            scores[cleaning.label].append((overlap.dice(mask, truth), overlap.dice(cleaned, truth)))
    before, after, chosen = {}, {}, []
    for cleaning in cleanings:
        plain, cleaned = map(float, np.mean(scores[cleaning.label], axis=0))
        allowed = cleaned >= plain
        before[cleaning.label], after[cleaning.label] = plain, cleaned if allowed else plain
        chosen += [cleaning] * allowed
    return Decision(Postprocessing(tuple(chosen)), count, before, after, len(names) and 1)


def decide_for_run(run, dataset, seconds: float = math.inf, progress: bool = False) -> Decision | None:
    """The postprocessing of a single run: only the largest part of each class that is one part in the labels.

    Some held-back cases are segmented, and a class whose mean Dice that would lower keeps all its parts. The decision
    is written as ``postprocessing.json`` into the run's folder, where prediction and export look.

    Args:
        run: a finished ``Run``.
        dataset: the open ``Dataset`` that it was trained on.
        seconds: after which no more cases are segmented, once there are three.
        progress: show a bar.

    Returns:
        The decision; None for a run that held back no case, and for regions, objects and partly labelled scans.
    """
    plan = run.plan
    if run.fold is None or plan.regions or plan.instances is not None or plan.ignore is not None:
        return None
    training, held_back = fold_cases(dataset, plan, run.fold)
    if not held_back:
        return None
    shown = _spread([*held_back, *training], LABELS[1])
    names = classes_in_one_part((read_reference(case, plan.labels).voxels[..., 0] for case in shown), plan.labels)
    predict = patch_predictor(run.model(), plan.flips()) if names else None
    segment = segmenter(predict, plan, first=first_segmenter(run, plan)) if names else None

    def segmented():
        begin = time.monotonic()
        tried = _spread(held_back, CASES[1]) if names else ()
        for number, case in enumerate(track(tried, "postprocessing", show=progress and bool(names))):
            if number >= CASES[0] and time.monotonic() - begin > seconds:
                break
            scan, reference = read_case(case, plan.labels, plan.recipe.channels, None, plan.recipe.nan)
            yield segment(scan), reference.voxels[..., 0], scan.spacing

    decision = allow_largest(segmented(), names, plan.labels)
    record.save(run.folder / FILE, decision)
    return decision


def _spread(cases, most):
    """At most so many of the cases, evenly spread."""
    return [cases[place] for place in sorted({round(place) for place in np.linspace(0, len(cases) - 1, most)})]


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


def allowed_text(decision: Decision) -> str:
    """What a single run decided, a line per class that is one part in the labels."""
    if not decision.dice_before:
        return f"postprocessing: none; no class is one part in {USUAL:.0%} of at least {LABELS[0]} labels"
    cleaned = {cleaning.label for cleaning in decision.chosen.classes}
    lines = []
    for name, before in decision.dice_before.items():
        gain = f"mean Dice of {decision.cases} held-back cases {before:.4f} to {decision.dice_after[name]:.4f}"
        done = f"largest part only, as in the labels ({gain})" if name in cleaned else ""
        lines.append(f"postprocessing: {name}: {done or 'all parts stay; the largest alone would lower the mean Dice'}")
    return "\n".join(lines)


def _candidates(name, volumes):
    """From the simplest (nothing) on."""
    present = [volume for volume in volumes if volume > 0]
    median = float(np.median(present)) if present else 0.0
    sizes = [float(f"{share * median:.3g}") for share in SHARES if median]
    kept = [{}, {"largest": True}, *({"min_volume_mm3": size} for size in sizes)]
    return [ClassCleaning(name, **limits, fill_holes=fill) for fill in (False, True) for limits in kept]
