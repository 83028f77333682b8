"""``zoo-edge predict``: scans in, segmentations out."""

import argparse
from pathlib import Path

from edge.commands.arguments import add_runtime, add_threads, add_trust, positive
from edge.dicom.kinds import add_dicom
from medseg.errors import UsageError
from medseg.quiet import native_logs_hidden


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
    add_trust(parser)
    parser.add_argument("-o", "--out", required=True, help="file for one scan, folder for several")
    parser.add_argument(
        "--save",
        default="",
        metavar="KIND[,KIND]",
        help="write beside each result: probabilities, entropy, variance, instances, boxes, overlay, measurements",
    )
    parser.add_argument(
        "--mirror",
        nargs="?",
        const="all",
        metavar="AXES",
        help="average over flips along these axes, as 0,2 (default without AXES: all)",
    )
    parser.add_argument(
        "--roi",
        metavar="WHERE",
        help="look only where threshold:VALUE, in the scan's own intensities, or a quick artifact finds something",
    )
    parser.add_argument("--roi-margin", type=float, default=10.0, metavar="MM", help="around that (default 10)")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="scans at a time (default 1)")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write inputs, outputs, versions and times there")
    add_dicom(parser)
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print volumes and times as JSON")
    parser.set_defaults(handler=predict)
    return parser


def predict(args) -> None:
    """Segment scans and print the volumes."""
    from edge.commands.scans import segment_scans
    from edge.runtime.ensemble import load_ensemble
    from edge.runtime.options import Options, parse_mirror, parse_outputs

    outputs = parse_outputs(args.save)
    with native_logs_hidden():
        segmenter = load_ensemble(artifacts(args.artifact), args.threads, args.runtime, args.trust)
        region = None if args.roi is None else _region(args)
    mirror = () if args.mirror is None else parse_mirror(args.mirror, segmenter.manifest.recipe.rank)
    segment_scans(segmenter, args, Options(mirror, region, outputs))


def artifacts(text: str) -> list[str]:
    """The artifacts that an argument names: one, or several joined by commas."""
    names = [text] if Path(text).exists() else text.split(",")
    if len(set(names)) != len(names) or not all(names):
        raise UsageError(f"{text}: expected different artifacts joined by commas")
    return names


def _region(args):
    from edge.runtime.region import MAX_MARGIN_MM, Coarse, parse_threshold
    from edge.runtime.segmenter import load

    if not 0 <= args.roi_margin <= MAX_MARGIN_MM:
        raise UsageError(f"--roi-margin {args.roi_margin:g}: expected 0 to {MAX_MARGIN_MM:g} mm")
    threshold = parse_threshold(args.roi, args.roi_margin)
    return threshold or Coarse(load(args.roi, args.threads, trust=args.trust), args.roi_margin)
