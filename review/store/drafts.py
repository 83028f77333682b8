"""Unfinished corrections, one a user and case: on the disk before they are acknowledged.

Several windows of one person, and programs under that person's name, share the one draft. Each of them says which
window it is; what another one saved is only replaced or removed by who says that it has seen it.
"""

import contextlib
import hashlib
import secrets
from dataclasses import dataclass, replace
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
        window: that saved it, a name that the page draws anew whenever it opens a case; "" for programs that say none.
    """

    user: str
    seq: int
    base: int
    saved: str
    window: str = ""

    @property
    def mark(self) -> str:
        """What tells this draft from all others of the user and case: ``WINDOW/SEQ``."""
        return f"{self.window}/{self.seq}"


def save_draft(
    database: Database, workspace: Workspace, case: str, draft: Draft, content: bytes, seen: str = ""
) -> Draft:
    """Keep a draft in place of the user's former one of the case.

    The file is written under a name that nobody else writes, then the row is altered, then the former file goes:
    whenever the server is killed, and whatever another window saves meanwhile, the row leads to the file that was
    acknowledged.

    Args:
        database, workspace: of the review.
        case: its name.
        draft: whose, and its number; ``saved`` is set here.
        content: gzipped NIfTI on the page's grid.
        seen: ``mark`` of the kept draft of another window that this one shall replace.

    Returns:
        The draft as it was kept.

    Raises:
        ConflictError: if the number is not larger than that of the draft that is kept, or another window saved that
            one and ``seen`` is not its mark.
        OSError, UnavailableError: if it cannot be kept; the former draft still is.
    """
    stored = _row(database, case, draft.user)
    _check_newer(stored, draft, seen)
    path = workspace.draft(case, f"{_key(draft.user)}-{secrets.token_hex(8)}", draft.seq)
    write_durably(path, content)
    kept = replace(draft, saved=now())
    try:
        with database.change() as connection:
            stored = connection.execute(
                "SELECT * FROM drafts WHERE case_id = ? AND user = ?", (case, draft.user)
            ).fetchone()
            _check_newer(stored, draft, seen)
            connection.execute(
                "INSERT OR REPLACE INTO drafts (case_id, user, seq, base, saved, window, file)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (case, kept.user, kept.seq, kept.base, kept.saved, kept.window, path.name),
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


def discard_draft(
    database: Database, workspace: Workspace, case: str, user: str, window: str = "", seen: str = ""
) -> None:
    """Forget a user's draft as one of that user's windows asks for it.

    Args:
        database, workspace: of the review.
        case: its name.
        user: whose.
        window: that asks; its own draft goes.
        seen: ``mark`` of the draft of another window that shall go.

    Raises:
        ConflictError: if another window saved the draft that is kept, and ``seen`` is not its mark.
    """
    row = _row(database, case, user)
    if row is None:
        return
    draft = _draft(row)
    _check_seen(draft, window, seen)
    remove_draft(database, workspace, case, user, draft)


def remove_draft(database: Database, workspace: Workspace, case: str, user: str, only: Draft | None = None) -> None:
    """Forget a draft, none that is saved meanwhile; with ``only`` just that one, where it is still kept."""
    row = _row(database, case, user)
    if row is None or (only is not None and _draft(row) != only):
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
    return Draft(row["user"], row["seq"], row["base"], row["saved"], row["window"])


def _check_newer(stored, draft, seen):
    if stored is None:
        return
    kept = _draft(stored)
    if kept.seq >= draft.seq:
        raise ConflictError(
            f"draft {draft.seq} of {draft.user}: {kept.seq} is kept already, another window may have saved it; "
            "load the draft, or count on from there",
            seq=kept.seq,
            window=kept.window,
        )
    _check_seen(kept, draft.window, seen)


def _check_seen(kept: Draft, window: str, seen: str):
    """Numbers alone do not tell whose they are: a window that lost an answer counts on all the same."""
    if kept.window != window and kept.mark != seen:
        raise ConflictError(
            f"draft of {kept.user}: another window saved {kept.mark}, which this one has not seen; load the draft, or "
            f"send seen={kept.mark}",
            seq=kept.seq,
            window=kept.window,
        )


def _key(user: str) -> str:
    """A user's name as a file name on every system."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _remove(path: Path):
    with contextlib.suppress(OSError):  # what is left is found nowhere and harms nobody
        path.unlink()
