"""Which scans a command line names, and where their segmentations go."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.io.cases import case_and_channel, case_name, check_case_name, name_clashes, names_of, scans_in
from imaging.io.dicom.reference import SUFFIXES as DICOM_SUFFIXES
from imaging.io.dicom.reference import dicom_reference, is_dicom, split_reference
from imaging.io.dicom.sources import files_of
from imaging.io.files import SUFFIXES, TIFF, VOLUMES, suffix
from medseg.errors import InputError, UsageError

DICOM = ".dcm"


@dataclass(frozen=True)
class Case:
    """A scan to segment: its files, one or one per channel, and the file its segmentation goes to."""

    scan: tuple[Path, ...]
    output: Path

    @property
    def name(self) -> str:
        """The scan's files as the user would write them."""
        return ",".join(str(path) for path in self.scan)


def find_cases(
    scans: Sequence[str], output: str, channels: int, rank: int = 3, series: str | None = None
) -> tuple[Case, ...]:
    """The scans that are named and where each result goes.

    Args:
        scans: each a file, the files of the channels joined by commas, or a folder. In a folder where all files are
            named ``case_0000.ext``, ``case_0001.ext``, ... these are the channels of one case (nnU-Net's naming). A
            folder of DICOM files is one scan, a series; each of its files is one where the network is 2D.
        output: a file if ``scans`` is one scan, else a folder; for one scan a folder will do too. A name with the
            suffix of a scan is a file, one without a suffix or with a separator at its end a folder.
        channels: channels that the network takes.
        rank: spatial axes of the scans that it takes.
        series: of DICOM folders, number in the list of their series or Series Instance UID.

    Returns:
        A case per scan. In a folder, an output has the name of its case and the format of its scan; flat images become
        PNG, a DICOM series NIfTI.

    Raises:
        InputError: if a folder holds no scan, a channel is missing, or the output cannot be written.
        UsageError: if two outputs would have the same name, or an output is one of the inputs.
    """
    named_files: list = []
    for given in scans if series is None else [_with_series(given, series) for given in scans]:
        if is_series(given, rank):
            named_files.append(((Path(given),), _series_output(given)))
        elif Path(given).is_dir():
            named_files += [(files, _output_name(files[0], name, rank)) for name, files in scans_of(given, channels)]
        else:
            named_files.append(_named(given, rank))
    into = Path(output)
    several = len(scans) > 1 or (series is None and Path(scans[0]).is_dir() and not is_series(scans[0], rank))
    if several or _is_folder(output):
        if into.is_file() or (several and not _is_folder(output) and output.lower().endswith(SUFFIXES)):
            raise UsageError(f"--out {output}: is a file; {len(named_files)} scans need a folder")
        cases = tuple(Case(files, into / name) for files, name in named_files)
    else:
        kind = DICOM if into.name.lower().endswith(DICOM) else suffix(into)
        if kind in (".jpg", ".jpeg"):
            raise UsageError(f"--out {output}: JPEG alters values; use .png, .tif or .nii.gz")
        cases = (Case(named_files[0][0], into),)
    check_outputs(cases)
    return cases


def _with_series(given, series):
    if not is_dicom(given):
        raise UsageError(f"--series {series}: of DICOM; {given} is none")
    return str(dicom_reference(given, series))


def is_series(given, rank: int = 3) -> bool:
    """Whether a scan that is named is a DICOM series: a folder without scans of other kinds, ``folder#UID``, a zip.

    Args:
        given: as the user names it.
        rank: spatial axes that the network takes; for a 2D one a folder holds scans, a DICOM file each.

    Raises:
        InputError: if a folder holds scans of both kinds.
    """
    path = Path(given)
    if not path.is_dir():
        return is_dicom(given) and not path.is_file()
    dicom = next(iter(files_of(path, 1)), None)
    scans = scans_in(path)
    if dicom is not None and scans:
        raise InputError(
            f"{path}: holds DICOM files and {scans[0].name}; give a folder of one kind, or name the scans one by one"
        )
    return dicom is not None and rank == 3


def _series_output(given):
    place, series = split_reference(given)
    name = Path(place).resolve().name + (f"-{series}" if series else "")
    check_case_name(name, given)
    return name + ".nii.gz"


def _is_folder(output):
    """Whether a name is a folder's, of one that exists or of one to be made."""
    path = Path(output)
    return path.is_dir() or output.endswith(os.sep) or (not path.suffix and not path.is_file())


