"""``zoo train``: from a dataset folder to a run folder."""

import argparse
import os
from pathlib import Path

from medseg.command import command_line, next_command
from medseg.errors import UsageError
from train.commands.code_options import add_code, use_files, use_run
from train.commands.folder_options import add_folder_options, choices_of
from train.commands.preconditions import ALL, FOLDS, check_count, check_enough, check_request, overridden
from train.commands.train_configurations import is_of_configurations, run_configurations
from train.input.augmentation_presets import PRESETS
from train.planning.configuration import CONFIGURATIONS
from train.planning.plan import load_plan


def add_train(subparsers) -> None:
    """Add the sub-command ``train`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on a dataset folder",
        description="Train a network on a dataset folder. Without --plan it plans first. Interrupt it at any moment "
        "and continue with --resume.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="dataset folder: MSD, nnU-Net v2, or images/ and labels/ (with --resume: the run's own)",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="run folder to write")
    parser.add_argument("--plan", type=Path, help="plan.json to follow; made from the dataset by default")
    parser.add_argument("--model", help="network, see zoo models, or my_nets.py:name; the plan's by default")
    parser.add_argument(
        "--configuration",
        choices=(*CONFIGURATIONS, ALL),
        help="of the plan that is made: 2d takes volumes slice by slice, 2.5d each slice with its neighbours, 3d "
        "whole, 3d-low at a coarser spacing, cascade both in turn (default: by zoo plan's rule); all trains each that "
        "applies and takes the best on the held-back cases, or the best two together",
    )
    parser.add_argument(
        "--fold",
        help="fold whose cases are held back (default: 0); all, or some as 0,1,2, are trained in turn into "
        "OUT/fold_0, ... and summed up by cross-validation; none trains on every case",
    )
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="folds of the plan that is made (default: 5); without --fold all of them are trained",
    )
    add_folder_options(parser)
    parser.add_argument("--epochs", type=int, help="instead of the plan's")
    parser.add_argument("--steps-per-epoch", type=int, help="instead of the plan's")
    parser.add_argument(
        "--minutes", type=float, help="train each network for this long; the learning rate falls with the clock"
    )
    parser.add_argument("--batch", type=int, help="patches per step, instead of the plan's")
    parser.add_argument("--learning-rate", type=float, help="instead of the plan's")
    parser.add_argument("--precision", help="auto, float32, mixed_bfloat16 or mixed_float16, instead of the plan's")
    parser.add_argument("--optimizer", help="adamw or sgd (with Nesterov momentum), instead of the plan's")
    parser.add_argument("--loss", help="see zoo.losses, or keras:Name, or my_losses.py:name, instead of the plan's")
    parser.add_argument("--schedule", help="cosine, poly or constant, after the warm-up, instead of the plan's")
    parser.add_argument("--accumulate", type=int, help="batches averaged for one step of the optimizer")
    parser.add_argument("--class-weights", type=_weights, help="factors in the loss, background first: 0.5,1,2")
    parser.add_argument("--patience", type=int, help="end after so many epochs without a lower validation loss")
    parser.add_argument(
        "--validate-every",
        type=int,
        metavar="N",
        help="every N epochs segment the held-back cases whole: their Dice goes into the curves, the first case as a "
        "picture into TensorBoard, and --patience goes by it",
    )
    parser.add_argument("--validate-cases", type=int, metavar="N", help="how many of them, the first (default: all)")
    parser.add_argument(
        "--deep-supervision",
        action=argparse.BooleanOptionalAction,
        help="train the coarser decoder levels as well, or not, instead of the plan's",
    )
    parser.add_argument(
        "--from",
        dest="start",
        help="run folder, .keras or .npz file, or shipped set whose fitting layers to start from",
    )
    parser.add_argument(
        "--freeze", action="append", help="layers not to train, such as encoder or 'encoder[01]*'; may be repeated"
    )
    parser.add_argument(
        "--augment",
        help=f"a preset that mimics scanners ({', '.join(PRESETS)}), chances of augmentations, such as "
        "bias_field=0.2,cutout=0.3, or both: mr,cutout=0.3; instead of the plan's",
    )
    parser.add_argument(
        "--devices",
        type=_devices,
        help="how many graphics cards share every step, or all; each takes a batch of the plan's, so that two train as "
        "one with twice the batch (default: 1, or all that the workers in TF_CONFIG have)",
    )
    parser.add_argument("--seed", type=int, help="instead of the plan's")
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases (default: the user's cache)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_code(parser)
    parser.set_defaults(handler=run_train)


def run_train(args) -> int:
    """Handle ``zoo train``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's own notes would break the progress bar
    from train.data.dataset import open_dataset, read_dataset
    from train.fitting.curves import load_history
    from train.fitting.fit import fit
    from train.fitting.folds import fold_numbers, is_several
    from train.fitting.outlook import outlook
    from train.fitting.resuming import dataset_folder, require_same_folders
    from train.hardware.devices import is_cluster, open_engine
    from train.planning.planner import make_plan

    use_files(args)
    use_run(args, args.out)
    if args.folds is not None:
        args.fold = args.fold or "all"
        check_count(args)
    if is_of_configurations(args):
        return run_configurations(args)
    engine = open_engine(args.devices) if is_cluster() else None  # before anything else computes
    chief = engine is None or engine.chief
    several = is_several(args.fold)
    begun = _begun(args, several) if args.resume else None
    if begun is not None:
        args.folder = dataset_folder(begun, args.folder)
        require_same_folders(begun, args.images, args.labels)
    elif args.folder is None:
        missing = "holds no run to resume" if args.resume else "will hold a new run"
        mend = command_line("zoo train FOLDER --out", args.out)
        raise UsageError(f"{args.out}: {missing}; give the dataset folder, {mend}")
    if args.fold is None:
        args.fold = "0" if begun is None else "none" if begun.fold is None else str(begun.fold)
    if not args.folder.exists():
        open_dataset(args.folder)  # says so, before the seconds that Keras takes to be imported
    known = None
    if begun is not None or args.plan is not None:
        # Whatever is asked of a run that was begun must agree with it; fit says so if it does not.
        known = overridden(begun.plan if args.plan is None else load_plan(args.plan), args)
    check_request(args, known, begun=begun is not None)
    dataset = read_dataset(args.folder, choices_of(args, known), args.groups)
    if known is None:
        check_request(args, None, dataset.labels)
        check_enough(dataset, args.folds)
    made = {"configuration": args.configuration, "folds": args.folds or FOLDS, "progress": chief}
    plan = known or overridden(make_plan(dataset, args.model, **made), args)
    folds = fold_numbers(args.fold, plan)
    if several:
        return _run_folds(args, plan, dataset, folds, engine)
    try:
        run = fit(plan, dataset, args.out, folds[0], args.resume, args.cache, devices=engine or args.devices)
    except KeyboardInterrupt:
        next_command("zoo train --resume --out", args.out)
        raise
    if not chief:
        return 0
    history = load_history(run.folder / "history.csv")
    print(f"{run.folder}: {run.model_file.name} is the trained network, history.csv and progress.png show how it went")
    print(outlook(history))
    if engine is None:  # one of several workers would compute alone while the others wait
        _decide_postprocessing(run, dataset, history)
    if run.fold is None:
        next_command("zoo export", run.folder, "--format", "tflite-int8", "--out", f"artifacts/{run.folder.name}")
    else:
        next_command("zoo evaluate", run.folder, args.folder, "--fold", run.fold)
    return 0


