"""What a dataset folder lists, and the parts of ``dataset.json`` that all layouts share."""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path

from imaging.labels import Label
from medseg.errors import InputError

IGNORE = "ignore"  # nnU-Net v2's name for voxels that nobody has labelled
SUFFIXES = (".nii.gz", ".nii", ".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class Entry:
    """Files of one case."""

    name: str
    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True)
class Listing:
    """What a dataset folder lists, and every problem found on the way."""

    name: str
    folder: Path
    layout: str
    entries: tuple[Entry, ...]
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    labels_folder: str = "labels"
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    ignore: int | None = None


def stem(path: Path) -> str:
    """File name without its image suffix (``.nii.gz`` counts as one)."""
    name = path.name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def description_of(folder: Path) -> dict:
    """``dataset.json`` of a folder, empty when there is none."""
    path = folder / "dataset.json"
    if not path.exists():
        return {}
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(description, dict):
        raise InputError(f"{path}: found a {type(description).__name__}, an object with 'labels' is accepted")
    return description


def images_in(folder: Path) -> list[Path]:
    """Image files in a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES) and not p.name.startswith("."))


def labels_of(description: dict, path: Path) -> tuple[Label, ...]:
    """Classes of a ``dataset.json``: ``{"0": "background"}`` (MSD) or ``{"background": 0}`` (nnU-Net).

    "ignore" is none of them, see ``ignored_value``.
    """
    found = description.get("labels")
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"{path}: 'labels' is {found!r}; accepted is an object such as {{'background': 0, 'tumour': 1}}"
        )
    labels = []
    for key, value in found.items():
        if isinstance(value, list):
            raise InputError(f"{path}: label {key!r} is a region of values {value}; one value per label is accepted")
        name, number = (value, key) if re.fullmatch(r"\d+", str(key)) else (key, value)
        if not re.fullmatch(r"\d+", str(number)):
            raise InputError(f"{path}: label {key!r} has value {value!r}; a whole number from 0 is accepted")
        labels.append(Label(str(name), int(number)))
    labels.sort(key=lambda label: label.value)
    if labels[0].value != 0:
        labels.insert(0, Label("background", 0))
    if labels[0].name == IGNORE:
        raise InputError(f"{path}: label {IGNORE!r} has value 0, which is the background's; give it another")
    for a, b in itertools.pairwise(labels):
        if a.value == b.value:
            raise InputError(f"{path}: labels {a.name!r} and {b.name!r} share the value {a.value}; give each its own")
    labels = [label for label in labels if label.name != IGNORE]
    if len(labels) < 2:
        raise InputError(f"{path}: only the background is listed in 'labels'; add the structures to segment")
    return tuple(labels)


def ignored_value(description: dict) -> int | None:
    """The value of voxels that nobody has labelled, which nnU-Net v2 calls "ignore"; None if there is none.

    Args:
        description: a ``dataset.json`` whose labels ``labels_of`` has accepted.
    """
    labels = description.get("labels")
    for key, value in labels.items() if isinstance(labels, dict) else ():
        if IGNORE in (key, value):
            return int(value if key == IGNORE else key)
    return None


def channels_of(description: dict, path: Path) -> tuple[str, ...]:
    """Channel names of a ``dataset.json``: ``channel_names`` (nnU-Net) or ``modality`` (MSD)."""
    names = description.get("channel_names") or description.get("modality") or {"0": "image"}
    if not isinstance(names, dict):
        raise InputError(f"{path}: channel names are {names!r}; accepted is an object such as {{'0': 'MRI'}}")
    try:
        return tuple(str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0])))
    except ValueError:
        raise InputError(f"{path}: channel names {names!r}: the keys must be 0, 1, ...") from None


def all_exist(paths, where: str, problems: list[str]) -> bool:
    """Whether all files are there; those that are not are added to ``problems``."""
    missing = [path for path in paths if not path.is_file()]
    problems.extend(f"{where}: {path} is missing" for path in missing)
    return not missing
