"""The voxel grid of a series, which labels are put on by their place in the patient."""

from dataclasses import dataclass

import numpy as np

from imaging.geometry.flat import PICTURE
from imaging.io.dicom.geometry import LPS_TO_RAS
from imaging.io.dicom.read import series_affine
from imaging.io.dicom.series import Series
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.untrusted import in_one_line

OFF_GRID = 0.1  # share of a voxel that a label's pixel may lie off the centre of the image's


@dataclass(frozen=True)
class Grid:
    """A grid.

    Attributes:
        shape: columns, rows, slices.
        affine: voxel to world, mm, LPS; None for an image that lies nowhere.
        frame_of_reference: its unique identifier, or "".
        flat: whether it is that of a single image, which is read as (rows, columns).
        spacing: mm between rows and columns of a flat image, or None.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray | None
    frame_of_reference: str
    flat: bool = False
    spacing: tuple[float, ...] | None = None

    def scan(self, voxels: np.ndarray) -> Scan:
        """Voxels (columns, rows, slices) as the scan that ``read_series`` would make of them."""
        if not self.flat:
            return Scan(voxels[..., None], LPS_TO_RAS @ self.affine)
        spacing = self.spacing or (1.0, 1.0)
        affine, known = np.diag([*spacing, 1.0, 1.0]), self.spacing is not None
        return Scan(voxels.transpose(1, 0, 2), affine, has_spacing=known, axes=PICTURE)

    def place(self, voxels: np.ndarray, affine: np.ndarray, name) -> np.ndarray:
        """Voxels of a grid of its own, as voxels of this one.

        Args:
            voxels: (N, 3), columns, rows and slices.
            affine: of their grid, voxel to world, LPS.
            name: what holds them, for messages.

        Returns:
            int64 (N, 3), in the same order.

        Raises:
            InputError: if they do not lie on this grid's.
        """
        if not len(voxels):
            return np.empty((0, 3), np.int64)
        exact = np.linalg.solve(self.affine, affine @ np.column_stack([voxels, np.ones(len(voxels))]).T)[:3].T
        index = np.rint(exact).astype(np.int64)
        off = float(np.abs(exact - index).max())
        if off > OFF_GRID:
            raise InputError(
                f"{name}: its pixels lie up to {off:.2g} of a voxel off those of the series, expected the same grid; "
                "resample it onto the series"
            )
        outside = ((index < 0) | (index >= self.shape)).any(axis=1)
        if outside.any():
            raise InputError(
                f"{name}: {int(outside.sum())} of its voxels lie outside the series; is it of another one?"
            )
        return index

    def check_reference(self, uid: str, name) -> None:
        """Require labels to be of this grid's frame of reference, where both name one.

        Raises:
            InputError: if they are of another.
        """
        uid = in_one_line(uid)
        if uid and self.frame_of_reference and uid != self.frame_of_reference:
            raise InputError(
                f"{name}: is of another frame of reference than the series ({uid} and {self.frame_of_reference}); give "
                "the series that it was drawn on"
            )


def grid_of(series: Series) -> Grid:
    """The grid of a series.

    Raises:
        InputError: as ``series_affine`` does.
    """
    first = series.frames[0]
    flat = len(series.frames) == 1
    affine = LPS_TO_RAS @ series_affine(series) if series.placed else None
    if affine is None and not flat:
        series_affine(series)
    shape = (first.instance.columns, first.instance.rows, len(series.frames))
    return Grid(shape, affine, first.instance.frame_of_reference, flat, first.spacing)
