"""DICOM series read as scans: a folder, a zip, a DICOMDIR or files in, voxels with their place in the patient out.

    series = find_series("study/")
    scan = read_series(series[0])

Files are looked at whatever they are called, put into series and volumes by what their headers say, and stacked by
position. No name or other data of a patient is in any message.

Names are loaded when first used.
"""

import importlib

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

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__():
    return __all__
