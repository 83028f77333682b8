"""``zoo-edge predict``: scans in, segmentations out."""

import argparse
from pathlib import Path

from edge.absent import absent
from edge.commands.arguments import add_runtime, add_threads, positive
from edge.dicom.kinds import add_dicom, check_dicom
from medseg import command

DEFAULTS = {"roi_margin": 10.0, "jobs": 1}


def add_predict(
    commands, model: str = "artifact folder, the name of a shipped one, or several joined by commas: their mean"
) -> argparse.ArgumentParser:
    """Add ``predict``, and return its parser.

    Args:
        commands: the sub-parsers.
        model: what segments, for the help.
    """
    parser = commands.add_parser(
        "predict",
        help="segment scans",
        description="Segment scans. The result lies in the scan's own geometry, voxel for voxel.",
    )
    parser.add_argument("artifact", metavar="ARTIFACT", help=model)
    parser.add_argument(
        "scans",
        metavar="SCAN",
        nargs="+",
        help="a file, the files of several channels joined by commas, a folder of them, or the folder or "
        "zip of a DICOM series",
    )
    add_runtime(parser)
    command.add_trust(parser)
    parser.add_argument("-o", "--out", required=True, help="file for one scan, folder for several")
    parser.add_argument(
        "--save",
        default="",
        metavar="KIND[,KIND]",
        help="write beside each result: probabilities, entropy, variance, instances, boxes, split "
        "(with instances or boxes: cut parts that touch), overlay, measurements",
    )
    parser.add_argument(
        "--mirror",
        nargs="?",
        const="all",
        metavar="AXES",
        help="average over flips along these axes, as 0,2 (without AXES: all; default: as the artifact or run says)",
    )
    parser.add_argument("--no-mirror", dest="mirror", action="store_const", const="none", help="over no flips")
    parser.add_argument(
        "--roi",
        metavar="WHERE",
        help="look only where threshold:VALUE, in the scan's own intensities, or a quick artifact finds something; of "
        "a cascade, where its first network does: first",
    )
    parser.add_argument("--roi-margin", type=float, metavar="MM", help="around that (default 10)")
    parser.add_argument("--jobs", type=positive, metavar="N", help="scans at a time (default 1)")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write inputs, outputs, versions and times there")
    parser.add_argument(
        "--cohort",
        action="store_true",
        help="of a folder: by processes (--jobs), past cases that are done already, with OUT/cohort.csv of all",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="the same by the workers of a Dask scheduler, as tcp://host:8786"
    )
    add_dicom(parser)
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print volumes and times as JSON")
    parser.set_defaults(handler=predict)
    return parser


def check_together(args) -> None:
    """Require that no option is given that means nothing without another, and fill in what was left out.

    Raises:
        UsageError: naming the option and what it belongs to.
    """
    if args.roi is None:
        command.check_left_out(args, ["roi_margin"], "is around what --roi finds; give --roi too, or leave it out")
    if args.scheduler is not None:
        command.check_left_out(args, ["jobs"], "is of processes on this machine, not of --scheduler; leave it out")
    check_dicom(args)
    command.complete(args, DEFAULTS)


def predict(args) -> None:
    """Segment scans and print the volumes."""
    check_together(args)
    if args.cohort or args.scheduler is not None:
        from edge.commands.cohort import segment_cohort

        segment_cohort(args)
        return
    from edge.commands.opening import open_network
    from edge.commands.scans import segment_scans

    segmenter, options = open_network(args)
    if segmenter.manifest.recipe.rank == 3:
        # It takes pydicom along where that is installed, for extensions that are not read here: a third of the start.
        with absent("pydicom"):
            import nibabel  # noqa: F401
    segment_scans(segmenter, args, options)
