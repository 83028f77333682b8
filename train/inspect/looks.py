"""Every case looked at once: size, intensities, a small picture, its labels' parts, holes and places."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

import imaging
from imaging.measure.components import fill_holes, label_components
from medseg.errors import InputError
from medseg.progress import track
from train.evaluation.reference import read_case

SMALL = 16  # samples along each axis of the copy by which cases are compared
THREADS = 2  # at most, because each holds a whole case in memory


@dataclass(frozen=True)
class ClassLook:
    """One class in one case.

    Attributes:
        voxels: how many.
        parts: voxel counts of its connected parts, the largest first.
        holes: voxels that it encloses, of no class.
        centre: mean place along each axis, as a share of the scan, axes turned to RAS in 3D; empty where it is absent.
    """

    voxels: int
    parts: tuple[int, ...] = ()
    holes: int = 0
    centre: tuple[float, ...] = ()


@dataclass(frozen=True)
class CaseLook:
    """A case.

    Attributes:
        name: of the case.
        shape: voxels along each axis.
        spacing: mm along each axis.
        quantiles: of the first channel, 1, 25, 50, 75 and 99 %.
        digest: of the image's content.
        small: a coarse copy of the first channel, mean 0 and deviation 1, by which cases are compared.
        classes: name of the class to what is known of it.
        problem: why the case cannot be read; empty where it can, and nothing else is known where it cannot.
    """

    name: str
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    digest: str = ""
    small: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    classes: dict[str, ClassLook] = field(default_factory=dict)
    problem: str = ""


def look_at(dataset, progress: bool = False) -> tuple[CaseLook, ...]:
    """Look at every labelled case of a dataset once.

    Args:
        dataset: a ``train.data.dataset.Dataset``.
        progress: show a bar.
    """
    cases = [case for case in dataset.cases if case.label is not None]

    def look(case):
        try:
            scan, reference = read_case(case, dataset.labels, len(dataset.channels), dataset.ignore)
        except InputError as error:
            return CaseLook(case.name, problem=str(error))
        return look_at_case(case.name, scan, reference, [label.name for label in dataset.labels])

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return tuple(track(pool.map(look, cases), "inspect", len(cases), progress))


def look_at_case(name: str, scan, reference, names: Sequence[str]) -> CaseLook:
    """What is to be seen of a case.

    Args:
        name: of the case.
        scan: Scan (*spatial, C).
        reference: Scan (*spatial, 1) of class indices on its grid.
        names: of the classes, background first.
    """
    if scan.rank == 3:
        scan, reference = imaging.reorient(scan, "RAS"), imaging.reorient(reference, "RAS")
    indices, channel = reference.voxels[..., 0], scan.voxels[..., 0]
    return CaseLook(
        name=name,
        shape=scan.shape,
        spacing=scan.spacing,
        quantiles=tuple(float(q) for q in np.percentile(channel, (1, 25, 50, 75, 99))),
        digest=hashlib.blake2b(
            repr(scan.voxels.shape).encode() + np.ascontiguousarray(scan.voxels).tobytes(), digest_size=16
        ).hexdigest(),
        small=_small(channel),
        classes={label: _class(indices == k, indices == 0) for k, label in enumerate(names) if k},
    )


def _class(mask, background) -> ClassLook:
    count = int(np.count_nonzero(mask))
    if not count:
        return ClassLook(0)
    _, counts = label_components(mask)
    holes = int(np.count_nonzero(fill_holes(mask) & background))
    centre = tuple(
        float((mask.sum(axis=tuple(a for a in range(mask.ndim) if a != axis)) @ (np.arange(size) + 0.5)) / count / size)
        for axis, size in enumerate(mask.shape)
    )
    return ClassLook(count, tuple(sorted((int(c) for c in counts[1:]), reverse=True)), holes, centre)


def _small(channel) -> np.ndarray:
    """The mean of blocks, SMALL along each axis, brought to mean 0 and deviation 1."""
    values = np.asarray(channel, np.float64)
    for axis in range(values.ndim):
        size = values.shape[axis]
        edges = np.linspace(0, size, min(SMALL, size) + 1).astype(int)
        sums = np.add.reduceat(values, edges[:-1], axis)
        shape = [1] * values.ndim
        shape[axis] = -1
        values = sums / np.diff(edges).reshape(shape)
    deviation = values.std()
    return ((values - values.mean()) / deviation if deviation > 0 else values * 0).astype(np.float32)
