"""The classes that a ``dataset.json`` gives: labels, the ignored value and regions; or those that label files hold."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import imaging
from imaging.labels import Label, Region
from medseg.errors import InputError
from medseg.untrusted import shown
from train.data.dataset_json import Entry, whole

IGNORE = "ignore"  # nnU-Net v2's name for voxels that nobody has labelled
BACKGROUND = "background"
MAX_CLASSES = 64  # more distinct values than this is a lossy or grey-scale mask, not a label file


@dataclass(frozen=True)
class Classes:
    """What the values in label files mean.

    Attributes:
        labels: classes in order of class index, background first. With regions, the values that they are made of.
        ignore: value of voxels that nobody has labelled, or None.
        regions: overlapping structures in the order of ``regions_class_order``, or none.
    """

    labels: tuple[Label, ...]
    ignore: int | None = None
    regions: tuple[Region, ...] = ()


def classes_of(description: dict, path: Path) -> Classes:
    """Classes of a ``dataset.json``.

    ``labels`` is ``{"0": "background"}`` (MSD), ``{"background": 0}`` (nnU-Net), a list of names, or, for regions,
    ``{"background": 0, "whole": [1, 2], "core": [2]}`` with ``regions_class_order``. "ignore" is no class.

    Raises:
        InputError: if it is none of these or makes no sense.
    """
    values_of = _values(description.get("labels"), path)
    ignored = values_of.pop(IGNORE, None)
    if ignored is not None and len(ignored) > 1:
        raise InputError(f"{path}: label {IGNORE!r} has the values {list(ignored)}; expected one")
    if ignored == (0,):
        raise InputError(f"{path}: label {IGNORE!r} has value 0, which is the background's; give it another")
    regions = ()
    if any(len(values) > 1 for values in values_of.values()):
        regions = _regions(values_of, description.get("regions_class_order"), path)
        labels = _parts(regions)
    else:
        labels = sorted((Label(name, value) for name, (value,) in values_of.items()), key=lambda label: label.value)
    if not labels or labels[0].value != 0:
        labels.insert(0, Label(BACKGROUND, 0))
    everything = [*labels, *(Label(IGNORE, value) for value in ignored or ())]
    for a, b in itertools.pairwise(sorted(everything, key=lambda label: label.value)):
        if a.value == b.value:
            raise InputError(f"{path}: labels {a.name!r} and {b.name!r} share the value {a.value}; give each its own")
    if len(labels) < 2:
        raise InputError(f"{path}: only the background is listed in 'labels'; add the structures to segment")
    return Classes(tuple(labels), ignored[0] if ignored else None, regions)


def _values(given, path) -> dict[str, tuple[int, ...]]:
    """Label name to its values, whichever way round ``labels`` is written."""
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        given = {str(index): name for index, name in enumerate(given)}
    if not isinstance(given, dict) or not given:
        raise InputError(
            f"{path}: expected 'labels' to be an object such as {{'background': 0, 'tumour': 1}}, got {shown(given)}"
        )
    # Where every key is a number they are the values, unless all that they lead to are numbers too.
    by_value = all(whole(key) is not None for key in given) and any(whole(value) is None for value in given.values())
    values_of = {}
    for key, value in given.items():
        if isinstance(value, list):
            name, values = key, tuple(dict.fromkeys(whole(part) for part in value))
        elif not by_value and whole(value) is not None:
            name, values = key, (whole(value),)
        else:
            name, values = value, (whole(key),)
        if not values or None in values or not isinstance(name, str):
            raise InputError(
                f"{path}: label {shown(key)} has value {shown(value)}; expected a whole number from 0, or a list of "
                "them for a region"
            )
        if not name.strip() or not name.isprintable():
            raise InputError(f"{path}: label {shown(name)} is no name; expected text")
        if name in values_of:
            raise InputError(f"{path}: two labels are called {name!r}; give each its own name")
        values_of[name] = values
    return values_of


def _regions(values_of, order, path) -> tuple[Region, ...]:
    structures = {name: values for name, values in values_of.items() if values != (0,)}
    if not isinstance(order, list) or len(order) != len(structures) or None in [whole(value) for value in order]:
        raise InputError(
            f"{path}: expected 'regions_class_order' to be a list of {len(structures)} values, one for each of the "
            f"regions {', '.join(structures)}, got {shown(order)}"
        )
    known = {value for values in structures.values() for value in values}
    regions = []
    for (name, values), written in zip(structures.items(), map(whole, order), strict=True):
        if 0 in values:
            raise InputError(f"{path}: region {name!r} holds value 0, which is the background's; leave it out")
        if written not in known:
            raise InputError(
                f"{path}: 'regions_class_order' writes {written} for region {name!r}; expected a value of the regions, "
                f"{', '.join(map(str, sorted(known)))}"
            )
        regions.append(Region(name, values, written))
    return tuple(regions)


def _parts(regions) -> list[Label]:
    """The values that regions are made of, called after a region of that value alone if there is one."""
    alone = {region.values[0]: region.name for region in regions if len(region.values) == 1}
    values = sorted({value for region in regions for value in region.values})
    return [Label(BACKGROUND, 0), *(Label(alone.get(value, f"class_{value}"), value) for value in values)]


def classes_in_files(entries: Sequence[Entry], only: str, where: str, problems: list[str]) -> Classes:
    """The classes of label files that no ``dataset.json`` describes: the values found in them.

    Args:
        entries: cases with label files.
        only: name of the structure, if there is but one.
        where: folder of the label files, for messages.
        problems: takes what is wrong with them.
    """
    values, unread = set(), 0
    for entry in entries:
        try:
            values.update(int(value) for value in np.unique(imaging.read_labels(entry.label).voxels))
        except InputError as error:
            problems.append(str(error))
            unread += 1
            continue
        if len(values) > MAX_CLASSES:
            problems.append(
                f"{entry.label}: {len(values)} distinct values so far, expected {MAX_CLASSES} classes at most; "
                "save masks without loss (PNG), one value per class"
            )
            break
    ordered = sorted(values | {0})
    if len(ordered) == 1 and entries and not unread:
        problems.append(f"{where}: every label file is empty; at least one structure must be marked")
    names = [only] if len(ordered) == 2 else [f"class_{value}" for value in ordered[1:]]
    return Classes((Label(BACKGROUND, 0), *map(Label, names, ordered[1:])))


def channels_in_files(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Channel names where nothing gives them: red, green, blue for a colour image and "image" for a grey one."""
    for entry in entries:
        if len(entry.images) > 1:
            return tuple(f"channel_{c}" for c in range(len(entry.images)))
        try:
            channels = imaging.read(entry.images[0]).channels
        except InputError:
            continue  # told when the images are checked
        if channels == 1:
            return ("image",)
        return ("red", "green", "blue") if channels == 3 else tuple(f"channel_{c}" for c in range(channels))
    return ("image",)


def structure_name(folder: str) -> str:
    """What the only structure of a folder of labels is called: ``labels_endo`` names it, ``labels`` does not."""
    return re.sub(r"^(labels?|masks?)[_-]?", "", Path(folder).name, flags=re.IGNORECASE) or "foreground"
