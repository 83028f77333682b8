"""Latency of a network's artifacts on one patch, interleaved, against ONNX Runtime float32 with native 3D convolutions.

    python benchmarks/device/runtime_speed.py artifacts/hippocampus-fold0

The folder holds onnx-float32 (native 3D), tflite-float32, tflite-int8 and onnx-int8, as
benchmarks/accuracy/accuracy.py leaves
them. Prints a Markdown table; "speed" is how many times as fast as the first row, by the median.
"""

import argparse
import os
from pathlib import Path

import edge

FORMATS = ("onnx-float32", "tflite-float32", "tflite-int8", "onnx-int8")


def main():
    """Time the artifacts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    folders = [args.artifacts / name for name in FORMATS]
    manifest = edge.manifest.load_manifest(folders[0])
    timings = edge.compare(folders, threads=args.threads, rounds=args.rounds, warmup=5)
    patch = " × ".join(map(str, manifest.patch))
    print(f"{manifest.name}, patch {patch}, {args.threads} threads of {os.cpu_count()} cores, {args.rounds} rounds\n")
    print("| artifact | MB | median ms | min ms | speed |\n|---|---|---|---|---|")
    for timing in timings:
        print(
            f"| {Path(timing.name).name} | {timing.size_bytes / 1e6:.2f} | {timing.median_ms:.1f} "
            f"| {timing.min_ms:.1f} | {timings[0].median_ms / timing.median_ms:.2f} |"
        )


if __name__ == "__main__":
    main()
