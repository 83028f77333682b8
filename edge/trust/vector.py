"""``test_vector.npz`` of an artifact folder: a made-up scan at every stage of the way, to check an implementation by.

The scan is drawn by code, of ellipsoids, and holds nothing of any patient.
"""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.first_pass import ask
from edge.manifest import Manifest
from imaging.geometry.flat import PICTURE
from imaging.geometry.orientation import reorient
from imaging.prior import prior_of
from imaging.recipe import prepare
from imaging.scan import Scan
from imaging.slices import ORIENTATIONS
from medseg.archives import check_zip
from medseg.atomic import write_bytes
from medseg.errors import InputError
from medseg.untrusted import open_regular

NAME = "test_vector.npz"
MAX_BYTES = 300_000
_VOXELS = 48_000  # of the prepared scan, roughly
_LOGIT_BYTES = 150_000
_TRIES = 6  # scans drawn, of which the one with the most classes is kept
_LEVELS = (-1.0, -0.3, 0.4, 1.2, 2.2)  # of a scan with mean 0 and deviation 1
_ARRAYS = ("voxels", "affine", "prepared", "prepared_affine", "logits", "logits_step", "labels")
_OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))


@dataclass(frozen=True)
class Vector:
    """A scan at every stage.

    Attributes:
        voxels: float32 (*spatial, C), the scan as read.
        affine: (4, 4), voxel to world of it, mm, RAS+.
        prepared: float32 (*prepared, C), after the recipe.
        prepared_affine: (4, 4) of that.
        logits: float32 (*, K), of every ``logits_step``-th voxel of the prepared scan along each axis.
        logits_step: 1 where all of them fit.
        labels: (*spatial, 1), label values on the grid of ``voxels``.
    """

    voxels: np.ndarray
    affine: np.ndarray
    prepared: np.ndarray
    prepared_affine: np.ndarray
    logits: np.ndarray
    logits_step: int
    labels: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """A vector against what an artifact answers here.

    Attributes:
        voxels: of the scan.
        labels_differ: how many of them have another label.
        prepared: largest difference of a prepared voxel.
        logits: largest difference of a logit.
    """

    voxels: int
    labels_differ: int
    prepared: float
    logits: float

    @property
    def equal(self) -> bool:
        """Whether every voxel has its label."""
        return self.labels_differ == 0

    def __str__(self):
        verdict = "equal on" if self.equal else f"{self.labels_differ} differ of"
        return (
            f"labels {verdict} {self.voxels} voxels; largest difference of a prepared voxel {self.prepared:.2g}, "
            f"of a logit {self.logits:.2g}"
        )


