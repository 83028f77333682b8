"""int8 artifacts against other runtimes on the same network: every runtime in turn, and the ratios that matter.

    python benchmarks/device/peers.py artifacts/hippocampus-fold0 --model runs/hippo --python peers/bin/python
    python benchmarks/device/volume48.py artifacts/volume48
    python benchmarks/device/peers.py artifacts/volume48 --model artifacts/volume48/model.keras \\
        --python peers/bin/python

The folder holds tflite-float32, tflite-int8, onnx-int8 and openvino-int8, which runs beside OpenVINO's own int8 of the
same network, quantized by NNCF (the peer of that name); --model is the run or Keras network that they were made from,
of which the peers are made. --python names an interpreter with the peers that this one lacks:

    python3 -m venv peers && peers/bin/pip install openvino nncf torch onnx onnxruntime

Prints a Markdown table of all runtimes, how each ran, who is absent, and the ratios with their goals. Two to three
minutes with all peers; --compile adds torch.compile, some minutes more. Nothing else should run meanwhile.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ARTIFACTS = ("tflite-int8", "onnx-int8", "openvino-int8", "tflite-float32")
# Artifact, peer, and the most that the artifact's median may be of the peer's.
GOALS = (
    ("tflite-int8", "openvino-int8", 0.80),
    ("tflite-int8", "onnxruntime-float32", 0.18),
    ("tflite-int8", "pytorch-float32", 0.12),
    ("onnx-int8", "onnxruntime-int8", 0.25),
    ("openvino-int8", "openvino-int8", 1.00),
)
COMPILED = ("pytorch-compile-float32", "pytorch-compile-bfloat16")


def verdict(figure: float, most: float) -> str:
    """Whether a goal is met."""
    return "holds" if figure <= most else "missed"


def ratios(results) -> str:
    """The goals as a Markdown table; of contestants that did not run it says so."""
    folders = {Path(r.name).name: r.median_ms for r in results if "/" in r.name}
    others = {r.name: r.median_ms for r in results if "/" not in r.name}
    lines = ["| artifact | peer | ratio | at most | |", "|---|---|---:|---:|---|"]
    for artifact, peer, most in GOALS:
        if artifact in folders and peer in others:
            ratio = folders[artifact] / others[peer]
            lines.append(f"| {artifact} | {peer} | {ratio:.3f} | {most:.2f} | {verdict(ratio, most)} |")
        else:
            lines.append(f"| {artifact} | {peer} | did not run | {most:.2f} | |")
    quickest, ours = min([*folders.values(), *others.values()]), min(folders.values())
    lines.append(f"| the quickest of ours | of all | {ours / quickest:.3f} | 1.02 | {verdict(ours, 1.02 * quickest)} |")
    return "\n".join(lines)


def main():
    """Time everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of artifact folders")
    parser.add_argument("--model", type=Path, required=True, help="run folder or saved Keras network")
    parser.add_argument("--python", action="append", default=[], help="interpreter with further peers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each, three runs long")
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile too")
    parser.add_argument("--plot", type=Path, help="write a picture")
    args = parser.parse_args()

    from edge.manifest import load_manifest
    from export.bench import report
    from export.bench.compare import compare
    from export.bench.contest import Rounds
    from export.bench.peers import PeerOptions

    folders = [args.artifacts / name for name in ARTIFACTS if (args.artifacts / name).is_dir()]
    if args.plot is not None:
        report.check_picture(args.plot)
    named = COMPILED if args.compile else ()
    result = compare(
        folders,
        PeerOptions(named, every=True, model=args.model, pythons=args.python),
        rounds=Rounds((args.threads,), args.rounds, 2),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if args.plot is not None:
        report.plot(result, args.plot)
    manifest = load_manifest(folders[0])
    patch = " × ".join(map(str, manifest.patch))
    print(f"{manifest.name}, patch {patch}, {args.threads} threads of {os.cpu_count()} cores, {args.rounds} turns\n")
    print(report.markdown(result.results) + "\n")
    print("\n".join(f"- {line}" for line in report.notes(result)) + "\n")
    print(ratios(result.results))


if __name__ == "__main__":
    main()
