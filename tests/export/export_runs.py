"""A finished run folder without a training: a network that finds bright balls by its hand-set weights."""

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

import imaging
import zoo
from imaging.io.cases import CaseFiles, Cases
from imaging.labels import Label
from imaging.recipe import Normalise, Recipe
from imaging.scan import Scan
from medseg import record

LABELS = (Label("background", 0), Label("ball", 3))


def ball_network(rank: int = 3, channels: int = 1, threshold: float = 0.5):
    """Mean of 3 voxels along each axis (convolution and batch normalisation), then logits about ``threshold``."""
    convolution = layers.Conv3D if rank == 3 else layers.Conv2D
    image = keras.Input((None,) * rank + (channels,))
    x = convolution(4, 3, padding="same", use_bias=False, name="mean")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = convolution(2, 1, name="logits")(x)
    model = keras.Model(image, x, name="balls")
    kernel = np.zeros((*(3,) * rank, channels, 4), np.float32)
    kernel[..., 0, :] = 1 / 3**rank
    model.get_layer("mean").set_weights([kernel])
    ones = np.ones(4, np.float32)
    model.get_layer("norm").set_weights([ones, 0 * ones, 0 * ones, ones - 1e-3])
    last = np.zeros((*(1,) * rank, 4, 2), np.float32)
    last[..., 1] = 1.0
    model.get_layer("logits").set_weights([last, np.array([0, -4 * threshold], np.float32)])
    return model


def ball(shape, radius: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy image float32 (*shape) with a ball of brightness 1, and its label map uint8."""
    rng = np.random.default_rng(seed)
    centre = [n / 2 + rng.uniform(-1, 1) for n in shape]
    distance = sum((g - c) ** 2 for g, c in zip(np.indices(shape), centre, strict=True))
    inside = distance < radius**2
    return (inside + rng.normal(0, 0.05, shape)).astype("float32"), (3 * inside).astype("uint8")


def write_run(folder, rank: int = 3, channels: int = 1, training: int = 3, validation: int = 2, network=None) -> Path:
    """Write plan.json, run.json, cases.json, model.keras and the scans; returns the run folder.

    Args:
        folder: is made.
        rank: 3 for NIfTI scans (4D where there are several channels), 2 for colour PNG images of equal channels.
        channels: of the scans; all but the first are noise.
        training, validation: number of cases.
        network: instead of ``ball_network``.
    """
    run, scans = Path(folder) / "run", Path(folder) / "scans"
    run.mkdir(parents=True)
    scans.mkdir()
    lists = {"training": [], "validation": []}
    for number in range(training + validation):
        which = "training" if number < training else "validation"
        name = f"{which}_{number}"
        image, label = _write_case(scans, name, rank, channels, number)
        lists[which].append(CaseFiles(name, (str(image),), str(label)))
    record.save(run / "cases.json", Cases(**{key: tuple(value) for key, value in lists.items()}))
    patch = (8,) * rank if rank == 3 else (16, 16)
    plan = {
        "dataset": "balls",
        "network": {"name": "balls", "options": {}},
        "recipe": record.to_dict(_recipe(rank, channels)),
        "patch": patch,
        "overlap": 0.5,
        "labels": [record.to_dict(label) for label in LABELS],
        "channels": [f"channel {n}" for n in range(channels)],
        "training": {"seed": 0},
        "schema": 1,
    }
    (run / "plan.json").write_text(json.dumps(plan))
    (run / "run.json").write_text(json.dumps({"fold": 0, "versions": {}}))
    (network or ball_network(rank, channels)).save(run / "model.keras")
    return run


def write_noise_run(folder, patch, options) -> Path:
    """What a finished training of ``unet3d`` leaves, with untrained weights and one scan of noise; no case held back.

    Args:
        folder: that takes it.
        patch: shape of the scan too.
        options: of the network.
    """
    image = Path(folder) / "scan.nii.gz"
    voxels = np.random.default_rng(0).normal(size=(*patch, 1)).astype(np.float32)
    imaging.write(image, Scan(voxels, np.eye(4)))
    plan = {
        "dataset": "Noise", "network": {"name": "unet3d", "options": options},
        "recipe": record.to_dict(Recipe(rank=3, channels=1, spacing=(1.0, 1.0, 1.0))), "patch": patch, "overlap": 0.5,
        "channels": ["noise"], "training": {"seed": 0}, "schema": 1,
        "labels": [{"name": "background", "value": 0}, {"name": "rest", "value": 1}],
    }  # fmt: skip
    (Path(folder) / "plan.json").write_text(json.dumps(plan))
    record.save(Path(folder) / "cases.json", Cases((CaseFiles("scan", (str(image),), None),), ()))
    zoo.get("unet3d", (*patch, 1), **options).save(Path(folder) / "model.keras")
    return Path(folder)


def _recipe(rank, channels):
    scale = 1.0 if rank == 3 else 200.0
    return Recipe(
        rank, channels, orientation="RAS" if rank == 3 else None,
        normalise=Normalise("fixed", (0.0,) * channels, (scale,) * channels),
    )  # fmt: skip


def _write_case(scans, name, rank, channels, seed):
    shape = (12, 10, 9) if rank == 3 else (24, 20)
    image, label = ball(shape, 3.5 if rank == 3 else 6.0, seed)
    if rank == 2:
        return _write_png(scans, name, image, label)
    affine = np.diag([-1.5, 1.0, 2.0, 1.0])
    rng = np.random.default_rng(seed)
    voxels = np.stack([image, *rng.normal(size=(channels - 1, *shape)).astype("float32")], axis=-1)
    paths = scans / f"{name}.nii.gz", scans / f"{name}_label.nii.gz"
    imaging.write(paths[0], Scan(voxels, affine))
    imaging.write(paths[1], Scan(label[..., None], affine))
    return paths


def _write_png(scans, name, image, label):
    import cv2

    paths = scans / f"{name}.png", scans / f"{name}_label.png"
    grey = np.clip(200 * image, 0, 255).astype("uint8")
    cv2.imwrite(str(paths[0]), np.repeat(grey[..., None], 3, axis=-1))
    cv2.imwrite(str(paths[1]), label)
    return paths
