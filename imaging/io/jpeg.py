"""JPEG files, by Pillow."""

import io
import re
import struct
from dataclasses import dataclass

import numpy as np

from imaging.io.picture import Picture, check_size, damaged, exif_orientation, upright
from medseg.errors import InputError

START = b"\xff\xd8"
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of frame, of all kinds; the three others are tables
_DECODED = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended and progressive, by Huffman or arithmetic coding
_JFIF, _EXIF, _ADOBE, _COMMENT = 0xE0, 0xE1, 0xEE, 0xFE
# A progressive file has about ten; each costs a pass over the whole picture, so thousands would take hours.
_MOST_SCANS = 100
_MOST_SEGMENTS = 10_000
_FILL = re.compile(b"\xff*")  # may stand before a marker


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG stream says of itself before its first scan.

    Attributes:
        coding: marker of its frame.
        bits: of a sample.
        rows, columns, channels: of the picture.
        scans: how many follow.
        exif: the camera's block, or nothing.
        bare: the stream without what does not bear on its pixels.
    """

    coding: int
    bits: int
    rows: int
    columns: int
    channels: int
    scans: int
    exif: bytes
    bare: bytes

    @property
    def problem(self) -> str:
        """Why it cannot be decoded, and the mend; "" if it can."""
        if self.coding not in _DECODED:
            return "is lossless or hierarchical JPEG, which cannot be read; save it as PNG"
        if self.bits != 8:
            return f"is JPEG of {self.bits} bits, which cannot be read; save it as PNG of 16 bits"
        if self.channels not in (1, 3):
            return f"has {self.channels} channels (CMYK), expected grey or RGB; convert it"
        if self.scans > _MOST_SCANS:
            return f"has {self.scans} progressive scans, expected at most {_MOST_SCANS}; save it anew"
        return ""


def read_jpeg(path, content: bytes) -> Picture:
    """Read a JPEG file (ISO/IEC 10918-1), turned upright by its EXIF orientation.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        InputError: if it is damaged, too large, CMYK, or of a kind that Pillow cannot decode (12 bits, lossless).
    """
    header = parse_jpeg(content)
    if header is None:
        raise damaged(path)
    if header.problem:
        raise InputError(f"{path}: {header.problem}")
    check_size(path, header.rows, header.columns, header.channels)
    samples = decode_jpeg(header)
    if samples is None:
        raise damaged(path)
    return Picture(upright(samples, exif_orientation(header.exif)), 8, lossy=True)


def parse_jpeg(content: bytes) -> JpegHeader | None:
    """The header of a JPEG stream; None if it ends early or contradicts itself."""
    segments, place = [], len(START)
    while True:
        place = max(place, _FILL.match(content, place).end() - 1)
        if content[place : place + 2] == _SCAN:
            break
        marker = content[place + 1] if place + 4 <= len(content) and content[place] == 0xFF else 0
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == 0 or length < 2 or place + 2 + length > len(content) or len(segments) > _MOST_SEGMENTS:
            return None
        segments.append((marker, content[place + 4 : place + 2 + length]))
        place += 2 + length
    frames = [(marker, data) for marker, data in segments if marker in _FRAMES]
    if len(frames) != 1 or len(frames[0][1]) < 6 or content.find(_END, place) < 0:
        return None
    coding, frame = frames[0]
    # Pillow would parse what cameras write too; of such segments only those that tell the colours are kept.
    bare = [START]
    for marker, data in segments:
        if marker in (_JFIF, _ADOBE) or not (_JFIF <= marker <= _COMMENT):
            bare += [bytes([0xFF, marker]), struct.pack(">H", len(data) + 2), data]
    exif = [data[6:] for marker, data in segments if marker == _EXIF and data[:6] == b"Exif\0\0"]
    bits, rows, columns, channels = struct.unpack_from(">BHHB", frame)
    return JpegHeader(
        coding,
        bits,
        rows,
        columns,
        channels,
        scans=content.count(_SCAN, place),
        exif=exif[0] if exif else b"",
        bare=b"".join([*bare, memoryview(content)[place:]]),
    )


def decode_jpeg(header: JpegHeader) -> np.ndarray | None:
    """Pixels (rows, columns, 1 or 3) of a JPEG stream; None if it is damaged."""
    from PIL import JpegImagePlugin

    try:
        # Image.open would add its own limit on the size, which is not the one that the user can set.
        with JpegImagePlugin.JpegImageFile(io.BytesIO(header.bare)) as image:
            pixels = np.asarray(image)
    except Exception:  # what a damaged file makes Pillow raise is of many types
        return None
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels if pixels.shape == (header.rows, header.columns, header.channels) else None
