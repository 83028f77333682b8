"""Maps between the voxel grids of two scans. An affine is (4, 4), voxel index to world millimetres, RAS+."""

from dataclasses import dataclass

import numpy as np

# Headers store affines in float32, so grids that are meant to agree do so only to some thousandths of a voxel.
SNAP = 0.01


@dataclass(frozen=True)
class AxisMap:
    """An index map that never mixes axes: along target axis i, source axis ``axes[i]`` is read at
    ``scale[i] * index + offset[i]``.

    Attributes:
        axes: source axis of each target axis.
        scale: source voxels a target voxel; negative where the axis is flipped.
        offset: source index of target index 0.
    """

    axes: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def exact(self) -> bool:
        """Every target voxel centre is a source voxel centre."""
        return all(abs(s) == 1.0 for s in self.scale) and all(float(o).is_integer() for o in self.offset)


def index_map(source: np.ndarray, target: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The map from target voxel index to source voxel index.

    Args:
        source: (4, 4) affine of the grid that is read from.
        target: (4, 4) affine of the grid that is wanted.
        rank: spatial axes, 2 or 3.

    Returns:
        (rank, rank) matrix and (rank,) offset in float64: ``source_index = matrix @ target_index + offset``.
    """
    both = np.linalg.solve(np.asarray(source, float), np.asarray(target, float))
    return both[:rank, :rank], both[:rank, 3]


def axis_map(matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...]) -> AxisMap | None:
    """The same map axis by axis, or None if it turns the grid by anything but right angles.

    Values within a hundredth of a voxel of a flip, a unit step or a whole offset are taken to be just that.

    Args:
        matrix: (rank, rank), target index to source index.
        offset: (rank,).
        shape: spatial shape of the target, over which deviations add up.
    """
    extent = np.maximum(np.asarray(shape, float), 1.0)
    axes = tuple(int(a) for a in np.argmax(np.abs(matrix), axis=0))
    if len(set(axes)) != len(axes):
        return None
    columns = range(len(axes))
    mixed = np.abs(matrix) * extent
    mixed[list(axes), list(columns)] = 0
    if mixed.max(initial=0.0) > SNAP:
        return None
    scale, start = [], []
    for i in columns:
        step, first = float(matrix[axes[i], i]), float(offset[axes[i]])
        if abs(abs(step) - 1) * extent[i] < SNAP:
            step = float(np.sign(step))
            if abs(first - round(first)) < SNAP:
                first = float(round(first))
        scale.append(step)
        start.append(first)
    return AxisMap(axes, tuple(scale), tuple(start))


def moved(affine: np.ndarray, start, step=None) -> np.ndarray:
    """The affine of a grid whose voxel 0 lies at index ``start`` of the given one and that takes steps of ``step``.

    Args:
        affine: (4, 4).
        start: index of the new voxel 0 along each spatial axis.
        step: old voxels a new voxel along each spatial axis, 1 where left out.
    """
    rank = len(start)
    local = np.eye(4)
    local[:rank, 3] = start
    if step is not None:
        local[range(rank), range(rank)] = step
    return np.asarray(affine, float) @ local
