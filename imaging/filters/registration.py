"""Registration to a reference scan by SimpleITK.

The result lies on the reference's grid, and its affine (with a warp after a deformable registration) says where those
voxels lie in the scan's own world: labels and segmentations find their way there and back by it, as on any grid.
"""

import re
from dataclasses import replace

import numpy as np

from imaging.filters.itk_threads import one_thread
from imaging.filters.reference import Reference, load_reference, reference_of
from imaging.geometry.orientation import canonical
from imaging.geometry.resampling import onto, resample
from imaging.geometry.warp import Warp, through
from imaging.io.volumes.itk import simpleitk
from imaging.scan import Scan
from medseg.errors import InputError

_BINS = 32
_COARSER = (4, 2, 1)  # times the reference's finest voxel size
_RELAXATION = 0.7  # of the step, each time that the gradient turns round
_LEAST_VOXELS = 8  # that merging leaves along an axis
_LEAST_OVERLAP = 0.25  # of the reference that must lie in the scan
_LEAST_INFORMATION = 0.03  # nats that reference and result must share; unrelated images share almost none
_VOLUME = (0.2, 5.0)  # factors of volume that bodies differ by at most


def register(scan: Scan, kind: str, smooth_mm: float, iterations: int, reference) -> Scan:
    """Register a scan to a reference, by the mutual information (Mattes et al. 2003) of its first channel.

    Args:
        scan: float32 (*spatial, C).
        kind: "rigid", "affine" or "deformable" (an affine one and then diffeomorphic demons, Vercauteren et al. 2009).
        smooth_mm: standard deviation that the displacements of a deformable registration are smoothed by.
        iterations: of each of three resolutions, and of the demons, at most.
        reference: what ``learn_register`` made of the reference scan.

    Returns:
        The scan on the reference's grid; outside the scan, each channel's smallest value.

    Raises:
        InputError: if the registration fails: no overlap, no common information, an implausible size, or a
            constant scan; or if the scan went through a deformable registration before.
    """
    sitk = simpleitk("filter register")
    fixed = reference_of(reference, scan.rank)
    scan, _ = canonical(scan)  # the same digits, however the scan is stored
    _check_scan(scan)
    with one_thread(sitk):
        try:
            levels, unit = _levels(fixed.scan, replace(scan, voxels=scan.voxels[..., :1]), sitk)
            transform = _rigid(levels, iterations, sitk)
            if kind != "rigid":
                transform = _affine(levels, _matrix(transform, scan.rank), iterations, sitk)
            matrix = _matrix(transform, scan.rank)
            matrix[: scan.rank, 3] *= unit
            warp = None
            if kind == "deformable":
                fields = _fields(levels[-1], transform, smooth_mm / unit, iterations, sitk)
                turn = unit * matrix[: scan.rank, : scan.rank].T
                there, back = ((field @ turn).astype(np.float32) for field in fields)
                warp = Warp(there, back, matrix @ fixed.scan.affine)
        except RuntimeError as error:
            reason = re.sub(r"^.*\(0x[0-9a-f]+\): ", "", str(error).strip().splitlines()[-1].strip())
            raise InputError(
                f"the registration failed ({reason.split('. ')[0]}); is the scan of the same part as the reference?"
            ) from None
    affine = matrix @ fixed.grid_affine
    fill = scan.voxels.min(axis=tuple(range(scan.rank)))
    if warp is None:
        like = Scan(np.broadcast_to(np.float32(0), (*fixed.grid_shape, 1)), affine)
        voxels = onto(scan.voxels, scan.affine, like, fill).astype(np.float32, copy=False)
    else:
        voxels = through(scan.voxels, scan.affine, fixed.grid_shape, affine, warp.field, warp, fill)
    result = replace(scan, voxels=voxels, affine=affine, geometry=None, warp=warp)
    _check_result(scan, result, matrix, fixed)
    return result


def learn_register(scans, kind: str, smooth_mm: float, iterations: int, reference=None) -> dict:
    """The reference scan as plain JSON types, from the file that the user named.

    Raises:
        InputError: if no file was named, or it cannot be read.
    """
    if isinstance(reference, dict):
        return {"reference": reference}
    if reference is None:
        raise InputError("needs a reference scan: register=reference:FILE")
    return {"reference": load_reference(reference)}


