"""Scans that a client works on without keeping them: so many, so large and for so long as ``review.room`` says."""

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from imaging.io.cases import is_scan, scan_suffix
from medseg.byte_sizes import spell_size
from review.errors import NoRoomError, ReviewError, TooLargeError, TooManyError, UnknownError, WrongRequestError
from review.room import Room, check_free

BUSY_S = 60
_MOST_FILES = 5000


@dataclass(frozen=True)
class Session:
    """What MONAI Label says of a session.

    Attributes:
        name: its identifier.
        path: "" (a folder of the server, which clients need not know).
        image: name of the scan.
        meta: notes.
        create_ts, last_access_ts: seconds since 1970.
        expiry: seconds after the last access.
    """

    name: str
    path: str
    image: str
    meta: dict
    create_ts: int
    last_access_ts: int
    expiry: int


@dataclass
class _Kept:
    """A session, the place of its scan, the bytes that it takes, and how many requests read it now."""

    session: Session
    scan: str
    size: int
    users: int = 0


class Sessions:
    """The sessions of a server.

    Where a new one would be too many or too large, the one that nobody used for longest goes; one that was used within
    the last minute, or that a request is reading, stays.

    Args:
        folder: for their scans; what an earlier server left there is removed.
        room: the limits.
        clock: seconds since 1970; for tests.
    """

    def __init__(self, folder, room: Room | None = None, clock=time.time):
        self._folder, self._room, self._clock = Path(folder), room or Room(), clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Kept] = {}
        self._watched = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, files: list[tuple[str, bytes]], expiry: int = 0) -> Session:
        """Begin a session.

        Args:
            files: name and content; one scan, or the files of a DICOM series.
            expiry: seconds after its last use that it goes, the server's own number where it is 0.

        Raises:
            WrongRequestError: if there is no file.
            TooLargeError: if it is larger than all sessions may be together.
            TooManyError: if there are as many as may be, and all in use.
            NoRoomError: if those in use leave too little of the space, or the disk is nearly full.
        """
        if not 0 < len(files) <= _MOST_FILES:
            raise WrongRequestError(f"files: got {len(files)}, expected a scan or the files of a DICOM series")
        size, room = sum(len(content) for _, content in files), self._room
        if size > room.session_bytes:
            raise TooLargeError(
                f"files: {spell_size(size)}, expected at most {spell_size(room.session_bytes)} (--session-space)"
            )
        names = [name.replace("\\", "/").rsplit("/", 1)[-1] for name, _ in files]
        key, now = str(uuid.uuid4()), int(self._clock())
        wait = expiry if 0 < expiry <= room.session_age_s else room.session_idle_s
        kept = _Kept(Session(key, "", names[0], {}, now, now, wait), "", size, users=1)
        self.forget()
        self._make_room(size)
        with self._lock:
            self._check_room(size)  # of sessions that begin at once the last ones may be too many
            coming = sum(each.size for each in self._sessions.values() if not each.scan)
            check_free(self._folder, coming + size, room.free_bytes)
            self._sessions[key] = kept
        try:
            scan = _write(self._folder / key, names, files)
        except BaseException:
            with self._lock:
                del self._sessions[key]
            self._erase([key])
            raise
        with self._lock:
            kept.scan, kept.users = scan, 0
        self._watch()
        return kept.session

    def get(self, key: str, touch: bool = True) -> Session:
        """A session.

        Raises:
            UnknownError: if there is none, or it expired.
        """
        with self.used(key, touch) as (session, _):
            return session

    @contextlib.contextmanager
    def used(self, key: str, touch: bool = True) -> Iterator[tuple[Session, str]]:
        """A session and the place of its scan, which stays there meanwhile.

        Raises:
            UnknownError: if there is none, or it expired.
        """
        self.forget()
        with self._lock:
            kept = self._sessions.get(key)
            if kept is None or not kept.scan:
                raise UnknownError(f"session {key[:60]!r}: there is none, or it expired; begin a new one")
            if touch:
                kept.session = replace(kept.session, last_access_ts=int(self._clock()))
            kept.users += 1
        try:
            yield kept.session, kept.scan
        finally:
            with self._lock:
                kept.users -= 1

    def remove(self, key: str) -> Session:
        """End a session."""
        session = self.get(key, touch=False)
        with self._lock:
            self._sessions.pop(key, None)
        self._erase([key])
        return session

    def forget(self) -> None:
        """Remove the sessions that are too old, and not in use."""
        now, oldest = self._clock(), self._clock() - self._room.session_age_s
        with self._lock:
            old = [
                key for key, kept in self._sessions.items() if not kept.users
                and (kept.session.last_access_ts + kept.session.expiry < now or kept.session.create_ts < oldest)
            ]  # fmt: skip
            for key in old:
                del self._sessions[key]
        self._erase(old)

    def _make_room(self, size):
        """Remove those that nobody used for longest, until one of a size fits."""
        while True:
            with self._lock:
                try:
                    self._check_room(size)
                except ReviewError:
                    latest = self._clock() - BUSY_S
                    idle = [k for k in self._sessions.values() if not k.users and k.session.last_access_ts <= latest]
                    if not idle:
                        raise
                else:
                    return
                oldest = min(idle, key=lambda kept: kept.session.last_access_ts).session.name
                del self._sessions[oldest]
            self._erase([oldest])

    def _check_room(self, size):
        room, taken = self._room, sum(kept.size for kept in self._sessions.values())
        busy = f"all were used within {BUSY_S} s; end one, or try again then"
        if len(self._sessions) >= room.sessions:
            raise TooManyError(
                f"sessions: {len(self._sessions)}, expected at most {room.sessions} (--sessions); {busy}"
            )
        if taken + size > room.session_bytes:
            raise NoRoomError(
                f"sessions take {spell_size(taken)}, with this one {spell_size(taken + size)}; expected at most "
                f"{spell_size(room.session_bytes)} (--session-space); {busy}"
            )

    def _erase(self, keys):
        for key in keys:
            shutil.rmtree(self._folder / key, ignore_errors=True)

    def _watch(self):
        """Look for old ones every minute while there are any, whether or not somebody asks."""
        with self._lock:
            if self._watched:
                return
            self._watched = True

        def look():
            while True:
                time.sleep(BUSY_S)
                self.forget()
                with self._lock:
                    if not self._sessions:
                        self._watched = False
                        return

        threading.Thread(target=look, name="sessions", daemon=True).start()


def _write(place: Path, names, files) -> str:
    """Write a session's files; returns what to read, the one file or the folder."""
    place.mkdir(parents=True)
    for number, (name, (_, content)) in enumerate(zip(names, files, strict=True)):
        # Names of clients say only what kind of file it is.
        suffix = scan_suffix(name).lower() if is_scan(name) else ".zip" if name.lower().endswith(".zip") else ".dcm"
        (place / f"{number:05d}{suffix}").write_bytes(content)
    return str(next(place.iterdir()) if len(files) == 1 else place)


def session_json(session: Session) -> dict:
    """A session as plain JSON types."""
    return asdict(session)
