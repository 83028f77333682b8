"""Labels as the page sends them, many times a minute: integers on the page's own grid, read without a detour.

Whatever is not exactly so is left to ``imaging.io``, which also says what is wrong with it.
"""

import zlib
from dataclasses import replace

import numpy as np

from imaging.io.nifti_header import LONGEST, parse_header
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.limits import max_bytes

_GZIP = b"\x1f\x8b"
_WITH_GZIP_HEADER = 31  # of zlib: a window of 2^15 bytes, and the header and checksum of gzip around it
_SAME = 1e-4  # mm: what float32 leaves of an affine
_TYPES = ("uint8", "int8", "int16", "uint16", "int32")


def quick_labels(content: bytes, page: Scan) -> Scan | None:
    """The labels in a NIfTI file that lies on the page's grid, axis for axis, with plain integers.

    Args:
        content: the file, gzipped or not.
        page: the page's grid.

    Returns:
        (i, j, k, 1), or None for anything else, whether it could be read or not.
    """
    expected = LONGEST + 2**16 + 4 * int(np.prod(page.shape))
    if expected > max_bytes():
        return None
    try:
        raw = _unpacked(content, expected)
        header = parse_header("the label", raw[:LONGEST])
    except (InputError, zlib.error):
        return None
    if header.shape != page.shape or header.dtype.name not in _TYPES or header.scaling != (1, 0):
        return None
    if len(raw) != header.end or not np.allclose(header.affine, page.affine, rtol=0, atol=_SAME):
        return None
    voxels = np.frombuffer(raw, header.dtype, offset=header.start).reshape(page.shape, order="F")
    return replace(page, voxels=voxels.astype(header.dtype.newbyteorder("="), copy=False)[..., None])


def _unpacked(content, most):
    if content[:2] != _GZIP:
        return content
    unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
    raw = unpacker.decompress(content, most)
    if not unpacker.eof or unpacker.unused_data:  # longer, cut short, or with something behind it
        raise zlib.error("not one whole member")
    return raw
