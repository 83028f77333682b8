"""Scans that a client works on without keeping them: forgotten after an hour."""

import shutil
import threading
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from imaging.io.cases import is_scan, scan_suffix
from review.errors import UnknownError, WrongRequestError

EXPIRY_S = 3600
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


class Sessions:
    """The sessions of a server.

    Args:
        folder: for their scans; what an earlier server left there is removed.
        clock: seconds since 1970; for tests.
    """

    def __init__(self, folder, clock=time.time):
        self._folder, self._clock = Path(folder), clock
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, str]] = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, files: list[tuple[str, bytes]], expiry: int = 0) -> Session:
        """Begin a session.

        Args:
            files: name and content; one scan, or the files of a DICOM series.
            expiry: seconds, an hour where it is 0.

        Raises:
            WrongRequestError: if there is no file, or a lone one is no scan.
        """
        self._forget()
        if not 0 < len(files) <= _MOST_FILES:
            raise WrongRequestError(f"files: got {len(files)}, expected a scan or the files of a DICOM series")
        key = str(uuid.uuid4())
        place = self._folder / key
        place.mkdir(parents=True)
        names = [name.replace("\\", "/").rsplit("/", 1)[-1] for name, _ in files]
        for number, (name, (_, content)) in enumerate(zip(names, files, strict=True)):
            # Names of clients say only what kind of file it is.
            suffix = scan_suffix(name).lower() if is_scan(name) else ".zip" if name.lower().endswith(".zip") else ".dcm"
            (place / f"{number:05d}{suffix}").write_bytes(content)
        scan = next(place.iterdir()) if len(files) == 1 else place
        now = int(self._clock())
        session = Session(key, "", names[0], {}, now, now, expiry if 0 < expiry < 10 * EXPIRY_S else EXPIRY_S)
        with self._lock:
            self._sessions[key] = session, str(scan)
        return session

    def get(self, key: str, touch: bool = True) -> tuple[Session, str]:
        """A session and the place of its scan.

        Raises:
            UnknownError: if there is none, or it expired.
        """
        self._forget()
        with self._lock:
            if key not in self._sessions:
                raise UnknownError(f"session {key[:60]!r}: there is none, or it expired; begin a new one")
            session, scan = self._sessions[key]
            if touch:
                session = replace(session, last_access_ts=int(self._clock()))
                self._sessions[key] = session, scan
            return session, scan

    def remove(self, key: str) -> Session:
        """End a session."""
        session, _ = self.get(key, touch=False)
        with self._lock:
            self._sessions.pop(key, None)
        shutil.rmtree(self._folder / key, ignore_errors=True)
        return session

    def _forget(self):
        now = self._clock()
        with self._lock:
            old = [key for key, (s, _) in self._sessions.items() if s.last_access_ts + s.expiry < now]
            for key in old:
                del self._sessions[key]
        for key in old:
            shutil.rmtree(self._folder / key, ignore_errors=True)


def session_json(session: Session) -> dict:
    """A session as plain JSON types."""
    return asdict(session)
