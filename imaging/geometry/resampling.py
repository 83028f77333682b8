"""Values of one voxel grid at the voxel centres of another."""

import math

import numpy as np

from imaging.geometry.affine import AxisMap, axis_map, index_map, moved
from imaging.geometry.interpolation import interpolate
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from medseg.limits import check_bytes

# An axis whose spacing is this close to the wanted one is left as it is, so that header noise blurs nothing.
SPACING_TOLERANCE = 1e-3
# Spacings further apart than this have different units, whatever their headers say.
MOST_VOXELS = 1e4
# A target voxel this far (in source voxels) beyond the last source centre still lies in the last source voxel.
REACH = 0.5 + 1e-3
INTERPOLATIONS = ("linear", "cubic")
# Slices this much thicker than the voxels of their plane are wide are not mixed by "cubic", as in nnU-Net.
THICK = 3


def resample(scan: Scan, spacing=None, size=None, is_label: bool = False, interpolation: str = "linear") -> Scan:
    """Change the voxel size of a scan; the new grid is centred on the old one and the affine says exactly where it is.

    Images are interpolated linearly, and averaged where the new voxel is larger than the old
    (``interpolation.axis_weights``). Label maps take at each voxel the value that has the largest weight in the same
    interpolation (ties: the smaller value), so no new value appears and nothing shifts.

    Args:
        scan: voxels (*spatial, C).
        spacing: new voxel size in mm per axis; the grid then covers at least the old extent. An axis within 0.1 % of
            it is left alone.
        size: new spatial shape instead; the extent is kept exactly.
        is_label: the voxels are class values, not intensities.
        interpolation: of images, "linear" as above or "cubic" (see ``cubic``).

    Returns:
        A scan, float32 for an image, the given type for labels.

    Raises:
        InputError: if old and new voxel size are ten thousand times apart.
        UsageError: if not exactly one of ``spacing`` and ``size`` is given, or it does not fit the scan.
    """
    shape, ratio = check_grid(scan, spacing, size)
    if shape == scan.shape and np.all(ratio == 1):
        return scan
    offset = ((np.array(scan.shape) - 1) - (np.array(shape) - 1) * ratio) / 2
    aligned = AxisMap(tuple(range(scan.rank)), tuple(ratio.tolist()), tuple(offset.tolist()))
    if interpolation == "cubic" and not is_label:
        voxels = cubic(scan.voxels, aligned, shape, thick_axis(scan.spacing, ratio * scan.spacing))
    else:
        voxels = (majority if is_label else interpolated)(scan.voxels, aligned, shape, antialias=True)
    return Scan(voxels, moved(scan.affine, offset, ratio))


def check_grid(scan: Scan, spacing=None, size=None) -> tuple[tuple[int, ...], np.ndarray]:
    """The grid that ``resample`` makes, and whether memory allows it, before any is taken.

    Args:
        scan: what would be resampled.
        spacing: as for ``resample``.
        size: as for ``resample``.

    Returns:
        The new spatial shape, and how many old voxels a new one spans along each axis.

    Raises:
        InputError: if old and new voxel size are ten thousand times apart, or the new grid is too large.
        UsageError: if not exactly one of ``spacing`` and ``size`` is given, or it does not fit the scan.
    """
    shape, ratio = _new_grid(scan.shape, scan.spacing, spacing, size)
    if shape != scan.shape:
        check_bytes(
            f"scan of shape {scan.shape}",
            4 * math.prod(shape) * scan.channels,
            f"its voxels of {_mm(scan.spacing)} resampled to {shape}{'' if spacing is None else f' of {_mm(spacing)}'} "
            "(is the unit in its header right?)",
        )
    return shape, ratio


