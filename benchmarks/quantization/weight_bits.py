"""What an int8 ONNX file loses by weights of 7 bits, which no processor saturates, against 8 (``--processor amx``).

    python benchmarks/quantization/weight_bits.py --data DATA

The shipped hippocampus networks, calibrated with 24 training scans and compared with their own float logits on 24
others: share of equal classes, Dice of the classes against the float network's (mean and worst case), and decibels of
the logits over their error. On a processor without VNNI, 8 bits measure the saturation. Prints a Markdown table.
"""

import argparse
from pathlib import Path

import numpy as np

import edge
import export
import imaging
import zoo
from zoo.weights import artifact

ENTRIES = ("unet3d", "mobile_unet3d")
WEIGHTS = "hippocampus"
PATCH = (40, 56, 40)
SCANS = 24


def patch_of(path, recipe) -> np.ndarray:
    """The scan, prepared, in the corner of a patch (*PATCH, 1) of zeros."""
    voxels = imaging.prepare(imaging.read(path), recipe).voxels
    corner = tuple(slice(min(have, most)) for have, most in zip(voxels.shape, PATCH, strict=False))
    patch = np.zeros((*PATCH, 1), np.float32)
    patch[corner] = voxels[corner]
    return patch


def compared(logits, expected) -> dict[str, float]:
    """Agreement of two arrays of logits, and the squares of the error and of the expected values' spread."""
    classes, float_classes = logits.argmax(-1), expected.argmax(-1)
    dice = [
        2 * np.sum((classes == k) & (float_classes == k)) / max(1, np.sum(classes == k) + np.sum(float_classes == k))
        for k in range(1, expected.shape[-1])
    ]
    return {
        "agree": float(np.mean(classes == float_classes)),
        "dice": float(np.mean(dice)),
        "error": float(np.mean(np.square(logits - expected))),
        "spread": float(expected.var()),
    }


def main():
    """Export each network with both kinds of weights, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hippocampus/imagesTr")
    args = parser.parse_args()
    scans = sorted((args.data / "hippocampus" / "imagesTr").glob("[!.]*.nii*"))
    print(
        "| network | bits | equal classes | Dice to float | worst case | dB |\n|---|---:|---:|---:|---:|---:|",
        flush=True,
    )
    for entry in ENTRIES:
        recipe = edge.load(artifact(entry, WEIGHTS)).manifest.recipe
        model = zoo.get(entry, input_shape=(*PATCH, 1), classes=3, weights=WEIGHTS)
        calibration, held_out = (
            [patch_of(path, recipe) for path in scans[first : first + SCANS]] for first in (0, len(scans) // 2)
        )
        logits = [np.asarray(model(patch[None], training=False))[0] for patch in held_out]
        for bits, processor in ((8, "amx"), (7, "x86")):
            converted = export.convert(
                model, "onnx-int8", calibration=calibration, method="minmax", processor=processor
            )
            rows = [
                compared(run(converted.data, patch), floats) for patch, floats in zip(held_out, logits, strict=True)
            ]
            agree, dice, error, spread = (
                float(np.mean([row[name] for row in rows])) for name in ("agree", "dice", "error", "spread")
            )
            worst, decibels = min(row["dice"] for row in rows), 10 * np.log10(spread / error)
            print(f"| {entry} | {bits} | {agree:.4%} | {dice:.4f} | {worst:.4f} | {decibels:.1f} |", flush=True)


def run(data: bytes, patch: np.ndarray) -> np.ndarray:
    """Logits (*PATCH, K) of a patch by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    return session.run(None, {source.name: patch.reshape(source.shape)})[0].reshape(*PATCH, -1)


if __name__ == "__main__":
    main()
