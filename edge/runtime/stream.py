"""Frames of a video or a camera, segmented as they come."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from medseg.errors import InputError, UsageError, naming
from medseg.limits import check_bytes
from medseg.progress import Cancel, check_cancelled


@dataclass(frozen=True)
class Frame:
    """A frame and its segmentation.

    Attributes:
        number: of the frame among those that came, from 0.
        image: as it came, (rows, columns) or (rows, columns, C).
        labels: label values (rows, columns).
        seconds: that the segmentation took.
        missed: frames that were left out since the last.
    """

    number: int
    image: np.ndarray
    labels: np.ndarray
    seconds: float
    missed: int = 0


@dataclass(frozen=True)
class StreamOptions:
    """How frames are taken.

    Attributes:
        live: the newest frame wins and those that came too late are left out, as for a camera; else every frame is
            segmented and the source waits.
        queue: frames that wait at most, where every frame is segmented.
        stall_seconds: without a frame for so long the stream has stalled.
        same_size: a frame of another size than the first is an error.
    """

    live: bool = False
    queue: int = 4
    stall_seconds: float = 5.0
    same_size: bool = False


class _Failed:
    """What the source raised, on its way to the one who takes the frames."""

    def __init__(self, error):
        self.error = error


_END = object()
_LAST_FRAME_S = 1.0  # how long a stopped stream waits for the frame that is being read


def stream(segmenter, frames: Iterable[np.ndarray], options: StreamOptions, cancel: Cancel = None) -> Iterator[Frame]:
    """Segment frames while the next ones are read in another thread.

    Args:
        segmenter: an ``edge.Segmenter`` of a 2D network.
        frames: arrays (rows, columns) or (rows, columns, C) of the network's channels.
        options: how frames are taken.
        cancel: as for ``Segmenter.predict``.

    Yields:
        Frames with their labels, in order.

    Raises:
        UsageError: if the network takes no 2D scans, or an option is out of range.
        InputError: if a frame is no image of the network's channels, changes its size where it must not, or none comes
            for ``stall_seconds``; the message holds the number of the frame.
        CancelledError: if the caller cancelled it.
    """
    if segmenter.manifest.recipe.rank != 2:
        raise UsageError(f"{segmenter.manifest.name}: takes volumes; a stream needs a network of 2D images")
    if options.queue < 1 or not options.stall_seconds > 0:
        raise UsageError(f"queue {options.queue}, stall_seconds {options.stall_seconds}: expected at least 1, above 0")
    return _stream(segmenter, frames, options, cancel)


def _stream(segmenter, frames, options, cancel):
    waiting: queue.Queue = queue.Queue(1 if options.live else options.queue)
    stop = threading.Event()
    arguments = (frames, waiting, stop, options.live)
    reader = threading.Thread(target=_read, args=arguments, daemon=True, name="frames")
    reader.start()
    size, last = None, -1
    try:
        while True:
            number, frame = _next(waiting, options.stall_seconds, last, cancel)
            if frame is _END:
                return
            if isinstance(frame, _Failed):
                raise frame.error
            frame = _image(frame, number)
            if size is not None and options.same_size and frame.shape != size:
                raise InputError(
                    f"frame {number}: is {_size(frame.shape)}, those before were {_size(size)}; a stream keeps its "
                    "size, start it again for the new one"
                )
            size = frame.shape
            began = time.perf_counter()
            with naming(f"frame {number}"):
                labels = segmenter.predict(frame, cancel=cancel).labels.voxels[..., 0]
            yield Frame(number, frame, labels, time.perf_counter() - began, number - last - 1)
            last = number
    finally:
        stop.set()
        # A source must not be closed, nor Python end, while a frame is read; but a stalled one may never give another.
        reader.join(_LAST_FRAME_S)


def _next(waiting, patience, last, cancel):
    """The next thing that the source gave; the wait is cut into pieces in which it can be cancelled."""
    began = time.monotonic()
    while True:
        check_cancelled(cancel, "stream")
        try:
            return waiting.get(timeout=min(0.1, patience))
        except queue.Empty:
            if time.monotonic() - began >= patience:
                raise InputError(
                    f"stream: no frame for {patience:g} s after {last + 1} frames; is the source connected and running?"
                ) from None


def _read(frames, waiting, stop, live):
    """Take frames from the source until it ends, fails, or nobody wants more."""
    number = -1
    try:
        for number, frame in enumerate(frames):
            if not _put(waiting, (number, frame), stop, live):
                return
        _put(waiting, (number + 1, _END), stop, False)
    except Exception as error:  # it is raised where the frames are taken
        _put(waiting, (number + 1, _Failed(error)), stop, False)


def _put(waiting, item, stop, live) -> bool:
    """Put something in the queue; a live source throws out what waits. Whether anybody still wants it."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0 if live else 0.1)
            return True
        except queue.Full:
            if live:
                try:
                    waiting.get_nowait()
                except queue.Empty:
                    continue  # it was taken in the meantime
    return False


def _image(frame, number):
    image = np.asarray(frame)
    if image.ndim not in (2, 3) or image.size == 0 or image.dtype.kind not in "biuf":
        raise InputError(
            f"frame {number}: an array of shape {image.shape} and type {image.dtype}; expected (rows, columns) or "
            "(rows, columns, channels) of numbers"
        )
    check_bytes(f"frame {number}", 4 * image.size, "its pixels")
    return image


def _size(shape):
    return f"{shape[1]} x {shape[0]}" + (f" of {shape[2]} channels" if len(shape) > 2 else "")
