"""A scan: its voxels and where they lie in the patient."""

from dataclasses import dataclass

import numpy as np

from medseg.errors import InputError


@dataclass(frozen=True)
class Scan:
    """Voxels with their place in the world.

    Args:
        voxels: array (*spatial, channels) with 2 or 3 spatial axes.
        affine: (4, 4), voxel index to world millimetres, RAS+ (NIfTI convention). A 2D image uses the first two axes.

    Raises:
        InputError: if the shapes do not fit together.
    """

    voxels: np.ndarray
    affine: np.ndarray

    def __post_init__(self):
        if self.voxels.ndim not in (3, 4):
            raise InputError(
                f"scan voxels of shape {self.voxels.shape}: accepted are 2 or 3 spatial axes and a channel axis last"
            )
        if np.shape(self.affine) != (4, 4):
            raise InputError(f"scan affine of shape {np.shape(self.affine)}: accepted is (4, 4)")

    @property
    def rank(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return self.voxels.ndim - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape, without channels."""
        return tuple(self.voxels.shape[:-1])

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.voxels.shape[-1]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each spatial axis in mm: the column norms of the affine."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, : self.rank], axis=0))


def plane_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of a volume whose slices are planes: all three, or the one across the slice where there is but one.

    Args:
        shape: of three axes.
    """
    axes = tuple(axis for axis in range(3) if min(size for other, size in enumerate(shape) if other != axis) > 1)
    return axes or (2,)
