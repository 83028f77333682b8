"""What ``predict`` does for DICOM: the series of a case, and the files of a result."""

from pathlib import Path

from edge.cases import DICOM, Case
from edge.dicom.codes import load_codes
from edge.dicom.kinds import KINDS, NIFTI_KIND
from edge.dicom.objects import DicomOptions, dicom_bytes, dicom_objects, require_highdicom
from edge.dicom.origin import origin_of
from imaging.files import NIFTI, SUFFIXES, read, suffix, write
from imaging.io.dicom.read import read_series, series_affine
from imaging.io.dicom.reference import is_dicom, split_reference
from imaging.io.dicom.series import choose, find_series
from imaging.scan import Scan
from medseg.atomic import write_bytes
from medseg.errors import InputError, UsageError


def kinds_of(args, cases: tuple[Case, ...], rank: int) -> tuple[str, ...]:
    """The kinds of files that are asked for; known to be possible before any scan is read.

    Args:
        args: ``write``, ``codes``, ``labelmap`` and ``out`` of the command line.
        cases: what is to be segmented.
        rank: spatial axes of the scans.

    Raises:
        UsageError: for an unknown kind, one that does not fit the output's name, or DICOM of scans that are none.
        InputError: if the table of codes cannot be read, or what writes DICOM is not installed.
    """
    named = cases[0].output.name.lower().endswith(DICOM) or args.out.lower().endswith(NIFTI)
    usual = "seg" if cases[0].output.name.lower().endswith(DICOM) else NIFTI_KIND
    kinds = tuple(dict.fromkeys(part.strip() for part in (args.write or usual).split(",")))
    unknown = [kind for kind in kinds if kind not in (NIFTI_KIND, *KINDS)]
    if unknown:
        raise UsageError(f"--write {unknown[0]!r}: expected {', '.join((NIFTI_KIND, *KINDS))}")
    if args.write and named:
        if len(kinds) > 1 or kinds == ("capture",):
            raise UsageError(f"--write {args.write}: makes several files; give a folder as --out, got {args.out}")
        if (kinds == (NIFTI_KIND,)) != args.out.lower().endswith(NIFTI):
            raise UsageError(
                f"--write {args.write}: does not fit --out {args.out}; give a folder, or the fitting suffix"
            )
    dicom = [kind for kind in kinds if kind != NIFTI_KIND]
    for case in cases:
        if dicom and not is_series_case(case):
            raise UsageError(f"{case.name}: is no DICOM series, so {dicom[0]} cannot be written of it; use .nii.gz")
        if rank == 3 and not dicom and suffix(case.output) not in NIFTI:
            raise UsageError(
                f"--out {case.output}: a 3D segmentation is written as {' or '.join(NIFTI)}; use one of them"
            )
    if args.codes is not None:
        load_codes(args.codes)
    if dicom:
        require_highdicom()
    return kinds


def is_series_case(case: Case) -> bool:
    """Whether a case's first file is DICOM."""
    first = case.scan[0]
    return not str(first).lower().endswith(SUFFIXES) and is_dicom(first)


def read_case(case: Case, channels: int, rank: int, series: str | None):
    """The scan of a case, and the series that it was made from.

    Args:
        case: its files; several are a channel each.
        channels: that the network takes.
        rank: spatial axes that it takes.
        series: of a place with several series, the one that is meant.

    Returns:
        The scan, and a Series, or None where it is no DICOM.

    Raises:
        InputError, UsageError: as ``imaging.read`` and ``imaging.io.dicom.choose`` do.
    """
    if not is_series_case(case):
        if series is not None:
            raise UsageError(f"--series {series}: of DICOM; {case.name} is none")
        return read(case.scan[0] if len(case.scan) == 1 else case.scan, channels), None
    place, fragment = split_reference(case.scan[0])
    chosen = choose(find_series(place), series or fragment, place, rank)
    if len(case.scan) > 1:
        return read(case.scan, channels), chosen
    scan = read_series(chosen, rank)
    if scan.channels == 3 and channels == 1 and (scan.voxels == scan.voxels[..., :1]).all():
        scan = Scan(scan.voxels[..., :1], scan.affine, has_spacing=scan.has_spacing)
    if scan.channels != channels:
        raise InputError(
            f"{case.name}: {scan.channels} channels found, {channels} expected; give one series per channel"
        )
    return scan, chosen


def write_case(case: Case, labels: Scan, scan: Scan, series, kinds, manifest, args) -> list[str]:
    """Write what is asked for of a case.

    Args:
        case: where it goes.
        labels: label values on the grid of ``scan``.
        scan: what was segmented.
        series: the Series that it is, or None.
        kinds: as ``kinds_of`` returns them.
        manifest: of the artifact.
        args: ``codes`` and ``labelmap`` of the command line.

    Returns:
        The files that were written; of a capture its folder.

    Raises:
        InputError: if a file cannot be written.
    """
    written = []
    if NIFTI_KIND in kinds:
        write(case.output, _placed(labels, series) if suffix(case.output) in NIFTI else labels)
        written.append(str(case.output))
    dicom = [kind for kind in kinds if kind != NIFTI_KIND]
    if not dicom:
        return written
    options = DicomOptions(args.codes, args.labelmap)
    made = dicom_objects(labels, series, origin_of(manifest), dicom, options, scan)
    single = case.output.name.lower().endswith(DICOM)
    for kind, objects in made.items():
        if single and kind not in kinds:
            continue  # the SEG that a lone report refers to has no place in one file
        if kind == "capture":
            folder = case.output.parent / f"{_stem(case.output)}-capture"
            for number, item in enumerate(objects, start=1):
                write_bytes(folder / f"{number:04d}.dcm", dicom_bytes(item))
            written.append(str(folder))
            continue
        path = case.output if single else case.output.parent / f"{_stem(case.output)}-{kind}.dcm"
        write_bytes(path, dicom_bytes(objects[0]))
        written.append(str(path))
    return written


def _stem(path: Path):
    return path.name[: -len(suffix(path))]


def _placed(labels, series):
    """Labels of a single slice as the slice of a volume, so that a NIfTI lies where it does in the patient."""
    if series is None or labels.rank == 3 or not series.placed:
        return labels
    return Scan(labels.voxels.transpose(1, 0, 2)[:, :, None], series_affine(series))
