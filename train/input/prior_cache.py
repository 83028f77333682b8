"""What the first network of a cascade finds in each case, beside the preprocessed cases of the second on disk."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import find_objects

from imaging.measure.components import label_components
from imaging.scan import grid_of
from medseg.atomic import temporary_folder
from medseg.errors import InputError, naming
from medseg.progress import track
from train.input.cache import CachedCase, cache_folder, case_key, unusable
from train.input.cache_store import hold, open_store, tidy
from train.planning.plan import Plan

LARGEST = 2**16 - 1  # of a number in ``prior.npy``


def with_priors(
    cases: Sequence,
    cached: Sequence[CachedCase],
    segment: Callable,
    key: str,
    plan: Plan,
    folder=None,
    progress: bool = False,
) -> tuple[CachedCase, ...]:
    """The preprocessed cases of a cascade's second network with what its first one finds in them.

    What an interrupted call has made is used again.

    Args:
        cases: the dataset's.
        cached: the same, preprocessed by the plan's recipe.
        segment: from a scan as read to class indices (*scan.shape), by the first network.
        key: that names this network and how it prepares and tiles a scan.
        plan: of the cascade.
        folder: the cache, ``cache_folder()`` by default.
        progress: show a bar.

    Raises:
        InputError: if a case cannot be read, or the cache cannot be written.
    """
    root = Path(folder) if folder is not None else cache_folder()
    with_prior = []
    try:
        for case, prepared in track(list(zip(cases, cached, strict=True)), "first network", show=progress):
            place = root / _key(case, plan, key)
            if not place.is_dir():
                _make(case, plan, segment, prepared.shape, place)
            os.utime(place)  # used now, so the last to be removed
            with_prior.append(replace(prepared, prior=place))
        if with_prior:
            hold(root, {each.prior.name for each in with_prior})
    except OSError as error:
        raise unusable(root, error) from None
    if with_prior:
        tidy(root)
    return tuple(with_prior)


def numbered(classes: np.ndarray, count: int) -> np.ndarray:
    """Class indices with the number of the connected part that a voxel is in, so that parts can be left out.

    Args:
        classes: class indices (*spatial).
        count: of the classes, the background included.

    Returns:
        uint16 (*spatial): class + count × part, parts of a class numbered from 0 by size; the smallest share a number
        where there are too many.
    """
    result = np.zeros(classes.shape, np.uint16)
    last = (LARGEST + 1) // count - 1
    for index, box in enumerate(find_objects(classes, count - 1), 1):
        if box is None:
            continue
        parts, sizes = label_components(classes[box] == index)
        rank = np.zeros(len(sizes), np.int64)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))  # that of 0, no part, is the last
        number_of = (index + count * np.minimum(rank, last)).astype(np.uint16)
        for numbers, part in zip(result[box], parts, strict=True):  # slice by slice: a class may fill a large scan
            np.copyto(numbers, number_of[part], where=part > 0)
    return result


def _key(case, plan, key):
    own = case_key(case, plan.recipe, plan.labels, plan.ignore)
    return hashlib.sha256(f"prior of {own} by {key}".encode()).hexdigest()[:32]


def _make(case, plan, segment, shape, place):
    classes = _found(case, plan, segment)
    if classes.shape != tuple(shape):
        raise InputError(f"{case.images[0]}: shape {classes.shape} after the recipe, {shape} in the cache; clear it")
    open_store(place.parent)
    try:
        with temporary_folder(place) as temporary:
            np.save(temporary / "prior.npy", numbered(classes, len(plan.labels)))
            os.replace(temporary, place)
    except OSError:
        if not place.is_dir():  # else another process was faster, and made the same
            raise


def _found(case, plan, segment):
    """Class indices that the first network finds, on the second one's grid; no scan is held any more."""
    import imaging
    from imaging.prior import prior_of

    scan = imaging.read(list(case.images), plan.recipe.channels, plan.recipe.nan)
    with naming(case.images[0]):
        prepared = grid_of(imaging.prepare(scan, plan.recipe))
        return prior_of(segment(scan), scan, prepared, plan.recipe).classes
