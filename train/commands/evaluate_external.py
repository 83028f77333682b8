"""``zoo evaluate RUN FOLDER`` and ``ARTIFACT FOLDER``: the external test, on scans that nothing was trained on."""

import hashlib
import json
from pathlib import Path

from imaging import prior
from medseg.command import add_trust, check_left_out, command_line, emit_json, next_command
from medseg.errors import UsageError
from medseg.record import write_text
from train.commands.folder_options import choices_of
from train.data.dataset_json import Choices

FOLDER = "external"
THREADS = 2  # of an artifact
OPTIONS = ("sites", "groups", "out", "trust")


def add_external_options(parser) -> None:
    """Add the options of an external test to ``zoo evaluate``."""
    group = parser.add_argument_group("external test: another folder than the one trained on")
    group.add_argument(
        "--sites",
        type=Path,
        metavar="CSV",
        help="a file with the headings case and others, such as site or scanner: scores by each of their values; a "
        "heading patient says which cases are of one patient",
    )
    group.add_argument(
        "--groups",
        help="which cases are of one patient: none, a regular expression, or a CSV file of case,group (default: read "
        "from the names)",
    )
    group.add_argument(
        "--out",
        type=Path,
        help="folder for metrics.json and report.html (default: RUN/external/FOLDER; of an artifact none); with "
        "--ensemble for ensemble.json (default: RUN)",
    )
    group.add_argument("--threads", type=int, help=f"processor threads of an artifact (default: {THREADS})")
    add_trust(group)


def check_no_external_options(args) -> None:
    """Require that the options of an external test were left out.

    Raises:
        UsageError: otherwise.
    """
    taken = ("out",) if args.ensemble else ()
    check_left_out(
        args,
        [name for name in OPTIONS if name not in taken],
        "of an external test; give a folder of other scans than those trained on, without --fold and --ensemble",
    )


def is_external(args, run) -> bool:
    """Whether the folder holds other scans than those that the run was planned on.

    Args:
        args: of ``zoo evaluate``.
        run: a run, or one of those of a cross-validation.
    """
    if args.folder is None or args.ensemble:
        return False
    begun = Path(run.dataset)
    elsewhere = begun.is_dir() and begun.resolve() != args.folder.resolve()
    if args.fold is not None:
        if elsewhere:  # cases of equal names would be scored in place of those that were held back
            raise UsageError(
                f"--fold {args.fold}: {args.folder} is another folder than {begun}, which the run was trained on; "
                "leave --fold out to test the run on it, or leave the folder out"
            )
        return False
    if begun.is_dir():
        return elsewhere
    from train.data.dataset import read_dataset

    # What was trained on is gone: a folder that holds all of its cases is the same one, at another place.
    names = {case.name for case in read_dataset(args.folder, choices_of(args, run.plan)).cases}
    return not names >= {name for fold in run.plan.folds for name in fold}


def score_runs(args, runs) -> int:
    """Test a run, or those of a cross-validation together, on another folder."""
    from imaging.adopted import adopted_postprocessing, flips_suffix
    from imaging.cleaning import Postprocessing
    from train.evaluation.cross_validation import load_decision
    from train.external.score import Candidate
    from train.fitting.run import unless_planned

    plan = runs[0].plan
    mirror = unless_planned(runs, args.mirror)
    if len(runs) == 1:
        chosen = adopted_postprocessing(runs[0].folder, mirror)
    else:
        decision = load_decision(args.run, mirror)
        chosen = decision.chosen if decision else Postprocessing()
    kind = "trained network" if len(runs) == 1 else f"mean of {len(runs)} networks"
    opened = []

    def segment(scan):
        if not opened:  # the folder is checked before TensorFlow is imported
            from train.evaluation.ensemble import ensemble_segmenter

            opened.append(ensemble_segmenter(runs, args.mirror))
        return opened[0](scan)

    candidate = Candidate(
        name=f"{plan.dataset}-{'+'.join(dict.fromkeys(run.plan.network.name for run in runs))}",
        kind=kind + ", averaged over flips" * any(run.plan.averages(args.mirror) for run in runs),
        segment=segment,
        labels=plan.labels,
        channels=plan.channels,
        recipe=plan.recipe,
        regions=plan.regions,
        postprocessing=chosen,
        fingerprint=plan.fingerprint,
        trained_on=tuple(run.folder / "cases.json" for run in runs),
        instances=plan.instances is not None,
        weights=_weights(runs),
    )
    name = args.folder.resolve().name + flips_suffix(mirror)
    return _score(args, candidate, choices_of(args, plan), args.out or args.run / FOLDER / name)


def score_artifact(args, candidate) -> int:
    """Test an artifact on the device runtime.

    Raises:
        UsageError: for options that are of a run.
    """
    check_left_out(args, ("fold", "ensemble", "code"), f"of a run; {args.run} is an artifact")
    if args.folder is None:
        mend = command_line("zoo evaluate", args.run, "FOLDER")
        raise UsageError(f"{args.run}: is an artifact; give the folder of labelled scans, {mend}")
    choices = Choices(args.images, args.labels, candidate.labels, args.follow_paths, candidate.instances)
    return _score(args, candidate, choices, args.out)


def _weights(runs) -> str:
    """SHA-256 over the networks of runs, with the first ones of cascades."""
    digest = hashlib.sha256()
    for run in runs:
        first = run.folder / prior.FOLDER / run.model_file.name
        for path in (run.model_file, *([first] if first.is_file() else [])):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _score(args, candidate, choices, out) -> int:
    from medseg.atomic import check_writable
    from train.data.dataset import read_dataset
    from train.data.grouping import check_groups
    from train.evaluation.kept_scores import check_kept
    from train.external.report import table, write_report
    from train.external.score import prepare, score
    from train.external.sites import read_sites

    if args.groups is not None:
        check_groups(args.groups)
    if out is not None:
        facts = {name: getattr(candidate, name) for name in ("name", "kind", "weights")}
        check_kept(out / "metrics.json", args.folder, facts)
        check_writable(out, out)
    dataset = prepare(candidate, read_dataset(args.folder, choices, args.groups))
    sites = None if args.sites is None else read_sites(args.sites, [case.name for case in dataset.cases])
    result = score(candidate, dataset, sites, progress=not args.json)
    if out is not None:
        write_text(out / "metrics.json", json.dumps(result, indent=1) + "\n")
    if args.json:
        emit_json(result)
        return 0
    print(table(result))
    if out is None:
        return 0
    if not args.no_report:
        print(f"report: {write_report(out / 'report.html', result)}")
    next_command("zoo compare", out, "OTHER")
    return 0
