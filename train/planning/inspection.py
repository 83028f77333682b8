"""Every case read once: what the plan needs to know of it, and everything that is wrong with it."""

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

import imaging
from imaging.geometry.flat import PICTURE, STORED, UNKNOWN, as_picture, axes_of
from medseg.errors import InputError
from medseg.progress import track
from train.evaluation.reference import class_indices, read_reference, with_ignored
from train.planning.near_duplicates import sketch
from train.planning.proposals import measure_quality

SAMPLES = 10_000  # foreground voxels kept per case for the intensity statistics, as nnU-Net does
THREADS = 2  # at most, because each holds a whole case in memory


@dataclass(frozen=True)
class Problem:
    """Something wrong with a dataset.

    Attributes:
        message: names the file or case, what was found and the mend.
        fatal: nothing can be trained before it is mended; otherwise it is only worth knowing.
    """

    message: str
    fatal: bool = True

    def __str__(self):
        return self.message if self.fatal else f"{self.message} (warning)"


@dataclass(frozen=True)
class CaseFacts:
    """What was measured of a case, its axes turned to RAS (3D), or to rows and columns where it is known how (2D).

    Attributes:
        name: of the case.
        shape: voxels per axis.
        cropped: the same after cropping to the voxels that differ from zero.
        spacing: mm per axis.
        minimum: smallest intensity per channel.
        samples: (N, C) intensities of foreground voxels, at most ``SAMPLES`` of them.
        counts: (K,) voxels per class.
        centres: (K, rank) mean position of each class in voxels, NaN where the class is absent.
        spreads: (K, rank) standard deviation of the positions of each class, NaN where absent.
        thickness: (K,) mean thickness of each class in pixels (2D), NaN where absent or 3D.
        digest: of the image's content.
        sketch: the scan in few voxels, see ``train.planning.near_duplicates``.
        quality: noise, bias field and histogram, see ``train.planning.proposals``.
        has_spacing: the file tells the size of a voxel, as all but flat pictures do.
        orientation: that a recipe for flat scans like this one has (``imaging.Recipe``); None in 3D.
    """

    name: str
    shape: tuple[int, ...]
    cropped: tuple[int, ...]
    spacing: tuple[float, ...]
    minimum: tuple[float, ...]
    samples: np.ndarray
    counts: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray
    thickness: np.ndarray
    digest: str
    sketch: np.ndarray
    quality: dict = field(default_factory=dict)
    has_spacing: bool = True
    orientation: str | None = None


