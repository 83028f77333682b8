"""The training set as a dataset folder that ``zoo train`` reads; written anew for every version."""

import csv
import functools
import io
import json
import os
import shutil
from pathlib import Path

from imaging.io.cases import copy_scan, scan_suffix
from imaging.io.files import IMAGES, read
from imaging.io.image import image_bytes
from imaging.io.nifti import nifti_bytes
from imaging.scan import Scan
from medseg.atomic import write_durably
from review.errors import WrongRequestError
from review.improvement.selection import Selection
from review.service import Service
from review.store.cases import Case
from review.volumes.page_grid import is_picture, off_page

VALIDATION_SHARE = 0.2


def write_training_set(service: Service, selection: Selection, folder) -> Path:
    """Write ``images/``, ``labels/``, ``dataset.json`` and ``groups.csv``.

    Scans are linked where the system can, else copied; DICOM series become NIfTI.

    Args:
        service: the review.
        selection: its ``training`` cases are written.
        folder: where to.

    Returns:
        The folder.

    Raises:
        WrongRequestError: for a network of overlapping regions, whose label maps do not hold them all.
        UnavailableError: if a scan cannot be read any more.
    """
    manifest, folder = service.manifest, Path(folder)
    if manifest.regions:
        raise WrongRequestError("the network's regions overlap, which label maps do not hold; train it by zoo train")
    for case in selection.training:
        _write_case(service, case, folder)
    description = {
        "name": service.workspace.scans.name,
        "channel_names": {str(number): name for number, name in enumerate(manifest.channels)},
        "labels": {label.name: label.value for label in manifest.labels},
    }
    write_durably(folder / "dataset.json", json.dumps(description, indent=1).encode())
    rows = io.StringIO(newline="")
    csv.writer(rows).writerows((case.id, selection.patient_of[case.id]) for case in selection.training)
    write_durably(folder / "groups.csv", rows.getvalue().encode())
    return folder


def write_plan(selection: Selection, start, path) -> Path | None:
    """The plan of the run that the training starts from, with folds of these cases; None where it has none.

    Args:
        selection: its ``training`` cases are divided, patient by patient.
        start: run folder, or another source of weights.
        path: where to.
    """
    source = Path(start) / "plan.json"
    if not source.is_file():
        return None
    plan = json.loads(source.read_text(encoding="utf-8"))
    patients = sorted({selection.patient_of[case.id] for case in selection.training})
    held = set(patients[: max(1, round(VALIDATION_SHARE * len(patients)))])
    validation = [case.id for case in selection.training if selection.patient_of[case.id] in held]
    others = [case.id for case in selection.training if selection.patient_of[case.id] not in held]
    plan |= {"folds": [validation, others], "images_folder": "images", "labels_folder": "labels", "reasons": {}}
    write_durably(path, json.dumps(plan, indent=1).encode())
    return Path(path)


def _write_case(service, case: Case, folder):
    grid, several = service.grid(case), len(case.files) > 1
    picture = is_picture(grid)
    for number, file in enumerate(case.files):
        suffix = scan_suffix(file)
        name = f"{case.id}_{number:04d}" if several else case.id
        if suffix:
            recipe = service.manifest.recipe
            reader = functools.partial(read, channels=1 if several else recipe.channels, nan=recipe.nan)
            copy_scan(file, folder / "images" / name, reader, _link)
        else:
            scan = service.scan_of(case.files)
            content = image_bytes(scan, IMAGES[0]) if picture else nifti_bytes(scan, compressed=True)
            write_durably(folder / "images" / f"{name}{IMAGES[0] if picture else '.nii.gz'}", content)
    labels: Scan = off_page(service.label(case), grid)
    content = image_bytes(labels, IMAGES[0]) if picture else nifti_bytes(labels, compressed=True)
    write_durably(folder / "labels" / f"{case.id}{IMAGES[0] if picture else '.nii.gz'}", content)


def _link(file, target):
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(file, target)
