"""The list of work: a job for each complete series and rule, claimed, finished, tried again or parked."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.node.config import Retry, Rule
from edge.node.database import Database, count
from edge.node.instances import Complete

UPLOAD = "upload"


@dataclass(frozen=True)
class Job:
    """A claimed job.

    Attributes:
        id: its number.
        series: Series Instance UID, or "upload:" and a name.
        rule: name of the rule.
        digest: of the instances that it is of.
        source: of an upload its file, relative to the node's folder; else "".
        attempts: how often it was begun.
    """

    id: int
    series: str
    rule: str
    digest: str
    source: str
    attempts: int


@dataclass(frozen=True)
class Object:
    """A file to deliver.

    Attributes:
        kind: "seg", "sr", ...
        file: relative to the node's folder.
        sop_class, uid: of the instance in it.
    """

    kind: str
    file: str
    sop_class: str
    uid: str


@dataclass(frozen=True)
class Finding:
    """What is kept in the database of a job that was done.

    Attributes:
        seconds: that the network and all around it took.
        flags: why the result should not be believed unseen.
        volumes: name to ml, or mm² of flat images.
        features: name to number, as ``edge.trust.observation`` measures them.
        objects: what is to be delivered.
    """

    seconds: float
    flags: Sequence[str] = ()
    volumes: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    objects: Sequence[Object] = ()


def add_jobs(database: Database, series: Complete, rules: Sequence[Rule]) -> int:
    """Make the jobs of a complete series; of instances that a rule had already there is none.

    Returns:
        How many are new.
    """
    new, now = 0, time.time()
    with database.change() as connection:
        still = connection.execute(
            "update series set state = 'complete' where uid = ? and state = 'open' and last = ?",
            (series.uid, series.last),
        )
        if not still.rowcount:  # more came meanwhile
            return 0
        for rule in rules:
            new += connection.execute(
                "insert or ignore into jobs (series, rule, digest, source, due, created) values (?, ?, ?, '', ?, ?)",
                (series.uid, rule.name, series.digest, now, now),
            ).rowcount
        count(connection, "series_received")
    return new


def add_upload(database: Database, name: str, rule: str, source: Path) -> int:
    """Make the job of a scan that came by HTTP.

    Args:
        database: of the node.
        name: that no other upload has.
        rule: whose artifact segments it.
        source: its file, relative to the node's folder.

    Returns:
        The job's number.
    """
    now = time.time()
    with database.change() as connection:
        return connection.execute(
            "insert into jobs (series, rule, digest, source, due, created) values (?, ?, '', ?, ?, ?)",
            (f"{UPLOAD}:{name}", rule, source.as_posix(), now, now),
        ).lastrowid


def claim(database: Database) -> Job | None:
    """Take the next job that is due; that it was begun is known even if it brings the process down."""
    with database.change() as connection:
        row = connection.execute(
            "select * from jobs where state = 'waiting' and due <= ? order by due, id limit 1", (time.time(),)
        ).fetchone()
        if row is None:
            return None
        connection.execute("update jobs set state = 'running', attempts = attempts + 1 where id = ?", (row["id"],))
    return Job(row["id"], row["series"], row["rule"], row["digest"], row["source"], row["attempts"] + 1)


def finish(database: Database, job: Job, finding: Finding, destinations: Sequence[str]) -> None:
    """Keep what was found, and what is to be delivered, in one step."""
    now = time.time()
    with database.change() as connection:
        for name in destinations:
            for each in finding.objects:
                connection.execute(
                    "insert or ignore into deliveries (job, destination, kind, file, sop_class, uid, due) "
                    "values (?, ?, ?, ?, ?, ?, ?)",
                    (job.id, name, each.kind, each.file, each.sop_class, each.uid, now),
                )
        values = (list(finding.flags), dict(finding.volumes), dict(finding.features))
        connection.execute(
            "update jobs set state = 'done', reason = '', ended = ?, seconds = ?, flags = ?, volumes = ?, features = ? "
            "where id = ?",
            (now, finding.seconds, *map(json.dumps, values), job.id),
        )
        count(connection, "jobs_done")
        count(connection, "seconds", finding.seconds)
        count(connection, "flags", len(finding.flags))


def fail(database: Database, job: Job, reason: str, retry: Retry | None) -> bool:
    """Set a job aside after a failure.

    Args:
        database: of the node.
        job: what failed.
        reason: a line without a word of the patient.
        retry: how it is tried again; None where that would fail again.

    Returns:
        Whether it is parked, not to be tried again by itself.
    """
    parked = retry is None or job.attempts >= retry.attempts
    due = time.time() if parked else time.time() + retry.wait(job.attempts)
    with database.change() as connection:
        connection.execute(
            "update jobs set state = ?, reason = ?, due = ? where id = ?",
            ("parked" if parked else "waiting", reason, due, job.id),
        )
        count(connection, "jobs_parked" if parked else "jobs_failed")
    return parked


def put_back(database: Database, job: Job) -> None:
    """Give a job back that was stopped half-way, as if it had not been begun."""
    with database.change() as connection:
        connection.execute("update jobs set state = 'waiting', attempts = attempts - 1 where id = ?", (job.id,))


def supersede(database: Database, job: Job) -> None:
    """End a job whose series has got more instances; those make a job of their own."""
    with database.change() as connection:
        connection.execute("update jobs set state = 'superseded', ended = ? where id = ?", (time.time(), job.id))


def recover(database: Database, retry: Retry) -> None:
    """After a start: what was running is waiting again; what brought the node down too often is parked."""
    with database.change() as connection:
        connection.execute(
            "update jobs set state = 'parked', reason = 'the node ended ' || attempts || ' times while working on it' "
            "where state = 'running' and attempts >= ?",
            (retry.attempts,),
        )
        connection.execute("update jobs set state = 'waiting' where state = 'running'")


def try_again(database: Database, number: int) -> bool:
    """Take up a parked job, or the parked deliveries of one that is done.

    Returns:
        Whether there was something to take up.
    """
    now = time.time()
    with database.change() as connection:
        jobs = connection.execute(
            "update jobs set state = 'waiting', attempts = 0, due = ? where id = ? and state = 'parked'", (now, number)
        )
        sent = connection.execute(
            "update deliveries set state = 'waiting', attempts = 0, due = ? where job = ? and state = 'parked'",
            (now, number),
        )
        return bool(jobs.rowcount + sent.rowcount)
