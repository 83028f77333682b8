"""All methods, as data: what each does and takes. ``zoo segment --list`` and the reference page are made of it."""

from imaging.classical.entries.clusters import CLUSTERS
from imaging.classical.entries.deformable import DEFORMABLE
from imaging.classical.entries.seeded import SEEDED
from imaging.classical.entries.thresholds import THRESHOLDS
from imaging.classical.entry import Method
from imaging.parameters import find_entry

METHODS = (*THRESHOLDS, *SEEDED, *CLUSTERS, *DEFORMABLE)

_BY_NAME = {method.name: method for method in METHODS}


def names() -> tuple[str, ...]:
    """The names of all methods."""
    return tuple(_BY_NAME)


def get(name: str) -> Method:
    """The entry of a method.

    Raises:
        UsageError: for an unknown name, with one that is near.
    """
    return find_entry("method", name, _BY_NAME)
