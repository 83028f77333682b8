"""What peers are made from: the float network with native 3D layers, and patches."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.regions import classes_of, written_classes
from medseg.errors import InputError

PATCHES = 8


@dataclass(frozen=True)
class Network:
    """Files for peers, and the network's own answer.

    Attributes:
        job: "onnx", "keras", "input" and "calibration", paths.
        classes: class of each voxel of the input by the Keras network.
        description: what the patches are, in words.
        written: the class index that each region writes, of a network of regions (``imaging.regions``); else None.
    """

    job: dict
    classes: np.ndarray
    description: str
    written: tuple[int, ...] | None = None


def gather(model, folder, patch=None, channels: int | None = None) -> Network:
    """Write the files of a run or a saved Keras network.

    Args:
        model: run folder, ``.keras`` or ``.h5`` file, SavedModel folder, or a Keras model.
        folder: gets the files.
        patch: spatial size, that of the artifacts; by default the network's own.
        channels: that the artifacts take, to compare with.

    Raises:
        InputError: if it is no network, or does not take the patch.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from export.conversion.convert import convert
    from export.device import memory_advice
    from export.rewrite.heads import adapt
    from export.source.model_file import is_model
    from export.source.source import load_network, open_source

    source, origin, folder = None, memory_advice.Origin(None, {}), Path(folder)
    if isinstance(model, str | Path):
        if not is_model(model):
            source = open_source(model)
            origin = memory_advice.built_from(source.provenance)
        model = load_network(model if source is None else source.model_file)
    if patch is None:
        patch = model.inputs[0].shape[1:-1] if source is None else source.patch
    if None in patch:
        raise InputError(f"{model.name}: its input shape {model.inputs[0].shape[1:]} is open; give a patch")
    taken = model.inputs[0].shape[-1]
    if channels not in (None, taken):
        raise InputError(
            f"{model.name}: expected {channels} channels as its artifacts take, got {taken}; "
            "give the network that they were exported from"
        )
    if source is None:
        model = adapt(model, model.name, patch).model  # as its artifacts were: one channel of a sigmoid is two classes
    model = memory_advice.resized(model, patch, origin)
    image = keras.Input(batch_shape=(1, *patch, taken), name="image")
    network = keras.Model(image, model(image), name=model.name)
    network.save(folder / "network.keras")
    (folder / "network.onnx").write_bytes(convert(model, "onnx-float32", patch).data)
    calibration, image, description = _patches(source, tuple(patch), taken)
    np.save(folder / "calibration.npy", calibration)
    np.save(folder / "input.npy", image)
    logits = np.asarray(network.predict_on_batch(image[None])[0])
    files = {"onnx": "network.onnx", "keras": "network.keras", "input": "input.npy", "calibration": "calibration.npy"}
    job = {name: str(folder / file) for name, file in files.items()}
    written = None if source is None else written_classes(source.labels, source.regions)
    return Network(job, classes_of(logits, written), description, written)


def noise(patch, channels: int, count: int = 1) -> np.ndarray:
    """Patches of random numbers, float32 (count, *patch, channels), as ``zoo-edge bench`` runs them."""
    return np.random.default_rng(0).standard_normal((count, *patch, channels), np.float32)


def _patches(source, patch, channels):
    """Calibration patches, the patch that is run, and in words what they are."""
    from export.quantize import calibration as calibrate

    cases = () if source is None else (*calibrate.choose(source.training, PATCHES), *source.validation[:1])
    if not cases or not all(Path(image).exists() for case in cases for image in case.images):
        made = noise(patch, channels, PATCHES + 1)
        return made[1:], made[0], "on noise, which also calibrated int8"
    import dataclasses

    source = dataclasses.replace(source, patch=patch)
    seen = np.stack(calibrate.patches(source, tuple(cases[:-1]), PATCHES))
    image = calibrate.patches(source, cases[-1:], 1)[0]
    return seen, image, f"on a patch of {cases[-1].name}; int8 of peers calibrated with {len(seen)} training patches"
