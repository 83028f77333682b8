"""The configuration "3d-low": volumes far larger than a patch, made so coarse that a patch sees much of them."""

import math
from dataclasses import replace

from imaging.recipe import Recipe
from medseg.errors import UsageError
from train.planning.shape_rules import PATCH_VOXELS

COVERED = 0.25  # share of the median scan that a patch holds, as in nnU-Net's low-resolution configuration
STEP = 1.03
APART = 2.0  # axes this much finer than the coarsest are made coarser first


def low_resolution(recipe: Recipe, measured: dict, shape, reasons: dict, configuration: str = "3d-low") -> Recipe:
    """Raise the target spacing until a patch of the budget holds a quarter of the median scan, as nnU-Net does.

    Axes that are more than twice as fine as the coarsest are raised first, by 3 % at a time, then all alike.

    Args:
        recipe: of full resolution, of volumes.
        measured: the fingerprint.
        shape: median spatial shape of the prepared scans.
        reasons: takes the reason.
        configuration: that it is asked for, for the message.

    Returns:
        The recipe with a coarser spacing.

    Raises:
        UsageError: if the scans are not that large.
    """
    most = PATCH_VOXELS[3] / COVERED
    if math.prod(shape) <= most:
        raise UsageError(
            f"configuration {configuration!r}: the median scan {tuple(shape)} has {math.prod(shape)} voxels, expected "
            f"more than {most:.0f}, four patches; take 3d"
        )
    spacing = list(recipe.spacing or measured["spacing"]["median"])
    extent = [size * step for size, step in zip(shape, spacing, strict=True)]
    before = tuple(spacing)
    while math.prod(e / s for e, s in zip(extent, spacing, strict=True)) > most:
        finer = [max(spacing) / s > APART for s in spacing]
        spacing = [s * STEP if fine or not any(finer) else s for s, fine in zip(spacing, finer, strict=True)]
    spacing = tuple(float(f"{s:.4g}") for s in spacing)
    reasons["recipe.spacing"] = (
        f"{_mm(spacing)} instead of {_mm(before)}: a patch of {PATCH_VOXELS[3]} voxels then holds a quarter of the "
        "median scan"
    )
    return replace(recipe, spacing=spacing)


def _mm(spacing):
    return "×".join(f"{s:g}" for s in spacing) + " mm"
