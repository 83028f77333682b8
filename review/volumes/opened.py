"""Scans that are open now, so that a click does not read its scan again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from imaging.io.dicom.reference import split_reference
from imaging.io.dicom.series import Series, choose, find_series
from imaging.io.files import is_dicom_scan, read
from imaging.recipe import Recipe
from imaging.scan import Scan, grid_of
from medseg.errors import InputError
from review.errors import UnavailableError

_BUDGET = 2**30  # bytes of voxels that are kept
_SAMPLE = 200_000


@dataclass(frozen=True)
class Opened:
    """A scan as it was read.

    Attributes:
        scan: its voxels and geometry.
        window: 1st and 99th percentile of its first channel.
    """

    scan: Scan
    window: tuple[float, float]

    @property
    def grid(self) -> Scan:
        """Where its labels lie."""
        return grid_of(self.scan)


class OpenScans:
    """Reads scans, and keeps the last ones.

    Args:
        recipe: of the network: how many channels and axes a scan has, and what NaN in it stands for.
        budget: bytes of voxels that are kept at most, the newest scan always.
    """

    def __init__(self, recipe: Recipe, budget: int = _BUDGET):
        self._recipe, self._budget = recipe, budget
        self._kept: OrderedDict[tuple[str, ...], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, files: tuple[str, ...]) -> Opened:
        """A scan by its files.

        Raises:
            UnavailableError: if it cannot be read any more.
        """
        with self._lock:  # two clients that open one scan read it once
            if files in self._kept:
                self._kept.move_to_end(files)
                return self._kept[files]
            try:
                scan = read(files[0] if len(files) == 1 else files, self._recipe.channels, self._recipe.nan)
            except InputError as error:
                raise UnavailableError(f"the scan cannot be read: {error}") from None
            sample = scan.voxels[..., 0].ravel()[:: max(1, scan.voxels[..., 0].size // _SAMPLE)]
            low, high = np.percentile(sample, (1, 99))
            opened = Opened(scan, (float(low), float(max(high, low + 1e-6))))
            self._kept[files] = opened
            while len(self._kept) > 1 and sum(o.scan.voxels.nbytes for o in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
            return opened


def series_of(files: tuple[str, ...], rank: int) -> Series | None:
    """The DICOM series of a scan; None where it is no DICOM."""
    if not is_dicom_scan(files[0]):
        return None
    place, part = split_reference(files[0])
    return choose(find_series(place), part, place, rank)
