"""Graph cut through superpixels by SciPy's maximum flow, and OpenCV's GrabCut for pictures."""

import numpy as np

from imaging.classical.clustering import means_of, superpixels
from imaging.classical.grid import coarsened, one_hot, restored
from imaging.classical.growing import within_box
from imaging.classical.seeds.markers import coarse_box, markers_on
from imaging.classical.seeds.prior import logits, windowed
from imaging.classical.segmentation import Work, grey
from medseg.errors import InputError

_CAPACITY = 1000  # of a cost of 1: capacities are integers
_SEED_CAPACITY = 10**8  # of an edge to a seed: more than any cut costs, and their sum fits in 32 bits


def graph_cut(work: Work) -> np.ndarray:
    """The cheapest cut around each structure; where several claim a superpixel, the likeliest has it."""
    settings = work.parameters
    coarse = coarsened(work.scan, settings["max_voxels"])
    markers, values = markers_on(coarse, work.scan, work.seeds)
    image = grey(coarse)
    scaled = windowed(image, markers)
    regions = _split_by_seeds(
        superpixels(image, coarse.spacing, max(2, image.size // settings["region_voxels"]), 0.1), markers
    )
    work.advance(1, 3)
    unary = _region_logits(logits(image, coarse.spacing, markers, len(values)), regions)
    seeds = np.full(int(regions.max()) + 1, -1)
    seeds[regions[markers >= 0]] = markers[markers >= 0]
    pairs, weights = _boundaries(scaled, regions, settings["smoothness"])
    best, classes = np.zeros(len(seeds)), np.zeros(len(seeds), np.int32)
    for k in range(1, len(values)):
        chosen = cut(settings["prior"] * unary[:, k], seeds == k, (seeds >= 0) & (seeds != k), pairs, weights)
        wins = chosen & ((classes == 0) | (unary[:, k] > best))
        classes[wins], best[wins] = k, unary[wins, k]
    work.advance(2, 3)
    labels = np.asarray(values, np.int32)[restored(one_hot(classes[regions], len(values)), coarse, work.scan)]
    work.advance(3, 3)
    return within_box(np.where(work.seeds.labels >= 0, work.seeds.labels, labels), work)


def cut(
    logit: np.ndarray, inside: np.ndarray, outside: np.ndarray, pairs: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The minimal cut of a graph.

    Args:
        logit: (N,) of each node, positive where it is likely to be inside.
        inside: bool (N,), nodes that must be inside.
        outside: bool (N,), nodes that must not be.
        pairs: (E, 2) node numbers of the edges.
        weights: (E,) what it costs to part them.

    Returns:
        bool (N,): inside.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    nodes = len(logit)
    source, sink = nodes, nodes + 1
    units = np.rint(np.abs(logit) * _CAPACITY).astype(np.int64)
    to_source = np.where(inside, _SEED_CAPACITY, np.where(~outside & (logit > 0), units, 0))
    to_sink = np.where(outside, _SEED_CAPACITY, np.where(~inside & (logit <= 0), units, 0))
    every = np.arange(nodes)
    costs = np.rint(weights * _CAPACITY).astype(np.int64)
    rows = np.concatenate([np.full(nodes, source), every, pairs[:, 0], pairs[:, 1]])
    columns = np.concatenate([every, np.full(nodes, sink), pairs[:, 1], pairs[:, 0]])
    capacity = np.concatenate([to_source, to_sink, costs, costs])
    used = capacity > 0
    shape = (nodes + 2, nodes + 2)
    graph = sparse.csr_matrix((capacity[used].astype(np.int32), (rows[used], columns[used])), shape)
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = np.zeros(nodes + 2, bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return reached[:nodes]


def _split_by_seeds(regions, markers):
    """Superpixels numbered from 0; one that holds seeds of several classes is split between them."""
    key = regions.astype(np.int64) * (int(markers.max()) + 2)
    count = int(regions.max()) + 1
    low, high = np.full(count, 2**30), np.full(count, -1)  # smallest and largest class of the seeds in each
    marked = markers >= 0
    np.minimum.at(low, regions[marked], markers[marked])
    np.maximum.at(high, regions[marked], markers[marked])
    mixed = low < high
    key += np.where(mixed[regions], markers + 1, 0)
    return np.unique(key, return_inverse=True)[1].reshape(regions.shape)


def _region_logits(scores, regions):
    return np.stack([means_of(scores[..., k], regions) for k in range(scores.shape[-1])], -1)


def _boundaries(image, regions, smoothness):
    """Pairs of touching superpixels, and what parting them costs: their common faces times how alike they are."""
    means = means_of(image, regions)
    pairs = []
    for axis in range(image.ndim):
        first = np.take(regions, range(regions.shape[axis] - 1), axis).ravel()
        second = np.take(regions, range(1, regions.shape[axis]), axis).ravel()
        differs = first != second
        pairs.append(np.sort(np.stack([first[differs], second[differs]], -1), axis=1))
    pairs, faces = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
    difference = (means[pairs[:, 0]] - means[pairs[:, 1]]) ** 2
    scale = max(float(difference.mean()), 1e-9)
    likeness = np.exp(-difference / (2 * scale))
    # Faces in units of a mean boundary, so that the weight does not depend on the size of superpixels.
    return pairs, smoothness * likeness * faces / max(float(faces.mean()), 1.0) / image.ndim


def grabcut(work: Work) -> np.ndarray:
    """OpenCV's GrabCut of one structure."""
    import cv2

    settings = work.parameters
    coarse = coarsened(work.scan, settings["max_voxels"])
    markers, values = markers_on(coarse, work.scan, work.seeds, minimum=1)
    structures = [k for k, value in enumerate(values) if value > 0]
    if len(structures) != 1 or len(values) < 2:
        raise InputError(
            f"seeds of labels {', '.join(map(str, values))}: GrabCut parts one structure from the background; "
            "expected a box, or seeds of 0 and of one label above 0"
        )
    mask = np.full(coarse.shape, cv2.GC_PR_BGD, np.uint8)
    if work.seeds.box is not None:
        mask[coarse_box(coarse, work.scan, work.seeds.box)] = cv2.GC_PR_FGD
    else:
        mask[logits(grey(coarse), coarse.spacing, markers, len(values))[..., structures[0]] > 0] = cv2.GC_PR_FGD
    mask[markers == 0] = cv2.GC_BGD
    mask[markers == structures[0]] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its mixtures start at random
    cv2.grabCut(
        _picture(coarse),
        mask,
        None,
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        settings["iterations"],
        cv2.GC_INIT_WITH_MASK,
    )
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    labels = restored(one_hot(inside, 2), coarse, work.scan).astype(np.int32) * values[structures[0]]
    work.advance(1, 1)
    return within_box(np.where(work.seeds.labels >= 0, work.seeds.labels, labels), work)


def _picture(scan):
    """uint8 (rows, columns, 3), percentiles 1 and 99 of the scan as 0 and 255."""
    low, high = np.percentile(scan.voxels, [1, 99])
    scaled = np.clip((scan.voxels - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1)
    pixels = np.rint(scaled * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1))
