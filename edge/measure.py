"""How much of each label a segmentation holds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.labels import Label, Region
from imaging.regions import mask_of, structure_values
from imaging.scan import Scan


def of_classes(segmentation: Scan, manifest) -> Scan:
    """A segmentation as label values: of numbered objects their class's, of all others the segmentation itself.

    Args:
        segmentation: of ``Segmenter.predict``.
        manifest: of its network.
    """
    if manifest.instances is None:
        return segmentation
    background, objects = (label.value for label in manifest.labels)
    return replace(segmentation, voxels=np.where(segmentation.voxels > 0, objects, background).astype(np.int32))


def voxel_counts(segmentation: Scan, labels: Sequence[Label], regions: Sequence[Region] = ()) -> dict[str, int]:
    """Voxels of each label, and of each region that is made of several.

    Args:
        segmentation: label values (*spatial, 1), as ``Segmenter.predict`` returns them.
        labels: classes by class index, background first.
        regions: structures that may overlap, made of the labels' values; of a network of regions.

    Returns:
        Name to number of voxels, without the background.
    """
    members = structure_values(labels) | structure_values(labels, regions)
    return {name: int(np.count_nonzero(mask_of(segmentation.voxels, values))) for name, values in members.items()}


def areas_mm2(segmentation: Scan, labels: Sequence[Label], regions: Sequence[Region] = ()) -> dict[str, float]:
    """Area of each label of a flat scan in square millimetres, and of each region that is made of several.

    Args:
        segmentation: label values (*spatial, 1), as ``Segmenter.predict`` returns them.
        labels: classes by class index, background first.
        regions: structures that may overlap, made of the labels' values; of a network of regions.

    Returns:
        Name to area, without the background; empty for a 3D scan, and for a picture, whose pixels have no known
        size: their number is all that can be told (``voxel_counts``).
    """
    if segmentation.rank != 2 or not segmentation.has_spacing:
        return {}
    pixel_mm2 = float(np.linalg.norm(np.cross(segmentation.affine[:3, 0], segmentation.affine[:3, 1])))
    return {name: count * pixel_mm2 for name, count in voxel_counts(segmentation, labels, regions).items()}


def volumes_ml(segmentation: Scan, labels: Sequence[Label], regions: Sequence[Region] = ()) -> dict[str, float]:
    """Volume of each label in millilitres, and of each region that is made of several.

    The volume of a voxel is the determinant of the affine, so it is right for a sheared grid too.

    Args:
        segmentation: label values (*spatial, 1), as ``Segmenter.predict`` returns them.
        labels: classes by class index, background first.
        regions: structures that may overlap, made of the labels' values; of a network of regions.

    Returns:
        Name to volume, without the background; empty for a 2D scan, which has no volume.
    """
    if segmentation.rank != 3:
        return {}
    voxel_ml = abs(float(np.linalg.det(segmentation.affine[:3, :3]))) / 1000
    return {name: count * voxel_ml for name, count in voxel_counts(segmentation, labels, regions).items()}


def sizes(labels: Scan, manifest) -> tuple[dict[str, float], dict[str, float]]:
    """Volumes in ml and areas in mm² of the structures of a segmentation.

    Args:
        labels: label values, or numbers of objects.
        manifest: of the network, or what has labels, regions and instances as that has.
    """
    facts = of_classes(labels, manifest), manifest.labels, manifest.regions
    return volumes_ml(*facts), areas_mm2(*facts)
