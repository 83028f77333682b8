"""Bias fields of MR: N4 by SimpleITK."""

import numpy as np

from imaging.filters.edge_preserving import array_of, image_of
from imaging.filters.itk_threads import one_thread
from imaging.io.volumes.itk import simpleitk
from medseg.errors import InputError

_LEAST_VOXELS = 16  # that merging leaves along an axis which has them


def n4(channel: np.ndarray, spacing, working_mm: float, knots_mm: float, levels: int, iterations: int) -> np.ndarray:
    """N4 bias field correction (Tustison et al., IEEE TMI 2010).

    The field is estimated on voxels of about ``working_mm`` and evaluated on all of them. On one thread, as ITK's sums
    otherwise depend on the number of processors.

    Args:
        channel: float32 (*spatial).
        spacing: voxel size in mm per axis.
        working_mm: voxel size at which the field is estimated.
        knots_mm: distance of its control points at the first level.
        levels: of control points, doubled each time.
        iterations: of each level at most.

    Raises:
        InputError: if no voxel is above 0, as the logarithm needs.
    """
    sitk = simpleitk("filter n4")
    positive = channel > 0
    if np.count_nonzero(positive) < 2 or np.ptp(channel[positive]) == 0:
        raise InputError("finds fewer than two different voxels above 0, where a bias field could be seen")
    image = image_of(channel, spacing, sitk)
    mask = image_of(positive.astype(np.uint8), spacing, sitk)
    shrink = [
        max(1, min(round(working_mm / size), length // _LEAST_VOXELS))
        for size, length in zip(spacing, channel.shape, strict=True)
    ]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([iterations] * levels)
    knots = [max(1, round(size * n / knots_mm)) for size, n in zip(spacing, channel.shape, strict=True)]
    corrector.SetNumberOfControlPoints([count + 3 for count in knots])  # cubic splines need three more than spans
    corrector.SetNumberOfThreads(1)
    with one_thread(sitk):
        try:
            corrector.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
            field = array_of(corrector.GetLogBiasFieldAsImage(image))
        except RuntimeError as error:
            raise InputError(f"failed on this scan ({str(error).strip().splitlines()[-1].strip()})") from None
    np.exp(field, out=field)
    return np.where(positive, channel / field, channel).astype(np.float32, copy=False)
