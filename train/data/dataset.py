"""A folder of labelled scans: MSD, nnU-Net v2 or plain ``images/`` and ``labels/``, read into one list of cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.labels import Label, Region
from medseg.errors import InputError
from train.data import layouts
from train.data.dataset_json import Choices, Listing
from train.data.grouping import Grouping, group_names, joined, of_equal_keys


@dataclass(frozen=True)
class Case:
    """A scan and its label.

    Attributes:
        name: unique in the dataset.
        images: image files, one per channel, or a single file that holds all channels.
        label: label file, or None.
        group: cases of one patient share it; they never part in a split.
        fold: the fold that the dataset's author put it in (MONAI datalists), or None.
        instances: its label file holds a number for every object, not a value for every class.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None
    group: str
    fold: int | None = None
    instances: bool = False


@dataclass(frozen=True)
class Dataset:
    """What a dataset folder holds.

    Attributes:
        name: from ``dataset.json``, else the folder's name.
        folder: where it lies.
        cases: sorted by name.
        labels: classes in order of class index, background first.
        channels: names of the image channels.
        images_folder: the folder of images that was chosen (plain layout).
        labels_folder: the folder of labels that was chosen (plain layout).
        grouping: the rule that made the groups.
        notes: what the user should know, for example which images were left out.
        ignore: value of voxels in label files that nobody has labelled, the "ignore" of a ``dataset.json``, or None.
        regions: overlapping structures made of the label values (nnU-Net v2), in the order in which a segmentation
            writes them; none where classes are disjoint.
        instances: label files hold a number for every object of the one class, see ``imaging.instances``.
        grouped_by_user: the groups are what the user said, which nothing found in the scans changes.
    """

    name: str
    folder: Path
    cases: tuple[Case, ...]
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    images_folder: str = "images"
    labels_folder: str = "labels"
    grouping: str = ""
    notes: tuple[str, ...] = ()
    ignore: int | None = None
    regions: tuple[Region, ...] = ()
    instances: bool = False
    grouped_by_user: bool = False

    def case(self, name: str) -> Case:
        """The case called ``name``.

        Raises:
            InputError: if there is none.
        """
        for case in self.cases:
            if case.name == name:
                return case
        raise InputError(f"{self.folder}: no case {name!r} among {len(self.cases)}; was the plan made for this folder?")


def open_dataset(
    folder,
    labels_folder: str | None = None,
    groups: str | None = None,
    labels: Sequence[Label] | None = None,
    *,
    images_folder: str | None = None,
    follow_paths: bool = False,
    instances: bool = False,
) -> Dataset:
    """Read the layout of a dataset folder; no image is opened.

    Accepted layouts:

    - MSD, nnU-Net v1, MONAI, Auto3DSeg: ``dataset.json`` with a ``training`` list of ``{"image": ..., "label": ...}``,
      where ``image`` may be a list of channels; see ``train.data.listed_layout``;
    - nnU-Net v2: ``dataset.json`` has ``channel_names``; ``imagesTr/<case>_0000<ending>``, ``labelsTr/<case><ending>``;
    - plain: ``images/`` and ``labels/``, or ``imgs/`` and ``masks/``, or any names that are given. A label belongs to
      the image of equal name, or to the longest image name that its own begins with before a separator
      (``001_HC.png`` and ``001_HC_Mask.png``). Classes come from an optional ``dataset.json`` (``labels``), else from
      the values found in the label files.

    Args:
        folder: the dataset.
        labels_folder: folder of labels in the plain layout. None takes ``labels``, ``masks``, ``label`` or ``mask``, or
            the only folder that begins so. Images without a label are left out, with a note, only where the folder has
            another name than these, such as ``labels_endo``.
        groups: which cases are of one patient: "none", a regular expression for the patient in a case name, or a file
            that lists them; None applies the rules of ``train.data.grouping``.
        labels: the classes, when they are known already (from a plan), so that plain label files need not be read.
        images_folder: folder of images in the plain layout. None takes ``images``, ``imgs``, ``image`` or ``img``.
        follow_paths: whether paths in ``dataset.json`` may lead out of the folder.
        instances: label files hold a number for every object of one class. Where plain label files hold more values
            than classes have, each in one piece, that is seen without it.

    Raises:
        InputError: if the folder is none of these or files are missing: every problem is listed.
        UsageError: for a folder or ``groups`` that do not fit.
    """
    return read_dataset(
        folder,
        Choices(images_folder, labels_folder, tuple(labels) if labels else None, follow_paths, instances),
        groups,
    )


def read_dataset(folder, choices: Choices, groups: str | None = None) -> Dataset:
    """``open_dataset`` by choices that are one value, as command lines keep them.

    Raises:
        InputError, UsageError: as ``open_dataset`` does.
    """
    listing = layouts.read(Path(folder), choices)
    if listing.problems:
        raise InputError(problems_text(folder, listing.problems))
    return from_listing(listing, groups)


def from_listing(listing: Listing, groups: str | None = None) -> Dataset:
    """The dataset of a listing, whose ``problems`` the caller has dealt with."""
    entries = sorted(listing.entries, key=lambda entry: entry.name)
    grouping = group_names([entry.name for entry in entries], groups)
    if groups is None:
        grouping = _by_patient(grouping, [entry.patient for entry in entries])
    cases = tuple(
        Case(entry.name, entry.images, entry.label, group, entry.fold, listing.classes.instances)
        for entry, group in zip(entries, grouping.groups, strict=True)
    )
    return Dataset(
        name=listing.name,
        folder=listing.folder,
        cases=cases,
        labels=listing.classes.labels,
        channels=listing.channels,
        images_folder=listing.images_folder,
        labels_folder=listing.labels_folder,
        grouping=grouping.rule,
        notes=listing.notes,
        ignore=listing.classes.ignore,
        regions=listing.classes.regions,
        instances=listing.classes.instances,
        grouped_by_user=groups is not None,
    )


def _by_patient(grouping: Grouping, patients: Sequence[int | None]) -> Grouping:
    """Cases whose files name one patient as one group, unless all do: sets without names may have one for all."""
    pairs = of_equal_keys(patients) if len(set(patients)) > 1 else []
    together = joined(grouping.groups, pairs)
    if together == grouping.groups:
        return grouping
    return Grouping(together, f"{grouping.rule}; files of equal DICOM patient are of one patient")


def problems_text(folder, problems: Sequence[str]) -> str:
    """One line for one problem, a list for several."""
    if len(problems) == 1:
        return f"{folder}: {problems[0]}"
    return f"{folder}: {len(problems)} problems\n" + "\n".join(f"  {problem}" for problem in problems)
