"""``zoo finetune``: quantization-aware fine-tuning of a run whose int8 artifact loses too much."""

import os
from pathlib import Path

from medseg.command import next_command
from train.commands.code_options import add_code, use_run
from train.commands.folder_options import add_folder_options, choices_of


def add_finetune(subparsers) -> None:
    """Add the sub-command ``finetune`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "finetune",
        help="go on training a run for int8 (quantization-aware)",
        description="Go on training a run's network for some hundred steps with fake quantization where the converter "
        "quantizes. Export the run that it leaves: its int8 artifact is compared with the network started from.",
    )
    parser.add_argument("run", type=Path, help="the --out of a zoo train that ended")
    parser.add_argument("folder", type=Path, nargs="?", help="the dataset folder (default: the one trained on)")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    parser.add_argument(
        "--format",
        default="tflite-int8",
        help="int8 format that will be exported: tflite-int8, onnx-int8 or openvino-int8 (default: tflite-int8); each "
        "runtime rounds at its own places",
    )
    parser.add_argument(
        "--weight-bits",
        type=int,
        default=0,
        metavar="BITS",
        help="8 for ONNX and OpenVINO files of zoo export --processor amx (default: the format's own, 7 in these, 8 in "
        "TFLite)",
    )
    parser.add_argument(
        "--weights",
        default="per-channel",
        metavar="SCALES",
        help="scales of the int8 weights, as for zoo export: per-channel or per-tensor (default: per-channel)",
    )
    parser.add_argument("--epochs", type=int, help="of the plan's steps per epoch (default: 6)")
    parser.add_argument("--learning-rate", type=float, help="highest (default: a tenth of the run's)")
    add_folder_options(parser, planned=True)
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases (default: the user's cache)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_code(parser)
    parser.set_defaults(handler=run_finetune)


def run_finetune(args) -> int:
    """Handle ``zoo finetune``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's own notes would break the progress bar
    from train.data.dataset import read_dataset
    from train.fitting.finetuning import EPOCHS, finetune
    from train.fitting.run import open_run

    run = open_run(args.run)
    use_run(args, args.run)
    check_request(args, run)
    folder = args.folder or run.dataset
    dataset = read_dataset(folder, choices_of(args, run.plan, folder))
    try:
        made = finetune(
            run,
            dataset,
            args.out,
            target=_target(args),
            epochs=EPOCHS if args.epochs is None else args.epochs,
            learning_rate=args.learning_rate,
            resume=args.resume,
            cache=args.cache,
        )
    except KeyboardInterrupt:
        next_command("zoo finetune", args.run, "--out", args.out, "--resume")
        raise
    print(f"{made.folder}: {made.model_file.name} is the fine-tuned network, as float")
    options = ["--format", args.format]
    options += [] if args.weights == "per-channel" else ["--weights", args.weights]
    options += ["--processor", "amx"] if args.format != "tflite-int8" and args.weight_bits == 8 else []
    next_command("zoo export", made.folder, *options, "--out", f"artifacts/{made.folder.name}")
    return 0


def _target(args):
    from train.fitting.finetuning import Target

    return Target(args.format, args.weights, args.weight_bits)


def check_request(args, run) -> None:
    """Require what is asked for to make sense by itself, before the dataset is read.

    Raises:
        UsageError: naming the field of the plan, what it holds and what is expected.
        InputError: if the run has not finished, or nothing can be written to the run folder or the cache.
    """
    from medseg.atomic import check_writable
    from train.commands.preconditions import check_run_folder
    from train.fitting.checks import check
    from train.fitting.finetuning import EPOCHS, finetuning_plan

    run.check_finished()
    check(finetuning_plan(run, _target(args), EPOCHS if args.epochs is None else args.epochs, args.learning_rate))
    check_run_folder(args.out, args.resume)
    if args.cache is not None:
        check_writable(args.cache, f"--cache {args.cache}")
