"""The golden models of Keras 2 and tensorflow-addons (made by tests/golden/tfa/make_golden.py), whole and altered."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "tfa"
PREDICTIONS = np.load(GOLDEN / "predictions.npz")


def saved_model(folder):
    """The SavedModel, unpacked into ``folder``."""
    with zipfile.ZipFile(GOLDEN / "unet_saved.zip") as archive:
        archive.extractall(folder)
    return folder / "unet_saved"


def golden(name):
    """Inputs of a golden model and the predictions that it gave, by file name."""
    stem = name.partition(".")[0]
    return PREDICTIONS[f"{stem}_x"], PREDICTIONS[f"{stem}_y"]


def edited(tmp_path, name, change):
    """A copy of a golden ``.h5`` file with ``change(model_config, file)`` made."""
    path = shutil.copy(GOLDEN / name, tmp_path / name)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config, file)
        file.attrs["model_config"] = json.dumps(config)
    return path


def layer_entry(config, name):
    """A layer's entry in the configuration of a model."""
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)
