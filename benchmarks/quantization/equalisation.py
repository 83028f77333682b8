"""What cross-layer equalisation (Nagel et al., arXiv:1906.04721) recovers where one scale serves all weights.

    python benchmarks/quantization/equalisation.py --run runs/hippo-mobile

The channels of the --run, of a mobile_unet3d or mobile_unet, are spread apart first, as is done in
benchmarks/quantization/quantization_aware.py; --octaves 0 leaves the run as it is. It is exported to int8 with and
without
equalisation, weights per tensor and per channel, each verified on the run's validation cases through the device
runtime.

Prints a Markdown table: mean Dice by class of the float network and of each artifact, the share of voxels whose class
changed, and how many channels were given another scale.
"""

import argparse
import sys
from pathlib import Path

from quantization_aware import spread_run

from edge.manifest import load_manifest
from export import export_run
from export.quantize.quantization import WEIGHTS


def main():
    """Export, verify, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="run folder, as zoo train leaves it")
    parser.add_argument("--out", type=Path, default=Path("runs/equalisation"), help="folder of artifact folders")
    parser.add_argument("--octaves", type=float, default=3.0, help="how far channels are spread (default: 3; 0: not)")
    parser.add_argument("--format", default="tflite-int8", help="tflite-int8 or onnx-int8 (default: tflite-int8)")
    parser.add_argument("--weights", nargs="+", default=WEIGHTS[::-1], help="granularities (default: both)")
    args = parser.parse_args()
    rows, head, run = [], None, args.run
    if args.octaves:
        run = args.out / "spread"
        spread_run(args.run, run, args.octaves)
    for weights in args.weights:
        for equalise in (False, True):
            folder = args.out / f"{weights}{'-equalised' if equalise else ''}"
            (made,) = export_run(
                run, [args.format], folder, weights=weights, equalise=equalise, ship_anyway=True, tell=_tell
            )
            manifest = load_manifest(made)
            labels = manifest.fidelity["labels"]
            head = head or heading(manifest, labels, args)
            dice = " | ".join(f"{label['dice_artifact']:.4f}" for label in labels.values())
            rows.append(
                f"| {weights} | {'yes' if equalise else 'no'} | {manifest.source.get('equalised', 0)} | {dice} | "
                f"{manifest.fidelity['argmax_changed']:.4%} | {manifest.fidelity['verdict']} |"
            )
    print("\n".join([*head, *rows]))


def heading(manifest, labels, args) -> list[str]:
    """Title and head of the table, with the row of the float network."""
    names = " | ".join(f"Dice {name}" for name in labels)
    dice = " | ".join(f"{label['dice_network']:.4f}" for label in labels.values())
    return [
        f"{manifest.name}, channels spread by {args.octaves:g} octaves, {args.format}, "
        f"{len(manifest.fidelity['cases'])} validation cases",
        "",
        f"| weights | equalised | channels moved | {names} | class changed | verdict |",
        "|---" * (5 + len(labels)) + "|",
        f"| float32 | | | {dice} | | |",
    ]


def _tell(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
