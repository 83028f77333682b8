"""The reference segmentation of a case as class indices."""

from collections.abc import Sequence

import numpy as np

from imaging.errors import InputError
from imaging.labels import Label


def read_reference(case, labels: Sequence[Label]):
    """Read a case's label file.

    Args:
        case: a labelled ``train.dataset.Case``.
        labels: classes by class index.

    Returns:
        Scan whose voxels (*spatial, 1) are class indices, in the file's own geometry.

    Raises:
        InputError: if the file holds a value that is no label's; the message names file, values and labels.
    """
    import imaging

    scan = imaging.read_labels(case.label)
    return imaging.Scan(class_indices(scan.voxels, labels, case.label), scan.affine)


def class_indices(values: np.ndarray, labels: Sequence[Label], where) -> np.ndarray:
    """Label values as class indices, the same shape, uint8 (uint16 above 256 classes).

    Args:
        values: integers.
        labels: classes by class index.
        where: the file, for the message.

    Raises:
        InputError: if there is a value that is no label's.
    """
    accepted = np.array([label.value for label in labels])
    found = np.unique(values)
    strange = found[~np.isin(found, accepted)]
    if len(strange):
        raise InputError(
            f"{where}: holds label value {', '.join(str(v) for v in strange[:5])}; the dataset's labels are "
            + ", ".join(f"{label.value} {label.name}" for label in labels)
            + "; correct the file or add the label to dataset.json"
        )
    order = np.argsort(accepted)
    kind = np.uint8 if len(labels) <= 256 else np.uint16
    return order[np.searchsorted(accepted[order], values)].astype(kind)
