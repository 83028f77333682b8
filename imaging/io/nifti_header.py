"""The header of a NIfTI-1 or NIfTI-2 file: checked before any voxel is read."""

import logging
import math
import struct
from dataclasses import dataclass

import numpy as np

from imaging.io.nifti_geometry import NiftiGeometry
from medseg.errors import InputError

# Header codes of units to millimetres; a code that stands for none is taken as mm, as other readers do.
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}
# What may stand between header and voxels: other tools keep a few hundred kB of DICOM there at most.
MAX_EXTENSION = 64 * 2**20
# Bytes from which every header can be parsed.
LONGEST = 544


@dataclass(frozen=True)
class NiftiHeader:
    """What a file announces.

    Attributes:
        shape: of the stored array, 1 to 7 axes.
        dtype: of the stored array, with its byte order.
        start: byte at which the array begins.
        scaling: slope and intercept of the intensities, (1, 0) where the header gives none.
        affine: (4, 4), voxel index to world in mm: the sform if it has a code, else the qform, else the voxel size.
        geometry: the same as stored; None for Analyze.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    start: int
    scaling: tuple[float, float]
    affine: np.ndarray
    geometry: NiftiGeometry | None

    @property
    def coded(self) -> bool:
        """Whether a code says that the affine means something."""
        return self.geometry is not None and (self.geometry.qform_code > 0 or self.geometry.sform_code > 0)

    @property
    def end(self) -> int:
        """Byte at which the array, and with it the file, ends."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def parse_header(path, content: bytes, pair: bool = False) -> NiftiHeader:
    """Parse the first ``LONGEST`` bytes of an unpacked file.

    Args:
        path: the file, for messages.
        content: its first bytes; fewer where it has fewer.
        pair: it is the header of a pair of files, NIfTI or Analyze 7.5 with SPM's fields for origin and scale.

    Raises:
        InputError: if they are no header of such a file, or one that announces no array of real numbers.
    """
    if pair and (analyze := _analyze(path, content)) is not None:
        return analyze
    fields, version, minimum = _fields(path, content, pair)
    shape = _shape(path, fields)
    start = float(fields["vox_offset"])
    start = minimum if start == 0 else start  # some tools leave it to the reader
    if not minimum <= start <= MAX_EXTENSION:
        raise InputError(
            f"{path}: its header is damaged, voxels from byte {start:g}, expected {minimum} to {MAX_EXTENSION}; "
            "copy or convert it again"
        )
    geometry = _geometry(fields, version)
    return NiftiHeader(shape, _dtype(path, fields), int(start), _scaling(path, fields), _affine(path, fields), geometry)


def place(header, geometry: NiftiGeometry) -> None:
    """Write a geometry into a nibabel header of the same version."""
    header["qform_code"], header["sform_code"] = geometry.qform_code, geometry.sform_code
    for name, value in zip("bcd", geometry.quaternion, strict=True):
        header[f"quatern_{name}"] = value
    for i, axis in enumerate("xyz"):
        header[f"qoffset_{axis}"] = geometry.offset[i]
        header[f"srow_{axis}"] = geometry.rows[4 * i : 4 * i + 4]
    header["pixdim"][:4] = geometry.pixdim
    header["xyzt_units"] = geometry.units


def world_affine(fields) -> np.ndarray:
    """The affine in mm that a nibabel header gives: its sform, else its qform, else its voxel size alone.

    Raises:
        HeaderDataError: of nibabel, if the quaternion is none.
    """
    known = fields.copy()
    # As nibabel does when it opens a file: codes that stand for nothing are 0, sizes positive, a voxel size of 0 is 1.
    known.check_fix(logger=logging.Logger("unheard", level=logging.CRITICAL + 1), error_level=logging.CRITICAL)
    affine = np.array(known.get_best_affine(), float)
    affine[:3] *= MILLIMETRES.get(int(fields["xyzt_units"]) & 7, 1.0)
    return affine


