"""The preprocessing of a scan, as data, and the one function that applies it."""

from dataclasses import dataclass, field, replace

import numpy as np

from imaging.filters.steps import FilterStep, apply_steps, check_steps
from imaging.geometry.cropping import crop_nonzero
from imaging.geometry.flat import FLAT, PICTURE, oriented
from imaging.geometry.orientation import check_codes, reorient
from imaging.geometry.resampling import INTERPOLATIONS, check_grid, resample
from imaging.geometry.restoring import onto_prepared
from imaging.intensity import LARGEST, all_finite, check_clip, check_normalise, clip, fill_nan, normalise
from imaging.measure.components import fill_holes
from imaging.scan import Scan
from imaging.slices import slice_orientation
from medseg.errors import InputError, UsageError
from medseg.untrusted import shown

# From a nanometre, below every microscope, to a metre, above every scanner; sizes that no scan outgrows.
LIMITS = {"spacing": (1e-6, 1e3, "mm"), "size": (1, 65536, "voxels")}
MAX_CHANNELS = 1024
MAX_CLASSES = 256  # class indices are held in bytes
MAX_SLICES = 31  # that a 2D network takes at once; no published one takes as many


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
        orientation: axis codes such as "RAS" for 3D; with ``slices`` None puts each scan's own slices first
            (``imaging.slices.slice_orientation``). For 2D "picture" (rows and columns) or "stored" (the order of files
            that do not say how they lie), see ``imaging.geometry.flat``; None, of older recipes, keeps any order.
        spacing: target spacing in mm per axis, or None to keep it.
        size: fixed spatial size in pixels that a scan is resized to (2D without spacing), or None.
        crop_nonzero: crop to the bounding box of voxels that differ from zero.
        clip: intensity limits applied first, or None.
        normalise: the intensity normalisation.
        interpolation: of images on their new grid: "linear", averaging where it is coarser, or "cubic", nnU-Net's cubic
            splines with slices apart where they are thick (see ``imaging.geometry.resampling.cubic``). Labels are never
            mixed.
        filters: steps that are applied after the crop and before ``clip``, in order, see ``imaging.filters``.
        nan: what voxels that are NaN (outside the field of view) stand for; None refuses them.
        slices: of a volume whose network is a 2D one, how many slices this takes: 1 takes them one by one, 3 each with
            its neighbours as further channels (``imaging.slices``). Slices lie along the first axis, which keeps its
            spacing: the first number of ``spacing`` only says what is usual. 0 for a network of the scan's own axes.
        prior: channels that the network takes after those of the scan: one for each class but the background, 1 where
            the first network of a cascade found it and 0 elsewhere (``imaging.prior``); 0 where there is no such
            network.
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
    filters: tuple[FilterStep, ...] = ()
    nan: float | None = None
    slices: int = 0
    prior: int = 0

    @property
    def patch_rank(self) -> int:
        """Spatial axes of the network, 2 or 3."""
        return 2 if self.slices else self.rank

    @property
    def patch_channels(self) -> int:
        """Channels of the network: those of the scan, of each slice that it takes, and of the classes found before."""
        return self.channels * max(1, self.slices) + self.prior

    def patch_spacing(self) -> tuple[float, ...] | None:
        """Size of the network's voxels in mm along its own axes; None where it is the scan's."""
        return None if self.spacing is None else self.spacing[self.rank - self.patch_rank :]

    def spacing_of(self, scan: Scan) -> tuple[float, ...] | None:
        """The voxel size in mm that an oriented scan is resampled to; None to leave it."""
        return (scan.spacing[0], *self.spacing[1:]) if self.slices and self.spacing is not None else self.spacing


def of_pictures(recipe: Recipe) -> Recipe:
    """What a recipe of before meant whose flat training scans were all pictures: it says so now."""
    return replace(recipe, orientation=PICTURE) if recipe.rank == 2 and recipe.orientation is None else recipe


def prepare(scan: Scan, recipe: Recipe) -> Scan:
    """Apply a recipe: orientation, crop, filters, clip, normalisation, then the new grid.

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
    scan = _turned(scan, recipe)  # a source that nobody else holds is freed here
    scan, foreground = _filtered(scan, recipe)
    voxels, warp = scan.voxels, scan.warp
    if recipe.clip is not None:
        clip(voxels, recipe.clip.kind, recipe.clip.low, recipe.clip.high)
    normalise(voxels, recipe.normalise.kind, recipe.normalise.mean, recipe.normalise.std, foreground)
    if not all_finite(voxels):
        raise InputError(
            f"scan of shape {scan.shape}: clip and normalise make numbers of it that float32 cannot hold; correct the "
            "recipe's limits, mean and std"
        )
    if recipe.spacing is not None or recipe.size is not None:
        scan = resample(scan, recipe.spacing_of(scan), recipe.size, interpolation=recipe.interpolation)
    return Scan(np.ascontiguousarray(scan.voxels), scan.affine, warp=warp)


def filtered(scan: Scan, recipe: Recipe) -> tuple[Scan, np.ndarray | None]:
    """The first part of ``prepare``: orientation, crop and filters.

    Args:
        scan: voxels (*spatial, C), any real type; it is not changed.
        recipe: what to do.

    Returns:
        A scan of contiguous float32 voxels, and on its grid the voxels (*spatial) that "zscore_foreground" is of, None
        for other kinds.

    Raises:
        InputError: as ``prepare`` does.
    """
    return _filtered(_turned(scan, recipe), recipe)


def _turned(scan, recipe):
    """A scan of voxels of its own, float32, in the recipe's orientation and cropped."""
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
    if recipe.nan is not None and scan.voxels.dtype.kind == "f" and np.isnan(scan.voxels).any():
        scan = replace(scan, voxels=fill_nan(np.array(scan.voxels, np.float32), recipe.nan), geometry=None)
    if recipe.rank == 2 and recipe.orientation is not None:
        scan = oriented(scan, recipe.orientation)
    elif recipe.orientation is not None or recipe.slices:
        scan = reorient(scan, recipe.orientation or slice_orientation(scan))
    if recipe.crop_nonzero:
        scan = crop_nonzero(scan)
    if recipe.spacing is not None or recipe.size is not None:
        check_grid(scan, recipe.spacing_of(scan), recipe.size)
    voxels = np.array(scan.voxels, np.float32, order="C")
    if not all_finite(voxels):
        bad = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        raise InputError(f"scan of shape {scan.shape}: {bad} voxels are NaN or infinite; replace them by numbers")
    return Scan(voxels, scan.affine, has_spacing=scan.has_spacing)


