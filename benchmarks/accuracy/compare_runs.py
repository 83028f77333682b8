"""Two finished runs of the same fold in int8: latency interleaved, and mean Dice of the networks and the artifacts.

    python benchmarks/accuracy/compare_runs.py runs/mobile_unet3d runs/unet3d --out artifacts/compared

Each run is exported to OUT/NETWORK/tflite-int8 and verified on its validation cases, unless that was done before.
Prints a Markdown table, and how the first run compares with the second.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import edge

FORMAT = "tflite-int8"


def main() -> int:
    """Export what is not exported yet, time both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs=2, metavar="RUN", help="run folder, the light network first")
    parser.add_argument("--out", type=Path, default=Path("artifacts/compared"), help="folder of the artifacts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    folders = [export(run, args.out) for run in args.runs]
    manifests = [edge.manifest.load_manifest(folder) for folder in folders]
    cases = [sorted(manifest.fidelity["cases"]) for manifest in manifests]
    if cases[0] != cases[1]:
        print(
            f"{args.runs[0]} and {args.runs[1]}: held back different cases; give runs of the same fold", file=sys.stderr
        )
        return 1
    timings = edge.compare(folders, threads=args.threads, rounds=args.rounds, warmup=5)
    print(table(manifests, timings, args))
    return 0


def export(run, out) -> Path:
    """The int8 artifact of a run, made unless there is one that is younger than the network."""
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    out = out / plan["network"]["name"]
    manifest = out / FORMAT / edge.manifest.MANIFEST
    if not manifest.is_file() or manifest.stat().st_mtime < (run / "model.keras").stat().st_mtime:
        words = ("export", run, "--format", FORMAT, "--out", out, "--max-drop", 1)
        subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)
    return out / FORMAT


def mean_dice(manifest, of) -> float:
    """Mean over the foreground classes of the ``network`` or of the ``artifact``."""
    labels = manifest.fidelity["labels"].values()
    return sum(label[f"dice_{of}"] for label in labels) / len(labels)


def table(manifests, timings, args) -> str:
    """The Markdown table, and the first run against the second in words."""
    lines = [
        f"{len(manifests[0].fidelity['cases'])} cases held back, patch {' × '.join(map(str, manifests[0].patch))}, "
        f"{args.threads} threads, {args.rounds} rounds in turn",
        "",
        "| network | parameters | mean Dice Keras | mean Dice int8 | int8 ms | int8 MB | verdict |",
        "|---|" + "---:|" * 5 + "---|",
    ]
    lines += [
        f"| {manifest.source['network']} | {manifest.source['parameters']:,} | {mean_dice(manifest, 'network'):.4f} "
        f"| {mean_dice(manifest, 'artifact'):.4f} | {timing.median_ms:.1f} | {timing.size_bytes / 1e6:.2f} "
        f"| {manifest.fidelity['verdict']} |"
        for manifest, timing in zip(manifests, timings, strict=True)
    ]
    floats, integers = (mean_dice(manifests[0], of) - mean_dice(manifests[1], of) for of in ("network", "artifact"))
    faster = timings[1].median_ms / timings[0].median_ms
    lines += ["", f"{faster:.2f} times as fast in int8; mean Dice {floats:+.4f} in Keras, {integers:+.4f} in int8"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
