"""Marker-controlled watershed of the gradient, in mm."""

import numpy as np

from imaging.classical.grid import coarsened, one_hot, restored
from imaging.classical.growing import within_box
from imaging.classical.seeds.markers import markers_on
from imaging.classical.segmentation import Work, grey
from imaging.classical.thresholds import histogram
from medseg.errors import InputError


def watershed(work: Work) -> np.ndarray:
    """Flood the gradient from the seeds, or from the cores of both sides of Otsu's threshold."""
    from skimage.segmentation import watershed as flood

    coarse = coarsened(work.scan, work.parameters["max_voxels"])
    image = grey(coarse)
    if work.seeds is None:
        markers, values = _cores(image, coarse.spacing, work.parameters["side"])
    else:
        markers, values = markers_on(coarse, work.scan, work.seeds)
    work.advance(1, 3)
    slope = gradient(image, coarse.spacing, work.parameters["gradient_mm"])
    classes = flood(slope, markers + 1) - 1
    work.advance(2, 3)
    labels = np.asarray(values)[restored(one_hot(classes, len(values)), coarse, work.scan)]
    work.advance(3, 3)
    if work.seeds is None:
        return labels
    return within_box(np.where(work.seeds.labels >= 0, work.seeds.labels, labels), work)


def gradient(image: np.ndarray, spacing, sigma_mm: float) -> np.ndarray:
    """Gradient magnitude per mm at a scale in mm, float32 (*spatial)."""
    from scipy.ndimage import correlate1d, gaussian_filter

    # Differences of the smoothed image: a Gaussian derivative much narrower than a voxel would be zero.
    smooth = gaussian_filter(image.astype(np.float32), [sigma_mm / size for size in spacing])
    total = np.zeros(image.shape, np.float32)
    for axis, size in enumerate(spacing):
        total += (correlate1d(smooth, (-0.5, 0.0, 0.5), axis, mode="nearest") / size) ** 2
    return np.sqrt(total, out=total)


def _cores(image, spacing, side):
    """Markers, -1 where there is none: voxels of each side of Otsu's threshold that lie deepest in it."""
    from scipy.ndimage import distance_transform_edt
    from skimage.filters import threshold_otsu

    above = image > threshold_otsu(hist=histogram(image))
    markers = np.full(image.shape, -1, np.int32)
    if side == "smaller":
        side = "bright" if 2 * np.count_nonzero(above) <= above.size else "dark"
    for mask, value in ((above, int(side == "bright")), (~above, int(side == "dark"))):
        depth = distance_transform_edt(mask, spacing)
        markers[depth > min(2 * min(spacing), 0.5 * float(depth.max()))] = value
    if len(np.unique(markers)) < 3:
        raise InputError("method watershed: no even places on both sides of the threshold; give seeds")
    return markers, (0, 1)
