"""Golden values of tensorflow-addons 0.23 on TensorFlow 2.15, and models that were saved there.

tensorflow-addons ended in 2024 and cannot be installed beside current TensorFlow, so it has an environment of its own
(Python 3.9 to 3.11):

    python3.11 -m venv tfa-venv
    tfa-venv/bin/pip install "tensorflow==2.15.*" "tensorflow-addons==0.23.0" "numpy<2"
    tfa-venv/bin/python tests/golden/tfa/make_golden.py

writes, beside this script, ``values.npz`` (inputs and outputs of the ops that the tests compare) and, by
``make_models.py``, the ``.h5``, ``.keras`` and zipped SavedModel files with the predictions that they gave.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import make_models
import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

HERE = Path(__file__).parent


def normalisation(rng) -> dict:
    """Group and instance normalisation in 2D and 3D: inputs, gamma, beta and outputs."""
    arrays = {}
    cases = {
        "group2d": ((2, 6, 5, 8), lambda: tfa.layers.GroupNormalization(groups=4)),
        "group3d": ((2, 4, 3, 5, 6), lambda: tfa.layers.GroupNormalization(groups=2, epsilon=1e-5)),
        "instance2d": ((2, 6, 5, 8), lambda: tfa.layers.InstanceNormalization()),
        "instance3d": ((2, 4, 3, 5, 6), lambda: tfa.layers.InstanceNormalization(epsilon=1e-5)),
    }
    for name, (shape, make) in cases.items():
        x = (2.0 + 3.0 * rng.standard_normal(shape)).astype("float32")
        layer = make()
        layer.build(shape)
        gamma, beta = rng.standard_normal((2, shape[-1])).astype("float32")
        layer.set_weights([gamma, beta])
        arrays |= {f"{name}_x": x, f"{name}_gamma": gamma, f"{name}_beta": beta, f"{name}_y": layer(x).numpy()}
    return arrays


def focal(rng) -> dict:
    """``SigmoidFocalCrossEntropy`` per voxel (its default: no reduction, the sum over the last axis)."""
    truth = (rng.random((2, 5, 4, 3)) < 0.4).astype("float32")
    logits = (2.5 * rng.standard_normal(truth.shape)).astype("float32")
    arrays = {"focal_truth": truth, "focal_logits": logits}
    for alpha, gamma in ((0.25, 2.0), (0.75, 1.5)):
        key = f"focal_a{alpha}_g{gamma}"
        loss = tfa.losses.SigmoidFocalCrossEntropy(from_logits=True, alpha=alpha, gamma=gamma)
        arrays[f"{key}_logits"] = loss(truth, logits).numpy()
        loss = tfa.losses.SigmoidFocalCrossEntropy(from_logits=False, alpha=alpha, gamma=gamma)
        arrays[f"{key}_probabilities"] = loss(truth, tf.sigmoid(logits)).numpy()
    loss = tfa.losses.SigmoidFocalCrossEntropy(from_logits=True, alpha=0.0, gamma=2.0)
    arrays["focal_unweighted"] = loss(truth, logits).numpy()
    return arrays


def activations() -> dict:
    """The activations that Keras 3 has too, at their defaults."""
    x = np.linspace(-4, 4, 81, dtype="float32")
    names = ("mish", "tanhshrink", "hardshrink", "softshrink")
    return {"activation_x": x} | {f"activation_{n}": getattr(tfa.activations, n)(x).numpy() for n in names}


def steps(optimizer, start, gradients, read=lambda optimizer, variable: variable.numpy()):
    """The variable (or what ``read`` takes from the optimizer) after every step, (steps, *start.shape)."""
    variable = tf.Variable(start)
    trail = []
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        trail.append(read(optimizer, variable).copy())
    return np.stack(trail)


def optimizers(rng) -> dict:
    """AdamW, Lookahead, SWA and the moving average over twelve steps with given gradients."""
    start = rng.standard_normal((3, 4)).astype("float32")
    gradients = rng.standard_normal((12, 3, 4)).astype("float32")

    def average(optimizer, variable):
        return optimizer.get_slot(variable, "average").numpy()

    def sgd():
        return tf.keras.optimizers.legacy.SGD(0.1)

    adamw = tfa.optimizers.AdamW(weight_decay=1e-4, learning_rate=1e-2)
    amsgrad = tfa.optimizers.AdamW(weight_decay=1e-3, learning_rate=1e-2, amsgrad=True, epsilon=1e-5)
    return {
        "optimizer_start": start,
        "optimizer_gradients": gradients,
        "adamw": steps(adamw, start, gradients),
        "adamw_amsgrad": steps(amsgrad, start, gradients),
        "lookahead": steps(tfa.optimizers.Lookahead(sgd(), sync_period=3, slow_step_size=0.4), start, gradients),
        "swa": steps(tfa.optimizers.SWA(sgd(), start_averaging=2, average_period=3), start, gradients, average),
        # start_step=1: the average begins at the weights after the first step, as it does in Keras 3.
        "ema": steps(tfa.optimizers.MovingAverage(sgd(), 0.9, start_step=1), start, gradients, average),
    }


def images(rng) -> dict:
    """Rotation, dense warp, Gaussian and median filter of two images with two channels."""
    x = rng.random((2, 13, 17, 2)).astype("float32")
    angles = np.array([0.3, -1.1], "float32")
    flow = (2.5 * rng.standard_normal((2, 13, 17, 2))).astype("float32")
    arrays = {"image": x, "angles": angles, "flow": flow}
    for interpolation in ("nearest", "bilinear"):
        arrays[f"rotate_{interpolation}"] = tfa.image.rotate(x, angles, interpolation).numpy()
    arrays["rotate_bilinear_nearest"] = tfa.image.rotate(x, angles, "bilinear", fill_mode="nearest").numpy()
    arrays["warp"] = tfa.image.dense_image_warp(x, flow).numpy()
    for padding in ("REFLECT", "SYMMETRIC", "CONSTANT"):
        arrays[f"gaussian_{padding}"] = tfa.image.gaussian_filter2d(x, (7, 7), 1.5, padding).numpy()
        arrays[f"median_{padding}"] = tfa.image.median_filter2d(x, (3, 3), padding).numpy()
    arrays["gaussian_anisotropic"] = tfa.image.gaussian_filter2d(x, (3, 7), (0.8, 1.7), "REFLECT").numpy()
    arrays["median_5x3"] = tfa.image.median_filter2d(x, (5, 3), "REFLECT").numpy()
    return arrays


def main():
    rng = np.random.default_rng(20240501)
    values = {**normalisation(rng), **focal(rng), **activations(), **optimizers(rng), **images(rng)}
    np.savez_compressed(HERE / "values.npz", **values)
    make_models.write_all(HERE)
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".npz", ".h5", ".keras", ".zip"):
            print(f"{path.name:32s} {path.stat().st_size:8d} bytes")


if __name__ == "__main__":
    main()
