"""OpenCV's decoders without the messages that they would print."""

import numpy as np


def decode(content: bytes) -> np.ndarray | None:
    """The pixels of an encoded picture as OpenCV gives them unchanged (blue first); None if it cannot be decoded."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
