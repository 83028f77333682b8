"""Cutting a scan to a part of it."""

import numpy as np

from imaging.geometry.affine import moved
from imaging.scan import Scan


def crop_nonzero(scan: Scan) -> Scan:
    """Cut a scan to the bounding box of voxels that differ from zero in any channel; all zero stays whole."""
    used = (scan.voxels != 0).any(axis=-1)
    box = []
    for axis in range(scan.rank):
        hit = np.flatnonzero(used.any(axis=tuple(a for a in range(scan.rank) if a != axis)))
        if not len(hit):
            return scan
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return Scan(scan.voxels[tuple(box)], moved(scan.affine, [b.start for b in box]))
