"""What a caller may ask of a prediction beside the labels."""

from dataclasses import dataclass, field, fields
from typing import Protocol

from imaging.scan import Scan
from medseg.errors import UsageError


class Locator(Protocol):
    """Finds the part of a scan in which the network looks; see ``edge.runtime.region``."""

    def find(self, scan: Scan, cancel=None) -> tuple[slice, ...]:
        """The box of voxels of ``scan`` to look at."""


@dataclass(frozen=True)
class Outputs:
    """What is kept of a prediction beside the labels.

    Attributes:
        probabilities: of every class or region at every voxel.
        entropy: of these probabilities, 0 (certain) to 1.
        variance: of the probabilities over flips and networks; needs ``Options.mirror`` or several networks.
        instances: every connected part of a class with a number of its own, and a table of the parts.
        boxes: bounding boxes of these parts.
        split: parts that touch are cut where they are narrow before they are numbered.
        overlay: a picture of the contours over the scan.
        measurements: volumes and areas as CSV and JSON.
    """

    probabilities: bool = False
    entropy: bool = False
    variance: bool = False
    instances: bool = False
    boxes: bool = False
    split: bool = False
    overlay: bool = False
    measurements: bool = False

    @property
    def scores(self) -> bool:
        """Whether probabilities are needed at every voxel of the source."""
        return self.probabilities or self.entropy


@dataclass(frozen=True)
class Options:
    """How a scan is segmented.

    Attributes:
        mirror: spatial axes of the patch; the scores are averaged over all flips along them. None for those of the
            artifact.
        region: finds the part of the scan that is looked at; None looks everywhere.
        outputs: what is kept beside the labels.
    """

    mirror: tuple[int, ...] | None = None
    region: Locator | None = None
    outputs: Outputs = field(default_factory=Outputs)


def parse_outputs(text: str) -> Outputs:
    """Outputs from their names, joined by commas.

    Raises:
        UsageError: for an unknown name; the message lists all.
    """
    known = [each.name for each in fields(Outputs)]
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f"--save {name}: expected some of {', '.join(known)}, joined by commas")
    if "split" in names and not {"instances", "boxes"} & set(names):
        raise UsageError("--save split: says how instances and boxes are told apart; give one of them too")
    return Outputs(**dict.fromkeys(names, True))


def parse_mirror(text: str, rank: int) -> tuple[int, ...]:
    """Axes to flip along, of "all", "none" or numbers joined by commas.

    Args:
        text: as given.
        rank: spatial axes that there are.

    Raises:
        UsageError: for anything else.
    """
    if text in ("all", "none"):
        return tuple(range(rank)) if text == "all" else ()
    axes = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if len(axes) != len(text.split(",")) or len(set(axes)) != len(axes) or not all(axis < rank for axis in axes):
        raise UsageError(f"--mirror {text}: expected all, none, or axes from 0 to {rank - 1} joined by commas")
    return tuple(sorted(axes))


def check_options(options: Options, networks: int, manifest) -> None:
    """Require options to fit together and the network.

    Args:
        options: what is asked for.
        networks: how many there are.
        manifest: of the artifact, or what is known of a run.

    Raises:
        UsageError: naming the option.
    """
    mirror, rank = axes_of(options, manifest), manifest.recipe.patch_rank
    if not all(isinstance(axis, int) and 0 <= axis < rank for axis in mirror):
        raise UsageError(f"mirror {mirror}: expected axes from 0 to {rank - 1}")
    if options.outputs.variance and not mirror and networks == 1:
        raise UsageError("variance: is over flips or networks; give --mirror, or several artifacts joined by commas")


def axes_of(options: Options, manifest) -> tuple[int, ...]:
    """The axes over whose flips scores are averaged: those asked for, else the artifact's own."""
    return manifest.mirror if options.mirror is None else options.mirror
