"""The reference segmentation of a case as class indices."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.labels import Label
from medseg.errors import InputError


def read_reference(case, labels: Sequence[Label], ignore: int | None = None):
    """Read a case's label file.

    Args:
        case: a labelled ``train.data.dataset.Case``.
        labels: classes by class index.
        ignore: value of voxels that nobody has labelled, or None.

    Returns:
        Scan whose voxels (*spatial, 1) are class indices, in the file's own geometry; ``len(labels)`` where ignored.

    Raises:
        InputError: if the file holds a value that is no label's; the message names file, values and labels.
    """
    import imaging

    if case.instances:
        objects = read_objects(case)
        return replace(objects, voxels=(objects.voxels > 0).astype(np.uint8))
    scan = imaging.read_labels(case.label)
    return replace(scan, voxels=class_indices(scan.voxels, with_ignored(labels, ignore), case.label))


def read_objects(case):
    """Read the label file of a case of instances.

    Args:
        case: a labelled ``train.data.dataset.Case``.

    Returns:
        Scan whose voxels (*spatial, 1) are numbers of objects, 0 where there is none, in the file's own geometry.

    Raises:
        InputError: if the file cannot be read or holds negative numbers.
    """
    import imaging

    scan = imaging.read_labels(case.label, instances=True)
    if scan.voxels.min() < 0:
        raise InputError(f"{case.label}: holds {scan.voxels.min()}; objects are numbered from 1, and 0 is none")
    return scan


def read_case(
    case,
    labels: Sequence[Label],
    channels: int | None = None,
    ignore: int | None = None,
    nan: float | None = None,
):
    """Read a labelled case, its label file turned to the axes of the image.

    Args:
        case: a labelled ``train.data.dataset.Case``.
        labels: classes by class index.
        channels: how many the image has; None takes what its files hold.
        ignore: value of voxels that nobody has labelled, or None.
        nan: what NaN in the image stands for, or None.

    Returns:
        The image as read, and a Scan (*spatial, 1) of class indices on its grid; ``len(labels)`` where ignored.

    Raises:
        InputError: if a file cannot be read, the label file holds a value that is no label's, or it lies elsewhere.
    """
    import imaging

    reference = read_reference(case, labels, ignore)  # first: this takes more memory than the image, not there yet
    image = imaging.read(list(case.images), channels=channels, nan=nan)
    return image, imaging.align(reference, image, case.label, case.images[0])


def read_case_objects(case, channels: int | None = None, nan: float | None = None):
    """Read a case of instances: the image as read, and a Scan (*spatial, 1) of numbers of objects on its grid.

    Args:
        case: a labelled ``train.data.dataset.Case``.
        channels: how many the image has; None takes what its files hold.
        nan: what voxels of the image that are NaN stand for; None refuses them.

    Raises:
        InputError: if a file cannot be read, or the label file lies elsewhere.
    """
    import imaging

    objects = read_objects(case)
    image = imaging.read(list(case.images), channels, nan)
    return image, imaging.align(objects, image, case.label, case.images[0])


def with_ignored(labels: Sequence[Label], ignore: int | None) -> tuple[Label, ...]:
    """``labels`` and, as a last class, the voxels of value ``ignore`` if there are such."""
    return tuple(labels) if ignore is None else (*labels, Label("ignore", ignore))


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
    present = np.unique(np.concatenate([np.unique(slab) for slab in values]))
    strange = present[~np.isin(present, accepted)]
    if len(strange):
        raise InputError(
            f"{where}: holds label value {', '.join(str(v) for v in strange[:5])}; the dataset's labels are "
            + ", ".join(f"{label.value} {label.name}" for label in labels)
            + "; correct the file or add the label to dataset.json"
        )
    order = np.argsort(accepted)
    kind = np.uint8 if len(labels) <= 256 else np.uint16
    indices = np.empty(values.shape, kind)
    for slab, present in zip(indices, values, strict=True):  # the positions searched for take 8 bytes a voxel
        slab[...] = order[np.searchsorted(accepted[order], present)]
    return indices
