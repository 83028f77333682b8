"""How much each layer of an integer network differs from the float one: where quantization loses."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerError:
    """One convolution or matrix product.

    Attributes:
        name: of its output in the float file.
        kind: operator type in the file's own words.
        sqnr: signal-to-quantization-noise ratio of its output against the float network's, dB; what the layers before
            it lost is in it. Capped at 120.
    """

    name: str
    kind: str
    sqnr: float

    @property
    def layer(self) -> str:
        """Layer and operation of the network, for people."""
        return spell(self.name)


def spell(name: str) -> str:
    """Layer and operation in a tensor's name: a file joins what it fused by ";" and begins with the network."""
    return name.split(";")[0].partition("/")[2] or name


def ratios(pairs: Iterable[tuple[str, str, np.ndarray, np.ndarray]]) -> tuple[LayerError, ...]:
    """Errors by layer, worst first.

    Args:
        pairs: (name, kind, float values, values in the integer network), any number for each layer.
    """
    signal: dict[tuple[str, str], float] = {}
    noise: dict[tuple[str, str], float] = {}
    for name, kind, expected, actual in pairs:
        key = (name, kind)
        signal[key] = signal.get(key, 0.0) + float(np.sum(np.square(expected, dtype=np.float64)))
        noise[key] = noise.get(key, 0.0) + float(np.sum(np.square(actual - expected, dtype=np.float64)))
    errors = [LayerError(*key, _decibels(signal[key], noise[key])) for key in signal]
    return tuple(sorted(errors, key=lambda error: error.sqnr))


def _decibels(signal, noise) -> float:
    if noise == 0:
        return 120.0
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -120.0, 120.0))
