"""Work in the background as clients ask for it: started, asked about, stopped."""

import datetime
import threading
import uuid
from collections import deque

from medseg.errors import InputError
from review.errors import ConflictError, UnknownError

_LINES = 20  # of details
_KEPT = 100  # tasks


def clock() -> str:
    """The time as MONAI Label writes it."""
    return datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")


class Tasks:
    """The tasks of one kind, of which one runs at a time; the last hundred are known.

    Args:
        kind: what a message calls them.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._lock = threading.Lock()
        self._all: deque[dict] = deque(maxlen=_KEPT)
        self._running: tuple[dict, threading.Event] | None = None

    def start(self, name: str, work) -> dict:
        """Start a task.

        Args:
            name: of the model or method.
            work: function of a function that adds a line to the details, and of an event that says to stop.

        Raises:
            ConflictError: if one runs.
        """
        with self._lock:
            if self._running is not None:
                raise ConflictError(f"{self.kind}: a task is running already; stop it, or wait")
            task = {
                "id": str(uuid.uuid4()), "status": "RUNNING", "model": name, "start_ts": clock(), "end_ts": None,
                "details": deque(maxlen=_LINES), "exit_code": None,
            }  # fmt: skip
            stop = threading.Event()
            self._all.append(task)
            self._running = task, stop
        threading.Thread(target=self._run, args=(task, stop, work), daemon=True).start()
        return _plain(task)

    def status(self, everything: bool = False, running_only: bool = False):
        """The last task, the one that runs, or all.

        Raises:
            UnknownError: if there is none.
        """
        with self._lock:
            if running_only:
                if self._running is None:
                    raise UnknownError(f"{self.kind}: no task is running")
                return _plain(self._running[0])
            if not self._all:
                raise UnknownError(f"{self.kind}: no task was started")
            return [_plain(task) for task in self._all] if everything else _plain(self._all[-1])

    def stop(self) -> dict:
        """Ask the running task to stop; answers what is known of it."""
        with self._lock:
            if self._running is None:
                return {}
            task, stop = self._running
            stop.set()
            task["status"] = "STOPPED"
            return _plain(task)

    def _run(self, task, stop, work):
        try:
            task["result"] = work(task["details"].append, stop)
            status = "DONE"
        except InputError as error:
            task["details"].append(str(error))
            status = "ERROR"
        except Exception as error:  # of any type, so that the task ends
            task["details"].append(f"{type(error).__name__}: {error}")
            status = "ERROR"
        with self._lock:
            if task["status"] == "RUNNING":
                task["status"] = status
            task["end_ts"], task["exit_code"] = clock(), 0 if status == "DONE" else 1
            self._running = None


def _plain(task):
    return {**task, "details": list(task["details"])}
