"""Region growing from seeds, label by label."""

import numpy as np

from imaging.classical.segmentation import Work, grey
from medseg.errors import InputError


def connected(work: Work) -> np.ndarray:
    """Voxels within a tolerance of the seeds' intensities that are connected to a seed.

    Of several labels, a voxel in reach of more than one gets that whose seeds' mean intensity is nearer. Label 0 grows
    too, so that seeds of the background hold the structures back.
    """
    from scipy import ndimage

    image = grey(work.scan)
    low, high = np.percentile(image, [1, 99])
    tolerance = work.parameters["tolerance"] * float(high - low)
    seeds = work.seeds.labels
    best = np.full(image.shape, np.inf, np.float32)
    out = np.zeros(image.shape, np.int32)
    values = _marked(work)
    for done, value in enumerate(values, 1):
        marks = seeds == value
        levels = image[marks]
        near = (image >= levels.min() - tolerance) & (image <= levels.max() + tolerance)
        near &= (seeds < 0) | marks
        numbered, _ = ndimage.label(near)
        reached = np.isin(numbered, np.setdiff1d(np.unique(numbered[marks]), 0))
        distance = np.abs(image - levels.mean())
        wins = reached & (distance < best)
        out[wins], best[wins] = value, distance[wins]
        work.advance(done, len(values))
    return within_box(_keep_seeds(out, seeds), work)


def confidence(work: Work) -> np.ndarray:
    """The confidence-connected region of each label above 0 as ITK has it; seeds of other labels are taken out of it.

    ITK's own filter counts the surroundings of a seed in voxels alike along all axes; so only the connected regions
    are ITK's, and their limits are found here.
    """
    import SimpleITK

    image = grey(work.scan)
    picture = SimpleITK.GetImageFromArray(image.T)
    radius = [round(work.parameters["radius_mm"] / size) for size in work.scan.spacing]
    out = np.zeros(image.shape, np.int32)
    values = [value for value in _marked(work) if value > 0]
    for done, value in enumerate(values, 1):
        places = np.argwhere(work.seeds.labels == value).tolist()
        middle, variance = _around(image, places, radius)
        region = np.zeros(image.shape, bool)
        levels = image[tuple(np.transpose(places))].astype(float)
        for _ in range(work.parameters["iterations"] + 1):
            reach = work.parameters["multiplier"] * np.sqrt(variance)
            limits = min(middle - reach, levels.min()), max(middle + reach, levels.max())
            region = SimpleITK.ConnectedThreshold(picture, places, *limits, 1)
            region = SimpleITK.GetArrayFromImage(region).T.astype(bool)
            inside = image[region].astype(float)
            middle, variance = inside.mean(), inside.var(ddof=1) if inside.size > 1 else 0.0
        out[region & (out == 0)] = value
        work.advance(done, len(values))
    return within_box(_keep_seeds(out, work.seeds.labels), work)


def _around(image, places, radius):
    """Mean of the means and of the variances in boxes around voxels, edge voxels repeated as ITK does."""
    means, variances = [], []
    for place in places:
        indices = [
            np.clip(np.arange(n - r, n + r + 1), 0, length - 1)
            for n, r, length in zip(place, radius, image.shape, strict=True)
        ]
        box = image[np.ix_(*indices)].astype(float)
        means.append(box.mean())
        variances.append(box.var(ddof=1) if box.size > 1 else 0.0)
    return float(np.mean(means)), float(np.mean(variances))


def _marked(work):
    """The values of marks; at least one structure must have a mark that is no box."""
    drawn = np.unique(work.seeds.labels[work.seeds.labels >= 0]).tolist()
    if not any(drawn):
        raise InputError("seeds: no structure is marked; expected at least one point or scribble of a label above 0")
    return drawn


def _keep_seeds(labels, seeds):
    return np.where(seeds >= 0, seeds, labels)


def within_box(labels: np.ndarray, work: Work) -> np.ndarray:
    """Labels (*spatial) with background outside the box of the seeds, where there is one."""
    if work.seeds is None or work.seeds.box is None:
        return labels
    out = np.zeros_like(labels)
    out[work.seeds.box] = labels[work.seeds.box]
    return out
