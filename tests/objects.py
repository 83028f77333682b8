"""Images and volumes of round objects that touch, each with its own number, made by code."""

import numpy as np

import imaging


def balls(shape, centres, radii, spacing=None) -> np.ndarray:
    """Numbers (*shape) of ellipsoids, each voxel that of the one in whose middle it lies deepest.

    Args:
        shape: voxels along each axis.
        centres: of each in mm, one row an object.
        radii: of each in mm, one row an object, along each axis.
        spacing: voxel size in mm per axis, 1 by default.
    """
    spacing = spacing or (1.0,) * len(shape)
    places = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"), -1)
    inside = np.stack([(((places - c) / r) ** 2).sum(-1) for c, r in zip(centres, radii, strict=True)])
    return np.where(inside.min(axis=0) < 1, inside.argmin(axis=0) + 1, 0)


def pairs(shape, seed=0, radius=6.0, count=3):
    """Pairs of discs or balls that touch, on a grid that keeps the pairs apart: numbers (*shape)."""
    random = np.random.default_rng(seed)
    rank, centres, radii = len(shape), [], []
    step = 4.5 * radius
    corners = np.stack(np.meshgrid(*(np.arange(step / 2, n - step / 2 + 1, step) for n in shape), indexing="ij"), -1)
    for corner in random.permutation(corners.reshape(-1, rank))[:count]:
        direction = random.normal(size=rank)
        direction /= np.linalg.norm(direction)
        for side in (-1, 1):
            centres.append(corner + side * direction * radius * 0.85)
            radii.append(radius * random.uniform(0.9, 1.1, rank))
    return balls(shape, centres, radii)


def pictured(numbers, seed=0):
    """A grey image (*shape) uint8 in which objects are bright, and darker towards their edges, with noise."""
    from imaging.instances import distance_levels

    depth = distance_levels(numbers, (1.0,) * numbers.ndim) / 255
    noise = np.random.default_rng(seed).normal(0, 6, numbers.shape)
    return np.clip(30 + 60 * (numbers > 0) + 120 * depth + noise, 0, 255).astype(np.uint8)


def write_objects(folder, count=8, size=96):
    """A plain dataset folder of such images and 16-bit label files."""
    for number in range(count):
        objects = pairs((size, size), number, count=3 + number % 3)
        for kind, array in (("images", pictured(objects, number)), ("labels", objects.astype(np.int32))):
            scan = imaging.Scan(array[..., None], np.eye(4), has_spacing=False)
            imaging.write(folder / kind / f"cells_{number:02d}.png", scan, deep=kind == "labels")
    return folder
