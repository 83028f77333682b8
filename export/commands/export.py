"""``zoo export``: from a run folder to verified artifact folders."""

import dataclasses
from pathlib import Path

from medseg import command
from medseg.command import next_command
from medseg.errors import UsageError

DEFAULTS = {"calibration": "auto", "allow_float": 0, "weights": "per-channel", "threads": 2}


def add_export(subparsers) -> None:
    """Add the sub-command ``export`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "export",
        help="turn a run into verified TFLite and ONNX artifacts",
        description="Convert a run's network, read the file back, verify it against the network on the run's "
        "validation cases through the device runtime, and write an artifact folder for each format.",
    )
    parser.add_argument("run", type=Path, nargs="?", help="run folder, as zoo train leaves it, or a saved Keras model")
    parser.add_argument(
        "--format",
        action="append",
        metavar="NAME",
        help="may be repeated; see --list; best: the quickest int8 format on this machine, by measuring all",
    )
    parser.add_argument("-o", "--out", type=Path, help="folder that gets one sub-folder a format")
    parser.add_argument(
        "--fold",
        metavar="N",
        help="of a folder of zoo train --fold all or --configuration all: a fold's number, best (default), or all, "
        "each into a folder of its own, which zoo-edge predict averages",
    )
    parser.add_argument("--patch", type=int, nargs="+", metavar="N", help="input size in voxels instead of the plan's")
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="DICE",
        help="largest drop in mean Dice of a class, instead of the bounds of the gate: every class keeps 99 %% of its "
        "mean Dice, no case loses more than 0.1 of it, at most 5 %% of the voxels change class",
    )
    parser.add_argument("--recipe", type=Path, metavar="JSON", help="of a saved model: its preprocessing")
    parser.add_argument(
        "--calibration-folder", type=Path, metavar="DIR", help="of a saved model: scans to calibrate with"
    )
    parser.add_argument("--labels-folder", type=Path, metavar="DIR", help="of a saved model: their labels, to verify")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=(),
        metavar="NAME[=VALUE]",
        help="of a saved model: names, background first; with values in label files where those are not 0, 1, 2, ...",
    )
    parser.add_argument(
        "--calibration",
        metavar="METHOD",
        help="ranges of int8: minmax, percentile, mse, or auto: what agrees best with the network (default: auto)",
    )
    parser.add_argument(
        "--allow-float", type=int, metavar="N", help="where int8 loses too much, up to N layers stay float"
    )
    parser.add_argument(
        "--equalise",
        action="store_true",
        help="move scales between layers, so that the channels of a tensor have like ranges in int8; done anyway where "
        "int8 loses too much without",
    )
    parser.add_argument(
        "--weights",
        metavar="SCALES",
        help="of int8 weights: per-channel, or per-tensor for NPUs that know no others (default: per-channel)",
    )
    parser.add_argument(
        "--finetune",
        type=Path,
        metavar="RUN",
        help="where int8 loses too much, also with the float layers allowed: fine-tune for it into this run folder",
    )
    parser.add_argument(
        "--processor",
        metavar="KIND",
        help="that int8 files of 3D networks are quickest on: amx, x86 or any (default: the kind of this machine); "
        "with amx, ONNX and OpenVINO weights keep 8 bits, else 7, which processors without VNNI need",
    )
    parser.add_argument(
        "--verify-on",
        type=Path,
        metavar="DIR",
        help="verify on the labelled scans of this dataset folder, as another hospital's, not on the run's own cases",
    )
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="compare with the network on calibration patches only, not on labelled cases; the card says so",
    )
    parser.add_argument(
        "--ship-anyway",
        action="store_true",
        help="write an artifact that verification refuses too; its manifest and card say why it was refused",
    )
    parser.add_argument("--threads", type=int, help="threads for verification (default: 2)")
    parser.add_argument("--max-arena", metavar="SIZE", help="refuse a TFLite file whose activations need more: 256KB")
    parser.add_argument("--target", metavar="NPU", help="compile the int8 TFLite file for ethos-u55, -u65 or -u85 too")
    parser.add_argument("--allow-cpu", action="store_true", help="with --target: accept operators the NPU lacks")
    parser.add_argument(
        "--layout",
        "--form",
        metavar="NAME",
        help="how a 3D network's patches lie in its tensors: batch (processors), or with batch 1 height (GPU and "
        "vendor delegates, Edge TPU) or channels (NPUs of little memory); default: what is best for --target, else "
        "batch; --form is its former name",
    )
    parser.add_argument("--opset", type=int, metavar="N", help="of ONNX files: 13 to 18 (default: 17)")
    parser.add_argument(
        "--dynamic",
        action="store_true",
        help="of ONNX files: batch and spatial axes of any size; of 3D networks in onnx-float32 and onnx-float16 only",
    )
    parser.add_argument(
        "--sign", type=Path, metavar="KEY", help="private Ed25519 key (PEM): sign the artifacts, for zoo-edge --trust"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the formats, what each is for and what it costs; for RUN too"
    )
    parser.add_argument("--json", action="store_true", help="print the artifact folders and their fidelity as JSON")
    parser.add_argument(
        "--code", action="store_true", help="run the Python files that the run carries, of layers of its own"
    )
    parser.set_defaults(handler=run_export)


def run_export(args) -> int:
    """Handle ``zoo export``."""
    if args.list:
        return _list(args)
    command.complete(args, DEFAULTS)
    missing = [name for name in ("run", "format", "out") if getattr(args, name) is None]
    if missing:
        named = ", ".join(name if name == "run" else f"--{name}" for name in missing)
        raise UsageError(
            f"missing {named}; for example: zoo export runs/hippo --format tflite-int8 --out artifacts/hippo"
        )

    import sys

    from edge.trust.signature import read_private_key, sign
    from export.artifact.place import check_places
    from export.commands.folds import exported_runs
    from export.device.quickest import expand, export_quickest
    from export.options import export_options
    from export.source.fine_tuned import rounding_warning
    from export.source.source import int8_warning
    from export.verify.fine_tuning import check_finetune, export_finetuned
    from imaging.adopted import adopted_by
    from imaging.configurations import chosen_folders, scores_folder
    from medseg.byte_sizes import parse_size
    from zoo.user_code import run_code

    args.format, best = expand(args.format)
    options = export_options(
        args.format,
        patch=args.patch,
        max_drop=args.max_drop,
        verify=not args.no_verify,
        ship_anyway=args.ship_anyway,
        threads=args.threads,
        max_arena=None if args.max_arena is None else parse_size(args.max_arena),
        target=args.target,
        allow_cpu=args.allow_cpu,
        layout=args.layout,
        calibration=args.calibration,
        allow_float=args.allow_float,
        equalise=args.equalise or None,
        weights=args.weights,
        processor=args.processor,
        opset=args.opset,
        dynamic=args.dynamic,
    )
    for name in ("allow_float", "finetune"):
        if getattr(args, name) and args.no_verify:
            option = name.replace("_", "-")
            raise UsageError(f"--{option}: is used where verification fails; leave out --no-verify")
    if args.no_verify:
        command.check_left_out(args, ["max_drop"], "is of the verification; leave out --no-verify, or leave it out")
    if args.verify_on is not None and (args.no_verify or args.read_folder is None):
        mend = "leave out --no-verify" if args.no_verify else "is of zoo export, which reads dataset folders"
        raise UsageError(f"--verify-on {args.verify_on}: {mend}")
    if args.allow_cpu and args.target is None:
        raise UsageError("--allow-cpu: goes with --target")
    if args.threads < 1:
        raise UsageError(f"--threads {args.threads}: expected at least 1")
    if args.patch is not None and min(args.patch) < 1:
        raise UsageError(f"--patch {' '.join(map(str, args.patch))}: expected sizes of at least 1")
    if args.sign is not None:
        read_private_key(args.sign)
    runs = exported_runs(args.run, args.fold, args.out)
    if args.finetune is not None and len(runs) > 1:
        raise UsageError("--finetune: goes with a single network; give one run, or --fold with a number or best")
    for _, out in runs:
        check_places(out, args.format)
    if args.code:
        for run, _ in runs:
            run_code(run)
    if args.run not in [run for run, _ in runs]:
        print(f"exporting {', '.join(str(run) for run, _ in runs)}", file=sys.stderr, flush=True)
    # Before TensorFlow is imported, so that a mistake is told at once.
    sources = [(_source(args, run), out) for run, out in runs]
    if len(chosen_folders(args.run)) == 2:  # the two are cleaned up together, as the pair's own scores say
        together = adopted_by(scores_folder(args.run))
        sources = [(dataclasses.replace(source, postprocessing=together), out) for source, out in sources]
    if args.verify_on is not None:
        sources = [(_verified_on(args, source), out) for source, out in sources]
    for source, _ in sources:
        check_finetune(source, args.format, args.finetune, args.processor)
    for warning in (
        int8_warning(sources[0][0], args.format),
        rounding_warning(sources[0][0].provenance, args.format, args.processor),
    ):
        if warning:
            print(warning, file=sys.stderr, flush=True)

    from edge.manifest import load_manifest
    from export.artifact.folder import export_checked
    from medseg.command import emit_json

    def tell(line):
        print(line, file=sys.stderr if args.json else sys.stdout, flush=True)

    folders = []
    for source, out in sources:

        def export(formats, folder, source=source):
            asked = dataclasses.replace(options, formats=tuple(formats))
            return export_finetuned(export_checked, source, asked, folder, args.finetune, tell)

        if best:
            folders += export_quickest(export, args.format, out, args.threads, tell)
        else:
            folders += export(args.format, out)
    if args.sign is not None:
        for folder in folders:
            sign(folder, args.sign)
    if args.json:
        emit_json({str(folder): load_manifest(folder).fidelity for folder in folders})
    else:
        together = folders[:: 1 if best else len(args.format)]  # of one format, one of each fold
        next_command("zoo-edge predict", ",".join(map(str, together)), "SCAN", "-o", "SEGMENTATION")
    return 0


def _source(args, run):
    from export.formats import find_format
    from export.source.model_file import is_model, open_model
    from export.source.source import open_source

    own = [name for name in ("recipe", "calibration_folder", "labels_folder", "classes") if getattr(args, name)]
    if not is_model(run):
        if own:
            raise UsageError(f"--{own[0].replace('_', '-')}: is for a saved model; {run} is none, a run has its own")
        return open_source(run)
    if args.recipe is None:
        raise UsageError(f"{run}: a saved model needs --recipe, the JSON file of its preprocessing")
    quantized = [name for name in args.format if find_format(name).quantized]
    if quantized and args.calibration_folder is None:
        raise UsageError(
            f"{quantized[0]}: needs --calibration-folder, scans of the kind that the network was trained on"
        )
    if args.labels_folder is None and args.verify_on is None and not args.no_verify:
        raise UsageError(
            f"{run}: nothing to verify on; give --labels-folder or --verify-on, or --no-verify to go without"
        )
    return open_model(
        run,
        args.recipe,
        args.calibration_folder,
        labels=args.labels_folder,
        patch=args.patch,
        classes=args.classes,
    )


def _verified_on(args, source):
    cases = args.read_folder(args.verify_on, source)
    name = args.verify_on.resolve().name
    return dataclasses.replace(source, validation=cases, provenance={**source.provenance, "verified_on": name})


def _list(args) -> int:
    others = set(vars(args)) - {"run", "out", "json", "list", "command", "handler", "read_folder"}
    command.check_left_out(args, sorted(others), "of an export; leave it out with --list, which exports nothing")
    from export.commands.listing import listed, table
    from medseg.command import emit_json

    rows = listed(args.run, args.out)
    if args.json:
        emit_json(rows)
    else:
        print(table(rows))
    return 0
