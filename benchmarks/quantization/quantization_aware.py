"""Quantization-aware fine-tuning on a network made to fail plain int8 quantization.

    python benchmarks/quantization/quantization_aware.py --data DATA --run runs/hippo-mobile

A mobile_unet3d --run that holds no trained network is trained first. Its channels are then spread apart: behind each
depthwise layer a channel is multiplied by a power of two, drawn between 2^-OCTAVES and 2^OCTAVES, and the next
convolution divides by it. The network computes the same as before, but one scale for all weights of a tensor
(--weights per-tensor) no longer serves. It is exported to int8 as it is, fine-tuned with fake quantization, and
exported again; with --control it is also fine-tuned as long without, to tell quantization from more training.

Prints a Markdown table: mean Dice by class on the validation cases of the float network and of each int8 artifact,
through the device runtime, and the share of the loss that was recovered.
"""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

FORMAT = "tflite-int8"


def zoo(*words):
    """Run a command of the front door; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)


def main():
    """Train if need be, spread, export, fine-tune, export, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--run", type=Path, default=Path("runs/hippocampus-mobile"), help="run folder of mobile_unet3d")
    parser.add_argument("--out", type=Path, default=Path("runs/quantization-aware"), help="folder of what is made")
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning, 50 steps each (default: 6)")
    parser.add_argument("--learning-rate", type=float, help="of fine-tuning (default: a tenth of the run's)")
    parser.add_argument("--octaves", type=float, default=3.0, help="how far channels are spread (default: 3; 0: not)")
    parser.add_argument("--weights", default="per-tensor", help="scales of int8 weights (default: per-tensor)")
    parser.add_argument("--control", action="store_true", help="fine-tune without fake quantization too")
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases (default: the user's cache)")
    args = parser.parse_args()
    data = args.data / args.set
    cache = ("--cache", args.cache) if args.cache else ()
    if not (args.run / "model.keras").is_file():
        zoo("train", data, "--model", "mobile_unet3d", "--fold", 0, "--out", args.run, *cache)
    hard = args.run
    if args.octaves:
        hard = args.out / "spread"
        spread_run(args.run, hard, args.octaves)
    fidelities = {"int8, plain": exported(hard, args)}
    rate = ("--learning-rate", args.learning_rate) if args.learning_rate else ()
    tuned = args.out / "tuned"
    if not (tuned / "model.keras").is_file():
        words = ("--weights", args.weights, "--epochs", args.epochs, *rate, *cache)
        zoo("finetune", hard, data, "--out", tuned, *words)
    if args.control:
        fidelities["int8, fine-tuned without fake quantization"] = exported(control(hard, data, args), args)
    fidelities["int8, quantization-aware fine-tuning"] = exported(tuned, args)
    print(table(fidelities, args))


def spread_run(run, out, octaves):
    """A copy of a finished run whose network computes the same with its channels spread apart."""
    import keras

    import zoo.models  # noqa: F401  (registers the layers that a saved network may hold)

    out.mkdir(parents=True, exist_ok=True)
    for name in ("plan.json", "run.json", "cases.json"):
        shutil.copyfile(run / name, out / name)
    model = keras.saving.load_model(run / "model.keras", compile=False)
    image = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype("float32")
    before = model.predict_on_batch(image)
    spread_channels(model, octaves)
    after = model.predict_on_batch(image)
    difference = float(np.abs(after - before).max())
    print(f"spread by {octaves:g} octaves: logits differ by {difference:.1e} at most", file=sys.stderr)
    if difference > 1e-3 * float(np.abs(before).max()):
        raise SystemExit("spreading the channels changed what the network computes")
    model.save(out / "model.keras")


def spread_channels(model, octaves: float, seed: int = 0) -> None:
    """Multiply each channel behind a depthwise layer of a mobile U-Net, and divide where it is used, in place."""
    random = np.random.default_rng(seed)
    names = [layer.name for layer in model.layers]
    for name in names:
        if not name.endswith("_depthwise_norm"):
            continue
        norm = model.get_layer(name)
        gamma, beta, mean, variance = norm.get_weights()
        factors = 2.0 ** random.uniform(-octaves, octaves, gamma.shape)
        norm.set_weights([gamma * factors, beta * factors, mean, variance])
        point = name.replace("_depthwise_norm", "_point_conv")
        after = model.get_layer(point if point in names else "logits")
        kernel, *rest = after.get_weights()
        after.set_weights([kernel / factors[:, None], *rest])


def exported(run, args) -> dict:
    """Fidelity of a run's int8 artifact, whatever it loses."""
    out = args.out / f"{run.name}-artifacts"
    zoo("export", run, "--format", FORMAT, "--weights", args.weights, "--max-drop", 1, "--out", out)
    return json.loads((out / FORMAT / "manifest.json").read_text(encoding="utf-8"))["fidelity"]


def control(run, data, args) -> Path:
    """The run trained on as long as the fine-tuned one and in the same way, but without fake quantization."""
    from train.data.dataset import open_dataset
    from train.fitting.finetuning import finetuning_plan
    from train.fitting.fit import fit
    from train.fitting.run import open_run

    opened, out = open_run(run), args.out / "control"
    if not (out / "model.keras").is_file():
        plan = finetuning_plan(opened, args.weights, args.epochs, args.learning_rate)
        plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, quantize=""))
        dataset = open_dataset(data, opened.plan.labels_folder, labels=opened.plan.labels)
        fit(plan, dataset, out, opened.fold, cache=args.cache, verbose=False)
        shutil.copyfile(run / "model.keras", out / "reference.keras")
    return out


def table(fidelities, args) -> str:
    """The Markdown table."""
    plain = fidelities["int8, plain"]["labels"]
    labels = list(plain)
    network = {label: plain[label]["dice_network"] for label in labels}
    lines = [
        f"{args.set}: mobile_unet3d, weights {args.weights}, channels spread by {args.octaves:g} octaves, "
        f"{args.epochs * 50} steps of fine-tuning, {len(fidelities['int8, plain']['cases'])} validation cases",
        "",
        "| | " + " | ".join(f"Dice {label}" for label in labels) + " | mean | loss recovered |",
        "|---|" + "---|" * (len(labels) + 2),
        _row("Keras float32", network, ""),
    ]
    mean = sum(network.values()) / len(network)
    lost = mean - sum(plain[label]["dice_artifact"] for label in labels) / len(labels)
    for name, fidelity in fidelities.items():
        dice = {label: fidelity["labels"][label]["dice_artifact"] for label in labels}
        recovered = 1 - (mean - sum(dice.values()) / len(dice)) / lost
        lines.append(_row(name, dice, "" if name == "int8, plain" else f"{recovered:.0%}"))
    return "\n".join(lines)


def _row(name, dice, last):
    cells = [f"{value:.4f}" for value in (*dice.values(), sum(dice.values()) / len(dice))]
    return f"| {name} | {' | '.join(cells)} | {last} |"


if __name__ == "__main__":
    main()
