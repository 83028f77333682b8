"""The plain layout: a folder of images and a folder of labels with matching names."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from imaging.io.cases import case_and_channel, case_name, check_case_name, name_clashes, owner, scans_in
from medseg.command import command_line
from medseg.errors import InputError, UsageError
from train.data.classes import channels_in_files, classes_in_files, given_classes, structure_name
from train.data.dataset_json import (
    Choices,
    Classes,
    Entry,
    Listing,
    channels_of,
    dataset_name,
    description_file,
    listed_path,
)

# Pairs of names that people use, the first that are there are taken; capitals do not count.
IMAGE_NAMES = ("images", "imgs", "image", "img", "imagestr")
LABEL_NAMES = ("labels", "masks", "label", "mask", "labelstr")
LABEL_BEGINNINGS = ("labels", "masks")  # labels_endo


def has_plain_folders(folder: Path, choices: Choices) -> bool:
    """Whether a folder holds one of images, by the user's name or one of the usual ones."""
    return choices.images_folder is not None or _known(folder, IMAGE_NAMES) is not None


def read_plain(folder: Path, description: dict, choices: Choices) -> Listing:
    """List a folder of images beside one of labels (see ``train.data.dataset.open_dataset``).

    Raises:
        InputError: if there is no folder of labels, or no file in it.
        UsageError: if a folder that the user names does not exist or must be chosen.
    """
    images_folder = _images_folder(folder, choices)
    labels_folder = _labels_folder(folder, images_folder, choices)
    if (folder / images_folder).resolve() == (folder / labels_folder).resolve():
        raise UsageError(f"images and labels folder {labels_folder!r}: are one; name the folder of each")
    masks, scans = (scans_in(folder / name) for name in (labels_folder, images_folder))
    if scans and not masks:
        raise InputError(f"{folder / labels_folder}: holds no label file; name the folder that does with --labels")
    problems, notes = [], []
    images_of = _images(scans, [case_name(mask) for mask in masks], problems)
    label_of = {}
    for mask in masks:
        name = owner(case_name(mask), images_of)
        if name is None:
            problems.append(
                f"{labels_folder}/{mask.name}: no image in {images_folder}/ has this name or the beginning of it"
            )
        elif name in label_of:
            problems.append(f"{name}: both {label_of[name].name} and {mask.name} in {labels_folder}/ are its label")
        else:
            label_of[name] = mask
    unlabelled = [name for name in images_of if name not in label_of]
    if unlabelled and labels_folder.lower() not in LABEL_NAMES:
        notes.append(
            f"{len(unlabelled)} of {len(images_of)} images have no label in {labels_folder}/ and are left out "
            f"(first: {unlabelled[0]})"
        )
    else:
        problems.extend(f"{images_of[name][0].name}: no label in {labels_folder}/" for name in unlabelled)
    entries = tuple(Entry(name, images, label_of[name]) for name, images in images_of.items() if name in label_of)
    classes = _classes(description, folder, choices, entries, labels_folder, problems)
    channels = channels_of(description, description_file(folder)) or channels_in_files(entries)
    return Listing(
        name=dataset_name(description, folder),
        folder=folder,
        layout="plain",
        entries=entries,
        classes=classes,
        channels=channels,
        images_folder=images_folder,
        labels_folder=labels_folder,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _classes(description, folder, choices, entries, labels_folder, problems) -> Classes:
    only = structure_name(labels_folder)
    given = given_classes(description, description_file(folder), choices, only)
    return given or classes_in_files(entries, only, f"{labels_folder}/", problems)


def _images(files: Sequence[Path], labels: Sequence[str], problems) -> dict[str, tuple[Path, ...]]:
    """Images by case name. Files ``case_0000``, ``case_0001``, ... are channels where the labels have no number."""
    numbered = {}
    for file in files:
        name, number = case_and_channel(file)
        numbered.setdefault(name, {})[number] = file
    count = max(map(len, numbered.values()), default=0)
    plain = {case_name(file) for file in files}
    if (
        files
        and all(set(parts) == set(range(count)) for parts in numbered.values())
        and not any(owner(label, plain) for label in labels)
    ):
        images_of = {name: tuple(parts[c] for c in range(count)) for name, parts in numbered.items()}
        named = [(name, parts[0]) for name, parts in images_of.items()]
    else:
        named = [(case_name(file), file) for file in files]
        images_of = {name: (file,) for name, file in named}
    problems += name_clashes(named)
    for name, file in named:
        try:
            check_case_name(name, file)
        except InputError as error:
            problems.append(str(error))
    return images_of


def _images_folder(folder, choices) -> str:
    if choices.images_folder is None:
        return _known(folder, IMAGE_NAMES)
    return _named_folder(folder, "images", choices.images_folder, choices.follow_paths, IMAGE_NAMES)


def _labels_folder(folder, images_folder, choices) -> str:
    available = [name for name in _folders(folder) if _is_labels(name)]
    if choices.labels_folder is not None:
        return _named_folder(folder, "labels", choices.labels_folder, choices.follow_paths, available)
    known = _known(folder, LABEL_NAMES)
    if known is not None:
        return known
    if len(available) == 1:
        return available[0]
    if available:
        option = command_line("--labels", available[0])
        raise UsageError(f"{folder}: several folders of labels ({', '.join(available)}); choose with {option}")
    raise InputError(
        f"{folder}: {images_folder}/ but no labels/; put the label files there, or name their folder with --labels"
    )


def _is_labels(name):
    return name.lower() in LABEL_NAMES or name.lower().startswith(LABEL_BEGINNINGS)


def _named_folder(folder, option, name, follow, available) -> str:
    with contextlib.suppress(ValueError):  # of another place; that is told below
        name = str(Path(name).relative_to(folder.absolute())) if Path(name).is_absolute() else name
    try:
        path = listed_path(folder, name, follow)
    except InputError as error:
        raise UsageError(f"{option} folder: {error}") from None
    if not path.is_dir():
        present = ", ".join(sorted(set(available) & set(_folders(folder)))) or "none"
        raise UsageError(f"{option} folder {name!r}: not in {folder}; it holds {present}")
    return name


def _folders(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _known(folder, names) -> str | None:
    """The folder with the first of ``names`` that is there, as it is written."""
    present = {name.lower(): name for name in _folders(folder)}
    return next((present[name] for name in names if name in present), None)
