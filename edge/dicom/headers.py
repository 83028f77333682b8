"""The headers of the instances that a segmentation was made from, complete enough to be referred to."""

from dataclasses import dataclass

import numpy as np

from edge.dicom.uid import uid_of
from imaging.io.dicom.dataset import decoding, open_dataset
from imaging.io.dicom.read import series_affine
from imaging.io.dicom.series import Series
from medseg.errors import InputError

# What patient and study modules take over: type 1 and 2, and optional ones, blank where a source breaks the rules.
_COPIED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight",
    "IssuerOfPatientID", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription",
    "ReferringPhysicianName",
)  # fmt: skip
_REQUIRED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_SEXES = ("M", "F", "O", "")


@dataclass(frozen=True)
class Sources:
    """Instances of a series.

    Attributes:
        images: headers, one a slice in the order of the scan's last axis, or of one multi-frame file.
        frames: for a multi-frame file the frame of each slice, from 0; None for single-frame files.
        series: what they belong to.
    """

    images: tuple
    frames: tuple[int, ...] | None
    series: Series


def sources_of(series: Series) -> Sources:
    """The headers of a series, without pixels.

    What a source lacks and DICOM requires is filled: unique identifiers by ones made from its others, the same for the
    same series; the rest stays blank, as do values that break the rules of their kind.

    Raises:
        InputError: if a file cannot be read any more, or the series has slices of several multi-frame files.
    """
    files = series.files
    several = any(frame.instance.frames > 1 for frame in series.frames)
    if several and len(files) > 1:
        raise InputError(f"{series.name}: has slices in {len(files)} multi-frame files; DICOM output takes one")
    images = tuple(open_dataset(file, pixels=False) for file in files)
    with decoding(series.name):
        study, own, place = _identity(series, images)
        for image in images:
            _complete(image, study, own, place)
            if series.placed and not several and not image.get("SliceThickness"):
                image.SliceThickness = _step(series)
    return Sources(images, tuple(frame.index for frame in series.frames) if several else None, series)


def _identity(series, images):
    """Study, series and frame of reference of the images; made up, but always the same, where they lack one."""
    first = images[0]
    seeds = [
        str(image.get("SOPInstanceUID") or frame.instance.number)
        for image, frame in zip(images, series.frames, strict=False)
    ]
    named = [str(first.get(name) or "") for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")]
    made = [uid or uid_of(kind, *seeds) for uid, kind in zip(named, "abc", strict=True)]
    if not named[2] and not series.placed:
        made[2] = ""
    return made


def _step(series):
    """mm from slice to slice; 1 for a single one."""
    affine = series_affine(series)
    return float(f"{np.linalg.norm(affine[:3, 2]):.6g}")


def _complete(image, study, own, place):
    from pydicom.config import RAISE
    from pydicom.valuerep import validate_value

    image.StudyInstanceUID, image.SeriesInstanceUID = study, own
    if place:
        image.FrameOfReferenceUID = place
    if not image.get("SOPInstanceUID") or not image.get("SOPClassUID"):
        raise InputError("an instance of the series has no SOP Instance UID, so DICOM objects cannot refer to it")
    # What is written is in Unicode, whatever character sets the source uses.
    texts = {name: image.get(name) for name in _COPIED if name in image}
    image.SpecificCharacterSet = "ISO_IR 192"
    for name, value in texts.items():
        if image[name].VR == "PN":
            setattr(image, name, str(value or ""))
        element = image[name]
        try:
            if element.VM > 1:
                raise ValueError
            validate_value(element.VR, str(element.value or ""), RAISE)
        except ValueError:
            setattr(image, name, None)
    if image.get("PatientSex") not in _SEXES:
        image.PatientSex = ""
    for name in _REQUIRED:
        if image.get(name) is None:
            setattr(image, name, "")
    for name in ("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "IssuerOfPatientID"):
        if name in image and image.get(name) in (None, ""):
            delattr(image, name)