def _decide_postprocessing(run, dataset, history):
    """Have the run decide how its segmentations are cleaned up, in a tenth of the training's time or three cases."""
    from train.evaluation.postprocess import allowed_text, decide_for_run

    try:
        decision = decide_for_run(run, dataset, history[-1]["seconds"] / 10 if history else 0, True)
    except KeyboardInterrupt:
        next_command("zoo train --resume --out", run.folder)
        raise
    if decision is not None:
        print(allowed_text(decision))


def _begun(args, several):
    """The run to go on with, the first of several; None where there is none yet."""
    from train.fitting.folds import open_folds
    from train.fitting.run import open_run

    single = (args.out / "plan.json").is_file()
    if any(args.out.glob("fold_*/plan.json")) and not single:
        if not several:
            raise UsageError(
                f"{args.out}: holds several folds; resume them with --fold all, or some as 0,1,2, or one with "
                f"{command_line('--out', args.out / 'fold_N')}"
            )
        return open_folds(args.out)[0]
    if single and several:
        raise UsageError(f"{args.out}: holds a single run; resume it without --fold, or give another --out")
    return open_run(args.out) if single else None


def _run_folds(args, plan, dataset, folds, engine):
    from train.evaluation.cross_report import write_cross_report
    from train.evaluation.cross_validation import cross_validate, summary_table
    from train.fitting.folds import fit_folds, open_folds

    try:
        fit_folds(plan, dataset, args.out, folds, args.resume, args.cache, devices=engine or args.devices)
        if engine is not None:  # the workers end together; the scores are made by one process
            if engine.chief:
                next_command("zoo evaluate", args.out, args.folder, "--fold", args.fold)
            return 0
        runs = [run for run in open_folds(args.out) if run.model_file.is_file()]  # those of earlier commands as well
        summary = cross_validate(runs, dataset, args.out, reuse=True, progress=True)
    except KeyboardInterrupt:
        next_command("zoo train --resume --out", args.out, "--fold", args.fold)
        raise
    following = command_line("zoo evaluate", args.out, args.folder, "--mirror")
    path = write_cross_report(args.out, summary, runs, dataset, following)
    print(summary_table(summary))
    print(f"{args.out}: summary.json holds the scores, {path.name} shows them, each fold_N is a trained network")
    next_command(following)
    return 0


def _devices(text):
    if text == "all" or (text.isdecimal() and int(text) > 0):
        return text if text == "all" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected 1 or more, or all")


def _weights(text):
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers joined by commas") from None