def check(name: str, values: dict, rank: int, channels: int) -> None:
    """Require the reference to be a scan of as many axes.

    Raises:
        UsageError: otherwise.
    """
    if isinstance(values.get("reference"), dict):
        reference_of(values["reference"], rank)


def _check_scan(scan):
    if scan.warp is not None:
        raise InputError("the scan went through a deformable registration; make it the last one")
    if scan.rank == 2 and abs(np.linalg.det(scan.affine[:2, :2])) < 0.9 * np.prod(scan.spacing):
        raise InputError("the 2D scan lies across the plane of the world's first two axes; correct its affine")
    if scan.voxels[..., 0].min() == scan.voxels[..., 0].max():
        raise InputError("the scan is constant, so it cannot be registered; give another scan")


def _levels(fixed, moving, sitk):
    """Pairs of images from coarse to fine, and their unit of length in mm: about half the reference's size.

    Slices that are thick already stay while the voxels of their plane merge. In that unit a turn or a stretch of 1
    moves voxels as far as a shift of 1 does, so that a step of the optimizer is no larger in one than in the other.
    """
    unit = float(np.mean(np.multiply(fixed.shape, fixed.spacing))) / 2
    finest, pairs = min(fixed.spacing), []
    for factor in _COARSER:
        sizes = [max(size, factor * finest) for size in fixed.spacing]
        merged = zip(fixed.shape, fixed.spacing, sizes, strict=True)
        if factor > 1 and any(n * old < _LEAST_VOXELS * new for n, old, new in merged if new > old):
            continue
        both = (resample(scan, [max(size, factor * finest) for size in scan.spacing]) for scan in (fixed, moving))
        pairs.append(tuple(_image(scan, unit, sitk) for scan in both))
    return pairs, unit


def _image(scan, unit, sitk):
    """A SimpleITK image in our own world (RAS) in units of so many mm, scaled to 0 to 1."""
    rank = scan.rank
    voxels = scan.voxels[..., 0]
    low, high = (float(limit) for limit in np.percentile(voxels, (0.5, 99.5)))
    high = high if high > low else float(voxels.max())
    scaled = np.clip((voxels - np.float32(low)) / np.float32(max(high - low, 1e-30)), 0, 1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(scaled.T, np.float32))
    matrix = np.asarray(scan.affine, float)[:rank, :rank]
    sizes = np.linalg.norm(matrix, axis=0)
    image.SetSpacing((sizes / unit).tolist())
    image.SetDirection((matrix / sizes).ravel().tolist())
    image.SetOrigin((np.asarray(scan.affine, float)[:rank, 3] / unit).tolist())
    return image


