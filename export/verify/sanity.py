"""What every artifact must do, verified on labelled cases or not: find the classes that its network finds on patches.

Patches have no labels, so this says nothing of accuracy. It catches a file that computes something else (all
background, a class lost, classes exchanged) and a network that has nothing to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from imaging.measure import overlap

PATCHES = 12
# Of a class that the network finds in fewer voxels, a few of them decide the Dice.
SHARE, VOXELS = 0.001, 64
# An artifact that finds so many voxels of a class where the network finds next to none has invented it.
INVENTED = 0.01
KEPT = 0.8


@dataclass(frozen=True)
class Sanity:
    """An artifact against its network on patches.

    Attributes:
        patches: how many.
        agreement: share of their voxels whose class is the network's.
        kept: Dice of the artifact against the network, by class that the network finds there or the artifact invents.
        only: the class that the network finds in every voxel of all patches; empty where it finds several.
        problem: why the artifact should not be used; empty where nothing is wrong.
    """

    patches: int
    agreement: float
    kept: dict[str, float] = field(default_factory=dict)
    only: str = ""
    problem: str = ""

    def to_dict(self) -> dict:
        """As plain JSON types, for the manifest."""
        return {
            "patches": self.patches,
            "agreement": self.agreement,
            **({"problem": self.problem} if self.problem else {}),
        }


def check_classes(network: Sequence[np.ndarray], artifact: Sequence[np.ndarray], names, scans: bool = True) -> Sanity:
    """Compare the classes that an artifact finds on patches with the network's.

    Args:
        network: class indices (*patch) of the float network, patch by patch.
        artifact: the same of the artifact.
        names: of the classes, by index.
        scans: a network that finds one class only in them is no good; in noise a good one may well do so.
    """
    before, after = (np.stack([np.asarray(patch) for patch in patches]) for patches in (network, artifact))
    counts = np.bincount(before.ravel(), minlength=len(names))
    least = max(SHARE * before.size, min(VOXELS, before.size // 8))
    invented = np.bincount(after.ravel(), minlength=len(names)) >= max(INVENTED * before.size, least)
    kept = {
        name: overlap.dice(after == index, before == index)
        for index, name in enumerate(names)
        if counts[index] >= least or invented[index]
    }
    only = names[int(counts.argmax())] if np.count_nonzero(counts) == 1 else ""
    agreement = float(np.mean(before == after))
    return Sanity(len(before), agreement, kept, only, _problem(kept, only if scans else "", after, names, len(before)))


def _problem(kept, only, after, names, patches) -> str:
    if only:
        return (
            f"the network finds nothing but {only} in all {patches} patches: it has learnt nothing, or the "
            "scans are not of its kind or not prepared as in training"
        )
    lost = {name: share for name, share in kept.items() if share < KEPT}
    if not lost:
        return ""
    classes = np.unique(after)
    lone_class = f", and finds nothing but {names[classes[0]]}" if len(classes) == 1 else ""
    listed = ", ".join(f"{share:.0%} of {name}" for name, share in lost.items())
    return (
        f"on {patches} patches the artifact agrees with its network in {listed} (Dice, expected at least "
        f"{KEPT:.0%}){lone_class}"
    )
