"""Saved values into the layers of a rebuilt network; weight and input normalisation are folded on the way."""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, leaves
from zoo.legacy.layers import WEIGHT_NORMALIZATION


@dataclass(frozen=True)
class Slot:
    """A place for one saved array.

    Attributes:
        node: the layer that Keras 2 saved it with.
        name: its name there, such as "kernel".
        path: in a layer made of layers, the attributes that lead to the one that owns it, such as ("layer",).
        variable: the variable that takes it as it is; None for what is folded.
    """

    node: Node
    name: str
    path: tuple[str, ...] = ()
    variable: object = None


def slots(node: Node) -> list[Slot]:
    """What Keras 2 saved for a layer or a nested model, in its order: trainable weights first, then the others."""
    stored = [_folded(leaf) if leaf.folded else _plain(leaf) for leaf in leaves(node)]
    return [slot for first, _ in stored for slot in first] + [slot for _, second in stored for slot in second]


def assign(values) -> None:
    """Put saved arrays into the layers.

    Args:
        values: pairs of slot and array, for all slots of a layer (those of a weight normalisation's clone may lack).

    Raises:
        LoadError: if a shape does not fit, or a weight normalisation was saved before its scale was known.
    """
    parts, layers = {}, {}
    for slot, value in values:
        layers[id(slot.node.layer)] = slot.node.layer
        if slot.variable is None:
            parts.setdefault(id(slot.node), (slot.node, {}))[1][slot.name] = np.asarray(value)
        else:
            _set(slot.node, slot.variable, np.asarray(value))
    for node, named in parts.values():
        (_fold_weight_normalization if node.kind == WEIGHT_NORMALIZATION else _fold_normalization)(node, named)
    for layer in layers.values():
        if hasattr(layer, "finalize_state"):  # a Normalization computes with what it derives from its weights
            layer.finalize_state()


def _set(node: Node, variable, value: np.ndarray) -> None:
    if value.shape != tuple(variable.shape):
        raise LoadError(
            f"layer '{node.name}' of class '{node.kind}' has a {variable.name} of shape {value.shape} in the file; its "
            f"configuration asks for {tuple(variable.shape)}"
        )
    variable.assign(value)


def _plain(node: Node) -> tuple[list[Slot], list[Slot]]:
    paths = _paths(node.layer, set())
    return tuple(
        [Slot(node, variable.name, paths[id(variable)], variable) for variable in variables]
        for variables in (node.layer.trainable_weights, node.layer.non_trainable_weights)
    )


def _paths(layer, seen: set, path: tuple[str, ...] = ()) -> dict:
    """By the identity of each variable of a layer, the attributes that lead to the layer that owns it."""
    seen.add(id(layer))
    paths = {id(variable): path for variable in layer.weights}
    for attribute, part in vars(layer).items():
        if isinstance(part, keras.layers.Layer) and id(part) not in seen:
            paths |= _paths(part, seen, (*path, attribute))
    return paths


def _folded(node: Node) -> tuple[list[Slot], list[Slot]]:
    if node.kind != WEIGHT_NORMALIZATION:
        return [], [Slot(node, name) for name in ("mean", "variance", "count")]
    own = ["kernel", "bias"] if node.layer.use_bias else ["kernel"]
    clone = [f"data_dep_init/{name}" for name in own] if node.data_init else []
    if node.layer.trainable:
        names = ["g", *own], ["initialized", *clone]
    else:  # the wrapper's own first, then those of the layer inside
        names = [], ["g", "kernel", "initialized", *own[1:], *clone]
    return tuple([Slot(node, name) for name in part] for part in names)


def _fold_normalization(node: Node, parts: dict) -> None:
    """(x - mean) / deviation as scale and offset, as Keras computes it."""
    deviation = np.maximum(np.sqrt(parts["variance"].astype("float64")), keras.config.epsilon())
    node.layer.scale = (1 / deviation).tolist()
    node.layer.offset = (-parts["mean"] / deviation).tolist()


def _fold_weight_normalization(node: Node, parts: dict) -> None:
    """The kernel of a weight-normalised layer: g v / |v|, the norm over all axes but the last.

    Salimans and Kingma, "Weight normalization", arXiv:1602.07868, equation 2, as tensorflow-addons computes it.
    """
    kernel = parts["kernel"].astype("float32")
    if parts["initialized"]:
        norm = np.sqrt(np.maximum(np.square(kernel, dtype="float64").sum(axis=tuple(range(kernel.ndim - 1))), 1e-12))
        kernel = kernel * (parts["g"] / norm)
    elif node.data_init:  # otherwise the first call would set g = |v|
        raise LoadError(
            f"layer '{node.name}' is weight-normalised and was saved before its first batch, which sets its scale; "
            "call the model once on data in the environment that made it and save it again"
        )
    _set(node, node.layer.kernel, kernel)
    if "bias" in parts:
        _set(node, node.layer.bias, parts["bias"])
