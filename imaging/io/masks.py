"""Label maps in picture files: the stored value is the class, and what cannot be class values is refused.

People save masks as JPEG, scale them with interpolation or draw them with smooth edges. Each of these gives values in
between, which would become classes of their own.
"""

from dataclasses import replace

import numpy as np

from imaging.geometry.flat import PICTURE
from imaging.io.image import is_stack, open_picture, picture_of, read_content
from imaging.io.volumes.tiff_volume import read_volume
from imaging.scan import Scan
from medseg.errors import InputError

_MOST_COLOURS, _MOST_COUNTED = 4, 2**22  # channels and values of a mask in colours that are counted for a message
_FAR = 64  # the lowest and the highest value of such a mask are at least so far apart
_NEAR = 16  # JPEG changes flat regions by less than this
_NEAREST = 4  # and JPEG of nearly the best quality by no more than this
_FEWEST = 3  # values in between; thin classes of a real label map are fewer
# Shares. Made-up masks and slices of CT lie far from these limits on either side.
_LEAST_EVEN = 0.15  # of a class's pixels lie among pixels of the same class
_LEAST_BETWEEN = 0.3  # of the pixels in between lie between the values of their neighbours
_LEAST_EXPLAINED = 0.8  # of them do, or are near the value of a class


def read_mask_scan(path, instances: bool = False) -> Scan:
    """Read a label map in a picture file: flat, or a volume in a TIFF of several pages.

    Args:
        path: PNG or TIFF.
        instances: see ``read_mask``.

    Returns:
        A scan with voxels (*spatial, 1) in the file's own type.

    Raises:
        InputError: as ``read_mask`` does.
    """
    content = read_content(path)
    if not is_stack(path, content):
        mask = _flat_mask(path, picture_of(path, content), instances)
        return Scan(mask, np.eye(4), has_spacing=False, axes=PICTURE)
    scan = read_volume(path, content, stored=True)
    if scan.channels != 1 and (scan.voxels == scan.voxels[..., :1]).all():
        scan = replace(scan, voxels=scan.voxels[..., :1])
    return scan


def read_mask(path, instances: bool = False) -> np.ndarray:
    """Read the stored values of a flat label map.

    Indices of a palette and samples of any number of bits are the class values, whatever colours a viewer would show
    for them and whether 0 is black or white. Colour is taken as grey if its three channels are equal.

    Args:
        path: PNG or TIFF; see ``imaging.io.image.read_image``.
        instances: the values are numbers of objects, so any may lie beside any and none tells of a smooth edge.

    Returns:
        (rows, columns, 1) in the file's own type, turned as the file's orientation says.

    Raises:
        InputError: if the file cannot be read, is JPEG or looks as if it had been, is smooth at its edges, is partly
            transparent or has colours for classes.
    """
    return _flat_mask(path, open_picture(path), instances)


def _flat_mask(path, picture, instances):
    if picture.lossy:
        raise InputError(
            f"{path}: is compressed by JPEG, which alters label values; save masks without loss (PNG), each pixel set "
            "to the nearest class value"
        )
    if picture.transparent == "alpha":
        raise InputError(
            f"{path}: is partly transparent, expected a class value in every pixel; save the mask as grey PNG"
        )
    values = picture.samples
    if values.shape[-1] != 1 and (values == values[..., :1]).all():
        values = values[..., :1]
    if values.shape[-1] != 1:
        raise InputError(
            f"{path}: expected one class value a pixel, got {values.shape[-1]} different channels{_colours(values)}; "
            "save the mask as grey or palette PNG with a number for each colour"
        )
    between = None if instances else values_between(values[..., 0])
    if between is not None:
        classes, count = between
        raise InputError(
            f"{path}: looks like a mask of the values {', '.join(str(value) for value in classes)} that was saved with "
            f"loss or with smooth edges, {count} more values lie at its borders; set each pixel to the nearest of "
            "these and save it as PNG"
        )
    return values


def _colours(values) -> str:
    """How many colours there are, in words; "" where counting them would keep somebody waiting for a message."""
    if values.shape[-1] > _MOST_COLOURS or values.size > _MOST_COUNTED:
        return ""
    return f" ({len(np.unique(values.reshape(-1, values.shape[-1]), axis=0))} colours)"


def values_between(values: np.ndarray) -> tuple[tuple[int, ...], int] | None:
    """Tell a mask whose edges were smoothed or altered by lossy compression from a map of classes.

    Pixels of a class lie among pixels of the same class. Those of a smoothed edge lie between the values of their
    neighbours, and those that JPEG has altered differ a little from the value of a class.

    Args:
        values: (rows, columns).

    Returns:
        The values of the classes and how many others there are; None for a map of classes.
    """
    from scipy import ndimage

    present = np.unique(values)
    if len(present) < 3 or float(present[-1]) - float(present[0]) < _FAR:
        return None
    index = np.searchsorted(present, values)
    counts = np.bincount(index.ravel())
    smallest, largest = ndimage.minimum_filter(values, 3), ndimage.maximum_filter(values, 3)
    is_class = np.bincount(index.ravel(), (smallest == largest).ravel()) >= _LEAST_EVEN * counts
    is_class[counts.argmax()] = True
    far = np.abs(present.astype(np.float64) - float(present[counts.argmax()])) >= _FAR
    if far.any():  # thin structures have hardly a pixel that lies among its kind
        is_class[np.argmax(counts * far)] = True
    classes, count = present[is_class].astype(np.float64), int(np.count_nonzero(~is_class))
    few = 2 * counts[is_class].sum() < values.size  # a mask is mostly classes; grey everywhere is an image
    if few or len(classes) < 2 or count < 2 or classes[-1] - classes[0] < _FAR:
        return None
    others = ~is_class[index]
    between = ((smallest < values) & (values < largest))[others]
    distance = np.abs(present[~is_class].astype(np.float64)[:, None] - classes)
    near = (distance.min(axis=1) <= _NEAR)[np.searchsorted(present[~is_class], values[others])]
    smooth = count >= max(_FEWEST, len(classes)) and between.mean() >= _LEAST_BETWEEN
    smooth = smooth and (between | near).mean() >= _LEAST_EXPLAINED
    # JPEG of nearly the best quality: a few values beside that of each class, such as 1 and 254.
    altered = (distance.min(axis=0) <= _NEAREST).all() and (distance.min(axis=1) <= _NEAREST).all()
    altered = altered and classes[0] == present[0] and classes[-1] == present[-1]
    if not (smooth or altered):
        return None
    return tuple(int(value) for value in classes), count
