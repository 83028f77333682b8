"""Averages of the weights along training, as callbacks for ``fit``.

Keras 3 has the exponential moving average (``use_ema=True`` on any optimizer, with
``keras.callbacks.SwapEMAWeights``); these are the two others that tensorflow-addons had.
"""

import warnings

import keras
from keras import ops

from zoo.errors import ZooError


class _StepCallback(keras.callbacks.Callback):
    """Does something with the trainable weights after single optimizer steps, on every backend of Keras."""

    def on_train_begin(self, logs=None):
        if self.model.steps_per_execution not in (None, 1):
            raise ZooError(
                f"{type(self).__name__}: the model is compiled with "
                f"steps_per_execution={self.model.steps_per_execution}; expected 1, since the weights are read "
                "between steps"
            )
        self.step = 0
        self.begin()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.is_due():
            if hasattr(self.model, "jax_state_sync"):  # on JAX the weights live in the training loop until synchronised
                self.model.jax_state_sync()
            self.act(self.model.trainable_variables)

    def begin(self):
        raise NotImplementedError

    def is_due(self) -> bool:
        raise NotImplementedError

    def act(self, variables):
        raise NotImplementedError


class Lookahead(_StepCallback):
    """Every few steps, set the weights back to between where they were and where they are.

    slow = slow + slow_step_size (weights - slow), then weights = slow. Zhang et al., NeurIPS 2019, arXiv:1907.08610,
    algorithm 1; equal to ``tfa.optimizers.Lookahead`` around the same optimizer.

    Args:
        sync_period: optimizer steps between two such steps.
        slow_step_size: how far the slow weights go, 0 to 1.

    Raises:
        ZooError: for a period below 1 or a step size outside 0 to 1.

    Example:
        >>> model.fit(data, callbacks=[zoo.averaging.Lookahead()])
    """

    def __init__(self, sync_period: int = 6, slow_step_size: float = 0.5):
        super().__init__()
        _require(sync_period >= 1, "Lookahead", "sync_period", sync_period, "1 or more")
        _require(0 < slow_step_size <= 1, "Lookahead", "slow_step_size", slow_step_size, "above 0, up to 1")
        self.sync_period = sync_period
        self.slow_step_size = slow_step_size

    def begin(self):
        self.slow = [ops.copy(variable) for variable in self.model.trainable_variables]

    def is_due(self) -> bool:
        return self.step % self.sync_period == 0

    def act(self, variables):
        for i, variable in enumerate(variables):
            self.slow[i] = self.slow[i] + self.slow_step_size * (ops.convert_to_tensor(variable) - self.slow[i])
            variable.assign(ops.copy(self.slow[i]))  # a copy: JAX gives the memory of weights back at the next step


class SWA(_StepCallback):
    """Stochastic weight averaging: the mean of the weights at regular steps; the model has it when training ends.

    Izmailov et al., UAI 2018, arXiv:1803.05407; equal to ``tfa.optimizers.SWA`` around the same optimizer followed by
    ``assign_average_vars``. A network with batch normalisation needs its statistics measured anew for the averaged
    weights: call ``measure_batch_statistics`` after ``fit``.

    Args:
        start_averaging: optimizer steps before the first one whose result is averaged.
        average_period: optimizer steps between two that are averaged.

    Raises:
        ZooError: for a negative start or a period below 1.

    Example:
        >>> model.fit(data, callbacks=[zoo.averaging.SWA(start_averaging=1000, average_period=100)])
        >>> zoo.averaging.measure_batch_statistics(model, (x for x, _ in data))
    """

    def __init__(self, start_averaging: int = 0, average_period: int = 10):
        super().__init__()
        _require(start_averaging >= 0, "SWA", "start_averaging", start_averaging, "0 or more")
        _require(average_period >= 1, "SWA", "average_period", average_period, "1 or more")
        self.start_averaging = start_averaging
        self.average_period = average_period

    def begin(self):
        self.averages = None
        self.averaged = 0

    def is_due(self) -> bool:
        since = self.step - 1 - self.start_averaging
        return since >= 0 and since % self.average_period == 0

    def act(self, variables):
        weights = [ops.convert_to_tensor(variable) for variable in variables]
        averages = self.averages or [ops.zeros_like(weight) for weight in weights]
        count = self.averaged
        self.averages = [
            (average * count + weight) / (count + 1) for average, weight in zip(averages, weights, strict=True)
        ]
        self.averaged += 1

    def on_train_end(self, logs=None):
        if not self.averaged:
            warnings.warn(
                f"SWA averaged nothing: training ended after {self.step} steps, start_averaging is "
                f"{self.start_averaging}; the model has its last weights",
                stacklevel=2,
            )
            return
        for variable, average in zip(self.model.trainable_variables, self.averages, strict=True):
            variable.assign(average)


def measure_batch_statistics(model, batches) -> None:
    """Set the moving statistics of every batch normalisation to their means over ``batches``.

    Args:
        model: the network, with the weights that the statistics are for.
        batches: an iterable of inputs, (batch, *spatial, channels) each.

    Raises:
        ZooError: if there are no batches.
    """
    layers = [layer for layer in _layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    count = 0
    try:
        for batch in batches:
            for layer in layers:
                layer.momentum = count / (count + 1)  # a moving average that is the mean so far
            model(batch, training=True)
            count += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    if not count:
        raise ZooError("measure_batch_statistics: no batches; at least one is needed")


def _layers(model):
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (layer,)


def _require(condition: bool, callback: str, option: str, value, accepted: str) -> None:
    if not condition:
        raise ZooError(f"{callback}: {option}={value!r}; expected {accepted}")
