"""Weights are held to what the file has while Keras builds a network, since it builds them before it reads any."""

import contextlib
import math
from collections.abc import Iterator

import keras

from zoo.legacy.contents import SPARE_NUMBERS
from zoo.legacy.errors import LoadError


@contextlib.contextmanager
def weights_within(numbers: int) -> Iterator[None]:
    """Refuse a network with more weights than its file, before they take memory.

    All layers make their weights by ``keras.layers.Layer.add_weight``, which is watched meanwhile.

    Args:
        numbers: how many the arrays in the file hold together.

    Raises:
        LoadError: naming the layer at which it was too many.
    """
    original, left, excess = keras.layers.Layer.add_weight, numbers + SPARE_NUMBERS, []

    def counted(self, *args, shape=None, **kwargs):
        nonlocal left
        axes = shape if shape is not None else next((a for a in args if isinstance(a, tuple | list | int)), ())
        axes = tuple(axes) if isinstance(axes, tuple | list) else (axes,)
        left -= math.prod(n for n in axes if n is not None)
        if left < 0:
            excess.append(
                LoadError(f"layer '{self.name}' asks for a weight of shape {axes}; the file holds {numbers} numbers")
            )
            raise excess[0]
        return original(self, *args, shape=shape, **kwargs)

    keras.layers.Layer.add_weight = counted
    try:
        yield
    except Exception:
        if excess:  # Keras wraps what its layers raise
            raise excess[0] from None
        raise
    finally:
        keras.layers.Layer.add_weight = original
