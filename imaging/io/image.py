"""Flat images (PNG, JPEG, TIFF). Axes are row and column; a pixel counts as 1 mm, since no such file tells its size.

What the file stores decides what a pixel is. One rule for all formats: the orientation tag (TIFF, EXIF) is followed,
for images and label maps alike, so both lie as a viewer shows them.
"""

import os

import numpy as np

from imaging.geometry.flat import PICTURE
from imaging.io.jpeg import START as JPEG_START
from imaging.io.jpeg import read_jpeg
from imaging.io.picture import Picture
from imaging.io.png import SIGNATURE as PNG_SIGNATURE
from imaging.io.png import read_png
from imaging.io.tiff import STARTS as TIFF_STARTS
from imaging.io.tiff import page_count, read_tiff
from imaging.io.volumes.tiff_volume import read_volume, volume_bytes
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.limits import check_bytes
from medseg.untrusted import open_regular

# Content that is often found under a name ending in .png, .jpg or .tif.
_STRANGERS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x1f\x8b": "gzip",
    b"%PDF": "PDF",
}


def read_image(path) -> Scan:
    """Read a flat image, or the volume in a TIFF of several pages (``imaging.io.volumes.tiff_volume``).

    Grey of fewer than 8 bits is spread over 0 to 255, as every viewer does; deeper samples and real numbers are as
    stored. Where a TIFF's photometric tag says that 0 is white, values are subtracted from white, so that bright is
    high in every file. A palette is replaced by its colours, or its greys. Gamma, colour profiles and resolution are
    not looked at.

    Args:
        path: PNG of any kind, JPEG of 8 bits (not CMYK), or TIFF: 1 to 32 bits, signed or not, or real
            numbers; strips or tiles; uncompressed, LZW, deflate, PackBits, LZMA, CCITT, JPEG or Zstandard. The content
            counts, not the suffix.

    Returns:
        A scan with float32 voxels (rows, columns, C), without a spacing, or (columns, rows, pages, C);
        colour is red, green, blue, and an opaque
        alpha is dropped.

    Raises:
        InputError: if the file is missing or damaged, of another kind, too large (``medseg.limits``) or is partly
            transparent.
    """
    content = read_content(path)
    if is_stack(path, content):
        return read_volume(path, content)
    picture = picture_of(path, content)
    if picture.transparent:
        raise InputError(f"{path}: is partly transparent, expected a grey or RGB image; save it without alpha")
    samples, kind = picture.samples, picture.samples.dtype.kind
    if picture.palette is not None:
        if samples.max() >= len(picture.palette):
            raise InputError(
                f"{path}: holds index {samples.max()} of a palette of {len(picture.palette)} colours; save it anew"
            )
        grey = (picture.palette == picture.palette[:, :1]).all()
        samples = picture.palette[samples[..., 0]][..., : 1 if grey else 3]
    elif picture.white_is_zero:
        if kind != "u":
            raise InputError(
                f"{path}: its tags call 0 white, which has no meaning for negative or real numbers; save it with 0 as "
                "black"
            )
        samples = np.array(2**picture.bits - 1, samples.dtype) - samples
    voxels = np.ascontiguousarray(samples, np.float32)
    if picture.palette is None and picture.bits < 8 and kind == "u":
        voxels = np.rint(voxels * np.float32(255 / (2**picture.bits - 1)))
    return Scan(voxels, np.eye(4), has_spacing=False, axes=PICTURE)


def open_picture(path) -> Picture:
    """What a PNG, JPEG or TIFF file stores.

    Raises:
        InputError: as ``read_image`` does, but for transparency.
    """
    return picture_of(path, read_content(path))


def is_stack(path, content: bytes) -> bool:
    """Whether the content of a picture file is a TIFF of several pages.

    Raises:
        InputError: if it is a damaged TIFF.
    """
    return content.startswith(TIFF_STARTS) and page_count(path, content) > 1


def picture_of(path, content: bytes) -> Picture:
    """What the content of a PNG, JPEG or TIFF file of one page stores.

    Raises:
        InputError: as ``open_picture`` does.
    """
    if content.startswith(PNG_SIGNATURE):
        return read_png(path, content)
    if content.startswith(JPEG_START):
        return read_jpeg(path, content)
    if content.startswith(TIFF_STARTS):
        return read_tiff(path, content)
    names = [name for start, name in _STRANGERS.items() if content.startswith(start)]
    if content[4:8] == b"ftyp":
        names = ["HEIC or AVIF"]
    if content[128:132] == b"DICM":
        names = ["DICOM"]
    kind = f"is {names[0]} by its content" if names else "is empty" if not content else "is no PNG, JPEG or TIFF"
    raise InputError(f"{path}: cannot be read as an image, it {kind}; save it as PNG or TIFF")


def image_bytes(scan: Scan, suffix: str, deep: bool = False) -> bytes:
    """The content of a PNG or TIFF file that holds ``scan``: 8 bit, or 16 bit where a value needs it.

    Args:
        scan: 2D, 1 or 3 channels, whole numbers from 0 to 65535; for TIFF also 3D (``volumes.tiff_volume``).
        suffix: ".png", ".tif" or ".tiff".
        deep: 16 bit whatever the values are.

    Raises:
        InputError: for another scan.
    """
    import cv2

    voxels = scan.voxels
    if scan.rank == 3 and suffix in (".tif", ".tiff"):
        return volume_bytes(scan)
    if scan.rank != 2 or scan.channels not in (1, 3):
        raise InputError(
            f"scan of shape {scan.shape} with {scan.channels} channels: {suffix} takes 2 axes and 1 or 3 channels; "
            "write .nii.gz"
        )
    low, high = (float(voxels.min()), float(voxels.max())) if voxels.size else (0.0, 0.0)
    if low < 0 or high > 65535 or (voxels.dtype.kind == "f" and (voxels != np.rint(voxels)).any()):
        raise InputError(
            f"pixels from {low:g} to {high:g}: {suffix} takes whole numbers from 0 to 65535; scale them, or write "
            ".nii.gz"
        )
    pixels = voxels.astype("uint8" if high <= 255 and not deep else "uint16")
    pixels = pixels[..., 0] if scan.channels == 1 else np.ascontiguousarray(pixels[..., ::-1])
    done, content = cv2.imencode(suffix, pixels)
    if not done:
        raise InputError(f"image of shape {scan.shape}: cannot be written as {suffix}")
    return content.tobytes()


def read_content(path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputError: if it is missing, unreadable or larger than the limit.
    """
    try:
        with open_regular(path) as file:
            check_bytes(path, os.fstat(file.fileno()).st_size, "its content")
            return file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of an image") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
