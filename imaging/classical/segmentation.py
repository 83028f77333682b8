"""The one call of all methods: checks, the image, the method, clean-up, and labels in the scan's own geometry."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imaging.classical.cleaning import cleaned
from imaging.classical.entry import Method
from imaging.classical.registry import get
from imaging.classical.seeds.drawing import Seeds, as_seeds
from imaging.geometry.orientation import canonical
from imaging.io.nifti import smallest
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

_CLEANING = ("largest", "fill", "min_mm3", "open_mm")
EXTRA = "imaging"
_LARGEST = 1e15  # intensities whose squares float32 can hold
_ROUNDING = 1e-6  # of the largest intensity, that a mean of channels differs by without meaning anything
_FAR = 1000.0  # ranges of intensity from 0 at which float32 loses them


@dataclass(frozen=True)
class Work:
    """What a method is given.

    Attributes:
        scan: the chosen channel (or all, or their mean) as float32 (*spatial, C), smoothed as asked for.
        parameters: all of the method's, checked.
        seeds: on the scan's grid, or None.
        atlases: pairs of scan and labels.
        progress: called with steps done and all steps.
    """

    scan: Scan
    parameters: dict
    seeds: Seeds | None = None
    atlases: tuple[tuple[Scan, Scan], ...] = ()
    progress: Callable[[int, int], None] | None = None

    def advance(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` steps are done."""
        if self.progress is not None:
            self.progress(done, total)


def segment(
    scan: Scan,
    method: str,
    *,
    seeds=None,
    atlases: Sequence[tuple[Scan, Scan]] = (),
    progress: Callable[[int, int], None] | None = None,
    **parameters,
) -> Scan:
    """Segment a scan without a network.

    Sizes are in mm: a scan on finer or thicker voxels, or stored in another orientation, gives the same structure.

    Args:
        scan: 2D or 3D, any number of channels.
        method: a name of ``imaging.classical.names()``.
        seeds: for methods that start from some: strokes (``imaging.classical.read_strokes``), or an array (*spatial)
            of label values, 0 the background and -1 where nothing is marked.
        atlases: labelled scans for the method "atlas", pairs of scan and label scan.
        progress: called with steps done and all steps.
        parameters: of the method, see ``imaging.classical.get(method).parameters``.

    Returns:
        Label values (*spatial, 1) in the scan's geometry: 0 and 1; class indices by rising intensity for methods of
        several classes; the label values of seeds or atlases.

    Raises:
        UsageError: for an unknown method or parameter, one out of range, seeds or atlases missing or not taken.
        InputError: for a scan that the method cannot segment: constant, of other axes, seeds outside it.

    Example:
        >>> labels = imaging.classical.segment(imaging.read("ct.nii.gz"), "otsu", smooth_mm=1.0, largest=True)
        >>> imaging.write("labels.nii.gz", labels)
    """
    entry = get(method)
    values = entry.complete(parameters)
    _check(entry, scan, seeds, atlases, values)
    check_installed(f"method {entry.name}", entry.packages)
    marks = None if seeds is None else as_seeds(scan, seeds)
    turned, turn = canonical(scan)  # lattices and samples start at the same place of the world, however it is stored
    if marks is not None:
        marks = marks.turned(turn)
    work = Work(image_of(turned, values), values, marks, tuple(atlases), progress)
    module, function = entry.function.split(":")
    labels = getattr(importlib.import_module(f"imaging.classical.{module}"), function)(work)
    labels = turn.back(clean_up(labels, turned.spacing, values))
    return replace(scan, voxels=smallest(np.ascontiguousarray(labels))[..., None])


def clean_up(labels: np.ndarray, spacing, values: dict) -> np.ndarray:
    """Labels (*spatial) cleaned as a method's parameters say; they themselves where those ask for nothing."""
    if not any(values.get(name) for name in _CLEANING):
        return labels
    return cleaned(labels, spacing, **{name: values[name] for name in _CLEANING})


