"""Frames from video files and cameras, and frames into video files, by OpenCV."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from imaging.io.opencv import silenced
from medseg.errors import InputError, UsageError

CAMERA = "camera:"
WRITABLE = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
DEFAULT_RATE = 25.0
# Decoders count the frames of some containers by their length, so that this share of those announced may lack.
MISSING = 0.02
# Encoders write what makes a file readable at its end, and say nothing of a full disk: so much stays free for it.
RESERVE_BYTES = 16 * 2**20
LOOK_EVERY = 8  # frames


@dataclass(frozen=True)
class Video:
    """An opened source of frames.

    Attributes:
        name: the file or camera as the user calls it.
        capture: OpenCV's.
        live: a camera, which does not wait.
        rate: frames a second.
        frames: that the file announces; 0 where it does not say.
        channels: of the frames given: 1 grey, 3 red, green, blue.
    """

    name: str
    capture: Any
    live: bool
    rate: float
    frames: int
    channels: int
    _reading: Lock = field(default_factory=Lock, repr=False)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames uint8 (rows, columns, channels) until the source ends.

        Raises:
            InputError: if a camera gives no more frames, a file ends before its time, or OpenCV fails to read a frame.
        """
        import cv2

        number = 0
        convert = cv2.COLOR_BGR2GRAY if self.channels == 1 else cv2.COLOR_BGR2RGB
        while True:
            try:
                with self._reading, silenced():
                    done, frame = self.capture.read()
            except cv2.error as error:
                raise InputError(
                    f"{self.name}: frame {number} cannot be read ({error}); is it connected and undamaged?"
                ) from None
            if not done:
                break
            number += 1
            yield cv2.cvtColor(frame, convert).reshape(*frame.shape[:2], self.channels)
        if self.live:
            raise InputError(f"{self.name}: gave no more frames after {number}; is it still connected?")
        if number == 0 or number < self.frames * (1 - MISSING) - 1:
            raise InputError(
                f"{self.name}: ends after {number} of {self.frames or 'some'} frames, it is truncated or damaged; copy "
                "it again"
            )

    def close(self) -> None:
        """Let go of the file or camera, unless another thread waits in vain for a frame of it."""
        if self._reading.acquire(timeout=1.0):
            self.capture.release()
            self._reading.release()


def open_video(source: str, channels: int) -> Video:
    """Open a video file, or ``camera:0``.

    Args:
        source: path, or ``camera:`` and the number of a camera.
        channels: that the network takes: 1 (frames become grey) or 3.

    Returns:
        The video.

    Raises:
        InputError: if the file is missing or holds no video that OpenCV reads, or there is no such camera.
        UsageError: if the network takes other channels, or what follows ``camera:`` is no number.
    """
    import cv2

    if channels not in (1, 3):
        raise UsageError(f"{source}: a video has 1 or 3 channels, the network takes {channels}")
    live = source.startswith(CAMERA)
    number = source.removeprefix(CAMERA)
    if live and not number.isdecimal():
        raise UsageError(f"{source}: expected the number of a camera after {CAMERA}, such as camera:0")
    if not live and not Path(source).is_file():
        raise InputError(f"{source}: no such file; give a video file, or camera:0 for the first camera")
    _hide_decoder_logs()
    with silenced():
        capture = cv2.VideoCapture(int(number)) if live else cv2.VideoCapture(str(source))
    if not capture.isOpened():
        capture.release()
        message = (
            "no such camera, or it is in use" if live else "cannot be read as a video, it is damaged or of another kind"
        )
        raise InputError(f"{source}: {message}; give a video that OpenCV reads (.mp4, .avi, .mkv, .mov), or camera:0")
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    frames = 0 if live else max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    return Video(source, capture, live, rate if 0 < rate <= 1000 else DEFAULT_RATE, frames, channels)


def _hide_decoder_logs():
    """FFmpeg's messages are no business of the user's; OpenCV reads this when it first uses FFmpeg."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


class VideoWriter:
    """A video file that is written frame by frame, of the size of the first."""

    def __init__(self, path: Path, temporary: Path, rate: float):
        self._path, self._temporary, self._rate = path, temporary, rate
        self._writer: Any = None  # cv2.VideoWriter
        self._size: tuple[int, ...] = ()
        self.frames = 0

    def write(self, image: np.ndarray) -> None:
        """Add a frame uint8 (rows, columns, 3), red, green, blue.

        Raises:
            InputError: if the file cannot be written, the disk is nearly full, or the frame is of another size than the
                first; the frames before are kept where the caller ends the writing without an error.
        """
        import cv2

        if self._writer is None:
            self._size = image.shape[:2]
            size = tuple(n + n % 2 for n in self._size[::-1])
            _hide_decoder_logs()
            code = cv2.VideoWriter.fourcc(*WRITABLE[self._path.suffix.lower()])
            with silenced():
                self._writer = cv2.VideoWriter(str(self._temporary), code, self._rate, size)
            if not self._writer.isOpened():
                raise InputError(f"{self._path}: cannot be written as a video; choose another place or suffix")
        if image.shape[:2] != self._size:
            raise InputError(f"{self._path}: frame of {image.shape[:2]}, expected {self._size} as the first")
        rows, columns = image.shape[0] % 2, image.shape[1] % 2
        if rows or columns:  # codecs take even sizes only
            image = cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        with silenced():
            self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1
        if self.frames % LOOK_EVERY == 0 and (left := shutil.disk_usage(self._temporary.parent).free) < RESERVE_BYTES:
            raise InputError(
                f"{self._path}: its disk has only {left / 2**20:.0f} MB left, so no more frames are written; make room"
            )

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            with silenced():
                self._writer.release()
            self._writer = None


@contextmanager
def write_video(path, rate: float) -> Iterator[VideoWriter]:
    """A writer of a video that gets its name when it is complete; after an error nothing of it is left.

    Args:
        path: ending in .mp4, .avi or .mkv.
        rate: frames a second.

    Raises:
        UsageError: for another ending.
        InputError: if the place cannot be written, or the disk is full.
    """
    path = Path(path)
    check_writable_video(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    writer = VideoWriter(path, temporary, rate)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield writer
        writer.close()
        if writer.frames:
            _check_whole(path, temporary, writer.frames)
            os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        writer.close()
        temporary.unlink(missing_ok=True)


def _check_whole(path, temporary, frames):
    """Encoders say nothing of a full disk: what was written must hold the frames."""
    import cv2

    held = 0
    with silenced():
        capture = cv2.VideoCapture(str(temporary))
        if temporary.suffix.lower() == ".mkv":  # its start tells of frames that its end lacks
            while capture.grab():
                held += 1
        elif capture.isOpened():
            held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
    if held < frames * (1 - MISSING) - 1:
        raise InputError(f"{path}: cannot be written, {held} of {frames} frames reached the disk; is it full?")


def check_writable_video(path: Path) -> None:
    """Require an ending that a video is written with.

    Raises:
        UsageError: for another.
    """
    if path.suffix.lower() not in WRITABLE:
        raise UsageError(f"--out {path}: expected a name ending in {', '.join(WRITABLE)}")
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; give the name of a file")