def draw_scan(manifest: Manifest, seed: int = 0, voxels: int = _VOXELS) -> Scan:
    """A scan of ellipsoids that takes an artifact through every step of its recipe.

    It is longer than a patch along the first axis, so that there are several tiles, and lies in another orientation and
    spacing than the network's where the recipe has one.

    Args:
        manifest: of the artifact.
        seed: of places, sizes and intensities.
        voxels: that the prepared scan has, roughly.
    """
    recipe, random = manifest.recipe, np.random.default_rng(seed)
    shape = _prepared_shape(manifest, voxels)
    finer = 0.8 if recipe.spacing or recipe.size else 1.0
    shape = tuple(max(2, round(n / finer)) for n in shape)
    spacing = np.ones(3)
    spacing[: recipe.rank] = [finer * step for step in recipe.spacing] if recipe.spacing else 1.0
    if recipe.slices and recipe.spacing:
        spacing[0] = recipe.spacing[0]
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    inside = sum(axis**2 for axis in grid) < 1.2
    drawn = np.zeros((*shape, recipe.channels), np.float32)
    for channel in range(recipe.channels):
        values = np.where(inside, _LEVELS[1], _LEVELS[0])
        for _ in range(6):
            centre, radius = random.uniform(-0.6, 0.6, recipe.rank), random.uniform(0.2, 0.6, recipe.rank)
            hit = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True)) < 1
            values = np.where(hit, random.choice(_LEVELS), values)
        drawn[..., channel] = _intensities(values, recipe, channel)
    if recipe.crop_nonzero or recipe.normalise.kind == "zscore_foreground":
        drawn[~inside] = 0
        drawn[[0, -1]] = 0
    if recipe.rank == 2 and recipe.orientation == PICTURE:
        # Columns first, from the bottom up.
        affine = np.diag([-spacing[1], spacing[0], 1.0, 1.0])
        return Scan(np.ascontiguousarray(drawn[::-1].transpose(1, 0, 2)), affine)
    if recipe.rank == 2 or (recipe.orientation is None and not recipe.slices):
        return Scan(drawn, np.diag([*spacing, 1.0]))
    first, second, third = codes = tuple(recipe.orientation or ORIENTATIONS["S"])
    # Drawn along the recipe's axes, whichever order they have, and then turned.
    places = ["RLAPSI".index(code) // 2 for code in codes]
    scan = Scan(drawn, np.eye(4)[:, [*places, 3]] * [*spacing, 1.0])
    scan = reorient(scan, second + _OPPOSITE[first] + third)
    return Scan(np.ascontiguousarray(scan.voxels), scan.affine)


def make(segmenter) -> Vector:
    """The vector of an opened artifact, small enough for its folder.

    Args:
        segmenter: an ``edge.Segmenter``.
    """
    best, most = None, -1
    for seed in range(_TRIES):
        scan = draw_scan(segmenter.manifest, seed)
        labels = segmenter.predict(scan).labels.voxels
        if (count := len(np.unique(labels))) > most:
            best, most = seed, count
        if count == len(segmenter.manifest.labels):
            break
    voxels = _VOXELS
    while True:
        vector = run(segmenter, draw_scan(segmenter.manifest, best, voxels))
        if len(_packed(vector)) <= MAX_BYTES or voxels < 500:
            return vector
        voxels //= 2


def run(segmenter, scan: Scan, step: int | None = None) -> Vector:
    """A scan through an opened artifact, stage by stage.

    Args:
        segmenter: an ``edge.Segmenter``.
        scan: as read.
        step: of the logits that are kept; None for as many as fit.
    """
    prepared = prepare(scan, segmenter.manifest.recipe)
    first_answer, _ = ask(segmenter.first, scan)
    prior = None if first_answer is None else prior_of(first_answer.classes, scan, prepared, segmenter.manifest.recipe)
    logits = segmenter.logits(prepared.voxels, prior=prior)
    step = step or _step(logits)
    kept = np.ascontiguousarray(logits[(slice(None, None, step),) * prepared.rank])
    labels = segmenter.predict(scan).labels.voxels
    return Vector(scan.voxels, scan.affine, prepared.voxels, prepared.affine, kept, step, labels)


def write(path, vector: Vector) -> None:
    """Write a vector as ``.npz``."""
    write_bytes(Path(path), _packed(vector))


def read(path) -> Vector:
    """Read a vector.

    Args:
        path: of ``test_vector.npz``.

    Raises:
        InputError: if it is missing, damaged, too large, or holds other arrays.
    """
    path = Path(path)
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            check_zip(archive, path)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                if sorted(arrays.files) != sorted(_ARRAYS):
                    raise InputError(f"{path}: holds {', '.join(arrays.files[:8])}, expected {', '.join(_ARRAYS)}")
                vector = {name: arrays[name] for name in _ARRAYS}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, though the manifest names it; copy the whole artifact again") from None
    except (ValueError, zipfile.BadZipFile, EOFError, OSError, MemoryError) as error:
        raise InputError(f"{path}: no test vector ({' '.join(str(error).split())[:200]}); export it again") from None
    return _checked(path, vector)


def compare(segmenter, vector: Vector) -> Comparison:
    """Run the scan of a vector again and compare every stage.

    Args:
        segmenter: an ``edge.Segmenter``.
        vector: of its artifact folder.

    Raises:
        InputError: if the vector is of another network.
    """
    again = run(segmenter, Scan(vector.voxels, vector.affine), vector.logits_step)
    for name in ("prepared", "logits", "labels"):
        shapes = getattr(vector, name).shape, getattr(again, name).shape
        if shapes[0] != shapes[1]:
            raise InputError(f"{NAME}: {name} of shape {shapes[0]}, the artifact gives {shapes[1]}; export it again")
    return Comparison(
        math.prod(vector.voxels.shape[:-1]),
        int(np.count_nonzero(again.labels != vector.labels)),
        _largest(again.prepared, vector.prepared),
        _largest(again.logits, vector.logits),
    )


def _largest(first, second) -> float:
    return float(np.abs(first - second).max(initial=0.0))


def _packed(vector) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **{name: getattr(vector, name) for name in _ARRAYS})
    return content.getvalue()


def _checked(path, vector) -> Vector:
    numbers = {name: array for name, array in vector.items() if name != "logits_step"}
    if any(array.dtype.kind not in "iuf" or not np.isfinite(array).all() for array in numbers.values()):
        raise InputError(f"{path}: expected finite numbers; export it again")
    step = vector["logits_step"]
    if step.shape or step.dtype.kind not in "iu" or not 1 <= step <= 2**16:
        raise InputError(f"{path}: logits_step is no positive number; export it again")
    if vector["affine"].shape != (4, 4) or vector["voxels"].ndim not in (3, 4) or not vector["voxels"].size:
        raise InputError(f"{path}: holds no scan; export it again")
    return Vector(**(vector | {"logits_step": int(step)}))


def _prepared_shape(manifest, voxels) -> tuple[int, ...]:
    recipe, patch = manifest.recipe, manifest.patch
    if recipe.size:
        return recipe.size
    if recipe.slices:
        return (2 + recipe.slices // 2, *_plane_shape(patch, voxels))
    longest = patch[0] + max(2, patch[0] // 8)
    scale = min(1.0, (voxels / (longest * math.prod(patch[1:]))) ** (1 / (len(patch) - 1)))
    # One voxel less than the patch along the others, so that they are padded.
    return (longest, *(max(4, round(scale * n) - 1) for n in patch[1:]))


def _plane_shape(patch, voxels) -> tuple[int, int]:
    """A slice that is longer than the patch along its first axis, and shorter along the other."""
    longest = patch[0] + max(2, patch[0] // 8)
    return longest, max(4, min(patch[1], round(voxels / (2 * longest))) - 1)


def _step(logits) -> int:
    step = 1
    while 4 * logits.shape[-1] * math.prod(-(-n // step) for n in logits.shape[:-1]) > _LOGIT_BYTES:
        step += 1
    return step


def _intensities(values, recipe, channel):
    """Numbers about 0 with deviation 1 as intensities that the recipe brings near to those again."""
    if recipe.normalise.kind == "fixed":
        return recipe.normalise.mean[channel] + recipe.normalise.std[channel] * values
    if recipe.clip is not None and recipe.clip.kind == "value":
        low, high = recipe.clip.low, recipe.clip.high
        return low + (high - low) * (values + 1.5) / 4
    return np.round(200 + 100 * values)
