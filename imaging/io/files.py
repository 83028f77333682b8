"""Scans from files and to files, by suffix."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.geometry.grid import align
from imaging.intensity import all_finite, fill_nan
from imaging.io.dicom.label import read_dicom_labels
from imaging.io.dicom.read import read_dicom
from imaging.io.dicom.reference import is_dicom
from imaging.io.image import image_bytes, read_image
from imaging.io.masks import read_mask_scan
from imaging.io.nifti import nifti_bytes, read_nifti, read_scaling, smallest
from imaging.io.volumes.itk import FORMATS, read_itk, write_itk
from imaging.io.volumes.pair import DATA, HEADERS, read_pair, read_pair_scaling, write_pair
from imaging.scan import Scan
from medseg.atomic import write_bytes
from medseg.errors import InputError

NIFTI = (".nii", ".nii.gz")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
PAIRS = HEADERS + DATA
ITK = tuple(FORMATS)
TIFF = (".tif", ".tiff")
VOLUMES = NIFTI + ITK + PAIRS  # which keep a voxel's place in the world
SUFFIXES = NIFTI + IMAGES + ITK + PAIRS
LABEL_TOLERANCE = 0.01  # what rounding in a scaled or real-valued label file leaves of whole numbers
LARGEST_LABEL = 2**24  # float32, in which NIfTI files are read, holds whole numbers up to here


def suffix(path) -> str:
    """The suffix of a scan file in lower case, ".nii.gz" as one.

    Raises:
        InputError: if it is none that can be read.
    """
    name = Path(path).name.lower()
    for known in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(known):
            return known
    raise InputError(f"{path}: its suffix is not one of {', '.join(SUFFIXES)}; convert it to one of them")


def read(paths, channels: int | None = None, nan: float | None = None) -> Scan:
    """Read a scan.

    Args:
        paths: a file, or a sequence of files that hold one channel each on the same voxel grid. NIfTI
            (single files and pairs), NRRD, MetaImage and Analyze may be 2D or 3D, a TIFF of several pages is a volume;
            a flat image has axes row and column and counts as 1 mm a pixel. A folder, a zip or a DICOMDIR is read
            as the DICOM series that it holds; ``folder#UID`` is one series of several (``imaging.io.dicom``).
        channels: how many channels are expected. It allows a NIfTI's fourth axis to be the channels, and takes a grey
            image that is stored as colour (three equal channels) as one, and one that is stored as grey as three.
            Without it, the file decides.
        nan: what voxels that are NaN (outside the field of view) stand for; without it they are an error.

    Returns:
        A scan with float32 voxels (*spatial, C).

    Raises:
        InputError: if a file is missing, damaged or of unknown suffix, holds NaN or infinite voxels, has other
            channels than expected or lies on another grid than the first.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; expected one, or one per channel")
    scans = [_read_one(path, channels if len(files) == 1 else 1, nan) for path in files]
    scans[1:] = [align(scan, scans[0], path, files[0]) for path, scan in zip(files[1:], scans[1:], strict=True)]
    scan = scans[0]
    if len(scans) > 1:
        scan = replace(scan, voxels=np.concatenate([s.voxels for s in scans], axis=-1))
    if channels is not None and scan.channels != channels:
        names = ", ".join(str(path) for path in files)
        raise InputError(f"{names}: expected {channels} channels, got {scan.channels}; give one file per channel")
    return scan


def read_labels(path, instances: bool = False) -> Scan:
    """Read a label map: what is stored counts, whatever colours a viewer would show for it.

    Args:
        path: of any suffix but JPEG's, or a DICOM segmentation (``imaging.io.dicom.read_dicom_labels``). Indices of a
            palette are the values. A colour image is taken as grey if its three channels are equal.
        instances: the values are numbers of objects, among which neighbours may differ by any number.

    Returns:
        A scan with voxels (*spatial, 1) in the smallest of uint8, int16 and int32 that holds them.

    Raises:
        InputError: as ``read`` does, and for voxels that are not integers (to ``LABEL_TOLERANCE``), intensities scaled
            so that classes become one, more than one channel, and pictures that were compressed with loss or have
            smooth edges.
    """
    if is_dicom_scan(path):
        scan = read_dicom_labels(path)
    else:
        scan = read_mask_scan(path, instances) if _kind(path) in IMAGES else _read_one(path, 1)
    if scan.channels != 1:
        raise InputError(f"{path}: expected one class value a voxel, got {scan.channels} channels; save one channel")
    if scan.voxels.dtype.kind == "f":
        return replace(scan, voxels=_whole_numbers(path, scan.voxels))
    _check_largest(path, float(scan.voxels.min()), float(scan.voxels.max()))
    return replace(scan, voxels=smallest(scan.voxels.astype(np.int32)))


