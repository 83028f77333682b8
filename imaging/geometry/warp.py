"""A smooth warp between the space of a prepared scan and that of its source, and values carried through it."""

from dataclasses import dataclass

import numpy as np

# A voxel centre this far (in voxels) beyond the last one still lies in the last voxel.
_REACH = 0.5 + 1e-3


@dataclass(frozen=True)
class Warp:
    """Displacements in mm on a voxel grid, there and back.

    A voxel of a scan that carries a warp lies at ``p + field(p)`` in the source's world, where ``p`` is what the scan's
    affine says; a point ``x`` of that world lies at ``x + inverse(x)`` in the scan's.

    Attributes:
        field, inverse: float32 (*grid, rank).
        affine: (4, 4) of their grid.
    """

    field: np.ndarray
    inverse: np.ndarray
    affine: np.ndarray


def through(
    array: np.ndarray, affine: np.ndarray, shape, like: np.ndarray, field: np.ndarray, warp: Warp, fill, is_label=False
) -> np.ndarray:
    """Values of ``array`` at displaced voxel centres of another grid, slab by slab.

    Args:
        array: (*spatial, K).
        affine: (4, 4) of the array's grid.
        shape: of the other grid.
        like: (4, 4), its affine.
        field: ``warp.field`` or ``warp.inverse``: how its centres are displaced.
        warp: whose grid the field lies on.
        fill: a number or (K,) numbers, for centres that lie in no voxel of the array.
        is_label: take the nearest value instead of mixing them.

    Returns:
        (*shape, K), float32, or the array's type for labels.
    """
    from scipy.ndimage import map_coordinates

    rank, channels = len(shape), array.shape[-1]
    out = np.empty((*shape, channels), array.dtype if is_label else np.float32)
    fills = np.broadcast_to(fill, (channels,))
    limit = np.array(array.shape[:-1]).reshape(-1, *[1] * rank) - 1
    for start in range(shape[0]):
        index = np.indices((1, *shape[1:]), dtype=np.float64)
        index[0] += start
        world = _mapped(like, index, rank)
        place = _mapped(np.linalg.inv(warp.affine), world, rank)
        shift = [map_coordinates(field[..., axis], place, order=1, mode="nearest") for axis in range(rank)]
        place = _mapped(np.linalg.inv(affine), world + np.stack(shift), rank)
        outside = ((place < -_REACH) | (place > limit + _REACH)).any(axis=0)[0]
        for k in range(channels):
            out[start, ..., k] = map_coordinates(
                array[..., k], place, order=0 if is_label else 1, mode="nearest", output=out.dtype
            )[0]
            out[start, outside, k] = fills[k]
    return out


def _mapped(affine, points, rank):
    """Points (rank, ...) through the part of an affine that is of their axes."""
    offset = affine[:rank, 3].reshape(-1, *[1] * (points.ndim - 1))
    return np.tensordot(affine[:rank, :rank], points, axes=1) + offset
