"""How many slices and columns each convolution makes at once, by what it computes, stores and copies for a voxel.

What is chosen must repay what its kernel stores more: all kernels of a network together may gain only so many, and
they go where a value saves the most time.
"""

import math
from dataclasses import dataclass, field

import keras
from keras import layers

from zoo.internals.keras import is_functional, run_graph

# Multiply-accumulates in the time that one byte of a window takes to copy (with AMX 245, with AVX-512 VNNI 100).
MACS_PER_BYTE = 150
# Multiply-accumulates in the time that one sum takes to become an output value of eight bits.
MACS_PER_OUTPUT = 180
# Multiply-accumulates that a value gained by a kernel must save, so that int8 files do not grow for nothing.
MACS_PER_GAIN = 2000
# Channels of an image, whose neighbours within a window are gathered in its channels, where taps would be mostly zeros.
FEW_CHANNELS = 4
# Values that all kernels together may gain for each weight of the network, so that int8 files stay small.
GAIN_PER_WEIGHT = 0.115


@dataclass(frozen=True)
class Unit:
    """What a runtime's int8 matrix product computes at once: it pads to multiples of these.

    Attributes:
        inner: input channels of one tap.
        outer: output channels.
        sparse: zeros of a kernel take no room in the file; only then are several columns made at once.
    """

    inner: int
    outer: int
    sparse: bool = False


@dataclass(frozen=True)
class Sizes:
    """What a convolution computes.

    Attributes:
        shape: (depth, height, width) of its output.
        kernel: (depth, height, width).
        inputs, outputs: channels.
        spread: its taps in the plane lie apart.
    """

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    inputs: int
    outputs: int
    spread: bool = False


@dataclass(frozen=True)
class Group:
    """Output voxels that a convolution makes at once, side by side in its channels.

    Attributes:
        slices: along the depth.
        columns: along the width.
    """

    slices: int = 1
    columns: int = 1


ONE = Group()


@dataclass
class Budget:
    """What kernels may still gain, and for which convolutions it is kept.

    Attributes:
        unit: of the runtime.
        room: values.
        planned: group by convolution, see ``key``.
    """

    unit: Unit
    room: float
    planned: dict = field(default_factory=dict)

    def take(self, name, sizes: Sizes, source: int) -> Group:
        """The group of a convolution whose input has ``source`` slices side by side; its gain is taken off."""
        if sizes.kernel[0] > 1 and (name, sizes) in self.planned:
            return self.planned[name, sizes]
        step = best(self.unit, sizes, source, self.room)
        self.room -= gain(self.unit, sizes, step)
        return step


def sizes_of(layer: layers.Conv3D, shape) -> Sizes | None:
    """The ``Sizes`` of a Keras layer on an input of (depth, height, width, channels); None if it must stay as it is."""
    along = layer.kernel_size[0]
    stays = {*layer.strides, layer.dilation_rate[0]} != {1} or (layer.padding == "valid" and along > 1)
    if stays or layer.groups > 1:
        return None
    height, width = shape[1:3]
    if layer.padding == "valid":
        height -= (layer.kernel_size[1] - 1) * layer.dilation_rate[1]
        width -= (layer.kernel_size[2] - 1) * layer.dilation_rate[2]
    size = (shape[0], height, width)
    return Sizes(size, tuple(layer.kernel_size), shape[3], layer.filters, max(layer.dilation_rate[1:]) > 1)


def gain(unit: Unit, sizes: Sizes, group: Group) -> int:
    """Values that the kernel of a group stores more than the layer's, see ``layout.band``."""
    along, high, wide = sizes.kernel
    made = group.slices * group.columns
    taps = along * wide if unit.sparse else (group.slices + along - 1) * (wide + group.columns - 1)
    return high * sizes.inputs * sizes.outputs * (taps * made - along * wide)


def gathers(unit: Unit, sizes: Sizes, group: Group) -> bool:
    """Whether a group takes all columns that it sees as channels, see ``layout.gathered``."""
    along, _, wide = sizes.kernel
    seen = (group.slices + along - 1) * (group.columns + wide - 1) * sizes.inputs
    return sizes.inputs <= FEW_CHANNELS and min(along, wide) > 1 and not sizes.spread and seen <= unit.inner


