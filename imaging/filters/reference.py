"""The reference scan of a registration in plain JSON types, small enough to travel in a recipe."""

import base64
import binascii
import math
import zlib
from dataclasses import dataclass

import numpy as np

from imaging.geometry.orientation import reorient
from imaging.geometry.resampling import resample
from imaging.io.files import read
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from medseg.limits import check_bytes

MOST_VOXELS = 300_000  # that are stored; a larger reference is registered to on coarser voxels
_FIELDS = {"shape", "affine", "grid_shape", "grid_affine", "voxels"}
_LEVELS = 255


@dataclass(frozen=True)
class Reference:
    """A reference.

    Attributes:
        scan: what is registered to, (*spatial, 1).
        grid_shape: of the grid that results lie on.
        grid_affine: (4, 4) of it.
    """

    scan: Scan
    grid_shape: tuple[int, ...]
    grid_affine: np.ndarray


def load_reference(path) -> dict:
    """Read the file of a reference scan: its first channel, in 3D turned to RAS.

    Returns:
        Plain JSON types: shape and affine of the voxels that are stored (8 bits, compressed, base64), and of the file's
        own grid.

    Raises:
        InputError: if it cannot be read or is constant.
    """
    scan = read(path)
    scan = reorient(scan, "RAS") if scan.rank == 3 else scan
    first = Scan(np.ascontiguousarray(scan.voxels[..., :1]), scan.affine)
    small = first
    if math.prod(scan.shape) > MOST_VOXELS:
        factor = (math.prod(scan.shape) / MOST_VOXELS) ** (1 / scan.rank)
        small = resample(first, size=tuple(max(1, int(n / factor)) for n in scan.shape))
    low, high = (float(limit) for limit in np.percentile(small.voxels, (0.5, 99.5)))
    if not high > low:
        raise InputError(f"{path}: is constant, expected a scan that others can be registered to")
    levels = np.rint(np.clip((small.voxels[..., 0] - low) / (high - low), 0, 1) * _LEVELS).astype(np.uint8)
    return {
        "shape": list(small.shape),
        "affine": _rows(small.affine),
        "grid_shape": list(scan.shape),
        "grid_affine": _rows(scan.affine),
        "voxels": base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode("ascii"),
    }


def reference_of(data, rank: int) -> Reference:
    """The reference in plain JSON types.

    Args:
        data: as ``load_reference`` makes it.
        rank: spatial axes that it must have.

    Raises:
        UsageError: if it is none.
        InputError: if its grid asks for more memory than the limit.
    """
    where = "filter register: reference"
    if not isinstance(data, dict) or set(data) != _FIELDS:
        raise UsageError(f"{where}: expected what zoo plan --filter register=reference:FILE stores")
    shapes, affines = [], []
    for name in ("shape", "grid_shape"):
        shape = data[name]
        whole = isinstance(shape, list | tuple) and all(type(n) is int and 1 <= n <= 65536 for n in shape)
        if not whole or len(shape) != rank:
            raise UsageError(f"{where}: {name} is no shape of {rank} axes; the scans have {rank}")
        shapes.append(tuple(shape))
    for name in ("affine", "grid_affine"):
        try:
            affine = np.asarray(data[name], float).reshape(3, 4)
        except (TypeError, ValueError):
            affine = np.full((3, 4), np.nan)
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:, :3])) < 1e-18:
            raise UsageError(f"{where}: {name} is no affine of 12 numbers")
        affines.append(np.vstack([affine, [0, 0, 0, 1]]))
    count = math.prod(shapes[0])
    if count > MOST_VOXELS:
        raise UsageError(f"{where}: {count} voxels, expected at most {MOST_VOXELS}")
    check_bytes(where, 4 * math.prod(shapes[1]), "its grid")
    try:
        levels = zlib.decompressobj().decompress(base64.b64decode(data["voxels"], validate=True), count + 1)
    except (TypeError, ValueError, zlib.error, binascii.Error):
        levels = b""
    if len(levels) != count:
        raise UsageError(f"{where}: voxels are damaged; plan again")
    voxels = np.frombuffer(levels, np.uint8).reshape(*shapes[0], 1).astype(np.float32)
    return Reference(Scan(voxels, affines[0]), shapes[1], affines[1])


def _rows(affine):
    return [float(number) for number in np.asarray(affine, float)[:3].ravel()]
