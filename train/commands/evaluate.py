"""``zoo evaluate``: the scores of a run on the cases of a fold."""

import os
from pathlib import Path

from imaging.command import emit_json, next_command


def add_evaluate(subparsers) -> None:
    """Add the sub-command ``evaluate`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a run on held-back cases",
        description="Run a trained network over the validation cases of a fold and score them in their own geometry; "
        "writes metrics.json and report.html into the run folder.",
    )
    parser.add_argument("run", type=Path, help="run folder of a zoo train")
    parser.add_argument("folder", type=Path, help="the dataset folder")
    parser.add_argument("--fold", type=int, help="fold to score (default: the run's)")
    parser.add_argument("--labels", help="folder of labels (default: the one trained with)")
    parser.add_argument("--mirror", action="store_true", help="average over flips along the plan's mirror axes")
    parser.add_argument("--no-report", action="store_true", help="leave out report.html")
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of a table")
    parser.set_defaults(handler=run_evaluate)


def run_evaluate(args) -> int:
    """Handle ``zoo evaluate``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's own notes would break the progress bar
    from train.dataset import open_dataset
    from train.evaluate import evaluate, table
    from train.run import open_run

    run = open_run(args.run)
    dataset = open_dataset(args.folder, args.labels or run.plan.labels_folder, labels=run.plan.labels)
    metrics = evaluate(run, dataset, args.fold, mirror=args.mirror, progress=not args.json)
    if not args.no_report:
        from train.report import write_report

        path = write_report(run, dataset, metrics)
    if args.json:
        emit_json(metrics)
        return 0
    print(table(metrics))
    if not args.no_report:
        print(f"report: {path}")
    next_command(f"zoo export {run.folder} --format tflite-int8 --format onnx-int8 --out artifacts/{run.folder.name}")
    return 0
