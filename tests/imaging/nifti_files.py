"""Hypothesis strategies that write NIfTI-1 files field by field, without any of nibabel's care."""

import gzip
from dataclasses import dataclass

import nibabel
import numpy as np
from hypothesis import strategies as st

CODES = st.sampled_from(range(6))
DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8")


@dataclass(frozen=True)
class File:
    """A file and what was put into it."""

    content: bytes
    voxels: np.ndarray
    qform_code: int
    sform_code: int
    packed: bool


@st.composite
def rotations(draw):
    """(b, c, d) of a unit quaternion with a >= 0, and its matrix."""
    a, b, c, d = (draw(st.floats(-1, 1, width=32)) for _ in range(4))
    quaternion = np.array([abs(a) + 0.05, b, c, d])
    quaternion /= np.linalg.norm(quaternion)
    return quaternion[1:], nibabel.quaternions.quat2mat(quaternion)


@st.composite
def files(draw, one_transform=False, axes=(2, 3)):
    """A NIfTI-1 file.

    Args:
        one_transform: at most one of qform and sform has a code, so that all readers must agree.
        axes: number of axes to choose from.
    """
    rank = draw(st.sampled_from(axes))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    order = draw(st.sampled_from("<>"))
    dtype = np.dtype(order + draw(st.sampled_from(DTYPES)))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    voxels = random.integers(0, 100, shape).astype(dtype)
    slope, intercept = draw(st.sampled_from([(0, 0), (1, 0), (2, -1024), (0.5, 3), (np.nan, np.nan)]))
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["scl_slope"], header["scl_inter"] = slope, intercept
    extension = draw(st.sampled_from([b"", bytes(32)]))
    header["vox_offset"] = 352 + len(extension)
    sizes = [draw(st.floats(0.25, 5, width=32)) for _ in range(3)]
    header["pixdim"][:4] = (draw(st.sampled_from([1, -1])), *sizes)
    header["xyzt_units"] = draw(st.sampled_from([0, 1, 2, 3, 5, 7, 2 | 8, 3 | 16]))
    codes = draw(st.sampled_from([(0, 1), (1, 0), (2, 0), (0, 4)]) if one_transform else st.tuples(CODES, CODES))
    header["qform_code"], header["sform_code"] = codes
    (b, c, d), _ = draw(rotations())
    header["quatern_b"], header["quatern_c"], header["quatern_d"] = b, c, d
    _, turn = draw(rotations())
    flips = [draw(st.sampled_from([1, -1])) for _ in range(3)]
    rows = turn @ np.diag(np.multiply(sizes, flips))
    for i, axis in enumerate("xyz"):
        header[f"qoffset_{axis}"] = draw(st.floats(-100, 100, width=32))
        header[f"srow_{axis}"] = (*rows[i], draw(st.floats(-100, 100, width=32)))
    content = header.binaryblock + bytes(4) + extension + voxels.tobytes(order="F")
    packed = draw(st.booleans())
    scaled = voxels.astype(float) * slope + intercept if slope and np.isfinite(slope) else voxels.astype(float)
    return File(gzip.compress(content, mtime=0) if packed else content, scaled, *codes, packed)
