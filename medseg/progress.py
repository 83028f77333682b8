"""A line on the terminal that shows how far the work is."""

import sys
import time

# Work that is done sooner needs no bar.
PATIENCE_S = 1.0
WIDTH = 24


class Bar:
    """A progress bar on standard error; nothing where that is no terminal, or where the work is done in a second.

    Args:
        what: text before the bar.
        stream: where to.
    """

    def __init__(self, what: str, stream=None):
        self.what = what
        self._stream = sys.stderr if stream is None else stream
        self._began = time.monotonic()
        self._drawn = 0

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        spent = time.monotonic() - self._began
        if not self._stream.isatty() or (spent < PATIENCE_S and not self._drawn):
            return
        filled = WIDTH * done // total
        left = spent / done * (total - done)
        line = f"{self.what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total}, {left:.0f} s left"
        self._stream.write("\r" + line.ljust(self._drawn))
        self._stream.flush()
        self._drawn = max(self._drawn, len(line))

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._stream.flush()
            self._drawn = 0
