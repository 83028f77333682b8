"""Segmentations of held-back cases, kept in the run folder."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import imaging
from imaging.io.cases import check_case_name
from train.evaluation.reference import class_indices, read_case

FOLDER = "predictions"


def prediction_file(run, name: str, mirror: bool | None = None) -> Path:
    """Where a run keeps its segmentation of a case; apart where flips were averaged, or not, other than the plan says.

    Raises:
        InputError: for a name that would lead elsewhere.
    """
    check_case_name(name, run.folder)
    flat = run.plan.recipe.rank == 2 and max(label.value for label in run.plan.labels) < 256
    return run.result_file(FOLDER, mirror=mirror) / (name + (".png" if flat else ".nii.gz"))


def save_prediction(run, name: str, indices: np.ndarray, scan: imaging.Scan, mirror: bool | None = None) -> None:
    """Write a segmentation as label values in the geometry of its scan.

    Args:
        run: the run whose network made it.
        name: of the case.
        indices: class indices (*spatial), or of a plan of instances numbers of objects.
        scan: that it was made of; the segmentation is written in its geometry.
        mirror: it was averaged over flips, or not; None for as the plan says.
    """
    if run.plan.instances is not None:
        path = prediction_file(run, name, mirror)
        imaging.write(path, replace(scan, voxels=np.asarray(indices, np.int32)[..., None]), deep=True)
        return
    values = np.array([label.value for label in run.plan.labels], np.int32)
    imaging.write(prediction_file(run, name, mirror), replace(scan, voxels=values[indices][..., None]))


def load_prediction(run, name: str, mirror: bool | None = None) -> np.ndarray:
    """What ``save_prediction`` wrote, as class indices (*spatial); objects as their one class."""
    path = prediction_file(run, name, mirror)
    if run.plan.instances is not None:
        return np.minimum(imaging.read_labels(path, instances=True).voxels[..., 0], 1)
    return class_indices(imaging.read_labels(path).voxels, run.plan.labels, path)[..., 0]


def predicted_cases(runs: Sequence, dataset, mirror: bool | None = None) -> Iterator[tuple]:
    """(name, prediction, reference, spacing) of each held-back case of each run; arrays of class indices.

    Where nobody has labelled, the reference is ``len(labels)``.

    Args:
        runs: scored runs that kept their predictions.
        dataset: the open ``Dataset`` that they were scored on.
        mirror: take those that were averaged over flips, or not; None for as the plan says.
    """
    for run in runs:
        for name in run.plan.folds[run.fold]:
            plan = run.plan
            _, reference = read_case(
                dataset.case(name), plan.labels, plan.recipe.channels, plan.ignore, plan.recipe.nan
            )
            yield name, load_prediction(run, name, mirror), reference.voxels[..., 0], reference.spacing
