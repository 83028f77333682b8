"""Segmentations as DICOM objects: SEG, structured report, RTSTRUCT, secondary capture.

    series = choose(find_series("study/"))
    segmentation = segmenter.predict(read_series(series))
    objects = dicom_objects(segmentation.labels, series, origin_of(segmenter.manifest), ("seg", "sr"))

Each object is of the patient and study of the series that it was made from and refers to its instances.
"""

from edge.dicom.codes import SegmentCode, code_of, load_codes
from edge.dicom.objects import KINDS, DicomOptions, dicom_bytes, dicom_objects
from edge.dicom.origin import Origin, origin_of

__all__ = [
    "KINDS",
    "DicomOptions",
    "Origin",
    "SegmentCode",
    "code_of",
    "dicom_bytes",
    "dicom_objects",
    "load_codes",
    "origin_of",
]
