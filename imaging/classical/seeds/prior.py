"""What a few seeds say of every voxel: whether a structure is likely to be there, by place and intensity."""

import numpy as np

_BINS = 64
_WIDTH = 0.05  # deviation of a seed's intensity
_WIDE = 0.2, 0.3  # gaps between the intensities of seeds from which on, and at which, they alone tell a structure
_FARTHEST = 4.0  # distances beyond this many spreads of the seeds tell nothing more
_POINTS = 48  # seeds that stand for a label; more would slow the tree down and tell little more
# Logistic regression of these features on voxels of whole scans (hippocampus MR, fetal heads in ultrasound, CT organs)
# with five simulated clicks inside and outside: benchmarks/accuracy/annotate.py --fit.
COEFFICIENTS = (1.69, -0.46, 0.85, 0.54, 0.19, -0.52, -1.41)
INTERCEPT = -1.0


def logits(image: np.ndarray, spacing, markers: np.ndarray, count: int) -> np.ndarray:
    """Logits of each class at each voxel, by the seeds alone.

    Args:
        image: float32 (*spatial).
        spacing: voxel size in mm per axis.
        markers: int (*spatial), class index of the seeds, -1 elsewhere; class 0 is the background.
        count: classes.

    Returns:
        float32 (*spatial, count); that of class 0, and of classes without seeds, is 0.
    """
    scaled = windowed(image, markers)
    out = np.zeros((*image.shape, count), np.float32)
    for k in range(1, count):
        if (markers == k).any():
            inside, outside = markers == k, (markers >= 0) & (markers != k)
            columns = features(scaled, spacing, inside, outside)
            out[..., k] = columns @ np.asarray(COEFFICIENTS, np.float32) + np.float32(INTERCEPT)
            clear, ratio = _clear_cut(scaled, spacing, inside, outside)
            if clear:
                out[..., k] += clear * (ratio - out[..., k])
    return np.clip(out, -8, 8, out=out)


def windowed(image: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """Intensities as 0 to 1 between limits around those at the seeds: the contrast that matters there."""
    values = _around(image, np.argwhere(markers >= 0))
    low, high = (float(value) for value in np.percentile(values, [2, 98]))
    first, last = (float(value) for value in np.percentile(image, [1, 99]))
    margin = (high - low) / 2
    low, high = max(low - margin, first), min(high + margin, last)
    if high <= low:
        low, high = float(image.min()), float(image.max())
    return np.clip((image - low) / max(high - low, float(np.finfo(np.float32).tiny)), 0, 1).astype(np.float32)


def features(image: np.ndarray, spacing, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """What the logits are made of.

    Args:
        image: float32 (*spatial), 0 to 1.
        spacing: voxel size in mm per axis.
        inside: bool (*spatial), the structure's seeds; at least one.
        outside: those of everything else; may be empty.

    Returns:
        float32 (*spatial, 7): how far inside the ellipsoid of the seeds' spread; distance to the tree that joins them
        and to the nearest seed outside, in spreads; how much the structure's intensities explain the voxel better than
        the scan's do, at two smoothings, times how well that tells the seeds apart; and the first two times that.
    """
    from scipy import ndimage

    size = np.asarray(spacing, float)
    places = np.argwhere(inside) * size
    outer = np.argwhere(outside) * size
    covariance, spread = _spread(places, outer, size)
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(image.shape, size, strict=True)), indexing="ij")
    grid = np.stack(axes, -1).reshape(-1, image.ndim)
    offset = grid - places.mean(axis=0)
    radius = np.sqrt(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset))
    columns = [
        np.sqrt(image.ndim + 2) - radius,  # an even ellipsoid reaches that far in deviations
        np.minimum(_distance(grid, _tree(places)) / spread, _FARTHEST),
        np.minimum(_distance(grid, outer) / spread, _FARTHEST - 1) if len(outer) else np.full(len(grid), 1.0),
    ]
    trust = []
    for sigma in (0.5, 1.2):
        smooth = ndimage.gaussian_filter(image, [sigma * size.min() / s for s in size])
        ratio = _likelihood_ratio(smooth, _around(smooth, np.argwhere(inside)))
        trust.append(_told_apart(ratio, inside, outside))
        columns.append(ratio.ravel() * trust[-1])
    columns += [column * max(trust) for column in columns[:2]]
    return np.stack(columns, -1).astype(np.float32).reshape(*image.shape, len(columns))


