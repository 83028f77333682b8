"""The way from the first network of a cascade to the second: classes that were found, as channels of a patch.

The first network, of low resolution, segments the scan as it does alone. Its segmentation, on the scan's own grid, is
put onto the grid of the scan as the second network's recipe prepares it, as a label map is in training, and each class
but the background becomes a channel of 0 and 1 behind those of the scan (nnU-Net's cascade, Isensee et al., Nature
Methods 2021, arXiv:1904.08128).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.geometry.affine import index_map, moved
from imaging.restoring import prepare_labels
from imaging.scan import Scan
from medseg.errors import InputError

SLAB_VOXELS = 2**22  # that a label map is interpolated at, at once: it takes some 16 bytes a voxel
FOLDER = "first"  # of the first network, in the run folder and in the artifact folder of a cascade


@dataclass(frozen=True)
class Prior:
    """What the first network found, on the grid of a prepared scan.

    Attributes:
        classes: class indices (*spatial), 0 the background.
        channels: how many classes there are but the background.
    """

    classes: np.ndarray
    channels: int


def first_folder(cascade, files: Sequence[str]) -> Path:
    """The folder of a cascade's first network.

    Args:
        cascade: folder of its run, or of its artifact.
        files: that must be in the first network's.

    Raises:
        InputError: if one is not there.
    """
    place = Path(cascade) / FOLDER
    missing = [name for name in files if not (place / name).is_file()]
    if missing:
        raise InputError(
            f"{cascade}: is of a cascade, whose first network is not there whole: {', '.join(missing)} missing in "
            f"{place}; copy the folder again with all that is in it"
        )
    return place


def one_hot(classes: np.ndarray, channels: int) -> np.ndarray:
    """Class indices (*spatial) as float32 (*spatial, channels): 1 where the class is 1, 2, ..., ``channels``."""
    return (classes[..., None] == np.arange(1, channels + 1)).astype(np.float32)


def prior_of(classes: np.ndarray, source: Scan, prepared: Scan, recipe) -> Prior:
    """A segmentation of a scan, on the grid of the prepared scan or of a part of it.

    Args:
        classes: class indices (*spatial) on the scan's own grid.
        source: the scan as read; its affine counts.
        prepared: what ``prepare`` made of it.
        recipe: the ``imaging.Recipe`` that it was made by.
    """
    label_map = Scan(classes[..., None], source.affine)
    step = max(1, SLAB_VOXELS // math.prod(prepared.shape[1:]))
    if prepared.warp is not None:  # its field is of the whole scan
        return Prior(prepare_labels(label_map, prepared, recipe).voxels[..., 0], recipe.prior)
    on_grid = np.empty(prepared.shape, classes.dtype)
    for start in range(0, prepared.shape[0], step):
        slab = prepared.voxels[start : start + step]
        part = Scan(slab, moved(prepared.affine, [start] + [0] * (prepared.rank - 1)))
        on_grid[start : start + step] = prepare_labels(_around(label_map, part), part, recipe).voxels[..., 0]
    return Prior(on_grid, recipe.prior)


def _around(label_map, part):
    """The part of a label map that voxels of another grid are interpolated from."""
    matrix, offset = index_map(label_map.affine, part.affine, label_map.rank)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in part.shape], indexing="ij")).reshape(label_map.rank, -1)
    places = matrix @ corners + offset[:, None]
    reach = np.abs(matrix).sum(axis=1) + 2
    box = []
    for low, high, length in zip(places.min(axis=1) - reach, places.max(axis=1) + reach, label_map.shape, strict=True):
        start = min(max(0, math.floor(low)), length - 1)
        box.append(slice(start, min(length, max(start + 1, math.ceil(high) + 1))))
    return Scan(label_map.voxels[tuple(box)], moved(label_map.affine, [s.start for s in box]))
