"""Which batch normalisations fold into the convolution before them."""

import keras

from export.rewrite.registry import FOLDABLE
from zoo.internals.keras import nodes_by_depth


def nodes_in_order(model) -> list:
    """The calls of operations in a functional model, in the order of computation."""
    return [node for node in nodes_by_depth(model) if not node.is_input]


def batch_norm_folds(model) -> tuple[dict, set]:
    """Convolutions whose only consumer is a batch normalisation: {convolution node: layer}, and the nodes left out."""
    consumers: dict[int, list] = {}
    for node in nodes_in_order(model):
        for tensor in node.input_tensors:
            consumers.setdefault(id(tensor), []).append(node)
    results = {id(t) for t in model.outputs}
    folds, dropped = {}, set()
    for node in nodes_in_order(model):
        layer = node.operation
        if type(layer) not in FOLDABLE or getattr(layer, "activation", None) not in (None, keras.activations.linear):
            continue
        output = node.outputs[0]
        users = consumers.get(id(output), [])
        if id(output) in results or len(users) != 1:
            continue
        follower = users[0].operation
        last = getattr(follower, "axis", None) in (-1, len(output.shape) - 1)
        if type(follower) is keras.layers.BatchNormalization and last:
            folds[id(node)] = follower
            dropped.add(id(users[0]))
    return folds, dropped
