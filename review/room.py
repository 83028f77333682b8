"""How much of the disk clients may fill with scans of their own, so that drafts and corrections always have room."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medseg.byte_sizes import parse_size, spell_size
from medseg.command import complete
from medseg.errors import UsageError
from review.errors import NoRoomError

GIB = 2**30


@dataclass(frozen=True)
class Room:
    """Limits of what clients send.

    Attributes:
        sessions: scans that are worked on without being kept, at once.
        session_bytes: of all of them.
        session_idle_s: seconds after its last use that a session goes.
        session_age_s: seconds after its beginning that it goes all the same.
        uploads: scans that clients sent as cases.
        upload_bytes: of all of them.
        free_bytes: that stay free on the disk: less, and no scan is taken, so that what is drawn can be saved.
    """

    sessions: int = 50
    session_bytes: int = 4 * GIB
    session_idle_s: int = 3600
    session_age_s: int = 24 * 3600
    uploads: int = 10_000
    upload_bytes: int = 100 * GIB
    free_bytes: int = GIB


DEFAULTS = {
    "sessions": Room.sessions,
    "session_space": "4GB",
    "session_hours": Room.session_idle_s / 3600,
    "uploads": Room.uploads,
    "upload_space": "100GB",
    "keep_free": "1GB",
}
"""What the options say by default."""


class UploadRoom:
    """Counts the scans that clients sent as cases, those that are just coming among them.

    Args:
        folder: where they lie.
        room: the limits.
    """

    def __init__(self, folder, room: Room):
        self._folder, self._room = Path(folder), room
        self._lock = threading.Lock()
        self._coming: list[int] = []

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold room for a scan of so many bytes while it is written.

        Raises:
            NoRoomError: if it has none.
        """
        with self._lock:
            kept = [path.stat().st_size for path in self._folder.iterdir()] if self._folder.is_dir() else []
            known = kept + self._coming
            if len(known) >= self._room.uploads:
                raise NoRoomError(f"{len(known)} scans were sent, expected at most {self._room.uploads} (--uploads)")
            total, most = sum(known) + size, self._room.upload_bytes
            if total > most:
                raise NoRoomError(
                    f"the scans that were sent would take {spell_size(total)} with this one, expected at most "
                    f"{spell_size(most)} (--upload-space)"
                )
            check_free(self._folder, sum(self._coming) + size, self._room.free_bytes)
            self._coming.append(size)
        try:
            yield
        finally:
            with self._lock:
                self._coming.remove(size)


def check_free(folder, size: int, least: int) -> None:
    """Refuse what would leave too little of the disk free.

    Args:
        folder: on the disk; it need not exist yet.
        size: bytes that shall be written.
        least: bytes that must stay free.

    Raises:
        NoRoomError: if fewer would.
    """
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free - size < least:
        raise NoRoomError(
            f"the server's disk has {spell_size(free)} left, expected {spell_size(least)} beside the "
            f"{spell_size(size)} that were sent, so that corrections can be saved (--keep-free); make room, then send "
            "it again"
        )


def add_room(parser) -> None:
    """Add the options that set the limits."""
    group = parser.add_argument_group("scans that clients send")
    for flag, kind, metavar, text in (
        ("--sessions", int, "N", "sessions of MONAI Label clients at once"),
        ("--session-space", str, "SIZE", "disk that their scans may take"),
        ("--session-hours", float, "H", "a session goes so long after its last use"),
        ("--uploads", int, "N", "scans that may be sent as new cases"),
        ("--upload-space", str, "SIZE", "disk that they may take"),
        ("--keep-free", str, "SIZE", "disk that stays free for drafts and corrections"),
    ):
        value = DEFAULTS[flag.removeprefix("--").replace("-", "_")]
        group.add_argument(flag, type=kind, metavar=metavar, help=f"{text} (default {value})")


def room_of(args) -> Room:
    """The limits that options set.

    Raises:
        UsageError: if one is no number or size that makes sense.
    """
    complete(args, DEFAULTS)
    default = Room()
    for flag, value in (("--sessions", args.sessions), ("--uploads", args.uploads)):
        if value < 0:
            raise UsageError(f"{flag} {value}: expected at least 0")
    longest = default.session_age_s / 3600
    if not 0 < args.session_hours <= longest:
        raise UsageError(f"--session-hours {args.session_hours:g}: expected more than 0, at most {longest:g}")
    return Room(
        args.sessions,
        _size("--session-space", args.session_space),
        max(1, round(3600 * args.session_hours)),
        default.session_age_s,
        args.uploads,
        _size("--upload-space", args.upload_space),
        _size("--keep-free", args.keep_free),
    )


def _size(flag, text):
    try:
        return 0 if text.strip() == "0" else parse_size(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from None
