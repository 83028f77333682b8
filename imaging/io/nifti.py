"""NIfTI-1 and NIfTI-2 files; header and arrays by nibabel."""

import gzip
import math
import os

import numpy as np

from imaging.geometry.flat import axes_in_header
from imaging.io.nifti_header import LONGEST, NiftiHeader, parse_header, place, world_affine
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.limits import check_bytes
from medseg.untrusted import open_regular

GZIP = b"\x1f\x8b"
# A deflated byte becomes 1032 at most (zlib's own figure), and what is shorter than that is truncated for certain.
DEFLATE_RATIO = 1032


def read_nifti(path, channels: int | None = None) -> Scan:
    """Read a NIfTI file; whether it is compressed is told by its first bytes, not by its name.

    Args:
        path: a single file; of pairs (.hdr and .img) see ``imaging.io.volumes.pair``.
        channels: take the fourth axis as that many channels; without it a fourth axis longer than 1 is an error.

    Returns:
        A scan with float32 voxels (*spatial, C), intensities scaled as the header says, the affine in mm (sform first,
        as nibabel does) and the header's own geometry.

    Raises:
        InputError: if the file is damaged, holds no real numbers, has more axes than expected, no usable affine, more
            or fewer bytes than its header announces, or asks for more memory than the limit.
    """
    try:
        with open_regular(path) as stored:
            file = unpacked(stored)
            header = parse_header(path, file.read(LONGEST))
            return read_voxels(path, stored, file, header, channels)
    except InputError:
        raise
    except Exception as error:  # what a damaged file makes gzip and nibabel raise is of many types
        raise unreadable(path, error) from None


def read_scaling(path, pair: bool = False) -> tuple[float, float]:
    """The slope and the intercept of the intensities in the header of a NIfTI file; (1, 0) where it gives none.

    Args:
        path: of a single file, or of the header of a pair.
        pair: it is one of a pair.

    Raises:
        InputError: as ``read_nifti`` does.
    """
    try:
        with open_regular(path) as stored:
            return parse_header(path, unpacked(stored).read(LONGEST), pair).scaling
    except InputError:
        raise
    except Exception as error:  # what a damaged file makes gzip and nibabel raise is of many types
        raise unreadable(path, error) from None


def unpacked(stored):
    """An open file, or what it holds if it is compressed, which its first bytes tell."""
    packed = stored.read(2) == GZIP
    stored.seek(0)
    return gzip.GzipFile(fileobj=stored) if packed else stored


def read_voxels(path, stored, file, header: NiftiHeader, channels: int | None) -> Scan:
    """The scan that a header announces.

    Args:
        path: of the file that holds the voxels, for messages.
        stored: that file, open.
        file: the same through ``unpacked``.
        header: what it should hold.
        channels: see ``read_nifti``.

    Raises:
        InputError: if the file is shorter or longer, or asks for more memory than the limit.
    """
    size, packed = os.fstat(stored.fileno()).st_size, file is not stored
    shape = _with_channels(path, header.shape, channels)
    check_bytes(path, math.prod(header.shape) * max(4, header.dtype.itemsize), "its voxels")
    if header.end > (size * DEFLATE_RATIO if packed else size):
        raise InputError(
            f"{path}: cannot be read as NIfTI, it is truncated or damaged (its header announces {header.end} "
            f"bytes, the file has {size}); copy it again"
        )
    voxels = _voxels(file, header)
    # Of a packed file this also verifies the checksum, which stands at the end.
    if size > header.end if not packed else file.read(1):
        raise InputError(
            f"{path}: holds more than the {header.end} bytes that its header announces, so one of the two is "
            "damaged; copy or convert it again"
        )
    axes = axes_in_header(header.affine, len(shape) - 1, header.coded)
    return Scan(voxels.reshape(shape), header.affine, header.geometry, axes=axes)


def nifti_bytes(scan: Scan, compressed: bool) -> bytes:
    """The content of a NIfTI file that holds ``scan``, the same bytes for the same scan.

    A scan that was read from NIfTI keeps the transforms, codes and units of its header as they were. For any other,
    sform and qform both say what its affine says, with code 1.

    Args:
        scan: integer or bool voxels are stored in the smallest of uint8, int16 and int32 that holds them, real ones
            in float32.
        compressed: gzip it.

    Raises:
        InputError: for integers beyond 32 bits, or a 2D scan of several channels (the format has no place for it).
    """
    voxels, header = nifti_parts(scan)
    content = header.binaryblock + bytes(4) + voxels.tobytes(order="F")  # four zeros: no extension
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content


