"""What is known of a scan before the network sees it: where to look, and what the first network of a cascade found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.runtime.options import Options
from edge.runtime.region import MARGIN_MM, bounding_box, widened
from edge.trust.observation import as_read
from imaging.recipe import prepare
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from medseg.progress import Cancel, in_turn


@dataclass(frozen=True)
class FirstAnswer:
    """What the first network says of a scan.

    Attributes:
        classes: uint8 (*spatial), class indices on the scan's own grid, not cleaned up.
        seconds: time that the network took.
    """

    classes: np.ndarray
    seconds: float


@dataclass(frozen=True)
class WhereFound:
    """A region of interest: where the first network of the cascade itself finds something.

    Attributes:
        margin_mm: added on all sides.
    """

    margin_mm: float = MARGIN_MM

    def find(self, scan: Scan, cancel: Cancel = None) -> tuple[slice, ...]:
        """Of any other network.

        Raises:
            UsageError: always.
        """
        raise UsageError("--roi first: is of a cascade alone; expected threshold:VALUE or an artifact, or leave it out")

    def around(self, first_answer: FirstAnswer, scan: Scan) -> tuple[slice, ...]:
        """The box of what was found, in voxels of ``scan``.

        Raises:
            InputError: if that is nothing.
        """
        if not first_answer.classes.any():
            raise InputError("--roi first: the first network found nothing in the scan; segment without --roi")
        return widened(bounding_box(first_answer.classes > 0), scan, self.margin_mm)


@dataclass(frozen=True)
class Known:
    """What is known of a scan.

    Attributes:
        box: the part to look at, slices per axis; None for all.
        first_answer: what the first network of a cascade found; None of other networks.
    """

    box: tuple[slice, ...] | None
    first_answer: FirstAnswer | None


def look(
    first: Any, region, scan: Scan, progress: Callable[[int, int], None] | None = None, cancel: Cancel = None
) -> tuple[Known, Callable[[int, int], None] | None]:
    """Find the region of interest, and ask the first network of a cascade.

    Args:
        region: an ``edge.runtime.options.Locator``, or None.
        first, scan, progress, cancel: as for ``ask``.

    Returns:
        What is known, and the progress function of the network that sees the scan now.
    """
    own = isinstance(region, WhereFound) and first is not None
    box = region.find(scan, cancel) if region is not None and not own else None
    first_answer, progress = ask(first, scan, progress, cancel)
    return Known(region.around(first_answer, scan) if own else box, first_answer), progress


def ask(
    first: Any, scan: Scan, progress: Callable[[int, int], None] | None = None, cancel: Cancel = None
) -> tuple[FirstAnswer | None, Callable[[int, int], None] | None]:
    """What the first network of a cascade finds in a scan.

    Args:
        first: an ``edge.Segmenter``; None for a network that takes the scan alone.
        scan: as read.
        progress: of both networks together, see ``edge.Segmenter.predict``.
        cancel: as there.

    Returns:
        What was found, None where there is no such network, and the progress function of the second.
    """
    if first is None:
        return None, progress
    steps = in_turn(progress, 2)
    prepared, source = prepare(scan, first.manifest.recipe), as_read(scan, first.manifest)
    answered = first.answer(prepared, source, None, Options(), next(steps), cancel)
    return FirstAnswer(answered.restored.classes, answered.seconds), next(steps)
