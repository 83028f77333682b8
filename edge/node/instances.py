"""What was received: instances and the series that they make up, durable, each instance once."""

import hashlib
import io
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge.node.database import Database, count
from edge.node.storage import RECEIVED, hashed
from imaging.io.dicom.dataset import load_pydicom
from medseg.atomic import write_durably
from medseg.errors import InputError

_PATIENCE = 10  # with a sender that pauses within its association


@dataclass(frozen=True)
class Instance:
    """An instance as it came.

    Attributes:
        uid: SOP Instance UID.
        sop_class: SOP Class UID.
        series: Series Instance UID.
        expected: instances of its series, where the header says so; else None.
        content: the DICOM file.
    """

    uid: str
    sop_class: str
    series: str
    expected: int | None
    content: bytes


@dataclass(frozen=True)
class Complete:
    """A series that is complete.

    Attributes:
        uid: Series Instance UID.
        files: of its instances.
        digest: of their unique identifiers: the same for the same instances.
        last: when the last of them came.
    """

    uid: str
    files: tuple[Path, ...]
    digest: str
    last: float


def parse(content: bytes, count_keyword: str = "") -> Instance:
    """Look at an instance, so that none is taken that was cut short on its way.

    Args:
        content: a DICOM file.
        count_keyword: the attribute that says how many instances the series has.

    Raises:
        InputError: if it cannot be read, lacks an identifier or pixels, or has fewer pixels than its header says. The
            message holds nothing of the header.
    """
    pydicom = load_pydicom()
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        names = ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID")
        uid, sop_class, series = (str(dataset.get(name) or "") for name in names)
        expected = dataset.get(count_keyword) if count_keyword else None
        lacking = _lacking(dataset)
    except Exception as error:  # what damaged data sets make pydicom raise is of many types
        raise InputError(f"cannot be read, it is truncated or damaged ({type(error).__name__})") from None
    for name, value in zip(names, (uid, sop_class, series), strict=True):
        if not value:
            raise InputError(f"has no {name}")
    if lacking:
        raise InputError(lacking)
    whole = isinstance(expected, int) and expected > 0
    return Instance(uid, sop_class, series, int(expected) if whole else None, content)


def _lacking(dataset) -> str:
    """What is wrong with the pixels of an image; "" for nothing."""
    if "PixelData" not in dataset:
        return "holds no pixels, it is truncated or no image"
    frames = int(dataset.get("NumberOfFrames") or 1)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        from pydicom.encaps import generate_frames

        present = sum(1 for _ in generate_frames(dataset.PixelData, number_of_frames=frames))
        return "" if present == frames else f"holds {present} frames, expected {frames}; it is truncated"
    samples = int(dataset.get("SamplesPerPixel") or 1)
    subsampled = dataset.get("PhotometricInterpretation") == "YBR_FULL_422"
    bits = int(dataset.BitsAllocated) * (2 if subsampled else samples)
    needed = (int(dataset.Rows) * int(dataset.Columns) * frames * bits + 7) // 8
    present = len(dataset.PixelData)
    return "" if present >= needed else f"holds {present} bytes of pixels, expected {needed}; it is truncated"


def keep(database: Database, folder: Path, instance: Instance) -> bool:
    """Make an instance durable: its file first, then its row. Its series is open again if the instance is new.

    Args:
        database: of the node.
        folder: of the node.
        instance: as ``parse`` returns it.

    Returns:
        Whether it is new; one that is there already is not written again.

    Raises:
        InputError: if it is there already in another series.
        OSError, sqlite3.Error: if disk or database refuse; there is then no row, and no half a file.
    """
    known = database.row("select series from instances where uid = ?", instance.uid)
    if known is not None and known["series"] != instance.series:
        raise InputError("is there already, in another series")
    name = f"{RECEIVED}/{hashed(instance.series)}/{hashed(instance.uid)}.dcm"
    if known is None:
        write_durably(folder / name, instance.content)
    now = time.time()
    with database.change() as connection:
        if known is None:
            # Two associations may have sent the same instance at once; the second changes nothing.
            added = connection.execute(
                "insert or ignore into instances values (?, ?, ?, ?, ?, ?)",
                (instance.uid, instance.sop_class, instance.series, name, len(instance.content), now),
            ).rowcount
        else:
            added = 0
        connection.execute(
            "insert into series (uid, folder, last, expected) values (?, ?, ?, ?) on conflict (uid) do update set "
            "last = excluded.last, released = 0, interrupted = 0, reason = '', state = 'open', "
            "expected = coalesce(excluded.expected, expected) where state != 'complete' or ?",
            (instance.series, f"{RECEIVED}/{hashed(instance.series)}", now, instance.expected, added),
        )
        count(connection, "instances_received" if added else "instances_repeated")
    return bool(added)


def released(database: Database, series: set[str]) -> None:
    """An association that brought instances of these series ended as it should."""
    with database.change() as connection:
        connection.executemany("update series set released = 1 where uid = ?", [(uid,) for uid in series])


def interrupted(database: Database, series: set[str]) -> None:
    """An association that brought instances of these series broke off, so some may be missing."""
    with database.change() as connection:
        connection.executemany(
            "update series set interrupted = 1 where uid = ? and state = 'open'", [(uid,) for uid in series]
        )


def recover(database: Database) -> None:
    """After a start: transfers that a killed node had not seen the end of were broken off."""
    with database.change() as connection:
        connection.execute("update series set interrupted = 1 where state = 'open' and released = 0")


def completed(database: Database, folder: Path, quiet_seconds: float, coming: Collection[str] = ()) -> list[Complete]:
    """The open series that are complete now. Those that never will be are parked, with the reason.

    Args:
        database: of the node.
        folder: of the node.
        quiet_seconds: a series is complete when nothing of it came for so long, or all that its header announces is
            there.
        coming: series that an open association is at; for these it is ``_PATIENCE`` times as long.
    """
    ready = []
    query = "select *, (select count(*) from instances where series = series.uid) as n from series where state = 'open'"
    for row in database.rows(query):
        whole = row["expected"] is not None and row["n"] >= row["expected"]
        quiet = quiet_seconds * (_PATIENCE if row["uid"] in coming else 1)
        if not whole and time.time() - row["last"] < quiet:
            continue
        reason = ""
        if not whole and row["expected"] is not None:
            reason = f"has {row['n']} of {row['expected']} instances; send it again"
        elif not whole and row["interrupted"]:
            reason = f"its transfer broke off after {row['n']} instances; send it again"
        elif row["n"] < row["removed"]:
            reason = f"has {row['n']} of the {row['removed']} instances that it had before; send it whole"
        if reason:
            park_series(database, row["uid"], reason)
        else:
            ready.append(Complete(row["uid"], *present(database, folder, row["uid"]), row["last"]))
    return ready


def park_series(database: Database, uid: str, reason: str) -> None:
    """Set a series aside until more of it comes."""
    with database.change() as connection:
        connection.execute(
            "update series set state = 'parked', reason = ? where uid = ? and state = 'open'", (reason, uid)
        )


def present(database: Database, folder: Path, uid: str) -> tuple[tuple[Path, ...], str]:
    """The files of a series as they are now, and the digest of their unique identifiers."""
    rows = database.rows("select uid, file from instances where series = ? order by uid", uid)
    digest = hashlib.sha256("\n".join(row["uid"] for row in rows).encode()).hexdigest()
    return tuple(folder / row["file"] for row in rows), digest
