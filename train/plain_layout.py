"""The plain layout: ``images/`` and ``labels/`` with matching names."""

import re
from pathlib import Path

import numpy as np

import imaging
from imaging.labels import Label
from medseg.errors import InputError, UsageError
from train.listing import Entry, Listing, channels_of, ignored_value, images_in, labels_of, stem

MAX_CLASSES = 64  # more distinct values than this is a lossy or grey-scale mask, not a label file


def read_plain(folder: Path, description: dict, labels_folder: str | None, labels: tuple[Label, ...] | None) -> Listing:
    """List a folder that has ``images/`` (see ``train.dataset.open_dataset``).

    Raises:
        InputError: if there is no folder of labels.
        UsageError: if ``labels_folder`` does not exist or must be chosen.
    """
    chosen = _labels_folder(folder, labels_folder)
    images, masks = images_in(folder / "images"), images_in(folder / chosen)
    problems, notes = [], []
    by_stem = {}
    for image in images:
        if stem(image) in by_stem:
            problems.append(f"{stem(image)}: both {by_stem[stem(image)].name} and {image.name} are in images/")
        by_stem[stem(image)] = image
    label_of = {}
    for mask in masks:
        owner = _owner(stem(mask), by_stem)
        if owner is None:
            problems.append(f"{chosen}/{mask.name}: no image in images/ has this name or the beginning of it")
        elif owner in label_of:
            problems.append(f"{owner}: both {label_of[owner].name} and {mask.name} in {chosen}/ are its label")
        else:
            label_of[owner] = mask
    unlabelled = [name for name in by_stem if name not in label_of]
    if unlabelled and chosen != "labels":
        notes.append(
            f"{len(unlabelled)} of {len(by_stem)} images have no label in {chosen}/ and are left out "
            f"(first: {unlabelled[0]})"
        )
    elif unlabelled:
        problems.extend(f"{by_stem[name].name}: no label in labels/" for name in unlabelled)
    entries = tuple(Entry(name, (by_stem[name],), label_of[name]) for name in by_stem if name in label_of)
    if "labels" in description:
        labels = labels_of(description, folder / "dataset.json")
    elif labels is None:
        labels = _labels_from_files(entries, chosen, problems)
    return Listing(
        name=str(description.get("name", folder.resolve().name)),
        folder=folder,
        layout="plain",
        entries=entries,
        labels=labels,
        channels=_plain_channels(description, folder, entries),
        labels_folder=chosen,
        notes=tuple(notes),
        problems=tuple(problems),
        ignore=ignored_value(description),
    )


def _labels_folder(folder, labels_folder):
    available = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name.startswith("labels"))
    if labels_folder is not None:
        if not (folder / labels_folder).is_dir():
            found = ", ".join(available) or "none"
            raise UsageError(f"labels folder {labels_folder!r}: not in {folder}; found {found}")
        return labels_folder
    if "labels" in available:
        return "labels"
    if len(available) == 1:
        return available[0]
    if available:
        raise UsageError(
            f"{folder}: several folders of labels ({', '.join(available)}); choose with --labels {available[0]}"
        )
    raise InputError(f"{folder}: images/ but no labels/; put the label files there, or name their folder with --labels")


def _owner(name, images):
    if name in images:
        return name
    begins = [image for image in images if name.startswith(image) and name[len(image)] in "-_. "]
    return max(begins, key=len, default=None)


def _labels_from_files(entries, chosen, problems):
    """The classes of label files that no ``dataset.json`` describes: the values found in them."""
    values = set()
    for entry in entries:
        try:
            values.update(int(value) for value in np.unique(imaging.read_labels(entry.label).voxels))
        except InputError as error:
            problems.append(str(error))
            continue
        if len(values) > MAX_CLASSES:
            problems.append(
                f"{chosen}/{entry.label.name}: {len(values)} distinct values so far, {MAX_CLASSES} classes at most are "
                "accepted; save masks without loss (PNG), one value per class"
            )
            break
    found = sorted(values | {0})
    if len(found) == 1 and entries:
        problems.append(f"{chosen}/: every label file is empty; at least one structure must be marked")
    # A folder such as labels_endo names its only structure.
    only = re.sub(r"^labels[_-]?", "", chosen) or "foreground"
    names = [only] if len(found) == 2 else [f"class_{value}" for value in found[1:]]
    return (Label("background", 0), *(Label(name, value) for name, value in zip(names, found[1:], strict=True)))


def _plain_channels(description, folder, entries):
    """Channel names: those of ``dataset.json``, else red, green, blue for a colour image and "image" for a grey one."""
    if "channel_names" in description or "modality" in description:
        return channels_of(description, folder / "dataset.json")
    for entry in entries:
        try:
            channels = imaging.read(entry.images[0]).channels
        except InputError:
            continue  # told when the images are checked
        if channels == 1:
            return ("image",)
        return ("red", "green", "blue") if channels == 3 else tuple(f"channel_{c}" for c in range(channels))
    return ("image",)
