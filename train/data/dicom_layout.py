"""A folder of DICOM series with SEG or RTSTRUCT objects that were drawn on them."""

import os
from pathlib import Path

from imaging.io.cases import check_case_name, is_scan
from imaging.io.dicom.label import LabelObject, label_object, label_reference
from imaging.io.dicom.reference import dicom_reference, is_dicom
from imaging.io.dicom.series import Series, find_series
from imaging.io.dicom.sources import files_of
from imaging.labels import Label
from medseg.errors import InputError
from train.data.classes import BACKGROUND, classes_of
from train.data.dataset_json import Choices, Classes, Entry, Listing, channels_of, dataset_name, description_file

LAYOUT = "DICOM"


def is_dicom_dataset(folder: Path) -> bool:
    """Whether the first file in a folder that is a scan of any kind is DICOM."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if is_scan(name):
                return False
            if not name.startswith(".") and is_dicom(Path(here, name)):
                return True
    return False


def read_dicom_dataset(folder: Path, description: dict, choices: Choices) -> Listing:
    """List the series of a folder, whatever its sub-folders are called, with the labels that refer to them.

    A case is a series that a SEG or RTSTRUCT refers to. It is called after the folder that its slices lie in. Classes
    are told by the names of segments. The ``labels`` of a ``dataset.json`` give their values, and what these leave out
    is background. Without one the segments' numbers are the values where they are the same in all objects, else the
    names are numbered in alphabetical order.

    Raises:
        InputError: if a file is damaged, or no label refers to a series that is here.
    """
    problems, notes = [], []
    series = [each for each in find_series(folder) if not each.localizer]
    objects = [label_file for file in files_of(folder) if (label_file := label_object(file)) is not None]
    pairs = _pairs(series, objects, problems, notes)
    if not pairs and not problems:
        raise InputError(
            f"{folder}: holds {len(series)} DICOM series and no SEG or RTSTRUCT that refers to one; expected both"
        )
    classes = _classes(description, folder, choices, [pair[1] for pair in pairs])
    values = {label.name: label.value for label in classes.labels if label.value}
    if classes.ignore is not None:
        values["ignore"] = classes.ignore
    entries = []
    for name, (each, label) in _named(folder, pairs, series, problems):
        place = _place(each, series)
        on = os.path.relpath(place, label.file.path.parent)
        if not set(label.names.values()) & set(values):
            problems.append(f"{label.file.name}: has none of the classes {', '.join(values)}")
        patient = each.frames[0].instance.patient
        entries.append(Entry(name, (place,), label_reference(label.file.path, on, values), patient=patient))
    return Listing(
        name=dataset_name(description, folder),
        folder=folder,
        layout=LAYOUT,
        entries=tuple(entries),
        classes=classes,
        channels=channels_of(description, description_file(folder)) or (series[0].modality or "image",),
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _pairs(series, objects, problems, notes) -> list[tuple[Series, LabelObject]]:
    """Each labelled series with its label."""
    pairs, labelled = [], set()
    for label in objects:
        of = [each for each in series if each.uid in label.series or _instances(each) & label.instances]
        if not of:
            problems.append(f"{label.file.name}: refers to a series that is not here")
        elif len(of) > 1:
            problems.append(f"{label.file.name}: refers to several volumes, expected one; take the others away")
        elif id(of[0]) in labelled:
            problems.append(f"{label.file.name}: is a second label of {of[0].name}; take one away")
        else:
            labelled.add(id(of[0]))
            pairs.append((of[0], label))
    without = len(series) - len(pairs)
    if without and pairs:
        notes.append(f"{without} of {len(series)} series have no SEG or RTSTRUCT and are left out")
    return pairs


def _instances(series):
    return {frame.instance.uid for frame in series.frames}


def _classes(description, folder, choices, labels) -> Classes:
    if "labels" in description:
        classes = classes_of(description, description_file(folder))
        if classes.regions:
            raise InputError(f"{folder}: regions are not read from DICOM; give 'labels' of single values")
        return classes
    if choices.labels is not None:
        return Classes(choices.labels)
    numbers = {}
    for label in labels:
        for number, name in label.names.items():
            numbers.setdefault(name, set()).add(number)
    names = sorted(numbers)
    own = [next(iter(numbers[name])) for name in names]
    if all(len(numbers[name]) == 1 for name in names) and len(set(own)) == len(own):
        named = sorted(zip(own, names, strict=True))
    else:
        named = list(enumerate(names, start=1))
    return Classes((Label(BACKGROUND, 0), *(Label(name, value) for value, name in named)))


def _folder(series: Series) -> Path:
    return Path(os.path.commonpath([file.path.parent for file in series.files]))


def _place(series: Series, everything) -> Path:
    """The path that reads a series: its folder, or the folder and its UID where that holds several."""
    folder = _folder(series)
    others = [each for each in everything if each is not series and _folder(each).is_relative_to(folder)]
    return dicom_reference(folder, series.uid) if others else folder


def _named(folder, pairs, everything, problems):
    """Case name and pair, by the folders that the series lie in; numbered where several share one."""
    places = {}
    for pair in sorted(pairs, key=lambda pair: (str(_folder(pair[0])), pair[0].uid)):
        places.setdefault(_folder(pair[0]), []).append(pair)
    for place, members in places.items():
        parts = place.relative_to(folder).parts
        stem = "-".join(parts) or "series"
        for number, pair in enumerate(members, start=1):
            name = stem if len(members) == 1 and parts else f"{stem}-{number:03d}"
            try:
                check_case_name(name, place)
            except InputError as error:
                problems.append(str(error))
                continue
            yield name, pair
