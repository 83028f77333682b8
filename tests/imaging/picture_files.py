"""Writers of PNG and TIFF files with whatever header, plain and slow, for tests."""

import struct
import zlib

import numpy as np

SHORT, LONG = 3, 4


def png(samples, depth, colour, extra=(), interlace=0, claim=None):
    """A PNG file.

    Args:
        samples: (rows, columns, S) integers as they shall be stored.
        depth: bits of a sample.
        colour: PNG's colour type.
        extra: (type, data) of chunks before the pixels.
        interlace: 0, or 1 for Adam7.
        claim: (rows, columns) that the header announces, if they shall differ.
    """
    rows, columns = claim or samples.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = []
    for top, left, down, right in passes:
        part = samples[top::down, left::right]
        lines += [b"\0" + packed(line, depth, ">") for line in part] if part.size else []
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, interlace)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def packed(values, bits, order):
    """The bytes of a row of samples, highest bit first; samples of 16 bits and more of whole bytes in ``order``."""
    numbers = [int(value) % 2**bits for value in np.ravel(values)]
    if bits % 8 == 0:
        return b"".join(number.to_bytes(bits // 8, "little" if order == "<" else "big") for number in numbers)
    text = "".join(f"{number:0{bits}b}" for number in numbers)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""


def tiff(samples, bits, tags=None, order="<", planar=False, rows_per_strip=None, compress=bytes, reversed_bits=False):
    """A TIFF file of strips.

    Args:
        samples: (rows, columns, S) integers as they shall be stored.
        bits: of a sample.
        tags: tag to value or values, over those that follow from the other arguments.
        order: byte order.
        planar: a plane a sample.
        rows_per_strip: all rows by default.
        compress: of the bytes of a strip.
        reversed_bits: the lowest bit of each byte first.
    """
    rows, columns, channels = samples.shape
    height = rows_per_strip or rows
    planes = [samples[..., c] for c in range(channels)] if planar else [samples]
    strips = []
    for plane in planes:
        for top in range(0, rows, height):
            strip = compress(b"".join(packed(line, bits, order) for line in plane[top : top + height]))
            strips.append(bytes(int(f"{b:08b}"[::-1], 2) for b in strip) if reversed_bits else strip)
    values = {256: columns, 257: rows, 258: [bits] * channels, 259: 1, 262: 2 if channels == 3 else 1, 277: channels}
    values |= {278: height, 284: 2 if planar else 1, 266: 2 if reversed_bits else 1} | (tags or {})
    start = 8 + sum(map(len, strips))
    offsets = np.cumsum([8] + [len(strip) for strip in strips])[:-1].tolist()
    values |= {273: offsets, 279: [len(strip) for strip in strips]}
    directory, beyond = struct.pack(f"{order}H", len(values)), b""
    after = start + 2 + 12 * len(values) + 4
    for tag, value in sorted(values.items()):
        items = value if isinstance(value, list) else [value]
        kind = LONG if tag in (256, 257, 273, 278, 279) else SHORT
        data = struct.pack(f"{order}{len(items)}{'I' if kind == LONG else 'H'}", *items)
        if len(data) > 4:
            data, beyond = struct.pack(f"{order}I", after + len(beyond)), beyond + data
        directory += struct.pack(f"{order}HHI", tag, kind, len(items)) + data.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + b"".join(strips) + directory + bytes(4) + beyond
