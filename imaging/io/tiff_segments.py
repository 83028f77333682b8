"""The strips and tiles of a TIFF file: decompressed, unpacked and put together. Values are those that are stored.

Compressed bytes are taken apart by zlib, lzma, OpenCV's libtiff and Pillow, whatever the samples in them are; what the
tags say of the samples is followed here.
"""

import importlib
import lzma
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from imaging.io.jpeg import START, decode_jpeg, parse_jpeg
from imaging.io.opencv import decode

NONE, LZW, JPEG, DEFLATE, PACKBITS, LZMA, OLD_DEFLATE, ZSTD = 1, 5, 7, 8, 32773, 34925, 32946, 50000
CCITT = (2, 3, 4)
COMPRESSIONS = {NONE, LZW, JPEG, DEFLATE, PACKBITS, LZMA, OLD_DEFLATE, ZSTD, *CCITT}
_LZMA_MEMORY = 2**27
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ROWS_AT_ONCE = 64


class SegmentError(Exception):
    """A strip or tile that cannot be decoded."""


@dataclass(frozen=True)
class Samples:
    """How samples are written into a strip or tile.

    Attributes:
        kind: "u", "i" or "f" as NumPy names unsigned, signed and real numbers.
        bits: of a sample.
        order: "<" or ">", the file's byte order.
        compression, predictor: values of these tags.
        reversed_bits: the lowest bit of a byte comes first (FillOrder 2).
        is_rgb: colours of JPEG data are stored as they are, not as luminance and chrominance.
        options: T4Options of CCITT data.
        tables: the JPEG tables that all segments share, a stream of its own; or None.
    """

    kind: str
    bits: int
    order: str
    compression: int
    predictor: int
    reversed_bits: bool = False
    is_rgb: bool = False
    options: int = 0
    tables: bytes | None = None


