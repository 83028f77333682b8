"""DICOM series read as scans: a folder, a zip, a DICOMDIR or files in, voxels with their place in the patient out.

    series = find_series("study/")
    scan = read_series(series[0])

Files are looked at whatever they are called, put into series and volumes by what their headers say, and stacked by
position. No name or other data of a patient is in any message.

Names are loaded when first used.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {
    "Series": "series",
    "choose": "series",
    "dicom_reference": "reference",
    "find_series": "series",
    "is_dicom": "reference",
    "label_reference": "label",
    "read_dicom": "read",
    "read_dicom_labels": "label",
    "read_series": "read",
    "segment_masks": "label",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
