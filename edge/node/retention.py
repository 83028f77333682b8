"""Removing what is not needed any more: never before every result of it was delivered."""

import time
from pathlib import Path

from edge.node.database import Database
from edge.node.storage import RESULTS, remove_tree

HOUR = 3600.0
# A series whose every job ended so long ago, with results that all were taken; a job without deliveries was fetched.
_SERIES = """
select uid, folder, (select count(*) from instances where series = series.uid) as n from series
where state = 'complete' and n > 0 and exists (select 1 from jobs where jobs.series = series.uid)
and not exists (select 1 from jobs where jobs.series = series.uid and state != 'superseded' and
    (state != 'done' or ended > ?1 or id in (select job from deliveries where state != 'done' or ended > ?1) or
    (id not in (select job from deliveries) and coalesce(fetched, ?2) > ?1)))
"""
_RESULTS = """
select id, source from jobs where removed = 0 and state in ('done', 'superseded') and ended <= ?1
and not exists (select 1 from deliveries where job = jobs.id and (state != 'done' or ended > ?1))
and (id in (select job from deliveries) or state = 'superseded' or coalesce(fetched, ?2) <= ?1)
"""


def tidy(database: Database, folder: Path, keep_hours: float) -> int:
    """Remove scans and results whose time is over.

    Args:
        database: of the node.
        folder: of the node.
        keep_hours: after the last delivery, or, of what HTTP alone gives, after it was fetched.

    Returns:
        How many series and results were removed.
    """
    before, removed = time.time() - keep_hours * HOUR, 0
    never = time.time() + HOUR
    for row in database.rows(_SERIES, before, never):
        # Rows first: an instance without its file would be lost, a file without a row is only waste.
        with database.change() as connection:
            gone = connection.execute(
                "update series set removed = ? where uid = ? and state = 'complete'", (row["n"], row["uid"])
            ).rowcount
            if gone:
                connection.execute("delete from instances where series = ?", (row["uid"],))
        if gone:
            remove_tree(folder / row["folder"])
            removed += 1
    for row in database.rows(_RESULTS, before, never):
        remove_tree(folder / RESULTS / str(row["id"]))
        if row["source"]:
            (folder / row["source"]).unlink(missing_ok=True)
        with database.change() as connection:
            connection.execute("update jobs set removed = 1 where id = ?", (row["id"],))
        removed += 1
    return removed
