"""The front door: ``zoo COMMAND``. A sub-command's package is imported when that sub-command runs, and not before."""

import importlib
import sys

from medseg.errors import expected_one_of
from medseg.quiet import hide_native_logs

COMMANDS = {
    "models": ("zoo.commands.catalogue", "list the networks, by wildcard, tag or shipped weights"),
    "info": ("zoo.commands.catalogue", "what is known of a network: parameters, MACs, memory, edge readiness"),
    "weights": ("zoo.commands.weights", "pretrained weights: list and show the shipped sets, make one of a run"),
    "data": ("train.cli", "download and check a public dataset, or make phantoms"),
    "plan": ("zoo.commands.plan", "look at a dataset and decide how to train on it"),
    "inspect": ("train.cli", "look at a dataset: pictures, outliers, duplicates, suspicious labels"),
    "train": ("train.cli", "train a network on a dataset"),
    "finetune": ("train.cli", "go on training a run for int8 (quantization-aware)"),
    "evaluate": ("zoo.commands.evaluate", "score a run or an artifact on cases that it was not trained on"),
    "compare": ("train.cli", "compare runs case by case: intervals, Wilcoxon's test, a plot"),
    "export": ("zoo.commands.export", "turn a run into verified TFLite and ONNX artifacts"),
    "predict": ("zoo.commands.predict", "segment scans with an artifact, without TensorFlow, or with a run"),
    "segment": ("zoo.commands.segment", "segment scans without a network: thresholds, regions, graphs, atlases"),
    "annotate": ("zoo.commands.annotate", "make labels from points, boxes and scribbles"),
    "review": ("review.cli", "look at segmentations in the browser, correct them, train the next version"),
    "filters": ("zoo.commands.filters", "list the filters that a recipe may hold, and what each is for"),
    "filter": ("zoo.commands.filters", "try a filter on a scan"),
    "bench": ("export.cli", "time artifacts, and other runtimes on the same network, side by side"),
    "cache": ("train.cli", "list or clear the preprocessed scans that trainings keep"),
    "demo": ("zoo.commands.demo", "all of the above on phantoms, ending in a report"),
}


def usage() -> str:
    """The help text."""
    rows = "\n".join(f"  {name:9} {text}" for name, (_, text) in COMMANDS.items())
    return f"usage: zoo COMMAND ...\n\n{rows}\n\nzoo COMMAND --help tells more."


def main(argv=None) -> int:
    """Run ``zoo``; returns the exit status: 0, 1 (it failed) or 2 (asked wrongly)."""
    if argv is None:  # the process is the command's own
        hide_native_logs()
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("medseg-zoo"))
        return 0
    if argv[0] not in COMMANDS:
        print(f"zoo: error: unknown command {argv[0]!r}: {expected_one_of(argv[0], COMMANDS)}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(COMMANDS[argv[0]][0])
    except ModuleNotFoundError as error:
        from medseg.command import missing_package

        print(f"zoo: error: {missing_package(error)}", file=sys.stderr)
        return 1
    return module.main(argv, prog="zoo")


if __name__ == "__main__":
    sys.exit(main())
