"""Keras networks that were not written here, from PyPI packages, trained shortly and converted to int8.

    python benchmarks/quantization/foreign.py --data DATA --minutes 3

The packages are installed by pip into the folder --packages if it does not exist, without what they depend on: some pin
versions of Keras of years ago, all run with today's:

    pip install --no-deps --target runs/foreign/packages medicai==0.0.4 segmentation-models-3D==1.1.1
        classification-models-3D==1.1.0 keras-unet-collection==0.1.13 keras-unet==0.1.2

Every network is built by its package, trained on fold 0 by ``model.fit(train.pipeline(...))``, saved, and exported from
its ``.keras`` file like any other, with a gate on the validation cases of fold 0 through the device runtime. A network
that is in the folder --out already is not trained again.

Prints a Markdown table: package, parameters, share of multiplications in int8, mean Dice over cases and classes of the
Keras network and of the artifact, and the verdict; or, below it, what stopped a network.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

FORMATS = ("tflite-int8", "onnx-int8")
PACKAGES = {
    "medicai": "0.0.4",
    "segmentation-models-3D": "1.1.1",
    "classification-models-3D": "1.1.0",
    "keras-unet-collection": "0.1.13",
    "keras-unet": "0.1.2",
}


@dataclass(frozen=True)
class Network:
    """A network of a package.

    Attributes:
        name: of the network.
        package: that it is from, as pip knows it.
        set: dataset folder that it is trained on.
        patch: spatial size of its input, voxels.
        build: from input shape (*patch, channels) and number of classes to the model.
    """

    name: str
    package: str
    set: str
    patch: tuple[int, ...]
    build: Callable

    @property
    def folder(self) -> str:
        """Where it is kept, below --out."""
        return f"{self.package}-{self.name}"


def medicai_unet(shape, classes):
    """U-Net over the first three levels of a ResNet-18, padded by layers of their own."""
    import keras
    from medicai.models import UNet

    network = UNet(
        encoder_name="resnet18", input_shape=shape, encoder_depth=3, num_classes=classes, decoder_filters=(48, 24, 8),
        classifier_activation="softmax",
    )  # fmt: skip
    return keras.Model(network.inputs, network.outputs, name="unet")  # without the levels that it does not use


def segmentation_models_unet(shape, classes):
    """U-Net over a pre-activation ResNet-18; batch normalisation before its convolutions, the first on the image."""
    import segmentation_models_3D

    return segmentation_models_3D.Unet(
        "resnet18", input_shape=shape, classes=classes, activation="softmax", encoder_weights=None,
        decoder_filters=(96, 64, 32, 16, 8),
    )  # fmt: skip


def attention_unet(shape, classes):
    """Attention U-Net with bilinear up-sampling."""
    from keras_unet_collection import models

    return models.att_unet_2d(
        shape, [12, 24, 48, 96], classes, activation="ReLU", batch_norm=True, pool="max", unpool="bilinear",
        attention="add", output_activation="Softmax",
    )  # fmt: skip


def v_net(shape, classes):
    """V-Net in 2D: PReLU, strided and transposed convolutions, residual blocks."""
    from keras_unet_collection import models

    return models.vnet_2d(
        shape, [12, 24, 48, 96], classes, res_num_ini=1, res_num_max=2, activation="PReLU", batch_norm=True,
        pool=False, unpool=False, output_activation="Softmax",
    )  # fmt: skip


def custom_unet(shape, classes):
    """U-Net; batch normalisation after the activation, transposed convolutions."""
    from keras_unet.models import custom_unet

    return custom_unet(
        shape, num_classes=classes, filters=12, num_layers=3, dropout=0.1,
        output_activation="softmax",
    )  # fmt: skip


NETWORKS = (
    Network("UNet", "medicai", "hippocampus", (40, 56, 40), medicai_unet),
    Network("Unet", "segmentation-models-3D", "hippocampus", (32, 64, 32), segmentation_models_unet),
    Network("att_unet_2d", "keras-unet-collection", "hc18", (128, 128), attention_unet),
    Network("vnet_2d", "keras-unet-collection", "hc18", (128, 128), v_net),
    Network("custom_unet", "keras-unet", "hc18", (128, 128), custom_unet),
)


def main():
    """Install if need be; train, export and verify each network; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--out", type=Path, default=Path("runs/foreign"), help="folder of what is made")
    parser.add_argument("--packages", type=Path, help="folder of the installed packages (default: OUT/packages)")
    parser.add_argument("--minutes", type=float, default=3, help="of training, each network (default: 3)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the networks")
    parser.add_argument("--cases", type=int, help="validation cases (default: all of fold 0)")
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases (default: the user's cache)")
    args = parser.parse_args()
    packages = args.packages or args.out / "packages"
    install(packages)
    sys.path.append(str(packages))
    chosen = [candidate for candidate in NETWORKS if not args.only or candidate.name in args.only]
    rows, stopped = [], []
    for network in chosen:
        for name, outcome in exported(network, args).items():
            if isinstance(outcome, dict):
                rows.append(row(network, name, outcome, packages))
            else:
                stopped.append(f"{network.package} {network.name}, {name}: {outcome}")
    print(table(rows, stopped, args))


def install(folder: Path) -> None:
    """Install the packages into a folder of their own, if it does not exist."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    requirements = [f"{name}=={version}" for name, version in PACKAGES.items()]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *requirements]
    subprocess.run(command, check=True, stdout=sys.stderr)


def exported(network: Network, args) -> dict:
    """Manifest of the network's artifact in each format, or in words what stopped it."""
    import keras

    from edge.manifest import load_manifest
    from export import export_run, open_model
    from medseg import record
    from medseg.errors import InputError
    from train import open_dataset
    from train.input.pipeline import fold_cases

    keras.backend.clear_session()
    folder = args.out / network.folder
    dataset = open_dataset(args.data / network.set)
    plan = planned(network, dataset, args)
    folder.mkdir(parents=True, exist_ok=True)
    record.save(folder / "plan.json", plan)
    try:
        trained(network, dataset, plan, folder, args)
    except (ValueError, TypeError, AttributeError) as error:  # the package does not go with this Keras
        return dict.fromkeys(FORMATS, f"cannot be built or saved ({str(error).strip().splitlines()[0]})")
    training, validation = (tuple(map(_files, cases)) for cases in fold_cases(dataset, plan, 0))
    outcomes = {}
    for name in FORMATS:
        try:
            source = open_model(folder / "model.keras", folder / "plan.json", patch=network.patch)
            source = dataclasses.replace(
                source, training=training, validation=validation[: args.cases], labels=plan.labels
            )
            (made,) = export_run(source, [name], folder, tell=_tell)
            outcomes[name] = dataclasses.asdict(load_manifest(made)) | {"bytes": (made / _file(made)).stat().st_size}
        except InputError as error:
            outcomes[name] = str(error)
    return outcomes


def planned(network: Network, dataset, args):
    """The set's plan, made once, with the network's patch."""
    from medseg import record
    from train import make_plan
    from train.planning.plan import load_plan

    saved = args.out / f"{network.set}.plan.json"
    if not saved.is_file():
        args.out.mkdir(parents=True, exist_ok=True)
        size = {"size": network.patch} if len(network.patch) == 2 else {}
        record.save(saved, make_plan(dataset, **size))
    return dataclasses.replace(load_plan(saved), patch=network.patch)


def trained(network: Network, dataset, plan, folder: Path, args) -> None:
    """Build the network with its package, train it for so many minutes, and save it."""
    import keras

    from train.input.cache import cache_cases
    from train.input.pipeline import batches, fold_cases

    model = network.build((*network.patch, len(plan.channels)), len(plan.labels))
    if (folder / "model.keras").is_file():
        return  # built all the same: that registers the package's own layers
    print(f"{network.package} {network.name}: {model.count_params():,} parameters", file=sys.stderr)
    cases = cache_cases(fold_cases(dataset, plan, 0)[0], plan.recipe, plan.labels, args.cache, ignore=plan.ignore)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # or its statistics would lag behind so short a training
    until = time.monotonic() + 60 * args.minutes

    def stop(batch, logs):
        model.stop_training = time.monotonic() > until

    rate = keras.optimizers.schedules.ExponentialDecay(2e-3, 100, 0.9)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False)
    data = batches(cases, plan, training=True)
    model.fit(
        data, steps_per_epoch=10**6, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=stop)]
    )
    print(f"{network.package} {network.name}: {int(model.optimizer.iterations)} steps", file=sys.stderr)
    model.save(folder / "model.keras")


