"""A CSV file that says of each case where it is from: site, scanner, protocol, patient."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.untrusted import read_limited

CASE, PATIENT = "case", "patient"
MAX_BYTES = 16 * 2**20
MAX_COLUMNS = 20


@dataclass(frozen=True)
class Sites:
    """What the file says.

    Attributes:
        columns: by heading, such as "site": case name to value.
        patients: case name to patient; empty where there is no such column.
    """

    columns: dict[str, dict[str, str]]
    patients: dict[str, str]


def read_sites(path, names: Sequence[str]) -> Sites:
    """Read a CSV file with a heading line: ``case`` and one or more columns, of which ``patient`` groups cases.

    Args:
        path: the file, UTF-8, separated by commas, semicolons or tabs; lines of other cases are left alone.
        names: of the cases that are scored.

    Raises:
        InputError: in one line, if the file cannot be read, has no such headings, or lacks a case.
    """
    path = Path(path)
    rows = _rows(path)
    heads = [head.strip() for head in rows[0]] if rows else []
    kinds = [head.casefold() for head in heads]
    if CASE not in kinds or len(heads) < 2 or len(set(kinds)) < len(kinds) or "" in kinds:
        raise InputError(
            f"{path}: the first line is {','.join(heads)[:80]!r}; expected different headings, case and others such "
            "as patient, site or scanner"
        )
    if len(heads) > MAX_COLUMNS:
        raise InputError(f"{path}: has {len(heads)} columns, expected at most {MAX_COLUMNS}")
    place, known = kinds.index(CASE), {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(heads):
            raise InputError(f"{path}: line {number} has {len(row)} cells, expected {len(heads)} as the headings")
        name = row[place].strip()
        if name in known:
            raise InputError(f"{path}: line {number} gives case {name!r} a second time; keep one")
        known[name] = {head: cell.strip() for head, cell in zip(heads, row, strict=True)}
    missing = [name for name in names if name not in known or not all(known[name].values())]
    if missing:
        raise InputError(
            f"{path}: says nothing, or not all, of {len(missing)} of {len(names)} cases, the first is {missing[0]!r}; "
            "give each a line without empty cells"
        )
    columns = {head: {name: known[name][head] for name in names} for head in heads}
    of = dict(zip(kinds, heads, strict=True))
    patients = columns.pop(of[PATIENT]) if PATIENT in of else {}
    columns.pop(of[CASE])
    return Sites(columns, patients)


def _rows(path) -> list[list[str]]:
    try:
        text = read_limited(path, MAX_BYTES, "a CSV file").decode("utf-8-sig")
        first = text.partition("\n")[0]
        separator = max(",;\t", key=first.count)
        return list(csv.reader(text.splitlines(), delimiter=separator, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: not readable as CSV of cases and sites ({reason})") from None
