"""``zoo demo``: the whole job on phantoms, by the same commands that a user types on real scans."""

import argparse
import dataclasses
import json
import math
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from medseg import command, process
from medseg.columns import aligned
from medseg.errors import InputError, UsageError
from medseg.quiet import visible_stderr
from zoo.commands.demo_folder import make_room, mark

FORMATS = ("onnx-float32", "tflite-int8", "onnx-int8")
CASES, UNSEEN = 40, 1
FEWEST = 5  # cases of as many folds
MADE = (
    "phantoms",
    "plan.json",
    "run",
    "artifacts",
    "overview.png",
    "report.html",
    *(f"{name}.nii.gz" for name in FORMATS),
)

# A process in which TensorFlow and Keras cannot be imported, as on the device.
DEVICE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras"):
            raise ImportError(f"{name} is blocked: this is the device")

sys.meta_path.insert(0, Blocked())
from edge.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Row:
    """A line of the final table: mean Dice by class, megabytes and milliseconds a patch, None where there is none."""

    label: str
    dice: dict[str, float]
    megabytes: float | None = None
    milliseconds: float | None = None


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``zoo demo``."""
    parser = argparse.ArgumentParser(prog=prog)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = subparsers.add_parser("demo", help="train, export, verify and predict on phantoms")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for all of it (default: demo)")
    demo.add_argument("--minutes", type=float, default=4.0, help="training time (default: 4)")
    demo.add_argument("--cases", type=int, default=CASES, help=f"labelled phantoms (default: {CASES})")
    demo.set_defaults(handler=run_demo)
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo demo``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def run_demo(args) -> int:
    """Handle ``zoo demo``."""
    if not 0 < args.minutes < math.inf:
        raise UsageError(f"--minutes {args.minutes:g}: expected more than 0")
    if args.cases < FEWEST:
        raise UsageError(f"--cases {args.cases}: expected at least {FEWEST}, one a fold")
    out = make_room(args.out)
    try:
        _demonstrate(args, out)
    finally:
        mark(out, MADE)
    command.next_command("zoo plan YOUR_DATASET -o plan.json")
    return 0


def _demonstrate(args, out):
    from zoo.commands.demo_report import overview, report

    began = time.perf_counter()
    data, run, artifacts = out / "phantoms", out / "run", out / "artifacts"
    _zoo("data", "phantom", "-o", data, "--cases", args.cases, "--unseen", UNSEEN)
    _zoo("plan", data, "-o", out / "plan.json")
    _zoo("train", data, "--plan", out / "plan.json", "--fold", 0, "--minutes", args.minutes, "--out", run)
    _zoo("evaluate", run, data, "--fold", 0)
    _zoo("export", run, *(word for name in FORMATS for word in ("--format", name)), "--out", artifacts)
    scan, reference = _unseen(data)
    segmentations = {name: _on_device(artifacts / name, scan, out / f"{name}.nii.gz") for name in FORMATS}
    rows = table_rows(data, run, artifacts)
    seconds = time.perf_counter() - began
    print(f"\n{format_table(rows)}\n")
    picture = overview(scan, reference, segmentations, out / "overview.png")
    page = report(rows, picture, run, artifacts, seconds, out / "report.html")
    print(f"{seconds / 60:.1f} minutes; the report: {page.resolve()}")


def table_rows(data, run, artifacts) -> list[Row]:
    """The rows of the final table: best threshold, float network, artifacts, all on the validation cases of fold 0."""
    import edge
    from train.data.dataset import open_dataset
    from train.data.phantom import best_threshold_dice

    manifests = {name: edge.manifest.load_manifest(artifacts / name) for name in FORMATS}
    verified = set(manifests["tflite-int8"].fidelity["cases"])
    dataset = open_dataset(data)
    held = dataclasses.replace(dataset, cases=tuple(case for case in dataset.cases if case.name in verified))
    timings = {Path(t.name).name: t for t in edge.compare([artifacts / name for name in FORMATS])}
    rows = [Row("best single threshold", best_threshold_dice(held))]
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    mean = (metrics["postprocessed"] or metrics)["mean"]  # artifacts clean up as well
    rows.append(Row("network, Keras float32", {name: scores["dice"] for name, scores in mean.items()}))
    for name, manifest in manifests.items():
        dice = {label: f["dice_artifact"] for label, f in manifest.fidelity["labels"].items()}
        rows.append(Row(name, dice, timings[name].size_bytes / 1e6, timings[name].median_ms))
    return rows


def format_table(rows: list[Row]) -> str:
    """The rows as text."""
    labels = list(rows[0].dice)
    lines = [("", *(f"Dice {name}" for name in labels), "MB", "ms")]
    for row in rows:
        dice = (f"{row.dice[name]:.4f}" for name in labels)
        size = "" if row.megabytes is None else f"{row.megabytes:.2f}"
        spent = "" if row.milliseconds is None else f"{row.milliseconds:.1f}"
        lines.append((row.label, *dice, size, spent))
    return "\n".join(aligned(lines))


def _zoo(*words):
    words = [str(word) for word in words]
    print(f"\n$ {command.command_line('zoo', *words)}", flush=True)
    ended = subprocess.run(
        process.module_command("zoo", *words), env=process.environment(), stderr=visible_stderr(), check=False
    )
    if ended.returncode:
        raise InputError(f"zoo {words[0]} ended with status {ended.returncode}; what it said stands above")


def _run(words, name):
    ended = subprocess.run(words, env=process.environment(), stderr=visible_stderr(), check=False)
    if ended.returncode:
        raise InputError(f"{name} ended with status {ended.returncode}; what it said stands above")


def _on_device(artifact, scan, out) -> Path:
    words = ["predict", artifact, scan, "-o", out]
    print(f"\n$ {command.command_line('zoo-edge', *words)}", flush=True)
    ended = subprocess.run(
        process.code_command(DEVICE, *words), env=process.environment(), stderr=visible_stderr(), check=False
    )
    if ended.returncode:
        raise InputError(f"zoo-edge predict ended with status {ended.returncode}; what it said stands above")
    return out


def _unseen(data) -> tuple[Path, Path]:
    scan = sorted((data / "imagesTs").iterdir())[0]
    return scan, data / "labelsTs" / scan.name
