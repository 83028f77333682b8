"""The two ends of every network: input, logits, and the padding for sizes that do not divide."""

import keras

from zoo.blocks.border import ZeroBorder
from zoo.blocks.conv import ranked
from zoo.errors import ZooError


def open_input(input_shape, multiple, style):
    """The input, padded with zeros on both sides to sizes that divide.

    Args:
        input_shape: (*spatial, channels); a size of None is the caller's promise that it will divide.
        multiple: per axis.
        style: the network's ``Style``.

    Returns:
        The input tensor, and the tensor to go on with.
    """
    inputs = keras.Input(input_shape, name="image")
    padding = _padding(input_shape, multiple)
    if not any(map(any, padding)):
        return inputs, inputs
    return inputs, ZeroBorder(padding, name="pad")(inputs)


def close_output(inputs, features, classes: int, style, *, input_shape, multiple, patch=None, name: str):
    """The heads and the model.

    Args:
        inputs: from ``open_input``.
        features: the finest decoder features, or a list, finest first, for deep supervision.
        classes: channels of the logits.
        style: the network's ``Style``.
        input_shape: (*spatial, channels) of the input.
        multiple: per axis, as for ``open_input``.
        patch: per axis, what the finest features are coarser than the input by; the head makes up for it.
        name: of the model.

    Returns:
        A model from ``inputs`` to logits (batch, *spatial, classes) in float32, or to a list of them, each next one
        coarser, if a list was given.

    Raises:
        ZooError: for deep supervision with sizes that do not divide.
    """
    padding = _padding(input_shape, multiple)
    padded = any(map(any, padding))
    supervised = isinstance(features, list)
    if supervised and padded:
        sizes = tuple(s if s is None else s + sum(p) for s, p in zip(input_shape[:-1], padding, strict=True))
        raise ZooError(
            f"{name}: deep supervision of input sizes {tuple(input_shape[:-1])}, which must divide by "
            f"{tuple(multiple)}; use {sizes}"
        )
    outputs = []
    for level, x in enumerate(features if supervised else [features]):
        head = "logits" if level == 0 else f"logits_{level}"
        # Logits stay float32 under mixed precision: softmax and argmax of float16 lose classes.
        if patch and level == 0:
            x = ranked(style, "ConvTranspose")(classes, patch, strides=patch, dtype="float32", name=head)(x)
        else:
            x = ranked(style, "Conv")(classes, 1, dtype="float32", name=head)(x)
        outputs.append(ranked(style, "Cropping")(padding, dtype="float32", name="crop")(x) if padded else x)
    model = keras.Model(inputs, outputs if supervised else outputs[0], name=name)
    model.multiple = tuple(multiple)
    return model


def _padding(input_shape, multiple):
    """Zeros before and after, per axis."""
    padding = []
    for size, step in zip(input_shape[:-1], multiple, strict=True):
        total = 0 if size is None else -size % step
        padding.append((total // 2, total - total // 2))
    return tuple(padding)


def require_sizes(input_shape, name: str) -> None:
    """Refuse spatial sizes of None.

    Raises:
        ZooError: if there is one; the message shows a shape that works.
    """
    if any(size is None for size in input_shape[:-1]):
        example = (*(size or 96 for size in input_shape[:-1]), input_shape[-1])
        raise ZooError(
            f"{name}: input_shape {tuple(input_shape)}; expected every spatial size as a number, "
            f"for example input_shape={example}"
        )
