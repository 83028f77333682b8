"""Thresholds: of the whole scan, of each voxel's surroundings, and with hysteresis."""

import numpy as np

from imaging.classical.ridges import lines
from imaging.classical.segmentation import Work, grey
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

_BINS = 1024  # of the histograms that thresholds of a whole scan are found in


def histogram(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and centres of ``_BINS`` bins from smallest to largest value, without a sorted copy of the scan."""
    counts, edges = np.histogram(image, _BINS, (float(image.min()), float(image.max())))
    return counts, (edges[1:] + edges[:-1]) / 2


def side_of(image: np.ndarray, threshold, side: str) -> np.ndarray:
    """uint8 (*spatial): 1 on a side of a threshold, "bright" (above), "dark" or "smaller" (that of fewer voxels)."""
    above = image > threshold
    if side == "smaller":
        side = "bright" if 2 * int(np.count_nonzero(above)) <= above.size else "dark"
    return (above if side == "bright" else ~above).astype(np.uint8)


def otsu(work: Work) -> np.ndarray:
    """Otsu's threshold."""
    from skimage.filters import threshold_otsu

    image = grey(work.scan)
    return side_of(image, threshold_otsu(hist=histogram(image)), work.parameters["side"])


def multi_otsu(work: Work) -> np.ndarray:
    """Otsu's thresholds between several classes."""
    from skimage.filters import threshold_multiotsu

    image = grey(work.scan)
    low, high = float(image.min()), float(image.max())
    counts, edges = np.histogram(image, 128, (low, high))  # the search tries every combination of bins
    classes = work.parameters["classes"]
    if np.count_nonzero(counts) < classes:
        raise InputError(
            f"method multi-otsu: the scan's intensities lie in {np.count_nonzero(counts)} of {len(counts)} steps from "
            f"{low:g} to {high:g}, expected at least {classes}; ask for fewer classes, or cut outliers off first"
        )
    thresholds = threshold_multiotsu(classes=classes, hist=(counts, (edges[1:] + edges[:-1]) / 2))
    return kept(np.digitize(image, thresholds).astype(np.uint8), classes, work.parameters["keep"], "multi-otsu")


def kept(classes: np.ndarray, count: int, keep: int, method: str) -> np.ndarray:
    """Only class ``keep`` as 1, or all classes where it is -1.

    Raises:
        UsageError: for a class that is not there.
    """
    if keep >= count:
        raise UsageError(f"method {method}: keep {keep}, expected -1 for all or a class from 0 to {count - 1}")
    return classes if keep < 0 else (classes == keep).astype(np.uint8)


def li(work: Work) -> np.ndarray:
    """Li's threshold, found on the histogram, whose bins stand for their voxels."""
    counts, centres = histogram(image := grey(work.scan))
    return side_of(image, _li(counts, centres), work.parameters["side"])


def _li(counts, centres, tolerance=1e-3) -> float:
    """Li and Tam's iteration: the threshold at which both sides' means have it as their logarithmic mean."""
    shift = centres[0] - (centres[1] - centres[0])  # logarithms need positive numbers
    levels = centres - shift
    threshold = float((counts * levels).sum() / counts.sum())
    for _ in range(1000):
        above = levels > threshold
        if not counts[above].any() or not counts[~above].any():
            break
        high = (counts * levels)[above].sum() / counts[above].sum()
        low = (counts * levels)[~above].sum() / counts[~above].sum()
        step = float((high - low) / np.log(high / low))
        if abs(step - threshold) < tolerance * (levels[1] - levels[0]):
            break
        threshold = step
    return threshold + shift


def triangle(work: Work) -> np.ndarray:
    """The triangle threshold."""
    from skimage.filters import threshold_triangle

    image = grey(work.scan)
    levels = np.digitize(image, np.linspace(image.min(), image.max(), 257)[1:-1]).astype(np.uint8)
    return side_of(levels, threshold_triangle(levels), work.parameters["side"])


def sauvola(work: Work) -> np.ndarray:
    """Sauvola's local threshold."""
    image = grey(work.scan)
    low = float(image.min())
    mean, deviation = _local(image, work)
    half = (float(image.max()) - low) / 2  # of the range of values, as the paper's 128 of 256
    k = work.parameters["k"]
    threshold = (mean - low) * (1 + k * (deviation / half - 1)) + low
    return side_of(image, threshold, work.parameters["side"])


def niblack(work: Work) -> np.ndarray:
    """Niblack's local threshold."""
    image = grey(work.scan)
    mean, deviation = _local(image, work)
    side, k = work.parameters["side"], work.parameters["k"]
    if side == "smaller":
        return side_of(image, mean + np.float32(k) * deviation, side)
    return side_of(image, mean + np.float32(k if side == "bright" else -k) * deviation, side)


def _local(image, work):
    """Mean and deviation in a box of ``window_mm`` around each voxel, float32."""
    from scipy.ndimage import uniform_filter

    size = [max(1, 2 * round((work.parameters["window_mm"] / s - 1) / 2) + 1) for s in work.scan.spacing]
    if max(size) == 1:
        raise UsageError(
            f"window_mm {work.parameters['window_mm']:g}: covers a single voxel of {min(work.scan.spacing):g} mm; "
            "expected several"
        )
    centre = image.mean(dtype=np.float64)
    shifted = (image - centre).astype(np.float32)  # squares of large numbers would lose the deviation
    mean = uniform_filter(shifted, size)
    work.advance(1, 2)
    square = uniform_filter(np.square(shifted, out=shifted), size)
    work.advance(2, 2)
    square -= mean**2
    return mean + np.float32(centre), np.sqrt(np.maximum(square, 0, out=square), out=square)


def hysteresis(work: Work) -> np.ndarray:
    """Hysteresis between two percentiles."""
    from skimage.filters import apply_hysteresis_threshold

    low, high = work.parameters["low"], work.parameters["high"]
    if low > high:
        raise UsageError(f"method hysteresis: low {low:g} and high {high:g}, expected low to be at most high")
    image = grey(work.scan)
    side = work.parameters["side"]
    if side == "smaller":
        side = "bright"  # percentiles of at least 50 leave the smaller part
    image = image if side == "bright" else -image
    first, second = np.percentile(image, [low, high])
    return apply_hysteresis_threshold(image, first, second).astype(np.uint8)


def ridges(work: Work) -> np.ndarray:
    """Ridges of the local contrast over several widths, and hysteresis on them."""
    if work.parameters["smallest_mm"] > work.parameters["largest_mm"]:
        raise UsageError(
            f"method ridges: smallest_mm {work.parameters['smallest_mm']:g} and largest_mm "
            f"{work.parameters['largest_mm']:g}, expected smallest to be at most largest"
        )
    return lines(Scan(grey(work.scan)[..., None], work.scan.affine), work.parameters, work.advance)
