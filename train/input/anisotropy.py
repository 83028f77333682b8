"""How far augmentation may turn and stretch a patch whose axes are not alike: angles and lengths are of millimetres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from train.planning.plan import Augmentation, Plan

LIMIT = 3.0  # nnU-Net: beyond it, in voxels or in mm, a patch is not turned from one axis to the other
MARGIN = 1.25  # a region this much larger than the patch gives rotated corners something to show
DIAGONAL = math.sqrt(2)  # what the corners of a square want that is turned as far as it can be


@dataclass(frozen=True)
class Grid:
    """The voxels of a patch.

    Attributes:
        patch: voxels along each axis.
        spacing: size of a voxel along each axis, in mm or any unit.
        slices: how many slices of a scan a patch holds as channels.
    """

    patch: tuple[int, ...]
    spacing: tuple[float, ...]
    slices: int = 1

    @property
    def relative(self) -> tuple[float, ...]:
        """Size of a voxel along each axis, in that of the finest axis."""
        return tuple(size / min(self.spacing) for size in self.spacing)

    @property
    def stacked(self) -> tuple[float | None, ...]:
        """``relative`` of a patch whose slices are a first axis, None as nothing is blurred across them."""
        return self.relative if self.slices == 1 else (None, *self.relative)

    @property
    def planes(self) -> tuple[tuple[int, int], ...]:
        """The pairs of axes that a patch is turned between.

        nnU-Net turns only in the plane of the slices where a patch is three times as long, in voxels, along one axis as
        along another (Isensee et al., Nature Methods 2021, arXiv:1904.08128); so does this, and where voxels are. What
        is turned further than the patch reaches comes from outside.
        """
        axes = range(len(self.patch))
        return tuple((a, b) for a in axes for b in axes[a + 1 :] if self._alike(a, b))

    @property
    def free(self) -> tuple[int, ...]:
        """The axes that are turned, magnified and bent: those of ``planes``; others keep their slices as they are."""
        return tuple(sorted({axis for plane in self.planes for axis in plane}))

    def _alike(self, a, b):
        return all(max(size[a], size[b]) <= LIMIT * min(size[a], size[b]) for size in (self.patch, self.spacing))


def grid_of(plan: Plan) -> Grid:
    """The grid of a plan's patches: of its target spacing, or where scans keep theirs of their median one."""
    recipe = plan.recipe
    spacing = recipe.patch_spacing()
    if spacing is None and recipe.size is None and recipe.patch_rank == recipe.rank:
        spacing = plan.fingerprint.get("spacing", {}).get("median")
    return Grid(tuple(plan.patch), tuple(spacing or (1.0,) * len(plan.patch)), max(recipe.slices, 1))


def margins(settings: Augmentation, grid: Grid) -> tuple[float, ...]:
    """How much larger than the patch, axis by axis, the region should be that is read for it.

    Args:
        settings: chances and ranges.
        grid: of the patch.

    Returns:
        1 for an axis that is not resampled, else 1.25; the square root of 2 where patches may turn beyond 30 degrees,
        which a square's corners want, or in some planes only, whose axes are cheaper to read further along.
    """
    if max(settings.rotation_chance, settings.scale_chance, settings.elastic_chance) == 0:
        return (1.0,) * len(grid.patch)
    turned = settings.rotation_chance > 0 and max(settings.rotation) > 30
    wide = DIAGONAL if turned or len(grid.free) < len(grid.patch) else MARGIN
    return tuple(wide if axis in grid.free else 1.0 for axis in range(len(grid.patch)))


def region(settings: Augmentation, grid: Grid) -> tuple[int, ...]:
    """The voxels along each axis that are read for a patch."""
    return tuple(math.ceil(size * wider) for size, wider in zip(grid.patch, margins(settings, grid), strict=True))


def per_axis(length: float, grid: Grid, axes: Sequence[int]) -> list[float]:
    """A length, in voxels of the finest axis, as voxels of each axis; 0 along what is not among ``axes``."""
    return [length / size if axis in axes else 0.0 for axis, size in enumerate(grid.relative)]
