"""Many scans, some at a time, with results in the order in which they were given."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medseg.errors import UsageError
from medseg.progress import Cancel, CancelledError, check_cancelled


@dataclass(frozen=True)
class Outcome:
    """What became of a scan.

    Attributes:
        scan: as it was given.
        segmentation: the ``edge.Segmentation``; None if there was an error.
        error: what was raised; None if all went well.
    """

    scan: object
    segmentation: object = None
    error: Exception | None = None


def predict_in_order(
    scans: Iterable, segment: Callable, workers: int, cancel: Cancel = None
) -> Generator[Outcome, None, None]:
    """Call ``segment`` for every scan in some threads.

    Args:
        scans: drawn as they are needed, at most twice as many as there are workers ahead of what was taken.
        segment: function of a scan and of an event that is set when the work shall stop.
        workers: threads.
        cancel: as for ``medseg.progress.check_cancelled``.

    Yields:
        An outcome each, in the order of the scans.

    Raises:
        CancelledError: if the caller cancelled it.
        UsageError: if ``workers`` is not a positive integer.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise UsageError(f"workers {workers!r}: expected a whole number of at least 1")
    return _in_order(iter(scans), segment, workers, cancel)


def _in_order(scans, segment, workers, cancel):
    stop, running = threading.Event(), deque()

    def work(scan):
        try:
            check_cancelled(cancel, "scan")
            return Outcome(scan, segment(scan, _either(stop, cancel)))
        except Exception as error:  # whatever it is, it is the outcome of this scan and must not cost the others
            return Outcome(scan, error=error)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
    try:
        while True:
            for scan in itertools.islice(scans, 2 * workers - len(running)):
                running.append(pool.submit(work, scan))
            if not running:
                return
            outcome = running.popleft().result()
            if isinstance(outcome.error, CancelledError):
                raise outcome.error
            yield outcome
    finally:  # also where the caller takes no more
        stop.set()
        pool.shutdown(cancel_futures=True)


def _either(stop, cancel):
    """Whether one of two reasons to stop is there."""
    if cancel is None:
        return stop
    return lambda: stop.is_set() or (cancel.is_set() if isinstance(cancel, threading.Event) else cancel())
