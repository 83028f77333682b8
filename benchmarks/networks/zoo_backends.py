"""Are networks and losses the same on the TensorFlow, JAX and PyTorch backends of Keras?

    python benchmarks/networks/zoo_backends.py
        # every backend that is installed, against TensorFlow
    python benchmarks/networks/zoo_backends.py --backends jax torch --entries "unet*"

Each backend runs in a process of its own on the same seeded weights and images; the table holds the largest
difference of the logits, relative to the largest logit, of the losses, and of the gradients that they give. Exit status
1 if one is above 1e-4.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4


def outputs(names) -> dict:
    """Logits of each entry at the harness's small size, and each loss, on the backend that Keras has."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import harness
    import keras

    import zoo

    computed = {}
    for name in names:
        keras.backend.clear_session()
        model = harness.small_model(name, **({"depth": 2} if harness.has_option(name, "depth") else {}))
        random = np.random.RandomState(0)
        # Fan-in scaled, from NumPy: Keras draws other numbers on each backend.
        for weight in model.trainable_weights:
            scale = np.prod(weight.shape[:-1]) ** -0.5 if len(weight.shape) > 1 else 0.1
            offset = 1.0 if weight.name == "gamma" else 0.0
            weight.assign(offset + scale * random.standard_normal(weight.shape))
        images, _ = harness.sample(model, batch=1)
        # One pass: TensorFlow takes longer to trace a network than to run it, JAX to compile each operation by itself.
        compiled = keras.backend.backend() == "jax"
        computed[name] = model.predict(images, verbose=0) if compiled else harness.predict(model, images)
    random = np.random.RandomState(1)
    labels, logits = random.randint(0, 3, (2, 8, 6, 7)), random.standard_normal((2, 8, 6, 7, 3)).astype("float32")
    for name in zoo.losses.list_losses():
        computed[f"loss {name}"], computed[f"step {name}"] = _step(zoo.losses.get(name), labels, logits)
    return computed


def _step(loss, labels, logits):
    """A loss, and what one step of gradient descent adds to the kernel of a layer that is the identity before."""
    import keras

    identity = np.eye(logits.shape[-1], dtype="float32")
    layer = keras.layers.Dense(logits.shape[-1], kernel_initializer="zeros")
    model = keras.Sequential([keras.Input(logits.shape[1:]), layer])
    layer.kernel.assign(identity)
    model.compile(keras.optimizers.SGD(1.0), loss=loss, jit_compile=keras.backend.backend() == "jax")
    value = model.train_on_batch(logits, labels)
    return np.float32(value), keras.ops.convert_to_numpy(layer.kernel) - identity


def run(backend: str, names, folder: Path) -> dict:
    """``outputs`` in a process of its own on ``backend``."""
    path = folder / f"{backend}.npz"
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    # The networks are small: compiling well takes longer than running badly.
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    command = [sys.executable, __file__, "--worker", str(path), "--names", *names]
    subprocess.run(command, check=True, env=environment)
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def run_all(backends, names, folder: Path) -> list[dict]:
    """``run`` for several backends at once."""
    with ThreadPoolExecutor(len(backends)) as pool:
        return list(pool.map(lambda backend: run(backend, names, folder), backends))


def difference(computed, expected) -> float:
    """Largest difference relative to the largest value."""
    return float(np.abs(computed - expected).max() / np.abs(expected).max())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    installed = [b for b in ("jax", "torch") if importlib.util.find_spec(b)]
    parser.add_argument("--backends", nargs="+", choices=("jax", "torch"), default=installed)
    parser.add_argument("--entries", default="*", help="wildcard on the names")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--names", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        np.savez(args.worker, **outputs(args.names))
        return 0
    sys.path.insert(0, str(ROOT))
    import zoo

    names = zoo.list_models(args.entries)
    with tempfile.TemporaryDirectory() as folder:
        expected, *computed = run_all(["tensorflow", *args.backends], names, Path(folder))
    by_backend = dict(zip(args.backends, computed, strict=True))
    print(f"{'':30}" + "".join(f"{b:>10}" for b in by_backend))
    worst = 0.0
    for key, value in expected.items():
        row = [difference(results[key], value) for results in by_backend.values()]
        worst = max(worst, *row)
        print(f"{key:30}" + "".join(f"{d:10.1e}" for d in row))
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
