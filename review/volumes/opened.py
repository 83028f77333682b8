"""Scans that are open now, so that a click does not read its scan again."""

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from imaging.io.cases import parts_of
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
        state: of its files then, which changes where they are exchanged.
    """

    scan: Scan
    window: tuple[float, float]
    state: tuple

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
        """A scan by its files; one that was exchanged since it was read is read again.

        Raises:
            UnavailableError: if it cannot be read any more.
        """
        with self._lock:  # two clients that open one scan read it once
            state = tuple(map(_state, files))
            if files in self._kept and (None in state or self._kept[files].state == state):
                self._kept.move_to_end(files)
                return self._kept[files]
            try:
                scan = read(files[0] if len(files) == 1 else files, self._recipe.channels, self._recipe.nan)
            except InputError as error:
                raise UnavailableError(f"the scan cannot be read: {error}") from None
            low, high = np.percentile(_sample(scan.voxels[..., 0]), (1, 99))
            opened = Opened(scan, (float(low), float(max(high, low + 1e-6))), state)
            self._kept[files] = opened
            self._kept.move_to_end(files)
            while len(self._kept) > 1 and sum(o.scan.voxels.nbytes for o in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
            return opened


def _state(file):
    """What changes where the files of a scan, or the folder of a series, are exchanged; None where they are away."""
    place = split_reference(file)[0]
    try:
        states = [os.stat(part) for part in ([place] if os.path.isdir(place) else parts_of(file, strict=False))]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in states)


def _sample(voxels: np.ndarray) -> np.ndarray:
    """Voxels at equal steps, the last axis fastest, without a copy of all in that order."""
    places = np.arange(0, voxels.size, max(1, voxels.size // _SAMPLE))
    return voxels[np.unravel_index(places, voxels.shape)]


def series_of(files: tuple[str, ...], rank: int) -> Series | None:
    """The DICOM series of a scan; None where it is no DICOM."""
    if not is_dicom_scan(files[0]):
        return None
    place, part = split_reference(files[0])
    return choose(find_series(place), part, place, rank)
