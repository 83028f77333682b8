"""The labels that an artifact is verified with: of the network's classes, on the grid of their scan."""

from collections.abc import Iterable, Sequence

import numpy as np

import imaging
from imaging.io.cases import CaseFiles
from imaging.labels import Label
from imaging.scan import Scan
from medseg.command import command_line
from medseg.errors import InputError


def read_reference(case: CaseFiles, scan: Scan, labels: Sequence[Label], ignore: int | None = None) -> np.ndarray:
    """Label values of a case on the grid of its scan.

    Args:
        case: a labelled case.
        scan: its scan.
        labels: classes by class index.
        ignore: value of voxels that nobody has labelled, or None.

    Returns:
        Label values (*spatial).

    Raises:
        InputError: if the file holds a value that is no class's, or lies on another grid.
    """
    if case.instances:
        objects = read_objects(case, scan)
        return np.where(objects > 0, labels[1].value, labels[0].value)
    reference = imaging.read_labels(case.label)
    _check_values(case, reference.voxels, labels, ignore)
    return imaging.align(reference, scan, case.label, case.images[0]).voxels[..., 0]


def read_objects(case: CaseFiles, scan: Scan) -> np.ndarray:
    """Numbers of the objects of a case (*spatial), 0 where there is none, on the grid of its scan.

    Args:
        case: a labelled case of instances.
        scan: its scan.

    Raises:
        InputError: if the file cannot be read, or lies on another grid.
    """
    objects = imaging.read_labels(case.label, instances=True)
    return imaging.align(objects, scan, case.label, case.images[0]).voxels[..., 0]


def check_references(cases: Iterable[CaseFiles], labels: Sequence[Label], channels: int) -> None:
    """Read the scans and labels of cases, before any work is done with them.

    Args:
        cases: what to read; those without a label file are left out.
        labels: classes by class index.
        channels: that a scan must have.

    Raises:
        InputError: as ``read_reference``, or if none of them marks anything.
    """
    labelled = [case for case in cases if case.label is not None]
    marks = [bool(np.any(read_reference(case, _scan(case, channels), labels) != labels[0].value)) for case in labelled]
    if labelled and not any(marks):
        raise InputError(
            f"{labelled[0].label} and the labels of the {len(labelled)} cases to verify on mark nothing but "
            f"{labels[0].name}; give labelled scans"
        )


def _scan(case, channels):
    return imaging.read(list(case.images), channels, nan=0.0)  # its grid is what counts here


def _check_values(case, voxels, labels, ignore):
    known = {label.value for label in labels} | ({ignore} if ignore is not None else set())
    strange = sorted(set(np.unique(voxels).tolist()) - known)
    if not strange:
        return
    classes = ", ".join(f"{label.value} {label.name}" for label in labels)
    raise InputError(
        f"{case.label}: holds label value {', '.join(map(str, strange[:5]))}, expected those of the network's classes, "
        f"{classes}; {_mend(labels, strange)}"
    )


def _mend(labels, strange) -> str:
    """What to do: of a mask of two values the second is the foreground; else the classes' values must be given."""
    if len(labels) == 2 and len(strange) == 1:
        option = command_line("--classes", labels[0].name, f"{labels[1].name}={strange[0]}")
        return f"if {strange[0]} is {labels[1].name}, name the value: {option}"
    return "write these values into the label files, or name each class of a saved model: --classes NAME=VALUE ..."
