"""Rules of batch 1 for what treats all voxels alike."""

import keras
from keras import layers, tree

from export.rewrite.batch1.volume import Volume
from export.rewrite.emission import keep
from export.rewrite.registry import find_rule, volume_rule
from zoo.internals.keras import nn, unlinked

_FUNCTIONS = (
    "celu elu exponential gelu hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid mish relu relu6 selu sigmoid "
    "silu softplus softsign tanh"
)
ELEMENTWISE = {getattr(keras.activations, name) for name in _FUNCTIONS.split()}
# Runtimes fuse these into the convolution before them.
FUSED = {keras.activations.relu, keras.activations.relu6}


def on_image(layer, args, kwargs, emission):
    """The folded layout's rule, on a feature map of one slice that holds the rows of all slices.

    For layers that treat all voxels alike, or reduce all of them to one.
    """
    (volume,) = [value for value in tree.flatten((args, kwargs)) if isinstance(value, Volume)]
    image = volume.columns()
    args, kwargs = tree.map_structure(lambda value: image if value is volume else value, (args, kwargs))
    y = find_rule(layer)(layer, args, kwargs, emission)
    if len(emission.node.outputs[0].shape) != 5:
        return y
    spatial = volume.shape[:3] if y.shape[:3] == image.shape[:3] else y.shape[:3]
    return Volume((*spatial, y.shape[3]), [y])


volume_rule(layers.Dense, layers.GlobalAveragePooling3D, layers.GlobalMaxPooling3D, layers.Normalization)(on_image)


@volume_rule(layers.BatchNormalization, layers.GroupNormalization, layers.Softmax, layers.LayerNormalization)
def along_channels(layer, args, kwargs, emission):
    """Layers with a channel axis."""
    axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    places = sorted(emission.axis(number) for number in axis)
    if places not in ([3], [0, 1, 2, 3]) or len(args) > 1 or kwargs.get("mask") is not None:
        raise ValueError("acts along a spatial axis or takes a mask; a layout of batch 1 takes channels alone")
    if isinstance(layer, layers.LayerNormalization) and layer.rms_scaling:
        return emission.inlined()
    return on_image(layer, args, kwargs, emission)


@volume_rule(
    layers.Identity, layers.Dropout, layers.SpatialDropout3D, layers.GaussianNoise, layers.GaussianDropout,
    layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip
def drop(layer, args, kwargs, emission):
    """Layers that do nothing at inference."""
    return args[0]


@volume_rule(layers.LeakyReLU, layers.ELU)
def elementwise_layer(layer, args, kwargs, emission):
    """A function of each value."""
    return Volume(args[0].shape, [keep(layer, [args[0].joined], kwargs, emission)])


@volume_rule(layers.Rescaling)
def rescaling(layer, args, kwargs, emission):
    """Rescaling, by one number or one per channel."""
    return Volume(args[0].shape, [keep(layer, [args[0].columns()], kwargs, emission)])


@volume_rule(layers.ReLU)
def relu(layer, args, kwargs, emission):
    """ReLU, in each part of a convolution's output."""
    if (layer.negative_slope, layer.threshold, layer.max_value) in ((0, 0, None), (0, 0, 6)):
        return args[0].map(lambda part: keep(layer, [part], {}, emission))
    return elementwise_layer(layer, args, {}, emission)


@volume_rule(layers.Activation)
def activation(layer, args, kwargs, emission):
    """Activation: the same function, which may be one that Keras cannot save."""
    return activated(layer, args[0])


def activated(layer, volume: Volume) -> Volume:
    """After a layer's own activation, if it has one."""
    function = getattr(layer, "activation", None)
    if function in (None, keras.activations.linear):
        return volume
    if function in FUSED:
        return volume.map(layers.Activation(function))
    x = volume.joined if function in ELEMENTWISE else volume.columns()
    return Volume(volume.shape, [layers.Activation(function)(x)])


@volume_rule(nn.Relu, nn.Relu6)
def fused_operation(operation, args, kwargs, emission):
    """keras.ops.relu and relu6, in each part of a convolution's output."""
    return args[0].map(lambda part: unlinked(operation)(part))
