"""A mended copy of a dataset: what was found is taken out, filled or exchanged; the original stays as it is."""

import functools
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import imaging
from imaging.io.cases import copy_scan
from imaging.io.files import NIFTI, suffix
from imaging.measure.components import fill_holes, label_components
from medseg.atomic import temporary_folder
from medseg.errors import InputError, UsageError
from medseg.progress import track
from train.evaluation.reference import read_reference
from train.inspect.findings import ISLAND, Finding

LEFT_OUT = ("unreadable", "duplicate", "near_duplicate", "far", "size", "spacing", "intensity", "empty")
CHANGED = ("island", "hole", "mirrored")


def mend(
    dataset, suspicious: Sequence[Finding], out, kinds: Collection[str], progress: bool = False
) -> dict[str, list[str]]:
    """Write a copy of a dataset, in the plain layout, in which findings of some kinds are mended.

    Islands become background, holes become the class around them, exchanged sides are exchanged; cases of all other
    kinds are left out.

    Args:
        dataset: a ``train.data.dataset.Dataset`` of classes.
        suspicious: of ``train.inspect.findings.findings``.
        out: the folder to make.
        kinds: which kinds are mended.
        progress: show a bar.

    Returns:
        "left_out" and "changed": names of cases.

    Raises:
        UsageError: for kinds that there are not, or a dataset whose labels number objects or hold regions.
        InputError: if ``out`` exists, nothing of these kinds was found, or a file cannot be read or written.
    """
    out = Path(out)
    unknown = sorted(set(kinds) - {*LEFT_OUT, *CHANGED})
    if unknown:
        raise UsageError(f"--only {unknown[0]}: expected some of {', '.join((*CHANGED, *LEFT_OUT))}")
    if dataset.instances or dataset.regions:
        raise UsageError(f"{dataset.folder}: labels of objects or regions are not mended; correct the files")
    folders = [path for case in dataset.cases for path in case.images if not Path(path).is_file()]
    if folders:
        raise UsageError(f"{folders[0]}: is a DICOM series; mend the series and objects themselves, or convert them")
    if out.exists():
        raise InputError(f"--mend {out}: exists; give the name of a folder that is not there")
    if not any(finding.kind in kinds for finding in suspicious):
        raise InputError(f"{dataset.folder}: nothing was found of {', '.join(sorted(kinds))}; there is nothing to mend")
    leaving = {finding.case for finding in suspicious if finding.kind in kinds and finding.kind in LEFT_OUT}
    of_case = {}
    for finding in suspicious:
        if finding.kind in kinds and finding.kind in CHANGED:
            of_case.setdefault(finding.case, []).append(finding)
    cases = [case for case in dataset.cases if case.label is not None and case.name not in leaving]
    if not cases:
        raise InputError(f"{dataset.folder}: nothing is left once {len(leaving)} cases are taken out")
    with temporary_folder(out) as temporary:
        for case in track(cases, "mend", len(cases), progress):
            _write_case(case, dataset, of_case.get(case.name, ()), temporary)
        described = {
            "name": dataset.name,
            "modality": {str(c): name for c, name in enumerate(dataset.channels)},
            "labels": {label.name: label.value for label in dataset.labels},
        }
        if dataset.ignore is not None:
            described["labels"]["ignore"] = dataset.ignore
        (temporary / "dataset.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(out)
    return {"left_out": sorted(leaving), "changed": sorted(set(of_case) - leaving)}


def _write_case(case, dataset, suspicious, folder):
    (folder / "images").mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    for number, image in enumerate(case.images):
        channel = f"_{number:04d}" if len(case.images) > 1 else ""
        count = len(dataset.channels) if len(case.images) == 1 else 1
        copy_scan(image, folder / "images" / f"{case.name}{channel}", functools.partial(imaging.read, channels=count))
    if not suspicious:
        copy_scan(case.label, folder / "labels" / case.name, imaging.read_labels)
        return
    reference = read_reference(case, dataset.labels, dataset.ignore)
    indices = mended(reference.voxels[..., 0], suspicious, [label.name for label in dataset.labels])
    values = np.array([label.value for label in dataset.labels] + [dataset.ignore or 0], np.int32)
    kind = suffix(case.label)
    kind = kind if kind in NIFTI or kind in (".png", ".tif", ".tiff") else ".nii.gz"
    imaging.write(folder / "labels" / f"{case.name}{kind}", replace(reference, voxels=values[indices][..., None]))


def mended(indices: np.ndarray, suspicious: Sequence[Finding], names: Sequence[str]) -> np.ndarray:
    """Class indices (*spatial) in which findings of ``CHANGED`` are mended.

    Args:
        indices: as read.
        suspicious: of this case.
        names: of the classes, background first.
    """
    result = np.array(indices)
    number = {name: index for index, name in enumerate(names)}
    for finding in suspicious:
        if finding.kind == "island":
            parts, counts = label_components(result == number[finding.of[0]])
            result[np.isin(parts, np.flatnonzero((counts > 0) & (counts < ISLAND * counts.max())))] = 0
        elif finding.kind == "hole":
            index = number[finding.of[0]]
            result[fill_holes(result == index) & (result == 0)] = index
        else:
            a, b = (result == number[name] for name in finding.of)
            result[a], result[b] = number[finding.of[1]], number[finding.of[0]]
    return result
