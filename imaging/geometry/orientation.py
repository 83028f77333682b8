"""Orientation of the voxel axes in the patient: R right, A anterior, S superior, and their opposites L, P, I."""

import numpy as np

from imaging.scan import Scan
from medseg.errors import UsageError
from medseg.untrusted import shown


def axis_codes(affine: np.ndarray) -> str:
    """The direction that each voxel axis of a 3D scan runs towards, nearest anatomical axis, such as "RAS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(affine))


def check_codes(codes: str) -> None:
    """Require ``codes`` to name each of the three anatomical axes once.

    Raises:
        UsageError: otherwise.
    """
    if sorted("RAS"["RLAPSI".index(c) // 2] if c in "RLAPSI" else "?" for c in codes) != ["A", "R", "S"]:
        raise UsageError(f"orientation {shown(codes)}: expected one each of R or L, A or P, S or I, such as 'RAS'")


def reorient(scan: Scan, codes: str) -> Scan:
    """Flip and permute the axes of a 3D scan so that they run towards ``codes``; no voxel changes its value or place.

    Args:
        scan: voxels (X, Y, Z, C).
        codes: such as "RAS": the first axis then runs to the patient's right, the second forward, the third up.

    Returns:
        A scan whose voxels are a view of the given ones. An oblique scan stays oblique: its axes are only those
        nearest to the ones asked for.

    Raises:
        UsageError: for codes that are none, or a 2D scan.
    """
    check_codes(codes)
    if scan.rank != 3:
        raise UsageError(f"orientation {codes!r} for a scan of shape {scan.shape}: expected 3 spatial axes")
    from nibabel import orientations

    have = orientations.io_orientation(scan.affine)
    change = orientations.ornt_transform(have, orientations.axcodes2ornt(tuple(codes)))
    flips = tuple(slice(None, None, int(step)) for step in change[:, 1])
    order = np.argsort(change[:, 0])
    voxels = scan.voxels[flips].transpose(*(int(axis) for axis in order), 3)
    return Scan(voxels, scan.affine @ orientations.inv_ornt_aff(change, scan.shape))
