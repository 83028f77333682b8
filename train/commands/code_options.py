"""Code of the user's own on the command line: networks and losses by file, and ``--code`` for what a run carries."""

from pathlib import Path

CODE = "run the Python files that the run folder carries (its network or loss is the user's own); only if you trust it"


def add_code(parser) -> None:
    """Add ``--code`` to a parser."""
    parser.add_argument("--code", action="store_true", help=CODE)


def use_files(args) -> None:
    """Run the files that ``--model`` and ``--loss`` name, and give both the names that plans call them by.

    Raises:
        ZooError: if one is not there, fails, or defines no such network or loss.
    """
    from zoo.code_names import names_code
    from zoo.user_code import use_loss, use_network

    for option, use in (("model", use_network), ("loss", use_loss)):
        value = getattr(args, option, None)
        if value is not None and names_code(value):
            setattr(args, option, use(value))


def use_run(args, folder) -> None:
    """Run the files that a run, or each of the folds in a folder, carries, if ``--code`` says so.

    Raises:
        ZooError: if one is not there, was altered or fails.
    """
    from zoo.user_code import run_code

    if args.code:
        for run in (
            Path(folder),
            *(each for place in ("fold_*", "*/fold_*") for each in sorted(Path(folder).glob(place))),
        ):
            run_code(run)
