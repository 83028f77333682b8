"""The preprocessing that a fingerprint asks for."""

import math

from imaging.geometry.flat import PICTURE, STORED
from imaging.recipe import Clip, Normalise, Recipe
from medseg.errors import UsageError
from train.input.modality import is_ct
from train.planning.configuration import Slicing

ANISOTROPY = 3.0  # nnU-Net: an axis this much coarser than the others, and this much shorter in voxels, is anisotropic
CROP_SHARE = 0.75  # nnU-Net: cropping that takes away more than a quarter also limits the z-score to what is left
SMALL_2D = 256  # pixels per axis that a flat image without pixel size may keep
_ORIENTATIONS = {
    None: "each scan's own slices first",
    PICTURE: "rows and columns, as in a picture, whatever way the axes of the files run",
    STORED: "as stored: the headers do not say which way the axes run, and only such scans can be segmented",
}
THIN = 10.0  # pixels that the thinnest class must keep on average for an image to be made smaller


def plan_recipe(
    measured: dict,
    reasons: dict,
    spacing=None,
    size=None,
    interpolation=None,
    instances: bool = False,
    slicing: Slicing | None = None,
) -> Recipe:
    """Decide the recipe.

    - Orientation: RAS in 3D, or the axis across the slices first; in 2D rows and columns as in a picture, or the file's
      own axes where headers do not say how they lie.
    - Spacing: the median of each axis. If one axis is more than 3 times coarser than the next and its scans are more
      than 3 times shorter in voxels, the 10th percentile of that axis, as nnU-Net does. Slices that a 2D network takes
      are kept, at whatever distance.
    - Size: flat image files have no pixel size. If one side is longer than 256 pixels and every class, background
      included, would still be 10 pixels thick on average after the change, they are resized to 256×256; thin
      structures (vessels, membranes) keep the full resolution and are seen in patches.
    - Crop (3D): to the non-zero voxels if that takes away more than a quarter of the median scan; the z-score then
      runs over the non-zero voxels only.
    - Intensity: CT (by channel name) is limited to the 0.5 and 99.5 percentiles of the foreground and normalised by the
      foreground's mean and deviation in the whole dataset. Other 3D scans are limited to their own 0.5 and 99.5
      percentiles, which keeps a few bright voxels from taking up the range of an int8 network, and z-scored one by one;
      flat images are z-scored per image and channel. Where objects are told apart, the 1 and 99.8 percentiles of each
      scan become 0 and 1: its mean and deviation say how many objects there are, not how bright they are.

    Args:
        measured: the fingerprint.
        reasons: takes the reason of every decision.
        spacing: decided by the user, mm per axis, or per axis of the slices alone.
        size: decided by the user, pixels per axis.
        interpolation: decided by the user, see ``imaging.Recipe``; "linear" by default.
        instances: the labels are objects, see ``imaging.instances``.
        slicing: how volumes are cut; None to leave them whole.
    """
    rank, flat = measured["rank"], not measured["has_spacing"]
    slicing = slicing or Slicing.whole(rank)
    reasons["recipe.orientation"] = _ORIENTATIONS.get(
        slicing.orientation, f"{slicing.orientation}, so that axes mean the same in every scan"
    )
    if slicing.slices and size is not None:
        raise UsageError(f"size {tuple(size)}: expected for flat images only; give a spacing for slices of volumes")
    if slicing.slices and spacing is not None and len(spacing) == 2:
        spacing = [*spacing, measured["spacing"]["median"][slicing.order[0]]]
        spacing = [spacing[(*slicing.plane, slicing.order[0]).index(axis)] for axis in range(3)]
    if size is not None:
        reasons["recipe.size"] = "given by the user"
    elif instances and flat:
        reasons["recipe.size"] = "kept: objects of any size are seen in patches"
    elif flat and spacing is None:
        size = _size(measured, reasons)
    if spacing is not None:
        reasons["recipe.spacing"] = "given by the user"
    elif flat or size is not None:
        reasons["recipe.spacing"] = "kept: flat images have no pixel size" if flat else "kept: a fixed size was given"
    else:
        spacing = _spacing(measured, reasons, bool(slicing.slices))
    if interpolation is not None:
        reasons["recipe.interpolation"] = "given by the user"
    crop = rank == 3 and measured["nonzero_share"] < CROP_SHARE
    kept = f"{measured['nonzero_share']:.0%} of the median scan lies in the box of its non-zero voxels"
    reasons["recipe.crop_nonzero"] = f"{kept}; cropped below {CROP_SHARE:.0%} in 3D"
    clip, normalise = _objects(reasons) if instances else _intensity(measured, crop, flat, reasons)
    return Recipe(
        rank=rank,
        channels=len(measured["channels"]),
        orientation=slicing.orientation,
        spacing=_along(slicing, spacing),
        size=tuple(int(s) for s in size) if size is not None else None,
        crop_nonzero=crop,
        clip=clip,
        normalise=normalise,
        interpolation=interpolation or "linear",
        slices=slicing.slices,
    )


def resized_to(steps, rank: int) -> tuple[float, ...] | None:
    """The voxel size in mm that the last filter ``resize`` makes, which is then the network's too; None without one."""
    sizes = [step.parameters["spacing_mm"] for step in steps if step.name == "resize"]
    if not sizes:
        return None
    return tuple(sizes[-1]) if isinstance(sizes[-1], list | tuple) else (sizes[-1],) * rank


