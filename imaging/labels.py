"""The classes of a segmentation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A class. Its index is its position in a sequence of labels.

    Attributes:
        name: of the class.
        value: in label files.
    """

    name: str
    value: int


@dataclass(frozen=True)
class Region:
    """A structure made of one label value or more, as nnU-Net v2 trains them: regions may overlap.

    Attributes:
        name: of the structure.
        values: values in label files that belong to it.
        written: value that a segmentation gets where the region is; of several regions in one place, that of the last.
    """

    name: str
    values: tuple[int, ...]
    written: int
