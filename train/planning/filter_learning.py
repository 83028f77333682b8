"""What the filters of a recipe learn, and where they put the scans: from the training cases, never from others."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import imaging
from imaging.filters.registry import get
from imaging.filters.steps import learn_steps, without_learnt
from imaging.recipe import Recipe, filtered
from medseg.errors import naming
from medseg.progress import track

MEASURED = 20  # cases whose size after the filters is measured


def learn_filters(recipe: Recipe, cases: Sequence, progress: bool = False) -> Recipe:
    """The recipe with what its filters learn from cases: landmarks, quantiles, the reference of a registration.

    Args:
        recipe: its steps may lack what they learn; what they learnt before from a reference file is kept.
        cases: the training cases, ``train.data.dataset.Case`` records.
        progress: show a bar.

    Raises:
        InputError: if a case cannot be read, or does not give what a step needs.
    """
    if not any(get(step.name).learns for step in recipe.filters):
        return recipe

    def scans(steps):
        for case in track(cases, "learn filters", show=progress):
            yield _after(recipe, steps, case)

    return replace(recipe, filters=learn_steps(recipe.filters, scans))


def forgotten(recipe: Recipe) -> Recipe:
    """The recipe as it was asked for, without what its filters learnt: the same for every fold."""
    return replace(recipe, filters=without_learnt(recipe.filters))


def moved_sizes(recipe: Recipe, cases: Sequence) -> dict | None:
    """Sizes after filters that move the grid, measured on some of the cases.

    Args:
        recipe: complete.
        cases: the training cases.

    Returns:
        ``extent_mm`` and ``shape``, medians per axis, or None where no filter moves the grid.
    """
    if not any(get(step.name).moves for step in recipe.filters):
        return None
    chosen = cases[:: max(1, len(cases) // MEASURED)][:MEASURED]
    scans = [_after(recipe, recipe.filters, case) for case in chosen]
    shapes = np.array([scan.shape for scan in scans], float)
    extents = shapes * np.array([scan.spacing for scan in scans])
    return {"extent_mm": np.median(extents, axis=0).tolist(), "shape": np.median(shapes, axis=0).tolist()}


def _after(recipe, steps, case):
    scan = imaging.read(list(case.images), recipe.channels, recipe.nan)
    with naming(case.images[0]):
        return filtered(scan, replace(recipe, filters=tuple(steps)))[0]
