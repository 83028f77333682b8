"""Clusters of intensity, and superpixels."""

import numpy as np

from imaging.classical.grid import coarsened
from imaging.classical.segmentation import Work, grey
from imaging.classical.thresholds import histogram, kept
from imaging.geometry.affine import index_map
from medseg.errors import InputError

_SAMPLES = 200_000  # voxels that a model of intensities is fitted to; the others are only classified
_SLAB_VOXELS = 2**21


def k_means(work: Work) -> np.ndarray:
    """Clusters by k-means."""
    from sklearn.cluster import KMeans

    settings = work.parameters
    model = KMeans(settings["classes"], n_init=3, random_state=settings["seed"])
    return _clusters(work, model, lambda fitted: fitted.cluster_centers_)


def gaussian_mixture(work: Work) -> np.ndarray:
    """Classes by a mixture of normal distributions."""
    from sklearn.mixture import GaussianMixture

    settings = work.parameters
    model = GaussianMixture(settings["classes"], random_state=settings["seed"], reg_covar=1e-6)
    return _clusters(work, model, lambda fitted: fitted.means_)


def _clusters(work, model, centres_of):
    """Fit a model to a sample of voxels, classify all, and number the classes by rising mean."""
    settings, voxels = work.parameters, work.scan.voxels
    rows = voxels.reshape(-1, voxels.shape[-1])
    random = np.random.default_rng(settings["seed"])
    sample = rows if len(rows) <= _SAMPLES else rows[np.sort(random.choice(len(rows), _SAMPLES, replace=False))]
    middle, scale = sample.mean(axis=0, dtype=float), float(sample.std(dtype=float)) or 1.0
    sample = ((sample - middle) / scale).astype(np.float64)
    distinct = len(np.unique(sample, axis=0))
    if distinct < settings["classes"]:
        raise InputError(
            f"the scan has {distinct} distinct intensities, expected at least {settings['classes']}; ask for fewer "
            "classes"
        )
    model.fit(sample)
    rank = np.empty(settings["classes"], np.uint8)
    rank[np.argsort(centres_of(model).mean(axis=-1), kind="stable")] = np.arange(settings["classes"])
    out = np.empty(len(rows), np.uint8)
    for start in range(0, len(rows), _SLAB_VOXELS):
        part = slice(start, start + _SLAB_VOXELS)
        out[part] = rank[model.predict((rows[part] - middle) / scale)]
        work.advance(min(len(rows), start + _SLAB_VOXELS), len(rows))
    return kept(out.reshape(work.scan.shape), settings["classes"], settings["keep"], "clusters")


def slic(work: Work) -> np.ndarray:
    """Superpixels by SLIC."""
    coarse = coarsened(work.scan, work.parameters["max_voxels"])
    size = work.parameters["size_mm"]
    count = float(np.prod(np.asarray(coarse.shape) * coarse.spacing)) / size**coarse.rank
    numbers = superpixels(grey(coarse), coarse.spacing, max(1, round(count)), work.parameters["compactness"])
    work.advance(1, 2)
    merge = work.parameters["merge"]
    if merge != "none":
        numbers = _merged(grey(coarse), numbers, merge)
    labels = numbers if coarse is work.scan else _nearest(numbers, coarse, work.scan)
    work.advance(2, 2)
    return labels


def superpixels(image: np.ndarray, spacing, count: int, compactness: float) -> np.ndarray:
    """SLIC superpixels of an image scaled to its percentiles 1 and 99, numbered from 1.

    Args:
        image: float32 (*spatial).
        spacing: voxel size in mm per axis.
        count: about how many.
        compactness: evenness of shape against intensity.

    Returns:
        int (*spatial).
    """
    from skimage.segmentation import slic as superpixels_of

    low, high = np.percentile(image, [1, 99])
    scaled = np.clip((image - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1).astype(np.float32)
    relative = np.asarray(spacing) / min(spacing)
    return superpixels_of(
        scaled,
        n_segments=count,
        compactness=compactness,
        channel_axis=None,
        spacing=relative,
        start_label=1,
        max_num_iter=5,
    )


def means_of(image: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Mean intensity of each superpixel, (N + 1,) by number; 0 where there is none of a number."""
    counts = np.bincount(numbers.ravel())
    return np.bincount(numbers.ravel(), image.ravel()) / np.maximum(counts, 1)


def _merged(image, numbers, side):
    from skimage.filters import threshold_otsu

    means = means_of(image, numbers)
    painted = means[numbers].astype(np.float32)
    if painted.min() == painted.max():
        raise InputError("method slic: all superpixels have one mean; ask for a smaller size_mm")
    above = painted > threshold_otsu(hist=histogram(painted))
    return (above if side == "bright" else ~above).astype(np.int32)


def _nearest(numbers, coarse, scan):
    """Values of the nearest coarse voxel: hundreds of superpixels would be too many classes to interpolate."""
    from scipy.ndimage import affine_transform

    matrix, offset = index_map(coarse.affine, scan.affine, scan.rank)
    return affine_transform(
        numbers.astype(np.int32), np.diag(matrix).copy(), offset, scan.shape, order=0, mode="nearest"
    )
