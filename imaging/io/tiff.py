"""TIFF files: what the tags say, by tifffile. The pixels themselves are taken out by ``imaging.io.tiff_segments``."""

import functools
import io
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from imaging.io import tiff_segments
from imaging.io.picture import Picture, check_size, damaged, upright
from imaging.io.tiff_segments import Grid, Samples, SegmentError
from medseg.errors import InputError

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # 4 is "undefined", which readers take for unsigned
_SIZES = {"u": (*range(1, 33), 64), "i": (*range(2, 33), 64), "f": (16, 32, 64)}
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_PHOTOMETRIC, _ORIENTATION, _T4_OPTIONS, _FORMATS, _JPEG_TABLES, _DEPTH = 262, 274, 292, 339, 347, 32997
_REDUCED = 1  # bit of NewSubfileType
_MOST_PAGES = 4096  # a chain of hundred thousands takes minutes
_UNSPECIFIED = 0  # of ExtraSamples
_MEND = "save the file with LZW, deflate or no compression"

# Remarks of tifffile on odd files would be printed by Python where nobody has set up logging.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class _Page:
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


@dataclass(frozen=True)
class Stack:
    """The pages of a file.

    Attributes:
        pages: each a function that decodes it to a ``Picture``.
        imagej: ImageJ's metadata; empty where there are none.
        ome: OME's XML; empty where there is none.
        across, down: size of a pixel by the resolution tags, in a unit that the metadata name; None where not told.
    """

    pages: tuple[Callable[[], Picture], ...]
    imagej: dict
    ome: str
    across: float | None
    down: float | None


def read_tiff(path, content: bytes) -> Picture:
    """Read a TIFF or BigTIFF file (Adobe TIFF 6.0) of one page, turned upright by its orientation tag.

    Pages marked as reduced copies of the first are passed over.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        InputError: if it is damaged, holds several pages, is too large, or is of a kind that is not read.
    """
    return _read(path, content, _open(path, content))


def _read(path, content, page) -> Picture:
    grid = page.grid
    check_size(path, *grid.shape)
    # Tiles at the edges are unpacked whole.
    check_size(path, grid.counts[1] * grid.segment[0], grid.counts[2] * grid.segment[1], grid.shape[2])
    try:
        stored = tiff_segments.assemble(_segments(path, content, page), grid, page.samples)
    except SegmentError:
        raise damaged(path) from None
    return _picture(path, page, stored)


def read_stack(path, content: bytes) -> Stack:
    """What a TIFF file of several pages says of them; the pages themselves are decoded as they are asked for.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        InputError: if it is damaged, its pages differ in size or type, or it is of a kind that is not read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pages = _full_pages(path, file)
            for page in pages:
                _check(path, page)
            parsed = [_page(page) for page in pages]
            imagej, ome = dict(file.imagej_metadata or {}), file.ome_metadata
            resolution = _resolution(pages[0])
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None
    kinds = {(page.grid.shape, page.samples.kind, page.samples.bits, page.photometric) for page in parsed}
    if len(kinds) > 1:
        shapes = " and ".join(sorted({str(page.grid.shape) for page in parsed})[:2])
        raise InputError(
            f"{path}: holds {len(parsed)} pages of different size or type ({shapes}), expected the slices of one "
            "volume; save each as a file"
        )
    parsed = _contiguous(path, content, parsed, int(imagej.get("images", 1)))
    rows, columns, samples = parsed[0].grid.shape
    check_size(path, rows, columns, samples * len(parsed))
    return Stack(
        tuple(functools.partial(_read, path, content, page) for page in parsed), imagej, ome or "", *resolution
    )


def page_count(path, content: bytes) -> int:
    """How many pages of a TIFF file are pictures of their own.

    Raises:
        InputError: if it is damaged.
    """
    import tifffile

    length = _chain_length(content)
    if length > _MOST_PAGES:
        raise _many_pages(path)
    if length == 1 and b"ImageJ=" not in content:
        return 1
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            # A stack of ImageJ beyond 4 GB has one page that speaks for all.
            return max(int((file.imagej_metadata or {}).get("images", 1)), len(_full_pages(path, file)))
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None


def _chain_length(content) -> int:
    """How many pages follow one another, to one more than ``_MOST_PAGES``: told without parsing what they hold."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    at, number, entry, offset = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    pages = 0
    try:
        (place,) = struct.unpack_from(order + offset, content, at)
        while place and pages <= _MOST_PAGES:
            (entries,) = struct.unpack_from(order + number, content, place)
            (place,) = struct.unpack_from(
                order + offset, content, place + struct.calcsize(order + number) + entry * entries
            )
            pages += 1
    except struct.error:
        return 2  # damaged, which tifffile tells
    return pages


