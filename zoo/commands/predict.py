"""``zoo predict``: scans by an artifact, as ``zoo-edge predict`` does, or by the trained network of a run folder."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.commands import predict as edge_predict
from edge.commands.scans import segment_scans
from edge.runtime.options import Options, parse_outputs
from imaging.configurations import FILE, chosen_folders, scores_folder
from imaging.instances import Decoding
from imaging.labels import Label, Region
from imaging.recipe import Recipe
from medseg import command
from medseg.errors import UsageError, naming

RUN_OPTIONS = ("fold", "code")


@dataclass(frozen=True)
class RunFacts:
    """What ``edge.commands.predict`` reads of a manifest, from the plan of a run.

    Attributes:
        name: dataset and network.
        format: in words, for reports.
        recipe: preprocessing of a scan.
        labels: classes by class index, background first.
        regions: structures that may overlap, or none.
        mirror: axes over whose flips predictions are averaged.
        instances: how the network's answer is cut into objects, or None.
    """

    name: str
    format: str
    recipe: Recipe
    labels: tuple[Label, ...]
    regions: tuple[Region, ...] = ()
    instances: Decoding | None = None
    mirror: tuple[int, ...] = ()


@dataclass(frozen=True)
class RunSegmenter:
    """The trained network of a run, or those of several folds together, used as an ``edge.Segmenter`` is.

    Attributes:
        manifest: what is known of it.
        segment: from a scan as read to its class indices (*spatial), or numbers of objects, as ``zoo evaluate`` finds
            them.
    """

    manifest: RunFacts
    segment: Callable

    def predict_file(self, paths, progress=None, options=None, cancel=None):
        """Segment a scan from its file or files, as ``edge.Segmenter.predict_file`` does; it cannot be cancelled."""
        from imaging.io.files import read

        scan = read(paths, self.manifest.recipe.channels, self.manifest.recipe.nan)
        with naming(str(paths) if isinstance(paths, str | Path) else ",".join(map(str, paths))):
            return self.predict(scan, progress)

    def predict(self, scan, progress=None):
        """Segment a scan; returns an ``edge.Segmentation`` in the scan's own geometry."""
        import numpy as np

        from edge.measure import areas_mm2, of_classes, volumes_ml
        from edge.segmentation import Segmentation
        from edge.trust.fingerprint import flags_of
        from imaging.io.nifti import smallest

        began = time.perf_counter()
        indices = self.segment(scan, progress)
        values = smallest(np.array([label.value for label in self.manifest.labels]))
        written = values[indices] if self.manifest.instances is None else indices
        labels = replace(scan, voxels=written[..., None])
        seconds = time.perf_counter() - began
        facts = of_classes(labels, self.manifest), self.manifest.labels, self.manifest.regions
        volumes, areas = volumes_ml(*facts), areas_mm2(*facts)
        flags = flags_of({}, None, not indices.any())
        return Segmentation(labels, volumes, seconds, {"segment": seconds}, areas, flags=flags)


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``zoo predict``."""
    parser = argparse.ArgumentParser(prog=prog)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = edge_predict.add_predict(
        commands,
        "artifact folder, the name of a shipped one, a run folder, or the --out of a zoo train --fold all or "
        "--configuration all",
    )
    predict.add_argument("--fold", help="of a cross-validated run: all, or some as 0,1,2, averaged (default: all)")
    predict.add_argument("--code", action="store_true", help="of a run: run the Python files that it carries")
    predict.set_defaults(handler=run_predict)
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo predict``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def run_predict(args) -> None:
    """Handle ``zoo predict``."""
    folder = Path(args.artifact)
    if not _holds_runs(folder):
        command.check_left_out(args, RUN_OPTIONS, f"of a run folder; {args.artifact} is none")
        return edge_predict.predict(args)
    edge_predict.check_together(args)
    if args.runtime != "auto":
        raise UsageError(f"--runtime {args.runtime}: of an artifact; {args.artifact} is a run, for Keras")
    if args.cohort or args.scheduler is not None:
        raise UsageError(f"--cohort: of an artifact; {args.artifact} is a run: zoo export makes one of it")
    if args.trust is not None:
        raise UsageError(f"--trust {args.trust}: of a signed artifact; {args.artifact} is a run: zoo export --sign KEY")
    if args.code:
        from zoo.user_code import run_code

        for run in (folder, *folder.glob("fold_*"), *folder.glob("*/fold_*")):
            run_code(run)
    if args.mirror not in (None, "all", "none"):
        raise UsageError(
            f"--mirror {args.mirror}: axes are of an artifact; a run has its own, give --mirror alone, or --no-mirror"
        )
    if args.roi is not None:
        raise UsageError(f"--roi {args.roi}: of an artifact; {args.artifact} is a run, export it first")
    outputs = parse_outputs(args.save)
    if outputs.scores or outputs.variance:
        raise UsageError(f"--save {args.save}: a run gives no probabilities; export it first, or leave them out")
    segmenter = open_segmenter(folder, args.fold, None if args.mirror is None else args.mirror == "all", args.threads)
    return segment_scans(segmenter, args, Options(outputs=outputs))


def _holds_runs(folder) -> bool:
    places = ("plan.json", FILE)
    return any((folder / name).is_file() for name in places) or any(folder.glob("fold_*/plan.json"))


def open_segmenter(folder: Path, fold: str | None = None, mirror: bool | None = None, threads: int = 2) -> RunSegmenter:
    """Open a run folder, or a folder of runs that were trained as the folds of one plan.

    Args:
        folder: of the run or runs.
        fold: of a folder of runs "all" or numbers joined by commas; None for all.
        mirror: average over all flips along the plan's mirror axes, or not; None as the plan says.
        threads: processor threads that each operation of the network may use.

    Raises:
        InputError: if a training has not finished.
        UsageError: for a fold that is not there, or a fold of a single run.
    """
    from imaging.adopted import adopted_postprocessing
    from imaging.cleaning import Postprocessing, apply
    from train.evaluation.cross_validation import load_decision
    from train.evaluation.ensemble import ensemble_segmenter
    from train.fitting.folds import fold_numbers, open_folds
    from train.fitting.run import open_run, unless_planned

    chosen = chosen_folders(folder)
    if (folder / "plan.json").is_file():
        if fold is not None:
            raise UsageError(f"--fold {fold}: of a cross-validated run; {folder} is a single one")
        runs = (open_run(folder),)
        cleaning = adopted_postprocessing(folder, unless_planned(runs, mirror))
    else:
        places = chosen or (folder,)
        plan = open_folds(places[0])[0].plan
        folds = None if fold in (None, "all") else fold_numbers(fold, plan)
        runs = tuple(run for place in places for run in open_folds(place, folds))
        decision = load_decision(scores_folder(folder) if chosen else folder, unless_planned(runs, mirror))
        cleaning = decision.chosen if decision else Postprocessing()
    for run in runs:
        run.check_finished()
    _limit_threads(threads)
    plan = runs[0].plan
    segment = ensemble_segmenter(runs, mirror)

    def cleaned(scan, progress=None):
        return apply(segment(scan, progress), cleaning, plan.labels, scan.spacing)

    name = f"{plan.dataset}-{'+'.join(dict.fromkeys(run.plan.network.name for run in runs))}"
    kind = "Keras" if len(runs) == 1 else f"Keras, mean of {len(runs)} networks"
    facts = RunFacts(name, kind, plan.recipe, plan.labels, plan.regions, plan.instances, tuple(plan.flips(mirror)))
    return RunSegmenter(facts, cleaned)


def _limit_threads(threads):
    import keras

    if keras.backend.backend() == "tensorflow":
        import contextlib

        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # too late where TensorFlow has computed something already
            tf.config.threading.set_intra_op_parallelism_threads(threads)