def _filtered(scan, recipe):
    foreground = _foreground(scan.voxels, recipe.normalise)
    if recipe.filters:
        scan, foreground = _apply_filters(scan, foreground, recipe.filters)
        if recipe.spacing is not None or recipe.size is not None:
            check_grid(scan, recipe.spacing_of(scan), recipe.size)
    return scan, foreground


def _apply_filters(scan, foreground, steps):
    """The filtered scan, and the foreground of what it was before on its grid: a filter must not spread it."""
    done = apply_steps(scan, steps)
    done = replace(done, voxels=np.ascontiguousarray(done.voxels, np.float32))
    same = done.shape == scan.shape and np.array_equal(done.affine, scan.affine) and done.warp is None
    if foreground is None or same:
        return done, foreground
    carried = onto_prepared(foreground[..., None].astype(np.uint8), scan.affine, done)
    return done, carried[..., 0].astype(bool)


def _foreground(voxels, normalisation):
    """The voxels (*spatial) that "zscore_foreground" is of; None for other kinds."""
    if normalisation.kind != "zscore_foreground":
        return None
    used = (voxels != 0).any(axis=-1)
    return fill_holes(used) if normalisation.fill_holes else used


def check(recipe: Recipe, learnt: bool = True) -> None:
    """Require a recipe to make sense in itself.

    Args:
        recipe: the recipe.
        learnt: whether what filters learn from training cases must be there.

    Raises:
        UsageError: naming the field that does not.
    """
    if recipe.rank not in (2, 3):
        raise UsageError(f"recipe rank {recipe.rank}: expected 2 or 3")
    if not 1 <= recipe.channels <= MAX_CHANNELS:
        raise UsageError(f"recipe channels {shown(recipe.channels)}: expected 1 to {MAX_CHANNELS}")
    if recipe.rank == 2 and recipe.orientation not in (None, *FLAT):
        raise UsageError(
            f"recipe orientation {shown(recipe.orientation)}: expected {' or '.join(map(repr, FLAT))} for rank 2"
        )
    check_slices(recipe)
    if not 0 <= recipe.prior < MAX_CLASSES or (recipe.prior and recipe.slices):
        raise UsageError(
            f"recipe prior {shown(recipe.prior)}: expected 0 to {MAX_CLASSES - 1} classes, and 0 where there are slices"
        )
    if recipe.interpolation not in INTERPOLATIONS:
        raise UsageError(f"recipe interpolation {recipe.interpolation!r}: expected {' or '.join(INTERPOLATIONS)}")
    try:
        _check_parts(recipe, learnt)
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


def check_slices(recipe: Recipe) -> None:
    """Require the number of slices that a 2D network takes to be one that has a middle.

    Raises:
        UsageError: otherwise, or where the scans have no slices.
    """
    if recipe.slices and recipe.rank != 3:
        raise UsageError(f"recipe slices {recipe.slices}: expected 0 for scans of rank {recipe.rank}")
    if recipe.slices and (recipe.slices % 2 == 0 or not 1 <= recipe.slices <= MAX_SLICES):
        raise UsageError(
            f"recipe slices {shown(recipe.slices)}: expected an odd number from 1 to {MAX_SLICES}, or 0 for a network "
            "of the scan's own axes"
        )
    if recipe.slices and recipe.size is not None:
        raise UsageError("recipe slices: expected a spacing rather than a size; slices keep their own place")
    if recipe.patch_channels > MAX_CHANNELS:
        raise UsageError(
            f"recipe slices {recipe.slices} of {recipe.channels} channels: expected at most {MAX_CHANNELS} in all"
        )


def _check_parts(recipe, learnt):
    if recipe.orientation is not None and recipe.rank == 3:
        check_codes(recipe.orientation)
    if recipe.clip is not None:
        check_clip(recipe.clip.kind, recipe.clip.low, recipe.clip.high)
    check_steps(recipe.filters, recipe.rank, recipe.channels, learnt)
    if recipe.nan is not None and not abs(recipe.nan) <= LARGEST:
        raise InputError(f"nan {recipe.nan}: expected a finite number")
    check_normalise(recipe.normalise.kind, recipe.normalise.mean, recipe.normalise.std, recipe.channels)