def _optimised(images, start, iterations, sitk):
    """A transform that starts from another, and the metric's value, of which less is better."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    step = min(images[0].GetSpacing())
    method.SetOptimizerAsRegularStepGradientDescent(step, 1e-3 * step, iterations, _RELAXATION, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(*images), method.GetMetricValue()


def _rigid(levels, iterations, sitk):
    """From the best of three starts: the middles of both grids, the centres of mass, the world as it is."""
    coarse = levels[0]
    plain = sitk.Euler3DTransform() if coarse[0].GetDimension() == 3 else sitk.Euler2DTransform()
    centred = sitk.CenteredTransformInitializerFilter
    starts = [sitk.CenteredTransformInitializer(*coarse, plain, by) for by in (centred.GEOMETRY, centred.MOMENTS)]
    plain.SetCenter(_middle(coarse[0]))
    starts.append(plain)
    optimised, failed = [], None
    for start in starts:
        try:
            optimised.append(_optimised(coarse, start, iterations, sitk))
        except RuntimeError as error:  # nothing overlaps
            failed = error
    if not optimised:
        raise failed
    transform = min(optimised, key=lambda pair: pair[1])[0]
    for images in levels[1:]:
        transform, _ = _optimised(images, transform, iterations, sitk)
    return transform


def _affine(levels, matrix, iterations, sitk):
    """From a rigid one, as a matrix (4, 4)."""
    rank = levels[0][0].GetDimension()
    transform = sitk.AffineTransform(rank)
    transform.SetMatrix(matrix[:rank, :rank].ravel().tolist())
    transform.SetTranslation(matrix[:rank, 3].tolist())
    centre = _middle(levels[0][0])
    moved = np.array(transform.TransformPoint(centre)) - centre
    transform.SetCenter(centre)  # stretched about the middle, or a little of it would move everything far
    transform.SetTranslation(moved.tolist())
    for images in levels:
        transform, _ = _optimised(images, transform, iterations, sitk)
    return transform


def _middle(image):
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])


def _fields(images, affine, smooth, iterations, sitk):
    """Displacements (*grid, rank) that bring the scan, after its affine registration, onto the reference, and back."""
    fixed, rank = images[0], images[0].GetDimension()
    moving = sitk.Resample(images[1], fixed, affine, sitk.sitkLinear, 0.0)
    moving = sitk.HistogramMatching(moving, fixed, 128, 11, False)
    demons = sitk.DiffeomorphicDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)
    demons.SetNumberOfIterations(iterations)
    demons.SetStandardDeviations([smooth / size for size in fixed.GetSpacing()])
    field = demons.Execute(fixed, moving)
    inverse = sitk.InvertDisplacementField(
        field, maximumNumberOfIterations=50, maxErrorToleranceThreshold=0.05, meanErrorToleranceThreshold=0.001
    )
    return tuple(sitk.GetArrayFromImage(part).transpose(*range(rank - 1, -1, -1), rank) for part in (field, inverse))


def _matrix(transform, rank):
    """(4, 4) of a linear transform, from where it takes the origin and the unit vectors."""
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint([0.0] * rank))
    for axis in range(rank):
        unit = [float(axis == column) for column in range(rank)]
        matrix[:rank, axis] = np.array(transform.TransformPoint(unit)) - origin
    matrix[:rank, 3] = origin
    return matrix


def _check_result(scan, result, matrix, fixed: Reference):
    """Require the result to be plausible."""
    rank = scan.rank
    factor = abs(float(np.linalg.det(matrix[:rank, :rank])))
    if not _VOLUME[0] <= factor <= _VOLUME[1]:
        raise InputError(
            f"the registration failed: it makes the reference {factor:.2g} times as large, expected {_VOLUME[0]:g} to "
            f"{_VOLUME[1]:g} times; is the scan of the same part as the reference?"
        )
    inside = onto(
        np.ones((*scan.shape, 1), np.float32), scan.affine, Scan(fixed.scan.voxels, matrix @ fixed.scan.affine), 0.0
    )
    overlap = float((inside > 0).mean())
    if overlap < _LEAST_OVERLAP:
        raise InputError(
            f"the registration failed: {overlap:.0%} of the reference lie in the scan, expected at least "
            f"{_LEAST_OVERLAP:.0%}; is the scan of the same part as the reference?"
        )
    like = Scan(fixed.scan.voxels, matrix @ fixed.scan.affine)
    values = onto(result.voxels[..., :1], result.affine, like, 0.0)
    covered = (inside > 0).ravel()
    shared = _information(values.ravel()[covered], fixed.scan.voxels.ravel()[covered])
    if shared < _LEAST_INFORMATION:
        raise InputError(
            f"the registration failed: result and reference share {shared:.3f} nats of information, expected at least "
            f"{_LEAST_INFORMATION:g}; is the scan of the same part as the reference?"
        )


def _information(first, second):
    """Mutual information in nats of two lists of values."""
    table = np.histogram2d(first, second, _BINS)[0]
    table /= max(table.sum(), 1)
    apart = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    seen = table > 0
    # The bins that chance fills would count too; about half of their number over the number of voxels.
    bias = (np.count_nonzero(seen) - np.count_nonzero(table.sum(0)) - np.count_nonzero(table.sum(1)) + 1) / 2
    return float((table[seen] * np.log(table[seen] / apart[seen])).sum() - bias / max(len(first), 1))
