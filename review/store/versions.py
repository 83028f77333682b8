"""Versions of a case's labels: what a network made, what a person made of it, and what was decided."""

import json
from dataclasses import dataclass, field

from imaging.labels import Label
from imaging.scan import Scan
from medseg.atomic import write_durably
from review.errors import ConflictError, DecidedError, NewerVersionError, UnknownError, WrongRequestError
from review.store.audit import now, record
from review.store.cases import ACCEPTED, DECIDED, REJECTED, SEGMENTED, Case
from review.store.database import Database
from review.store.workspace import Workspace
from review.volumes.labels import compare, label_bytes

NETWORK, CORRECTION, UPLOAD, REFERENCE = "network", "correction", "upload", "reference"
ACTIONS = {"accept": ACCEPTED, "reject": REJECTED, "reopen": SEGMENTED}


@dataclass(frozen=True)
class Result:
    """New labels of a case, and what is known of them.

    Attributes:
        labels: (i, j, k, 1) on the page's grid.
        kind: "network", "correction", "upload" or "reference".
        state: of the case from now on.
        user: who made them; None for a network.
        artifact: version of the artifact that did.
        seconds: that it took.
        reason: why they were corrected.
        volumes: ml or mm² of each structure.
        quality, flags, features: as ``edge.Segmentation`` has them.
    """

    labels: Scan
    kind: str
    state: str
    user: str | None = None
    artifact: int | None = None
    seconds: float | None = None
    reason: str = ""
    volumes: dict = field(default_factory=dict)
    quality: dict | None = None
    flags: tuple[str, ...] = ()
    features: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What a correction changed.

    Attributes:
        base: version that it was made from.
        voxels: that differ.
        dice: of each structure, the base against the new labels.
    """

    base: int
    voxels: int
    dice: dict[str, float]


def change_from(base: int, before: Scan, after: Scan, labels: tuple[Label, ...]) -> Change:
    """Compare new labels with those that they were made from."""
    return Change(base, *compare(before.voxels, after.voxels, labels))


def save_result(
    database: Database, workspace: Workspace, case: str, result: Result, change: Change | None = None
) -> int:
    """Keep new labels of a case, durably.

    Args:
        database, workspace: of the review.
        case: its name.
        result: the labels.
        change: what they changed; None where they come from nothing. Its base must still be the newest version.

    Returns:
        The number of the version.

    Raises:
        NewerVersionError: if somebody saved a version since ``change.base``.
        DecidedError: if a person decided on the case, and these labels are no correction.
        OSError, UnavailableError: if it cannot be kept; then nothing was changed.
    """
    content = label_bytes(result.labels)
    with database.change() as connection:
        newest = _newest(connection, case)
        if result.kind != CORRECTION:
            check_undecided(connection, case)
        if change is not None and newest != change.base:
            raise _newer(connection, case, newest, change.base)
        version = newest + 1
        write_durably(workspace.label(case, version), content)
        connection.execute(
            "INSERT INTO versions (case_id, version, kind, artifact, user, created, seconds, voxels_changed, dice,"
            " base, volumes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                case, version, result.kind, result.artifact, result.user, now(), result.seconds,
                None if change is None else change.voxels, None if change is None else json.dumps(change.dice),
                None if change is None else change.base, json.dumps(result.volumes),
            ),
        )  # fmt: skip
        connection.execute(
            "UPDATE cases SET state = ?, version = ?, changed = ?, volumes = ?, error = NULL, user = ?, reason = ?"
            " WHERE id = ?",
            (result.state, version, now(), json.dumps(result.volumes), result.user, result.reason, case),
        )
        if result.kind == NETWORK:
            connection.execute(
                "UPDATE cases SET quality = ?, flags = ?, features = ? WHERE id = ?",
                (_json(result.quality), json.dumps(result.flags), json.dumps(result.features), case),
            )
        details = {"seconds": result.seconds, "reason": result.reason}
        if change is not None:
            details |= {"base": change.base, "voxels_changed": change.voxels, "dice": change.dice}
        action = {NETWORK: "result", CORRECTION: "correct"}.get(result.kind, result.kind)
        record(connection, action, result.user or "server", case, version, result.artifact, **details)
    return version


def check_undecided(connection, case: str) -> None:
    """Require that no person decided on a case: what is no correction must not take the place of what they decided.

    Args:
        connection: to the database.
        case: its name.

    Raises:
        DecidedError: otherwise.
    """
    row = connection.execute("SELECT state FROM cases WHERE id = ?", (case,)).fetchone()
    if row is not None and row["state"] in DECIDED:
        raise DecidedError(f"case {case}: was {row['state']} by a person, which stays; send a correction, or reopen it")


def decide(database: Database, case: Case, action: str, user: str, version: int, reason="", seconds=None) -> None:
    """Accept, reject or reopen the newest version of a case.

    Args:
        database: of the review.
        case: the case.
        action: "accept", "reject" or "reopen".
        user: who decides.
        version: that the user saw.
        reason: why; a rejection needs one.
        seconds: spent on it.

    Raises:
        WrongRequestError: for an unknown action, or a rejection without a reason.
        NewerVersionError: if the user did not see the newest version.
        ConflictError: if there are no labels to decide on.
    """
    if action not in ACTIONS:
        raise WrongRequestError(f"action {action[:40]!r}: expected correct, {', '.join(ACTIONS)}")
    if action == "reject" and not reason.strip():
        raise WrongRequestError("reason: expected why the result is rejected, got nothing")
    with database.change() as connection:
        newest = _newest(connection, case.id)
        if not newest:
            raise ConflictError(f"case {case.id}: has no labels yet, so there is nothing to {action}")
        if newest != version:
            raise _newer(connection, case.id, newest, version)
        connection.execute(
            "UPDATE cases SET state = ?, changed = ?, user = ?, reason = ? WHERE id = ?",
            (ACTIONS[action], now(), user, reason, case.id),
        )
        record(connection, action, user, case.id, version, reason=reason, seconds=seconds)


def versions_of(database: Database, case: str) -> list[dict]:
    """The versions of a case's labels, oldest first, as plain JSON types."""
    query = (
        "SELECT v.*, a.name AS artifact_name FROM versions v LEFT JOIN artifacts a ON a.version = v.artifact"
        " WHERE case_id = ? ORDER BY v.version"
    )
    return [_plain(row) for row in database.rows(query, case)]


