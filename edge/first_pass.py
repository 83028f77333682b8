"""The first network of a cascade, asked before the second sees the scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.runtime.options import Options
from edge.trust.observation import as_read
from imaging.recipe import prepare
from imaging.scan import Scan
from medseg.progress import Cancel, in_turn


@dataclass(frozen=True)
class Found:
    """What the first network says of a scan.

    Attributes:
        classes: uint8 (*spatial), class indices on the scan's own grid, not cleaned up.
        seconds: time that the network took.
    """

    classes: np.ndarray
    seconds: float


def ask(
    first: Any, scan: Scan, progress: Callable[[int, int], None] | None = None, cancel: Cancel = None
) -> tuple[Found | None, Callable[[int, int], None] | None]:
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
    return Found(answered.restored.classes, answered.seconds), next(steps)
