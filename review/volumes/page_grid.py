"""The grid that the page, drafts and corrections share: always a volume of three axes, in RAS+ millimetres.

A volume is its own, and so is a flat scan of a format that places voxels in the patient (NIfTI, NRRD, MetaImage). A
picture of rows and columns becomes one slice (columns, rows, 1), whose first axis runs to the patient's left and whose
second to the back, as in an axial DICOM slice.
"""

from dataclasses import replace

import numpy as np

from imaging.geometry.flat import PICTURE, axes_of
from imaging.geometry.grid import align
from imaging.io.nifti import nifti_bytes
from imaging.scan import Scan


def is_picture(scan: Scan) -> bool:
    """Whether a scan is flat and lies nowhere, as pictures and single DICOM images do: rows and columns."""
    return scan.rank == 2 and axes_of(scan) == PICTURE


def on_page(scan: Scan) -> Scan:
    """A scan, or labels on its grid, as a volume."""
    if scan.rank == 3:
        return scan
    if not is_picture(scan):  # its axes are the world's already
        return Scan(scan.voxels[:, :, None], scan.affine)
    rows, columns = scan.spacing
    return Scan(scan.voxels.transpose(1, 0, 2)[:, :, None], np.diag([-columns, -rows, 1.0, 1.0]))


def off_page(labels: Scan, grid: Scan) -> Scan:
    """Labels on the page's grid as labels on that of the scan.

    Args:
        labels: (i, j, k, 1) on ``on_page(grid)``.
        grid: the scan's own.
    """
    if grid.rank == 3:
        return replace(grid, voxels=labels.voxels)
    flat = labels.voxels[:, :, 0]
    return replace(grid, voxels=flat.transpose(1, 0, 2) if is_picture(grid) else flat)


def as_page(labels: Scan, grid: Scan, name) -> Scan:
    """Labels of a client, whatever way their axes run, on the page's grid.

    Args:
        labels: volume, or one flat image.
        grid: the scan's own.
        name: what a message calls the labels.

    Raises:
        InputError: if they lie elsewhere or have another shape.
    """
    page = on_page(grid)
    if labels.rank == 2:
        labels = Scan(labels.voxels[:, :, None], labels.affine)
    return align(labels, page, name, "the scan")


def volume_bytes(scan: Scan, channel: int) -> bytes:
    """A channel of a scan as an uncompressed NIfTI file on the page's grid, integers as integers.

    Args:
        scan: as it was read.
        channel: which, from 0.
    """
    page = on_page(scan)
    voxels = page.voxels[..., channel : channel + 1]
    whole = np.rint(voxels)
    if np.abs(voxels).max(initial=0) < 2**15 and np.array_equal(whole, voxels):
        voxels = whole.astype(np.int16)
    return nifti_bytes(replace(page, voxels=voxels), compressed=False)


def colour_bytes(scan: Scan) -> bytes:
    """A picture of three channels as a NIfTI file of RGB24 voxels (datatype 128) on the page's grid.

    Of a picture of more than 8 bits the brightest value becomes 255.
    """
    import nibabel

    page = on_page(scan)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    header.set_data_shape(page.shape)
    header.set_sform(page.affine, code=1)
    header.set_qform(page.affine, code=1)
    header.set_xyzt_units("mm")
    header["vox_offset"] = header.single_vox_offset
    scale = np.float32(255 / max(255.0, float(page.voxels.max())))
    colours = np.clip(np.rint(page.voxels * scale), 0, 255).astype(np.uint8)
    # Colour is stored by voxel, the first axis fastest.
    return header.binaryblock + bytes(4) + colours.transpose(2, 1, 0, 3).tobytes()
