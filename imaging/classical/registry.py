"""All methods, as data: what each does and takes. ``zoo segment --list`` and the reference page are made of it."""

from imaging.classical.entries.clusters import CLUSTERS
from imaging.classical.entries.deformable import DEFORMABLE
from imaging.classical.entries.seeded import SEEDED
from imaging.classical.entries.thresholds import THRESHOLDS
from imaging.classical.entry import Method
from medseg.errors import UsageError, expected_one_of
from medseg.untrusted import shown

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
    if not isinstance(name, str) or name not in _BY_NAME:
        raise UsageError(f"method {shown(name)}: unknown; {expected_one_of(str(name), _BY_NAME)}")
    return _BY_NAME[name]
