"""``zoo annotate``: labels from points, boxes and scribbles."""

import argparse
from pathlib import Path

from medseg import command
from medseg.errors import InputError, UsageError, naming

NETWORK = "network"


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``zoo annotate``."""
    from imaging.annotate.annotation import METHODS

    parser = argparse.ArgumentParser(prog=prog)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    annotate = subparsers.add_parser(
        "annotate",
        help="make labels from few strokes",
        description="Make a label file from points, boxes and scribbles in a JSON file, correct a network's proposal "
        "or labels by them, or fill between sparsely labelled slices. The labels lie in the scan's own geometry.",
    )
    annotate.add_argument("scan", metavar="SCAN", help="a file, or the files of several channels joined by commas")
    annotate.add_argument("strokes", metavar="STROKES.json", nargs="?", help="points, boxes and scribbles")
    annotate.add_argument("-o", "--out", required=True, help="file for the labels")
    annotate.add_argument(
        "--method", choices=(*METHODS, NETWORK), help="default random-walker; network with --artifact"
    )
    annotate.add_argument("--artifact", help="artifact folder, or name of a shipped one, whose proposal is corrected")
    command.add_trust(annotate)
    annotate.add_argument("--labels", metavar="FILE", help="labels that are there already, which strokes correct")
    annotate.add_argument("--fill", metavar="FILE", help="labels of some slices; those between them are filled")
    annotate.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="of the method; repeatable"
    )
    annotate.add_argument("--unsure", metavar="FILE.nii.gz", help="write where the labels are unsure: entropy, 0 to 1")
    annotate.add_argument("--json", action="store_true", help="print JSON")
    annotate.set_defaults(handler=run_annotate)
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo annotate``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def run_annotate(args) -> int:
    """Handle ``zoo annotate``."""
    import time

    import numpy as np

    from edge.dicom.command import placed_as
    from imaging.classical.seeds.strokes import read_strokes
    from imaging.io.files import read, write
    from medseg.atomic import check_writable

    _check(args)
    out, outputs = Path(args.out), (("--out", args.out), ("--unsure", args.unsure))
    for option, path in outputs:
        if path:
            check_writable(Path(path).parent, f"{option} {path}")
            _check_suffix(option, path, volume=option == "--unsure")
    strokes = read_strokes(args.strokes) if args.strokes else ()
    tool = _Tool(args)
    files = [args.scan] if Path(args.scan).is_file() else args.scan.split(",")
    scan = read(files, *tool.taken)
    _check_suffix("--out", args.out, volume=scan.rank == 3)
    began = time.perf_counter()
    annotation = tool.annotate(scan, strokes)
    seconds = time.perf_counter() - began
    write(out, placed_as(files, annotation.labels, out))
    if args.unsure:
        write(args.unsure, placed_as(files, annotation.uncertainty, args.unsure))
    values, counts = np.unique(annotation.labels.voxels, return_counts=True)
    voxels = {str(value): int(count) for value, count in zip(values.tolist(), counts, strict=True) if value}
    if args.json:
        command.emit_json({"scan": args.scan, "output": str(out), "seconds": seconds, "voxels": voxels})
        return 0
    print(
        f"{out} written, {seconds:.2f} s; voxels by label", ", ".join(f"{v}: {n}" for v, n in voxels.items()) or "none"
    )
    return 0


def _check(args):
    from imaging.io.cases import names_of

    sources = [f"--{name}" for name in ("artifact", "labels", "fill") if getattr(args, name)]
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)}: exclude each other; give one")
    if args.strokes is None and not (args.artifact or args.fill):
        raise UsageError("STROKES.json: missing; expected a file of strokes, --artifact for a proposal, or --fill")
    if args.strokes and args.fill:
        raise UsageError("--fill: fills between slices and takes no strokes; do one after the other")
    if args.trust and not args.artifact:
        raise UsageError(f"--trust {args.trust}: of --artifact, which is missing")
    if args.method == NETWORK and not args.artifact:
        raise UsageError("--method network: needs --artifact")
    if sources and args.method not in (None, NETWORK):
        raise UsageError(f"--method {args.method}: of strokes alone; leave it out with {sources[0]}")
    if sources and args.param:
        raise UsageError(f"--param: of a method for strokes alone; leave it out with {sources[0]}")
    if args.unsure and not sources and args.method not in (None, "random-walker"):
        raise UsageError(f"--unsure: {args.method} has no probabilities; use random-walker, --artifact or --labels")
    if args.fill and args.unsure:
        raise UsageError("--unsure: filling between slices has no probabilities; leave it out")
    given = (args.scan, *args.scan.split(","), args.labels, args.fill, args.strokes)
    inputs = {name for path in given if path for name in names_of(path)}
    for option in ("out", "unsure"):
        path = getattr(args, option)
        if path and not inputs.isdisjoint(names_of(path)):
            raise UsageError(f"--{option} {path}: is an input and would be overwritten; choose another name")
    if args.unsure and not names_of(args.unsure).isdisjoint(names_of(args.out)):
        raise UsageError(f"--unsure {args.unsure}: is the file of the labels too; choose another name")


def _check_suffix(option, path, volume):
    from imaging.io.files import VOLUMES, suffix

    if suffix(path) not in VOLUMES and volume:
        raise UsageError(f"{option} {path}: expected a name ending in {', '.join(VOLUMES)}")


class _Tool:
    """What makes the labels, opened before the scan is read.

    Args:
        args: of the command line.

    Raises:
        InputError: if the artifact cannot be opened, or a file of labels is missing.
        UsageError: for parameters that the method does not have.
    """

    def __init__(self, args):
        self.args, self.segmenter = args, None
        self.labels = args.fill or args.labels
        if self.labels and not Path(self.labels).exists():
            raise InputError(f"{self.labels}: no such file; give the labels of {args.scan}")
        if args.artifact:
            from edge.runtime.segmenter import load
            from medseg.quiet import native_logs_hidden

            with native_logs_hidden():
                self.segmenter = load(args.artifact, trust=args.trust)
        elif not self.labels:
            from imaging.classical.registry import get

            self.method = get(args.method or "random-walker")
            self.parameters = self.method.complete(self.method.read(args.param))

    @property
    def taken(self) -> tuple:
        """Channels that the network takes, and what it takes for NaN; nothing without one."""
        recipe = None if self.segmenter is None else self.segmenter.manifest.recipe
        return () if recipe is None else (recipe.channels, recipe.nan)

    def annotate(self, scan, strokes):
        """The ``Annotation`` of a scan."""
        args = self.args
        if self.labels:
            return self._from_labels(scan, strokes)
        if self.segmenter is not None:
            return self._corrected(scan, strokes)
        from imaging.annotate.annotation import annotate

        with naming(args.strokes):
            return annotate(scan, strokes, self.method.name, **self.parameters)

    def _from_labels(self, scan, strokes):
        from imaging.annotate.annotation import Annotation
        from imaging.annotate.refinement import refine_labels
        from imaging.annotate.slices import fill_between
        from imaging.geometry.grid import align
        from imaging.io.files import read_labels

        args = self.args
        labels = align(read_labels(self.labels), scan, self.labels, args.scan)
        with naming(args.fill or args.strokes):
            return Annotation(fill_between(labels)) if args.fill else refine_labels(scan, strokes, labels)

    def _corrected(self, scan, strokes):
        import edge.annotate
        from medseg.progress import Bar

        args, rank = self.args, self.segmenter.manifest.recipe.rank
        if scan.rank != rank:
            raise InputError(f"{args.scan}: {scan.rank} axes, expected {rank} for this network")
        bar = Bar("network")
        try:
            with naming(args.strokes or args.scan):
                return edge.annotate.annotate(self.segmenter, scan, strokes, progress=bar)
        finally:
            bar.close()
