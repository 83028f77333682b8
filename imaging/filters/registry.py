"""All filters, as data: what each does, is for and takes. ``zoo filters`` and the reference page are made of it."""

from imaging.filters.entries.intensities import INTENSITIES
from imaging.filters.entries.noise import NOISE
from imaging.filters.entries.places import PLACES
from imaging.filters.entries.shapes import SHAPES
from imaging.filters.entry import Filter
from imaging.parameters import find_entry

FILTERS = (*NOISE, *INTENSITIES, *SHAPES, *PLACES)

_BY_NAME = {entry.name: entry for entry in FILTERS}


def names() -> tuple[str, ...]:
    """The names of all filters."""
    return tuple(_BY_NAME)


def get(name: str) -> Filter:
    """The entry of a filter.

    Raises:
        UsageError: for an unknown name, with those that are near.
    """
    return find_entry("filter", name, _BY_NAME)
