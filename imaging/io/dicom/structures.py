"""RT Structure Sets: outlines, filled by the centres of pixels."""

import numpy as np

from imaging.io.dicom.contours import fill
from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.grid import Grid
from medseg.errors import InputError

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
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
        Number, name and mask, bool of the grid's shape.

    Raises:
        InputError: if an outline lies outside the series or across its slices.
    """
    if grid.affine is None:
        raise InputError(f"{file.name}: the image does not say where it lies, so outlines cannot be drawn on it")
    for item in dataset.get("StructureSetROISequence") or ():
        grid.check_reference(str(item.get("ReferencedFrameOfReferenceUID") or ""), file.name)
    outlined = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    to_index = np.linalg.inv(grid.affine)
    for number, name in roi_names(dataset).items():
        mask = np.zeros(grid.shape[::-1], bool)
        for contour in _closed(outlined[number]):
            points = np.array([float(value) for value in contour.ContourData]).reshape(-1, 3)
            index = (np.column_stack([points, np.ones(len(points))]) @ to_index.T)[:, :3]
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
            mask[place] ^= fill(index[:, :2], grid.shape[1::-1])
        yield number, name, mask.transpose(2, 1, 0)


def _closed(item):
    return [c for c in item.get("ContourSequence") or () if c.get("ContourGeometricType") in _CLOSED]
