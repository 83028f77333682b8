"""Alert lines: told once, on the terminal and in the audit trail, when a limit is crossed."""

import sys
from collections.abc import Sequence

from edge.trust.fingerprint import Fingerprint
from review.monitoring.summary import last_days, summary
from review.store.audit import record
from review.store.database import Database

DAYS = 90


def watch(database: Database, structures: Sequence[str], fingerprint: Fingerprint | None, known: set[str]) -> list[str]:
    """Tell of limits that are crossed now and were not before.

    Args:
        database, structures, fingerprint: as for ``review.monitoring.summary.summary``.
        known: what was told already, by the words before the numbers; brought up to date.

    Returns:
        The new lines.
    """
    numbers = summary(database, structures, fingerprint, last_days(DAYS))
    lines = [alert["text"] for alert in numbers["alerts"]]
    new = [line for line in lines if line.split(":")[0] not in known]
    known.clear()
    known.update(line.split(":")[0] for line in lines)
    for line in new:
        print(f"alert: {line}", file=sys.stderr, flush=True)
        with database.change() as connection:
            record(connection, "alert", "server", text=line)
    return new
