"""The cases of a cohort: files of a folder, or the volumes of each DICOM study in it."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge.cases import Case, case_of_series, check_outputs, find_cases
from imaging.io.cases import scans_in
from imaging.io.dicom.reference import ZIP, dicom_reference
from imaging.io.dicom.series import find_series
from imaging.io.dicom.sources import files_of
from medseg.errors import InputError
from medseg.progress import track


@dataclass(frozen=True)
class Cohort:
    """What a folder holds.

    Attributes:
        cases: what is to be segmented.
        faults: name and reason of what cannot be.
    """

    cases: tuple[Case, ...]
    faults: tuple[tuple[str, str], ...] = ()


def list_cohort(folder, out, channels: int, rank: int) -> Cohort:
    """The cases of a cohort, and where the result of each goes.

    Args:
        folder: of scans, as for ``find_cases``; or of DICOM, where each sub-folder or zip is a study, and each of its
            volumes a case.
        out: folder of the results.
        channels: that the network takes.
        rank: spatial axes that it takes.

    Raises:
        InputError: if it holds no case, or cases of both kinds.
    """
    folder, place = Path(folder), os.path.join(out, "")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a cohort is a folder of scans or of DICOM studies")
    scans, dicom = scans_in(folder), next(iter(files_of(folder, 1)), None)
    if scans and dicom:
        raise InputError(f"{folder}: holds {scans[0].name} and DICOM files; give a folder of one kind")
    if scans or (dicom is None and not any(folder.glob(f"*{ZIP}"))) or rank == 2:
        return Cohort(find_cases([str(folder)], place, channels, rank))
    cases: list[Case] = []
    faults = []
    for study in track(_studies(folder), "studies"):
        try:
            cases += [case_of_series(part, place) for part in _volumes(study)]
        except InputError as error:
            faults.append((str(study), str(error).partition("\n")[0]))
    check_outputs(cases)
    return Cohort(tuple(cases), tuple(faults))


def _studies(folder) -> list[Path]:
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    inside = [path for path in entries if path.is_dir() or path.name.lower().endswith(ZIP)]
    if not inside:
        return [folder]
    beside = [path for path in entries if path not in inside and path.name.lower() != "dicomdir"]
    if beside and files_of(beside):
        raise InputError(f"{folder}: holds {beside[0].name} beside folders; put the files of each study into one")
    return inside


def _volumes(study) -> list[Path]:
    """What names each volume of a study."""
    series = find_series(study)
    volumes = [n for n, each in enumerate(series, 1) if not each.localizer and len(each.frames) > 1]
    if not volumes:
        raise InputError(f"{study}: holds no volume")
    return [study] if len(volumes) == 1 else [dicom_reference(study, str(number)) for number in volumes]