def check_version(database: Database, case: Case, version: int | None) -> int:
    """The version that is meant, the newest by default.

    Raises:
        UnknownError: if there is none of that number.
    """
    expected = case.version if version is None else version
    if expected is None:
        raise UnknownError(f"case {case.id}: has no labels yet")
    if database.row("SELECT 1 FROM versions WHERE case_id = ? AND version = ?", case.id, expected) is None:
        raise UnknownError(f"case {case.id}: has no version {expected}, expected 1 to {case.version}")
    return expected


def _plain(row):
    artifact = None if row["artifact"] is None else f"{row['artifact_name']} v{row['artifact']}"
    return {
        "version": row["version"],
        "kind": row["kind"],
        "artifact": artifact,
        "user": row["user"],
        "created": row["created"],
        "seconds": row["seconds"],
        "voxels_changed": row["voxels_changed"],
        "dice": None if row["dice"] is None else json.loads(row["dice"]),
        "base": row["base"],
    }


def _newest(connection, case) -> int:
    row = connection.execute("SELECT MAX(version) AS newest FROM versions WHERE case_id = ?", (case,)).fetchone()
    return row["newest"] or 0


def _newer(connection, case, newest, base):
    row = connection.execute(
        "SELECT user, kind FROM versions WHERE case_id = ? AND version = ?", (case, newest)
    ).fetchone()
    who = None if row is None else row["user"]
    by = who or "the network"
    return NewerVersionError(
        f"case {case}: {by} saved version {newest} meanwhile, yours was made from {base}; your draft is kept",
        version=newest or None,
        user=who,
    )


def _json(value):
    return None if value is None else json.dumps(value)
