"""One harness for all classical methods: what each entry of the registry has to do, on balls of known size.

A sweep over ``imaging.classical.names()`` calls these; an entry that is added is swept with the rest.
"""

import numpy as np

import imaging
from imaging.classical.registry import get
from imaging.classical.seeds.strokes import Stroke
from imaging.scan import Scan

# Options at which a method finds the ball; the defaults of the others do.
OPTIONS = {
    "multi-otsu": {"classes": 3, "keep": 2, "smooth_mm": 1.0, "largest": True},
    "k-means": {"classes": 2, "keep": 1},
    "gaussian-mixture": {"classes": 2, "keep": 1},
    "sauvola": {"window_mm": 30.0, "k": -0.2, "largest": True},
    "niblack": {"window_mm": 30.0, "k": 1.0, "largest": True},
    "ridges": {"smallest_mm": 3.0, "largest_mm": 6.0, "share": 12.0, "largest": True},
    "region-growing": {"tolerance": 0.3, "smooth_mm": 1.0},
    "confidence-connected": {"multiplier": 3.0, "fill": True},
    "slic": {"size_mm": 4.0, "smooth_mm": 1.0},
    "chan-vese": {"iterations": 15},
    "geodesic-contours": {"iterations": 40},
    "atlas": {"iterations": 5},
}
# Percentiles depend on how much of the scan the ball is.
OPTIONS_BY_RANK = {("hysteresis", 2): {"low": 86.5, "high": 95.0}, ("hysteresis", 3): {"low": 95.5, "high": 98.0}}
# Ridges look for lines; the prior of the random walker holds that people click near the edge; contours stop before it.
LEAST_DICE = {"ridges": 0.5, "random-walker": 0.75, "geodesic-contours": 0.75}


def ball(rank, spacing=None, noise=4.0, seed=0):
    """A scan (mm RAS) with a bright ball of 9 mm in the middle of 48 x 40 (x 36) mm, and the ball's mask."""
    spacing = np.array(spacing or ((1.0,) * 2 if rank == 2 else (1.0, 1.0, 2.0)))
    extent = np.array((48.0, 40.0, 36.0)[:rank])
    shape = np.rint(extent / spacing).astype(int)
    axes = np.meshgrid(*((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    mask = sum((axis - middle) ** 2 for axis, middle in zip(axes, extent / 2, strict=True)) <= 9.0**2
    voxels = 100 + 60 * mask + np.random.default_rng(seed).normal(0, noise, mask.shape)
    affine = np.eye(4)
    affine[range(rank), range(rank)] = spacing
    affine[:rank, 3] = spacing / 2 - extent / 2  # the world's origin is the middle of the ball
    return Scan(voxels.astype(np.float32)[..., None], affine), mask


def strokes(rank):
    """Seeds of the ball and around it, in world coordinates, so that they fit any grid."""

    def points(label, distance):
        places = [sign * distance * np.eye(rank)[axis] for axis in range(rank) for sign in (-1, 1)]
        return tuple(Stroke("point", label, (tuple(map(float, place)),), "world") for place in places)

    return (*points(1, 6.0), *points(0, 13.0))


def run(name, scan, **parameters):
    """The labels (*spatial) of a method with what it needs."""
    entry, needs = get(name), {}
    options = OPTIONS_BY_RANK.get((name, scan.rank), OPTIONS.get(name, {}))
    if entry.seeds == "needed":
        needs["seeds"] = strokes(scan.rank)
    if entry.atlases:
        atlas, mask = ball(scan.rank, seed=1)
        needs["atlases"] = [(atlas, Scan(mask[..., None].astype(np.uint8), atlas.affine))]
    return imaging.classical.segment(scan, name, **needs, **{**options, **parameters})


def dice(predicted, mask):
    """Dice of two masks."""
    return 2 * np.count_nonzero(predicted & mask) / (np.count_nonzero(predicted) + np.count_nonzero(mask))
