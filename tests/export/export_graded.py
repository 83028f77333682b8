"""A source of flat scans that a network grades by their intensities, right by its hand-set weights."""

import keras
import numpy as np
from keras import layers

import imaging
from export.source.source import Source
from imaging.io.cases import CaseFiles
from imaging.labels import Label
from imaging.recipe import Normalise, Recipe
from imaging.scan import Scan
from medseg import record

GRADES = (Label("background", 0), Label("core", 1), Label("rim", 2))
RECIPE = Recipe(2, normalise=Normalise("fixed", (0.0,), (1.0,)))


def graded(shift=(0.0, 0.0, 0.0), order=(0, 1, 2)):
    """A network that grades by intensity: logits 0, 4x - 2 and 8x - 10 and ``shift``, in an ``order`` of classes."""
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(1, 1, name="same")(image)
    model = keras.Model(image, layers.Conv2D(3, 1, name="logits")(x), name="graded")
    model.get_layer("same").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    kernel, bias = np.array([0.0, 4.0, 8.0]), np.array([0.0, -2.0, -10.0]) + shift
    model.get_layer("logits").set_weights([kernel[list(order)].reshape(1, 1, 1, 3), bias[list(order)]])
    return model


def graded_source(folder) -> Source:
    """Six cases with a core in a rim, three of them held back; written to ``folder``, recipe.json too."""
    cases = []
    for number in range(6):
        label = np.zeros((24, 20), "uint8")
        label[4:18, 3 + number % 3 : 17] = 2
        label[8:14, 6:12] = 1
        image = np.array([0.0, 1.0, 3.0])[label]
        paths = [str(folder / f"{number}{kind}.nii.gz") for kind in ("", "_label")]
        for path, array in zip(paths, (image.astype("float32"), label), strict=True):
            imaging.write(path, Scan(array[..., None], np.eye(4)))
        cases.append(CaseFiles(f"case {number}", (paths[0],), paths[1]))
    graded().save(folder / "model.keras")
    record.save(folder / "recipe.json", RECIPE)
    return Source(
        "graded", RECIPE, (24, 20), 0.5, GRADES, ("image",), tuple(cases[:3]), tuple(cases[3:]), folder / "model.keras"
    )
