"""Objects of one kind that touch: what a network learns of them, and how its answer is cut into single objects.

The network has two sigmoid channels: whether a voxel belongs to an object, and how far inside it lies, as a share of
the farthest that any voxel of that object does (Naylor et al., IEEE TMI 2019, doi:10.1109/TMI.2018.2865709; the
foreground beside it as in StarDist, Schmidt et al., MICCAI 2018, arXiv:1806.03535). Two objects that touch are one
foreground, but the distance falls to nothing between them, so a watershed of it tells them apart.
"""

from dataclasses import dataclass

import numpy as np

from imaging.watershed import flood
from medseg.errors import InputError, UsageError

CHANNELS = ("foreground", "distance")
LEVELS = 255  # of a stored distance; 0 is the background
LARGEST_SMOOTHING = 64.0


@dataclass(frozen=True)
class Decoding:
    """How a network's answer is cut into objects.

    Attributes:
        threshold: a voxel belongs to an object where its probability is more.
        smoothing: standard deviation of the Gaussian that smooths the distance, in voxels of the finest axis.
        depth: how much the distance, 1 in the middle of an object, must fall from one middle towards a deeper one for
            both to be objects.
        smallest: objects of fewer voxels are left out.
        peak: so are objects in which no voxel has a probability of at least this.
    """

    threshold: float = 0.5
    smoothing: float = 1.0
    depth: float = 0.1
    smallest: int = 12
    peak: float = 0.0


def check(decoding: Decoding) -> None:
    """Require a decoding to make sense.

    Raises:
        UsageError: naming the field that does not.
    """
    for name, value, good, expected in (
        ("threshold", decoding.threshold, 0 < decoding.threshold < 1, "between 0 and 1"),
        ("smoothing", decoding.smoothing, 0 <= decoding.smoothing <= LARGEST_SMOOTHING, f"0 to {LARGEST_SMOOTHING:g}"),
        ("depth", decoding.depth, 0 <= decoding.depth < 1, "0 to below 1"),
        ("smallest", decoding.smallest, 1 <= decoding.smallest <= 2**31, "at least 1"),
        ("peak", decoding.peak, 0 <= decoding.peak < 1, "0 to below 1"),
    ):
        if not good:
            raise UsageError(f"instances.{name} {value}: expected {expected}")


def distance_levels(objects: np.ndarray, spacing) -> np.ndarray:
    """How far inside its object every voxel lies, as a network learns it.

    Args:
        objects: whole numbers (*spatial), 0 where there is none, every object its own.
        spacing: voxel size in mm per axis.

    Returns:
        uint8 (*spatial): 0 outside, else 1 to 255, the distance to the nearest voxel that is not of the object as a
        share of the largest in the object.

    Raises:
        InputError: for negative numbers, or a spacing that does not fit.
    """
    from scipy import ndimage

    objects = np.asarray(objects)
    if len(spacing) != objects.ndim:
        raise InputError(f"spacing {tuple(spacing)}: expected {objects.ndim} numbers in mm")
    numbered, count = numbered_from_one(objects)
    levels = np.zeros(objects.shape, np.uint8)
    for number, box in enumerate(ndimage.find_objects(numbered, count), 1):
        mask = np.pad(numbered[box] == number, 1)
        distance = ndimage.distance_transform_edt(mask, sampling=spacing)
        level = np.ceil(distance * (LEVELS / distance.max())).astype(np.uint8)
        inside = (slice(1, -1),) * objects.ndim
        levels[box] = np.where(mask[inside], level[inside], levels[box])
    return levels


def numbered_from_one(objects: np.ndarray) -> tuple[np.ndarray, int]:
    """The same objects with the numbers 1, 2, ... in the order of their own (int32), and how many there are.

    Raises:
        InputError: for negative numbers.
    """
    values, inverse = np.unique(objects, return_inverse=True)
    if len(values) and values[0] < 0:
        raise InputError(f"object number {values[0]}: expected 0 for none and positive numbers")
    lacks_none = not len(values) or values[0] != 0
    return (inverse.reshape(objects.shape) + lacks_none).astype(np.int32), len(values) - (not lacks_none)


def whole_objects(objects: np.ndarray, present: np.ndarray) -> int:
    """How many of the values ``present`` in a label map lie in one piece each; voxels touch by face, edge or corner."""
    from scipy import ndimage

    numbered = np.searchsorted(present, objects).astype(np.int32) + 1
    numbered[objects == 0] = 0
    around = np.ones((3,) * objects.ndim, bool)
    alone = 0
    for number, box in enumerate(ndimage.find_objects(numbered, len(present)), 1):
        alone += ndimage.label(numbered[box] == number, around)[1] == 1
    return alone


def find_objects(chances: np.ndarray, spacing, decoding: Decoding) -> np.ndarray:
    """Cut a network's answer into objects.

    Args:
        chances: float (*spatial, 2): probability of the foreground and distance, each from 0 to 1.
        spacing: voxel size in mm per axis.
        decoding: how.

    Returns:
        int32 (*spatial): numbers from 1 in the order of the objects' first voxels, 0 where there is none.

    Raises:
        InputError: if the channels are not two, or the spacing does not fit.
    """
    chances = np.asarray(chances)
    if chances.shape[-1] != len(CHANNELS) or len(spacing) != chances.ndim - 1:
        raise InputError(
            f"answer of shape {chances.shape} with spacing {tuple(spacing)}: expected the channels "
            f"{' and '.join(CHANNELS)} last, and mm for each other axis"
        )
    mask = chances[..., 0] > decoding.threshold
    heights = _smoothed(np.ascontiguousarray(chances[..., 1], np.float32), spacing, decoding.smoothing)
    objects = flood(heights, mask, decoding.depth)
    keep = np.bincount(objects.ravel()) >= max(1, decoding.smallest)
    if decoding.peak:
        peaks = np.zeros(len(keep))
        np.maximum.at(peaks, objects[mask], chances[..., 0][mask])
        keep &= peaks >= decoding.peak
    return _kept(objects, keep)


def split_touching(mask: np.ndarray, spacing, depth: float = 0.2) -> np.ndarray:
    """Cut a mask into objects where it is narrow, without a network.

    Two round parts are objects of their own where the neck between them is thinner than ``1 - depth`` of the thinner
    part.

    Args:
        mask: bool, 2 or 3 axes.
        spacing: voxel size in mm per axis.
        depth: share of the thickness, from 0 to below 1.

    Returns:
        int32 of the same shape, numbers from 1; parts that do not touch are different objects.

    Raises:
        UsageError: for another depth.
        InputError: if the spacing does not fit.
    """
    from scipy import ndimage

    mask = np.asarray(mask, bool)
    if len(spacing) != mask.ndim:
        raise InputError(f"spacing {tuple(spacing)}: expected {mask.ndim} numbers in mm")
    if not 0 <= depth < 1:
        raise UsageError(f"depth {depth}: expected 0 to below 1")
    inside = (slice(1, -1),) * mask.ndim
    distance = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[inside]
    return flood(distance, mask, depth, relative=True)


def _kept(objects, keep):
    """Objects by number, numbered anew from 1 in the same order (int32)."""
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[objects]


def _smoothed(heights, spacing, sigma):
    if not sigma:
        return heights
    from scipy import ndimage

    finest = min(spacing)
    return ndimage.gaussian_filter(heights, [sigma * finest / size for size in spacing], mode="nearest")