def cost(unit: Unit, sizes: Sizes, group: Group, source: int = 1) -> float:
    """Time for a voxel, as multiply-accumulates.

    Args:
        unit: of the runtime.
        sizes: of the convolution.
        group: made at once.
        source: how many slices of its input lie side by side.
    """
    along, high, wide = sizes.kernel
    span, made = group.slices + along - 1, group.slices * group.columns
    columns, gathered = wide + group.columns - 1, wide == 1 or gathers(unit, sizes, group)
    taps, inner = (high, span * columns) if gathered else (high * columns, span)
    inner *= sizes.inputs
    filled = _filled(made * sizes.outputs, unit.outer) / made
    copied = 0 if along == 1 else inner / (made if gathered else group.slices)
    copied += sizes.outputs if group != ONE else 0  # the next layer may want it slice by slice
    copied += sizes.inputs if source not in (1, group.slices) else 0
    return filled * (taps * _filled(inner, unit.inner) + MACS_PER_OUTPUT) + MACS_PER_BYTE * copied


def _filled(channels: int, multiple: int) -> int:
    return math.ceil(channels / multiple) * multiple


def groups(unit: Unit, sizes: Sizes, source: int = 1) -> list[Group]:
    """The single voxel, and the groups that fill no more than the unit's output channels.

    Args:
        unit: of the runtime.
        sizes: of the convolution.
        source: how many slices of its input lie side by side; one that sees a single slice makes as many or one.
    """
    depth, _, width = sizes.shape
    slices = [n for n in (1, 2, 4, 8, 16) if depth % n == 0] if sizes.kernel[0] > 1 else sorted({1, source})
    fits = (
        1 if sizes.spread or not unit.sparse else width - sizes.kernel[2] + 1
    )  # TensorFlow errs where a kernel is wider than its image
    columns = [n for n in (1, 2, 4) if width % n == 0 and n <= max(fits, 1)]
    made = [Group(s, c) for s in slices for c in columns]
    return [group for group in made if group == ONE or group.slices * group.columns * sizes.outputs <= unit.outer]


def best(unit: Unit, sizes: Sizes, source: int = 1, room: float = math.inf) -> Group:
    """The group of least cost whose kernel gains no more than ``room`` values."""

    def total(group):
        return cost(unit, sizes, group, source) + MACS_PER_GAIN * gain(unit, sizes, group) / math.prod(sizes.shape)

    return min((g for g in groups(unit, sizes, source) if g == ONE or gain(unit, sizes, g) <= room), key=total)


def planned(network, patch, unit: Unit, room: float) -> Budget:
    """Which convolutions of a network may gain how much: step by step the one that saves most for a value gained.

    Args:
        network: functional model.
        patch: spatial size.
        unit: of the runtime.
        room: values that all kernels may gain.
    """
    convolutions = _convolutions(network, patch)
    chosen = dict.fromkeys(convolutions, ONE)
    left = room
    while True:
        steps = [step for step in (_step(unit, name, sizes, chosen, left) for name, sizes in convolutions) if step]
        if not steps:
            break
        _, added, key, group = max(steps, key=lambda step: step[0])
        chosen[key] = group
        left -= added
    return Budget(unit, left, chosen)


def _step(unit, name, sizes, chosen, left):
    """(what a value saves, values gained, key, group) of the best step up for a convolution, or None."""
    now = chosen[name, sizes]
    spent, before = cost(unit, sizes, now), gain(unit, sizes, now)
    steps = []
    for group in groups(unit, sizes):
        added, saved = gain(unit, sizes, group) - before, (spent - cost(unit, sizes, group)) * math.prod(sizes.shape)
        if saved > 0 and added <= left and saved >= MACS_PER_GAIN * added:
            steps.append((saved / max(added, 1), added, (name, sizes), group))
    return max(steps, key=lambda step: step[0], default=None)


def _convolutions(network, patch) -> list:
    """(layer's id, ``Sizes``) of every convolution over several slices; none where shapes cannot be told."""
    convolutions = {}

    def traced(operation):
        def infer(*args, **kwargs):
            if is_functional(operation):
                return run_graph(operation, *args, operation_fn=traced)
            if type(operation) is layers.Conv3D and operation.data_format == "channels_last":
                sizes = sizes_of(operation, args[0].shape[1:])
                if sizes is not None and sizes.kernel[0] > 1:
                    convolutions[id(operation), sizes] = None
            return operation.compute_output_spec(*args, **kwargs)

        return infer

    image = keras.KerasTensor((1, *patch, network.inputs[0].shape[-1]))
    try:
        run_graph(network, image, operation_fn=traced)
    except (ValueError, TypeError, ZeroDivisionError, NotImplementedError):
        return []  # the walk through the network tells the reason, layer by layer
    return list(convolutions)
