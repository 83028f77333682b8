"""Networks of another origin in the one form that is exported: one image in, a channel of logits a class out."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from medseg.errors import InputError
from zoo.internals.keras import flat_layers, functional, is_functional, nn, producer
from zoo.internals.keras import numpy as operations

SEEN = 64  # voxels along an open axis where a network is run to see its values
_RESHAPES = (layers.Reshape, layers.Flatten, operations.Reshape, operations.Squeeze, operations.ExpandDims)
_SIGMOIDS = (keras.activations.sigmoid, keras.activations.hard_sigmoid, keras.activations.tanh)
_OPERATIONS = {
    nn.Sigmoid: keras.activations.sigmoid,
    nn.HardSigmoid: keras.activations.hard_sigmoid,
    operations.Tanh: keras.activations.tanh,
    nn.Softmax: keras.activations.softmax,
    layers.Softmax: keras.activations.softmax,
}
# Layers that apply an activation last, and whose result is not bounded where they have none.
_ACTIVATED = (
    layers.Conv2D, layers.Conv3D, layers.Conv2DTranspose, layers.Conv3DTranspose, layers.SeparableConv2D,
    layers.DepthwiseConv2D, layers.Dense,
)  # fmt: skip


@dataclass(frozen=True)
class Adapted:
    """A network and what was done to it.

    Attributes:
        model: functional Keras model of one input (*spatial, channels) and one output of logits (*spatial, classes).
        changes: a line each; none for a network that had this form.
    """

    model: keras.Model
    changes: tuple[str, ...] = ()


def adapt(model, name, patch=None) -> Adapted:
    """Bring a network into the form that is exported, with the classes that it gives.

    Several images become channels of one, in the order of the inputs. Of several outputs that of the image's size is
    taken. Flattened outputs get their axes back. A last sigmoid or softmax, which changes no class, is left out, and a
    single channel becomes two classes: the second where its probability is above a half, its logit above 0.

    Args:
        model: functional or sequential Keras model.
        name: of its file, for messages.
        patch: spatial size of the image for a network that leaves it open, or None.

    Raises:
        InputError: if that cannot be done; the message says what to change.
    """
    _check_layers(model, name)
    changes: list[str] = []
    output = _output(model, name, changes)
    if len(model.inputs) > 1:
        model = _one_image(keras.Model(list(model.inputs), output), name, changes)
    elif _needs_size(model.inputs[0], output, patch):
        image = keras.Input((*patch, model.inputs[0].shape[-1]))
        model = keras.Model(image, keras.Model(model.inputs[0], output)(image), name=model.name)
    elif output is not model.outputs[0] or not all(map(keras.backend.is_keras_tensor, (model.input, model.output))):
        model = keras.Model(model.inputs[0], output, name=model.name)
    image = model.inputs[0]
    logits, activation = _logits(model.outputs[0])
    shaped = _shaped(logits, image, name, changes)
    if shaped.shape[-1] == 1:
        shaped = _two_classes(shaped, activation, keras.Model(image, logits), name, changes)
    if shaped is model.outputs[0]:
        return Adapted(model, tuple(changes))
    return Adapted(keras.Model(image, shaped, name=model.name), tuple(changes))


def _needs_size(image, output, patch) -> bool:
    """Whether flattened outputs of a network of open size can be read only at a given one."""
    opened = None in image.shape[1:-1] and len(output.shape) != len(image.shape)
    return opened and patch is not None and len(patch) == len(image.shape) - 2


def _check_layers(model, name):
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise InputError(
            f"{name}: expected a functional keras.Model, got a {type(model).__name__} without an input shape; with "
            "image = keras.Input((*patch, channels)) save keras.Model(image, model(image))"
        )
    first = [layer for layer in flat_layers(model) if getattr(layer, "data_format", None) == "channels_first"]
    if first:
        raise InputError(
            f"{name}: layer {first[0].name} has the channels first, expected channels last; build the same network "
            "with data_format='channels_last' and give it the weights, which have one layout for both: "
            "new.set_weights(old.get_weights())"
        )


def _output(model, name, changes):
    """The output of classes: the only one, or the only one of the image's size."""
    if len(model.outputs) == 1:
        return model.outputs[0]
    spatial = tuple(model.inputs[0].shape[1:-1])
    same = [tensor for tensor in model.outputs if tuple(tensor.shape[1:-1]) == spatial]
    listed = ", ".join(f"{tensor.name} {tuple(tensor.shape[1:])}" for tensor in model.outputs)
    if None in spatial or len(same) != 1:
        raise InputError(
            f"{name}: has {len(model.outputs)} outputs, {listed}; expected one, the classes: save "
            "keras.Model(model.inputs, model.outputs[0]) with the one that is wanted"
        )
    place = next(i for i, tensor in enumerate(model.outputs) if tensor is same[0])
    changes.append(f"of {len(model.outputs)} outputs, that of the image's size is taken: number {place}")
    return same[0]


