"""Labelled cases: the files that belong to one, and what it is called. Every part of the project names cases here."""

import contextlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from imaging.io.dicom.reference import split_reference
from imaging.io.dicom.series import choose, find_series
from imaging.io.dicom.sources import files_of
from imaging.io.files import PAIRS, SUFFIXES, read, write
from imaging.io.volumes.itk_headers import read_header
from imaging.io.volumes.pair import DATA, both_files, pair_names
from medseg.errors import InputError

# Windows refuses these names whatever suffix follows, and these characters in any name.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
_FORBIDDEN = '<>:"|?*'
_SEPARATORS = "-_. "
# What lies in two files, to what holds the same in one.
_ONE_FILE = {".nhdr": ".nrrd", ".mhd": ".mha", **dict.fromkeys(PAIRS, ".nii.gz")}
_LONGEST = 200  # bytes of a name; file systems take 255, of which suffixes and temporary names need some


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case.

    Attributes:
        name: of the case.
        images: one a channel, or one that holds all.
        label: the label file, if it has one.
        instances: the label file holds a number for every object, not a value for every class.
    """

    name: str
    images: tuple[str, ...]
    label: str | None = None
    instances: bool = False


@dataclass(frozen=True)
class Cases:
    """``cases.json`` of a run folder: which cases trained the network and which were held back."""

    training: tuple[CaseFiles, ...]
    validation: tuple[CaseFiles, ...]


def scan_suffix(path) -> str:
    """The scan suffix that a file name ends with, as it is written there (``.nii.gz`` is one); "" if there is none."""
    name = Path(path).name
    ends = [known for known in SUFFIXES if name.lower().endswith(known)]
    return name[len(name) - len(max(ends, key=len)) :] if ends else ""


def is_scan(path) -> bool:
    """Whether a file name is that of a scan: a known suffix, and not hidden as ``._name`` files of macOS are.

    Of a pair of files (.hdr and .img) the header counts.
    """
    suffix = scan_suffix(path)
    return bool(suffix) and suffix.lower() not in DATA and not Path(path).name.startswith(".")


def scans_in(folder) -> list[Path]:
    """The scans of a folder, sorted by name; empty where there is no such folder."""
    folder = Path(folder)
    return sorted(path for path in folder.iterdir() if is_scan(path)) if folder.is_dir() else []


def parts_of(path, strict: bool = True) -> tuple[Path, ...]:
    """The files that a scan lies in: one, header and voxels where these are two, or those of a DICOM series.

    Args:
        path: as for ``imaging.read``.
        strict: raise what is wrong with them; otherwise the file that is named is all that is known then.

    Raises:
        InputError: if a header cannot be read, or what it belongs to is missing.
    """
    kind = scan_suffix(path).lower()
    try:
        if kind in PAIRS:
            return both_files(path)
        if kind in _ONE_FILE:
            return tuple(dict.fromkeys((Path(path), read_header(path, kind).data)))
        place, part = (path, None) if kind else split_reference(path)
        if Path(place).is_dir():
            files = files_of(place) if part is None else choose(find_series(place), part, place).files
            return tuple(sorted({Path(file.path) for file in files}))
    except InputError:
        if strict:
            raise
    return (Path(path) if kind else Path(split_reference(path)[0]),)


def names_of(path) -> set[Path]:
    """The files that a scan of some name lies in, or would be written to, as far as names tell: of a pair both."""
    names = {Path(path)}
    if scan_suffix(path).lower() in PAIRS:
        names.update(pair_names(path))
        with contextlib.suppress(InputError):  # one of them is missing
            names.update(both_files(path))
    return {Path(os.path.realpath(name)) for name in names}  # Path.resolve ends in RuntimeError at a loop of links


def copy_scan(path, stem, reader: Callable = read, copy: Callable = shutil.copyfile) -> None:
    """Copy a scan's file under another name; what lies in two files becomes one, as a header names the other.

    Args:
        path: the file.
        stem: folder and name of the copy, without the suffix.
        reader: function from a path to the ``Scan``, for what lies in two files.
        copy: function of file and copy, for all else.

    Raises:
        InputError: if a scan of two files cannot be read or written.
    """
    kind = scan_suffix(path)
    if kind.lower() in _ONE_FILE:
        write(f"{stem}{_ONE_FILE[kind.lower()]}", reader(path))
    else:
        copy(path, f"{stem}{kind}")


def case_name(path) -> str:
    """What the case of a scan is called: its file name without the scan suffix.

    Only a known suffix is cut, so ``pat.01.tif`` is ``pat.01``. Letters that Unicode can write in two ways get one
    spelling (NFC), since macOS stores the other and names would not pair.
    """
    suffix = scan_suffix(path)
    name = Path(path).name
    return unicodedata.normalize("NFC", name[: len(name) - len(suffix)])


def case_and_channel(path) -> tuple[str, int | None]:
    """Case name and channel number of ``case_0000.nii.gz`` (nnU-Net's naming); otherwise its name and None."""
    name = case_name(path)
    match = re.fullmatch(r"(.+)_(\d{4})", name, re.ASCII)
    return (match[1], int(match[2])) if match else (name, None)


def check_case_name(name: str, where="case") -> None:
    """Require a name that can become a file or a folder on every system, in the folder that it is meant for.

    Args:
        name: of a case.
        where: what names it, for the message: a file, or a place in one.

    Raises:
        InputError: if it is empty, too long or a name of dots alone, holds a separator, a control character or one that
            Windows forbids, is not Unicode, or is a device of Windows.
    """
    mend = "rename the case"
    shown = ascii(name)
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise InputError(f"{where}: the case name {shown} is not Unicode text; {mend}") from None
    if not name.strip(". "):
        raise InputError(f"{where}: expected a case name, got {shown}; {mend}")
    if size > _LONGEST:
        raise InputError(
            f"{where}: the case name {shown[:40]}... has {size} bytes, expected at most {_LONGEST}; {mend}"
        )
    if "/" in name or "\\" in name:
        raise InputError(f"{where}: the case name {shown} holds a path separator; expected a plain name, {mend}")
    strange = [letter for letter in name if letter in _FORBIDDEN or unicodedata.category(letter) == "Cc"]
    if strange:
        raise InputError(f"{where}: the case name {shown} holds {strange[0]!a}, which no file name may; {mend}")
    if name.split(".")[0].strip().upper() in _DEVICES:
        raise InputError(f"{where}: the case name {shown} is a device on Windows; {mend}")


def name_clashes(named: Iterable[tuple[str, Path | str]]) -> tuple[str, ...]:
    """Names that more than one file has, a line each that names both files.

    Names that differ in capitals alone clash too: Windows and macOS would write both to one file.

    Args:
        named: case name and file, one pair a case.
    """
    seen, lines = {}, []
    for name, path in named:
        key = unicodedata.normalize("NFC", name).casefold()
        if key not in seen:
            seen[key] = (name, path)
            continue
        first, place = seen[key]
        if first == name:
            lines.append(f"{place} and {path}: both are case {name!r}; rename one")
        else:
            lines.append(
                f"{place} and {path}: the case names {first!r} and {name!r} differ in capitals alone; rename one"
            )
    return tuple(lines)


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Scans by case name, in the order given.

    Raises:
        InputError: if two have one name, or a name cannot be that of a file everywhere.
    """
    paths = list(paths)
    clashes = name_clashes((case_name(path), path) for path in paths)
    if clashes:
        raise InputError(clashes[0])
    for path in paths:
        check_case_name(case_name(path), path)
    return {case_name(path): path for path in paths}


def owner(label: str, images: Collection[str]) -> str | None:
    """The image that a label file belongs to, by their case names.

    It is the image of equal name, else the longest name that the label's begins with before a separator, whatever words
    follow (``001_HC_Mask`` belongs to ``001_HC``). A lone number is no such word: ``scan_2`` is another case than
    ``scan``.

    Args:
        label: name of the label file, from ``case_name``.
        images: names of the images, from ``case_name``; a set or a dictionary where there are many.

    Returns:
        One of ``images``, or None.
    """
    if label in images:
        return label
    for end in range(len(label) - 1, 0, -1):
        if label[end] in _SEPARATORS and label[:end] in images:
            words = re.split(f"[{_SEPARATORS}]+", label[end:])
            return None if any(word.isdecimal() for word in words) else label[:end]
    return None
