"""NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd) by SimpleITK; what their headers announce is checked before that.

ITK's world runs to the patient's left, back and head (LPS), ours to the right, front and head (RAS).
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from imaging.geometry.flat import axes_in_header
from imaging.io.nifti import smallest
from imaging.io.volumes.itk_headers import read_header
from imaging.scan import Scan
from medseg.atomic import replace_files
from medseg.command import load_package
from medseg.errors import InputError
from medseg.limits import check_bytes

# Suffix to the part of ITK that reads and writes it, and the ends of data files beside a header.
FORMATS = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def simpleitk(purpose: str):
    """SimpleITK, without the warnings that it would print.

    Raises:
        InputError: if it is not installed.
    """
    module = load_package("SimpleITK", purpose)
    module.ProcessObject.SetGlobalWarningDisplay(False)
    return module


def read_itk(path, suffix: str, channels: int | None = None) -> Scan:
    """Read a NRRD or MetaImage file.

    Args:
        path: the file; the data file that a .nhdr or .mhd names must lie in the same folder.
        suffix: a key of ``FORMATS``.
        channels: take a fourth axis as that many channels; without it one longer than 1 is an error.

    Returns:
        A scan with float32 voxels (*spatial, C), its first axis the file's fastest, and the affine in RAS+.

    Raises:
        InputError: if the file is damaged, holds no real numbers, has other axes than expected, leads out of its
            folder, asks for more memory than the limit, or SimpleITK is not installed.
    """
    sitk = simpleitk(f"reading {path}")
    header = read_header(path, suffix)
    check_bytes(path, header.values * max(4, header.itemsize), "its voxels")
    reader = sitk.ImageFileReader()
    reader.SetImageIO(FORMATS[suffix])
    reader.SetFileName(os.fspath(path))
    try:
        reader.ReadImageInformation()
        announced = int(np.prod(reader.GetSize())) * reader.GetNumberOfComponents()
        if announced != header.values:
            raise InputError(f"{path}: its header is damaged or ambiguous; convert it again")
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read, it is truncated or damaged ({_reason(error)})") from None
    return scan_of(image, path, channels)


def scan_of(image, name, channels: int | None = None) -> Scan:
    """A scan from a SimpleITK image.

    Args:
        image: of 2 or 3 spatial axes, with one value or a vector in each voxel; or of four axes, the last short.
        name: for messages.
        channels: how many a fourth axis may hold.

    Raises:
        InputError: for other axes, complex voxels, or a place in the world that cannot be used.
    """
    sitk = simpleitk(f"reading {name}")
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name}: voxels of type {array.dtype}; expected integers or real numbers")
    rank, vector = image.GetDimension(), image.GetNumberOfComponentsPerPixel() > 1
    array = array if vector else array[..., None]
    if rank == 4 and not vector and array.shape[0] in (1, channels):
        array, rank = np.moveaxis(array[..., 0], 0, -1), 3
    if rank not in (2, 3):
        expected = "2 or 3 axes" if channels in (None, 1) else f"3 axes and {channels} channels last"
        raise InputError(
            f"{name}: size {image.GetSize()} has {rank} axes, expected {expected}; save one volume of it, or one file "
            "per channel"
        )
    with np.errstate(over="ignore"):
        voxels = np.ascontiguousarray(array.transpose(*range(rank - 1, -1, -1), rank), np.float32)
    affine = _affine(image, rank, name)
    return Scan(voxels, affine, axes=axes_in_header(affine, rank))


def image_of(scan: Scan):
    """A SimpleITK image of a scan: integers in the smallest of uint8, int16 and int32, real numbers in float32.

    Raises:
        InputError: if a 2D scan is turned out of its plane, or axes are sheared, neither of which ITK can hold.
    """
    sitk = simpleitk("writing it")
    voxels, rank = smallest(scan.voxels), scan.rank
    array = voxels.transpose(*range(rank - 1, -1, -1), rank)
    vector = scan.channels > 1
    image = sitk.GetImageFromArray(np.ascontiguousarray(array if vector else array[..., 0]), isVector=vector)
    affine = LPS @ scan.affine
    if rank == 2 and np.abs(affine[2, :2]).max() > 1e-6 * np.abs(affine[:2, :2]).max():
        raise InputError("2D scan that lies across the world's first two axes; write .nii.gz")
    matrix = affine[:rank, :rank]
    spacing = np.linalg.norm(matrix, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:rank, 3].tolist())
    image.SetDirection((matrix / spacing).ravel().tolist())
    return image


def write_itk(path, suffix: str, scan: Scan) -> None:
    """Write a NRRD or MetaImage file, whole or not at all; .nhdr and .mhd get a data file beside them.

    Args:
        path: where to.
        suffix: a key of ``FORMATS``.
        scan: what.

    Raises:
        InputError: if it cannot be written, or the data file would replace one that belongs to no such header.
    """
    path = Path(path)
    sitk = simpleitk(f"writing {path}")
    image = image_of(scan)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO(FORMATS[suffix])
    writer.SetUseCompression(True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            # The header names its data file, so that has its own name already here.
            writer.SetFileName(str(Path(folder) / path.name))
            writer.Execute(image)
            replace_files(folder, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose a folder that can") from None
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be written ({_reason(error)})") from None


def _affine(image, rank, name):
    direction = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)[:rank, :rank]
    affine = np.eye(4)
    affine[:rank, :rank] = direction * np.array(image.GetSpacing())[:rank]
    affine[:rank, 3] = np.array(image.GetOrigin())[:rank]
    lengths = np.linalg.norm(affine[:rank, :rank], axis=0)
    if not np.isfinite(affine).all() or not (lengths > 0).all() or abs(np.linalg.det(direction)) < 1e-6:
        raise InputError(f"{name}: its axes {affine[:rank].round(3).tolist()} give voxels no size; correct the header")
    return LPS @ affine


def _reason(error):
    """The last sentence of ITK's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("ITK ERROR:").strip() if lines else type(error).__name__
