"""Storage commitment (PS3.4 annex J): whether instances are kept, asked and answered by messages of their own."""

import json
import time
from collections.abc import Sequence

from edge.node.config import Config, Retry
from edge.node.database import Database, count
from medseg.errors import InputError

_ALL_KEPT, _SOME_NOT = 1, 2  # event types
_NO_SUCH_INSTANCE = 0x0112
SECONDS = 30
# The Push Model and its one well-known instance, PS3.4 J.3.5.
_SOP_CLASS, _SOP_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def keep_request(database: Database, title: str, information) -> bool:
    """Make a request durable, to be answered later.

    Args:
        database: of the node.
        title: AE title of who asks.
        information: the data set of the N-ACTION.

    Returns:
        Whether it is one that can be answered.

    Raises:
        InputError: if the data set is damaged.
    """
    try:
        transaction = str(information.TransactionUID)
        asked = [
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in information.ReferencedSOPSequence
        ]
    except Exception as error:  # what damaged data sets make pydicom raise is of many types
        raise InputError(f"request for storage commitment: is damaged ({type(error).__name__})") from None
    if not asked:
        return False
    with database.change() as connection:
        connection.execute(
            "insert or ignore into commitments (title, transaction_uid, instances, due) values (?, ?, ?, ?)",
            (title.strip(), transaction, json.dumps(asked), time.time()),
        )
    return True


def answer_due(database: Database, config: Config) -> int:
    """Answer the requests that are due.

    Returns:
        How many were answered.
    """
    done = 0
    for row in database.rows(
        "select * from commitments where state = 'waiting' and due <= ? order by id limit 20", time.time()
    ):
        caller = next((each for each in config.caller if each.title == row["title"] and each.port), None)
        if caller is None:
            _set_aside(database, row, "the [[caller]] has no host and port for the answer", None)
            continue
        asked = [tuple(pair) for pair in json.loads(row["instances"])]
        kept = [pair for pair in asked if _is_kept(database, *pair)]
        problem = _report(config, caller, row["transaction_uid"], kept, [pair for pair in asked if pair not in kept])
        if problem:
            _set_aside(database, row, problem, config.retry)
            continue
        with database.change() as connection:
            connection.execute("update commitments set state = 'done', reason = '' where id = ?", (row["id"],))
            count(connection, "commitments_done")
        done += 1
    return done


def _is_kept(database, sop_class, uid) -> bool:
    row = database.row("select sop_class from instances where uid = ?", uid)
    return row is not None and row["sop_class"] == sop_class


def _report(config, caller, transaction, kept: Sequence, lacking: Sequence) -> str:
    """Send the N-EVENT-REPORT; returns what went wrong, or ""."""
    from pydicom.dataset import Dataset
    from pynetdicom import AE, build_role

    entity = AE(config.dicom.title)
    entity.acse_timeout = entity.connection_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
    entity.add_requested_context(_SOP_CLASS)
    role = build_role(_SOP_CLASS, scp_role=True)
    association = entity.associate(caller.host, caller.port, ae_title=caller.title, ext_neg=[role])
    if not association.is_established:
        return "the caller cannot be reached, or rejects the association"
    try:
        report = Dataset()
        report.TransactionUID = transaction
        report.ReferencedSOPSequence = [_item(pair) for pair in kept]
        if lacking:
            report.FailedSOPSequence = [_item(pair, _NO_SUCH_INSTANCE) for pair in lacking]
        kind = _SOME_NOT if lacking else _ALL_KEPT
        status, _ = association.send_n_event_report(report, kind, _SOP_CLASS, _SOP_INSTANCE)
        return "" if status.get("Status") == 0 else "the caller did not take the answer"
    except (ValueError, RuntimeError) as error:
        return f"the caller takes no answers of storage commitment ({type(error).__name__})"
    finally:
        if association.is_established:
            association.release()


def _item(pair, reason: int | None = None):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = pair
    if reason is not None:
        item.FailureReason = reason
    return item


def _set_aside(database, row, reason, retry: Retry | None):
    attempts = row["attempts"] + 1
    ends = retry is None or attempts >= retry.attempts
    with database.change() as connection:
        connection.execute(
            "update commitments set state = ?, attempts = ?, reason = ?, due = ? where id = ?",
            ("parked" if ends else "waiting", attempts, reason, time.time() + (0 if ends else retry.wait(attempts)),
             row["id"]),
        )  # fmt: skip
