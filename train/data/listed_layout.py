"""Layouts whose ``dataset.json`` lists the cases: MSD, nnU-Net v1, MONAI and Auto3DSeg datalists."""

import os
from dataclasses import dataclass
from pathlib import Path

from imaging.io.cases import case_and_channel, case_name, check_case_name, name_clashes, scan_suffix
from medseg.errors import InputError
from medseg.untrusted import shown
from train.data.classes import channels_in_files, classes_in_files, given_classes
from train.data.dataset_json import (
    Choices,
    Entry,
    Listing,
    all_exist,
    channels_of,
    dataset_name,
    description_file,
    listed_path,
    whole,
)
from train.data.grouping import common_prefix

LISTS = ("training", "validation")  # "test" has no labels


@dataclass(frozen=True)
class _Item:
    """One listed case."""

    images: tuple[Path, ...]
    label: Path
    fold: int | None


def read_listed(folder: Path, description: dict, choices: Choices) -> Listing:
    """List a folder by the ``training`` list of its ``dataset.json``, and MONAI's ``validation`` list beside it.

    An item is ``{"image": ..., "label": ...}``; ``image`` may be a list of one file a channel. Where the list says
    ``case.nii.gz`` and the folder holds ``case_0000.nii.gz``, ``case_0001.nii.gz``, ..., these are its channels
    (nnU-Net v1). Cases are called after their files, or, where file names repeat, after the folders that differ.

    Raises:
        InputError: if the list or its labels are none.
    """
    path = description_file(folder)
    channels = channels_of(description, path)
    items, problems, notes, hidden = [], [], [], 0
    seen = set()
    for key in LISTS:
        listed = description.get(key, [])
        if not isinstance(listed, list):
            raise InputError(f"{path}: expected {key!r} to be a list of image and label, got {shown(listed)}")
        for number, given in enumerate(listed):
            where = f"{path.name}: {key}[{number}]"
            if key == "validation" and isinstance(given, dict) and given.get("label") is None:
                continue  # MONAI lists scans without labels here too
            try:
                item = _item(folder, given, where, len(channels or ()), choices.follow_paths)
            except InputError as error:
                problems.append(str(error))
                continue
            if item.images[0].name.startswith("."):
                hidden += 1
            elif item.images[0] in seen and key == "validation":
                continue  # of the training list too
            elif item.images[0] in seen:
                problems.append(f"{path.name}: {case_name(item.images[0])} is listed twice in {key!r}")
            elif all_exist((*item.images, item.label), where, problems):
                seen.add(item.images[0])
                items.append(item)
    if hidden:
        notes.append(f"{hidden} hidden files are listed and left out, such as ._name, which macOS writes")
    entries = _named(items, folder)
    problems += _name_problems(entries, path.name)
    channels = channels or channels_in_files(entries)
    problems += [
        f"{entry.name}: {len(entry.images)} images listed, expected {len(channels)}, the channels {', '.join(channels)}"
        for entry in entries
        if len(entry.images) not in (1, len(channels))
    ]
    classes = given_classes(description, path, choices, "foreground")
    classes = classes or classes_in_files(entries, "foreground", path.name, problems)
    return Listing(
        name=dataset_name(description, folder),
        folder=folder,
        layout="MSD",
        entries=entries,
        classes=classes,
        channels=channels,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _item(folder, given, where, channels, follow) -> _Item:
    images, label = (given.get(key) for key in ("image", "label")) if isinstance(given, dict) else (None, None)
    images = images if isinstance(images, list) else [images]
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    if not images or not all(isinstance(part, str) for part in (*images, label)):
        raise InputError(f"{where} is {shown(given)}; expected {{'image': ..., 'label': ...}} with paths")
    try:
        images = tuple(listed_path(folder, image, follow) for image in images)
        label = listed_path(folder, label, follow)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return _Item(_by_channels(images[0], channels) if len(images) == 1 else images, label, whole(given.get("fold")))


def _by_channels(image, channels) -> tuple[Path, ...]:
    """The files of a listed image: itself, or those of its channels, which nnU-Net numbers and does not list."""
    suffix = scan_suffix(image)
    stem = image.name[: len(image.name) - len(suffix)]
    first = image.with_name(f"{stem}_0000{suffix}")
    if os.path.isfile(image) or not os.path.isfile(first):
        return (image,)
    numbered = [image.with_name(f"{stem}_{number:04d}{suffix}") for number in range(1, max(channels, 1))]
    if not any(os.path.isfile(path) for path in numbered):
        return (first,)  # which holds all channels
    return (first, *numbered)


def _named(items, folder) -> tuple[Entry, ...]:
    names = [_own_name(item) for item in items]
    if None in names or len({name.casefold() for name in names}) < len(names):
        names = _names_by_folder([item.images[0] for item in items], folder)
    return tuple(Entry(name, item.images, item.label, item.fold) for name, item in zip(names, items, strict=True))


def _own_name(item) -> str | None:
    """What the files of a case call it: the image, or what the images of its channels begin with."""
    if len(item.images) == 1:
        name, number = case_and_channel(item.images[0])
        return name if number == 0 and case_name(item.label) == name else case_name(item.images[0])
    names = [case_name(image) for image in item.images]
    shared = common_prefix(names)
    end = max(shared.rfind(separator) for separator in "-_. ")
    return shared[:end] if end > 0 else None


def _names_by_folder(images, folder) -> list[str]:
    """Names by the parts of the paths that differ between cases: ``p0/t1.nii.gz``, ``p1/t1.nii.gz`` are p0 and p1."""
    paths = [Path(os.path.relpath(image, folder)) for image in images]
    parts = [(*path.parent.parts, case_name(path)) for path in paths]
    if len({len(part) for part in parts}) == 1:
        differing = [place for place, values in enumerate(zip(*parts, strict=True)) if len(set(values)) > 1]
        for count in range(1, len(differing) + 1):  # as few folders as tell them apart
            names = ["_".join(part[place] for place in differing[:count]) for part in parts]
            if len({name.casefold() for name in names}) == len(names):
                return names
    return ["_".join(part) for part in parts]


def _name_problems(entries, where) -> list[str]:
    problems = list(name_clashes((entry.name, entry.images[0]) for entry in entries))
    for entry in entries:
        try:
            check_case_name(entry.name, where)
        except InputError as error:
            problems.append(str(error))
    return problems
