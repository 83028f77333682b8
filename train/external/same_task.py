"""Whether a folder asks for what a network was trained to do: the same labels and the same channels."""

import dataclasses
import re
from collections.abc import Sequence

from imaging.labels import Label, Region
from medseg.errors import InputError
from train.data.dataset import Dataset

_UNNAMED = re.compile(r"(class|label|channel)?[ _-]*\d+|image|scan", re.IGNORECASE)


def as_trained(
    dataset: Dataset, labels: Sequence[Label], regions: Sequence[Region], channels: Sequence[str]
) -> Dataset:
    """The dataset with its classes in the order of the network's, where the two agree.

    Classes agree by value and name. Where the names are the same and only values differ (a mask of 0 and 255, or
    another order), the folder's values are read as the network's classes of these names.

    Args:
        dataset: an open ``Dataset``.
        labels: the network's classes, background first.
        regions: the structures that it finds instead, or none.
        channels: names of its input channels.

    Raises:
        InputError: in one line, if labels or channels differ.
    """
    _check_channels(dataset, channels)
    matched = _matched(dataset.labels, labels)
    if matched is None:
        raise InputError(
            f"{dataset.folder}: its labels are {_listed(dataset.labels)}, the network's {_listed(labels)}; expected "
            "the same names and values: correct dataset.json, or give a folder with these labels"
        )
    if dataset.regions and [(r.name, r.values) for r in dataset.regions] != [(r.name, r.values) for r in regions]:
        here, there = (", ".join(region.name for region in each) or "none" for each in (dataset.regions, regions))
        raise InputError(f"{dataset.folder}: its regions are {here}, the network's {there}; expected the same")
    return dataclasses.replace(dataset, labels=matched, regions=tuple(regions))


def _matched(here: Sequence[Label], trained: Sequence[Label]) -> tuple[Label, ...] | None:
    """The folder's labels by the network's class indices and names; None where the two differ."""
    if len(here) != len(trained):
        return None
    by_value = {label.value: label for label in here}
    if all(label.value in by_value for label in trained):
        pairs = [(by_value[label.value], label) for label in trained]
        if all(_same_name(a.name, b.name) for a, b in pairs[1:]):
            return tuple(trained)
    by_name = {_plain(label.name): label for label in here[1:]}
    if len(by_name) < len(here) - 1 or any(_plain(label.name) not in by_name for label in trained[1:]):
        return None
    values = (here[0].value, *(by_name[_plain(label.name)].value for label in trained[1:]))
    return tuple(Label(label.name, value) for label, value in zip(trained, values, strict=True))


def _same_name(a: str, b: str) -> bool:
    return _plain(a) == _plain(b) or any(_UNNAMED.fullmatch(name) for name in (a, b))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _listed(labels) -> str:
    return ", ".join(f"{label.value} {label.name}" for label in labels)


def _check_channels(dataset, channels) -> None:
    here, there = [[_plain(name) for name in names] for names in (dataset.channels, channels)]
    differ = len(here) != len(there)
    named = not any(_UNNAMED.fullmatch(name) for name in (*dataset.channels, *channels))
    differ |= named and sorted(here) == sorted(there) and here != there  # the same ones in another order
    differ |= ("ct" in here) != ("ct" in there) and named  # Hounsfield units against numbers of no unit
    if differ:
        raise InputError(
            f"{dataset.folder}: its channels are {', '.join(dataset.channels)}, the network's {', '.join(channels)}; "
            "expected the same in the same order"
        )
