"""NIfTI-1 and NIfTI-2 files, by nibabel."""

import gzip

import numpy as np

from imaging.scan import Scan
from medseg.errors import InputError

# Header codes of units to millimetres; a code that stands for none is taken as mm, as other readers do.
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}


def read_nifti(path, channels: int | None = None) -> Scan:
    """Read a NIfTI file.

    Args:
        path: .nii or .nii.gz.
        channels: take the fourth axis as that many channels; without it a fourth axis longer than 1 is an error.

    Returns:
        A scan with float32 voxels (*spatial, C), intensities scaled as the header says, and the affine in mm.

    Raises:
        InputError: if the file is damaged, holds no real numbers, has more axes than accepted or no usable affine.
    """
    image = _open(path)
    try:
        dtype = image.get_data_dtype()
        if dtype.fields is not None or dtype.kind not in "iuf":
            raise InputError(f"{path}: voxels of type {dtype}; accepted are integers and real numbers")
        reshape = _to_channels(path, image.shape, channels)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the caller reports
            voxels = reshape(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except InputError:
        raise
    except Exception as error:  # what a damaged file makes nibabel raise is of many types
        raise _damaged(path, error) from None
    return Scan(voxels, _affine(path, image))


def nifti_bytes(scan: Scan, compressed: bool) -> bytes:
    """The content of a NIfTI-1 file that holds ``scan``, the same bytes for the same scan.

    Args:
        scan: integer or bool voxels are stored in the smallest of uint8, int16 and int32 that holds them, real ones
            in float32.
        compressed: gzip it.

    Raises:
        InputError: for integers beyond 32 bits, or a 2D scan of several channels (the format has no place for it).
    """
    import nibabel

    voxels = smallest(scan.voxels)
    if scan.channels == 1:
        voxels = voxels[..., 0]
    elif scan.rank == 2:
        raise InputError(f"2D scan with {scan.channels} channels: NIfTI takes one; write .png or .tif")
    image = nibabel.Nifti1Image(voxels, scan.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(scan.affine, code=1)
    axes = scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)
    # A quaternion cannot hold a sheared grid; some readers prefer it, so it is set only where it says the same.
    if np.allclose(axes.T @ axes, np.eye(3), atol=1e-5):
        image.set_qform(scan.affine, code=1)
    else:
        image.header["qform_code"] = 0
    content = image.to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content


def smallest(voxels: np.ndarray) -> np.ndarray:
    """Integer voxels in the smallest of uint8, int16 and int32, real ones in float32.

    Raises:
        InputError: for integers beyond 32 bits.
    """
    if voxels.dtype.kind == "f":
        return voxels.astype(np.float32, copy=False)
    if voxels.dtype.kind not in "biu":
        raise InputError(f"voxels of type {voxels.dtype}; accepted are integers and real numbers")
    low, high = (int(voxels.min()), int(voxels.max())) if voxels.size else (0, 0)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return voxels.astype(kind, copy=False)
    raise InputError(f"integer voxels from {low} to {high}; accepted are 32-bit integers")


def _open(path):
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        if start[:2] != b"\x1f\x8b":
            return _kind(path, start).from_filename(path)
        # Unpacked whole, because only then the checksum at the end is verified.
        with gzip.open(path) as file:
            content = file.read()
        return _kind(path, content[:4]).from_bytes(content)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a NIfTI file") from None
    except Exception as error:
        raise _damaged(path, error) from None


def _kind(path, start):
    import nibabel

    for kind, size in ((nibabel.Nifti1Image, 348), (nibabel.Nifti2Image, 540)):
        if start in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            return kind
    raise InputError(f"{path}: is not a NIfTI file (its header does not begin like one); copy or convert it again")


def _damaged(path, error):
    if isinstance(error, MemoryError):
        return InputError(f"{path}: is too large for this machine's memory ({error}); resample it or crop it first")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: cannot be read ({error.strerror})")
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return InputError(f"{path}: cannot be read as NIfTI, it is truncated or damaged ({reason}); copy it again")


def _to_channels(path, shape, channels):
    """How to bring data of ``shape`` to (*spatial, C)."""
    kept = list(shape)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    if len(kept) == 5 and kept[3] == 1:  # NIfTI's place for vectors is the fifth axis
        kept.pop(3)
    if 0 in kept or len(kept) < 2:
        raise InputError(f"{path}: shape {tuple(shape)} holds no scan; accepted are 2 or 3 spatial axes")
    if len(kept) <= 3:
        return lambda data: data.reshape(*kept, 1)
    if channels is None or len(kept) > 4 or kept[3] != channels:
        wanted = "3 axes" if channels in (None, 1) else f"3 axes and {channels} channels last"
        raise InputError(
            f"{path}: shape {tuple(shape)} has {len(shape)} axes, accepted are {wanted}; save one volume of it, or "
            "one file per channel"
        )
    return lambda data: data.reshape(kept)


def _affine(path, image):
    affine = np.array(image.affine, float)
    affine[:3] *= MILLIMETRES.get(int(image.header["xyzt_units"]) & 7, 1.0)
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-12
    if not usable:
        raise InputError(f"{path}: its affine {affine[:3].round(3).tolist()} gives voxels no size; correct the header")
    return affine
