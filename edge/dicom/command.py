"""What ``predict`` does for DICOM: which objects are asked for, where they go, and writing them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.cases import DICOM, Case
from edge.dicom.codes import load_codes
from edge.dicom.kinds import KINDS, NIFTI_KIND
from edge.dicom.objects import DicomOptions, dicom_bytes, dicom_objects, require_highdicom
from edge.dicom.origin import origin_of
from imaging.io.dicom.read import series_affine
from imaging.io.dicom.reference import split_reference
from imaging.io.dicom.series import Series, choose, find_series
from imaging.io.files import SUFFIXES, VOLUMES, is_dicom_scan, suffix
from imaging.scan import Scan
from medseg.atomic import write_bytes
from medseg.errors import UsageError

_COLUMNS_FIRST = np.eye(4)[[1, 0, 2, 3]]  # of voxels (row, column, slice)


def kinds_of(args, cases: tuple[Case, ...]) -> tuple[str, ...]:
    """The kinds of files that are asked for; known to be possible before any scan is read.

    Args:
        args: ``write``, ``codes`` and ``out`` of the command line.
        cases: what is to be segmented.

    Raises:
        UsageError: for an unknown kind, one that does not fit the output's name, or DICOM of scans that are none.
        InputError: if the table of codes cannot be read, or what writes DICOM is not installed.
    """
    single = cases[0].output.name.lower().endswith(DICOM)
    usual = "seg" if single else NIFTI_KIND
    kinds = tuple(dict.fromkeys(part.strip() for part in (args.write or usual).split(",")))
    unknown = [kind for kind in kinds if kind not in (NIFTI_KIND, *KINDS)]
    if unknown:
        raise UsageError(f"--write {unknown[0]!r}: expected {', '.join((NIFTI_KIND, *KINDS))}")
    if args.write and args.out.lower().endswith((DICOM, *SUFFIXES)):
        if len(kinds) > 1 or kinds == ("capture",):
            raise UsageError(f"--write {args.write}: makes several files; give a folder as --out, got {args.out}")
        if (kinds == (NIFTI_KIND,)) == single:
            raise UsageError(f"--write {args.write}: does not fit --out {args.out}; give a folder, or another suffix")
    objects = [kind for kind in kinds if kind != NIFTI_KIND]
    for case in cases:
        if objects and not is_dicom_scan(case.scan[0]):
            raise UsageError(f"{case.name}: is no DICOM series, so {objects[0]} cannot be written of it; use .nii.gz")
    if args.codes is not None:
        load_codes(args.codes)
    if objects:
        require_highdicom()
    return kinds


def object_places(output: Path, kinds) -> dict[str, Path]:
    """Where the DICOM objects of a case go, by kind; a capture goes to a folder.

    Args:
        output: file of the labels, or of the one object that is asked for.
        kinds: as ``kinds_of`` returns them.
    """
    objects = [kind for kind in KINDS if kind in kinds]
    if output.name.lower().endswith(DICOM):
        return {objects[0]: output}
    if "sr" in objects and "seg" not in objects:
        objects.append("seg")  # a report refers to segments
    stem = output.name[: -len(suffix(output))]
    return {kind: output.with_name(f"{stem}-{kind}" + ("" if kind == "capture" else DICOM)) for kind in objects}


def series_of(case: Case, rank: int) -> Series | None:
    """The series of a case's first channel; None where it is no DICOM."""
    if not is_dicom_scan(case.scan[0]):
        return None
    place, part = split_reference(case.scan[0])
    return choose(find_series(place), part, place, rank)


def write_objects(places: dict[str, Path], labels: Scan, series: Series, manifest, options: DicomOptions) -> None:
    """Write the DICOM objects of a segmentation.

    Args:
        places: kind to where it goes, as ``object_places`` gives them; other kinds are passed over.
        labels: label values on the grid of the series.
        series: what was segmented.
        manifest: of the artifact.
        options: how.

    Raises:
        InputError: if an object cannot be made of this series, or a place cannot be written.
    """
    kinds = [kind for kind in KINDS if kind in places]
    if not kinds:
        return
    made = dicom_objects(labels, series, origin_of(manifest), kinds, options)
    for kind in kinds:
        if kind != "capture":
            write_bytes(places[kind], dicom_bytes(made[kind][0]))
            continue
        for number, item in enumerate(made[kind], start=1):
            write_bytes(places[kind] / f"{number:04d}{DICOM}", dicom_bytes(item))


def placed(series: Series | None, scan: Scan, path: Path) -> Scan:
    """What is written of a single slice as the slice of a volume, so that it lies where the slice does in the patient.

    Args:
        series: that was segmented; None for no DICOM.
        scan: labels or maps on its grid.
        path: that they go to; a picture keeps rows and columns.
    """
    if series is None or scan.rank == 3 or not series.placed or suffix(path) not in VOLUMES:
        return scan
    affine = series_affine(series)
    on_grid = np.linalg.solve(np.diag([*(series.frames[0].spacing or (1.0, 1.0)), 1.0, 1.0]), scan.affine)
    if not np.allclose(on_grid, np.eye(4)):  # cropped or on other pixels
        affine = affine @ _COLUMNS_FIRST @ on_grid @ _COLUMNS_FIRST
    return Scan(scan.voxels.transpose(1, 0, 2)[:, :, None], affine)


def placed_as(files: Sequence, scan: Scan, path) -> Scan:
    """The same by the files that a scan was read from, one a channel."""
    if scan.rank == 3 or not is_dicom_scan(files[0]):
        return scan
    case = Case(tuple(map(Path, files)), Path(path))
    return placed(series_of(case, scan.rank), scan, case.output)
