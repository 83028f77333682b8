"""Segmentations as DICOM objects: SEG, structured report, RTSTRUCT, secondary capture.

    series = choose(find_series("study/"))
    segmentation = segmenter.predict(read_series(series))
    objects = dicom_objects(segmentation.labels, series, origin_of(segmenter.manifest), ("seg", "sr"))

Each object is of the patient and study of the series that it was made from and refers to its instances.

Names are loaded when first used.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {
    "DicomOptions": "objects",
    "KINDS": "kinds",
    "Origin": "origin",
    "SegmentCode": "codes",
    "code_of": "codes",
    "dicom_bytes": "objects",
    "dicom_objects": "objects",
    "load_codes": "codes",
    "origin_of": "origin",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
