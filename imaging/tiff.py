"""TIFF files: what the tags say, by tifffile. The pixels themselves are taken out by ``imaging.tiff_segments``."""

import io
import logging

import numpy as np

from imaging import tiff_segments
from imaging.picture import Picture, check_size, damaged, upright
from imaging.tiff_segments import Grid, Samples, SegmentError
from medseg.errors import InputError

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # 4 is "undefined", which readers take for unsigned
_REDUCED = 1  # bit of NewSubfileType
_T4_OPTIONS, _ORIENTATION, _JPEG_TABLES, _IMAGE_DEPTH = 292, 274, 347, 32997
_EXTRA_UNSPECIFIED = 0


def read_tiff(path, content: bytes) -> Picture:
    """Read a TIFF or BigTIFF file (Adobe TIFF 6.0) of one page, turned upright by its orientation tag.

    Pages marked as reduced copies of the first are passed over.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        InputError: if it is damaged, holds several pages, is too large, or is of a kind that is not read.
    """
    import tifffile

    # Its remarks on odd files would be printed by Python where nobody has set up logging.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page, pages = file.pages[0], _full_pages(file)
            tags = _Tags(path, page)
    except InputError:
        raise
    except Exception:  # what a damaged file makes tifffile raise is of many types
        raise damaged(path) from None
    if pages > 1:
        raise InputError(f"{path}: holds {pages} pages, expected one; save each as a file, or convert to NIfTI")
    grid, samples = tags.grid(), tags.samples()
    check_size(path, *grid.shape)
    # Tiles at the edges are unpacked whole.
    across = [count * size for count, size in zip(grid.counts[1:], grid.segment, strict=True)]
    check_size(path, *across, grid.shape[2])
    try:
        stored = tiff_segments.assemble(tags.segments(content, grid), grid, samples)
    except SegmentError:
        raise damaged(path) from None
    return tags.picture(stored)


