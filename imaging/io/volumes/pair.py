"""Pairs of files, .hdr and .img: NIfTI-1 and NIfTI-2, and Analyze 7.5, which says less of where it lies."""

import gzip
import os
import tempfile
from pathlib import Path

from imaging.io.nifti import nifti_parts, read_scaling, read_voxels, unpacked, unreadable
from imaging.io.nifti_header import LONGEST, parse_header
from imaging.scan import Scan
from medseg.atomic import replace_files
from medseg.errors import InputError
from medseg.untrusted import open_regular

HEADERS = (".hdr", ".hdr.gz")
DATA = (".img", ".img.gz")


def read_pair(path, channels: int | None = None) -> Scan:
    """Read a pair of files.

    Args:
        path: of either file; the other one has the same name and lies beside it.
        channels: as for ``imaging.io.nifti.read_nifti``.

    Returns:
        A scan with float32 voxels (*spatial, C). Analyze tells no orientation; its first axis is taken to run to the
        patient's left, as SPM and nibabel do.

    Raises:
        InputError: as ``imaging.io.nifti.read_nifti`` does, or if one of the files is missing.
    """
    header_path, data_path = both_files(path)
    try:
        with open_regular(header_path) as stored:
            header = parse_header(header_path, unpacked(stored).read(LONGEST), pair=True)
        path = data_path
        with open_regular(data_path) as stored:
            return read_voxels(data_path, stored, unpacked(stored), header, channels)
    except InputError:
        raise
    except Exception as error:  # what a damaged file makes gzip and nibabel raise is of many types
        raise unreadable(path, error) from None


def read_pair_scaling(path) -> tuple[float, float]:
    """As ``imaging.io.nifti.read_scaling``, of a pair by the path of either file."""
    return read_scaling(both_files(path)[0], pair=True)


def write_pair(path, scan: Scan) -> None:
    """Write a scan as a NIfTI pair, which holds its geometry exactly, whole or not at all.

    Args:
        path: of either file; "gz" at its end compresses both.
        scan: what.

    Raises:
        InputError: if the format cannot hold the scan or the place cannot be written.
    """
    path = Path(path)
    voxels, header = nifti_parts(scan)
    pair = _pair_header(header)
    header_path, data_path = pair_names(path)
    contents = {header_path: pair.binaryblock + bytes(4), data_path: voxels.tobytes(order="F")}
    if path.name.lower().endswith(".gz"):
        contents = {name: gzip.compress(content, compresslevel=6, mtime=0) for name, content in contents.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            for name, content in contents.items():
                (Path(folder) / name.name).write_bytes(content)
            replace_files(folder, header_path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose a folder that can") from None


def _pair_header(header):
    """The same NIfTI header as that of a pair."""
    from nibabel.nifti1 import Nifti1PairHeader
    from nibabel.nifti2 import Nifti2PairHeader

    kind = Nifti1PairHeader if header.sizeof_hdr == 348 else Nifti2PairHeader
    pair = kind(header.binaryblock, check=False)
    pair["magic"], pair["vox_offset"] = kind.pair_magic, 0
    return pair


def pair_names(path) -> tuple[Path, Path]:
    """Names of header and data that a pair is written to, which end alike: .hdr and .img, or both with .gz.

    Args:
        path: of either file.
    """
    path = Path(path)
    name, packed = path.name, ".gz" if path.name.lower().endswith(".gz") else ""
    stem = name[: len(name) - len(packed) - len(".hdr")]
    ends = (".HDR", ".IMG") if name.removesuffix(packed).endswith((".HDR", ".IMG")) else (".hdr", ".img")
    header, data = (path.with_name(stem + end + name[len(name) - len(packed) :]) for end in ends)
    return header, data


def both_files(path) -> tuple[Path, Path]:
    """The header and the data of a pair that exists; either may be compressed.

    Args:
        path: of either file.

    Raises:
        InputError: if the other one is not beside it.
    """
    path = Path(path)
    stem = pair_names(path)[0]
    base = stem.name.removesuffix(".gz").removesuffix(".GZ")[: -len(".hdr")]
    upper = stem.name.removesuffix(".gz").endswith(".HDR")
    files = []
    for ends in (HEADERS, DATA):
        if path.name.lower().endswith(ends):
            files.append(path)
            continue
        candidates = [path.with_name(base + (end.upper() if upper else end)) for end in ends]
        present = [candidate for candidate in candidates if os.path.lexists(candidate)]
        if not present:
            raise InputError(f"{path}: is one of a pair of files, and {candidates[0].name} is not beside it; copy both")
        files.append(present[0])
    return files[0], files[1]
