"""The versions of the artifact: which one segments, which ones did, and what a new one was compared with."""

import json
from dataclasses import dataclass
from pathlib import Path

from edge.manifest import MANIFEST, Manifest, sha256
from edge.shipped import locate
from review.errors import ConflictError, UnavailableError, UnknownError
from review.store.audit import now, record
from review.store.cases import fact
from review.store.database import Database

_CHECKSUM = "manifest of artifact "  # name of a fact, before the number of the version
ACTIVE, WAITING, REFUSED, OLD = "active", "waiting", "refused", "old"


@dataclass(frozen=True)
class ArtifactVersion:
    """A row of the list of artifacts.

    Attributes:
        version: its number in this review.
        folder: where it lies.
        name, format: of its manifest.
        state: "active" (it segments), "waiting" (for a person), "refused" or "old".
        created: when it was registered, UTC.
        parent: version that its training started from, or None.
        comparison: champion against challenger, or None.
        run: folder of the run that it was exported from, or None.
        cases: labelled cases that it was trained on here, or None.
    """

    version: int
    folder: str
    name: str
    format: str
    state: str
    created: str
    parent: int | None = None
    comparison: dict | None = None
    run: str | None = None
    cases: int | None = None


def register(database: Database, folder, manifest: Manifest, **facts) -> int:
    """The number of an artifact's version; an artifact that is not known becomes a new version.

    Args:
        database: of the review.
        folder: of the artifact, or the name of a shipped one.
        manifest: of it.
        facts: ``state``, ``parent``, ``comparison``, ``run``, ``cases`` of a new one.
    """
    place = str(Path(locate(folder)).resolve())
    with database.change() as connection:
        rows = connection.execute(
            "SELECT version, value FROM artifacts LEFT JOIN facts ON facts.name = ? || version"
            " WHERE folder = ? AND sha256 = ?",
            (_CHECKSUM, place, manifest.sha256),
        ).fetchall()
        checksum = sha256(Path(place) / MANIFEST)
        known = [row["version"] for row in rows if row["value"] in (None, checksum)]
        if known:
            return known[-1]
        cursor = connection.execute(
            "INSERT INTO artifacts (folder, name, format, sha256, state, created, parent, comparison, run, cases)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                place, manifest.name, manifest.format, manifest.sha256, facts.get("state", OLD), now(),
                facts.get("parent"), json.dumps(facts["comparison"]) if facts.get("comparison") else None,
                facts.get("run"), facts.get("cases"),
            ),
        )  # fmt: skip
        version = cursor.lastrowid
        connection.execute("INSERT INTO facts (name, value) VALUES (?, ?)", (f"{_CHECKSUM}{version}", checksum))
        record(connection, "artifact", "server", artifact=version, name=manifest.name, sha256=manifest.sha256)
        return version


def manifest_checksum(database: Database, version: int, folder) -> str:
    """SHA-256 of the manifest that a version was registered with.

    A version that medseg-zoo registered before 0.2 has none: then the manifest of today counts from now on.

    Raises:
        UnavailableError: if there is none yet and the manifest cannot be read.
    """
    name = f"{_CHECKSUM}{version}"
    row = database.row("SELECT value FROM facts WHERE name = ?", name)
    if row is not None:
        return row["value"]
    try:
        return fact(database, name, sha256(Path(folder) / MANIFEST))
    except OSError as error:
        raise UnavailableError(f"{folder}: its {MANIFEST} cannot be read ({error.strerror})") from None


def artifacts(database: Database) -> list[ArtifactVersion]:
    """All versions, oldest first."""
    return [_version_of(row) for row in database.rows("SELECT * FROM artifacts ORDER BY version")]


def active(database: Database) -> ArtifactVersion | None:
    """The version that segments, or None."""
    row = database.row("SELECT * FROM artifacts WHERE state = ?", ACTIVE)
    return None if row is None else _version_of(row)


def artifact(database: Database, version: int) -> ArtifactVersion:
    """A version.

    Raises:
        UnknownError: if there is none of that number.
    """
    row = database.row("SELECT * FROM artifacts WHERE version = ?", version)
    if row is None:
        raise UnknownError(f"artifact version {version}: there is none")
    return _version_of(row)


def activate(database: Database, version: int, user: str, action: str) -> None:
    """Make a version the one that segments; the former one becomes old and stays.

    Args:
        database: of the review.
        version: which.
        user: who decided it.
        action: "promote" or "rollback".

    Raises:
        UnknownError: if there is none of that number.
        ConflictError: if it was refused, or found worse than the active one.
    """
    chosen = artifact(database, version)
    if chosen.state == REFUSED:
        raise ConflictError(f"artifact version {version}: was refused; choose another one")
    if action == "promote" and chosen.comparison is not None and not chosen.comparison["not_worse"]:
        raise ConflictError(f"artifact version {version}: is worse than the active one ({chosen.comparison['text']})")
    with database.change() as connection:
        connection.execute("UPDATE artifacts SET state = ? WHERE state = ?", (OLD, ACTIVE))
        connection.execute("UPDATE artifacts SET state = ? WHERE version = ?", (ACTIVE, version))
        record(connection, action, user, artifact=version)


def record_comparison(database: Database, version: int, comparison: dict) -> None:
    """Record how a version compares with the active one: it then waits for a person, or is refused.

    Args:
        database: of the review.
        version: which.
        comparison: as ``review.improvement.comparison.compare`` returns it.
    """
    state = WAITING if comparison["not_worse"] else REFUSED
    with database.change() as connection:
        connection.execute(
            "UPDATE artifacts SET comparison = ?, state = ? WHERE version = ?", (json.dumps(comparison), state, version)
        )
        record(connection, "compared", "server", artifact=version, text=comparison["text"])


def refuse(database: Database, version: int, user: str, reason: str = "") -> None:
    """Refuse a version that waits; it is kept with its card.

    Raises:
        UnknownError: if there is none of that number.
        ConflictError: if it is the active one.
    """
    if artifact(database, version).state == ACTIVE:
        raise ConflictError(f"artifact version {version}: is the active one; roll back to another one first")
    with database.change() as connection:
        connection.execute("UPDATE artifacts SET state = ? WHERE version = ?", (REFUSED, version))
        record(connection, "refuse", user, artifact=version, reason=reason)


def _version_of(row):
    facts = {
        key: row[key] for key in ("version", "folder", "name", "format", "state", "created", "parent", "run", "cases")
    }
    return ArtifactVersion(**facts, comparison=None if row["comparison"] is None else json.loads(row["comparison"]))
