"""A segmentation drawn over its scan: a picture in 2D, a mosaic of slices in 3D."""

import math
from dataclasses import replace

import numpy as np

from imaging.geometry.flat import as_picture
from imaging.scan import Scan

# Okabe and Ito 2008, "Color Universal Design": told apart by colour-blind people, too. Red, green, blue.
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
FILL = 0.3
SLICES = 12
# A tile of the mosaic is at least so many pixels wide, and at most.
TILE = (160, 512)


def picture(scan: Scan, segmentation: Scan, values) -> np.ndarray:
    """The picture of a segmentation.

    Args:
        scan: what was segmented; its first channel is shown, three of a flat one as colour.
        segmentation: label values on the same grid.
        values: label values to draw, each with its own colour.

    Returns:
        uint8 (rows, columns, 3), red, green, blue. In 3D slices along the third axis that hold labels,
        with the first axis to the right and the second upwards.
    """
    if scan.rank == 2:
        upright = as_picture(segmentation).voxels[..., 0]
        return draw(to_grey(as_picture(scan).voxels), upright, values)
    labels = segmentation.voxels[..., 0]
    used = np.flatnonzero((labels != 0).any(axis=(0, 1)))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, labels.shape[2] - 1)
    chosen = np.unique(np.rint(np.linspace(first, last, min(SLICES, last - first + 1))).astype(int))
    window = limits(scan.voxels[..., chosen, 0])
    tiles = [
        draw(*_slice(scan.voxels[:, :, k, 0], labels[:, :, k], scan.spacing, window), values) for k in chosen.tolist()
    ]
    return _mosaic(tiles)


def coloured(segmentation: Scan, manifest) -> tuple[Scan, list[int]]:
    """What ``picture`` draws of a segmentation: label values, each with its colour.

    Numbers of objects take turns in the colours, so that neighbours, whose numbers are near, differ.

    Args:
        segmentation: of ``Segmenter.predict``.
        manifest: of its network.
    """
    if manifest.instances is None:
        return segmentation, [label.value for label in manifest.labels[1:]]
    numbers = segmentation.voxels
    turns = np.where(numbers > 0, (numbers - 1) % len(COLOURS) + 1, 0)
    return replace(segmentation, voxels=turns), list(range(1, len(COLOURS) + 1))


def draw(grey: np.ndarray, labels: np.ndarray, values) -> np.ndarray:
    """Labels tinted, with their outlines, over an image.

    Args:
        grey: uint8 (rows, columns) or (rows, columns, 3).
        labels: (rows, columns).
        values: label values, a colour each.

    Returns:
        uint8 (rows, columns, 3).
    """
    import cv2

    image = np.ascontiguousarray(np.broadcast_to(grey[..., None] if grey.ndim == 2 else grey, (*grey.shape[:2], 3)))
    kernel = np.ones((3, 3), np.uint8)
    for number, value in enumerate(values):
        mask = (labels == value).view(np.uint8)
        if not mask.any():
            continue
        colour = np.array(COLOURS[number % len(COLOURS)], np.float32)
        # Only the part of the picture that holds the label is touched.
        x, y, width, height = cv2.boundingRect(mask)
        part, inside = image[y : y + height, x : x + width], mask[y : y + height, x : x + width]
        tinted = cv2.addWeighted(part, 1 - FILL, np.full_like(part, colour), FILL, 0)
        cv2.copyTo(tinted, inside, part)
        padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        edge = inside - cv2.erode(padded, kernel)[1:-1, 1:-1]
        part[edge > 0] = colour
    return image


def limits(voxels: np.ndarray) -> tuple[float, float]:
    """Black and white of a picture: the 0.5th and the 99.5th percentile of at most a million values."""
    sample = voxels.ravel()[:: max(1, voxels.size // 1_000_000)]
    low, high = np.percentile(sample, (0.5, 99.5))
    return float(low), float(high)


def to_grey(voxels: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Voxels (rows, columns) or (rows, columns, C) as uint8, (rows, columns, 3) where there are three channels."""
    if voxels.ndim == 3:
        voxels = voxels if voxels.shape[-1] == 3 else voxels[..., 0]
    if voxels.dtype == np.uint8 and window is None:
        return voxels
    low, high = window or limits(voxels)
    scaled = (np.asarray(voxels, np.float32) - low) * (255 / (high - low) if high > low else 0)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _slice(voxels, labels, spacing, window) -> tuple[np.ndarray, np.ndarray]:
    """A slice and its labels as they are shown: pixels of equal sides, second axis upwards."""
    import cv2

    width, height = voxels.shape[0] * spacing[0], voxels.shape[1] * spacing[1]
    scale = min(TILE[1], max(TILE[0], max(voxels.shape))) / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = cv2.resize(np.ascontiguousarray(to_grey(voxels, window).T[::-1]), size, interpolation=cv2.INTER_LINEAR)
    flat = np.ascontiguousarray(labels.T[::-1].astype(np.int32))
    return image, cv2.resize(flat, size, interpolation=cv2.INTER_NEAREST)


def _mosaic(tiles):
    columns = math.ceil(math.sqrt(len(tiles)))
    rows, (height, width) = math.ceil(len(tiles) / columns), tiles[0].shape[:2]
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return sheet
