"""A dataset of small scans in the MSD layout, and a plan of a small network for it."""

import dataclasses
import json

import nibabel
import numpy as np

from imaging.recipe import Normalise, Recipe
from train.data.dataset import open_dataset
from train.planning.plan import Augmentation, Network, Plan, Training
from train.planning.split import split

STILL = Augmentation(
    rotation_chance=0.0,
    scale_chance=0.0,
    noise_chance=0.0,
    blur_chance=0.0,
    brightness_chance=0.0,
    contrast_chance=0.0,
    low_resolution_chance=0.0,
    gamma_chance=0.0,
    gamma_inverted_chance=0.0,
)
# The same as what --augment takes.
STILL_WORDS = ",".join(
    f"{field.name.removesuffix('_chance')}=0"
    for field in dataclasses.fields(Augmentation)
    if field.name.endswith("_chance")
)


def tiny_network(input_shape, classes=2, *, width=4, deep_supervision=False, name="tiny"):
    """Two levels of one convolution each: as small as a network with every kind of layer that training treats apart."""
    import keras
    from keras import layers

    inputs = keras.Input(input_shape, name="image")
    levels = []
    x = inputs
    for level in range(2):
        x = layers.AveragePooling3D(2, name=f"encoder{level}_down")(x) if level else x
        x = layers.Conv3D(width, 3, padding="same", use_bias=False, name=f"encoder{level}_conv")(x)
        x = layers.BatchNormalization(name=f"encoder{level}_norm")(x)
        x = layers.ReLU(name=f"encoder{level}_relu")(x)
        levels.append(x)
    x = layers.Concatenate(name="decoder0_join")([levels[0], layers.UpSampling3D(2, name="decoder0_up")(x)])
    outputs = [layers.Conv3D(classes, 1, dtype="float32", name="logits")(x)]
    if deep_supervision:
        outputs.append(layers.Conv3D(classes, 1, dtype="float32", name="logits_1")(levels[1]))
    return keras.Model(inputs, outputs if deep_supervision else outputs[0], name=name)


def write_dataset(folder, cases: int = 6, shape=(14, 18, 13), flip: bool = False):
    """Two boxes, brighter than a noisy background, at a random place in each scan; label values 0, 1 and 5.

    ``flip`` stores the scans with the first axis from right to left.
    """
    affine = np.diag([-1.5 if flip else 1.5, 1.0, 2.0, 1.0])
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    entries = []
    for number in range(cases):
        random = np.random.default_rng(number)
        label = np.zeros(shape, np.uint8)
        corner = [int(random.integers(1, n - 8)) for n in shape]
        label[tuple(slice(c, c + 4) for c in corner)] = 1
        label[tuple(slice(c + 4, c + 7) for c in corner)] = 5
        image = 100.0 + 40.0 * (label == 1) + 80.0 * (label == 5) + random.normal(0, 8, shape)
        name = f"case_{number:02d}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image.astype(np.float32), affine), folder / "imagesTr" / name)
        nibabel.save(nibabel.Nifti1Image(label, affine), folder / "labelsTr" / name)
        entries.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    about = {
        "name": "boxes",
        "channel_names": {"0": "MRI"},
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "near", "5": "far"},
        "training": entries,
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return open_dataset(folder)


def make_plan(dataset, **training) -> Plan:
    """A plan for ``write_dataset`` whose training takes seconds; ``training`` overrides its fields."""
    settings = Training(epochs=3, steps_per_epoch=3, batch=2, mirror=(0, 1, 2), learning_rate=5e-3, precision="float32")
    return Plan(
        dataset=dataset.name,
        labels=dataset.labels,
        channels=dataset.channels,
        recipe=Recipe(rank=3, orientation="RAS", normalise=Normalise("zscore")),
        network=Network("tiny"),
        patch=(16, 16, 8),
        overlap=0.5,
        training=dataclasses.replace(settings, **training),
        folds=split(dataset.cases, 3, 0),
    )
