"""The SQLite file of a review: write-ahead log, every commit on the disk before it is acknowledged."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from medseg.errors import InputError
from review.errors import UnavailableError, WrongRequestError

VERSION = 2
WAIT_S = 5.0
_TOO_LARGE = "a number of the request is too large; expected one of 64 bits"

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cases (
  id TEXT PRIMARY KEY, files TEXT NOT NULL, state TEXT NOT NULL, added TEXT NOT NULL, changed TEXT NOT NULL,
  touched INTEGER NOT NULL DEFAULT 0, present INTEGER NOT NULL DEFAULT 1, version INTEGER, quality TEXT,
  flags TEXT NOT NULL DEFAULT '[]', features TEXT NOT NULL DEFAULT '{}', volumes TEXT NOT NULL DEFAULT '{}',
  error TEXT, user TEXT, reason TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL DEFAULT '{}');
CREATE TABLE versions (
  case_id TEXT NOT NULL REFERENCES cases(id), version INTEGER NOT NULL, kind TEXT NOT NULL, artifact INTEGER,
  user TEXT, created TEXT NOT NULL, seconds REAL, voxels_changed INTEGER, dice TEXT, base INTEGER,
  volumes TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (case_id, version));
CREATE TABLE drafts (
  case_id TEXT NOT NULL REFERENCES cases(id), user TEXT NOT NULL, seq INTEGER NOT NULL, base INTEGER NOT NULL,
  saved TEXT NOT NULL, file TEXT NOT NULL, window TEXT NOT NULL DEFAULT '', PRIMARY KEY (case_id, user));
CREATE TABLE tags (
  case_id TEXT NOT NULL REFERENCES cases(id), tag TEXT NOT NULL, version INTEGER NOT NULL, info TEXT NOT NULL,
  PRIMARY KEY (case_id, tag));
CREATE TABLE image_info (case_id TEXT PRIMARY KEY REFERENCES cases(id), info TEXT NOT NULL);
CREATE TABLE artifacts (
  version INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL, format TEXT NOT NULL, sha256 TEXT NOT NULL,
  state TEXT NOT NULL, created TEXT NOT NULL, parent INTEGER, comparison TEXT, run TEXT, cases INTEGER);
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL,
  case_id TEXT, version INTEGER, artifact INTEGER, details TEXT NOT NULL);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE INDEX audit_by_case ON audit (case_id);
"""

# What makes a file of that schema one of the next.
_STEPS = {1: "ALTER TABLE drafts ADD COLUMN window TEXT NOT NULL DEFAULT '';"}


class Database:
    """An open database; threads share it, a change at a time.

    Args:
        path: of the file; made where it is missing.
        wait_s: how long a lock of another process is waited for.

    Raises:
        InputError: if the file is no database of a review, or a newer version's.
        UnavailableError: if another process holds it locked.
    """

    def __init__(self, path, wait_s: float = WAIT_S):
        self.path = Path(path)
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(self.path, timeout=wait_s, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            self._prepare()
        except sqlite3.OperationalError as error:
            raise UnavailableError(f"{self.path}: {error}; close what holds it, or choose another --work") from None
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path}: is no database of a review ({error}); move it away") from None

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done in it is on the disk when the block ends, or nothing of it is.

        Raises:
            UnavailableError: if the database stays locked, the disk is full or the file was damaged.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise self._unavailable(error) from None
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._undo()
                raise self._unavailable(error) from None
            except OverflowError:
                self._undo()
                raise WrongRequestError(_TOO_LARGE) from None
            except BaseException:
                self._undo()
                raise

    def rows(self, query: str, *values) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                raise self._unavailable(error) from None
            except OverflowError:
                raise WrongRequestError(_TOO_LARGE) from None

    def row(self, query: str, *values) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(query, *values)), None)

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        with self._lock:
            self._connection.close()

    def _prepare(self):
        number = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if number > VERSION:
            raise InputError(f"{self.path}: has schema {number}, expected at most {VERSION}; pip install -U medseg-zoo")
        if number == 0:
            script = f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;"
            self._connection.executescript(script)
            return
        for former in range(number, VERSION):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {_STEPS[former]} PRAGMA user_version={former + 1}; COMMIT;"
            )

    def _undo(self):
        with contextlib.suppress(sqlite3.Error):  # nothing was begun, or the file is gone
            self._connection.execute("ROLLBACK")

    def _unavailable(self, error):
        return UnavailableError(f"the database cannot be used now ({error}); nothing was changed, try again")
