"""Unfinished corrections, one a user and case: on the disk before they are acknowledged."""

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import write_durably
from medseg.untrusted import read_limited
from review.errors import ConflictError, UnavailableError, UnknownError
from review.store.audit import now, record
from review.store.database import Database
from review.store.workspace import Workspace

_LARGEST = 2**31


@dataclass(frozen=True)
class Draft:
    """A draft without its voxels.

    Attributes:
        user: whose it is.
        seq: number that the client counts up with every save.
        base: version of the labels that it was begun from, 0 for none.
        saved: when, UTC.
    """

    user: str
    seq: int
    base: int
    saved: str


def save_draft(database: Database, workspace: Workspace, case: str, draft: Draft, content: bytes) -> Draft:
    """Keep a draft in place of the user's former one of the case.

    The file is written under a name that nobody else writes, then the row is altered, then the former file goes:
    whenever the server is killed, and whatever another window saves meanwhile, the row leads to the file that was
    acknowledged.

    Args:
        database, workspace: of the review.
        case: its name.
        draft: whose, and its number; ``saved`` is set here.
        content: gzipped NIfTI on the page's grid.

    Returns:
        The draft as it was kept.

    Raises:
        ConflictError: if the number is not larger than that of the draft that is kept.
        OSError, UnavailableError: if it cannot be kept; the former draft still is.
    """
    stored = _row(database, case, draft.user)
    _check_newer(stored, draft)
    path = workspace.draft(case, f"{_key(draft.user)}-{secrets.token_hex(8)}", draft.seq)
    write_durably(path, content)
    kept = Draft(draft.user, draft.seq, draft.base, now())
    try:
        with database.change() as connection:
            stored = connection.execute(
                "SELECT * FROM drafts WHERE case_id = ? AND user = ?", (case, draft.user)
            ).fetchone()
            _check_newer(stored, draft)
            connection.execute(
                "INSERT OR REPLACE INTO drafts (case_id, user, seq, base, saved, file) VALUES (?, ?, ?, ?, ?, ?)",
                (case, kept.user, kept.seq, kept.base, kept.saved, path.name),
            )
            if stored is None:  # that it was begun; every stroke would swell the trail
                record(connection, "draft", draft.user, case, draft.base or None)
    except Exception:
        _remove(path)
        raise
    if stored is not None:
        _remove(path.with_name(stored["file"]))
    return kept


def read_draft(database: Database, workspace: Workspace, case: str, user: str) -> tuple[Draft, bytes]:
    """A user's draft and its file.

    Raises:
        UnknownError: if there is none.
        UnavailableError: if its file cannot be read.
    """
    former = None
    while True:
        row = _row(database, case, user)
        if row is None:
            raise UnknownError(f"case {case}: {user} has no draft of it")
        try:
            return _draft(row), read_limited(_path(workspace, case, row), _LARGEST, "a draft")
        except OSError as error:
            if row["file"] == former:
                raise UnavailableError(f"case {case}: the draft cannot be read ({error.strerror})") from None
            former = row["file"]  # a newer one may have taken its place since the row was read


def remove_draft(database: Database, workspace: Workspace, case: str, user: str, seq: int | None = None) -> None:
    """Forget a draft; with ``seq`` only one that is not newer than that."""
    row = _row(database, case, user)
    if row is None or (seq is not None and row["seq"] > seq):
        return
    with database.change() as connection:
        query = "DELETE FROM drafts WHERE case_id = ? AND user = ? AND file = ?"
        if not connection.execute(query, (case, user, row["file"])).rowcount:
            return  # a newer one took its place
        record(connection, "draft removed", user, case)
    _remove(_path(workspace, case, row))


def drafts_of(database: Database, case: str | None = None) -> dict[str, list[Draft]]:
    """Drafts by case, the newest first; of one case, or of all."""
    query = "SELECT * FROM drafts WHERE ? IS NULL OR case_id = ? ORDER BY saved DESC"
    drafts: dict[str, list[Draft]] = {}
    for row in database.rows(query, case, case):
        drafts.setdefault(row["case_id"], []).append(_draft(row))
    return drafts


def _row(database, case, user):
    return database.row("SELECT * FROM drafts WHERE case_id = ? AND user = ?", case, user)


def _path(workspace, case, row):
    return workspace.draft(case, _key(row["user"]), row["seq"]).with_name(row["file"])


def _draft(row):
    return Draft(row["user"], row["seq"], row["base"], row["saved"])


def _check_newer(stored, draft):
    if stored is not None and stored["seq"] >= draft.seq:
        raise ConflictError(
            f"draft {draft.seq} of {draft.user}: {stored['seq']} is kept already, another window may have saved it; "
            "load the draft, or count on from there",
            seq=stored["seq"],
        )


def _key(user: str) -> str:
    """A user's name as a file name on every system."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _remove(path: Path):
    with contextlib.suppress(OSError):  # what is left is found nowhere and harms nobody
        path.unlink()
