"""Segments in the background what is not segmented yet, a case at a time."""

import threading
from dataclasses import asdict

from medseg.errors import InputError
from medseg.progress import CancelledError
from review.errors import DecidedError
from review.monitoring.alerts import watch
from review.store.cases import ACCEPTED, FAILED, SEGMENTED, SEGMENTING, WAITING, Case, all_cases, set_state
from review.store.versions import NETWORK, REFERENCE, Result, save_result
from review.volumes.page_grid import on_page

RESCAN_S = 30.0


class Segmenting(threading.Thread):
    """The background thread.

    Args:
        service: whose cases it segments, see ``review.service.Service``.
    """

    def __init__(self, service):
        super().__init__(name="segmenting", daemon=True)
        self._service = service
        self._wake, self._stop_event = threading.Event(), threading.Event()
        self.current: str | None = None
        self._news = True
        self._told: set[str] = set()

    def run(self) -> None:
        """Segment until ``stop``."""
        release(self._service)
        while not self._stop_event.is_set():
            case = self._next()
            if case is not None:
                self._handle(case)
                self._news = True
                continue
            self._watch()
            self._wake.wait(RESCAN_S)
            self._wake.clear()
            if not self._stop_event.is_set():
                self._rescan()

    def wake(self) -> None:
        """Look for cases now."""
        self._wake.set()

    def stop(self, wait_s: float = 10.0) -> None:
        """Stop; a case that is being segmented waits for the next start."""
        self._stop_event.set()
        self._wake.set()
        if self.is_alive():
            self.join(wait_s)

    def _next(self):
        try:
            return next((case for case in all_cases(self._service.database) if case.state == WAITING), None)
        except InputError:  # the database is locked: later
            return None

    def _watch(self):
        """Tell of limits that are crossed, once there is something new."""
        if not self._news:
            return
        self._news = False
        service = self._service
        try:
            names = [label.name for label in service.labels[1:]]
            watch(service.database, names, service.manifest.training, self._told)
        except InputError:  # the database is locked: next time
            self._news = True

    def _rescan(self):
        try:
            self._service.look_for_cases()
        except (InputError, OSError):  # the folder is away for the moment, as network folders are
            return

    def _handle(self, case):
        self.current = case.id
        try:
            segment_case(self._service, case, self._stop_event)
        except DecidedError:  # a person was quicker
            return
        except CancelledError:
            set_state(self._service.database, case.id, WAITING, "stopped")
        except Exception as error:  # of any type: a damaged scan must not end the thread
            self._failed(case, error)
        finally:
            self.current = None

    def _failed(self, case, error):
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        try:
            set_state(self._service.database, case.id, FAILED, "failed", " ".join(text.split())[:500])
        except InputError:  # the database is locked; the case is taken up again at the next start
            self._stop_event.wait(1.0)


def release(service) -> None:
    """Cases that a killed server was at wait again."""
    for case in all_cases(service.database):
        if case.state == SEGMENTING:
            set_state(service.database, case.id, WAITING, "stopped")


def segment_case(service, case: Case, cancel=None, artifact: int | None = None) -> int:
    """Segment a case, or take the labels that its folder holds.

    Args:
        service: the review.
        case: the case.
        cancel: as for ``edge.Segmenter.predict``.
        artifact: version of the artifact, the active one by default.

    Returns:
        The version of the labels.

    Raises:
        DecidedError: if a person decided on the case meanwhile.
        InputError: if the scan cannot be read or segmented.
    """
    if not set_state(service.database, case.id, SEGMENTING, "segmenting"):
        raise DecidedError(f"case {case.id}: a person decided on it, which stays")
    reference = service.reference(case.id) if artifact is None else None
    if reference is not None:
        labels = service.check_labels(case, reference)
        result = Result(labels, REFERENCE, ACCEPTED, volumes=service.volumes(case, labels))
        return save_result(service.database, service.workspace, case.id, result)
    version, segmenter = service.segmenter(artifact)
    files = case.files[0] if len(case.files) == 1 else case.files
    segmentation = segmenter.predict_file(files, cancel=cancel)
    result = Result(
        on_page(segmentation.labels), NETWORK, SEGMENTED, artifact=version, seconds=segmentation.seconds,
        volumes=segmentation.volumes_ml or segmentation.areas_mm2,
        quality=None if segmentation.quality is None else asdict(segmentation.quality),
        flags=segmentation.flags, features=segmentation.features,
    )  # fmt: skip
    return save_result(service.database, service.workspace, case.id, result)
