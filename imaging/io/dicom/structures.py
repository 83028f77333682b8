"""RT Structure Sets: outlines, filled by the centres of pixels."""

import warnings

import numpy as np

from imaging.io.dicom.contours import fill, filling_work
from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.grid import Grid
from medseg.errors import InputError

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_MOST_WORK = 4 * 10**9  # of filling outlines, some ten seconds; a hundred structures of a thousand slices take less
_TILT = 0.5  # slices that the points of one outline may part from a plane of the series


def roi_names(dataset) -> dict[int, str]:
    """Number and name of the regions of interest that have an outline."""
    drawn = {int(item.ReferencedROINumber) for item in dataset.get("ROIContourSequence") or () if _closed(item)}
    return {
        int(item.ROINumber): str(item.get("ROIName") or f"structure {item.ROINumber}").strip()
        for item in dataset.get("StructureSetROISequence") or ()
        if int(item.ROINumber) in drawn
    }


def rois(dataset, file: DicomFile, grid: Grid):
    """The regions of interest on a grid.

    A voxel belongs to one if its centre lies inside an odd number of its outlines in that slice, so an outline inside
    another is a hole. Points and open lines are left out.

    Args:
        dataset: of an RTSTRUCT.
        file: where it lies.
        grid: that they are wanted on.

    Yields:
        Numbers, one for each voxel, and voxels, (N, 3) columns, rows and slices of the grid.

    Raises:
        InputError: if an outline lies outside the series or across its slices, or the outlines are so many that filling
            them would take minutes.
    """
    if grid.affine is None:
        raise InputError(f"{file.name}: the image does not say where it lies, so outlines cannot be drawn on it")
    for item in dataset.get("StructureSetROISequence") or ():
        grid.check_reference(str(item.get("ReferencedFrameOfReferenceUID") or ""), file.name)
    outlined = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    to_index = np.linalg.inv(grid.affine)
    work, shape = 0, grid.shape[1::-1]
    for number in roi_names(dataset):
        masks: dict[int, np.ndarray] = {}
        for contour in _closed(outlined[number]):
            index = _points(contour) @ to_index[:3, :3].T + to_index[:3, 3]
            place = round(float(index[:, 2].mean()))
            if not 0 <= place < grid.shape[2]:
                raise InputError(
                    f"{file.name}: structure {number} has an outline outside the series; is it of another?"
                )
            if np.abs(index[:, 2] - place).max() > _TILT:
                raise InputError(
                    f"{file.name}: structure {number} has outlines across the slices; expected them in the planes of "
                    "the series"
                )
            if (index[:, :2].max(0) < 0).any() or (index[:, :2].min(0) > np.array(grid.shape[:2]) - 1).any():
                raise InputError(
                    f"{file.name}: structure {number} has an outline outside the series; is it of another one?"
                )
            work += filling_work(index[:, :2], shape)
            if work > _MOST_WORK:
                raise InputError(
                    f"{file.name}: its outlines reach over more than {_MOST_WORK:.0e} pixels in all, expected those of "
                    "structures in one scan; it is damaged, or give fewer structures"
                )
            masks[place] = masks.get(place, False) ^ fill(index[:, :2], shape)
        for place, mask in masks.items():
            pixels = np.argwhere(mask)
            voxels = np.column_stack([pixels[:, ::-1], np.full(len(pixels), place)])
            yield np.full(len(voxels), number), voxels


def _points(contour) -> np.ndarray:
    """The points of an outline, (N, 3); pydicom would make an object of each of its numbers."""
    given = contour.get_item("ContourData").value
    if not isinstance(given, bytes | str):  # it has been decoded before
        return np.array([float(value) for value in given or ()]).reshape(-1, 3)
    text = given.decode("ascii") if isinstance(given, bytes) else given
    text = text.strip(" \0")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what NumPy tells of text that is no number
        numbers = np.fromstring(text, sep=" \\ ")
    if len(numbers) != text.count("\\") + 1 or not np.isfinite(numbers).all():
        raise ValueError("not all of an outline are finite numbers")
    return numbers.reshape(-1, 3)


def _closed(item):
    return [c for c in item.get("ContourSequence") or () if c.get("ContourGeometricType") in _CLOSED]
