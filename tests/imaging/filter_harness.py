"""One harness for all filters: each called as the wrapped library is, in millimetres, on 2D and 3D scans."""

import numpy as np
import SimpleITK
from scipy import ndimage
from skimage import exposure, restoration

from imaging import Scan

RNG_SEED = 7


def scan_of(spacing, extent=30.0, noise=3.0, channels=1):
    """A bright ball of Gaussian profile on 20, a little noisy, of the given voxel size in mm."""
    rng = np.random.default_rng(RNG_SEED)
    shape = tuple(max(8, round(extent / size)) for size in spacing)
    places = [(np.arange(n) - (n - 1) / 2) * size for n, size in zip(shape, spacing, strict=True)]
    squares = sum(np.square(axis) for axis in np.meshgrid(*places, indexing="ij"))
    ball = 20 + 100 * np.exp(-squares / (2 * 6**2))
    voxels = ball[..., None] + rng.normal(0, 1, (*shape, channels)) * noise
    affine = np.diag([*spacing, *[1.0] * (4 - len(spacing))])
    return Scan(np.maximum(voxels, 1).astype(np.float32), affine)


def itk(channel, spacing):
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(channel.T))
    image.SetSpacing([float(size) for size in spacing])
    return image


def back(image):
    return SimpleITK.GetArrayFromImage(image).T


def footprint(spacing, radius):
    reach = [int(radius / size + 1e-6) for size in spacing]
    axes = np.meshgrid(*(np.arange(-n, n + 1) * size for n, size in zip(reach, spacing, strict=True)), indexing="ij")
    return sum(a * a for a in axes) <= radius**2 * (1 + 1e-5)


def unit(channel):
    return (channel - channel.min()) / (channel.max() - channel.min())


def ranged(values, channel):
    return values * (channel.max() - channel.min()) + channel.min()


def _n4(channel, spacing):
    corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([3, 3])
    corrector.SetNumberOfControlPoints([4] * channel.ndim)
    shrink = [max(1, round(4 / size)) for size in spacing]
    shrink = [max(1, min(s, n // 16)) for s, n in zip(shrink, channel.shape, strict=True)]
    image, mask = itk(channel, spacing), itk((channel > 0).astype(np.uint8), spacing)
    corrector.Execute(SimpleITK.Shrink(image, shrink), SimpleITK.Shrink(mask, shrink))
    return channel / np.exp(back(corrector.GetLogBiasFieldAsImage(image)))


def _frangi(channel, spacing):
    best = 0
    low, high = float(channel.min()), float(channel.max())
    scaled = (channel - np.float32(low)) * np.float32(255 / (high - low))
    for sigma in (2.0, 3.0):
        smooth = SimpleITK.SmoothingRecursiveGaussian(itk(scaled, spacing), sigma) * sigma**2
        measure = SimpleITK.ObjectnessMeasure(
            smooth, alpha=0.5, beta=0.5, gamma=15.0, scaleObjectnessMeasure=False, objectDimension=1, brightObject=True
        )
        best = np.maximum(best, back(measure))
    return best


# Filter to parameters and the library called directly, for a channel (*spatial) of isotropic or other voxels.
DIRECT = {
    "gaussian": ({"sigma_mm": 2.0}, lambda c, s: ndimage.gaussian_filter(c, [2 / size for size in s], mode="nearest")),
    "median": (
        {"radius_mm": 2.0},
        lambda c, s: ndimage.median_filter(c, footprint=footprint(s, 2), mode="nearest"),
    ),
    "bilateral": (
        {"sigma_mm": 1.5, "range": 0.2},
        lambda c, s: back(SimpleITK.Bilateral(itk(c, s), 1.5, 0.2 * float(np.ptp(np.percentile(c, (1, 99)))))),
    ),
    "tv": (
        {"weight": 0.1, "iterations": 20},
        lambda c, s: ranged(restoration.denoise_tv_chambolle(unit(c), 0.1, max_num_iter=20), c),
    ),
    "equalise": ({"bins": 64}, lambda c, s: ranged(exposure.equalize_hist(c, 64), c)),
    "clahe": (
        {"clip": 3.0, "tile_mm": 10.0, "bins": 64},
        lambda c, s: ranged(exposure.equalize_adapthist(unit(c), [round(10 / size) for size in s], 3 / 64, 64), c),
    ),
    "stretch": (
        {"low": 2.0, "high": 98.0},
        lambda c, s: exposure.rescale_intensity(c, tuple(np.percentile(c, (2, 98))), (0.0, 1.0)),
    ),
    "gamma": ({"gamma": 2.0}, lambda c, s: ranged(exposure.adjust_gamma(unit(c), 2.0), c)),
    "window": ({"centre": 50.0, "width": 40.0}, lambda c, s: np.clip(c, 30, 70)),
    "n4": ({"working_mm": 4.0, "levels": 2, "iterations": 3}, _n4),
    "opening": ({"radius_mm": 3.0}, lambda c, s: ndimage.grey_opening(c, footprint=footprint(s, 3), mode="nearest")),
    "closing": ({"radius_mm": 3.0}, lambda c, s: ndimage.grey_closing(c, footprint=footprint(s, 3), mode="nearest")),
    "tophat": (
        {"radius_mm": 3.0},
        lambda c, s: ndimage.white_tophat(c, footprint=footprint(s, 3), mode="nearest"),
    ),
    "frangi": ({"smallest_mm": 2.0, "largest_mm": 3.0, "scales": 2}, _frangi),
}
# Tested by their own tests, as what they are called with follows from the scan or is learnt.
OWN = {"nlm", "diffusion", "match", "nyul", "resize", "crop_body", "register"}
