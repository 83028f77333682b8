"""Which files a folder, a zip, a DICOMDIR or a path stands for."""

import itertools
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from imaging.io.dicom.dataset import HEAD, DicomFile, decoding, looks_like_dicom, open_dataset
from medseg.archives import check_zip
from medseg.errors import InputError
from medseg.untrusted import check_regular

DICOMDIR = "dicomdir"
ZIP = ".zip"
MAX_FILES = 100_000


def files_of(source, most: int | None = None) -> tuple[DicomFile, ...]:
    """The files that may belong to a series, sorted by name.

    Args:
        source: a folder, of which sub-folders are looked into too, a zip, a DICOMDIR, a file, or a sequence of these.
        most: stop after so many files of a folder.

    Returns:
        Files that begin as DICOM files do. A file that was named itself is returned whatever it is.

    Raises:
        InputError: if there is no such place, or too many files.
    """
    if not isinstance(source, str | os.PathLike):
        return tuple(file for part in source for file in files_of(part))
    path = Path(source)
    if path.is_dir():
        return tuple(itertools.islice(_only_dicom(_walk(path)), most))
    if path.name.lower() == DICOMDIR:
        return tuple(_directory(path))
    if path.suffix.lower() == ZIP:
        return tuple(_only_dicom(_members(path)))
    return (DicomFile(path),)


def _walk(folder):
    count = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if name.startswith(".") or name.lower() == DICOMDIR or not path.is_file():
                continue
            count += 1
            if count > MAX_FILES:
                raise InputError(f"{folder}: holds more than {MAX_FILES} files; give the folder of one study")
            yield DicomFile(path)


def _members(path):
    try:
        check_regular(path)
        archive = zipfile.ZipFile(path)  # closed with the last of its members
        check_zip(archive, path)
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a zip of DICOM files") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as zip, it is damaged ({error}); copy it again") from None
    if len(names) > MAX_FILES:
        raise InputError(f"{path}: holds more than {MAX_FILES} files; give a zip of one study")
    for name in names:
        last = name.rsplit("/", 1)[-1]
        if not last.startswith(".") and last.lower() != DICOMDIR:
            yield DicomFile(path, name, archive)


def _directory(path):
    """The files that a DICOMDIR refers to; those that are not there are left to the check for missing slices."""
    dataset = open_dataset(DicomFile(path))
    with decoding(path):
        names = [record.get("ReferencedFileID") for record in dataset.get("DirectoryRecordSequence") or ()]
    folder = Path(os.path.realpath(path.parent))
    files = []
    for parts in names:
        if not parts:
            continue
        parts = [parts] if isinstance(parts, str) else [str(part) for part in parts]
        file = Path(os.path.realpath(folder.joinpath(*parts)))
        if not file.is_relative_to(folder):
            raise InputError(f"{path}: refers to a file out of its folder; expected paths inside it")
        if file.is_file():
            files.append(DicomFile(file))
    if not files:
        raise InputError(f"{path}: none of the files that it refers to is there; copy the whole medium")
    return files


def _only_dicom(files: Iterable[DicomFile]):
    return (file for file in files if looks_like_dicom(file.content(HEAD)))
