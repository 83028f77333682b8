"""Every metric of one case, class by class."""

from collections.abc import Sequence

import numpy as np

from imaging.labels import Label, Region
from imaging.measure import overlap, volume
from imaging.measure.surface import surface_distances
from imaging.regions import mask_of, structures
from medseg.errors import InputError

# What a larger value means, for tables and comparisons; volumes are neither.
HIGHER_IS_BETTER = {
    "dice": True,
    "iou": True,
    "precision": True,
    "recall": True,
    "nsd": True,
    "hd95": False,
    "assd": False,
}

# What the distances of images are counted in, for tables: flat images rarely say how large a pixel is.
DISTANCES = "hd95 and assd in mm, in pixels for images without a pixel size"


def score_case(
    prediction: np.ndarray,
    reference: np.ndarray,
    labels: Sequence[Label],
    spacing,
    tolerance_mm: float = 1.0,
    regions: Sequence[Region] = (),
) -> dict[str, dict[str, float]]:
    """Compare a segmentation with its reference.

    Args:
        prediction: integer class indices, 2 or 3 axes.
        reference: integer class indices of the same shape; ``len(labels)`` marks voxels that nobody has labelled, which
            count nowhere: both segmentations are taken to be background there.
        labels: classes by class index, background first; the background is not scored.
        spacing: voxel size in mm per axis.
        tolerance_mm: of the normalised surface Dice.
        regions: structures of several classes that are scored instead of the classes, as nnU-Net does.

    Returns:
        Class (or region) name to metric to value: dice, iou, precision, recall, hd95 (mm), assd (mm), nsd,
        volume_difference (relative), and volume_ml and reference_ml (area_mm2 and reference_mm2 in 2D).

    Raises:
        InputError: if shapes or spacing do not fit together, or an index has no class.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise InputError(
            f"prediction of shape {prediction.shape}: the reference has {reference.shape}, expected the same"
        )
    ignored = reference == len(labels)
    if ignored.any():
        prediction, reference = np.where(ignored, 0, prediction), np.where(ignored, 0, reference)
    for name, array in (("prediction", prediction), ("reference", reference)):
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < len(labels):
            raise InputError(
                f"{name} holds class indices {array.min()} to {array.max()}; expected 0 to {len(labels) - 1}"
            )
    return {
        name: _score(mask_of(prediction, indices), mask_of(reference, indices), spacing, tolerance_mm)
        for name, indices in structures(labels, regions).items()
    }


def _score(prediction, reference, spacing, tolerance_mm):
    distances = surface_distances(prediction, reference, spacing)
    scores = {
        "dice": overlap.dice(prediction, reference),
        "iou": overlap.iou(prediction, reference),
        "precision": overlap.precision(prediction, reference),
        "recall": overlap.recall(prediction, reference),
        "hd95": distances.percentile(95),
        "assd": distances.mean(),
        "nsd": distances.within(tolerance_mm),
        "volume_difference": volume.volume_difference(prediction, reference),
    }
    if prediction.ndim == 3:
        return scores | {
            "volume_ml": volume.volume_ml(prediction, spacing),
            "reference_ml": volume.volume_ml(reference, spacing),
        }
    return scores | {
        "area_mm2": volume.area_mm2(prediction, spacing),
        "reference_mm2": volume.area_mm2(reference, spacing),
    }
