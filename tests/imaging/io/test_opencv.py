"""Threads that decode at once leave OpenCV's messages as they were."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from imaging.io.opencv import decode


def test_the_level_of_messages_is_restored(capfd):
    good = cv2.imencode(".tif", np.arange(400, dtype=np.uint8).reshape(20, 20))[1].tobytes()
    before = cv2.utils.logging.getLogLevel()
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(decode, [good, good[:150], b"nothing"] * 100))
    assert cv2.utils.logging.getLogLevel() == before
    assert [pixels is not None for pixels in decoded] == [True, False, False] * 100
    assert capfd.readouterr() == ("", "")