@dataclass(frozen=True)
class Inspection:
    """The facts of all cases that could be read, and the problems of the dataset."""

    facts: tuple[CaseFacts, ...]
    problems: tuple[Problem, ...]

    @property
    def fatal(self) -> tuple[str, ...]:
        """Messages of the problems that forbid training."""
        return tuple(problem.message for problem in self.problems if problem.fatal)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Messages of the other problems."""
        return tuple(problem.message for problem in self.problems if not problem.fatal)


def inspect(dataset, progress: bool = False, nan: float | None = None) -> Inspection:
    """Read every labelled case of a dataset once.

    Args:
        dataset: a ``train.data.dataset.Dataset``.
        progress: show a bar.
        nan: what voxels that are NaN stand for; None makes them a problem.

    Returns:
        The facts of the cases and all problems: files that cannot be read, geometry that differs between image and
        label, label values that are no label's, NaN or infinite voxels, channels or axes that differ between cases,
        constant images, empty masks, classes that never occur and images of equal content.
    """
    cases = [case for case in dataset.cases if case.label is not None]
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        results = pool.map(
            lambda case: inspect_case(case, dataset.labels, len(dataset.channels), dataset.ignore, nan), cases
        )
        results = list(track(results, "inspect", len(cases), progress))
    facts = tuple(fact for fact, _ in results if fact is not None)
    problems = [problem for _, case_problems in results for problem in case_problems]
    return Inspection(facts, (*problems, *_across(facts, dataset.labels)))


def inspect_case(
    case, labels, channels: int, ignore: int | None = None, nan: float | None = None
) -> tuple[CaseFacts | None, tuple[Problem, ...]]:
    """Read a labelled case and measure it.

    Args:
        case: a ``train.data.dataset.Case``.
        labels: classes by class index.
        channels: how many the dataset's images have.
        ignore: value of voxels that nobody has labelled, taken for background here; or None.
        nan: what voxels that are NaN stand for, or None.

    Returns:
        Its facts, None if it cannot be used, and its problems.
    """
    problems = []
    # The label map comes first: telling its values apart takes more memory than the image, which is not there yet.
    if case.instances:
        reference = _attempt(problems, lambda: read_reference(case, labels))
    else:
        reference = _attempt(problems, lambda: imaging.read_labels(case.label))
    if reference is not None:
        indices = _attempt(problems, lambda: class_indices(reference.voxels, with_ignored(labels, ignore), case.label))
        if indices is not None and ignore is not None:
            indices[indices == len(labels)] = 0
        if indices is not None and not indices.any():
            problems.append(Problem(f"{case.label}: marks nothing, every voxel is {labels[0].name}", fatal=False))
    image = _attempt(problems, lambda: imaging.read(list(case.images), channels=channels, nan=nan))
    if image is not None and reference is not None:
        # Of label values that are no class's, the problem above tells; their place is verified all the same.
        marked = reference if indices is None else imaging.Scan(indices, reference.affine)
        reference = _attempt(problems, lambda: imaging.align(marked, image, case.label, case.images[0]))
    if image is not None and all(channel.min() == channel.max() for channel in np.moveaxis(image.voxels, -1, 0)):
        problems.append(Problem(f"{case.images[0]}: is constant, every voxel is {image.voxels.flat[0]:g}; replace it"))
    if any(problem.fatal for problem in problems):
        return None, tuple(problems)
    return measure_case(case.name, image, reference, len(labels)), tuple(problems)


def measure_case(name: str, image, reference, classes: int) -> CaseFacts:
    """The facts of a case.

    Args:
        name: of the case.
        image: Scan (*spatial, C).
        reference: Scan (*spatial, 1) of class indices on the same grid.
        classes: number of classes.
    """
    digest = hashlib.blake2b(repr(image.voxels.shape).encode(), digest_size=16)
    for slab in image.voxels:  # slab by slab, here and below, so that a large scan is not copied
        digest.update(np.ascontiguousarray(slab))
    if image.rank == 3:
        image, reference = imaging.reorient(image, "RAS"), imaging.reorient(reference, "RAS")
        orientation = None
    else:
        orientation = STORED if axes_of(image) == UNKNOWN else PICTURE
        image, reference = as_picture(image), as_picture(replace(reference, axes=image.axes))
    indices = reference.voxels[..., 0]
    counts = sum(np.bincount(slab.ravel(), minlength=classes) for slab in indices)
    centres, spreads = _positions(indices, counts)
    return CaseFacts(
        name=name,
        shape=image.shape,
        cropped=_cropped_shape(image.voxels),
        spacing=image.spacing,
        minimum=tuple(float(m) for m in image.voxels.min(axis=tuple(range(image.rank)))),
        samples=_samples(image.voxels, indices),
        counts=counts,
        centres=centres,
        spreads=spreads,
        thickness=np.array([_thickness(indices == k) if indices.ndim == 2 else np.nan for k in range(classes)]),
        digest=digest.hexdigest(),
        sketch=sketch(image.voxels),
        quality=measure_quality(image),
        has_spacing=image.has_spacing or image.rank == 3,
        orientation=orientation,
    )


def _attempt(problems, action):
    try:
        return action()
    except InputError as error:
        problems.append(Problem(str(error)))
        return None


def _samples(voxels, indices):
    """Intensities (N, C) of foreground voxels, at most ``SAMPLES``, drawn without replacement."""
    ends = np.cumsum([np.count_nonzero(slab) for slab in indices])
    drawn = np.arange(ends[-1])
    if len(drawn) > SAMPLES:
        drawn = np.sort(np.random.default_rng(0).choice(int(ends[-1]), SAMPLES, replace=False))
    parts = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    samples = [np.zeros((0, voxels.shape[-1]), voxels.dtype)]
    for number, (part, end) in enumerate(zip(parts, ends, strict=True)):
        if len(part):
            places = np.argwhere(indices[number])
            samples.append(voxels[number][tuple(places[part - end].T)])  # the slab's own count is what ends it
    return np.concatenate(samples)


def _cropped_shape(voxels):
    used = (voxels != 0).any(axis=-1)
    extent = []
    for axis in range(used.ndim):
        hit = np.flatnonzero(used.any(axis=tuple(a for a in range(used.ndim) if a != axis)))
        extent.append(int(hit[-1] - hit[0]) + 1 if len(hit) else used.shape[axis])
    return tuple(extent)


def _positions(indices, counts):
    """Mean and deviation of the positions of each class along each axis, from one histogram per axis."""
    centres = np.full((len(counts), indices.ndim), np.nan)
    spreads = centres.copy()
    for k in np.flatnonzero(counts):
        mask = indices == k
        for axis in range(indices.ndim):
            profile = mask.sum(axis=tuple(a for a in range(indices.ndim) if a != axis))
            position = np.arange(len(profile))
            centres[k, axis] = profile @ position / counts[k]
            spreads[k, axis] = np.sqrt(profile @ (position - centres[k, axis]) ** 2 / counts[k])
    return centres, spreads


def _thickness(mask):
    """Mean thickness of a flat mask in pixels.

    The distance to the border rises from 0 to half the width across a band, so its mean is a quarter of the width. The
    distance transform counts from pixel centre to pixel centre, half a pixel more than to the border.
    """
    import cv2

    if not mask.any() or mask.all():
        return np.nan if not mask.any() else float(min(mask.shape))
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * (float(distance[mask].mean()) - 0.5)


def _across(facts, labels):
    """Problems that only show between cases."""
    problems = []
    ranks = defaultdict(list)
    ways = defaultdict(list)
    same = defaultdict(list)
    for fact in facts:
        ranks[len(fact.shape)].append(fact.name)
        ways[fact.orientation].append(fact.name)
        same[fact.digest].append(fact.name)
    if len(ranks) > 1:
        listed = "; ".join(f"{len(names)} have {rank}, such as {names[0]}" for rank, names in sorted(ranks.items()))
        problems.append(Problem(f"cases differ in spatial axes: {listed}; make a dataset of each"))
    if PICTURE in ways and STORED in ways:
        problems.append(
            Problem(
                f"{len(ways[STORED])} flat cases, such as {ways[STORED][0]}, have headers that do not say which way "
                f"the axes run, {ways[PICTURE][0]} and others lie as pictures do; save all of one kind, such as .png"
            )
        )
    problems.extend(
        Problem(f"{', '.join(names)}: the same image under {len(names)} names; keep one", fatal=False)
        for names in same.values()
        if len(names) > 1
    )
    if facts:
        totals = sum(fact.counts for fact in facts)
        problems.extend(
            Problem(f"label {label.name!r} (value {label.value}) occurs in no case; take it out of dataset.json")
            for label, total in zip(labels[1:], totals[1:], strict=True)
            if not total
        )
    return problems
