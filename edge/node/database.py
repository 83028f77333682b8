"""The node's database: SQLite with a write-ahead log; what is committed outlives a crash of process or machine."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from medseg.errors import InputError

NAME = "node.sqlite"
VERSION = 1
# States of series: open, complete, parked. Of jobs: waiting, running, done, parked. Of deliveries and commitments:
# waiting, done, parked. Times are seconds since 1970.
_TABLES = """
create table series (uid text primary key, folder text not null, last real not null, expected integer,
    released integer not null default 0, interrupted integer not null default 0, state text not null default 'open',
    reason text not null default '', removed integer not null default 0);
create table instances (uid text primary key, sop_class text not null, series text not null, file text not null,
    bytes integer not null, received real not null);
create index instances_of_series on instances (series);
create table jobs (id integer primary key, series text not null, rule text not null, digest text not null,
    source text not null, state text not null default 'waiting', attempts integer not null default 0,
    due real not null, reason text not null default '', created real not null, ended real, seconds real,
    flags text not null default '[]', volumes text not null default '{}', features text not null default '{}',
    fetched real, removed integer not null default 0, unique (series, rule, digest));
create index jobs_by_state on jobs (state, due);
create table deliveries (id integer primary key, job integer not null, destination text not null, kind text not null,
    file text not null, sop_class text not null, uid text not null, state text not null default 'waiting',
    attempts integer not null default 0, due real not null, reason text not null default '', ended real,
    unique (destination, uid));
create index deliveries_by_state on deliveries (destination, state, due);
create table commitments (id integer primary key, title text not null, transaction_uid text not null,
    instances text not null, state text not null default 'waiting', attempts integer not null default 0,
    due real not null, reason text not null default '', unique (title, transaction_uid));
create table counts (name text primary key, value real not null);
"""


class Database:
    """An open database. Threads share it; each call is one transaction.

    Args:
        folder: of the node; it must exist.

    Raises:
        InputError: if it cannot be opened, is locked by another program, or is of a newer version.
    """

    def __init__(self, folder):
        self.path = Path(folder) / NAME
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            version = self._connection.execute("pragma user_version").fetchone()[0]
            if version > VERSION:
                raise InputError(f"{self.path}: is of version {version}, expected {VERSION}; update medseg-zoo")
            if version == 0:
                self._connection.executescript(f"begin immediate; {_TABLES} pragma user_version = {VERSION}; commit")
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: cannot be opened ({error}); does another program hold it?") from None

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; it is on disk when the block ends, and undone where the block raises."""
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    self._connection.execute("rollback")
                raise

    def rows(self, query: str, *values) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            return self._connection.execute(query, values).fetchone()

    def add(self, name: str, amount: float = 1) -> None:
        """Add to a lasting count."""
        with self.change() as connection:
            count(connection, name, amount)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()


def count(connection: sqlite3.Connection, name: str, amount: float = 1) -> None:
    """Add to a lasting count, within a transaction."""
    connection.execute(
        "insert into counts values (?, ?) on conflict (name) do update set value = value + excluded.value",
        (name, amount),
    )
