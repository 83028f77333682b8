"""One optimizer step of a plan's network on a made-up batch, timed."""

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
