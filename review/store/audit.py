"""The audit trail: who did what, when; rows are added and never altered, which the database itself enforces."""

import csv
import datetime
import io
import json
import sqlite3

from medseg.untrusted import spreadsheet_cell
from review.store.database import Database

COLUMNS = ("number", "time", "user", "action", "case", "version", "artifact", "details")


def now() -> str:
    """The time, UTC, as text that sorts."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record(connection: sqlite3.Connection, action: str, user: str, case=None, version=None, artifact=None, **details):
    """Add a row to the trail, in the transaction of what it tells of.

    Args:
        connection: of the open transaction.
        action: "result", "view", "draft", "accept", "correct", "reject", "reopen", "promote", ...
        user: a free name; "server" for what nobody asked for.
        case: its identifier.
        version: of its labels.
        artifact: version of the artifact.
        details: plain JSON types.

    Returns:
        The number of the row.
    """
    cursor = connection.execute(
        "INSERT INTO audit (time, user, action, case_id, version, artifact, details) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (now(), user, action, case, version, artifact, json.dumps(details, sort_keys=True)),
    )
    if case is not None:
        connection.execute("UPDATE cases SET touched = ? WHERE id = ?", (cursor.lastrowid, case))
    return cursor.lastrowid


def audit_csv(database: Database) -> bytes:
    """The whole trail as CSV (RFC 4180), UTF-8.

    What a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    query = "SELECT number, time, user, action, case_id, version, artifact, details FROM audit ORDER BY number"
    for row in database.rows(query):
        writer.writerow([spreadsheet_cell(value) for value in row])
    return text.getvalue().encode("utf-8")