class _Tags:
    """The tags of a page, checked.

    Raises:
        InputError: if they name something that is not read.
    """

    def __init__(self, path, page):
        self.path = path
        self.size = (page.imagelength, page.imagewidth, page.samplesperpixel)
        self.bits = page.bitspersample
        self.format = page.sampleformat
        self.photometric = _photometric(page)
        self.compression = int(page.compression)
        self.predictor = int(page.predictor)
        self.planar = page.samplesperpixel > 1 and int(page.planarconfig) == 2
        self.segment = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self.tiled = page.is_tiled
        self.offsets, self.byte_counts = page.dataoffsets, page.databytecounts
        self.order = page.parent.byteorder
        self.reversed_bits = int(page.fillorder) == 2
        self.extra = tuple(int(kind) for kind in page.extrasamples)
        self.orientation = page.tags.valueof(_ORIENTATION, 1)
        self.options = int(page.tags.valueof(_T4_OPTIONS, 0))
        self.tables = page.tags.valueof(_JPEG_TABLES)
        self.colours = page.colormap if self.photometric == _PALETTE else None
        if page.tags.valueof(_IMAGE_DEPTH, 1) != 1:
            raise InputError(f"{path}: is a volume, expected a flat image; convert it to NIfTI")
        self._check(page)

    def _check(self, page):
        import tifffile

        path, lossy = self.path, self.compression == tiff_segments.JPEG
        if self.compression not in tiff_segments.COMPRESSIONS:
            raise InputError(
                f"{path}: compression {_name(tifffile.COMPRESSION, self.compression)} cannot be read; save the file "
                "with LZW, deflate or no compression"
            )
        if self.compression == tiff_segments.ZSTD and tiff_segments.zstd_library() is None:
            raise InputError(
                f"{path}: compression ZSTD cannot be read by this installation; "
                'pip install "medseg-zoo[imaging]", or save the file with LZW, deflate or no compression'
            )
        kinds = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE} | ({_YCBCR} if lossy else set())
        if self.photometric not in kinds:
            raise InputError(
                f"{path}: colours {_name(tifffile.PHOTOMETRIC, self.photometric)} cannot be read, expected grey, "
                "palette or RGB; convert it"
            )
        sizes = {"u": range(1, 33), "i": range(2, 33), "f": (16, 32, 64)}
        kind = _KINDS.get(self.format)
        whole = kind in ("u", "i") and self.bits == 64
        if not isinstance(self.bits, int) or kind is None or not (self.bits in sizes[kind] or whole):
            raise InputError(
                f"{path}: samples of {self.bits} bits and format {_name(tifffile.SAMPLEFORMAT, self.format)} cannot "
                "be read; convert it to 8 or 16 bits or 32-bit real numbers"
            )
        predicted = {1: True, 2: self.bits in (8, 16, 32, 64), 3: kind == "f"}.get(self.predictor, False)
        if not (predicted or lossy) or (lossy and (self.bits, kind) != (8, "u")):
            compression = _name(tifffile.COMPRESSION, self.compression)
            raise InputError(
                f"{path}: compression {compression} with predictor {self.predictor} of {self.bits} bits cannot be "
                "read; save the file with LZW, deflate or no compression"
            )
        if self.compression in tiff_segments.CCITT and (self.bits, self.size[2]) != (1, 1):
            raise damaged(path)

    def grid(self) -> Grid:
        """How the page is cut."""
        rows, columns, samples = self.size
        if min(self.segment) < 1:
            raise damaged(self.path)
        down = self.segment[0] if self.tiled else min(self.segment[0], rows)
        return Grid((rows, columns, samples), (down, self.segment[1]), self.tiled, self.planar)

    def samples(self) -> Samples:
        """How samples are written."""
        return Samples(
            kind=_KINDS[self.format],
            bits=self.bits,
            order=self.order,
            compression=self.compression,
            predictor=self.predictor,
            reversed_bits=self.reversed_bits,
            is_rgb=self.photometric == _RGB,
            options=self.options,
            tables=self.tables,
        )

    def segments(self, content, grid):
        """The compressed content of each strip or tile.

        Raises:
            InputError: if one is missing or reaches past the file's end.
        """
        count = int(np.prod(grid.counts))
        offsets, byte_counts = self.offsets[:count], self.byte_counts[:count]
        ends = [offset + size for offset, size in zip(offsets, byte_counts, strict=False)]
        if len(ends) != count or min(*offsets, *byte_counts) < 1 or max(ends) > len(content):
            raise damaged(self.path)
        return [content[offset:end] for offset, end in zip(offsets, ends, strict=True)]

    def picture(self, stored) -> Picture:
        """What the samples stand for."""
        alpha = self._alpha(stored)
        transparent = ""
        if alpha is not None:
            opaque = 1 if stored.dtype.kind == "f" else 2 ** (self.bits - (stored.dtype.kind == "i")) - 1
            transparent = "alpha" if (stored[..., alpha] != opaque).any() else ""
            stored = np.delete(stored, alpha, axis=-1)
        palette = None
        if self.photometric == _PALETTE:
            if self.colours is None or self.colours.ndim != 2 or len(self.colours) != 3 or stored.shape[-1] != 1:
                raise damaged(self.path)
            palette = (self.colours.T >> 8).astype(np.uint8)  # of 16 bits, written as 8 bits twice or times 256
        return Picture(
            upright(stored, self.orientation),
            self.bits,
            palette,
            white_is_zero=self.photometric == _WHITE_IS_ZERO,
            transparent=transparent,
            lossy=self.compression == tiff_segments.JPEG,
        )

    def _alpha(self, stored):
        """Which sample is the opacity, or None: the marked one, or a single unmarked one beside RGB."""
        colours = 3 if self.photometric in (_RGB, _YCBCR) else 1
        extra = self.extra or (_EXTRA_UNSPECIFIED,) * (stored.shape[-1] - colours)
        if colours == 3 and extra == (_EXTRA_UNSPECIFIED,):
            return 3
        marked = [place for place, kind in enumerate(extra) if kind != _EXTRA_UNSPECIFIED]
        return colours + marked[0] if len(marked) == 1 and colours + marked[0] < stored.shape[-1] else None


def _full_pages(file):
    """How many pages are pictures of their own."""
    count = len(file.pages)
    if count > 1:
        count = 1 + sum(not int(page.subfiletype) & _REDUCED for page in file.pages[1:])
    # A stack of ImageJ beyond 4 GB has one page that speaks for all.
    return max(count, int((file.imagej_metadata or {}).get("images", 1)))


def _photometric(page):
    """The photometric tag; files without one hold RGB if they have the samples for it, else grey."""
    if 262 in page.tags:
        return int(page.photometric)
    return _RGB if page.samplesperpixel in (3, 4) else _BLACK_IS_ZERO


def _name(names, value):
    """A tag's value as tifffile names it, or the number."""
    try:
        return names(value).name
    except ValueError:
        return str(value)
