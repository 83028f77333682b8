"""How far an artifact is from the float network that it was made from, on real cases through the device runtime."""

from dataclasses import dataclass

import numpy as np

import imaging
from imaging import record
from imaging.cases import CaseFiles
from imaging.labels import Label


@dataclass(frozen=True)
class LabelFidelity:
    """One class, over all cases.

    Attributes:
        dice_network: mean Dice of the float network against the reference labels.
        dice_artifact: the same for the artifact.
        dice_drop: the first minus the second.
        worst_drop: the largest drop in a single case.
        worst_case: that case.
        volume_change: mean of |artifact - network| / network volume; 0 where the network finds nothing.
    """

    dice_network: float
    dice_artifact: float
    dice_drop: float
    worst_drop: float
    worst_case: str
    volume_change: float


@dataclass(frozen=True)
class Fidelity:
    """An artifact against its network.

    Attributes:
        cases: names of the cases compared; never among those that it was calibrated with.
        labels: by class name.
        argmax_changed: share of all voxels whose class differs.
        verdict: "99.9 %", "99 %" or "fail": the share of the network's mean Dice that every class keeps, the two
            accuracy targets of MLPerf Inference (arXiv:1911.02549).
    """

    cases: tuple[str, ...]
    labels: dict[str, LabelFidelity]
    argmax_changed: float
    verdict: str

    @property
    def drop(self) -> float:
        """The largest drop in mean Dice of any class."""
        return max(label.dice_drop for label in self.labels.values())

    def to_dict(self) -> dict:
        """As plain JSON types, for the manifest."""
        return record.to_dict(self)


@dataclass(frozen=True)
class _Outcome:
    dice: dict[str, float]
    voxels: dict[str, int]
    values: np.ndarray


def compare(
    network,
    artifact,
    cases: tuple[CaseFiles, ...],
    labels: tuple[Label, ...],
    progress=None,
    channels: int | None = None,
) -> Fidelity:
    """Run the network and the artifact on labelled cases and compare.

    Args:
        network: function of a ``Scan`` to label values (*spatial).
        artifact: the same for the artifact, through the device runtime.
        cases: labelled cases.
        labels: classes by class index.
        progress: wraps the iteration over cases (``tqdm``), or None.
        channels: that a scan must have; None takes what the files say.

    Raises:
        InputError: if a case has no label file or there are no cases.
    """
    labelled = [case for case in cases if case.label is not None]
    if not labelled:
        raise imaging.InputError(
            "verification: found no labelled cases held back from training; at least one is needed"
        )
    changed = voxels = 0
    network_scores, artifact_scores = {}, {}
    for case in progress(labelled) if progress else labelled:
        scan = imaging.read(list(case.images), channels)
        reference = imaging.read_labels(case.label).voxels[..., 0]
        one = _outcome(network(scan), reference, labels)
        other = _outcome(artifact(scan), reference, labels)
        network_scores[case.name], artifact_scores[case.name] = one, other
        changed += int(np.count_nonzero(one.values != other.values))
        voxels += one.values.size
    found = {label.name: _label_fidelity(label.name, network_scores, artifact_scores) for label in labels[1:]}
    return Fidelity(tuple(network_scores), found, changed / voxels, _verdict(found))


def _outcome(values, reference, labels) -> _Outcome:
    dice, voxels = {}, {}
    for label in labels[1:]:
        mask = values == label.value
        dice[label.name] = imaging.overlap.dice(mask, reference == label.value)
        voxels[label.name] = int(np.count_nonzero(mask))
    return _Outcome(dice, voxels, values)


def _label_fidelity(name, network, artifact) -> LabelFidelity:
    drops = {case: network[case].dice[name] - artifact[case].dice[name] for case in network}
    worst = max(drops, key=drops.get)
    changes = [
        abs(artifact[case].voxels[name] - network[case].voxels[name]) / network[case].voxels[name]
        for case in network
        if network[case].voxels[name]
    ]
    before = float(np.mean([outcome.dice[name] for outcome in network.values()]))
    after = float(np.mean([outcome.dice[name] for outcome in artifact.values()]))
    return LabelFidelity(
        before, after, before - after, float(drops[worst]), worst, float(np.mean(changes)) if changes else 0.0
    )


def _verdict(labels) -> str:
    kept = min(f.dice_artifact / f.dice_network if f.dice_network else 1.0 for f in labels.values())
    if kept >= 0.999:
        return "99.9 %"
    return "99 %" if kept >= 0.99 else "fail"
