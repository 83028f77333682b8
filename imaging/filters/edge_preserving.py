"""Denoising that keeps edges: by steps that count in voxels, as scikit-image's, and SimpleITK, which counts in mm."""

import math

import numpy as np

from imaging.filters.denoising import total_variation
from imaging.filters.denoising.noise import noise_deviation
from imaging.io.volumes.itk import simpleitk
from medseg.command import load_package
from medseg.errors import InputError

# scikit-image knows voxels, not millimetres: slices thicker than this against their plane are filtered one by one.
THICK = 1.5
MOST_ITERATIONS = 2000


def nlm(channel: np.ndarray, spacing, patch_mm: float, distance_mm: float, strength: float) -> np.ndarray:
    """Non-local means (Buades et al., CVPR 2005), the fast form.

    Args:
        channel: float32 (*spatial).
        spacing: voxel size in mm per axis.
        patch_mm: side of the surroundings that are compared.
        distance_mm: how far away compared voxels lie at most.
        strength: the filter's h, in estimated deviations of the noise.
    """
    restoration = load_package("skimage.restoration", "filter nlm")
    sigma = noise_deviation(channel, spacing)
    if not sigma > 0:
        return channel

    def denoise(part, size):
        side = max(1, 2 * round((patch_mm / size - 1) / 2) + 1)
        reach = max(1, round(distance_mm / size))
        return restoration.denoise_nl_means(part, side, reach, h=strength * sigma, sigma=sigma, fast_mode=True)

    return _by_slices(channel, spacing, denoise)


def tv(channel: np.ndarray, spacing, weight: float, iterations: int) -> np.ndarray:
    """Total variation denoising (Chambolle 2004) of intensities scaled to 0 to 1 and back."""
    low, high = float(channel.min()), float(channel.max())

    def denoise(part, _):
        return total_variation.denoise(part, weight, iterations)

    scaled = (channel - np.float32(low)) * np.float32(1 / (high - low))
    return _by_slices(scaled, spacing, denoise) * np.float32(high - low) + np.float32(low)


def bilateral(channel: np.ndarray, spacing, sigma_mm: float, range: float) -> np.ndarray:
    """Bilateral filter (Tomasi and Manduchi, ICCV 1998); ``range`` is a share of the span of percentiles 1 to 99."""
    sitk = simpleitk("filter bilateral")
    low, high = np.percentile(channel, (1, 99))
    deviation = range * float(high - low if high > low else np.ptp(channel))
    return array_of(sitk.Bilateral(image_of(channel, spacing, sitk), sigma_mm, deviation))


def diffusion(channel: np.ndarray, spacing, kind: str, sigma_mm: float, conductance: float) -> np.ndarray:
    """Anisotropic diffusion over the time in which an even region is smoothed by ``sigma_mm``.

    Raises:
        InputError: if voxels are so small against ``sigma_mm`` that it would take too many steps.
    """
    sitk = simpleitk("filter diffusion")
    step, count = diffusion_steps(spacing, sigma_mm)
    run = sitk.GradientAnisotropicDiffusion if kind == "perona_malik" else sitk.CurvatureAnisotropicDiffusion
    image = image_of(channel, spacing, sitk)
    return array_of(run(image, timeStep=step, conductanceParameter=conductance, numberOfIterations=count))


def diffusion_steps(spacing, sigma_mm: float) -> tuple[float, int]:
    """Time step in mm² and number of steps that are stable and add up to ``sigma_mm``² / 2."""
    finest, rank = min(spacing), len(spacing)
    longest = 0.99 * min(finest, finest**2) / 2 ** (rank + 1)
    time = sigma_mm**2 / 2
    count = max(1, math.ceil(time / longest))
    if count > MOST_ITERATIONS:
        raise InputError(
            f"sigma_mm {sigma_mm:g} on voxels of {finest:g} mm would take {count} steps, expected at most "
            f"{MOST_ITERATIONS}; use gaussian, or a sigma of at most {math.sqrt(2 * longest * MOST_ITERATIONS):.3g}"
        )
    return time / count, count


def image_of(channel: np.ndarray, spacing, sitk):
    """A SimpleITK image of a channel, its first axis first, with its voxel size."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(channel.T))
    image.SetSpacing([float(size) for size in spacing])
    return image


def array_of(image) -> np.ndarray:
    """The float32 array of a SimpleITK image, its first axis first."""
    import SimpleITK

    return np.ascontiguousarray(SimpleITK.GetArrayViewFromImage(image).T, np.float32)


def thick_axis(spacing) -> int | None:
    """The axis of slices that are filtered one by one, or None."""
    if len(spacing) != 3:
        return None
    axis = int(np.argmax(spacing))
    return axis if spacing[axis] > THICK * max(size for i, size in enumerate(spacing) if i != axis) else None


def _by_slices(channel, spacing, run):
    """``run`` on the channel and its finest voxel size, or on each thick slice."""
    axis = thick_axis(spacing)
    finest = min(spacing)
    if axis is None:
        return run(channel, finest)
    out = np.empty_like(channel)
    for source, target in zip(np.moveaxis(channel, axis, 0), np.moveaxis(out, axis, 0), strict=True):
        target[...] = run(np.ascontiguousarray(source), finest)
    return out
