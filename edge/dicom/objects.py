"""All DICOM objects of one segmentation, made together so that they refer to each other."""

import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.dicom.codes import load_codes
from edge.dicom.headers import sources_of
from edge.dicom.identity import identity_of
from edge.dicom.kinds import KINDS
from edge.dicom.origin import Origin
from imaging.io.dicom.read import read_series
from imaging.io.dicom.series import Series
from imaging.regions import mask_of
from imaging.scan import Scan
from medseg.errors import InputError, UsageError


@dataclass(frozen=True)
class DicomOptions:
    """How objects are written.

    Attributes:
        codes: JSON file with a table of codes that goes before ours, or None.
        labelmap: write the SEG as LABELMAP instead of BINARY.
    """

    codes: str | None = None
    labelmap: bool = False


def dicom_objects(
    labels: Scan,
    series: Series,
    origin: Origin,
    kinds: Sequence[str] = ("seg",),
    options: DicomOptions | None = None,
    scan: Scan | None = None,
) -> dict[str, list]:
    """A segmentation as DICOM objects.

    Args:
        labels: label values on the grid of ``read_series(series)``.
        series: what was segmented.
        origin: what made it: ``origin_of(segmenter.manifest)``.
        kinds: of ``KINDS``. A structured report refers to segments, so "sr" makes "seg", too.
        options: how.
        scan: the series as it was read, so that a capture need not read it again.

    Returns:
        Kind to pydicom datasets: one of each but "capture", which has one a slice.

    Raises:
        UsageError: for an unknown kind.
        InputError: if a kind cannot hold this segmentation, or highdicom is not installed.
    """
    options = options or DicomOptions()
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise UsageError(f"kind {unknown[0] if unknown else ''!r}: expected {', '.join(KINDS)}")
    require_highdicom()
    from edge.dicom.capture import captures
    from edge.dicom.report import report_object
    from edge.dicom.segmentation import segmentation_object
    from edge.dicom.structures import structure_set

    codes, sources = load_codes(options.codes), sources_of(series)
    classes = _slices(labels, series)[..., 0]
    identity = identity_of(classes, sources, origin, "labelmap" if options.labelmap else "")
    made = {}
    if "seg" in kinds or "sr" in kinds:
        seg = segmentation_object(classes, sources, origin, identity, codes, options.labelmap)
        made["seg"] = [seg]
    if "sr" in kinds:
        made["sr"] = [report_object(seg, *_sizes(labels, origin), sources, origin, identity, codes)]
    if "rtstruct" in kinds:
        made["rtstruct"] = [structure_set(classes, sources, origin, identity, codes)]
    if "capture" in kinds:
        images = _slices(scan if scan is not None else read_series(series, labels.rank), series)
        made["capture"] = captures(classes, images, sources, origin, identity, codes)
    return made


def dicom_bytes(dataset) -> bytes:
    """The content of a DICOM file that holds ``dataset``."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _slices(scan, series):
    """Voxels (slices, rows, columns, C)."""
    first = series.frames[0].instance
    voxels = scan.voxels.transpose(2, 1, 0, 3) if scan.rank == 3 else scan.voxels[None]
    expected = (len(series.frames), first.rows, first.columns)
    if voxels.shape[:3] != expected:
        raise InputError(f"{series.name}: segmentation of shape {voxels.shape[:3]}, expected {expected}, as the series")
    return voxels


def _sizes(labels, origin):
    """Volumes in ml and areas in mm² of the structures: one of the two is empty."""
    counts = {name: int(np.count_nonzero(mask_of(labels.voxels, values))) for name, values in origin.structures.items()}
    if labels.rank == 3:
        voxel = abs(float(np.linalg.det(labels.affine[:3, :3]))) / 1000
        return {name: count * voxel for name, count in counts.items()}, {}
    if not labels.has_spacing:
        return {}, {}
    pixel = float(np.prod(labels.spacing))
    return {}, {name: count * pixel for name, count in counts.items()}


def require_highdicom() -> None:
    """Require highdicom, which the extra ``[dicom]`` brings.

    Raises:
        InputError: if it is not installed.
    """
    try:
        importlib.import_module("highdicom")
    except ImportError:
        raise InputError(
            'DICOM output needs highdicom, which is not installed: pip install "medseg-zoo[dicom]"'
        ) from None
