"""A Keras 2 network configuration, rebuilt as a Keras 3 functional model.

Keras 3 reads such configurations itself, but refuses separable and transposed convolutions, operators on tensors,
and nested models whose nodes Keras 2 counted from one, so the graph is rebuilt here.
"""

from dataclasses import dataclass

import keras

from zoo.legacy.errors import LoadError
from zoo.legacy.layers import WEIGHT_NORMALIZATION, kind_of, make_layer, plain
from zoo.legacy.operators import operator

_NETWORKS = ("Functional", "Model", "Sequential")
_OPERATOR = "TFOpLambda"


@dataclass(frozen=True)
class Node:
    """A layer of the rebuilt network and what Keras 2 had in its place.

    Attributes:
        name: its name, in both.
        kind: its Keras 2 class name, such as "Conv2D" or "Addons>WeightNormalization".
        layer: the Keras 3 layer (None for an operator, the tensor for an input).
        children: of a nested model, its layers in the order of the configuration, which is that of the saved weights.
        folded: whether ``layer`` is a simpler one, into which the saved weights are folded: the layer that
            ``Addons>WeightNormalization`` wrapped, or a ``Rescaling`` for a ``Normalization``.
        data_init: of a weight-normalised layer, whether its first batch set the scale.
    """

    name: str
    kind: str
    layer: object
    children: tuple["Node", ...] = ()
    folded: bool = False
    data_init: bool = False


def build(entry: dict, custom_objects: dict) -> Node:
    """Rebuild a model and its nested models.

    Args:
        entry: the model's ``{"class_name": ..., "config": ...}``.
        custom_objects: the user's classes by class name.

    Returns:
        The node of the model; its weights are still at their initial values.

    Raises:
        LoadError: for a model that is neither functional nor sequential, or a layer that cannot be rebuilt.
    """
    kind, config = kind_of(entry), entry.get("config")
    if kind == "Sequential":
        return _sequential(config, custom_objects)
    if not isinstance(config, dict) or "layers" not in config:
        raise LoadError(
            f"the model is of class '{kind}', written as Python code; only functional and sequential models can be "
            "rebuilt from a file; build it in Keras 3 and load its weights"
        )
    return _functional(config, custom_objects)


def leaves(node: Node):
    """The layers below a node that are not models, in the order of the configuration."""
    if not node.children and isinstance(node.layer, keras.layers.Layer):
        yield node
    for child in node.children:
        yield from leaves(child)


def _make(entry: dict, custom_objects: dict) -> Node:
    kind, config = kind_of(entry), entry["config"]
    if kind in _NETWORKS:
        return build(entry, custom_objects)
    name = config.get("name") or entry.get("name")
    if kind == "InputLayer":
        config = plain(config)
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        return Node(name, kind, keras.Input(batch_shape=shape, dtype=config.get("dtype"), name=name))
    if kind == "Normalization" and config.get("axis", -1) in (-1, [-1], None) and config.get("mean") is None:
        return Node(name, kind, keras.layers.Rescaling(1.0, name=name), folded=True)
    if kind != WEIGHT_NORMALIZATION or keras.saving.get_registered_object(kind, custom_objects):
        return Node(name, kind, make_layer(kind, config, custom_objects))
    wrapped = kind_of(config["layer"])
    if not wrapped.startswith(("Conv", "Dense")):
        raise LoadError(
            f"layer '{name}' is weight normalisation around '{wrapped}'; around convolutions and dense layers it is "
            f"accepted; pass custom_objects={{'{kind}': a Keras 3 layer class of your own}}"
        )
    inner = dict(config["layer"]["config"], name=name, trainable=config.get("trainable", True))
    layer = make_layer(wrapped, inner, custom_objects)
    return Node(name, kind, layer, folded=True, data_init=bool(config.get("data_init", True)))


def _sequential(config, custom_objects: dict) -> Node:
    if isinstance(config, list):  # Keras before 2.2.3
        config = {"name": None, "layers": config}
    nodes = [_make(entry, custom_objects) for entry in config["layers"]]
    if nodes[0].kind == "InputLayer":
        x, nodes = nodes[0].layer, nodes[1:]
    else:
        shape = config["layers"][0]["config"].get("batch_input_shape") or config.get("build_input_shape")
        if shape is None:
            raise LoadError(
                f"the sequential model '{config['name']}' has no input shape; call it once on data in the environment "
                "that made it and save it again"
            )
        x = keras.Input(batch_shape=plain(shape))
    y = x
    for node in nodes:
        y = node.layer(y)
    model = keras.Model(x, y, name=config["name"])
    return Node(model.name, "Sequential", model, tuple(nodes))


def _functional(config: dict, custom_objects: dict) -> Node:
    nodes, calls, tensors = [], [], {}
    for entry in config["layers"]:
        name = entry["name"]
        node = Node(name, _OPERATOR, None) if kind_of(entry) == _OPERATOR else _make(entry, custom_objects)
        nodes.append(node)
        if node.kind == "InputLayer":
            tensors[name, 0, 0] = node.layer
        first = 1 if node.children else 0  # Keras 2 counted the construction of a nested model as its node 0
        for index, call in enumerate(plain(entry["inbound_nodes"])):
            calls.append((entry, node, first + index, call))
    while calls:
        waiting = [call for call in calls if not _call(*call, tensors)]
        if len(waiting) == len(calls):
            raise LoadError(f"the graph of the model is broken: the inputs of layer '{waiting[0][1].name}' are missing")
        calls = waiting
    inputs, outputs = (_ends(plain(config[key]), tensors) for key in ("input_layers", "output_layers"))
    model = keras.Model(inputs, outputs, name=config.get("name"))
    return Node(model.name, "Functional", model, tuple(nodes))


def _call(entry: dict, node: Node, index: int, call: list, tensors: dict) -> bool:
    """Make one call of a layer; False if its inputs do not exist yet."""
    flat = _is_reference(call)  # an operator on one tensor; a layer, or an operator on a list, has a list of references
    references = [call] if flat else call
    options = references[0][3] if len(references[0]) > 3 else {}
    try:
        arguments = [_value(reference[:3], tensors) for reference in references]
        options = {key: _value(value, tensors) for key, value in options.items() if value is not None}
    except KeyError:
        return False
    if node.kind == _OPERATOR:
        name = node.name.replace("/", "_") + (f"_{index}" if index else "")
        layer, arguments = operator(name, entry["config"]["function"], arguments if flat else [arguments], options)
        outputs = layer(arguments)
    else:
        outputs = node.layer(arguments[0] if len(arguments) == 1 else arguments, **options)
    for position, output in enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]):
        tensors[node.name, index, position] = output
    return True


def _is_reference(value) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int)


def _value(value, tensors: dict):
    """A tensor for a reference to one (KeyError if it does not exist yet), a constant, or the value itself."""
    if not _is_reference(value):
        return value
    return value[2] if value[0] == "_CONSTANT_VALUE" else tensors[tuple(value[:3])]


def _ends(references, tensors: dict):
    """The inputs or outputs of a model, one tensor or a list of them."""
    if _is_reference(references):
        return tensors[tuple(references)]
    ends = [tensors[tuple(reference)] for reference in references]
    return ends[0] if len(ends) == 1 else ends
