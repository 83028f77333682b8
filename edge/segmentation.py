"""The result of segmenting a scan."""

from dataclasses import dataclass, field

from edge.trust.fingerprint import Estimate
from imaging.scan import Scan


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter makes of a scan.

    Attributes:
        labels: label values (*spatial, 1) in the geometry of the source, the smallest integer type that holds them; of
            a network of instances (``manifest.instances``) numbers of the objects from 1, int32.
        volumes_ml: label name to volume in ml, without the background, and that of regions; empty in 2D.
        seconds: time that it took.
        stages: the same by stage: "prepare", "network", "restore".
        areas_mm2: label name to area in mm², without the background; empty in 3D and for pictures, whose pixels have
            no known size.
        probabilities: float32 (*spatial, K) of the classes or regions, if they were asked for.
        uncertainty: "entropy" and "variance", each float32 (*spatial, 1), as far as they were asked for.
        flags: why the result should not be believed unseen, a line each; empty where nothing speaks against it.
        quality: the predicted mean Dice; None where the manifest does not say how to tell it.
        features: what flags and quality are of (``edge.trust.observation``); empty where the manifest knows none.
    """

    labels: Scan
    volumes_ml: dict[str, float]
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    areas_mm2: dict[str, float] = field(default_factory=dict)
    probabilities: Scan | None = None
    uncertainty: dict[str, Scan] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    quality: Estimate | None = None
    features: dict[str, float] = field(default_factory=dict)
