"""OpenCV's decoders without the messages that they would print."""

import contextlib
import threading

import numpy as np

_lock = threading.Lock()
_silenced = {"by": 0, "level": None}  # how many threads are decoding, and the level to go back to


def decode(content: bytes) -> np.ndarray | None:
    """The pixels of an encoded picture as OpenCV gives them unchanged (blue first); None if it cannot be decoded."""
    import cv2

    with silenced():
        try:
            return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None


@contextlib.contextmanager
def silenced():
    """No messages of OpenCV's own while the block runs in any thread: the level is one for all of them."""
    from cv2.utils import logging

    with _lock:
        if _silenced["by"] == 0:
            _silenced["level"] = logging.getLogLevel()
            logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        _silenced["by"] += 1
    try:
        yield
    finally:
        with _lock:
            _silenced["by"] -= 1
            if _silenced["by"] == 0:
                logging.setLogLevel(_silenced["level"])
