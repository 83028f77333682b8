"""Which rules a series goes by: modality, body part, description and protocol of its header."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from edge.node.config import Rule
from imaging.io.dicom.dataset import DicomFile, decoding, open_dataset


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes:
        modality, body_part, description, protocol: of the header; "" where it says nothing.
    """

    modality: str = ""
    body_part: str = ""
    description: str = ""
    protocol: str = ""


def facts_of(file: Path) -> Facts:
    """What the header of an instance says.

    Raises:
        InputError: if it cannot be read.
    """
    dataset = open_dataset(DicomFile(file), pixels=False)
    names = ("Modality", "BodyPartExamined", "SeriesDescription", "ProtocolName")
    with decoding(file):
        return Facts(*(str(dataset.get(name) or "").strip() for name in names))


def fitting(rules: Sequence[Rule], facts: Facts) -> tuple[Rule, ...]:
    """The rules that a series goes by, in the order of the file.

    A pattern ``*`` fits also what the header does not say.
    """
    return tuple(rule for rule in rules if _fits(rule, facts))


def _fits(rule, facts):
    pairs = (
        (rule.modality, facts.modality),
        (rule.body_part, facts.body_part),
        (rule.description, facts.description),
        (rule.protocol, facts.protocol),
    )
    return all(fnmatchcase(text.casefold(), pattern.casefold()) for pattern, text in pairs)
