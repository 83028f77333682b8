"""The preprocessing of a scan, as data, and the one function that applies it; and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from imaging.geometry.affine import moved
from imaging.geometry.orientation import check_codes, reorient
from imaging.geometry.resampling import INTERPOLATIONS, check_grid, onto, resample
from imaging.geometry.restoring import restore_slabs
from imaging.intensity import check_clip, check_normalise, clip, normalise
from imaging.measure.components import fill_holes
from imaging.regions import classes_of
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from medseg.untrusted import shown

# From a nanometre, below every microscope, to a metre, above every scanner; sizes that no scan outgrows.
LIMITS = {"spacing": (1e-6, 1e3, "mm"), "size": (1, 65536, "voxels")}
MAX_CHANNELS = 1024


@dataclass(frozen=True)
class Clip:
    """Intensity limits.

    Attributes:
        kind: "percentile" (of each scan) or "value" (for example Hounsfield units).
        low, high: the limits, of that kind.
    """

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Normalise:
    """Intensity normalisation.

    Attributes:
        kind: "zscore" (per scan and channel), "zscore_foreground" (per scan, non-zero voxels only), "fixed"
            ((x - mean) / std) or "unit" (minimum to 0, maximum to 1).
        mean, std: of the dataset, per channel, for "fixed".
        fill_holes: "zscore_foreground" counts zero voxels that non-zero ones enclose as foreground, as nnU-Net does; up
            to version 0.1 they became 0.
    """

    kind: str = "zscore"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fill_holes: bool = field(default=True, metadata={"absent": False})


@dataclass(frozen=True)
class Recipe:
    """What is done to a scan before the network sees it.

    Attributes:
        rank: spatial axes of the scans, 2 or 3.
        channels: channels that the network takes.
        orientation: axis codes such as "RAS" for 3D, or None to keep the file's order (2D).
        spacing: target spacing in mm per axis, or None to keep it.
        size: fixed spatial size in pixels that a scan is resized to (2D without spacing), or None.
        crop_nonzero: crop to the bounding box of voxels that differ from zero.
        clip: intensity limits applied first, or None.
        normalise: the intensity normalisation.
        interpolation: of images on their new grid: "linear", averaging where it is coarser, or "cubic", nnU-Net's cubic
            splines with slices apart where they are thick (see ``imaging.geometry.resampling.cubic``). Labels are
            never mixed.
    """

    rank: int
    channels: int = 1
    orientation: str | None = None
    spacing: tuple[float, ...] | None = None
    size: tuple[int, ...] | None = None
    crop_nonzero: bool = False
    clip: Clip | None = None
    normalise: Normalise = Normalise()
    interpolation: str = "linear"


def prepare(scan: Scan, recipe: Recipe) -> Scan:
    """Apply a recipe: orientation, crop, clip, normalisation, then the new grid.

    Intensities are measured on the scan's own voxels, before resampling. An image without contrast becomes all 0.

    Args:
        scan: voxels (*spatial, C), any real type; it is not changed.
        recipe: what to do.

    Returns:
        A scan of contiguous float32 voxels whose affine says where they lie, so that ``restore`` finds the way back.

    Raises:
        InputError: if the scan does not have the recipe's axes or channels, or holds NaN or infinite voxels.
    """
    check(recipe)
    if scan.rank != recipe.rank:
        raise InputError(
            f"scan of shape {scan.shape} has {scan.rank} spatial axes; the recipe takes {recipe.rank}: give a "
            f"{recipe.rank}D scan, or a network made for {scan.rank}D"
        )
    if scan.channels != recipe.channels:
        raise InputError(
            f"scan of shape {scan.shape} has {scan.channels} channels; the recipe takes {recipe.channels}: give one "
            "file for each, in the order of training"
        )
    if recipe.orientation is not None:
        scan = reorient(scan, recipe.orientation)
    if recipe.crop_nonzero:
        scan = crop_nonzero(scan)
    if recipe.spacing is not None or recipe.size is not None:
        check_grid(scan, recipe.spacing, recipe.size)
    voxels = np.array(scan.voxels, np.float32, order="C")
    scan = Scan(voxels, scan.affine)  # a source that nobody else holds is freed here
    if not np.isfinite(voxels.sum(dtype=np.float64)):
        bad = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        raise InputError(f"scan of shape {scan.shape}: {bad} voxels are NaN or infinite; replace them by numbers")
    foreground = _foreground(voxels, recipe.normalise)
    if recipe.clip is not None:
        clip(voxels, recipe.clip.kind, recipe.clip.low, recipe.clip.high)
    normalise(voxels, recipe.normalise.kind, recipe.normalise.mean, recipe.normalise.std, foreground)
    if not np.isfinite(voxels.sum(dtype=np.float64)):
        raise InputError(
            f"scan of shape {scan.shape}: clip and normalise make numbers of it that float32 cannot hold; correct the "
            "recipe's limits, mean and std"
        )
    if recipe.spacing is not None or recipe.size is not None:
        scan = resample(scan, recipe.spacing, recipe.size, interpolation=recipe.interpolation)
    return Scan(np.ascontiguousarray(scan.voxels), scan.affine)


def _foreground(voxels, normalisation):
    """The voxels (*spatial) that "zscore_foreground" is of; None for other kinds."""
    if normalisation.kind != "zscore_foreground":
        return None
    used = (voxels != 0).any(axis=-1)
    return fill_holes(used) if normalisation.fill_holes else used


def prepare_labels(labels: Scan, prepared: Scan, recipe: Recipe) -> Scan:
    """A label map on the grid of the prepared image.

    Args:
        labels: integer voxels (*spatial, 1), in the geometry of the source image.
        prepared: what ``prepare`` made of the image.
        recipe: the same recipe.

    Returns:
        A scan of (*prepared.shape, 1) in the labels' type, with no value that ``labels`` lacks except 0 outside it.

    Raises:
        InputError: if the labels have other axes or more than one channel.
    """
    if labels.rank != recipe.rank or labels.channels != 1:
        raise InputError(
            f"label map of shape {labels.voxels.shape}: expected {recipe.rank} spatial axes and one channel"
        )
    resized = recipe.spacing is not None or recipe.size is not None
    return Scan(onto(labels.voxels, labels.affine, prepared, 0, is_label=True, antialias=resized), prepared.affine)


def restore(scores: np.ndarray, prepared: Scan, source: Scan) -> np.ndarray:
    """Scores of a prepared scan in the geometry of the scan that it was made from.

    Exact where preparing only flipped, permuted and cropped; linear interpolation where it resampled. Source voxels
    outside the prepared grid (cropped away) are background for certain: class 0 gets the largest score that occurs
    anywhere, the other classes the smallest.

    Args:
        scores: (*prepared.shape, K), probabilities or logits, class 0 the background.
        prepared: what ``prepare`` made of ``source``.
        source: the scan as read.

    Returns:
        float32 (*source.shape, K).

    Raises:
        InputError: if the scores are not on the grid of ``prepared``.
    """
    scores = _on_grid(scores, prepared)
    return onto(scores, prepared.affine, source, _background(scores))


def restore_classes(
    scores: np.ndarray, prepared: Scan, source: Scan, slab: int = 16, written: Sequence[int] | None = None
) -> np.ndarray:
    """The class with the largest score at every voxel of the source: ``restore(...).argmax(-1)`` in less memory.

    Of regions it is the class that the last region with a logit above 0 writes.

    The scores are never held in the source geometry whole, only some slices at a time.

    Args:
        scores: (*prepared.shape, K), probabilities or logits of at most 256 classes, class 0 the background.
        prepared: what ``prepare`` made of ``source``.
        source: the scan as read.
        slab: slices of the source that are restored at once.
        written: of the logits of regions, the class index that each writes (``imaging.regions``); None for classes.

    Returns:
        uint8 (*source.shape), class indices; of equal scores the smaller index.

    Raises:
        InputError: if the scores are not on the grid of ``prepared``.
    """
    scores = _on_grid(scores, prepared)
    out = np.zeros(source.shape, np.uint8)  # what was cropped away is background
    for place, values in restore_slabs([(0, scores)], prepared, source, slab=slab):
        out[place] = classes_of(values, written)
    return out


def _on_grid(scores, prepared):
    scores = np.asarray(scores, np.float32)
    if scores.shape[:-1] != prepared.shape:
        raise InputError(f"scores of shape {scores.shape}: expected {prepared.shape} and a class axis")
    return scores


def _background(scores):
    fill = np.full(scores.shape[-1], scores.min())
    if len(fill) > 1:
        fill[0] = scores.max()
    return fill


def crop_nonzero(scan: Scan) -> Scan:
    """Cut a scan to the bounding box of voxels that differ from zero in any channel; all zero stays whole."""
    used = (scan.voxels != 0).any(axis=-1)
    box = []
    for axis in range(scan.rank):
        hit = np.flatnonzero(used.any(axis=tuple(a for a in range(scan.rank) if a != axis)))
        if not len(hit):
            return scan
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return Scan(scan.voxels[tuple(box)], moved(scan.affine, [b.start for b in box]))


def check(recipe: Recipe) -> None:
    """Require a recipe to make sense in itself.

    Raises:
        UsageError: naming the field that does not.
    """
    if recipe.rank not in (2, 3):
        raise UsageError(f"recipe rank {recipe.rank}: expected 2 or 3")
    if not 1 <= recipe.channels <= MAX_CHANNELS:
        raise UsageError(f"recipe channels {shown(recipe.channels)}: expected 1 to {MAX_CHANNELS}")
    if recipe.orientation is not None and recipe.rank != 3:
        raise UsageError(f"recipe orientation {recipe.orientation!r}: expected for rank 3 only, use None")
    if recipe.interpolation not in INTERPOLATIONS:
        raise UsageError(f"recipe interpolation {recipe.interpolation!r}: expected {' or '.join(INTERPOLATIONS)}")
    try:
        _check_parts(recipe)
    except InputError as error:
        raise UsageError(f"recipe: {error}") from None
    if recipe.spacing is not None and recipe.size is not None:
        raise UsageError("recipe: spacing and size exclude each other; leave one None")
    for name, (low, high, unit) in LIMITS.items():
        value = getattr(recipe, name)
        if value is not None and (len(value) != recipe.rank or not all(low <= v <= high for v in value)):
            raise UsageError(
                f"recipe {name} {shown(tuple(value))}: expected {unit}, {low:g} to {high:g} along "
                f"each of {recipe.rank} axes"
            )


def _check_parts(recipe):
    if recipe.orientation is not None:
        check_codes(recipe.orientation)
    if recipe.clip is not None:
        check_clip(recipe.clip.kind, recipe.clip.low, recipe.clip.high)
    check_normalise(recipe.normalise.kind, recipe.normalise.mean, recipe.normalise.std, recipe.channels)
