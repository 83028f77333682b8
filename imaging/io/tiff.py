"""TIFF files: what the tags say, by tifffile. The pixels themselves are taken out by ``imaging.io.tiff_segments``."""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from imaging.io import tiff_segments, tiff_tags
from imaging.io.picture import Picture, check_size, damaged, upright
from imaging.io.tiff_segments import SegmentError
from medseg.errors import InputError

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Stack:
    """The pages of a file.

    Attributes:
        pages: each a function that decodes it to a ``Picture``.
        imagej: ImageJ's metadata; empty where there are none.
        ome: OME's XML; empty where there is none.
        shaped: what tifffile writes of an array, ``shape`` and sometimes ``axes``; empty where it did not.
        across, down: size of a pixel by the resolution tags, in a unit that the metadata name; None where not told.
    """

    pages: tuple[Callable[[], Picture], ...]
    imagej: dict
    ome: str
    shaped: dict
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
            pages = tiff_tags.full_pages(path, file)
            for page in pages:
                tiff_tags.check_page(path, page)
            parsed = [tiff_tags.parse_page(page) for page in pages]
            imagej, ome, shaped = dict(file.imagej_metadata or {}), file.ome_metadata, tiff_tags.shaped(file)
            resolution = tiff_tags.resolution(pages[0])
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
        tuple(functools.partial(_read, path, content, page) for page in parsed), imagej, ome or "", shaped, *resolution
    )


def page_count(path, content: bytes) -> int:
    """How many pages of a TIFF file are pictures of their own.

    Raises:
        InputError: if it is damaged.
    """
    import tifffile

    length = tiff_tags.chain_length(content)
    if length > tiff_tags.MOST_PAGES:
        raise tiff_tags.many_pages(path)
    if length == 1 and b"ImageJ=" not in content:
        return 1
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            # A stack of ImageJ beyond 4 GB has one page that speaks for all.
            return max(int((file.imagej_metadata or {}).get("images", 1)), len(tiff_tags.full_pages(path, file)))
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None


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


def _open(path, content):
    """The tags of the only page, checked."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pages = max(int((file.imagej_metadata or {}).get("images", 1)), len(tiff_tags.full_pages(path, file)))
            if pages > 1:
                raise InputError(f"{path}: holds {pages} pages, expected a flat image; give one page")
            tiff_tags.check_page(path, file.pages[0])
            return tiff_tags.parse_page(file.pages[0])
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None


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
    if page.photometric == tiff_tags.PALETTE:
        if page.colours is None or page.colours.ndim != 2 or len(page.colours) != 3 or stored.shape[-1] != 1:
            raise damaged(path)
        palette = (page.colours.T >> 8).astype(np.uint8)  # 8 bits are written twice, or times 256
    return Picture(
        upright(stored, page.orientation),
        bits,
        palette,
        white_is_zero=page.photometric == tiff_tags.WHITE_IS_ZERO,
        transparent=transparent,
        lossy=page.samples.compression == tiff_segments.JPEG,
    )


def _alpha(page):
    """Which sample is the opacity, or None: the one that is marked, or a single unmarked one beside RGB."""
    colours, channels = (3 if page.photometric in (tiff_tags.RGB, tiff_tags.YCBCR) else 1), page.grid.shape[2]
    extra = page.extra or (tiff_tags.UNSPECIFIED,) * (channels - colours)
    if colours == 3 and extra == (tiff_tags.UNSPECIFIED,):
        return colours
    marked = [colours + place for place, kind in enumerate(extra) if kind != tiff_tags.UNSPECIFIED]
    return marked[0] if len(marked) == 1 and marked[0] < channels else None