def _one_image(model, name, changes):
    """The same network with its images as channels of one."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    names = [tensor.name for tensor in model.inputs]
    if len({shape[:-1] for shape in shapes}) > 1 or min(len(shape) for shape in shapes) < 3:
        listed = ", ".join(f"{own} {shape}" for own, shape in zip(names, shapes, strict=True))
        raise InputError(
            f"{name}: has {len(shapes)} inputs, {listed}; expected images of one size, which become channels of one: "
            "save a network of the images alone, what else it takes as a constant"
        )
    ends = np.cumsum([shape[-1] for shape in shapes])
    image = keras.Input((*shapes[0][:-1], int(ends[-1])), name="image")
    parts = [image[..., int(end) - shape[-1] : int(end)] for end, shape in zip(ends, shapes, strict=True)]
    changes.append(f"the inputs are channels of one image, in this order: {', '.join(names)}")
    return keras.Model(image, model(parts), name=model.name)


def _logits(tensor):
    """What is before a last sigmoid, tanh or softmax, reshaped or not, and which that is; else the tensor and None."""
    layer, node = _made(tensor)
    if layer is None or len(node.outputs) != 1:
        return tensor, None
    if is_functional(layer):
        return _nested_logits(tensor, layer, node)
    if len(node.input_tensors) != 1:
        return tensor, None
    before = node.input_tensors[0]
    if isinstance(layer, _RESHAPES):
        inner, activation = _logits(before)
        return (tensor if inner is before else _again(layer, inner)), activation
    activation = _OPERATIONS.get(type(layer))
    if type(layer) is layers.Activation or type(layer) in _ACTIVATED:
        activation = layer.activation
    if activation is keras.activations.softmax and getattr(layer, "axis", -1) not in (-1, len(tensor.shape) - 1):
        return tensor, None
    if activation not in (*_SIGMOIDS, keras.activations.softmax):
        return tensor, activation
    if type(layer) not in _ACTIVATED:
        return before, activation
    linear = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    logits = linear(before)
    linear.set_weights(layer.get_weights())
    return logits, activation


def _nested_logits(tensor, layer, node):
    inner = functional(layer)
    logits, activation = _logits(inner.outputs[0])
    if logits is inner.outputs[0]:
        return tensor, activation
    given = list(node.input_tensors)
    return keras.Model(list(inner.inputs), logits)(given if len(given) > 1 else given[0]), activation


def _again(layer, tensor):
    return type(layer).from_config(layer.get_config())(tensor) if isinstance(layer, keras.Layer) else layer(tensor)


def _made(tensor):
    node = producer(tensor)
    return (None, None) if node is None else (node.operation, node)


def _shaped(tensor, image, name, changes):
    """The output with the axes of the image and the classes last."""
    spatial, given = tuple(image.shape[1:-1]), tuple(tensor.shape[1:])
    if given[:-1] == spatial:
        return tensor
    fixed = None not in spatial and None not in given
    voxels = math.prod(spatial) if fixed else 0
    if fixed and (given == spatial or given[0] == voxels or (len(given) == 1 and given[0] % voxels == 0)):
        classes = math.prod(given) // voxels
        changes.append(f"its output {given} is read as {(*spatial, classes)}")
        return ops.reshape(tensor, (-1, *spatial, classes))
    if given[1:] == spatial and len(given) == len(spatial) + 1:
        raise InputError(
            f"{name}: its output {given} has the classes first, expected them last; save keras.Model(model.inputs, "
            f"keras.layers.Permute({(*range(2, len(given) + 1), 1)})(model.outputs[0]))"
        )
    raise InputError(
        f"{name}: gives {given} for an image of {tuple(image.shape[1:])}, expected {(*spatial, 'classes')}; "
        + ("give --patch, or " if not fixed else "")
        + "save a network that gives a number for each voxel and class"
    )


def _two_classes(channel, activation, model, name, changes):
    """Logits (-z / 2, z / 2): their softmax has the same probability as the sigmoid of z."""
    if activation not in (None, keras.activations.linear, *_SIGMOIDS):
        ending = getattr(activation, "__name__", activation)
        raise InputError(
            f"{name}: its only channel ends in {ending}, which tells no two classes apart; expected sigmoid, tanh or "
            "no activation there, or two channels"
        )
    where = "its logit is above 0 (probability 0.5)"
    if activation is None and _is_probability(model, name):
        channel, where = ops.subtract(channel, 0.5), "it is above 0.5"
    rank = len(channel.shape) - 2
    both = (layers.Conv2D if rank == 2 else layers.Conv3D)(2, 1, use_bias=False, name="two_classes")
    output = both(channel)
    both.set_weights([np.array([-0.5, 0.5], np.float32).reshape((1,) * rank + (1, 2))])
    changes.append(f"its only channel is read as two classes, the second where {where}")
    return output


def _is_probability(model, name) -> bool:
    """Whether the last operation, one that is not known here, gives values between 0 and 1, as seen on noise.

    Raises:
        InputError: if its values are never negative, but not bounded by 1 either.
    """
    shape = [size or SEEN for size in model.inputs[0].shape[1:]]
    values = np.asarray(model(np.random.default_rng(0).normal(0, 3, (1, *shape)).astype("float32"), training=False))
    if values.min() < 0:
        return False
    if values.max() > 1:
        raise InputError(
            f"{name}: its only channel holds {values.min():.3g} to {values.max():.3g}, expected a logit, below 0 where "
            "there is background, or a probability of at most 1"
        )
    return True