def image_of(scan: Scan, values: dict) -> Scan:
    """The channel that a method works on, smoothed as its parameters say.

    Returns:
        float32 (*spatial, 1), or (*spatial, C) where ``channel`` is -1 and the scan has several.
    """
    from scipy import ndimage

    voxels, channel = scan.voxels, values.get("channel", -1)
    voxels = _conditioned(voxels if channel < 0 else voxels[..., channel : channel + 1])
    smooth = values.get("smooth_mm", 0.0)
    if smooth:
        sigma = [smooth / size for size in scan.spacing]
        for k in range(voxels.shape[-1]):
            voxels[..., k] = ndimage.gaussian_filter(voxels[..., k], sigma, truncate=3)
    return replace(scan, voxels=voxels)


def _conditioned(voxels):
    """A float32 copy; as 0 to 1 where sums and squares of its intensities would not fit in float32."""
    low, high = float(voxels.min()), float(voxels.max())
    contrast = high - low
    if contrast > 0 and (abs(low) > _FAR * contrast or max(abs(low), abs(high)) > _LARGEST or contrast < 1 / _LARGEST):
        return ((voxels.astype(np.float64) - low) / contrast).astype(np.float32, order="C")
    return np.array(voxels, np.float32, order="C")


def mean_of(scan: Scan) -> np.ndarray:
    """The mean of a scan's channels, float32 (*spatial)."""
    return scan.voxels[..., 0] if scan.channels == 1 else scan.voxels.mean(axis=-1, dtype=np.float32)


def grey(scan: Scan) -> np.ndarray:
    """The mean of a scan's channels, float32 (*spatial), for methods that need contrast in it.

    Raises:
        InputError: if the mean of several is constant, as of a picture beside its negative.
    """
    mean = mean_of(scan)
    if scan.channels == 1:
        return mean
    low, high = float(mean.min()), float(mean.max())
    if high - low <= _ROUNDING * max(abs(float(scan.voxels.min())), abs(float(scan.voxels.max()))):
        raise InputError(
            f"the mean of the scan's {scan.channels} channels is {low:g} everywhere; choose one by channel"
        )
    return mean


def _check(entry: Method, scan, seeds, atlases, values):
    if scan.rank not in entry.ranks:
        axes = " or ".join(map(str, entry.ranks))
        raise InputError(f"method {entry.name}: a scan of {scan.rank} axes, expected {axes}")
    check_given(entry, seeds is not None, bool(atlases))
    check_scan(entry, scan, values)


def check_given(entry: Method, seeds: bool, atlases: bool) -> None:
    """Require seeds and atlases to be given to a method that takes them, and to no other.

    Args:
        entry: the method.
        seeds: whether there are some.
        atlases: the same.

    Raises:
        UsageError: for what is missing, or not taken.
    """
    where = f"method {entry.name}"
    if entry.seeds == "needed" and not seeds:
        raise UsageError(f"{where}: needs seeds; give strokes or a label array, on the command line --seeds FILE.json")
    if entry.seeds == "none" and seeds:
        raise UsageError(f"{where}: takes no seeds; leave them out, or choose a method that does")
    if entry.atlases and not atlases:
        raise UsageError(f"{where}: needs labelled scans; give atlases, on the command line --atlases DATASET")
    if not entry.atlases and atlases:
        raise UsageError(f"{where}: takes no atlases; leave them out, or choose the method atlas")


def check_scan(entry: Method, scan: Scan, values: dict) -> None:
    """Require an image that a method can work on.

    Raises:
        InputError: for a channel that is not there, no voxels, NaN or infinite ones, or a constant image.
    """
    where = f"method {entry.name}"
    if values.get("channel", -1) >= scan.channels:
        raise InputError(f"{where}: channel {values['channel']} of a scan of {scan.channels}; they count from 0")
    if 0 in scan.shape:
        raise InputError(f"{where}: a scan of shape {scan.shape}, expected at least one voxel")
    voxels = scan.voxels if values.get("channel", -1) < 0 else scan.voxels[..., values["channel"]]
    low, high = float(voxels.min()), float(voxels.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise InputError(f"{where}: the scan holds NaN or infinite voxels; replace them by numbers")
    if low == high:
        raise InputError(f"{where}: every voxel of the scan is {low:g}; expected an image with contrast")


def check_installed(where: str, packages: Sequence[str]) -> None:
    """Require packages that an extra brings.

    Raises:
        InputError: if one is missing; ``where`` says what needs it.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(f'{where}: needs {package}, which is not installed; pip install "medseg-zoo[{EXTRA}]"')