def _contiguous(path, content, parsed, images):
    """The pages of an ImageJ stack of which only the first is described: the others follow it without a gap."""
    if len(parsed) != 1 or images == 1:
        return parsed
    page = parsed[0]
    size = sum(page.sizes)
    whole = page.samples.compression == tiff_segments.NONE and page.offsets == tuple(
        page.offsets[0] + sum(page.sizes[:part]) for part in range(len(page.sizes))
    )
    if not whole or not 1 < images <= (len(content) - page.offsets[0]) // max(size, 1):
        raise damaged(path)
    return [replace(page, offsets=tuple(offset + number * size for offset in page.offsets)) for number in range(images)]


def _resolution(page):
    """Size of a pixel across and down by the resolution tags, or None."""
    fractions = [page.tags.valueof(tag, (0, 1)) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    return tuple(parts / number if number and parts else None for number, parts in fractions)


def _open(path, content):
    """The tags of the only page, checked."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pages = max(int((file.imagej_metadata or {}).get("images", 1)), len(_full_pages(path, file)))
            if pages > 1:
                raise InputError(f"{path}: holds {pages} pages, expected a flat image; give one page")
            _check(path, file.pages[0])
            return _page(file.pages[0])
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None


def _full_pages(path, file):
    """The pages that are pictures of their own."""
    pages = [file.pages[0]]
    for number in range(1, _MOST_PAGES + 1):
        try:
            page = file.pages[number]
        except IndexError:
            return pages
        if not int(page.subfiletype) & _REDUCED:
            pages.append(page)
    raise _many_pages(path)


def _many_pages(path):
    return InputError(f"{path}: holds more than {_MOST_PAGES} pages; convert it to NIfTI, or save parts of it")


def _check(path, page):
    """Refuse by name what is not read."""
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
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE) and not (jpeg and photometric == _YCBCR):
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


def _page(page):
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
        is_rgb=photometric == _RGB,
        options=int(page.tags.valueof(_T4_OPTIONS, 0)),
        tables=None if tables is None else bytes(tables),
    )
    return _Page(
        grid=Grid((rows, columns, samples), (down, right), tiled, samples > 1 and int(page.planarconfig) == 2),
        samples=written,
        photometric=photometric,
        extra=tuple(int(kind) for kind in page.extrasamples),
        colours=page.colormap if photometric == _PALETTE else None,
        orientation=page.tags.valueof(_ORIENTATION, 1),
        offsets=tuple(int(offset) for offset in page.dataoffsets),
        sizes=tuple(int(size) for size in page.databytecounts),
    )


def _photometric(page):
    """The photometric tag; files without one hold RGB if they have the samples for it, else grey."""
    if _PHOTOMETRIC in page.tags:
        return int(page.photometric)
    return _RGB if page.samplesperpixel in (3, 4) else _BLACK_IS_ZERO


def _segments(path, content, page):
    """The compressed content of each strip or tile; one that is missing or reaches past the file's end is damage."""
    count = tiff_segments.segment_count(page.grid)
    places = list(zip(page.offsets[:count], page.sizes[:count], strict=False))
    if len(places) != count or any(min(place) < 1 or sum(place) > len(content) for place in places):
        raise damaged(path)
    return (content[offset : offset + size] for offset, size in places)


def _picture(path, page, stored):
    """What the samples stand for."""
    transparent, palette, bits = "", None, page.samples.bits
    alpha = _alpha(page)
    if alpha is not None:
        opaque = 1 if page.samples.kind == "f" else 2 ** (bits - (page.samples.kind == "i")) - 1
        transparent = "alpha" if (stored[..., alpha] != opaque).any() else ""
        stored = np.delete(stored, alpha, axis=-1)
    if page.photometric == _PALETTE:
        if page.colours is None or page.colours.ndim != 2 or len(page.colours) != 3 or stored.shape[-1] != 1:
            raise damaged(path)
        palette = (page.colours.T >> 8).astype(np.uint8)  # 8 bits are written twice, or times 256
    return Picture(
        upright(stored, page.orientation),
        bits,
        palette,
        white_is_zero=page.photometric == _WHITE_IS_ZERO,
        transparent=transparent,
        lossy=page.samples.compression == tiff_segments.JPEG,
    )


def _alpha(page):
    """Which sample is the opacity, or None: the one that is marked, or a single unmarked one beside RGB."""
    colours, channels = (3 if page.photometric in (_RGB, _YCBCR) else 1), page.grid.shape[2]
    extra = page.extra or (_UNSPECIFIED,) * (channels - colours)
    if colours == 3 and extra == (_UNSPECIFIED,):
        return colours
    marked = [colours + place for place, kind in enumerate(extra) if kind != _UNSPECIFIED]
    return marked[0] if len(marked) == 1 and marked[0] < channels else None


def _name(names, value):
    """A tag's value as tifffile names it, or the number."""
    try:
        return names(value).name
    except ValueError:
        return str(value)
