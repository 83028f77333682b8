"""A layer's ``call``, followed symbolically: a layer made of Keras layers and operations needs no rule of its own."""

import inspect

import keras
from keras import tree


class InlineError(Exception):
    """A layer's ``call`` cannot be followed, with the reason."""


def _stand_in(source, emitted):
    """A symbolic tensor of the source's rank for an emitted one."""
    shape = (1, *emitted.shape) if len(source.shape) == 5 else tuple(emitted.shape)
    return keras.Input(batch_shape=shape, dtype=emitted.dtype)


def inlined(node, tensors: dict):
    """The functional model that a layer's ``call`` builds on symbolic tensors.

    Args:
        node: the layer's call in the source network.
        tensors: id of a source tensor to its emitted one.

    Returns:
        A functional model whose inputs are those of ``node.input_tensors``, batch 1.

    Raises:
        InlineError: if the call does not take symbolic tensors, or returns what does not come from them.
    """
    layer = node.operation
    stand_ins = {id(t): _stand_in(t, tensors[id(t)]) for t in node.input_tensors}
    args, kwargs = node.arguments.fill_in(stand_ins)
    parameters = inspect.signature(layer.call).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    kwargs = {key: value for key, value in kwargs.items() if key in parameters or anything}
    if "training" in parameters:
        kwargs["training"] = False
    try:
        outputs = layer.call(*args, **kwargs)
        return keras.Model([stand_ins[id(t)] for t in node.input_tensors], tree.flatten(outputs))
    except Exception as error:  # user code may raise anything; the reason goes into the message
        raise InlineError(_first_line(error)) from error


def placeholders(node, tensors: dict) -> list:
    """Symbolic outputs in the emitted layout for a layer that could not be rewritten, so that a walk can go on.

    Raises:
        InlineError: if the layer cannot tell its output shape.
    """
    stand_ins = {id(t): _stand_in(t, tensors[id(t)]) for t in node.input_tensors}
    args, kwargs = node.arguments.fill_in(stand_ins)
    try:
        outputs = tree.flatten(node.operation.compute_output_spec(*args, **kwargs))
    except Exception as error:
        raise InlineError(_first_line(error)) from error
    return [keras.Input(batch_shape=t.shape[1:] if len(t.shape) == 5 else t.shape, dtype=t.dtype) for t in outputs]


def _first_line(error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
