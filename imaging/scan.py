"""A scan: its voxels and where they lie in the patient."""

from dataclasses import dataclass, replace

import numpy as np

from imaging.geometry.warp import Warp
from imaging.io.nifti_geometry import NiftiGeometry
from medseg.errors import InputError, UsageError


@dataclass(frozen=True)
class Scan:
    """Voxels with their place in the world.

    Args:
        voxels: array (*spatial, channels) with 2 or 3 spatial axes.
        affine: (4, 4), voxel index to world millimetres, RAS+ (NIfTI convention). A 2D image uses the first two axes.
        geometry: what the header of the NIfTI file said that the scan was read from, so that it, or a segmentation
            of it, is written back with the same; None for a scan from elsewhere or on another grid. A scan with other
            voxels on the same grid is ``dataclasses.replace(scan, voxels=...)``.
        has_spacing: False for a picture, whose file does not tell the size of a pixel; it counts as 1 mm.
        warp: of a scan that a deformable registration made, where its voxels lie beyond what the affine says.
        axes: of a flat scan, what its file says of them (``imaging.geometry.flat``): "picture" for rows and columns,
            "patient" where the affine tells, "unknown" where the header leaves it open; empty where no file was read.

    Raises:
        InputError: if the shapes do not fit together.
    """

    voxels: np.ndarray
    affine: np.ndarray
    geometry: NiftiGeometry | None = None
    has_spacing: bool = True
    warp: Warp | None = None
    axes: str = ""

    def __post_init__(self):
        if self.voxels.ndim not in (3, 4):
            raise InputError(
                f"scan voxels of shape {self.voxels.shape}: expected 2 or 3 spatial axes and a channel axis last"
            )
        if np.shape(self.affine) != (4, 4):
            raise InputError(f"scan affine of shape {np.shape(self.affine)}: expected (4, 4)")

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


def grid_of(scan: Scan) -> Scan:
    """A scan of the same grid and header whose voxels are all 0 and take no memory."""
    return replace(scan, voxels=np.broadcast_to(np.zeros((), np.uint8), (*scan.shape, 1)))


def plane_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of a volume whose slices are planes: all three, or the one across the slice where there is but one.

    Args:
        shape: of three axes.
    """
    axes = tuple(axis for axis in range(3) if min(size for index, size in enumerate(shape) if index != axis) > 1)
    return axes or (2,)


def as_scan(given, rank: int, spacing=None) -> Scan:
    """A scan from a scan or an array.

    Args:
        given: a Scan, which is returned as it is, or an array (*spatial) or (*spatial, C) of real numbers.
        rank: spatial axes, 2 or 3.
        spacing: voxel size in mm along each spatial axis of an array; 1 where left out in 2D.

    Returns:
        A scan whose axes run along those of the world, voxel 0 at its origin.

    Raises:
        InputError: if the array has other axes or holds no real numbers.
        UsageError: if the spacing is missing, not positive, or given beside a Scan.
    """
    if isinstance(given, Scan):
        if spacing is not None:
            raise UsageError("spacing: a Scan has its own, in its affine; leave it out, or give an array")
        return given
    voxels = np.asarray(given)
    if voxels.dtype.kind not in "biuf":
        raise InputError(f"array of type {voxels.dtype}: expected integers or real numbers, or an imaging.Scan")
    if voxels.ndim not in (rank, rank + 1) or voxels.size == 0:
        raise InputError(
            f"array of shape {voxels.shape}: expected {rank} spatial axes, and the channels last if there are several"
        )
    if spacing is None and rank == 3:
        raise UsageError("spacing: missing; give the voxel size in mm of each axis, such as spacing=(0.8, 0.8, 2.5)")
    sizes = np.ones(rank) if spacing is None else np.asarray(spacing, float)
    if sizes.shape != (rank,) or not np.isfinite(sizes).all() or not (sizes > 0).all():
        raise UsageError(f"spacing {spacing}: expected {rank} positive numbers of mm")
    affine = np.diag([*sizes, *[1.0] * (4 - rank)])
    voxels = voxels if voxels.ndim == rank + 1 else voxels[..., None]
    return Scan(voxels, affine, has_spacing=spacing is not None)
