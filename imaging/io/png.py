"""PNG files. Only the chunks that decide values are decoded: no gamma, no colour profile, no scaling.

Decoding is OpenCV's, which would replace the indices of a palette by its colours; so it is given a palette whose
colours are the indices.
"""

import struct
import zlib

import numpy as np

from imaging.io.opencv import decode
from imaging.io.picture import Picture, check_size, damaged, exif_orientation, upright
from medseg.errors import InputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_SAMPLES = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}  # the others have 8 and 16
_ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
_LAST_FILTER = 4
_MOST_CHUNKS = 100_000
_DEFLATE_RATIO = 1032  # the most that a byte of deflated data can become


def read_png(path, content: bytes) -> Picture:
    """Read a PNG file (ISO/IEC 15948).

    Args:
        path: for messages.
        content: of the file.

    Raises:
        InputError: if it is damaged, animated or too large.
    """
    chunks = _chunks(path, content)
    columns, rows, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if depth not in _DEPTHS.get(colour, (8, 16)) or colour not in _SAMPLES or methods[:2] != [0, 0] or methods[2] > 1:
        raise damaged(path)
    if b"acTL" in chunks:
        raise InputError(f"{path}: is animated, expected one picture; save each frame as a file")
    check_size(path, rows, columns, 3 if colour == _PALETTE else _SAMPLES[colour])
    if not _is_sound(chunks[b"IDAT"], rows, columns, depth * _SAMPLES[colour], bool(methods[2])):
        raise damaged(path)
    samples = decode(_bare(chunks, depth, colour))
    if samples is None or samples.shape[:2] != (rows, columns):
        raise damaged(path)
    samples = _as_stored(samples.reshape(rows, columns, -1), depth, colour)
    palette, transparent = None, ""
    if colour == _PALETTE:
        palette = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8)
        if not palette.size or palette.size % 3:
            raise damaged(path)
        palette = palette.reshape(-1, 3)
    if b"tRNS" in chunks and _uses_transparent_colour(samples, chunks[b"tRNS"], colour):
        transparent = "colour"
    if colour in (_GREY_ALPHA, _RGB_ALPHA):
        transparent = "alpha" if (samples[..., -1] != 2**depth - 1).any() else ""
        samples = samples[..., :-1]
    orientation = exif_orientation(chunks.get(b"eXIf", b""))
    return Picture(upright(samples, orientation), depth, palette, transparent=transparent)


def _chunks(path, content):
    """Data of the chunks by type, those of equal type joined, after their check sums were tried."""
    parts, place, view = {}, len(SIGNATURE), memoryview(content)
    for _ in range(_MOST_CHUNKS):
        if place + 12 > len(content):
            raise damaged(path)
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content) or zlib.crc32(view[place + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            raise damaged(path)
        parts.setdefault(kind, []).append(view[place + 8 : end - 4])
        if kind == b"IEND":
            break
        place = end
    else:
        raise damaged(path)
    chunks = {kind: b"".join(data) for kind, data in parts.items()}
    if len(chunks.get(b"IHDR", b"")) != 13 or b"IDAT" not in chunks:
        raise damaged(path)
    return chunks


def _is_sound(data, rows, columns, bits, interlaced):
    """Whether deflated pixels are whole; tried first, because libpng prints what it thinks of others."""
    passes = _ADAM7 if interlaced else [(0, 0, 1, 1)]
    sizes = [(-(-(rows - top) // down), -(-(columns - left) // right)) for top, left, down, right in passes]
    lines = [(high, 1 + -(-wide * bits // 8)) for high, wide in sizes if high > 0 and wide > 0]
    total = sum(high * length for high, length in lines)
    if total > _DEFLATE_RATIO * (len(data) + 1):
        return False
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, total + 1)
    except zlib.error:
        return False
    if len(unpacked) != total or not unpacker.eof or unpacker.unused_data:
        return False
    place, unpacked = 0, np.frombuffer(unpacked, np.uint8)
    for high, length in lines:  # each begins with the number of its filter
        if unpacked[place : place + high * length : length].max() > _LAST_FILTER:
            return False
        place += high * length
    return True


def _bare(chunks, depth, colour):
    """A PNG file of the pixels alone."""
    kept = [(b"IHDR", chunks[b"IHDR"]), (b"IDAT", chunks[b"IDAT"]), (b"IEND", b"")]
    if colour == _PALETTE:
        kept.insert(1, (b"PLTE", bytes(index for index in range(2**depth) for _ in range(3))))
    joined = [SIGNATURE]
    for kind, data in kept:
        joined += [struct.pack(">I4s", len(data), kind), data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))]
    return b"".join(joined)


def _as_stored(samples, depth, colour):
    """Samples in the file's order and scale, from those that OpenCV gives (blue first, alpha added to grey ones)."""
    if colour == _PALETTE:
        return samples[..., :1]
    if colour == _GREY:
        # OpenCV spreads 1, 2 and 4 bits over 0 to 255, which is exact: 255 divides by 1, 3 and 15.
        return samples[..., :1] // (255 // (2**depth - 1)) if depth < 8 else samples[..., :1]
    if colour == _GREY_ALPHA:
        return samples[..., [0, -1]]
    return samples[..., [2, 1, 0, 3][: samples.shape[-1]]]


def _uses_transparent_colour(samples, transparency, colour):
    if colour == _PALETTE:
        opacity = np.full(256, 255, np.uint8)
        opacity[: min(len(transparency), 256)] = np.frombuffer(transparency[:256], np.uint8)
        return bool((opacity[samples] != 255).any())
    if colour in (_GREY, _RGB) and len(transparency) == 2 * samples.shape[-1]:
        return bool((samples == np.frombuffer(transparency, ">u2")).all(axis=-1).any())
    return False
