"""The running node: it listens, watches for complete series, works, delivers and tidies up, each in its own thread."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from edge.node import commitments, deliveries, instances, jobs
from edge.node.config import Config, Destination
from edge.node.database import Database
from edge.node.opening import open_segmenters
from edge.node.receive import Receiver
from edge.node.retention import tidy
from edge.node.routing import facts_of, fitting
from edge.node.sending import UnreachableError, send
from edge.node.storage import hashed, prepare_folder
from edge.node.work import work_once
from medseg.claims import claimed
from medseg.errors import InputError

log = logging.getLogger("medseg.node")
_IDLE_SECONDS = 0.2  # between looks for something to do
_TROUBLE_SECONDS = 5.0  # after an error that no part of the node expects
_TIDY_SECONDS = 60.0


class Node:
    """A node, from its configuration; a context manager that runs while its block does.

    Args:
        config: as ``read_config`` returns it.

    Raises:
        InputError: if an artifact, the folder or a port cannot be used, or another process runs on the folder.
    """

    def __init__(self, config: Config):
        self.config = config
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._resources = ExitStack()

    def __enter__(self):
        with ExitStack() as resources:
            self._open(resources)
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_):
        self._resources.close()

    def _end(self):
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Wait until somebody sets ``stopping``."""
        self.stopping.wait()

    @property
    def working(self) -> bool:
        """Whether all its threads run."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def _open(self, resources):
        config = self.config
        self.segmenters = open_segmenters(config)
        folder = config.node.folder
        try:
            prepare_folder(folder)
        except OSError as error:
            raise InputError(f"node.folder: {folder} cannot be used ({error.strerror})") from None
        resources.enter_context(claimed(folder / "node.lock"))
        self.database = Database(folder)
        resources.callback(self.database.close)
        instances.recover(self.database)
        jobs.recover(self.database, config.retry)
        self.receiver = Receiver(config, self.database)
        self.receiver.start()
        resources.callback(self.receiver.stop)
        loops: dict[str, tuple[Callable, float]] = {
            "watch": (self._watch, _IDLE_SECONDS),
            "tidy": (self._tidy, _TIDY_SECONDS),
        }
        loops["answers"] = (partial(commitments.answer_due, self.database, config), _IDLE_SECONDS)
        for number in range(config.node.workers):
            loops[f"work-{number}"] = (self._work, _IDLE_SECONDS)
        for each in config.destination:
            loops[f"send-{each.name}"] = (partial(self._deliver, each), _IDLE_SECONDS)
        self._threads = [
            threading.Thread(target=self._loop, args=arguments, name=name, daemon=True)
            for name, arguments in loops.items()
        ]
        for thread in self._threads:
            thread.start()
        resources.callback(self._end)
        if config.http.port:
            from edge.node.web.server import serve_http

            resources.callback(serve_http(self))
        log.info("listens as %s on %s port %d", config.dicom.title, config.dicom.host, config.dicom.port)

    def _loop(self, step: Callable[[], object], idle: float):
        """Call ``step`` until the node ends: at once again where it did something."""
        while not self.stopping.is_set():
            try:
                pause = 0.0 if step() else idle
            except Exception as error:  # a full disk, a locked database or a fault of ours must not end the node
                log.error("%s: %s; goes on", threading.current_thread().name, type(error).__name__)
                log.debug("of this kind", exc_info=error)
                pause = _TROUBLE_SECONDS
            self.stopping.wait(pause)

    def _watch(self) -> bool:
        """Make jobs of the series that are complete."""
        self.receiver.reap()
        quiet = self.config.dicom.quiet_seconds
        ready = instances.completed(self.database, self.config.node.folder, quiet, self.receiver.coming())
        for series in ready:
            name = f"series {hashed(series.uid)}"
            try:
                rules, reason = fitting(self.config.rule, facts_of(series.files[0])), "no rule fits it"
            except Exception as error:  # whatever it is, the series behind it must not wait for this one
                rules, reason = (), str(error) if isinstance(error, InputError) else type(error).__name__
            if not rules:
                log.warning("%s is parked: %s", name, reason)
                instances.park_series(self.database, series.uid, reason)
                continue
            new = jobs.add_jobs(self.database, series, rules)
            log.info("%s is complete with %d instances: %d jobs", name, len(series.files), new)
        return False

    def _work(self) -> bool:
        return work_once(self.database, self.config, self.segmenters, self.stopping)

    def _deliver(self, destination: Destination) -> bool:
        """Send what is due to a destination."""
        waiting = deliveries.due(self.database, destination.name)
        left, retry = {each.id: each for each in waiting}, self.config.retry
        if not waiting:
            return False
        try:
            for each, problem in send(destination, self.config.dicom.title, self.config.node.folder, waiting):
                del left[each.id]
                if problem is None:
                    deliveries.delivered(self.database, each)
                    log.info("job %d: %s is at %s", each.job, each.kind, destination.name)
                    continue
                again = retry if isinstance(problem, UnreachableError) else None
                parked = deliveries.failed(self.database, [each], str(problem), again)
                log.warning("job %d: %s %s: %s", each.job, each.kind, "is parked" if parked else "waits", problem)
        except (UnreachableError, OSError) as error:
            reason = str(error) if isinstance(error, InputError) else f"{destination.name}: {error.strerror}"
            parked = deliveries.failed(self.database, list(left.values()), reason, retry)
            log.warning("%d results wait, %d are parked: %s", len(left) - parked, parked, reason)
        return True

    def _tidy(self) -> bool:
        tidy(self.database, self.config.node.folder, self.config.node.keep_hours)
        return False