def _along(slicing, spacing):
    """Target voxel sizes along the axes of the prepared scan; a wrong number of them is for the recipe's check."""
    if spacing is None:
        return None
    sizes = tuple(float(s) for s in spacing)
    return slicing.ordered(sizes) if len(sizes) == len(slicing.order) else sizes


def prepared_shape(
    measured: dict, recipe: Recipe, moved: dict | None = None, slicing: Slicing | None = None
) -> tuple[int, ...]:
    """The median spatial shape, in voxels, of scans that went through the recipe.

    Args:
        measured: the fingerprint.
        recipe: made for it.
        moved: sizes after filters that move the grid, see ``train.planning.filter_learning``; None without such.
        slicing: how volumes are cut; None to leave them whole.
    """
    slicing = slicing or Slicing.whole(recipe.rank)
    if recipe.size is not None:
        return recipe.size
    if moved is not None and recipe.spacing is None:
        return tuple(max(1, round(n)) for n in moved["shape"])
    extent = measured["nonzero_extent_mm" if recipe.crop_nonzero else "extent_mm"]
    extent = slicing.ordered(extent) if moved is None else moved["extent_mm"]
    spacing = recipe.spacing or slicing.ordered(measured["spacing"]["median"])
    return tuple(max(1, round(e / s)) for e, s in zip(extent, spacing, strict=True))


def _spacing(measured, reasons, keeps_slices):
    spacing = list(measured["spacing"]["median"])
    if keeps_slices:
        reasons["recipe.spacing"] = "the median of every axis; slices keep their own distance"
        return spacing
    shape = [e / s for e, s in zip(measured["extent_mm"], spacing, strict=True)]
    worst = max(range(len(spacing)), key=spacing.__getitem__)
    others = [axis for axis in range(len(spacing)) if axis != worst]
    reason = "the median of every axis"
    if spacing[worst] > ANISOTROPY * max(spacing[a] for a in others) and shape[worst] * ANISOTROPY < min(
        shape[a] for a in others
    ):
        finest_other = max(spacing[a] for a in others)
        spacing[worst] = max(measured["spacing"]["percentile_10"][worst], finest_other)
        reason = f"the median, but the 10th percentile of axis {worst}, which is more than 3 times coarser"
    reasons["recipe.spacing"] = reason
    return spacing


def _size(measured, reasons):
    longest = max(measured["shape"]["maximum"])
    if longest <= SMALL_2D:
        reasons["recipe.size"] = f"kept: no side is longer than {SMALL_2D} pixels"
        return None
    shrink = max(math.ceil(side) / SMALL_2D for side in measured["shape"]["median"])
    known = {name: c["thickness"] for name, c in measured["classes"].items() if c["thickness"] is not None}
    name, thickness = min(known.items(), key=lambda item: item[1])
    left = thickness / shrink
    if left < THIN:
        reasons["recipe.size"] = (
            f"kept: {name} is {thickness:.1f} pixels thick on average, but {left:.1f} at {SMALL_2D}×{SMALL_2D}, "
            f"less than {THIN:.0f}; seen in patches"
        )
        return None
    reasons["recipe.size"] = (
        f"{SMALL_2D}×{SMALL_2D}: the thinnest class, {name}, is {thickness:.0f} pixels thick on average and {left:.0f} "
        f"after it, at least {THIN:.0f}"
    )
    return (SMALL_2D, SMALL_2D)


def _objects(reasons):
    reasons["recipe.clip"] = "objects: the 1 and 99.8 percentiles of each scan, as StarDist and Cellpose do"
    reasons["recipe.normalise"] = "objects: these become 0 and 1, however many and bright the objects are"
    return Clip("percentile", 1.0, 99.8), Normalise("unit")


def _intensity(measured, crop, flat, reasons):
    ct = [is_ct(name) for name in measured["channels"]]
    intensity = measured["intensity"]
    if all(ct):
        low = min(c["percentile_00_5"] for c in intensity)
        high = max(c["percentile_99_5"] for c in intensity)
        deviations = tuple(max(c["std"], 1e-6) for c in intensity)
        reasons["recipe.clip"] = "CT: 0.5 and 99.5 percentiles of the foreground in the whole dataset"
        reasons["recipe.normalise"] = "CT: mean and deviation of the foreground in the whole dataset"
        window = Clip("value", low, high) if low < high else None
        return window, Normalise("fixed", tuple(c["mean"] for c in intensity), deviations)
    kind = "zscore_foreground" if crop else "zscore"
    where = "its non-zero voxels" if crop else "the whole scan"
    reasons["recipe.normalise"] = f"z-score of each scan and channel over {where}; no channel is called CT"
    if any(ct):
        reasons["recipe.normalise"] = f"z-score of each scan and channel over {where}; CT is mixed with other channels"
    if flat:
        reasons["recipe.clip"] = "none: image files are bounded"
        return None, Normalise(kind)
    reasons["recipe.clip"] = "0.5 and 99.5 percentiles of each scan, against single bright voxels"
    return Clip("percentile", 0.5, 99.5), Normalise(kind)
