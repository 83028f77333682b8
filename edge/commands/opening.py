"""The network and the options that a command line of ``predict`` asks for."""

from pathlib import Path

from edge.first_pass import WhereFound
from edge.runtime.ensemble import Ensemble, load_ensemble
from edge.runtime.options import Options, parse_mirror, parse_outputs
from edge.runtime.region import MAX_MARGIN_MM, Coarse, parse_threshold
from edge.runtime.segmenter import Segmenter, load
from imaging.prior import FOLDER
from medseg.errors import UsageError
from medseg.quiet import native_logs_hidden


def open_network(args) -> tuple[Segmenter | Ensemble, Options]:
    """Open what a command line names.

    Args:
        args: ``artifact``, ``threads``, ``runtime``, ``trust``, ``save``, ``mirror``, ``roi`` and ``roi_margin``.

    Raises:
        InputError: if an artifact cannot be opened.
        UsageError: if an option is none of those that there are.
    """
    outputs = parse_outputs(args.save)
    with native_logs_hidden():
        segmenter = load_ensemble(artifacts(args.artifact), args.threads, args.runtime, args.trust)
        region = None if args.roi is None else _region(args, segmenter)
    if isinstance(segmenter, Ensemble) and args.mirror not in (None, "all", "none"):
        raise UsageError(
            f"--mirror {args.mirror}: the artifacts have different axes; give --mirror alone, for all, or --no-mirror"
        )
    if isinstance(region, Coarse):
        check_same_scans(region.segmenter.manifest, segmenter.manifest, f"--roi {args.roi}")
    mirror = None if args.mirror is None else parse_mirror(args.mirror, segmenter.manifest.recipe.patch_rank)
    return segmenter, Options(mirror, region, outputs)


def artifacts(text: str) -> list[str]:
    """The artifacts that an argument names: one, or several joined by commas."""
    names = [text] if Path(text).exists() else text.split(",")
    if len(set(names)) != len(names) or not all(names):
        raise UsageError(f"{text}: expected different artifacts joined by commas")
    return names


def check_same_scans(manifest, of, named: str) -> None:
    """Require an artifact to take the scans of another: as many axes and channels.

    Args:
        manifest: of the artifact.
        of: of the other.
        named: what the user called the first by, for the message.

    Raises:
        UsageError: if it does not.
    """
    for quantity, own, expected in (
        ("axes", manifest.recipe.rank, of.recipe.rank),
        ("channels", manifest.recipe.channels, of.recipe.channels),
    ):
        if own != expected:
            raise UsageError(f"{named}: takes scans of {own} {quantity}, expected {expected} as {of.name}")


def _region(args, segmenter):
    if not 0 <= args.roi_margin <= MAX_MARGIN_MM:
        raise UsageError(f"--roi-margin {args.roi_margin:g}: expected 0 to {MAX_MARGIN_MM:g} mm")
    if args.roi == FOLDER and getattr(segmenter, "first", None) is not None:
        return WhereFound(args.roi_margin)
    threshold = parse_threshold(args.roi, args.roi_margin)
    return threshold or Coarse(load(args.roi, args.threads, trust=args.trust), args.roi_margin)