@dataclass(frozen=True)
class Grid:
    """How a page is cut into strips or tiles.

    Attributes:
        shape: (rows, columns, samples) of the page.
        segment: (rows, columns) of a strip or tile.
        tiled: an edge tile is written whole, an edge strip is not.
        planar: the samples of a pixel lie in segments of their own.
    """

    shape: tuple[int, int, int]
    segment: tuple[int, int]
    tiled: bool
    planar: bool

    @property
    def counts(self) -> tuple[int, int, int]:
        """Segments by plane, downwards and to the right; they are stored in this order."""
        rows, columns, samples = self.shape
        return (samples if self.planar else 1, -(-rows // self.segment[0]), -(-columns // self.segment[1]))


def assemble(segments, grid: Grid, samples: Samples) -> np.ndarray:
    """Put a page together.

    Args:
        segments: compressed content of each strip or tile, in the file's order.
        grid: how they lie.
        samples: how they are written.

    Returns:
        (rows, columns, samples) as stored, in the smallest type of the machine's byte order that holds them.

    Raises:
        SegmentError: if one cannot be decoded.
    """
    rows, columns, channels = grid.shape
    down, right = grid.segment
    page = None
    for place, content in zip(np.ndindex(grid.counts), segments, strict=True):
        plane, top, left = place[0], place[1] * down, place[2] * right
        height = down if grid.tiled else min(down, rows - top)
        block = decode_segment(content, (height, right, 1 if grid.planar else channels), samples, down)
        if page is None:
            page = np.empty(grid.shape, block.dtype)
        into = slice(plane, plane + 1) if grid.planar else slice(None)
        page[top : top + down, left : left + right, into] = block[: rows - top, : columns - left]
    return page


def decode_segment(content: bytes, shape, samples: Samples, whole_rows: int) -> np.ndarray:
    """A strip or tile.

    Args:
        content: compressed.
        shape: (rows, columns, samples of a pixel) in it.
        samples: how they are written.
        whole_rows: rows of a strip that is not the last; JPEG may write the last one whole, too.

    Returns:
        (*shape) as stored.

    Raises:
        SegmentError: if it cannot be decoded.
    """
    if samples.compression == JPEG:
        return _from_jpeg(content, shape, samples, whole_rows)
    if samples.reversed_bits:
        content = content.translate(_BITS_REVERSED)
    width = -(-shape[1] * shape[2] * samples.bits // 8)
    data = _decompress(content, shape, width, samples)
    if len(data) < shape[0] * width:
        raise SegmentError
    data = np.frombuffer(data, np.uint8, shape[0] * width).reshape(shape[0], width)
    if samples.predictor == 3:
        return _undo_float_differences(data, shape, samples)
    block = _unpack(data, shape[1] * shape[2], samples).reshape(shape)
    return _undo_differences(block) if samples.predictor == 2 else block


def zstd_library():
    """The module that decompresses Zstandard, of Python 3.14 or its backport; None if there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _decompress(content, shape, width, samples):
    """The bytes of a segment, held to the size that the tags announce."""
    size = shape[0] * width
    try:
        match samples.compression:
            case 1:
                return content
            case 8 | 32946:
                return zlib.decompressobj().decompress(content, size)
            case 34925:
                return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(content, size)
    except (zlib.error, lzma.LZMAError, EOFError):
        raise SegmentError from None
    if samples.compression == ZSTD:
        zstd = zstd_library()
        try:
            return zstd.ZstdDecompressor().decompress(content, size)
        except (zstd.ZstdError, EOFError):
            raise SegmentError from None
    if samples.compression in CCITT:
        pixels = decode(_wrapped(content, samples, shape[1], shape[0], 1))
        return b"" if pixels is None else np.packbits(pixels > 0, axis=1).tobytes()
    bits = 16 if width % 2 == 0 else 8  # libtiff hands 16 bits over as they are stored, here lowest byte first
    pixels = decode(_wrapped(content, samples, width * 8 // bits, shape[0], bits))
    return b"" if pixels is None else pixels.astype(f"<u{bits // 8}", copy=False).tobytes()


def _wrapped(content, samples, columns, rows, bits):
    """A little TIFF file of one strip of grey, so that libtiff decompresses it."""
    long, short = 4, 3
    tags = {256: columns, 257: rows, 258: bits, 259: samples.compression, 262: 1, 277: 1, 278: rows, 279: len(content)}
    if samples.compression in CCITT:
        tags[292] = samples.options
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags[273] = start
    entries = [
        struct.pack("<HHII", tag, short if tag in (258, 259, 262, 277) else long, 1, value)
        for tag, value in sorted(tags.items())
    ]
    return b"".join([b"II*\0", struct.pack("<IH", 8, len(tags)), *entries, bytes(4), content])


def _from_jpeg(content, shape, samples, whole_rows):
    """Pixels of a segment that is a JPEG stream, given the shared tables and a marker that tells its colours."""
    adobe = b"" if shape[2] == 1 else b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + (b"\0" if samples.is_rgb else b"\1")
    header = parse_jpeg(START + adobe + (samples.tables or b"")[2:-2] + content[2:])
    if header is None or header.problem or header.channels != shape[2]:
        raise SegmentError
    # What is larger than the tags announce takes memory that nobody has checked.
    if header.columns != shape[1] or not shape[0] <= header.rows <= whole_rows:
        raise SegmentError
    block = decode_jpeg(header)
    if block is None:
        raise SegmentError
    return block[: shape[0]]


def _unpack(data, count, samples):
    """``count`` samples of each row of bytes."""
    bits, signed = samples.bits, samples.kind == "i"
    if bits in (8, 16, 32, 64):
        return data.view(f"{samples.order}{samples.kind}{bits // 8}").astype(f"{samples.kind}{bits // 8}", copy=False)
    if bits == 24 and samples.order == "<":  # whole bytes follow the file's byte order, other sizes never do
        data = data.reshape(len(data), -1, 3)[..., ::-1].reshape(len(data), -1)
    unpacked = np.zeros((len(data), count), np.uint8 if bits < 8 else np.uint16 if bits < 16 else np.uint32)
    for begin in range(0, len(data), _ROWS_AT_ONCE):  # a byte for every bit, so not for all rows at once
        part = np.unpackbits(data[begin : begin + _ROWS_AT_ONCE], axis=1)[:, : count * bits]
        into = unpacked[begin : begin + _ROWS_AT_ONCE]
        for bit in range(bits):
            into <<= 1
            into |= part[:, bit::bits]
    if not signed:
        return unpacked
    values = unpacked.astype(np.int64)
    return (values - ((values >> (bits - 1)) << bits)).astype(np.int32)


def _undo_differences(block):
    """Sums along a row for each sample of a pixel, in the sample's own width (real numbers by their bits)."""
    integers = block.view(f"u{block.itemsize}")
    return np.cumsum(integers, axis=1, dtype=integers.dtype).view(block.dtype)


def _undo_float_differences(data, shape, samples):
    """Adobe's floating-point predictor: differences of bytes; the highest byte of every sample in a row comes first."""
    size = samples.bits // 8
    summed = np.cumsum(data.reshape(shape[0], -1, shape[2]), axis=1, dtype=np.uint8).reshape(shape[0], size, -1)
    values = np.ascontiguousarray(summed.swapaxes(1, 2)).view(f">f{size}")
    return values.astype(f"f{size}").reshape(shape)


def segment_count(grid: Grid) -> int:
    """How many strips or tiles a page has."""
    return math.prod(grid.counts)
