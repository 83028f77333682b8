"""The dataset folder layouts: which files a folder holds, without opening an image."""

import re
from pathlib import Path

from imaging.labels import Label
from medseg.errors import InputError, UsageError
from train.listing import (
    SUFFIXES,
    Entry,
    Listing,
    all_exist,
    channels_of,
    description_of,
    ignored_value,
    labels_of,
    stem,
)
from train.plain_layout import read_plain


def read(folder: Path, labels_folder: str | None = None, labels: tuple[Label, ...] | None = None) -> Listing:
    """List a dataset folder of any accepted layout (see ``train.dataset.open_dataset``).

    Raises:
        InputError: if the folder is missing or is none of the layouts.
        UsageError: if ``labels_folder`` does not exist or must be chosen.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; a dataset folder is accepted (MSD, nnU-Net or images/ and labels/)"
        )
    description = description_of(folder)
    if "training" in description:
        listing = _msd(folder, description)
    elif "channel_names" in description and (folder / "imagesTr").is_dir():
        listing = _nnunet(folder, description)
    elif (folder / "images").is_dir():
        listing = read_plain(folder, description, labels_folder, labels)
    else:
        raise InputError(
            f"{folder}: not a dataset; accepted are dataset.json with a 'training' list (MSD), dataset.json with "
            "'channel_names' and imagesTr/ (nnU-Net v2), or the folders images/ and labels/"
        )
    if labels_folder not in (None, listing.labels_folder):
        raise UsageError(
            f"labels folder {labels_folder!r}: {folder} has the {listing.layout} layout, which has no choice"
        )
    if not listing.entries and not listing.problems:
        raise InputError(f"{folder}: lists no case ({listing.layout} layout); add images of type {' '.join(SUFFIXES)}")
    return listing


def _msd(folder, description):
    path = folder / "dataset.json"
    entries, problems = {}, []
    training = description["training"]
    if not isinstance(training, list):
        raise InputError(f"{path}: 'training' is a {type(training).__name__}; accepted is a list of image and label")
    for number, item in enumerate(training):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("image", "label")):
            problems.append(f"dataset.json: training[{number}] is {item!r}; accepted is {{'image': ..., 'label': ...}}")
            continue
        image, label = folder / item["image"], folder / item["label"]
        if stem(image) in entries:
            problems.append(f"dataset.json: {stem(image)} is listed twice in 'training'")
        elif all_exist((image, label), stem(image), problems):
            entries[stem(image)] = Entry(stem(image), (image,), label)
    return Listing(
        name=str(description.get("name", folder.name)),
        folder=folder,
        layout="MSD",
        entries=tuple(entries.values()),
        labels=labels_of(description, path),
        channels=channels_of(description, path),
        problems=tuple(problems),
        ignore=ignored_value(description),
    )


def _nnunet(folder, description):
    path = folder / "dataset.json"
    channels = channels_of(description, path)
    ending = description.get("file_ending", ".nii.gz")
    problems, found = [], {}
    listed = description.get("dataset")
    if isinstance(listed, dict):
        for name, item in listed.items():
            found[name] = (tuple(folder / image for image in item["images"]), folder / item["label"])
    else:
        names = set()
        for image in sorted((folder / "imagesTr").glob(f"*{ending}")):
            base, _, number = image.name[: -len(ending)].rpartition("_")
            if not base or not re.fullmatch(r"\d{4}", number):
                problems.append(f"{image.name}: the name must be <case>_0000{ending}, the number being the channel")
            else:
                names.add(base)
        for name in sorted(names):
            images = tuple(folder / "imagesTr" / f"{name}_{c:04d}{ending}" for c in range(len(channels)))
            found[name] = (images, folder / "labelsTr" / f"{name}{ending}")
    entries = [
        Entry(name, images, label)
        for name, (images, label) in found.items()
        if all_exist((*images, label), name, problems)
    ]
    return Listing(
        name=str(description.get("name", folder.name)),
        folder=folder,
        layout="nnU-Net",
        entries=tuple(entries),
        labels=labels_of(description, path),
        channels=channels,
        problems=tuple(problems),
        ignore=ignored_value(description),
    )
