"""How far an artifact is from the float network that it was made from, on real cases through the device runtime."""

from dataclasses import dataclass, field

import numpy as np

from imaging.scan import Scan
from medseg import record

TOLERANCE_MM = 1.0


@dataclass(frozen=True)
class Scores:
    """A segmentation of one class in one case.

    Attributes:
        dice: against the reference labels.
        hd95: 95th percentile of the surface distance to the reference, mm; infinite where one of the two is empty.
        nsd: normalised surface Dice at ``TOLERANCE_MM``.
        volume: ml, in 2D the area in mm².
    """

    dice: float
    hd95: float
    nsd: float
    volume: float


@dataclass(frozen=True)
class LabelScores:
    """One class in one case: the float network's, the artifact's, and the two against each other.

    Attributes:
        network: scores of the float network.
        artifact: scores of the artifact.
        reference_volume: of the reference labels, unit as in ``Scores``.
        dice_between: Dice of the artifact against the network.
        beyond_chance: how much of what chance leaves the network's Dice reaches: (D - C) / (1 - C), where C is the Dice
            of as many voxels strewn at random.
    """

    network: Scores
    artifact: Scores
    reference_volume: float
    dice_between: float
    beyond_chance: float

    @property
    def drop(self) -> float:
        """How much less Dice the artifact has."""
        return self.network.dice - self.artifact.dice


@dataclass(frozen=True)
class ObjectScores:
    """How well objects are told apart, by ``imaging.measure.detection.score_objects``; of a case, or the mean of all.

    Attributes:
        ap_network, ap_artifact: mean average precision from 0.5 to 0.95 of the float network and of the artifact.
        ap50_network, ap50_artifact: the same at 0.5.
        pq_network, pq_artifact: panoptic quality.
        f1_network, f1_artifact: of objects that share more than a half.
    """

    ap_network: float
    ap_artifact: float
    ap50_network: float
    ap50_artifact: float
    pq_network: float
    pq_artifact: float
    f1_network: float
    f1_artifact: float


@dataclass(frozen=True)
class CaseScores:
    """One case.

    Attributes:
        name: of the case.
        argmax_changed: share of its voxels whose class differs.
        labels: by name of the class or region.
        objects: of instances, mean average precision of the network and of the artifact; else None.
    """

    name: str
    argmax_changed: float
    labels: dict[str, LabelScores]
    objects: ObjectScores | None = None

    @property
    def drop(self) -> float:
        """The largest drop in Dice of any class."""
        return max(scores.drop for scores in self.labels.values())


@dataclass(frozen=True)
class WorstCase:
    """What is to be seen of the case in which the artifact lost most.

    Attributes:
        name: of the case.
        drop: the largest drop in Dice of any class.
        scan: as read.
        reference: label values (*spatial).
        network: label values (*spatial) of the float network.
        artifact: label values (*spatial) of the artifact.
    """

    name: str
    drop: float
    scan: Scan
    reference: np.ndarray
    network: np.ndarray
    artifact: np.ndarray


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
        hd95_network: mean over the cases in which both are finite, mm; None if there is no such case.
        hd95_artifact: the same for the artifact.
        nsd_network: mean normalised surface Dice at ``TOLERANCE_MM``.
        nsd_artifact: the same for the artifact.
        cases: number of cases whose reference holds the class.
        beyond_chance: mean over those of ``LabelScores.beyond_chance``; 0 if there is none.
    """

    dice_network: float
    dice_artifact: float
    dice_drop: float
    worst_drop: float
    worst_case: str
    volume_change: float
    hd95_network: float | None
    hd95_artifact: float | None
    nsd_network: float
    nsd_artifact: float
    cases: int
    beyond_chance: float


@dataclass(frozen=True)
class Fidelity:
    """An artifact against its network.

    Attributes:
        cases: names of the cases compared; never among those that it was calibrated with.
        labels: by name of the class or region.
        argmax_changed: share of all voxels whose class differs.
        verdict: "99.9 %", "99 %", "fail" or "not judged", see ``export.verify.gate``.
        reasons: why it is one of the last two.
        unseen: classes that no case's labels hold, so that nothing is known of them.
        refused: why the artifact was refused, where it was written all the same, as was asked; else empty.
        objects: how well objects are told apart, the means over all cases; None where none are.
        per_case: scores of every case, for the report.
        worst: pictures of the case with the largest drop, for the report.
    """

    cases: tuple[str, ...]
    labels: dict[str, LabelFidelity]
    argmax_changed: float
    verdict: str
    reasons: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    refused: str = ""
    objects: ObjectScores | None = None
    per_case: tuple[CaseScores, ...] = ()
    worst: WorstCase | None = field(default=None, repr=False, compare=False)

    @property
    def drop(self) -> float:
        """The largest drop in mean Dice of any class."""
        return max(label.dice_drop for label in self.labels.values())

    def to_dict(self) -> dict:
        """As plain JSON types, for the manifest; without the single cases."""
        return {
            "cases": list(self.cases),
            "labels": {name: record.to_dict(label) for name, label in self.labels.items()},
            "argmax_changed": self.argmax_changed,
            "verdict": self.verdict,
            **{name: list(value) for name in ("reasons", "unseen") if (value := getattr(self, name))},
            **({"refused": self.refused} if self.refused else {}),
            **({"objects": record.to_dict(self.objects)} if self.objects else {}),
        }
