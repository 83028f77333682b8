"""Random walker with priors: each voxel gets the seed that a walk over the image reaches first."""

import numpy as np

from imaging.classical.grid import coarsened, restored
from imaging.classical.seeds.drawing import Seeds
from imaging.classical.seeds.markers import markers_on
from imaging.classical.seeds.prior import logits, windowed
from imaging.classical.segmentation import Work, grey
from imaging.scan import Scan

_SMALLEST_WEIGHT = 1e-4  # of an edge, so that no part of the scan is cut off
_TOLERANCE = 1e-3
_LEAST_NOISE = 1e-4  # a step of a hundredth of the window is never an edge
_STEPS = 200
_SMOOTH = 0.6  # voxels of a Gaussian, so that the noise of single voxels is no edge


def random_walker(work: Work) -> np.ndarray:
    """The label of the largest probability, box and seeds kept."""
    settings = work.parameters
    walked = probabilities(work.scan, work.seeds, settings["beta"], settings["prior"], settings["max_voxels"])
    work.advance(1, 2)
    labels = classes_of(*walked, work.scan, work.seeds)
    work.advance(2, 2)
    return labels


def probabilities(
    scan: Scan, seeds: Seeds, beta: float, prior: float, max_voxels: int
) -> tuple[np.ndarray, Scan, tuple[int, ...]]:
    """Probability of each label on the working grid.

    Args:
        scan: float32 (*spatial, C).
        seeds: on its grid.
        beta: how strongly edges hold the walk, by squared intensity differences over their median.
        prior: weight of the prior against that of an edge of an even image; 0 leaves the seeds alone.
        max_voxels: of the working grid.

    Returns:
        float32 (*coarse.shape, K), the working grid, and the label of each class, ascending.
    """
    coarse = coarsened(scan, max_voxels)
    markers, values = markers_on(coarse, scan, seeds)
    image = grey(coarse)
    scores = logits(image, coarse.spacing, markers, len(values))
    return walk(windowed(image, markers), coarse.spacing, markers, softmax(scores), beta, prior), coarse, values


def walk(image: np.ndarray, spacing, markers: np.ndarray, prior: np.ndarray, beta: float, weight: float) -> np.ndarray:
    """Solve the walker's linear systems, one a class.

    Args:
        image: float32 (*spatial), 0 to 1.
        spacing: voxel size in mm per axis.
        markers: int (*spatial), class index or -1.
        prior: (*spatial, K) probabilities.
        beta: see ``probabilities``.
        weight: of the prior.

    Returns:
        float32 (*spatial, K); sums to 1.
    """
    from scipy import sparse
    from scipy.sparse.linalg import cg

    edges = _edges(image, spacing, beta)
    flat, count = markers.ravel(), prior.shape[-1]
    free = flat < 0
    system = (sparse.diags(np.asarray(edges.sum(axis=1)).ravel() + weight) - edges).tocsr()
    inner = system[free]
    square, coupling = inner[:, free], inner[:, ~free]
    inverse = sparse.diags(1 / square.diagonal())
    walked = np.empty((len(flat), count), np.float32)
    known = (flat[~free, None] == np.arange(count)).astype(float)
    starts = prior.reshape(-1, count)[free].astype(float)
    for k in range(count - 1):  # the last is what remains
        right_side = weight * starts[:, k] - coupling @ known[:, k]
        walked[free, k] = cg(square, right_side, x0=starts[:, k], rtol=_TOLERANCE, maxiter=_STEPS, M=inverse)[0]
    walked[~free] = known
    walked[free, count - 1] = 1 - walked[free, : count - 1].sum(axis=-1)
    return np.clip(walked, 0, 1).reshape(prior.shape)


def classes_of(walked: np.ndarray, coarse: Scan, values, scan: Scan, seeds: Seeds) -> np.ndarray:
    """Label values (*scan.shape) of probabilities; parts of a label that no seed or box lies in are background."""
    from scipy import ndimage

    labels = np.asarray(values, np.int32)[restored(walked, coarse, scan)]
    labels = np.where(seeds.labels >= 0, seeds.labels, labels)
    if seeds.box is not None:
        outside = np.ones(labels.shape, bool)
        outside[seeds.box] = False
        labels[outside] = 0
    for value in values:
        marked = seeds.labels == value
        if value == 0 or not marked.any() or value == seeds.box_label:
            continue
        numbered, _ = ndimage.label(labels == value)
        seeded = np.setdiff1d(np.unique(numbered[marked]), 0)
        labels[(numbered > 0) & ~np.isin(numbered, seeded)] = 0
    return labels


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of logits (*, K)."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _edges(image, spacing, beta):
    """Symmetric weights between neighbours, 1 between equal ones; less across thick slices."""
    from scipy import sparse
    from scipy.ndimage import gaussian_filter

    numbers = np.arange(image.size).reshape(image.shape)
    image = gaussian_filter(image.astype(float), [_SMOOTH * min(spacing) / size for size in spacing])
    # The median of the differences is noise, not edges, so that one beta fits noisy and clean scans.
    medians = [np.median(np.diff(image, axis=axis) ** 2) for axis in range(image.ndim) if image.shape[axis] > 1]
    noise = max(float(np.mean(medians)), _LEAST_NOISE)
    first, second, weights = [], [], []
    for axis, size in enumerate(spacing):
        before = (slice(None),) * axis + (slice(None, -1),)
        after = (slice(None),) * axis + (slice(1, None),)
        difference = np.diff(image, axis=axis).ravel()
        weight = np.exp(-beta * difference**2 / noise) + _SMALLEST_WEIGHT
        first.append(numbers[before].ravel())
        second.append(numbers[after].ravel())
        weights.append(weight * (min(spacing) / size) ** 2)
    first, second, weights = map(np.concatenate, (first, second, weights))
    rows, columns = np.r_[first, second], np.r_[second, first]
    return sparse.coo_matrix((np.r_[weights, weights], (rows, columns)), (image.size, image.size)).tocsr()