def _clear_cut(image, spacing, inside, outside):
    """How far apart the intensities at two kinds of seeds lie, 0 to 1, and the logarithm of their likelihood ratio.

    Where there is a wide gap between them, intensity alone tells the structure, whatever its shape.
    """
    from scipy import ndimage

    if not outside.any():
        return 0.0, None
    smooth = ndimage.gaussian_filter(image, [1.2 * min(spacing) / size for size in spacing])
    first, second = (_around(smooth, np.argwhere(mask)) for mask in (inside, outside))
    low, high = np.percentile(first, [5, 95])
    gap = float(np.percentile(np.maximum(np.maximum(low - second, second - high), 0), 5))
    levels = (np.arange(_BINS) + 0.5) / _BINS
    densities = [np.exp(-0.5 * ((levels[:, None] - samples) / _WIDTH) ** 2).mean(axis=1) for samples in (first, second)]
    ratio = np.log(densities[0] + 0.02) - np.log(densities[1] + 0.02)
    per_voxel = ratio[np.minimum((smooth * _BINS).astype(int), _BINS - 1)].astype(np.float32)
    return float(np.clip((gap - _WIDE[0]) / (_WIDE[1] - _WIDE[0]), 0, 1)), per_voxel


def _spread(places, outer, size):
    """Covariance (mm2) of a structure as its seeds show it, drawn towards a ball, and its mean deviation in mm."""
    rank = places.shape[1]
    # One seed or a short line shows no extent; then the nearest seed outside is about two radii away.
    least = size.min() ** 2
    if len(outer):
        least = max(least, (_distance(places, outer).min() / 2) ** 2 / (rank + 2))
    covariance = np.atleast_2d(np.cov(places.T)) if len(places) > 1 else np.zeros((rank, rank))
    mean = max(float(np.trace(covariance)) / rank, least)
    covariance = 0.7 * covariance + 0.3 * mean * np.eye(rank)
    if len(places) <= rank:
        covariance = covariance + 0.2 * mean * np.eye(rank)
    return covariance, float(np.sqrt(mean))


def _distance(points, others):
    from scipy.spatial import cKDTree

    return cKDTree(others).query(points)[0]


def _tree(places):
    """Points along the shortest tree through the seeds."""
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist

    chosen = places[np.linspace(0, len(places) - 1, min(len(places), _POINTS)).round().astype(int)]
    edges = minimum_spanning_tree(cdist(chosen, chosen)).tocoo()
    steps = np.linspace(0, 1, 20)[:, None]
    lines = [chosen[a] + (chosen[b] - chosen[a]) * steps for a, b in zip(edges.row, edges.col, strict=True)]
    return np.concatenate([places, *lines])


def _around(image, places):
    """Intensities of the voxels at most one step from the places."""
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * image.ndim, indexing="ij"), -1).reshape(-1, image.ndim)
    near = np.clip((places[:, None] + steps[None]).reshape(-1, image.ndim), 0, np.array(image.shape) - 1)
    return image[tuple(near.T)]


def _told_apart(ratio, inside, outside) -> float:
    """How well a map tells the surroundings of two kinds of seeds apart: 0 (not at all) to 1, of the area under ROC."""
    if not outside.any():
        return 1.0
    first = _around(ratio, np.argwhere(inside))
    second = np.sort(_around(ratio, np.argwhere(outside)))
    below = np.searchsorted(second, first, "left") + np.searchsorted(second, first, "right")
    return max(0.0, float(below.mean()) / len(second) - 1)


def _likelihood_ratio(image, samples):
    """Logarithm of how much likelier an intensity (0 to 1) is by the samples' normal distribution than in the scan."""
    from scipy.ndimage import gaussian_filter1d

    mean, deviation = float(samples.mean()), max(float(samples.std()), 0.05)
    structure = np.exp(-0.5 * ((image - mean) / deviation) ** 2) / deviation
    counts = np.histogram(image, _BINS, (0, 1), density=True)[0]
    density = gaussian_filter1d(counts, 1.5) * np.sqrt(2 * np.pi)
    scan = density[np.minimum((image * _BINS).astype(int), _BINS - 1)]
    return np.log(structure + 0.02) - np.log(scan + 0.02)
