"""How much of each label a segmentation holds."""

from collections.abc import Sequence

import numpy as np

from imaging.labels import Label
from imaging.scan import Scan


def voxel_counts(segmentation: Scan, labels: Sequence[Label]) -> dict[str, int]:
    """Voxels of each label.

    Args:
        segmentation: label values (*spatial, 1), as ``Segmenter.predict`` returns them.
        labels: classes by class index, background first.

    Returns:
        Label name to number of voxels, without the background.
    """
    return {label.name: int(np.count_nonzero(segmentation.voxels == label.value)) for label in labels[1:]}


def volumes_ml(segmentation: Scan, labels: Sequence[Label]) -> dict[str, float]:
    """Volume of each label in millilitres.

    The volume of a voxel is the determinant of the affine, so it is right for a sheared grid too.

    Args:
        segmentation: label values (*spatial, 1), as ``Segmenter.predict`` returns them.
        labels: classes by class index, background first.

    Returns:
        Label name to volume, without the background; empty for a 2D scan, which has no volume.
    """
    if segmentation.rank != 3:
        return {}
    voxel_ml = abs(float(np.linalg.det(segmentation.affine[:3, :3]))) / 1000
    return {name: count * voxel_ml for name, count in voxel_counts(segmentation, labels).items()}
