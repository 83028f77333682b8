"""Labelled scans registered to a scan by SimpleITK, whose labels vote."""

import re

import numpy as np

from imaging.classical.fusion import staple, vote
from imaging.classical.grid import coarsened, restored
from imaging.classical.segmentation import Work, grey
from imaging.filters.itk_threads import one_thread
from imaging.geometry.orientation import canonical
from imaging.scan import Scan
from medseg.errors import InputError

_SEED = 1  # 0 would be the time of day
_LEAST = 4  # voxels along each axis that ITK's smoothing needs
_ADDRESS = re.compile(r"ITK ERROR: |\(0x[0-9a-f]+\)")
_AFFINE_STEPS = 40  # of each of two resolutions at most
_SAMPLING = 0.3  # share of voxels that the affine registration measures


def atlas(work: Work) -> np.ndarray:
    """The labels of the most alike atlases after registration, put together by vote or STAPLE."""
    import SimpleITK

    with one_thread(SimpleITK):
        return _atlas(work, SimpleITK)


def _atlas(work, sitk):
    settings = work.parameters
    _check_size(work.scan, "the scan")
    target = coarsened(work.scan, settings["max_voxels"])
    fixed = _image(target, sitk)
    values = sorted({0}.union(*(np.unique(labels.voxels).tolist() for _, labels in work.atlases)))
    if len(values) > 256:
        raise InputError(f"atlases hold {len(values)} label values, expected at most 256")
    ranked, total, failed = [], len(work.atlases) + min(settings["atlases"], len(work.atlases)), []
    for number, (scan, labels) in enumerate(work.atlases):
        _check(scan, labels, work.scan, number)
        scan, _ = canonical(scan)  # the same digits, however it is stored
        try:
            moving, likeness, transform = _affine(fixed, scan, settings, sitk)
            ranked.append((likeness, number, moving, transform))
        except RuntimeError as error:
            failed.append(_ADDRESS.sub("", str(error).strip().splitlines()[-1]).strip())
        work.advance(number + 1, total)
    if not ranked:
        raise InputError(
            f"no atlas could be registered to the scan ({failed[0]}); are they of the same part of the body?"
        )
    ranked.sort(key=lambda row: row[:2])
    carried = []
    for done, (_, number, moving, transform) in enumerate(ranked[: settings["atlases"]], 1):
        if settings["registration"] == "deformable":
            transform = _deformed(fixed, moving, transform, settings, sitk)
        carried.append(_carried(fixed, work.atlases[number][1], transform, sitk))
        work.advance(len(work.atlases) + done, total)
    scores = vote(carried, values) if settings["fusion"] == "vote" else staple(carried, values)[0]
    return np.asarray(values, np.int32)[restored(scores, target, work.scan)]


def _check_size(scan, where):
    if min(scan.shape) < _LEAST:
        raise InputError(
            f"{where}: shape {scan.shape}, expected at least {_LEAST} voxels along each axis to register it"
        )


def _check(scan, labels, target, number):
    if scan.rank != target.rank:
        raise InputError(f"atlas {number}: {scan.rank} axes, expected {target.rank} as the scan has")
    _check_size(scan, f"atlas {number}")
    if labels.shape != scan.shape:
        raise InputError(f"atlas {number}: labels of shape {labels.shape}, expected that of its scan, {scan.shape}")
    if not labels.voxels.any():
        raise InputError(f"atlas {number}: its labels are empty; expected at least one labelled voxel")
    if float(scan.voxels.min()) == float(scan.voxels.max()):
        raise InputError(f"atlas {number}: every voxel of its scan is the same; expected an image with contrast")


def _image(scan: Scan, sitk, voxels=None):
    """A SimpleITK image in the scan's own world; intensities between percentiles 1 and 99 as 0 to 1."""
    if voxels is None:
        voxels = grey(scan).astype(np.float32)
        low, high = np.percentile(voxels, [1, 99])
        voxels = np.clip((voxels - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    rank, spacing = scan.rank, np.asarray(scan.spacing)
    directions = scan.affine[:rank, :rank] / spacing
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(scan.affine[:rank, 3].tolist())
    image.SetDirection(directions.ravel().tolist())
    return image


def _affine(fixed, scan, settings, sitk):
    channel = settings["channel"]
    chosen = scan if channel < 0 else Scan(scan.voxels[..., channel : channel + 1], scan.affine)
    moving = _image(coarsened(chosen, settings["max_voxels"]), sitk)
    rank = fixed.GetDimension()
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(rank), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetNumberOfThreads(1)  # sums of several threads differ in the last digit
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SAMPLING, _SEED)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, _AFFINE_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.0, 0.0])
    method.SetInitialTransform(sitk.Transform(start), inPlace=False)
    transform = method.Execute(fixed, moving)
    return moving, method.GetMetricValue(), transform


def _deformed(fixed, moving, affine, settings, sitk):
    """The affine transform and, on top of it, the field of symmetric demons (Vercauteren et al. 2009)."""
    warped = sitk.HistogramMatching(sitk.Resample(moving, fixed, affine, sitk.sitkLinear, 0.0), fixed, 128, 7)
    sigmas = [max(0.5, settings["field_mm"] / size) for size in fixed.GetSpacing()]
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(settings["iterations"])
    demons.SetStandardDeviations(sigmas)
    demons.SetSmoothUpdateField(True)
    demons.SetUpdateFieldStandardDeviations(sigmas)
    demons.SetNumberOfThreads(1)  # sums of several threads differ in the last digit
    field = sitk.DisplacementFieldTransform(sitk.Cast(demons.Execute(fixed, warped), sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([affine, field])


def _carried(fixed, labels, transform, sitk):
    """The atlas's labels on the scan's grid, the label of the largest weight in linear interpolation."""
    moving = _image(labels, sitk, labels.voxels[..., 0].astype(np.int32))
    carried = sitk.Resample(moving, fixed, transform, sitk.sitkLabelLinear, 0)
    return sitk.GetArrayFromImage(carried).T
