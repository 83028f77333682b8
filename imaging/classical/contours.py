"""Contours that move over the image until edges or regions hold them."""

import numpy as np

from imaging.classical.grid import coarsened, one_hot, restored
from imaging.classical.seeds.markers import coarse_box, markers_on
from imaging.classical.segmentation import Work, grey
from imaging.classical.thresholds import histogram, side_of
from imaging.classical.watershed import gradient
from imaging.geometry.resampling import resample
from imaging.scan import Scan
from medseg.errors import InputError


def chan_vese(work: Work) -> np.ndarray:
    """Morphological Chan-Vese, from the seeds' surroundings or from Otsu's threshold."""
    from skimage.filters import threshold_otsu

    settings = work.parameters
    coarse = _even(coarsened(work.scan, settings["max_voxels"]))
    axes = _flat_axes(coarse, "chan-vese")
    image = _scaled(grey(coarse))
    if work.seeds is None:
        start, value = side_of(image, threshold_otsu(hist=histogram(image)), settings["side"]), 1
    else:
        markers, value = _one_structure(coarse, work)
        start = _around(markers == 1, coarse.spacing, 3 * max(coarse.spacing))
    mask = _begun_anew("morphological_chan_vese")(
        image.squeeze(axes),
        settings["iterations"],
        init_level_set=start.astype(np.int8).squeeze(axes),
        smoothing=settings["smoothing"],
        iter_callback=_counter(work, settings["iterations"]),
    ).reshape(image.shape)
    if work.seeds is None and not _same_side(mask, start):
        mask = 1 - mask
    return _back(mask, coarse, work, value)


def geodesic(work: Work) -> np.ndarray:
    """Morphological geodesic active contours from balls around the seeds."""
    settings = work.parameters
    coarse = _even(coarsened(work.scan, settings["max_voxels"]))
    axes = _flat_axes(coarse, "geodesic-contours")
    markers, value = _one_structure(coarse, work)
    slope = gradient(_scaled(grey(coarse)), coarse.spacing, settings["edge_mm"])
    # The edge map of the paper, 1 / sqrt(1 + a g), with gradients in units of half the strongest.
    edges = 1 / np.sqrt(1 + 10 * (slope / max(float(np.percentile(slope, 99.5)) / 2, np.finfo(np.float32).tiny)) ** 2)
    edges[markers == 0] = 0  # the contour does not pass seeds of the background
    start = _around(markers == 1, coarse.spacing, settings["start_mm"]) & (markers != 0)
    mask = _begun_anew("morphological_geodesic_active_contour")(
        edges.squeeze(axes),
        settings["iterations"],
        init_level_set=start.astype(np.int8).squeeze(axes),
        balloon=settings["balloon"],
        threshold=settings["threshold"],
        iter_callback=_counter(work, settings["iterations"]),
    ).reshape(edges.shape)
    return _back(mask, coarse, work, value)


def _begun_anew(name: str):
    """A function of scikit-image's contours that remembers no call before.

    Its smoothing takes two operators in turn, and which comes next is a variable of its module: after an odd number of
    rounds, or while another thread runs one, a contour would begin with the other. A copy of the module has its own.
    """
    import importlib.util

    import skimage.segmentation

    module = importlib.util.find_spec(getattr(skimage.segmentation, name).__module__)
    copy = importlib.util.module_from_spec(module)
    module.loader.exec_module(copy)
    return getattr(copy, name)


def _flat_axes(scan: Scan, method: str) -> tuple[int, ...]:
    """Axes of a single voxel, along which no contour can move: a slice of a volume is treated as a picture.

    Raises:
        InputError: if fewer than two axes are left.
    """
    flat = tuple(axis for axis, length in enumerate(scan.shape) if length == 1)
    if scan.rank - len(flat) < 2:
        raise InputError(
            f"method {method}: a scan of shape {scan.shape}, expected more than one voxel along two axes at least"
        )
    return flat


def _even(scan: Scan) -> Scan:
    """A scan on cubic voxels where it is anisotropic, as the steps of a contour are voxels."""
    spacing = scan.spacing
    if max(spacing) <= 1.2 * min(spacing):
        return scan
    return resample(scan, spacing=(float(np.prod(spacing)) ** (1 / scan.rank),) * scan.rank)


def _scaled(image):
    low, high = np.percentile(image, [1, 99])
    return np.clip((image - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1).astype(np.float32)


def _one_structure(coarse, work):
    """Markers, -1, 0 or 1, and the structure's label value; a contour parts one structure from the background."""
    markers, values = markers_on(coarse, work.scan, work.seeds, minimum=1)
    structures = [value for value in values if value > 0]
    if len(structures) != 1:
        raise InputError(
            f"seeds of labels {', '.join(map(str, structures)) or 'none'}: a contour takes one structure; expected "
            "seeds of one label above 0"
        )
    labels = np.asarray(values)
    markers = np.where(markers < 0, -1, (labels[np.maximum(markers, 0)] > 0).astype(np.int32))
    if not (markers == 1).any() and work.seeds.box is not None:
        markers[coarse_box(coarse, work.scan, work.seeds.box)] = 1
    return markers, structures[0]


def _around(marks, spacing, radius_mm):
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~marks, spacing) <= radius_mm


def _same_side(mask, start):
    return np.count_nonzero(mask == start) * 2 >= mask.size


def _counter(work, total):
    steps = iter(range(1, total + 2))

    def step(_):
        work.advance(min(next(steps), total), total)

    return step


def _back(mask, coarse, work, value):
    labels = restored(one_hot(np.asarray(mask), 2), coarse, work.scan).astype(np.int32) * value
    if work.seeds is None:
        return labels
    labels = np.where(work.seeds.labels >= 0, work.seeds.labels, labels)
    if work.seeds.box is not None:
        outside = np.ones(labels.shape, bool)
        outside[work.seeds.box] = False
        labels[outside] = 0
    return labels