def nifti_parts(scan: Scan):
    """The voxels as a NIfTI file stores them, and a nibabel header for them.

    Raises:
        InputError: as ``nifti_bytes`` does.
    """
    voxels = smallest(scan.voxels)
    if scan.channels == 1:
        voxels = voxels[..., 0]
    elif scan.rank == 2:
        raise InputError(f"2D scan with {scan.channels} channels: NIfTI takes one; write .png or .tif")
    return voxels, _header(voxels, scan)


def smallest(voxels: np.ndarray) -> np.ndarray:
    """Integer voxels in the smallest of uint8, int16 and int32, real ones in float32.

    Raises:
        InputError: for integers beyond 32 bits.
    """
    if voxels.dtype.kind == "f":
        return voxels.astype(np.float32, copy=False)
    if voxels.dtype.kind not in "biu":
        raise InputError(f"voxels of type {voxels.dtype}; expected integers or real numbers")
    low, high = (int(voxels.min()), int(voxels.max())) if voxels.size else (0, 0)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return voxels.astype(kind, copy=False)
    raise InputError(f"integer voxels from {low} to {high}; expected 32-bit integers")


def _header(voxels, scan):
    """A nibabel header for ``voxels`` that lie where ``scan`` does."""
    large = max(voxels.shape) > np.iinfo(np.int16).max  # NIfTI-1 counts voxels of an axis in 16 bits
    version = 2 if large or (scan.geometry is not None and scan.geometry.version == 2) else 1
    header = _plain_header(voxels, version)
    if scan.geometry is not None:
        place(header, scan.geometry)
        if np.allclose(world_affine(header), scan.affine, rtol=1e-5, atol=1e-5):
            return header
        header = _plain_header(voxels, version)  # the scan was given another affine after it was read
    lengths = np.linalg.norm(scan.affine[:3, :3], axis=0)
    header["pixdim"][1:4] = lengths
    header.set_xyzt_units("mm")
    header.set_sform(scan.affine, code=1)
    axes = scan.affine[:3, :3] / lengths
    # A quaternion cannot hold a sheared grid; some readers prefer it, so it is set only where it says the same.
    if np.allclose(axes.T @ axes, np.eye(3), atol=1e-5):
        header.set_qform(scan.affine, code=1)
    return header


def _plain_header(voxels, version):
    import nibabel

    header = nibabel.Nifti2Header() if version == 2 else nibabel.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_slope_inter(1, 0)
    header["vox_offset"] = header.single_vox_offset
    return header


def _voxels(file, header: NiftiHeader):
    """The scaled array, float32, from an open file."""
    from nibabel.arrayproxy import ArrayProxy

    proxy = ArrayProxy(file, (header.shape, header.dtype, header.start, *header.scaling))
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the caller reports
        return np.asanyarray(proxy, dtype=np.float32)


def unreadable(path, error) -> InputError:
    """The user's error for what went wrong while a NIfTI file was read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; give the path of a NIfTI file")
    if isinstance(error, MemoryError):
        return InputError(f"{path}: is too large for this machine's memory ({error}); resample it or crop it first")
    if isinstance(error, OSError) and error.errno is not None:  # the system's, not gzip's
        return InputError(f"{path}: cannot be read ({error.strerror})")
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return InputError(f"{path}: cannot be read as NIfTI, it is truncated or damaged ({reason}); copy it again")


def _with_channels(path, shape, channels):
    """The shape (*spatial, C) of data that is stored as ``shape``."""
    kept = list(shape)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    if len(kept) == 5 and kept[3] == 1:  # NIfTI's place for vectors is the fifth axis
        kept.pop(3)
    if len(kept) < 2:
        raise InputError(f"{path}: shape {shape} holds no scan; expected 2 or 3 spatial axes")
    if len(kept) <= 3:
        return (*kept, 1)
    if channels is None or len(kept) > 4 or kept[3] != channels:
        expected = "3 axes" if channels in (None, 1) else f"3 axes and {channels} channels last"
        raise InputError(
            f"{path}: shape {shape} has {len(shape)} axes, expected {expected}; save one volume of it, or "
            "one file per channel"
        )
    return tuple(kept)
