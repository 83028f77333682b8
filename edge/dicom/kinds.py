"""The kinds of objects that are written of a segmentation, and the options that ask for them."""

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
