"""What a dataset folder lists, and the parts of ``dataset.json`` that all layouts share."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from imaging.labels import Label, Region
from medseg.errors import InputError
from medseg.untrusted import read_json, shown

DESCRIPTION = "dataset.json"


@dataclass(frozen=True)
class Choices:
    """What the user says about a dataset folder.

    Attributes:
        images_folder: folder of images in the plain layout, or None.
        labels_folder: folder of labels in the plain layout, or None.
        labels: the classes, where they are known already, so that label files need not be read for them.
        follow_paths: whether listed paths may lead out of the folder.
        instances: whether label files hold a number for every object of one class.
    """

    images_folder: str | None = None
    labels_folder: str | None = None
    labels: tuple[Label, ...] | None = None
    follow_paths: bool = False
    instances: bool = False


@dataclass(frozen=True)
class Entry:
    """Files of one case, the fold that the dataset's author put it in, and a key of the patient, if any is known."""

    name: str
    images: tuple[Path, ...]
    label: Path | None
    fold: int | None = None
    patient: int | None = None


@dataclass(frozen=True)
class Classes:
    """What the values in label files mean.

    Attributes:
        labels: classes in order of class index, background first. With regions, the values that they are made of.
        ignore: value of voxels that nobody has labelled, or None.
        regions: overlapping structures in the order of ``regions_class_order``, or none.
        instances: label files number objects of the one class.
    """

    labels: tuple[Label, ...]
    ignore: int | None = None
    regions: tuple[Region, ...] = ()
    instances: bool = False


@dataclass(frozen=True)
class Listing:
    """What a dataset folder lists, and every problem found on the way."""

    name: str
    folder: Path
    layout: str
    entries: tuple[Entry, ...]
    classes: Classes
    channels: tuple[str, ...]
    images_folder: str = "images"
    labels_folder: str = "labels"
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def description_of(folder: Path) -> dict:
    """``dataset.json`` of a folder, or a MONAI datalist by another name; empty where there is neither.

    Raises:
        InputError: if ``dataset.json`` is no JSON object.
    """
    path = description_file(folder)
    if path is None:
        return {}
    if path.name != DESCRIPTION:
        return _datalist(path)
    description = read_json(path, "dataset")
    if not isinstance(description, dict):
        raise InputError(f"{path}: expected an object with 'labels', got a {type(description).__name__}")
    return description


def description_file(folder: Path) -> Path | None:
    """The file that describes a folder: ``dataset.json``, else the only JSON file in it; or None."""
    path = folder / DESCRIPTION
    if path.exists():
        return path
    files = [file for file in folder.glob("*.json") if not file.name.startswith(".")]
    return files[0] if len(files) == 1 else None


def _datalist(path) -> dict:
    """What a JSON file of another name says, if that is a list of cases."""
    try:
        description = read_json(path, "dataset")
    except InputError:
        return {}
    listed = description.get("training") if isinstance(description, dict) else None
    return description if isinstance(listed, list) else {}


def dataset_name(description: dict, folder: Path) -> str:
    """The dataset's ``name``, else that of its folder."""
    name = description.get("name")
    return name if isinstance(name, str) and name.strip() and name.isprintable() else folder.resolve().name


def channels_of(description: dict, path: Path) -> tuple[str, ...] | None:
    """Channel names of a ``dataset.json``: ``channel_names`` (nnU-Net) or ``modality`` (MSD); None if it has neither.

    Both are an object of index and name, either way round, a list of names, or one name.

    Raises:
        InputError: if they are something else.
    """
    key = next((key for key in ("channel_names", "modality") if description.get(key)), None)
    if key is None:
        return None
    given = description[key]
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        return tuple(given)
    pairs = list(given.items()) if isinstance(given, dict) else []
    if pairs and all(whole(index) is not None for index, _ in pairs):
        return tuple(str(name) for _, name in sorted(pairs, key=lambda pair: whole(pair[0])))
    if pairs and all(whole(index) is not None for _, index in pairs):
        return tuple(name for name, _ in sorted(pairs, key=lambda pair: whole(pair[1])))
    raise InputError(f"{path}: expected {key!r} to be an object such as {{'0': 'MRI'}}, got {shown(given)}")


def whole(value) -> int | None:
    """A whole number from 0, whether JSON holds it as number or text; None for anything else."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9 or value != int(value):
        return None
    return int(value)


def listed_path(folder: Path, text, follow: bool = False) -> Path:
    """The file that a path in ``dataset.json`` names.

    A link inside the folder may lead anywhere: the user made it. Windows' separators, and letters with accents in the
    spelling of macOS, find the file as well.

    Args:
        folder: that the path starts from.
        text: what the file says, of whatever type.
        follow: whether it may lead out of the folder.

    Returns:
        The path; whether there is a file is another question.

    Raises:
        InputError: if it is no path, or leads out of the folder.
    """
    if not isinstance(text, str) or not text.strip() or not _writable(text):
        raise InputError(f"expected the path of a file, got {shown(text)}")
    spellings = [text, *([text.replace("\\", "/")] if "\\" in text else [])]
    for spelling in spellings:
        normal = os.path.normpath(spelling)
        if not follow and (
            os.path.isabs(normal) or PureWindowsPath(text).drive or normal.split(os.sep)[0] == os.pardir
        ):
            raise InputError(
                f"{shown(text)} leads out of the dataset's folder; expected a path inside it, or allow it by "
                "--follow-paths"
            )
    forms = [unicodedata.normalize(form, spelling) for spelling in spellings for form in ("NFC", "NFD")]
    paths = [folder / os.path.normpath(spelling) for spelling in (*spellings, *forms)]
    return next((path for path in paths if os.path.isfile(path)), paths[0])


def _writable(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not any(unicodedata.category(letter) == "Cc" for letter in text)


def all_exist(paths, where: str, problems: list[str]) -> bool:
    """Whether all files are there; those that are not are added to ``problems``."""
    missing = [path for path in paths if not os.path.isfile(path)]
    problems.extend(f"{where}: {path} is missing" for path in missing)
    return not missing
