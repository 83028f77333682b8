"""What is still to be sent: taken per destination, marked when it was taken there, tried again or parked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge.node.config import Retry
from edge.node.database import Database, count

BATCH = 100


@dataclass(frozen=True)
class Delivery:
    """A file on its way to a destination.

    Attributes:
        id: its number.
        job: number of the job that made it.
        kind: "seg", "sr", ...
        file: relative to the node's folder.
        sop_class, uid: of the instance in it.
        attempts: how often sending it failed.
    """

    id: int
    job: int
    kind: str
    file: str
    sop_class: str
    uid: str
    attempts: int


def due(database: Database, destination: str) -> list[Delivery]:
    """The deliveries to a destination that are due, in the order in which they were made."""
    rows = database.rows(
        "select * from deliveries where destination = ? and state = 'waiting' and due <= ? order by id limit ?",
        destination, time.time(), BATCH,
    )  # fmt: skip
    names = Delivery.__dataclass_fields__
    return [Delivery(**{name: row[name] for name in names}) for row in rows]


def delivered(database: Database, delivery: Delivery) -> None:
    """The destination has it."""
    with database.change() as connection:
        connection.execute(
            "update deliveries set state = 'done', reason = '', ended = ? where id = ?", (time.time(), delivery.id)
        )
        count(connection, "deliveries_done")


def failed(database: Database, deliveries: Sequence[Delivery], reason: str, retry: Retry | None) -> int:
    """Sending did not succeed.

    Args:
        database: of the node.
        deliveries: what was not sent.
        reason: a line.
        retry: how it is tried again; None where it would be refused again.

    Returns:
        How many are parked.
    """
    parked, now = 0, time.time()
    with database.change() as connection:
        for each in deliveries:
            attempts = each.attempts + 1
            ends = retry is None or attempts >= retry.attempts
            values = ("parked" if ends else "waiting", attempts, reason, now + (0 if ends else retry.wait(attempts)))
            connection.execute(
                "update deliveries set state = ?, attempts = ?, reason = ?, due = ? where id = ?", (*values, each.id)
            )
            parked += ends
            count(connection, "deliveries_parked" if ends else "deliveries_failed")
    return parked