def _new_grid(shape, old_spacing, spacing, size):
    if (spacing is None) == (size is None):
        raise UsageError("resample: give either a spacing in mm or a size in voxels, not both or neither")
    target = tuple(spacing if size is None else size)
    whole = size is None or all(float(n).is_integer() for n in target)
    if len(target) != len(shape) or not whole or not all(np.isfinite(n) and n > 0 for n in target):
        kind = "numbers of mm" if size is None else "whole numbers of voxels"
        raise UsageError(f"resample to {target}: expected {len(shape)} positive {kind}, one per spatial axis")
    if size is not None:
        return tuple(int(n) for n in target), np.array(shape) / np.array(target, float)
    ratio = np.array(target, float) / old_spacing
    if not ((ratio > 1 / MOST_VOXELS) & (ratio < MOST_VOXELS)).all():
        raise InputError(
            f"voxels of {_mm(old_spacing)} resampled to {_mm(target)}: expected sizes less than "
            f"{MOST_VOXELS:g} times apart; is the unit in the scan's header right?"
        )
    ratio[np.abs(ratio - 1) < SPACING_TOLERANCE] = 1.0
    # Rounded up, so that no part of the scan is left uncovered; the small term forgives rounding of the ratio.
    return tuple(int(n) for n in np.maximum(1, np.ceil(np.array(shape) / ratio - 0.01))), ratio


def onto(
    array: np.ndarray, affine: np.ndarray, like: Scan, fill=0.0, is_label: bool = False, antialias: bool = False
) -> np.ndarray:
    """The values of ``array`` at the voxel centres of ``like``.

    Pure index operations (exact, any type) when the grids differ by flips, permutations and whole voxels. Otherwise
    linear interpolation; labels take the value with the largest weight in it (``majority``), and on a grid that is
    turned against theirs the nearest. Voxels of ``like`` that lie in no voxel of the array get ``fill``.

    Args:
        array: (*spatial, K).
        affine: (4, 4) of the array's grid.
        like: the scan that gives the grid.
        fill: a number or (K,) numbers.
        is_label: the values are classes and must not be mixed.
        antialias: average where ``like`` is coarser than the array, as ``resample`` does.

    Returns:
        (*like.shape, K), the array's type if no interpolation was needed or for labels, else float32. It may share
        memory with the array where the grids are the same.
    """
    matrix, offset = index_map(affine, like.affine, like.rank)
    aligned = axis_map(matrix, offset, like.shape)
    if aligned is None:
        return _oblique(array, matrix, offset, like.shape, fill, is_label)
    box = inside(aligned, array.shape, like.shape)
    shape = tuple(s.stop - s.start for s in box)
    part = AxisMap(
        aligned.axes,
        aligned.scale,
        tuple(o + a * s.start for o, a, s in zip(aligned.offset, aligned.scale, box, strict=True)),
    )
    values = picked(array, part, shape) if aligned.exact else None
    if values is None and 0 not in shape:
        values = (majority if is_label else interpolated)(array, part, shape, antialias)
    if shape == like.shape:
        return np.ascontiguousarray(values)
    dtype = array.dtype if is_label or aligned.exact else np.float32
    out = np.empty((*like.shape, array.shape[-1]), dtype)
    out[...] = fill
    if values is not None:
        out[box] = values
    return out


def interpolated(array: np.ndarray, aligned: AxisMap, shape, antialias: bool = False) -> np.ndarray:
    """Linear interpolation of (*spatial, K) at an axis-aligned grid of spatial ``shape``, float32."""
    array = array.transpose(*aligned.axes, array.ndim - 1)
    return interpolate(array, shape, aligned.scale, aligned.offset, antialias)


def thick_axis(spacing, target) -> int | None:
    """The axis of slices that are more than ``THICK`` times as thick as the voxels are wide, or None (2D: always).

    nnU-Net's rule: the spacing of the scan decides, and where that is even the target's; two thick axes are none.

    Args:
        spacing: of the scan, mm per axis.
        target: of the new grid, mm per axis.
    """
    for sizes in (np.asarray(spacing, float), np.asarray(target, float)):
        if len(sizes) == 3 and sizes.max() > THICK * sizes.min():
            thick = np.flatnonzero(sizes == sizes.max())
            return int(thick[0]) if len(thick) == 1 else None
    return None


