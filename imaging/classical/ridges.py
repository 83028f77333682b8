"""Thin lines and tubes: the largest ridge over several widths (Lindeberg 1998), in mm."""

import numpy as np

from imaging.scan import Scan

_FLAT = 0.02  # of the range of intensities; what lies below it at the scan's border is no field of view
_DIRECTIONS = 12
_NARROWEST = 0.7  # voxels
_HALO = 4  # sigmas that a derivative reaches
_SLAB_VOXELS = 2**23


def lines(scan: Scan, parameters: dict, advance) -> np.ndarray:
    """Voxels on lines: hysteresis at two percentiles of the ridge strength inside the field of view.

    Args:
        scan: float32 (*spatial, 1).
        parameters: of the method "ridges".
        advance: called with steps done and all steps.

    Returns:
        uint8 (*spatial).
    """
    from skimage.filters import apply_hysteresis_threshold

    image = scan.voxels[..., 0]
    view = field_of_view(image)
    largest = parameters["largest_mm"]
    contrast = local_contrast(image, view, scan.spacing, 5 * largest, 10 * largest)
    if parameters["side"] == "dark":
        contrast = -contrast
    sigmas = np.geomspace(parameters["smallest_mm"], largest, 4)
    strength = np.zeros_like(contrast)
    length = parameters["length_mm"]
    for done, sigma in enumerate(sigmas, 1):
        if length and scan.rank == 2:
            ridge = line_strength(contrast, scan.spacing, float(sigma), length)
        else:
            ridge = ridge_strength(contrast, scan.spacing, float(sigma))
        np.maximum(strength, ridge, out=strength)
        advance(done, len(sigmas))
    strength[~eroded(view, scan.spacing, largest)] = 0
    share = parameters["share"]
    inside = strength[view]
    low, high = np.percentile(inside, [100 - share, 100 - 0.5 * share])
    if high <= 0:
        return np.zeros(image.shape, np.uint8)
    return apply_hysteresis_threshold(strength, max(low, np.finfo(np.float32).tiny), high).astype(np.uint8)


def field_of_view(image: np.ndarray) -> np.ndarray:
    """Bool (*spatial): all but the flat dark surroundings of a round field of view, which touch the scan's border."""
    from scipy import ndimage

    low, high = np.percentile(image, [0.1, 99.9])
    dark = ndimage.uniform_filter(image, 3) <= low + _FLAT * (high - low)
    numbered, _ = ndimage.label(dark)
    edge = np.zeros(image.shape, bool)
    for axis in range(image.ndim):
        edge[(slice(None),) * axis + ([0, -1],)] = True
    return ~np.isin(numbered, np.setdiff1d(np.unique(numbered[edge]), 0))


def eroded(view: np.ndarray, spacing, margin_mm: float) -> np.ndarray:
    """A bool mask without its voxels nearer than a margin to what lies outside; the scan's border is no such thing."""
    from scipy.ndimage import distance_transform_edt

    return view if view.all() else distance_transform_edt(view, spacing) > margin_mm


def local_contrast(image: np.ndarray, view: np.ndarray, spacing, background_mm: float, noise_mm: float) -> np.ndarray:
    """Intensity minus the local mean, over the local deviation, of the field of view alone; float32, 0 outside."""
    weight = view.astype(np.float32)

    def mean(values, sigma_mm):
        return _smooth(values * weight, spacing, sigma_mm) / np.maximum(_smooth(weight, spacing, sigma_mm), 1e-6)

    contrast = (image - mean(image, background_mm)) * weight
    deviation = np.sqrt(mean(contrast**2, noise_mm))
    return contrast / np.maximum(deviation, np.finfo(np.float32).tiny) * weight


def _smooth(values, spacing, sigma_mm):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values.astype(np.float32, copy=False), [sigma_mm / size for size in spacing], truncate=3)


def ridge_strength(image: np.ndarray, spacing, sigma_mm: float) -> np.ndarray:
    """How much a bright line runs through each voxel at a width: the curvature across it, times sigma squared.

    In 3D the second largest curvature, so that plates count less than tubes. float32 (*spatial), at least 0.
    """
    halo = int(np.ceil(_HALO * max(sigma_mm / spacing[0], _NARROWEST))) + 1
    thick = max(1, _SLAB_VOXELS // max(1, image[0].size))
    if thick >= len(image):
        return _ridge(image, spacing, sigma_mm)
    out = np.empty_like(image)
    for start in range(0, len(image), thick):
        first, stop = max(0, start - halo), min(len(image), start + thick)
        slab = _ridge(image[first : min(len(image), stop + halo)], spacing, sigma_mm)
        out[start:stop] = slab[start - first : stop - first]
    return out


def _ridge(image, spacing, sigma_mm):
    from scipy.ndimage import gaussian_filter

    rank = image.ndim
    # Across thick slices at least so wide that the sampled second derivative is one.
    sigma = [max(sigma_mm / size, _NARROWEST) for size in spacing]

    def derivative(i, j):
        order = [int(axis == i) + int(axis == j) for axis in range(rank)]
        curved = gaussian_filter(image, sigma, order=order, truncate=_HALO)
        return curved * np.float32(sigma_mm**2 / (spacing[i] * spacing[j]))

    if rank == 2:
        first, second = derivative(0, 0), derivative(1, 1)
        mean, half = (first + second) / 2, (first - second) / 2
        return np.maximum(np.sqrt(half**2 + derivative(0, 1) ** 2) - mean, 0)
    hessian = np.empty((*image.shape, rank, rank), np.float32)
    for i in range(rank):
        for j in range(i, rank):
            hessian[..., i, j] = hessian[..., j, i] = derivative(i, j)
    curvature = -np.linalg.eigvalsh(hessian)[..., :2]  # largest first; a tube curves in two directions
    return np.sqrt(np.prod(np.maximum(curvature, 0), axis=-1))


def line_strength(image: np.ndarray, spacing, sigma_mm: float, length_mm: float) -> np.ndarray:
    """The largest response of line filters in twelve directions: curvature across, averaged along a length.

    What runs straight for a while stands out of noise that bends anywhere (Nguyen et al., PRL 2013).
    float32 (rows, columns), at least 0.
    """
    import cv2

    along = length_mm / 2
    reach = [int(np.ceil(max(_HALO * sigma_mm, 3 * along) / size)) for size in spacing]
    grid = np.meshgrid(*(np.arange(-n, n + 1) * size for n, size in zip(reach, spacing, strict=True)), indexing="ij")
    best = np.zeros_like(image)
    for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        u = grid[0] * np.cos(angle) + grid[1] * np.sin(angle)
        v = grid[1] * np.cos(angle) - grid[0] * np.sin(angle)
        weight = np.exp(-0.5 * ((u / along) ** 2 + (v / sigma_mm) ** 2))
        kernel = weight * (1 - (v / sigma_mm) ** 2) / weight.sum()
        kernel -= weight * (kernel.sum() / weight.sum())
        np.maximum(best, cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), out=best)
    return best
