"""A converted network run by the device's runtime."""

from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.runtime.runner import open_runner
from imaging.labels import Label
from imaging.recipe import Recipe


def run(converted, folder, patch: np.ndarray) -> np.ndarray:
    """Logits float32 (*patch, K) of one patch float32 (*patch, C).

    Args:
        converted: from ``export.convert``.
        folder: gets the model file.
        patch: as the network takes it.
    """
    channels, classes = patch.shape[-1], converted.output.shape[-1]
    path = Path(folder) / converted.format.file
    path.write_bytes(converted.data)
    manifest = Manifest(
        name="network",
        format=converted.format.name,
        model=path.name,
        sha256="",
        recipe=Recipe(patch.ndim - 1, channels),
        patch=patch.shape[:-1],
        overlap=0.5,
        labels=tuple(Label(str(value), value) for value in range(classes)),
        channels=("channel",) * channels,
        folded=converted.folded,
        form=converted.layout,
        input=converted.input,
        output=converted.output,
    )
    return open_runner(path, manifest, 1).run(patch)


def patches(shape, count: int = 6) -> list[np.ndarray]:
    """Patches float32 of ``shape`` with values from -1 to 1, both reached."""
    images = [np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32") for seed in range(count)]
    for patch in images:
        patch.flat[0], patch.flat[-1] = -1.0, 1.0
    return images