def cubic(array: np.ndarray, aligned: AxisMap, shape, thick: int | None = None) -> np.ndarray:
    """Cubic splines at an axis-aligned grid, as nnU-Net resamples images (Isensee et al. 2021, arXiv:1904.08128).

    Nothing is averaged where the new grid is coarser. Values beyond the ends repeat the last.

    Args:
        array: (*spatial, K).
        aligned: from the new grid to the array's; its axes in order.
        shape: of the new grid.
        thick: axis along which the nearest slice is taken and none are mixed; None for splines along all axes.

    Returns:
        float32 (*shape, K).
    """
    from scipy.ndimage import affine_transform

    if thick is not None:
        count, length = shape[thick], array.shape[thick]
        nearest = np.floor(aligned.scale[thick] * np.arange(count) + aligned.offset[thick] + 0.5).astype(int)
        array = np.take(array, np.clip(nearest, 0, length - 1), axis=thick)
    out = np.empty((*shape, array.shape[-1]), np.float32)
    kept = [axis for axis in range(len(shape)) if axis != thick]
    scale, offset = ([values[axis] for axis in kept] for values in (aligned.scale, aligned.offset))
    size = tuple(shape[axis] for axis in kept)
    for k in range(array.shape[-1]):
        slabs = [slice(None)] if thick is None else range(shape[thick])
        for slab in slabs:
            place = tuple(slab if axis == thick else slice(None) for axis in range(len(shape)))
            source = np.asarray(array[(*place, k)], np.float32)
            out[(*place, k)] = affine_transform(source, scale, offset, size, order=3, mode="nearest")
    return out


def majority(array: np.ndarray, aligned: AxisMap, shape, antialias: bool = False) -> np.ndarray:
    """The value with the largest interpolation weight at an axis-aligned grid; ties go to the smaller value."""
    best = np.full((*shape, array.shape[-1]), -1.0, np.float32)
    out = np.zeros(best.shape, array.dtype)
    for value in distinct(array):
        share = interpolated(array == value, aligned, shape, antialias)
        # float32 weights of equal classes differ in the last digit; without the margin ties would fall at random
        wins = share > best + 1e-5
        out[wins] = value
        np.copyto(best, share, where=wins)
    return out


def distinct(array: np.ndarray) -> np.ndarray:
    """The values that occur, ascending, found slab by slab so that a large volume is never sorted whole."""
    values = [np.unique(slab) for slab in array]
    return np.unique(np.concatenate(values)) if values else np.unique(array)


def inside(aligned: AxisMap, source, target) -> tuple[slice, ...]:
    """Target indices along each axis whose centre lies in a source voxel; one run, as the map is monotonic."""
    slices = []
    for axis, scale, offset, count in zip(aligned.axes, aligned.scale, aligned.offset, target, strict=True):
        position = scale * np.arange(count) + offset
        hit = np.flatnonzero((position >= -REACH) & (position <= source[axis] - 1 + REACH))
        slices.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
    return tuple(slices)


def picked(array: np.ndarray, aligned: AxisMap, shape) -> np.ndarray:
    """The array (*spatial, K) read by steps of plus or minus one, as an exact map says; a view (*shape, K)."""
    slices = []
    for scale, offset, count in zip(aligned.scale, aligned.offset, shape, strict=True):
        first, step = round(offset), int(scale)
        stop = first + step * count
        slices.append(slice(first, stop if stop >= 0 else None, step) if count else slice(0, 0))
    return array.transpose(*aligned.axes, array.ndim - 1)[tuple(slices)]


def _oblique(array, matrix, offset, shape, fill, is_label):
    """Any affine map: order 1 (labels: 0) at each voxel centre, slab by slab."""
    from scipy.ndimage import map_coordinates

    out = np.empty((*shape, array.shape[-1]), array.dtype if is_label else np.float32)
    fills = np.broadcast_to(fill, array.shape[-1:])
    limit = np.array(array.shape[:-1]).reshape(-1, *[1] * len(shape)) - 1
    plane = np.indices((1, *shape[1:]), dtype=np.float64)
    fixed = np.tensordot(matrix, plane, axes=1) + offset.reshape(-1, *[1] * len(shape))
    for i in range(shape[0]):
        position = fixed + matrix[:, 0].reshape(-1, *[1] * len(shape)) * i
        outside = ((position < -REACH) | (position > limit + REACH)).any(axis=0)[0]
        for k in range(array.shape[-1]):
            out[i, ..., k] = map_coordinates(
                array[..., k], position, order=0 if is_label else 1, mode="nearest", output=out.dtype
            )[0]
            out[i, outside, k] = fills[k]
    return out


def _mm(spacing):
    return " x ".join(f"{float(size):.4g}" for size in spacing) + " mm"