def _analyze(path, content) -> NiftiHeader | None:
    """The header of Analyze 7.5; None for a NIfTI one. It says no orientation: as in SPM, left is where x is large."""
    from nibabel.spm99analyze import Spm99AnalyzeHeader

    little, size = content[:4] == (348).to_bytes(4, "little"), Spm99AnalyzeHeader.sizeof_hdr
    if (
        len(content) < size
        or content[344:347] in (b"ni1", b"n+1")
        or 348
        not in (
            int.from_bytes(content[:4], "little"),
            int.from_bytes(content[:4], "big"),
        )
    ):
        return None
    fields = Spm99AnalyzeHeader(content[:size], endianness="<" if little else ">", check=False)
    start, slope = float(fields["vox_offset"]), float(fields["scl_slope"])
    if not 0 <= start <= MAX_EXTENSION:
        raise InputError(f"{path}: its header is damaged, voxels from byte {start:g}; copy or convert it again")
    shape, dtype = _shape(path, fields), _dtype(path, fields)
    scale = slope if slope and math.isfinite(slope) else 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        fields["pixdim"][1:4] = np.abs(fields["pixdim"][1:4])
        affine = np.array(fields.get_best_affine(), float)
    _check_affine(path, affine)
    return NiftiHeader(shape, dtype, int(start), (scale, 0.0), affine, None)


def _fields(path, content, pair=False):
    """nibabel's view of the header, its version and the first byte that voxels may have."""
    import nibabel

    for version, kind in ((1, nibabel.Nifti1Header), (2, nibabel.Nifti2Header)):
        size = kind.sizeof_hdr
        for code in "<>":
            if content[:4] != struct.pack(f"{code}i", size):
                continue
            if len(content) < size:
                raise InputError(f"{path}: cannot be read as NIfTI, it is truncated or damaged; copy it again")
            fields = kind(content[:size], endianness=code, check=False)
            magic = fields["magic"].item()
            if pair and magic == kind.pair_magic:
                return fields, version, 0
            if magic in (b"ni1", b"ni2"):
                raise InputError(
                    f"{path}: is the header of a pair of files; name it .hdr, and the file of its voxels .img"
                )
            if magic != kind.single_magic:
                raise InputError(
                    f"{path}: is not a NIfTI file (magic {magic!r}, expected {kind.single_magic!r}); a pair of files "
                    "is named .hdr and .img, anything else copy or convert again"
                )
            return fields, version, kind.single_vox_offset
    if not content:
        raise InputError(f"{path}: is empty, so it is truncated or damaged; copy or convert it again")
    raise InputError(f"{path}: is not a NIfTI file (its header does not begin like one); copy or convert it again")


def _shape(path, fields):
    axes = int(fields["dim"][0])
    if not 1 <= axes <= 7:
        raise InputError(f"{path}: its header is damaged, {axes} axes, expected 1 to 7; copy or convert it again")
    shape = tuple(int(n) for n in fields["dim"][1 : axes + 1])
    if min(shape) < 1:
        raise InputError(f"{path}: shape {shape} holds no scan; expected 2 or 3 spatial axes of at least one voxel")
    return shape


def _dtype(path, fields):
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype = fields.get_data_dtype()
    except (HeaderDataError, KeyError):
        dtype = None
    if dtype is None or (dtype.kind == "V" and dtype.fields is None):
        raise InputError(
            f"{path}: its header names data type {int(fields['datatype'])}, expected one of integers or real numbers; "
            "copy or convert it again"
        )
    if dtype.fields is not None or dtype.kind not in "iuf":
        name = "RGB" if dtype.fields is not None else dtype.name
        raise InputError(f"{path}: voxels of type {name}; expected integers or real numbers, save it as one of them")
    return dtype


def _scaling(path, fields):
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not math.isfinite(slope):  # the standard: 0 means that the values are stored as they are
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise InputError(
            f"{path}: its header scales intensities by slope {slope:g} and intercept {intercept:g}; expected finite "
            "numbers, correct the header"
        )
    return slope, intercept


def _geometry(fields, version):
    return NiftiGeometry(
        version,
        int(fields["qform_code"]),
        int(fields["sform_code"]),
        tuple(float(fields[f"quatern_{name}"]) for name in "bcd"),
        tuple(float(fields[f"qoffset_{axis}"]) for axis in "xyz"),
        tuple(float(value) for axis in "xyz" for value in fields[f"srow_{axis}"]),
        tuple(float(size) for size in fields["pixdim"][:4]),
        int(fields["xyzt_units"]),
    )


def _affine(path, fields):
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            affine = world_affine(fields)
    except (HeaderDataError, ValueError) as error:  # a quaternion longer than 1, a qfac that is no sign
        reason = str(error).split("\n")[0]
        raise InputError(f"{path}: its header gives voxels no place ({reason}); correct the header") from None
    _check_affine(path, affine)
    return affine


def _check_affine(path, affine):
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        usable = np.isfinite(affine).all() and (lengths > 0).all() and np.isfinite(lengths).all()
        usable = usable and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-6
    if not usable:
        shown = affine[:3].round(3).tolist()
        raise InputError(f"{path}: its affine {shown} gives voxels no size; correct the header")