def _named(given, rank):
    """One scan given by its file, or its files joined by commas."""
    files = tuple(Path(part) for part in given.split(",")) if not Path(given).is_file() else (Path(given),)
    for file in files:
        if not file.is_file() and not is_dicom(file):
            raise InputError(f"{file}: no such file; give a scan ({', '.join(SUFFIXES)}) or a folder of scans")
    name = case_and_channel(files[0])[0] if len(files) > 1 else case_name(files[0])
    return files, _output_name(files[0], name, rank)


def scans_of(folder, channels: int) -> tuple[tuple[str, tuple[Path, ...]], ...]:
    """All scans of a folder, in order of their names: case name and files of each.

    Args:
        folder: where they lie. If all files are named ``case_0000.ext``, ``case_0001.ext``, ... these are the channels
            of one case (nnU-Net's naming).
        channels: channels that the network takes.

    Raises:
        InputError: if there is none, or a channel is missing.
    """
    folder = Path(folder)
    files = scans_in(folder)
    if not files and (images := [file.path for file in files_of(folder)]):
        return tuple((name, (file,)) for name, file in by_dicom_name(images).items())
    if not files:
        raise InputError(f"{folder}: holds no scan; expected files of type {', '.join(SUFFIXES)} or DICOM")
    grouped = {}
    for file in files:
        name, number = case_and_channel(file)
        parts = grouped.setdefault(name, {})
        if number is not None and number in parts:
            raise InputError(f"{parts[number]} and {file}: both are channel {number:04d} of case {name}; take one away")
        parts[number] = file
    if all(set(parts) == set(range(channels)) for parts in grouped.values()) or all(
        set(parts) == {0} for parts in grouped.values()
    ):
        return tuple((name, tuple(f for _, f in sorted(parts.items()))) for name, parts in grouped.items())
    if channels > 1 and all(None not in parts and parts.keys() & range(channels) for parts in grouped.values()):
        name, parts = next((n, p) for n, p in grouped.items() if set(p) != set(range(channels)))
        present = ", ".join(f"{number:04d}" for number in sorted(parts))
        raise InputError(f"{folder}: case {name} has channels {present}; expected 0000 to {channels - 1:04d}, all")
    return tuple((case_name(file), (file,)) for file in files)


def by_dicom_name(files: Sequence[Path]) -> dict[str, Path]:
    """DICOM files by case name: that of the file, without ``.dcm``.

    Raises:
        InputError: if two have one name, or a name cannot be that of a file everywhere.
    """
    named = [(_dicom_name(file), file) for file in files]
    clashes = name_clashes(named)
    if clashes:
        raise InputError(clashes[0])
    for name, file in named:
        check_case_name(name, file)
    return dict(named)


def _dicom_name(file):
    name = Path(file).name
    return name[: -len(Path(name).suffix)] if name.lower().endswith((*DICOM_SUFFIXES, ".zip")) else name


def _output_name(file, name, rank):
    if not str(file).lower().endswith(SUFFIXES) and is_dicom(file):
        name = _series_output(file)[: -len(".nii.gz")] if not Path(file).is_file() else _dicom_name(file)
        check_case_name(name, file)
        return name + ".nii.gz"
    kind = suffix(file)
    check_case_name(name, file)
    kept = kind in VOLUMES or (kind in TIFF and rank == 3)
    return name + (kind if kept else ".png")


def case_of_series(given, folder) -> Case:
    """The case of a DICOM series, ``folder`` or ``folder#part``, whose result goes into another folder.

    Raises:
        InputError: if its name cannot be that of a file everywhere.
    """
    return Case((Path(given),), Path(folder) / _series_output(given))


def check_outputs(cases: Sequence[Case]) -> None:
    """Require outputs that differ, are no inputs and can be written.

    Raises:
        InputError, UsageError: naming the output.
    """
    inputs = {name for case in cases for path in case.scan for name in names_of(path)}
    seen = {}
    for case in cases:
        place = case.output.resolve()
        if not inputs.isdisjoint(names_of(case.output)):
            raise UsageError(f"--out {case.output}: is an input and would be overwritten; choose another place")
        key = str(place).casefold()  # where capitals do not count, the second would overwrite the first
        if key in seen:
            raise UsageError(f"{seen[key]} and {case.name}: both would be written to {case.output}; rename one")
        if case.output.is_dir():
            raise UsageError(f"--out {case.output}: is a folder; choose another name")
        seen[key] = case.name
        _check_writable(case.output)


def _check_writable(output):
    """Before the work, not after it; what this misses the writing itself reports."""
    above = output.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = "may not be written to" if above.is_dir() else "is not a folder"
        raise InputError(f"--out {output}: cannot be written, {above} {reason}; choose another place")
