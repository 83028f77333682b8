"""What each format costs on one network, for ``zoo export --list``: size, time, drop in Dice.

    python benchmarks/quantization/format_figures.py --run runs/hippo
        # export what is missing, time, write, print
    python benchmarks/quantization/format_figures.py --artifacts artifacts/hippo
        # the same of artifacts that are there already

Writes ``export/commands/figures.json`` and prints a Markdown table. The artifacts are timed in turn on one patch; sizes
are of the model files, drops those that the gate of the export measured on the run's validation cases.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def measure(folder: Path, threads: int, rounds: int) -> dict:
    """Figures of the artifacts in a folder.

    Args:
        folder: holds one artifact folder a format.
        threads: processor threads.
        rounds: timed runs of each.
    """
    import edge
    from export.device.latency import machine
    from export.formats import FORMATS

    places = [folder / name for name in FORMATS]
    manifests = {place.name: edge.load_manifest(place) for place in places}
    timings = edge.compare(places, threads=threads, rounds=rounds, warmup=3)
    first = manifests[places[0].name]
    figures = {}
    for place, timing in zip(places, timings, strict=True):
        fidelity = manifests[place.name].fidelity
        figures[place.name] = {
            "size_bytes": timing.size_bytes,
            "median_ms": timing.median_ms,
            "min_ms": timing.min_ms,
            "drop": max(label["dice_drop"] for label in fidelity["labels"].values()),
            "verdict": fidelity["verdict"],
        }
    where = machine()
    return {
        "network": first.name,
        "patch": list(first.patch),
        "threads": threads,
        "machine": f"{where['processor']}, {where['cores']} cores",
        "formats": figures,
    }


def main() -> int:
    """Export if asked, measure, write the file, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="run folder; formats that --artifacts lacks are exported from it")
    parser.add_argument("--artifacts", type=Path, help="folder of artifact folders (default: artifacts/RUN)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=ROOT / "export" / "commands" / "figures.json")
    args = parser.parse_args()
    if args.run is None and args.artifacts is None:
        parser.error("give --run or --artifacts")
    from export.formats import FORMATS
    from medseg.atomic import write_bytes

    folder = args.artifacts or Path("artifacts") / args.run.name
    missing = [name for name in FORMATS if not (folder / name / "manifest.json").is_file()]
    if missing:
        if args.run is None:
            parser.error(f"{folder}: lacks {', '.join(missing)}; give --run to export them")
        words = [word for name in missing for word in ("--format", name)]
        command = [sys.executable, "-m", "zoo", "export", str(args.run), "--out", str(folder), *words]
        subprocess.run(command, check=True, stdout=sys.stderr)
    figures = measure(folder, args.threads, args.rounds)
    write_bytes(args.out, (json.dumps(figures, indent=1) + "\n").encode())
    base = figures["formats"]["tflite-float32"]
    print(f"{figures['network']}, patch {' × '.join(map(str, figures['patch']))}, {args.threads} threads\n")
    print(
        "| format | MB | of float32 | median ms | of float32 | drop in Dice | verdict |\n|---|---|---|---|---|---|---|"
    )
    for name, row in figures["formats"].items():
        print(
            f"| {name} | {row['size_bytes'] / 1e6:.2f} | {row['size_bytes'] / base['size_bytes']:.0%} "
            f"| {row['median_ms']:.1f} | {row['median_ms'] / base['median_ms']:.2f} | {row['drop']:+.4f} "
            f"| {row['verdict']} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
