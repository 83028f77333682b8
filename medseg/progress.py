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
        title: text before the bar.
        stream: where to.
        patience: seconds before the bar is drawn first; 1 by default.
    """

    def __init__(self, title: str, stream=None, patience: float | None = None):
        self.title = title
        self._began = time.monotonic()
        self._stream = sys.stderr if stream is None else stream
        self._patience = PATIENCE_S if patience is None else patience
        self._say = LineAMinute(self._stream)
        self._bar = None

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        elapsed = time.monotonic() - self._began
        if not self._stream.isatty():
            left = f"{elapsed / done * (total - done):.0f} s left" if done else "time left unknown"
            self._say(f"{self.title}: {done} of {total}, {left}")
            return
        if self._bar is None and elapsed >= self._patience:
            self._bar = self._drawn(elapsed)
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()

    def _drawn(self, elapsed):
        """A bar that counts its time from the beginning of the work."""
        from tqdm import tqdm  # takes long to load, and most work is done before a bar is due

        bar = tqdm(desc=self.title, file=self._stream, leave=False)
        bar.start_t -= elapsed
        bar.last_print_t -= elapsed
        return bar


def track(items: Iterable, title: str, total: int | None = None, show: bool = True) -> Iterator:
    """Iterate over ``items`` and show how many are done.

    Args:
        items: what to iterate over.
        title: text before the bar.
        total: how many there are; the length of ``items`` by default.
        show: whether to show anything.
    """
    if not show:
        yield from items
        return
    total = len(cast(Sized, items)) if total is None else total
    bar = Bar(title)
    try:
        for done, item in enumerate(items, 1):
            yield item
            bar(done, total)
    finally:
        bar.close()


def in_turn(progress: Callable[[int, int], None] | None, parts: int) -> Iterator[Callable[[int, int], None] | None]:
    """A progress function for each part of a work, in turn; parts to come are taken to be as long as the present one.

    Args:
        progress: called with what is done of the whole; None for no calls.
        parts: how many there are.
    """
    before = 0
    for index in range(parts):
        reached = [0]

        def part(done, total, before=before, left=parts - index, reached=reached):
            reached[0] = done
            progress(before + done, before + left * total)

        yield None if progress is None else part
        before += reached[0]


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
