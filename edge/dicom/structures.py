"""RT Structure Sets: outlines of a segmentation on the slices that it was made from (PS3.3 A.19)."""

import datetime

import numpy as np

from edge.dicom.headers import Sources
from edge.dicom.identity import Identity
from edge.dicom.origin import MANUFACTURER, Origin
from edge.dicom.segmentation import segment_code
from imaging.io.dicom.contours import outlines
from imaging.io.dicom.geometry import LPS_TO_RAS
from imaging.io.dicom.read import series_affine
from imaging.regions import mask_of
from medseg.errors import InputError

_SERIES_NUMBER = 903
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, which the standard still asks for here


def structure_set(classes: np.ndarray, sources: Sources, origin: Origin, identity: Identity, codes):
    """A segmentation as an RT Structure Set.

    Outlines run along the borders of pixels, so filling them by pixel centres gives the same voxels again; holes are
    cut in by a channel (keyhole). A structure without a voxel is listed without an outline.

    Args:
        classes: label values (slices, rows, columns), as the source's frames.
        sources: what was segmented.
        origin: what made it.
        identity: gives its unique identifiers.
        codes: table of codes.

    Returns:
        A pydicom dataset.

    Raises:
        InputError: if the source has no place in the patient.
    """
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

    if not sources.series.placed:
        raise InputError(f"{sources.series.name}: does not say where it lies in the patient, so no RTSTRUCT is written")
    now, first = datetime.datetime.now(), sources.images[0]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = identity.uid("rtstruct")
    structures = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    structures.SpecificCharacterSet = "ISO_IR 192"
    structures.SOPClassUID, structures.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    for name in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
                 "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
                 "FrameOfReferenceUID"):  # fmt: skip
        if name in first:
            setattr(structures, name, first.get(name))
    structures.PositionReferenceIndicator = first.get("PositionReferenceIndicator") or ""
    structures.Modality, structures.Manufacturer = "RTSTRUCT", MANUFACTURER
    structures.ManufacturerModelName, structures.DeviceSerialNumber = origin.name, origin.serial
    structures.SoftwareVersions = origin.version
    structures.OperatorsName = ""
    structures.SeriesInstanceUID, structures.SeriesNumber = identity.uid("rtstruct series"), _SERIES_NUMBER
    structures.SeriesDescription = f"Structures {origin.name}"[:64]
    structures.InstanceCreationDate = structures.StructureSetDate = now.strftime("%Y%m%d")
    structures.InstanceCreationTime = structures.StructureSetTime = now.strftime("%H%M%S")
    structures.StructureSetLabel = origin.name[:16]
    structures.ReferencedFrameOfReferenceSequence = [_frame_of_reference(sources)]
    rois, contours, observations = [], [], []
    affine = LPS_TO_RAS @ series_affine(sources.series)
    for number, (name, values) in enumerate(origin.structures.items(), start=1):
        code = segment_code(origin, name, codes)
        roi = Dataset()
        roi.ROINumber, roi.ReferencedFrameOfReferenceUID = number, first.FrameOfReferenceUID
        roi.ROIName, roi.ROIGenerationAlgorithm = name[:64], "AUTOMATIC"
        rois.append(roi)
        contour = Dataset()
        contour.ROIDisplayColor, contour.ReferencedROINumber = list(code.color), number
        drawn = list(_contours(mask_of(classes, values), affine, sources))
        if drawn:
            contour.ContourSequence = drawn
        contours.append(contour)
        observation = Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
        observations.append(observation)
    structures.StructureSetROISequence, structures.ROIContourSequence = rois, contours
    structures.RTROIObservationsSequence = observations
    structures.ApprovalStatus = "UNAPPROVED"
    return structures


def _contours(mask, affine, sources):
    from pydicom.dataset import Dataset

    for place, plane in enumerate(mask):
        for polygon in outlines(plane) if plane.any() else ():
            index = np.column_stack([polygon, np.full(len(polygon), place), np.ones(len(polygon))])
            points = (index @ affine.T)[:, :3]
            contour = Dataset()
            contour.ContourImageSequence = [_reference(sources, place)]
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
            yield contour


def _reference(sources, place):
    from pydicom.dataset import Dataset

    image = sources.images[place if sources.frames is None else 0]
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if sources.frames is not None:
        item.ReferencedFrameNumber = sources.frames[place] + 1
    return item


def _frame_of_reference(sources):
    from pydicom.dataset import Dataset

    first = sources.images[0]
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    images = []
    for image in sources.images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        images.append(item)
    series.ContourImageSequence = images
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    return frame
