"""Logs of native code (TensorFlow, CUDA, XNNPACK) are kept off the terminal of our commands."""

import contextlib
import faulthandler
import logging
import os
import sys

FRAMEWORKS = ("tensorflow", "absl", "tf2onnx", "jax")
_STANDARD_ERROR = 2


def hide_native_logs() -> None:
    """Send what native code writes to standard error nowhere, for the rest of this process.

    ``sys.stderr`` goes on where it went, so messages, progress bars and tracebacks are seen; after a crash of native
    code the Python stack is. A process started from here must be given ``stderr=visible_stderr()``. Nothing is hidden
    where ``MEDSEG_TRACEBACK`` is set, nor where ``sys.stderr`` is not the process's own.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in FRAMEWORKS:
        logging.getLogger(name).setLevel(logging.ERROR)
    if os.environ.get("MEDSEG_TRACEBACK") or not _is_own(sys.stderr):
        return
    sys.stderr.flush()
    seen = os.fdopen(os.dup(_STANDARD_ERROR), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), _STANDARD_ERROR)
    sys.stderr = seen
    faulthandler.enable(seen)


@contextlib.contextmanager
def native_logs_hidden():
    """The same for the time of a ``with``, for what runs in a process that is not a command's own.

    Yields:
        A stream to where standard error went, for what is meant to be seen meanwhile.
    """
    own = _is_own(sys.stderr)
    sys.stderr.flush()
    with os.fdopen(os.dup(_STANDARD_ERROR), "w") as kept, open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), _STANDARD_ERROR)
        try:
            yield kept if own else sys.stderr
        finally:
            os.dup2(kept.fileno(), _STANDARD_ERROR)


def visible_stderr() -> int | None:
    """The file descriptor that a process started from here is to have as its standard error, for ``subprocess.run``."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _is_own(stream) -> bool:
    try:
        return stream.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):  # none at all, one in memory, or a closed one
        return False
