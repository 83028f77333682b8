"""nnU-Net v2's layout: ``imagesTr/<case>_0000<ending>``, ``labelsTr/<case><ending>`` and a ``dataset.json``."""

import os
import re
from pathlib import Path

from imaging.io.cases import case_and_channel, case_name, check_case_name, name_clashes, scan_suffix, scans_in
from imaging.io.files import IMAGES
from medseg.errors import InputError
from medseg.untrusted import shown
from train.data.classes import classes_of, given_classes
from train.data.dataset_json import Choices, Entry, Listing, all_exist, channels_of, dataset_name, listed_path, whole

IMAGES_FOLDER, LABELS_FOLDER = "imagesTr", "labelsTr"


def read_nnunet(folder: Path, description: dict, choices: Choices) -> Listing:
    """List an nnU-Net v2 dataset, by its ``dataset`` object if it has one, else by the files in ``imagesTr``.

    A picture named ``<case>_0000`` that is the only one of its case holds all channels, as nnU-Net stores natural
    images.

    Raises:
        InputError: if channels or labels make no sense.
    """
    path = folder / "dataset.json"
    channels = channels_of(description, path) or ("image",)
    classes = given_classes(description, path, choices, "foreground") or classes_of(description, path)
    problems, notes = [], []
    listed = description.get("dataset")
    if isinstance(listed, dict):
        files = _listed(folder, listed, choices.follow_paths, problems)
    else:
        files = _by_name(folder, description.get("file_ending"), channels, problems, notes)
    entries = [
        Entry(name, images, label) for name, images, label in files if all_exist((*images, label), name, problems)
    ]
    problems += name_clashes((entry.name, entry.images[0]) for entry in entries)
    announced = whole(description.get("numTraining"))
    if announced is not None and announced != len(entries):
        notes.append(f"dataset.json announces {announced} cases (numTraining), {len(entries)} are here")
    return Listing(
        name=dataset_name(description, folder),
        folder=folder,
        layout="nnU-Net",
        entries=tuple(entries),
        classes=classes,
        channels=channels,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _listed(folder, listed, follow, problems):
    """Name, images and label file of each case of the ``dataset`` object."""
    for name, item in listed.items():
        where = f"dataset.json: case {shown(name)}"
        images, label = (item.get(key) for key in ("images", "label")) if isinstance(item, dict) else (None, None)
        images = [images] if isinstance(images, str) else images
        if not isinstance(images, list) or not images or not isinstance(label, str):
            problems.append(f"{where} is {shown(item)}; expected {{'images': [...], 'label': ...}} with paths")
            continue
        try:
            check_case_name(name, "dataset.json")
            yield (
                name,
                tuple(listed_path(folder, image, follow) for image in images),
                listed_path(folder, label, follow),
            )
        except InputError as error:
            problems.append(str(error) if str(error).startswith("dataset.json") else f"{where}: {error}")


def _by_name(folder, ending, channels, problems, notes):
    """Name, images and label file of each case that ``imagesTr`` holds."""
    present = scans_in(folder / IMAGES_FOLDER)
    ending = _ending(ending, present, problems)
    cases = {}
    for image in present:
        name, number = case_and_channel(image)
        if scan_suffix(image).lower() != ending:
            problems.append(f"{IMAGES_FOLDER}/{image.name}: expected a file that ends with {ending}; take it away")
        elif number is None:
            problems.append(f"{image.name}: the name must be <case>_0000{ending}, the number being the channel")
        else:
            cases.setdefault(name, {})[number] = image
    labels = {}
    for label in scans_in(folder / LABELS_FOLDER):
        if scan_suffix(label).lower() == ending:
            labels[case_name(label)] = label
    without = [name for name in labels if name not in cases]
    if without:
        notes.append(f"{len(without)} files in {LABELS_FOLDER}/ have no image and are left out (first: {without[0]})")
    for name, images in sorted(cases.items()):
        try:
            check_case_name(name, IMAGES_FOLDER)
        except InputError as error:
            problems.append(str(error))
            continue
        label = labels.get(name, folder / LABELS_FOLDER / f"{name}{ending}")
        if set(images) == {0} and ending in IMAGES:
            yield name, (images[0],), label
            continue
        files = [
            images.pop(c, None) or folder / IMAGES_FOLDER / f"{name}_{c:04d}{ending}" for c in range(len(channels))
        ]
        problems += [
            f"{image.name}: dataset.json lists {len(channels)} channels, from 0000 to {len(channels) - 1:04d}"
            for image in images.values()
        ]
        yield name, tuple(files), label


def _ending(given, present, problems) -> str:
    """The suffix of the dataset's files: what ``dataset.json`` says, else what most images have."""
    suffixes = [scan_suffix(path).lower() for path in present]
    usual = max(set(suffixes), key=lambda suffix: (suffixes.count(suffix), suffix), default=".nii.gz")
    if given is None:
        return usual
    ending = f".{given.lstrip('.').lower()}" if isinstance(given, str) else ""
    if not re.fullmatch(r"(\.\w+)+", ending) or scan_suffix(f"a{ending}") != ending:
        problems.append(f"dataset.json: 'file_ending' is {shown(given)}; expected a kind that can be read, as {usual}")
        return usual
    if present and ending not in suffixes:
        problems.append(f"dataset.json: 'file_ending' is {ending}, the files in {IMAGES_FOLDER}/ end with {usual}")
        return usual
    return ending


def is_nnunet(folder: Path, description: dict) -> bool:
    """Whether a folder is nnU-Net v2's."""
    named = "channel_names" in description or "modality" in description
    return isinstance(description.get("dataset"), dict) or (named and os.path.isdir(folder / IMAGES_FOLDER))
