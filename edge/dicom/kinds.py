"""The kinds of objects that are written of a segmentation, and the options that ask for them."""

from medseg.command import check_left_out

KINDS = ("seg", "sr", "rtstruct", "capture")
NIFTI_KIND = "nifti"


def add_dicom(parser) -> None:
    """Add the options of DICOM scans."""
    options = parser.add_argument_group("DICOM")
    options.add_argument("--series", help="of a folder of several series: number in the list, or Series Instance UID")
    options.add_argument(
        "--write",
        metavar="KINDS",
        help=f"what to write, joined by commas: {', '.join((NIFTI_KIND, *KINDS))} (default: {NIFTI_KIND}, or seg where "
        "--out ends with .dcm)",
    )
    options.add_argument("--codes", metavar="FILE", help="JSON table of codes of the classes, before the one built in")
    options.add_argument("--labelmap", action="store_true", help="write a SEG as LABELMAP instead of BINARY")


def check_dicom(args) -> None:
    """Require that options of DICOM objects are given with an object that they are of.

    Args:
        args: ``write``, ``out``, ``codes`` and ``labelmap`` of the command line.

    Raises:
        UsageError: naming the option.
    """
    usual = "seg" if args.out.lower().endswith(".dcm") else NIFTI_KIND
    kinds = {part.strip() for part in (args.write or usual).split(",")}
    if not kinds & set(KINDS):
        check_left_out(args, ["codes", "labelmap"], "is of DICOM objects; add --write seg, or leave it out")
    if not kinds & {"seg", "sr"}:  # a report refers to a SEG, which is written with it
        check_left_out(args, ["labelmap"], "is of a DICOM SEG; add seg to --write, or leave it out")
