"""Orientation of the voxel axes in the patient: R right, A anterior, S superior, and their opposites L, P, I."""

from dataclasses import dataclass, replace

import numpy as np

from imaging.scan import Scan
from medseg.errors import UsageError
from medseg.untrusted import shown


@dataclass(frozen=True)
class Turn:
    """Another order and direction of the axes of a grid; no voxel changes its value or place.

    Attributes:
        order: the old axis of each new one.
        flipped: whether the new axis runs against the old one.
    """

    order: tuple[int, ...]
    flipped: tuple[bool, ...]

    def of(self, array: np.ndarray) -> np.ndarray:
        """A view of an array (*spatial, ...) along the new axes."""
        rest = range(len(self.order), array.ndim)
        return array.transpose(*self.order, *rest)[self._steps()]

    def back(self, array: np.ndarray) -> np.ndarray:
        """A view of an array (*spatial, ...) on the new axes along the old ones."""
        rest = range(len(self.order), array.ndim)
        return array[self._steps()].transpose(*(int(axis) for axis in np.argsort(self.order)), *rest)

    def of_slices(self, slices: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Slices (of step 1) of the old grid, whose shape is given, on the new one."""
        parts = []
        for axis, flip in zip(self.order, self.flipped, strict=True):
            part, length = slices[axis], shape[axis]
            parts.append(slice(length - part.stop, length - part.start) if flip else part)
        return tuple(parts)

    def _steps(self):
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)


def canonical(scan: Scan) -> tuple[Scan, Turn]:
    """A scan whose axes run along those of the world, as nearly as its own allow, in their order.

    Args:
        scan: 2D or 3D.

    Returns:
        The scan, whose voxels are a view, and the turn that leads to it; the scan itself where it lies so already.
    """
    from nibabel.orientations import io_orientation

    rank = scan.rank
    nearest = io_orientation(np.asarray(scan.affine, float)[:, [*range(rank), 3]])
    order = tuple(int(axis) for axis in np.argsort(nearest[:, 0], kind="stable"))
    turn = Turn(order, tuple(bool(nearest[axis, 1] < 0) for axis in order))
    return turned(scan, turn), turn


def turned(scan: Scan, turn: Turn) -> Scan:
    """A scan along other axes; its voxels are a view, and each keeps its place.

    Args:
        scan: 2D or 3D.
        turn: of its axes.

    Returns:
        The scan; itself where nothing turns.
    """
    rank = scan.rank
    if turn.order == tuple(range(rank)) and not any(turn.flipped):
        return scan
    local = np.zeros((4, 4))
    local[3, 3] = 1
    for new, (old, flip) in enumerate(zip(turn.order, turn.flipped, strict=True)):
        local[old, new] = -1 if flip else 1
        local[old, 3] = scan.shape[old] - 1 if flip else 0
    for axis in range(rank, 3):
        local[axis, axis] = 1
    return replace(scan, voxels=turn.of(scan.voxels), affine=scan.affine @ local, geometry=None)


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
