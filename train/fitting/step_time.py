"""One optimizer step on a made-up batch, timed: of a plan's network, or of a network of one convolution."""

import functools
import time
from collections.abc import Callable

import numpy as np

from train.fitting.compiling import objective, optimizer
from train.planning.plan import Plan


def open_step(build: Callable, plan: Plan, precision: str) -> Callable[[], float]:
    """A function that does one step, as the training will, and returns its seconds.

    Args:
        build: from plan, precision and deep supervision to a network, ``train.fitting.fit.network``.
        plan: patch, batch, loss and optimizer.
        precision: Keras' dtype policy.
    """
    import keras

    from train.hardware.fused import fuse

    settings = plan.training
    model = fuse(build(plan, precision, settings.deep_supervision), False)
    model.compile(
        optimizer=optimizer(plan),
        **objective(plan, len(model.outputs)),
        jit_compile=keras.backend.backend() == "jax",
    )
    random = np.random.default_rng(0)
    image = random.standard_normal((settings.batch, *plan.patch, plan.recipe.patch_channels), np.float32)
    label = random.integers(0, len(plan.labels), (settings.batch, *plan.patch), np.int32)
    labels = label if len(model.outputs) == 1 else (label,) * len(model.outputs)

    def step() -> float:
        began = time.perf_counter()
        float(np.ravel(model.train_on_batch(image, labels))[0])
        return time.perf_counter() - began

    return step


@functools.cache
def open_small_step(rank: int, precision: str) -> Callable[[], float]:
    """The same of a network of a convolution and a transposed one, which tells whether there is arithmetic for it.

    A process does it once.

    Args:
        rank: spatial axes, 2 or 3.
        precision: Keras' dtype policy.
    """
    import keras

    layers = keras.layers
    convolution, transposed = {
        2: (layers.Conv2D, layers.Conv2DTranspose),
        3: (layers.Conv3D, layers.Conv3DTranspose),
    }[rank]
    image = np.zeros((1, *(8,) * rank, 16), np.float32)

    @functools.cache
    def step() -> float:
        began = time.perf_counter()
        model = keras.Sequential([convolution(16, 3, dtype=precision), transposed(16, 2, 2, dtype=precision)])
        model.compile(optimizer="sgd", loss="mse", jit_compile=keras.backend.backend() == "jax")
        float(np.ravel(model.train_on_batch(image, np.zeros((1, *(12,) * rank, 16), np.float32)))[0])
        return time.perf_counter() - began

    return step
