"""DICOM series read as scans: a folder, a zip, a DICOMDIR or files in, voxels with their place in the patient out.

    series = find_series("study/")
    scan = read_series(series[0])

Files are looked at whatever they are called, put into series and volumes by what their headers say, and stacked by
position. No name or other data of a patient is in any message.
"""

from imaging.io.dicom.label import read_dicom_labels
from imaging.io.dicom.read import read_dicom, read_series
from imaging.io.dicom.reference import dicom_reference, is_dicom
from imaging.io.dicom.series import Series, choose, find_series

__all__ = [
    "Series",
    "choose",
    "dicom_reference",
    "find_series",
    "is_dicom",
    "read_dicom",
    "read_dicom_labels",
    "read_series",
]
