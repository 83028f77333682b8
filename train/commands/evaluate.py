"""``zoo evaluate``: the scores of a run on the cases of a fold, of all folds, or of their ensemble."""

import argparse
import json
import os
from pathlib import Path

from imaging.adopted import adopted_postprocessing, flips_suffix
from imaging.cleaning import cleaning_text
from imaging.configurations import chosen_folders, scores_folder
from medseg.command import check_left_out, command_line, emit_json, next_command
from medseg.errors import UsageError
from train.commands.code_options import add_code, use_run
from train.commands.evaluate_external import (
    THREADS,
    add_external_options,
    check_no_external_options,
    is_external,
    score_artifact,
    score_runs,
)
from train.commands.evaluate_method import add_method_options, check_no_method_options, run_method
from train.commands.folder_options import add_folder_options, choices_of


def add_evaluate(subparsers) -> None:
    """Add the sub-command ``evaluate`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a run on held-back cases",
        description="Run a trained network over the validation cases of a fold and score them in their own geometry; "
        "writes metrics.json and report.html into the run folder, for another fold than the run's or other flips than "
        "planned metrics_fold2.json, metrics_mirror.json and so on. With several folds: the scores of each case by the "
        "network that was not trained on it, summed up in summary.json, or of the networks together (--ensemble). With "
        "a folder of other scans: an external test of the run, the runs together, or an artifact, with intervals.",
    )
    parser.add_argument(
        "run", type=Path, help="the --out of a zoo train, or an artifact folder; with --method a dataset folder"
    )
    parser.add_argument("folder", type=Path, nargs="?", help="the dataset folder (default: the one trained on)")
    parser.add_argument("--fold", help="fold to score (default: the run's), or of several runs all, or some as 0,1,2")
    add_folder_options(parser, planned=True)
    parser.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="average over flips along the plan's mirror axes, or not (default: as the plan says)",
    )
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="average the probabilities of the folds, scored on the cases of the folder that trained none of them",
    )
    parser.add_argument("--no-report", action="store_true", help="leave out report.html")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON instead of a table")
    add_external_options(parser)
    add_method_options(parser)
    add_code(parser)
    parser.set_defaults(handler=run_evaluate)


def run_evaluate(args) -> int:
    """Handle ``zoo evaluate``."""
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads {args.threads}: expected at least 1")
    if args.method is not None:
        check_no_external_options(args)
        return run_method(args)
    check_no_method_options(args)
    how = (args.threads or THREADS, args.trust, args.mirror)
    artifact = args.open_artifact(args.run, *how) if args.open_artifact else None
    if artifact is not None:
        return score_artifact(args, artifact)
    check_left_out(args, ["threads"], f"of an artifact; {args.run} is a run, leave it out")
    if args.trust is not None:
        raise UsageError(f"--trust {args.trust}: of a signed artifact; {args.run} is none: zoo export --sign KEY")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's own notes would break the progress bar
    from medseg.atomic import check_writable
    from train.evaluation.averages import table
    from train.evaluation.evaluate import evaluate
    from train.fitting.folds import fold_numbers, is_several
    from train.fitting.run import open_run, unless_planned

    use_run(args, args.run)
    chosen = chosen_folders(args.run)
    if len(chosen) == 2:
        return _pair(args, chosen)
    if chosen:
        _tell_choice(args, chosen)
        args.run = chosen[0]
    single = (args.run / "plan.json").is_file()
    folder_of_folds = not single and any(args.run.glob("fold_*/plan.json"))
    if is_several(args.fold) or args.ensemble or folder_of_folds:
        if single:
            raise UsageError(f"{args.run}: is a single run; --ensemble and several folds need a zoo train --fold all")
        return _several(args)
    run = open_run(args.run)
    run.check_finished()
    if is_external(args, run):
        return score_runs(args, (run,))
    check_no_external_options(args)
    fold = None if args.fold is None else fold_numbers(args.fold, run.plan)[0]
    check_writable(run.folder, run.folder)
    dataset = _dataset(args, run)
    metrics = evaluate(run, dataset, fold, mirror=args.mirror, progress=not args.json)
    if not args.no_report:
        from train.evaluation.report import write_report

        path = write_report(run, dataset, metrics, run.result_file("report.html", metrics["fold"], args.mirror).name)
    if args.json:
        emit_json(metrics)
        return 0
    print(table(metrics))
    for cleaning in adopted_postprocessing(run.folder, unless_planned([run], args.mirror)).classes:
        print(f"postprocessing: {cleaning.label}: {cleaning_text(cleaning)}, as zoo predict and artifacts do")
    if not args.no_report:
        print(f"report: {path}")
    formats = ("--format", "tflite-int8", "--format", "onnx-int8")
    next_command("zoo export", run.folder, *formats, "--out", f"artifacts/{run.folder.name}")
    return 0


def _several(args):
    """Score the folds of one configuration."""
    from train.evaluation.cross_validation import cross_validate, summary_table
    from train.fitting.folds import open_folds

    runs = every = open_folds(args.run)
    folds = _asked_folds(args, runs[0].plan)
    if folds is not None:
        runs = open_folds(args.run, folds)
    for run in runs:
        run.check_finished()

    def score(dataset):
        out = args.run if len(runs) == len(every) else None  # some folds do not replace the summary of all
        summary = cross_validate(runs, dataset, out, mirror=args.mirror, progress=not args.json)
        artifacts = f"artifacts/{args.run.name}"
        following = command_line("zoo export", runs[0].folder, "--format", "tflite-int8", "--out", artifacts)
        if not args.no_report:
            from train.evaluation.cross_report import write_cross_report
            from train.evaluation.report import write_report

            for run in runs:
                metrics = json.loads(run.result_file("metrics.json", mirror=args.mirror).read_text(encoding="utf-8"))
                write_report(run, dataset, metrics, run.result_file("report.html", mirror=args.mirror).name)
            if out is not None:
                path = write_cross_report(out, summary, runs, dataset, following)
        if args.json:
            emit_json(summary)
            return 0
        print(summary_table(summary))
        if out is not None and not args.no_report:
            print(f"report: {path}")
        next_command(following)
        return 0

    return _score_together(args, runs, score)


def _pair(args, chosen):
    """Score the two configurations that were chosen together."""
    from train.configurations.pairs import cross_validate_pair
    from train.configurations.plans import finished
    from train.evaluation.cross_validation import summary_table
    from train.fitting.folds import open_folds

    folder, names = args.run, [each.name for each in chosen]
    folds = _asked_folds(args, open_folds(chosen[0])[0].plan)
    every = finished(folder, names)
    members = every if folds is None else finished(folder, names, folds)
    runs = [run for each in members.values() for run in each]
    _tell_choice(args, chosen)
    args.run = scores_folder(folder)

    def score(dataset):
        whole = len(runs) == sum(map(len, every.values()))  # some folds do not replace the summary of all
        how = {"mirror": args.mirror, "write": whole, "progress": not args.json}
        summary = cross_validate_pair(members, dataset, args.run, **how)
        if args.json:
            emit_json(summary)
            return 0
        print(summary_table(summary))
        next_command("zoo export", folder, "--format", "tflite-int8", "--out", f"artifacts/{folder.name}")
        return 0

    return _score_together(args, runs, score)


def _asked_folds(args, plan):
    """The numbers of the folds that ``--fold`` names; None for all."""
    from train.fitting.folds import fold_numbers

    return None if args.fold in (None, "all") else fold_numbers(args.fold, plan)


def _score_together(args, runs, score):
    """Score several runs: on other scans, as an ensemble, or by ``score``, which takes the dataset; the exit status."""
    from medseg.atomic import check_writable

    if is_external(args, runs[0]):
        return score_runs(args, runs)
    check_no_external_options(args)
    place = (args.ensemble and args.out) or args.run
    check_writable(place, place)
    dataset = _dataset(args, runs[0])
    return _ensemble(args, runs, dataset) if args.ensemble else score(dataset)


def _tell_choice(args, chosen):
    if not args.json:
        verb = "are averaged" if len(chosen) == 2 else "was chosen"
        print(f"{args.run}: {' and '.join(each.name for each in chosen)} {verb} (configurations.json)")


def _ensemble(args, runs, dataset):
    from medseg.record import write_text
    from train.evaluation.averages import table
    from train.evaluation.cross_validation import load_decision
    from train.evaluation.ensemble import evaluate_ensemble, folds_of
    from train.evaluation.kept_scores import check_kept
    from train.fitting.run import unless_planned

    mirror = unless_planned(runs, args.mirror)
    path = (args.out or args.run) / f"ensemble{flips_suffix(mirror)}.json"
    check_kept(path, dataset.folder, {"folds": folds_of(runs)})
    decision = load_decision(args.run, mirror)
    metrics = evaluate_ensemble(
        runs,
        dataset,
        mirror=args.mirror,
        postprocessing=decision.chosen if decision else None,
        progress=not args.json,
    )
    write_text(path, json.dumps(metrics, indent=1) + "\n")
    if args.json:
        emit_json(metrics)
    else:
        print(table(metrics))
    return 0


def _dataset(args, run):
    from train.data.dataset import read_dataset

    folder = args.folder or run.dataset
    return read_dataset(folder, choices_of(args, run.plan, folder))
