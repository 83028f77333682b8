"""The classes that a ``dataset.json`` gives: labels, the ignored value and regions; or those that label files hold."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import imaging
from imaging.instances import whole_objects
from imaging.labels import Label, Region
from medseg.errors import InputError
from medseg.untrusted import shown
from train.data.dataset_json import Choices, Classes, Entry, whole

IGNORE = "ignore"  # nnU-Net v2's name for voxels that nobody has labelled
BACKGROUND = "background"
COLOURS = ("red", "green", "blue")
OBJECT = "object"  # what objects are called that nobody has named
FEWEST_OBJECTS = 8  # in the fullest file, below which numbers may as well be classes
WHOLE = 0.9  # share of the numbers of objects that lie in one piece
MAX_CLASSES = 64  # more distinct values than this is a lossy or grey-scale mask, not a label file


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


def given_classes(description: dict, path: Path | None, choices: Choices, only: str) -> Classes | None:
    """The classes by ``dataset.json`` and the user; None where neither says, so that label files must.

    Args:
        description: what ``dataset.json`` holds; ``"instances": true`` says that label files number objects.
        path: of the file.
        choices: of the user.
        only: name of the structure, if there is but one.

    Raises:
        InputError: as ``classes_of`` does, or if objects of several classes are numbered.
    """
    classes = None
    if "labels" in description:
        classes = classes_of(description, path)
    elif choices.labels is not None:
        classes = Classes(choices.labels)
    if not choices.instances and description.get("instances") is not True:
        return classes
    if classes is None:
        return object_classes(only)
    if len(classes.labels) != 2 or len(classes.regions) > 1 or classes.ignore is not None:
        names = ", ".join(label.name for label in classes.labels)
        raise InputError(
            f"{path}: label files number objects, which are of one class; expected the background and one more in "
            f"'labels', got {names}" + (" and 'ignore'" if classes.ignore is not None else "")
        )
    return object_classes(classes.labels[1].name)


def object_classes(name: str) -> Classes:
    """The classes of label files that number objects: where an object is, is one region of value 1.

    Args:
        name: of the objects; a general word becomes "object".
    """
    name = OBJECT if name == "foreground" else name
    return Classes((Label(BACKGROUND, 0), Label(name, 1)), regions=(Region(name, (1,), 1),), instances=True)


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
    noted = len(problems)
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
    if (len(problems) > noted or len(values) >= FEWEST_OBJECTS) and numbers_objects(entries):
        del problems[noted:]
        return object_classes(only)
    ordered = sorted(values | {0})
    if len(ordered) == 1 and entries and not unread:
        problems.append(f"{where}: every label file is empty; at least one structure must be marked")
    names = [only] if len(ordered) == 2 else [f"class_{value}" for value in ordered[1:]]
    return Classes((Label(BACKGROUND, 0), *map(Label, names, ordered[1:])))


def numbers_objects(entries: Sequence[Entry]) -> bool:
    """Whether label files number objects: 1 to n in each file, n differing, or more values than classes have.

    Either way nearly every value must lie in one piece; those of a grey-scale picture and of classes that occur in
    several places do not.

    Args:
        entries: cases with label files.
    """
    counts, values, pieces, whole, ordered = set(), set(), 0, 0, True
    for entry in entries:
        try:
            objects = imaging.read_labels(entry.label, instances=True).voxels[..., 0]
        except InputError:
            return False
        present = np.unique(objects[objects != 0])
        if len(present) and present[0] < 0:
            return False
        alone = whole_objects(objects, present)
        pieces, whole = pieces + len(present), whole + alone
        if whole < WHOLE * pieces:
            return False
        counts.add(len(present))
        values.update(present.tolist())
        ordered = ordered and (not len(present) or present[-1] == len(present))
        if len(values) > MAX_CLASSES and len(counts) > 1:
            return True
    return ordered and len(counts) > 1 and max(counts) >= FEWEST_OBJECTS


def channels_in_files(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Channel names where nothing gives them: red, green, blue for colour images and "image" for grey ones.

    Pictures of which some are grey and some coloured are colour; see ``imaging.read``.
    """
    grey = False
    for entry in entries:
        if len(entry.images) > 1:
            return tuple(f"channel_{c}" for c in range(len(entry.images)))
        try:
            scan = imaging.read(entry.images[0], nan=0.0)
        except InputError:
            continue  # told when the images are checked
        if grey and (scan.voxels == scan.voxels[..., :1]).all():
            continue
        if scan.channels != 1:
            return COLOURS if scan.channels == 3 else tuple(f"channel_{c}" for c in range(scan.channels))
        if scan.rank == 3:
            break
        grey = True
    return ("image",)


def structure_name(folder: str) -> str:
    """What the only structure of a folder of labels is called: ``labels_endo`` names it, ``labels`` does not."""
    return re.sub(r"^(labels?|masks?)[_-]?", "", Path(folder).name, flags=re.IGNORECASE) or "foreground"
