"""The classes of a segmentation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A class: its name and its value in label files. The class index is its position in a sequence of labels."""

    name: str
    value: int
