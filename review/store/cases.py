"""Cases: what is known of each, as rows of the database."""

import json
import sqlite3
from dataclasses import dataclass, field

from imaging.io.cases import check_case_name
from review.errors import UnknownError
from review.store.audit import now, record
from review.store.database import Database
from review.volumes.sources import Source

WAITING, SEGMENTING, SEGMENTED, FAILED = "waiting", "segmenting", "segmented", "failed"
ACCEPTED, CORRECTED, REJECTED = "accepted", "corrected", "rejected"
STATES = (WAITING, SEGMENTING, SEGMENTED, FAILED, ACCEPTED, CORRECTED, REJECTED)
DECIDED = (ACCEPTED, CORRECTED, REJECTED)
_MARKS = ", ".join("?" * len(DECIDED))
# What clients sent does not lie in the folder.
_GONE = """UPDATE cases SET present = 0 WHERE id = ? AND origin NOT LIKE '%"upload": true%'"""


@dataclass(frozen=True)
class Case:
    """A row of the worklist.

    Attributes:
        id: its name, which is also that of its files.
        files: of the scan.
        state: one of ``STATES``.
        added, changed: when it came and when its last result or decision did, UTC.
        touched: number of the last row of the audit trail that is about it.
        version: newest version of its labels, or None.
        quality: predicted Dice with its bounds, or None.
        flags: what speaks against the result.
        features: what flags and quality were told by.
        volumes: volume in ml (or area in mm²) of each structure, by the newest version.
        error: why it could not be segmented, or None.
        user, reason: of the last decision.
        origin: what DICOM says of where it comes from.
        present: whether its files are still in the folder.
    """

    id: str
    files: tuple[str, ...]
    state: str
    added: str
    changed: str
    touched: int
    version: int | None
    quality: dict | None
    flags: tuple[str, ...]
    features: dict
    volumes: dict
    error: str | None
    user: str | None
    reason: str
    origin: dict = field(default_factory=dict)
    present: bool = True


def add_sources(database: Database, sources: tuple[Source, ...], complete: bool = True) -> tuple[str, ...]:
    """Make cases of what a folder holds; those that are known stay as they are.

    Args:
        database: of the review.
        sources: what is there now.
        complete: cases of the folder that are not among them count as gone, until they are there again.

    Returns:
        Names of the cases that are new.
    """
    new = []
    with database.change() as connection:
        known = {row["id"]: row for row in connection.execute("SELECT id, files, present FROM cases")}
        for source in sources:
            files = json.dumps(source.files)
            if source.name not in known:
                check_case_name(source.name)
                connection.execute(
                    "INSERT INTO cases (id, files, state, added, changed, origin) VALUES (?, ?, ?, ?, ?, ?)",
                    (source.name, files, WAITING, now(), now(), json.dumps(source.origin)),
                )
                record(connection, "add", "server", source.name)
                new.append(source.name)
            elif known[source.name]["files"] != files or not known[source.name]["present"]:
                connection.execute("UPDATE cases SET files = ?, present = 1 WHERE id = ?", (files, source.name))
        if complete:
            gone = set(known) - {source.name for source in sources}
            for name in sorted(gone):
                connection.execute(_GONE, (name,))
    return tuple(new)


def all_cases(database: Database) -> list[Case]:
    """Every case whose files are there, by name."""
    return [case_of(row) for row in database.rows("SELECT * FROM cases WHERE present = 1 ORDER BY id")]


def get_case(database: Database, name: str) -> Case:
    """A case by its name.

    Raises:
        UnknownError: if there is none.
    """
    row = database.row("SELECT * FROM cases WHERE id = ?", name)
    if row is None:
        raise UnknownError(f"case {name[:80]!r}: there is none; it may have been renamed, load the list again")
    return case_of(row)


def case_of(row: sqlite3.Row) -> Case:
    """A case from its row."""
    return Case(
        id=row["id"],
        files=tuple(json.loads(row["files"])),
        state=row["state"],
        added=row["added"],
        changed=row["changed"],
        touched=row["touched"],
        version=row["version"],
        quality=None if row["quality"] is None else json.loads(row["quality"]),
        flags=tuple(json.loads(row["flags"])),
        features=json.loads(row["features"]),
        volumes=json.loads(row["volumes"]),
        error=row["error"],
        user=row["user"],
        reason=row["reason"],
        origin=json.loads(row["origin"]),
        present=bool(row["present"]),
    )


def set_state(database: Database, name: str, state: str, action: str, error: str | None = None) -> bool:
    """Note what the server does with a case; one that a person decided on stays as it is.

    Args:
        database: of the review.
        name: of the case.
        state: one of ``STATES``.
        action: for the audit trail.
        error: why it failed, or None.

    Returns:
        Whether it was noted.
    """
    with database.change() as connection:
        changed = connection.execute(
            f"UPDATE cases SET state = ?, error = ?, changed = ? WHERE id = ? AND state NOT IN ({_MARKS})",
            (state, error, now(), name, *DECIDED),
        ).rowcount
        if changed:
            record(connection, action, "server", name, error=error)
    return bool(changed)


def fact(database: Database, name: str, default: str) -> str:
    """A value that is kept for the whole review, ``default`` the first time."""
    with database.change() as connection:
        connection.execute("INSERT OR IGNORE INTO facts (name, value) VALUES (?, ?)", (name, default))
        return connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()["value"]