def _files(case):
    from imaging.io.cases import CaseFiles

    return CaseFiles(case.name, tuple(map(str, case.images)), str(case.label))


def _file(artifact) -> str:
    return json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))["model"]


def _tell(line):
    print(line, file=sys.stderr, flush=True)


def row(network, name, manifest, packages) -> str:
    """One line of the table."""
    fidelity, source = manifest["fidelity"], manifest["source"]
    labels = fidelity["labels"].values()
    network_dice, artifact_dice = (
        sum(label[key] for label in labels) / len(labels) for key in ("dice_network", "dice_artifact")
    )
    version = next(iter(metadata.distributions(name=network.package, path=[str(packages)]))).version
    cells = (
        network.name, f"{network.package} {version}", f"{network.set}, {' × '.join(map(str, network.patch))}",
        f"{source['parameters']:,}", name, f"{manifest['bytes'] / 1e6:.2f}", f"{source['int8_share']:.1%}",
        f"{network_dice:.4f}", f"{artifact_dice:.4f}", fidelity["verdict"],
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(rows, stopped, args) -> str:
    """The Markdown table, and what stopped the others."""
    head = (
        "network",
        "package",
        "trained on",
        "parameters",
        "format",
        "MB",
        "MACs in int8",
        "Dice",
        "Dice int8",
        "verdict",
    )
    lines = [
        f"Networks of other packages, trained {args.minutes:g} minutes each; Dice is the mean over classes and "
        "validation cases",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *rows,
    ]
    if stopped:
        lines += ["", "Not converted, or not faithful:", "", *(f"- {reason}" for reason in stopped)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
