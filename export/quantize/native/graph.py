"""Nodes and constants of an ONNX graph by the names of its tensors."""

import numpy as np

ACTIVATIONS = ("Relu", "Clip")
PRODUCTS = ("Conv", "ConvTranspose")


def constants(model) -> dict[str, np.ndarray]:
    """Values of the constants by name."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def set_constant(model, name: str, values: np.ndarray) -> str:
    """Give a constant, old or new, its values; returns its name."""
    from onnx import numpy_helper

    tensor = numpy_helper.from_array(np.asarray(values, order="C"), name)
    old = next((each for each in model.graph.initializer if each.name == name), None)
    if old is None:
        model.graph.initializer.append(tensor)
    else:
        old.CopyFrom(tensor)
    return name


def producers(model) -> dict:
    """The node that computes each tensor."""
    return {name: node for node in model.graph.node for name in node.output}


def consumers(model) -> dict[str, list]:
    """The nodes that read each tensor; one that reads it twice stands there twice."""
    users: dict[str, list] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def shapes(model) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors; 0 stands for a size that is not known."""
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}


def attributes(node) -> dict:
    """A node's attributes by name."""
    import onnx

    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def set_nodes(model, nodes) -> None:
    """Put other nodes into a model, in the order of execution; shapes of tensors that are gone are forgotten."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    computed = {name for node in copies for name in node.output}
    known = [value for value in model.graph.value_info if value.name in computed]
    copies = [type(value).FromString(value.SerializeToString()) for value in known]
    del model.graph.value_info[:]
    model.graph.value_info.extend(copies)
