"""Names of versions of labels and notes about them, as clients of MONAI Label's interface give them."""

import json
import re

from medseg.untrusted import shown
from review.errors import UnknownError, WrongRequestError
from review.store.cases import ACCEPTED, CORRECTED
from review.store.database import Database

FINAL, ORIGINAL = "final", "original"
_MOST_INFO = 100_000  # letters


def check_tag(tag: str) -> str:
    """Require a tag of letters, digits, dots, dashes and underlines.

    Raises:
        WrongRequestError: if it is another.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", tag):
        raise WrongRequestError(f"tag {shown(tag)}: expected letters, digits, dots, dashes and underlines")
    return tag


def set_tag(database: Database, case: str, tag: str, version: int, info: dict) -> None:
    """Let a tag mean a version, with notes."""
    with database.change() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO tags (case_id, tag, version, info) VALUES (?, ?, ?, ?)",
            (case, tag, version, _text(info)),
        )


def tags_of(database: Database) -> dict[str, dict[str, tuple[int, dict]]]:
    """Case to tag to version and notes.

    "final" is the version that a person accepted or corrected last, "original" the last of a network; both may carry
    notes of a client.
    """
    tags: dict[str, dict[str, tuple[int, dict]]] = {}
    notes = {}
    for row in database.rows("SELECT * FROM tags"):
        notes[row["case_id"], row["tag"]] = json.loads(row["info"])
        if row["tag"] not in (FINAL, ORIGINAL):
            tags.setdefault(row["case_id"], {})[row["tag"]] = row["version"], notes[row["case_id"], row["tag"]]
    networks = "SELECT case_id, MAX(version) AS version FROM versions WHERE kind = 'network' GROUP BY case_id"
    for row in database.rows(networks):
        tags.setdefault(row["case_id"], {})[ORIGINAL] = row["version"], notes.get((row["case_id"], ORIGINAL), {})
    decided = "SELECT id AS case_id, version FROM cases WHERE state IN (?, ?) AND version IS NOT NULL"
    for row in database.rows(decided, ACCEPTED, CORRECTED):
        tags.setdefault(row["case_id"], {})[FINAL] = row["version"], notes.get((row["case_id"], FINAL), {})
    return tags


def tagged(database: Database, case: str, tag: str) -> tuple[int, dict]:
    """The version that a tag of a case means, and its notes.

    Raises:
        UnknownError: if the case has no labels of that tag.
    """
    known = tags_of(database).get(case, {})
    if tag not in known:
        raise UnknownError(
            f"case {case}: has no label of tag {shown(tag)}, expected one of {', '.join(known) or 'none'}"
        )
    return known[tag]


def add_notes(database: Database, case: str, tag: str, info: dict) -> dict:
    """Add notes to a tag; returns all of them.

    Raises:
        UnknownError: if the case has no labels of that tag.
    """
    version, known = tagged(database, case, tag)
    set_tag(database, case, tag, version, known | info)
    return known | info


def image_notes(database: Database, case: str) -> dict:
    """The notes of clients about a scan."""
    row = database.row("SELECT info FROM image_info WHERE case_id = ?", case)
    return {} if row is None else json.loads(row["info"])


def add_image_notes(database: Database, case: str, info: dict) -> dict:
    """Add notes to a scan; returns all of them."""
    known = image_notes(database, case) | info
    with database.change() as connection:
        connection.execute("INSERT OR REPLACE INTO image_info (case_id, info) VALUES (?, ?)", (case, _text(known)))
    return known


def _text(info):
    text = json.dumps(info)
    if len(text) > _MOST_INFO:
        raise WrongRequestError(f"info: has {len(text)} letters, expected at most {_MOST_INFO}")
    return text
