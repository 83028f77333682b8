"""How far the work is: a bar where a person watches, a line a minute where a file does; and how to stop it half-way."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from threading import Event
from typing import cast

from medseg.errors import InputError

# Work that is done sooner needs no bar.
PATIENCE_S = 1.0
MINUTE_S = 60.0
WIDTH = 24

Cancel = Event | Callable[[], bool] | None


class LineAMinute:
    """Writes at most one line a minute, the first after a minute.

    Args:
        stream: where to; standard error by default.
    """

    def __init__(self, stream=None):
        self._stream = sys.stderr if stream is None else stream
        self._last = time.monotonic()

    def __call__(self, line: str) -> None:
        """Write ``line`` if the last one is a minute old."""
        now = time.monotonic()
        if now - self._last > MINUTE_S:
            self._stream.write(line + "\n")
            self._stream.flush()
            self._last = now


class Bar:
    """A progress bar on standard error for work of more than a second; a line a minute where that is no terminal.

    Args:
        what: text before the bar.
        stream: where to.
    """

    def __init__(self, what: str, stream=None):
        self.what = what
        self._stream = sys.stderr if stream is None else stream
        self._began = time.monotonic()
        self._drawn = 0
        self._say = LineAMinute(self._stream)

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        spent = time.monotonic() - self._began
        left = f"{spent / done * (total - done):.0f} s left" if done else "time left unknown"
        if not self._stream.isatty():
            self._say(f"{self.what}: {done} of {total}, {left}")
            return
        if spent < PATIENCE_S and not self._drawn:
            return
        filled = WIDTH * done // total
        line = f"{self.what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total}, {left}"
        self._stream.write("\r" + line.ljust(self._drawn))
        self._stream.flush()
        self._drawn = max(self._drawn, len(line))

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._stream.flush()
            self._drawn = 0


def track(items: Iterable, what: str, total: int | None = None, show: bool = True) -> Iterator:
    """Iterate over ``items`` and show how many are done.

    Args:
        items: what to iterate over.
        what: text before the bar.
        total: how many there are; the length of ``items`` by default.
        show: whether to show anything.
    """
    if not show:
        yield from items
        return
    total = len(cast(Sized, items)) if total is None else total
    bar = Bar(what)
    try:
        for done, item in enumerate(items, 1):
            yield item
            bar(done, total)
    finally:
        bar.close()


class CancelledError(InputError):
    """The caller stopped the work; nothing of it was kept."""


def check_cancelled(cancel: Cancel, task: str) -> None:
    """Stop here if the caller asked for it.

    Args:
        cancel: a ``threading.Event``, or a function that returns whether to stop; None never stops.
        task: what is stopped, for the message.

    Raises:
        CancelledError: if the event is set or the function returns True.
    """
    if cancel is not None and (cancel.is_set() if isinstance(cancel, Event) else cancel()):
        raise CancelledError(f"{task}: cancelled; nothing was written")
