"""The tags of TIFF pages: read by tifffile, checked, and told as ``Page``."""

import logging
import struct
from dataclasses import dataclass

import numpy as np

from imaging.io import tiff_segments
from imaging.io.tiff_segments import Grid, Samples
from medseg.errors import InputError

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # 4 is "undefined", which readers take for unsigned
_SIZES = {"u": (*range(1, 33), 64), "i": (*range(2, 33), 64), "f": (16, 32, 64)}
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_PHOTOMETRIC, _ORIENTATION, _T4_OPTIONS, _FORMATS, _JPEG_TABLES, _DEPTH = 262, 274, 292, 339, 347, 32997
_REDUCED = 1  # bit of NewSubfileType
MOST_PAGES = 4096  # a chain of hundred thousands takes minutes
UNSPECIFIED = 0  # of ExtraSamples
_MEND = "save the file with LZW, deflate or no compression"

# Remarks of tifffile on odd files would be printed by Python where nobody has set up logging.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Page:
    """What a page's tags say.

    Attributes:
        grid: how it is cut into strips or tiles.
        samples: how these are written.
        photometric: what its samples stand for, as the tag has it.
        extra: what samples beyond the colours are, as ExtraSamples has it.
        colours: (3, N) of 16 bits, of a palette; or None.
        orientation: of the tag.
        offsets, sizes: of the strips or tiles, in the file.
    """

    grid: Grid
    samples: Samples
    photometric: int
    extra: tuple[int, ...]
    colours: np.ndarray | None
    orientation: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


def chain_length(content) -> int:
    """How many pages follow one another, to one more than ``MOST_PAGES``: told without parsing what they hold."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    at, number, entry, offset = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    pages = 0
    try:
        (place,) = struct.unpack_from(order + offset, content, at)
        while place and pages <= MOST_PAGES:
            (entries,) = struct.unpack_from(order + number, content, place)
            (place,) = struct.unpack_from(
                order + offset, content, place + struct.calcsize(order + number) + entry * entries
            )
            pages += 1
    except (struct.error, OverflowError):  # the second for places beyond what the machine can count, of BigTIFF
        return 2  # damaged, which tifffile tells
    return pages


def full_pages(path, file) -> list:
    """The pages of an open ``tifffile.TiffFile`` that are pictures of their own, no reduced copies.

    Raises:
        InputError: if there are more than ``MOST_PAGES``.
    """
    pages = [file.pages[0]]
    for number in range(1, MOST_PAGES + 1):
        try:
            page = file.pages[number]
        except IndexError:
            return pages
        if not int(page.subfiletype) & _REDUCED:
            pages.append(page)
    raise many_pages(path)


def shaped(file) -> dict:
    """The JSON with which tifffile describes the only array in an open ``tifffile.TiffFile``; else empty."""
    try:
        described = list(file.shaped_metadata or [])
    except Exception:  # another program's description that begins like tifffile's
        return {}
    return dict(described[0]) if len(described) == 1 else {}


def many_pages(path) -> InputError:
    """The error for a file of more than ``MOST_PAGES``."""
    return InputError(f"{path}: holds more than {MOST_PAGES} pages; convert it to NIfTI, or save parts of it")


def check_page(path, page) -> None:
    """Refuse by name what is not read: a compression, colours, samples or a predictor.

    Raises:
        InputError: naming it and the mend.
    """
    import tifffile

    compression, photometric = int(page.compression), _photometric(page)
    jpeg = compression == tiff_segments.JPEG
    if compression not in tiff_segments.COMPRESSIONS:
        raise InputError(f"{path}: compression {_name(tifffile.COMPRESSION, compression)} cannot be read; {_MEND}")
    if compression == tiff_segments.ZSTD and tiff_segments.zstd_library() is None:
        raise InputError(
            f'{path}: compression ZSTD cannot be read by this installation; pip install "medseg-zoo[imaging]", '
            f"or {_MEND}"
        )
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE) and not (jpeg and photometric == YCBCR):
        raise InputError(
            f"{path}: colours {_name(tifffile.PHOTOMETRIC, photometric)} cannot be read, expected grey, palette or "
            "RGB; convert it"
        )
    formats = page.tags.valueof(_FORMATS, 1)
    formats = set(formats) if isinstance(formats, tuple) else {formats}
    kind = _KINDS.get(int(page.sampleformat)) if len(formats) == 1 else None
    if kind is None or page.bitspersample not in _SIZES[kind]:  # a tuple where samples differ in size
        names = ", ".join(_name(tifffile.SAMPLEFORMAT, value) for value in sorted(formats))
        raise InputError(
            f"{path}: samples of {page.bitspersample} bits and format {names} cannot be read; convert it to 8 or 16 "
            "bits or 32-bit real numbers"
        )
    predictor, bits = int(page.predictor), page.bitspersample
    predicted = predictor == 1 or (predictor == 2 and bits in (8, 16, 32, 64)) or (predictor == 3 and kind == "f")
    fax = compression in tiff_segments.CCITT
    if ((bits, kind) != (8, "u")) if jpeg else (not predicted or (fax and (bits, page.samplesperpixel) != (1, 1))):
        raise InputError(
            f"{path}: compression {_name(tifffile.COMPRESSION, compression)} with predictor {predictor} of {bits} bits "
            f"cannot be read; {_MEND}"
        )
    if int(page.tags.valueof(_DEPTH, 1)) != 1:
        raise InputError(f"{path}: is a volume, expected a flat image; convert it to NIfTI")


def parse_page(page) -> Page:
    """What the tags of a ``tifffile`` page that ``check_page`` passed say."""
    rows, columns, samples = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    tiled = bool(page.is_tiled)
    segment = (page.tilelength, page.tilewidth) if tiled else (min(page.rowsperstrip, rows), columns)
    down, right = (max(int(size), 1) for size in segment)  # an empty page is refused by its size
    photometric = _photometric(page)
    tables = page.tags.valueof(_JPEG_TABLES)
    written = Samples(
        kind=_KINDS[int(page.sampleformat)],
        bits=page.bitspersample,
        order=page.parent.byteorder,
        compression=int(page.compression),
        predictor=int(page.predictor),
        reversed_bits=int(page.fillorder) == 2,
        is_rgb=photometric == RGB,
        options=int(page.tags.valueof(_T4_OPTIONS, 0)),
        tables=None if tables is None else bytes(tables),
    )
    return Page(
        grid=Grid((rows, columns, samples), (down, right), tiled, samples > 1 and int(page.planarconfig) == 2),
        samples=written,
        photometric=photometric,
        extra=tuple(int(kind) for kind in page.extrasamples),
        colours=page.colormap if photometric == PALETTE else None,
        orientation=page.tags.valueof(_ORIENTATION, 1),
        offsets=tuple(int(offset) for offset in page.dataoffsets),
        sizes=tuple(int(size) for size in page.databytecounts),
    )


def _photometric(page):
    """The photometric tag; files without one hold RGB if they have the samples for it, else grey."""
    if _PHOTOMETRIC in page.tags:
        return int(page.photometric)
    return RGB if page.samplesperpixel in (3, 4) else BLACK_IS_ZERO


def resolution(page) -> tuple:
    """Size of a pixel across and down by the resolution tags, or None."""
    fractions = [page.tags.valueof(tag, (0, 1)) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    return tuple(parts / number if number and parts else None for number, parts in fractions)


def _name(names, value):
    """A tag's value as tifffile names it, or the number."""
    try:
        return names(value).name
    except ValueError:
        return str(value)
