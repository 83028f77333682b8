"""``zoo evaluate --method``: a classical method scored as a run is."""

from medseg.command import check_left_out, emit_json
from medseg.errors import UsageError


def add_method_options(parser) -> None:
    """Add the options of classical methods to ``zoo evaluate``."""
    group = parser.add_argument_group("classical methods")
    group.add_argument("--method", help="score this method of zoo segment on a dataset folder, given in place of a run")
    group.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="of the method; repeatable")
    group.add_argument("--tune", action="store_true", help="choose the other parameters on training cases")
    group.add_argument("--label", help="the only label that counts (default: all, joined where a method finds one)")
    group.add_argument(
        "--clicks",
        type=int,
        help="simulated points in and around each label, for methods that take seeds (those that need them: 5)",
    )


def check_no_method_options(args) -> None:
    """Require that the options of classical methods were left out.

    Raises:
        UsageError: otherwise.
    """
    check_left_out(
        args, ("param", "tune", "label", "clicks"), "of a classical method; give --method METHOD and a dataset folder"
    )


def run_method(args) -> int:
    """Handle ``zoo evaluate --method``."""
    from imaging.classical.registry import get

    entry = get(args.method)
    parameters = entry.read(args.param)
    check_left_out(args, ("mirror", "ensemble", "code"), "of a run; --method takes one dataset folder and no run")
    if args.mirror is False:
        raise UsageError("--no-mirror: of a run; --method takes one dataset folder and no run")
    if args.folder is not None:
        raise UsageError(f"{args.folder}: of a run; --method takes one dataset folder and no run")
    check_left_out(args, ["threads"], "of an artifact; leave it out with --method")
    if entry.seeds == "none":
        check_left_out(args, ["clicks"], f"of methods that take seeds; {entry.name} takes none, leave it out")
    if args.fold is not None and not args.fold.isdecimal():
        raise UsageError(f"--fold {args.fold}: expected the number of a fold with --method")
    if args.clicks is not None and not 1 <= args.clicks <= 1000:
        raise UsageError(f"--clicks {args.clicks}: expected 1 to 1000")
    from train.commands.folder_options import choices_of
    from train.data.dataset import read_dataset
    from train.evaluation.averages import table
    from train.evaluation.classical import Conditions, evaluate_method

    dataset = read_dataset(args.run, choices_of(args, folder=args.run))
    conditions = Conditions(fold=int(args.fold or 0), label=args.label, clicks=args.clicks)
    metrics = evaluate_method(entry.name, dataset, conditions, parameters, tune=args.tune, progress=not args.json)
    if args.json:
        emit_json(metrics)
        return 0
    print(table(metrics))
    changed = {p.name: metrics["parameters"][p.name] for p in entry.parameters}
    words = " ".join(
        f"--param {k}={str(v).lower() if isinstance(v, bool) else v}"
        for k, v in changed.items()
        if v != next(p.default for p in entry.parameters if p.name == k)
    )
    print(f"{metrics['seconds']:.2f} s a case; parameters {words or 'as they are by default'}")
    return 0
