"""The gate: the one rule by which an artifact is called as good as its network, or is not written.

An artifact is judged by the float network's own scores on labelled cases that calibration did not see. The verdict is
the better of two accuracy targets of MLPerf Inference (arXiv:1911.02549) that it meets in every class, each with a
bound for the single case and for the voxels that change class: a mean hides a class that one patient lost, and chance
may make a changed segmentation score alike. A network that is hardly better than chance gives no measure, so nothing is
judged by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Below this, of a network's Dice beyond chance, the share that an artifact keeps says nothing.
FLOOR = 0.1
FAIL, UNJUDGED = "fail", "not judged"


@dataclass(frozen=True)
class Target:
    """What a verdict asks for.

    Attributes:
        name: the verdict.
        kept: smallest share of the network's mean Dice, in every class.
        worst_drop: largest drop in Dice of a class in a single case.
        changed: largest share of all voxels whose class differs.
    """

    name: str
    kept: float
    worst_drop: float
    changed: float


TARGETS = (Target("99.9 %", 0.999, 0.05, 0.01), Target("99 %", 0.99, 0.1, 0.05))


@dataclass(frozen=True)
class Judgement:
    """What the gate says of an artifact.

    Attributes:
        verdict: name of a target, ``FAIL`` or ``UNJUDGED``.
        reasons: what kept it from the last target, or from being judged; each a clause of a sentence.
        unseen: classes that no case holds, so that nothing is known of them.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def judge(labels: Mapping, argmax_changed: float, objects=None) -> Judgement:
    """The verdict on an artifact.

    Args:
        labels: ``export.verify.fidelity.LabelFidelity`` by class name, without the background.
        argmax_changed: share of all voxels whose class differs from the network's.
        objects: ``export.verify.fidelity.ObjectScores`` where objects are told apart, whose mean average precision is
            then held to the targets as well; or None.
    """
    unseen = tuple(name for name, label in labels.items() if not label.cases)
    if len(unseen) == len(labels):
        return Judgement(UNJUDGED, (f"no case's labels hold {' or '.join(unseen)}",), unseen)
    weak = tuple(
        f"the network's own mean Dice on {name} is {label.dice_network:.3f}, {_beyond(label)} better than chance"
        for name, label in labels.items()
        if label.cases and label.beyond_chance < FLOOR
    )
    if weak:
        return Judgement(UNJUDGED, weak, unseen)
    reasons: tuple[str, ...] = ()
    for target in TARGETS:
        reasons = (*_misses(target, labels, argmax_changed), *_missed_objects(target, objects))
        if not reasons:
            return Judgement(target.name, (), unseen)
    return Judgement(FAIL, reasons, unseen)


def _beyond(label) -> str:
    return "no" if label.beyond_chance < 0.005 else f"only {label.beyond_chance:.2f}"


def _misses(target, labels, argmax_changed):
    for name, label in labels.items():
        if label.dice_artifact < target.kept * label.dice_network:
            share = label.dice_artifact / label.dice_network
            yield (
                f"mean Dice of {name} falls from {label.dice_network:.4f} to {label.dice_artifact:.4f}, {share:.1%} of "
                f"it (expected at least {target.kept:.0%})"
            )
        if label.worst_drop > target.worst_drop:
            yield (
                f"case {label.worst_case} loses {label.worst_drop:.4f} of its Dice of {name} (expected at most "
                f"{target.worst_drop:g})"
            )
    if argmax_changed > target.changed:
        yield f"{argmax_changed:.1%} of the voxels change class (expected at most {target.changed:.0%})"


def _missed_objects(target, objects):
    if objects is not None and objects.ap_artifact < target.kept * objects.ap_network:
        share = objects.ap_artifact / objects.ap_network
        yield (
            f"mean average precision of the objects falls from {objects.ap_network:.4f} to {objects.ap_artifact:.4f}, "
            f"{share:.1%} of it (expected at least {target.kept:.0%})"
        )


def refusal(fidelity, max_drop: float | None = None) -> str | None:
    """Why an artifact may not be written; None for one that may.

    Args:
        fidelity: ``export.verify.fidelity.Fidelity`` of the artifact.
        max_drop: the largest drop in mean Dice of any class, instead of the verdict; the floor holds all the same.
    """
    if fidelity.verdict == UNJUDGED:
        return f"verdict {UNJUDGED}: {'; '.join(fidelity.reasons)}"
    if max_drop is not None:
        if fidelity.drop <= max_drop:
            return None
        return f"verdict {fidelity.verdict}, mean Dice drops by {fidelity.drop:.4f} (expected at most {max_drop:g})"
    return f"verdict {FAIL}: {'; '.join(fidelity.reasons)}" if fidelity.verdict == FAIL else None
