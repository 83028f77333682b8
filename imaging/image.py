"""Flat images (PNG, JPEG, TIFF), by OpenCV. Axes are row and column; a pixel counts as 1 mm."""

from pathlib import Path

import numpy as np

from imaging.scan import Scan
from medseg.errors import InputError


def read_image(path) -> Scan:
    """Read a flat image as stored: no colour conversion, no turning by camera tags.

    Args:
        path: PNG, JPEG or TIFF, 8 or 16 bit or float.

    Returns:
        A scan with float32 voxels (rows, columns, C); colour is red, green, blue, and an opaque alpha is dropped.

    Raises:
        InputError: if the file is missing or damaged, holds several pages or is partly transparent.
    """
    import cv2

    path = Path(path)
    try:
        content = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of an image") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if path.suffix.lower() in (".tif", ".tiff"):
        pixels = _single_page(path, content)
    else:
        check_complete(path, content)
        pixels = _decode(lambda: cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None)
    if pixels is None:
        raise InputError(f"{path}: cannot be read as an image, it is truncated or damaged; copy it again")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] == 4:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0
        if (pixels[..., 3] != opaque).any():
            raise InputError(f"{path}: is partly transparent; accepted are grey and RGB images, save it without alpha")
    if pixels.shape[-1] >= 3:
        pixels = pixels[..., 2::-1]
    return Scan(np.ascontiguousarray(pixels, np.float32), np.eye(4))


def image_bytes(scan: Scan, suffix: str) -> bytes:
    """The content of a PNG or TIFF file that holds ``scan``: 8 bit, or 16 bit where a value needs it.

    Args:
        scan: 2D, 1 or 3 channels, whole numbers from 0 to 65535.
        suffix: ".png", ".tif" or ".tiff".

    Raises:
        InputError: for another scan.
    """
    import cv2

    voxels = scan.voxels
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
    pixels = voxels.astype(np.uint8 if high <= 255 else np.uint16)
    pixels = pixels[..., 0] if scan.channels == 1 else np.ascontiguousarray(pixels[..., ::-1])
    done, content = cv2.imencode(suffix, pixels)
    if not done:
        raise InputError(f"image of shape {scan.shape}: cannot be written as {suffix}")
    return content.tobytes()


def check_complete(path, content: np.ndarray) -> None:
    """Require a PNG or JPEG to reach its end mark; a decoder may fill what is missing with grey and say nothing.

    Raises:
        InputError: if the mark is missing.
    """
    start, tail = content[:8].tobytes(), content[-4096:].tobytes()
    if (start.startswith(b"\x89PNG") and b"IEND" not in tail) or (
        start.startswith(b"\xff\xd8") and b"\xff\xd9" not in tail
    ):
        raise InputError(f"{path}: cannot be read as an image, it is truncated; copy it again")


def _decode(decoder):
    """Run an OpenCV decoder with its own messages off; None for a damaged file."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return decoder()
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def _single_page(path, content):
    import cv2

    pages = _decode(lambda: cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED)[1] if content.size else ())
    if pages and len(pages) > 1:
        raise InputError(f"{path}: holds {len(pages)} pages, accepted is one; save each as a file, or convert to NIfTI")
    return pages[0] if pages else None
