"""What a picture file stores, before it is decided whether it is an image or a label map."""

import struct
from dataclasses import dataclass

import numpy as np

from medseg.errors import InputError
from medseg.limits import check_bytes


@dataclass(frozen=True)
class Picture:
    """Samples as they lie in a PNG, JPEG or TIFF file, turned upright, and what they stand for.

    Attributes:
        samples: (rows, columns, S) as stored: no palette applied, nothing scaled or inverted, alpha taken away.
        bits: of a sample.
        palette: (N, 3) red, green, blue of 8 bits where a sample is an index into it.
        white_is_zero: a TIFF's photometric tag says that 0 is white.
        transparent: how some pixels are marked as transparent: by "alpha", by a "colour" or palette entry that stands
            for it, or "" if there is none.
        lossy: compressed so that values near edges have changed.
    """

    samples: np.ndarray
    bits: int
    palette: np.ndarray | None = None
    white_is_zero: bool = False
    transparent: str = ""
    lossy: bool = False


def damaged(path) -> InputError:
    """The error for a file whose content ends early or contradicts itself."""
    return InputError(f"{path}: cannot be read as an image, it is truncated or damaged; copy it again")


def check_size(path, rows: int, columns: int, samples: int) -> None:
    """Hold what a header announces to the limit, as the float32 voxels that it would become.

    Raises:
        InputError: if it has no pixel, or would take more than ``medseg.limits.max_bytes``.
    """
    if min(rows, columns, samples) < 1:
        raise InputError(f"{path}: shape ({rows}, {columns}) with {samples} channels holds no pixel")
    check_bytes(path, rows * columns * samples * 4, f"{columns} x {rows} pixels")


def upright(samples: np.ndarray, orientation) -> np.ndarray:
    """Turn pixels as the orientation tag (274 of TIFF and EXIF) says: first axis downwards, second to the right.

    Args:
        samples: (rows, columns, S) as stored.
        orientation: 1 to 8; anything else counts as 1, as viewers have it.
    """
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
    return turned[orientation](samples) if orientation in turned else samples


def exif_orientation(block: bytes) -> int:
    """The orientation in an EXIF block (a TIFF header and a list of tags); 1 where it has none or cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if (tag, kind, values) == (274, 3, 1):
                return value
    except struct.error:  # a damaged block says nothing; viewers show such a picture as it is stored
        return 1
    return 1