def write(path, scan: Scan, deep: bool = False) -> None:
    """Write a scan, whole or not at all; missing folders are made.

    NIfTI, NRRD and MetaImage keep integers in the smallest of uint8, int16 and int32 and real numbers in float32; .hdr
    and .img are a NIfTI pair. PNG and TIFF take 2D scans of whole numbers, 8 bit, or 16 where a value needs it; a 3D
    TIFF is ImageJ's stack, for scans whose axes are those of ``imaging.io.volumes.tiff_volume``.
    JPEG is refused because it alters values.

    Args:
        path: where to.
        scan: what.
        deep: PNG and TIFF of 16 bit whatever the values are, as numbers of objects are kept.

    Raises:
        InputError: if the format cannot hold the scan or the place cannot be written.
    """
    kind = suffix(path)
    if kind in (".jpg", ".jpeg"):
        raise InputError(f"{path}: JPEG alters values and is not written; use .png, .tif or .nii.gz")
    try:
        if kind in ITK:
            return write_itk(path, kind, scan)
        if kind in PAIRS:
            return write_pair(path, scan)
        content = nifti_bytes(scan, kind == ".nii.gz") if kind in NIFTI else image_bytes(scan, kind, deep)
    except InputError as error:
        raise error if str(error).startswith(str(path)) else InputError(f"{path}: {error}") from None
    write_bytes(path, content)
    return None


def _kind(path):
    """The suffix of a file, which must not be a folder."""
    kind = suffix(path)
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder; give a file ({', '.join(SUFFIXES)})")
    return kind


def _read_one(path, channels, nan=None):
    scan = read_dicom(path) if is_dicom_scan(path) else _by_kind(path, _kind(path), channels)
    if scan.voxels.size == 0:
        raise InputError(f"{path}: shape {scan.shape} holds no voxel")
    _check_finite(path, fill_nan(scan.voxels, nan))
    if channels == 3 and scan.channels == 1 and scan.rank == 2:
        return replace(scan, voxels=np.repeat(scan.voxels, 3, axis=-1))
    if channels == 1 and scan.channels == 3 and scan.rank == 2:
        first = scan.voxels[..., :1]
        if (scan.voxels == first).all():
            scan = replace(scan, voxels=np.ascontiguousarray(first))
    return scan


def _by_kind(path, kind, channels):
    if kind in NIFTI:
        return read_nifti(path, channels)
    if kind in ITK:
        return read_itk(path, kind, channels)
    return read_pair(path, channels) if kind in PAIRS else read_image(path)


def is_dicom_scan(path) -> bool:
    """Whether a path is DICOM's; what has the suffix of a scan is what its suffix says."""
    return not str(path).lower().endswith(SUFFIXES) and is_dicom(path)


def _whole_numbers(path, values):
    """Real numbers rounded to integers of the smallest type, slice by slice: a large map is never copied as real."""
    _check_finite(path, values)
    slices = range(values.shape[-2])
    broken, furthest, odd, low, high = 0, 0.0, 0.0, 0.0, 0.0
    for k in slices:
        rounded = np.rint(values[..., k, :])
        distance = np.abs(rounded - values[..., k, :])
        broken += int(np.count_nonzero(distance > LABEL_TOLERANCE))
        if distance.max() > furthest:
            furthest, odd = float(distance.max()), float(values[..., k, :].flat[distance.argmax()])
        low, high = min(low, float(rounded.min())), max(high, float(rounded.max()))
    if broken:
        raise InputError(
            f"{path}: {broken} voxels are not integers ({odd:g} for one); a label map holds class values, give "
            "the labels, not the image, and interpolate none when they are resampled"
        )
    if furthest:
        _check_not_scaled_away(path, values, np.rint(values))
    _check_largest(path, low, high)
    labels = np.empty_like(values, smallest(np.array([low, high]).astype(np.int32)).dtype)
    for k in slices:
        labels[..., k, :] = np.rint(values[..., k, :])
    return labels


def _check_largest(path, low, high):
    largest = max(-low, high)
    if largest > LARGEST_LABEL:
        raise InputError(f"{path}: label values up to {largest:.0f}, expected at most {LARGEST_LABEL}")


def _check_not_scaled_away(path, values, labels):
    """Refuse labels of which rounding leaves fewer: by a scale that is wrong for them, or because they are none."""
    if not labels.any():
        largest = float(np.abs(values).max())
        raise InputError(
            f"{path}: every voxel rounds to 0, though values go up to {largest:g}; a label map holds class values, "
            "give the labels themselves, and correct the intensity scale in the header if it has one"
        )
    kind = suffix(path)
    scaling = read_scaling(path) if kind in NIFTI else read_pair_scaling(path) if kind in PAIRS else (1.0, 0.0)
    if scaling == (1.0, 0.0):
        return
    stored = np.unique(values)
    same = np.flatnonzero(np.diff(np.rint(stored)) == 0)
    if same.size:
        first, second = stored[same[0] : same[0] + 2]
        raise InputError(
            f"{path}: its header scales intensities by slope {scaling[0]:g} and intercept {scaling[1]:g}, by which "
            f"{first:g} and {second:g} become the same label {np.rint(first):g}; store the class values with slope 1 "
            "and intercept 0"
        )


def _check_finite(path, voxels):
    if not all_finite(voxels):
        bad = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        mend = "replace them by numbers"
        if np.isnan(voxels).sum() == bad:
            mend = "replace them by numbers, or say what they stand for outside the field of view: zoo plan --nan 0"
        raise InputError(f"{path}: {bad} of {voxels.size} voxels are NaN or infinite; {mend}")
