"""What the classes of a network are in SNOMED CT: the table ``codes.json`` beside this file, or one of the user's.

A table is a JSON list of objects: ``names`` of classes, of which capitals, ``_`` and ``-`` do not count; ``category``
(DICOM CID 7150) and ``type`` (CID 7151), each ``[value, scheme, meaning]``; and if wanted ``modifier`` (a side, or a
part, CID 244 for example), ``color`` (red, green, blue from 0 to 255) and ``within``, a word that must stand in the
artifact's or dataset's name, for names that mean nothing alone, such as "anterior". The first that fits counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.untrusted import read_json, shown

TABLE = Path(__file__).with_name("codes.json")
Code = tuple[str, str, str]
TISSUE: Code = ("85756007", "SCT", "Tissue")
# Told apart on any background; classes that the table gives no colour take them in turn.
PALETTE = (
    (228, 80, 60),
    (65, 130, 220),
    (90, 180, 90),
    (240, 190, 50),
    (160, 100, 200),
    (60, 190, 190),
    (240, 130, 180),
)
_KEYS = {"names", "category", "type", "modifier", "color", "within"}
_LONGEST = {"value": 16, "scheme": 16, "meaning": 64}  # of the value representations SH, SH and LO


@dataclass(frozen=True)
class SegmentCode:
    """A row of the table.

    Attributes:
        names: class names that it stands for, as ``_plain`` writes them.
        category, type: value, scheme and meaning.
        modifier: the same, or None.
        color: red, green, blue, or None.
        within: a word of the artifact's name, or "".
    """

    names: tuple[str, ...]
    category: Code = TISSUE
    type: Code = TISSUE
    modifier: Code | None = None
    color: tuple[int, int, int] | None = None
    within: str = ""


def load_codes(path=None) -> tuple[SegmentCode, ...]:
    """The table; rows of the user's go before ours.

    Args:
        path: a JSON file of the user's, or None.

    Raises:
        InputError: if it is no such table; the message names the row.
    """
    ours = tuple(_row(row, number, TABLE) for number, row in enumerate(read_json(TABLE, "table of codes"), start=1))
    if path is None:
        return ours
    rows = read_json(path, "table of codes")
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of objects with names, category and type, got {shown(rows)}")
    return tuple(_row(row, number, path) for number, row in enumerate(rows, start=1)) + ours


def code_of(name: str, context: str, table: Sequence[SegmentCode], number: int) -> SegmentCode:
    """The row of a class; a generic one, the category and type "Tissue", where no row fits.

    Args:
        name: of the class.
        context: names of the artifact, network and dataset.
        table: as ``load_codes`` returns it.
        number: of the segment, from 1, which gives a colour where the table has none.
    """
    plain_name, context = _plain(name), _plain(context)
    color = PALETTE[(number - 1) % len(PALETTE)]
    for row in table:
        if plain_name in row.names and row.within in context:
            return row if row.color else SegmentCode(row.names, row.category, row.type, row.modifier, color, row.within)
    return SegmentCode((plain_name,), color=color)


def _plain(text):
    return re.sub(r"[\s_\-]+", " ", text).strip().casefold()


def _row(row, number, path) -> SegmentCode:
    where = f"{path}: row {number}"
    if not isinstance(row, dict):
        raise InputError(f"{where} is {shown(row)}; expected an object with names, category and type")
    unknown = sorted(set(row) - _KEYS)
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!a}; expected {', '.join(sorted(_KEYS))}")
    names = row.get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"{where}: names is {shown(names)}; expected a list of class names")
    color = row.get("color")
    if color is not None and not (
        isinstance(color, list) and len(color) == 3 and all(type(c) is int and 0 <= c <= 255 for c in color)
    ):
        raise InputError(f"{where}: color is {shown(color)}; expected three whole numbers from 0 to 255")
    within = row.get("within", "")
    if not isinstance(within, str):
        raise InputError(f"{where}: within is {shown(within)}; expected a word of the artifact's name")
    return SegmentCode(
        tuple(map(_plain, names)),
        _code(row.get("category"), f"{where}: category"),
        _code(row.get("type"), f"{where}: type"),
        None if row.get("modifier") is None else _code(row["modifier"], f"{where}: modifier"),
        None if color is None else tuple(color),
        _plain(within),
    )


def _code(given, where) -> Code:
    lengths = list(_LONGEST.values())
    if not (
        isinstance(given, list)
        and len(given) == 3
        and all(isinstance(part, str) and part.strip() and part.isprintable() and "\\" not in part for part in given)
        and all(len(part) <= longest for part, longest in zip(given, lengths, strict=True))
    ):
        raise InputError(
            f'{where} is {shown(given)}; expected [value, scheme, meaning], for example ["10200004", "SCT", "Liver"], '
            "of at most 16, 16 and 64 letters"
        )
    return tuple(given)
