"""Registration to a reference scan by SimpleITK.

The result lies on the reference's grid, and its affine (with a warp after a deformable registration) says where those
voxels lie in the scan's own world: labels and segmentations find their way there and back by it, as on any grid.
"""

import re
from dataclasses import replace

import numpy as np

from imaging.filters.itk_threads import one_thread
from imaging.filters.reference import Reference, load_reference, reference_of
from imaging.geometry.resampling import onto, resample
from imaging.geometry.warp import Warp, through
from imaging.io.volumes.itk import simpleitk
from imaging.scan import Scan
from medseg.errors import InputError

_BINS = 32
_SHRINK = (4, 2, 1)
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
            constant scan.
    """
    sitk = simpleitk("filter register")
    fixed = reference_of(reference, scan.rank)
    moving = _working(scan, fixed)
    images = _image(fixed.scan, sitk), _image(moving, sitk)
    with one_thread(sitk):
        try:
            transform = _rigid(images, iterations, sitk)
            transform = transform if kind == "rigid" else _affine(images, transform, iterations, sitk)
            matrix = _matrix(transform, scan.rank)
            warp = None
            if kind == "deformable":
                warp = _warp(images, transform, matrix, fixed.scan, smooth_mm, iterations, sitk)
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


def _working(scan, fixed: Reference):
    """The first channel on voxels about as large as the reference's."""
    first = replace(scan, voxels=scan.voxels[..., :1], geometry=None)
    if first.voxels.min() == first.voxels.max():
        raise InputError("the scan is constant, so it cannot be registered; give another scan")
    coarse = max(fixed.scan.spacing)
    sizes = tuple(max(size, coarse) for size in scan.spacing)
    return resample(first, sizes)


def _image(scan, sitk):
    """A SimpleITK image in our own world (RAS), scaled to 0 to 1."""
    rank = scan.rank
    voxels = scan.voxels[..., 0]
    low, high = (float(limit) for limit in np.percentile(voxels, (0.5, 99.5)))
    high = high if high > low else float(voxels.max())
    scaled = np.clip((voxels - np.float32(low)) / np.float32(max(high - low, 1e-30)), 0, 1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(scaled.T, np.float32))
    matrix = np.asarray(scan.affine, float)[:rank, :rank]
    sizes = np.linalg.norm(matrix, axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((matrix / sizes).ravel().tolist())
    image.SetOrigin(np.asarray(scan.affine, float)[:rank, 3].tolist())
    return image


def _method(images, iterations, sitk):
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    shortest = min(images[0].GetSize())
    shrink = [factor for factor in _SHRINK if shortest // factor >= 8] or [1]
    size = max(images[0].GetSpacing())
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([(factor - 1) * size / 2 for factor in shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, iterations, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _rigid(images, iterations, sitk):
    plain = sitk.Euler3DTransform() if images[0].GetDimension() == 3 else sitk.Euler2DTransform()
    best, value = None, np.inf
    for by in (sitk.CenteredTransformInitializerFilter.GEOMETRY, sitk.CenteredTransformInitializerFilter.MOMENTS):
        method = _method(images, iterations, sitk)
        method.SetInitialTransform(sitk.CenteredTransformInitializer(*images, plain, by), inPlace=False)
        try:
            transform = method.Execute(*images)
        except RuntimeError:
            if best is None and by == sitk.CenteredTransformInitializerFilter.MOMENTS:
                raise
            continue
        if method.GetMetricValue() < value:
            best, value = transform, method.GetMetricValue()
    return best


def _affine(images, rigid, iterations, sitk):
    rank = images[0].GetDimension()
    start = sitk.AffineTransform(rank)
    matrix = _matrix(rigid, rank)
    start.SetMatrix(matrix[:rank, :rank].ravel().tolist())
    start.SetTranslation(matrix[:rank, 3].tolist())
    centre = images[0].TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in images[0].GetSize()])
    moved = np.array(start.TransformPoint(centre)) - centre
    start.SetCenter(centre)  # stretched about the middle, or a little of it would move everything far
    start.SetTranslation(moved.tolist())
    method = _method(images, iterations, sitk)
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(*images)


def _warp(images, affine, matrix, reference, smooth_mm, iterations, sitk):
    """Displacements that bring the scan, after its affine registration, onto the reference, and their inverse."""
    fixed, rank = images[0], reference.rank
    moving = sitk.Resample(images[1], fixed, affine, sitk.sitkLinear, 0.0)
    moving = sitk.HistogramMatching(moving, fixed, 128, 11, False)
    demons = sitk.DiffeomorphicDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)
    demons.SetNumberOfIterations(iterations)
    demons.SetStandardDeviations([smooth_mm / size for size in fixed.GetSpacing()])
    field = demons.Execute(fixed, moving)
    inverse = sitk.InvertDisplacementField(
        field, maximumNumberOfIterations=50, maxErrorToleranceThreshold=0.05, meanErrorToleranceThreshold=0.001
    )

    def turned(part):
        """A field by the affine part, in the scan's world."""
        array = sitk.GetArrayViewFromImage(part)
        array = array.transpose(*range(rank - 1, -1, -1), rank) @ matrix[:rank, :rank].T
        return np.ascontiguousarray(array, np.float32)

    return Warp(turned(field), turned(inverse), matrix @ reference.affine)


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
