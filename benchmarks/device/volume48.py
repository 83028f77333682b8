"""The 48 × 48 × 48 network of the design as artifacts: unet3d, width 16, 4 levels, random weights.

    python benchmarks/device/volume48.py artifacts/volume48

Latency does not depend on what the weights are. Writes model.keras and the artifacts onnx-float32 (native 3D),
tflite-float32, tflite-int8 and onnx-int8, the last two calibrated with smoothed noise, for
benchmarks/device/peers.py and
benchmarks/quantization/peak_share.py. Takes about a minute.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PATCH = (48, 48, 48)
FORMATS = ("onnx-float32", "tflite-float32", "tflite-int8", "onnx-int8")
PATCHES = 8


def network():
    """The network, from a seed, its moving statistics away from the fresh 0 and 1."""
    import keras

    import zoo

    keras.utils.set_random_seed(0)
    model = zoo.get("unet3d", (*PATCH, 1), classes=2, width=16, depth=4)
    random = np.random.default_rng(0)
    for weight in model.non_trainable_weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


def patches() -> list[np.ndarray]:
    """Smoothed noise, each float32 (48, 48, 48, 1), standardised."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(0)
    made = [gaussian_filter(random.standard_normal(PATCH), 1.5) for _ in range(PATCHES)]
    return [(volume / volume.std()).astype(np.float32)[..., None] for volume in made]


def write(folder: Path, formats=FORMATS, tell=print) -> None:
    """Write the network and its artifacts; what is there already is replaced."""
    import export
    from export.artifact.folder import write_artifact
    from export.source.source import Source
    from imaging.labels import Label
    from imaging.recipe import Recipe

    folder.mkdir(parents=True, exist_ok=True)
    model = network()
    model.save(folder / "model.keras")
    source = Source(
        name="volume48-unet3d",
        recipe=Recipe(3),
        patch=PATCH,
        overlap=0.5,
        labels=(Label("background", 0), Label("object", 1)),
        channels=("intensity",),
        training=(),
        validation=(),
        model_file=folder / "model.keras",
        provenance={"network": "unet3d", "parameters": model.count_params()},
    )
    for name in formats:
        tell(f"{name}: converting")
        converted = export.convert(model, name, PATCH, patches() if "int8" in name else ())
        write_artifact(converted, source, folder / name)


def main():
    """Write everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--format", action="append", choices=FORMATS, help="may be repeated (default: all)")
    args = parser.parse_args()
    write(args.out, args.format or FORMATS)


if __name__ == "__main__":
    main()
