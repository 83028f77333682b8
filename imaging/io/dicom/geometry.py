"""Where slices lie: sorted along their normal, checked for gaps, and made into one affine.

DICOM's axes run to the patient's left, back and head (LPS), ours to right, front and head (RAS).
"""

import numpy as np

from imaging.io.dicom.frames import Frame
from medseg.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_DIRECTION = 1e-3  # of the cosines of two slices; headers round them to six places, scanners to four
SAME_PLACE_MM = 1e-3
UNEVEN = 0.1  # share of a step that a slice may lie off an even grid, as for grids that are called the same
_HEAD = 6  # steps that a message lists


def normal(frame: Frame) -> np.ndarray:
    """Unit vector across a slice, LPS, right-handed with its rows and columns."""
    row, column = np.reshape(frame.orientation, (2, 3))
    across = np.cross(row, column)
    return across / np.linalg.norm(across)


def along_normal(frame: Frame) -> float:
    """How far along its normal a slice lies, mm."""
    return float(np.dot(frame.position, normal(frame)))


def frame_size(frame: Frame) -> tuple:
    """What two frames of one volume share, to the last bit: size, kind, and whether they say where they lie."""
    instance = frame.instance
    return instance.rows, instance.columns, instance.samples, instance.localizer, frame.placed


class Planes:
    """The orientations and spacings among frames of one size, to find that of another frame quickly.

    A header can give each of its thousands of frames an orientation of its own.
    """

    def __init__(self):
        self._numbers: list[int] = []
        self._values = np.zeros((1, 8))

    def __len__(self):
        return len(self._numbers)

    def find(self, frame: Frame) -> int | None:
        """The number of the first plane that a frame can share, as slices of one volume do; None if there is none."""
        if not self._numbers:
            return None
        if not frame.placed:
            return self._numbers[0]
        off = np.abs(self._values[: len(self)] - _plane(frame))
        limits = np.array([SAME_DIRECTION] * 6 + [1e-3 * size for size in frame.spacing])
        same = np.flatnonzero((off <= limits).all(axis=1))
        return self._numbers[same[0]] if same.size else None

    def add(self, frame: Frame, number: int) -> None:
        """Keep the plane of a frame under a number."""
        if len(self) == len(self._values):
            self._values = np.concatenate([self._values, np.zeros_like(self._values)])
        if frame.placed:
            self._values[len(self)] = _plane(frame)
        self._numbers.append(number)


def _plane(frame):
    return np.array([*frame.orientation, *frame.spacing])


def same_place(first: Frame, second: Frame) -> bool:
    """Whether two slices of one orientation lie in one plane; shifted within it they still would be no volume."""
    return abs(float(np.dot(np.subtract(second.position, first.position), normal(first)))) < SAME_PLACE_MM


def check_orientation(frame: Frame, name) -> None:
    """Require directions of a slice to be those of a plane.

    Raises:
        InputError: if they are no unit vectors, or not perpendicular.
    """
    row, column = np.reshape(frame.orientation, (2, 3))
    lengths = np.linalg.norm([row, column], axis=1)
    if not np.allclose(lengths, 1, atol=0.01) or abs(row @ column) > 0.01:
        raise InputError(
            f"{name}: {frame.name} has the orientation {_list(frame.orientation)}, expected two perpendicular unit "
            "vectors; its header is damaged"
        )


def slice_affine(frames: tuple[Frame, ...], name, thickness: float | None = None) -> np.ndarray:
    """The affine of a volume whose axes are columns, rows and slices.

    Slices of a tilted gantry shift sideways from one to the next: the third axis runs from the first to the last
    position, so the affine is sheared as the volume is.

    Args:
        frames: placed, of one orientation, sorted along their normal.
        name: of the series, for messages.
        thickness: mm of a single slice.

    Returns:
        (4, 4), voxel to world in mm, RAS+.

    Raises:
        InputError: if slices are missing or unevenly spaced; the message names them.
    """
    first = frames[0]
    row, column = np.reshape(first.orientation, (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * first.spacing[1], column * first.spacing[0]
    affine[:3, 3] = first.position
    positions = np.array([frame.position for frame in frames])
    if len(frames) == 1:
        affine[:3, 2] = normal(first) * (thickness or 1.0)
    else:
        step = (positions[-1] - positions[0]) / (len(frames) - 1)
        _check_even(frames, positions, step, name)
        affine[:3, 2] = step
    return LPS_TO_RAS @ affine


def _check_even(frames, positions, step, name):
    off = positions - positions[0] - np.arange(len(frames))[:, None] * step
    length = float(np.dot(step, normal(frames[0])))
    if np.abs(off).max() <= UNEVEN * length:
        return
    steps = np.diff(positions @ normal(frames[0]))
    usual = float(steps.min())
    counts = np.rint(steps / usual).astype(int)
    if counts.max() > 1 and np.abs(steps / usual - counts).max() < 2 * UNEVEN:
        missing = int((counts - 1).sum())
        places = "; ".join(
            f"{counts[index] - 1} between {frames[index].name} and {frames[index + 1].name}"
            for index in np.flatnonzero(counts > 1)[:_HEAD]
        )
        raise InputError(
            f"{name}: {missing} of {len(frames) + missing} slices missing, {places} (a step of {usual:.4g} mm "
            "elsewhere); send the series again"
        )
    usual = float(np.median(steps))
    if np.abs(steps - usual).max() <= UNEVEN * usual:
        worst = int(np.abs(off).max(axis=1).argmax())
        raise InputError(
            f"{name}: {frames[worst].name} lies {np.linalg.norm(off[worst]):.3g} mm off the line of the others; "
            "expected the slices of one volume, give each of its parts by itself"
        )
    odd = int(np.abs(steps - usual).argmax())
    raise InputError(
        f"{name}: its slices are {usual:.4g} mm apart but {steps[odd]:.4g} mm between {frames[odd].name} and "
        f"{frames[odd + 1].name}; expected even steps, resample it to them or give its parts by themselves"
    )


def _list(values):
    return ", ".join(f"{value:.4g}" for value in values)
