"""A 3D feature map with neighbouring slices side by side in the channels: how many, and the windows over it."""

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from export.rewrite import depth

# Multiply-accumulates in the time that one byte of a window takes to copy (with AMX 245, with AVX-512 VNNI 100).
MACS_PER_BYTE = 150
# Values that a layer's kernel may gain for each voxel of its output: where voxels are few, a larger file saves no time.
GAIN_PER_VOXEL = 1
# Values that all kernels together may gain for each weight of the network, so that int8 files stay small.
GAIN_PER_WEIGHT = 0.12
# Pieces of so few channels are sooner joined by a transposition than by writing each pixel's bytes one by one.
FEW_CHANNELS = 4


@dataclass(frozen=True)
class Unit:
    """What a runtime's int8 matrix product computes at once: it pads to multiples of these.

    Attributes:
        inner: input channels of one tap.
        outer: output channels.
    """

    inner: int
    outer: int


@dataclass(frozen=True)
class Blocks:
    """A folded feature map (depth, height, width, channels) as (depth / slices, height, width, slices × channels).

    Attributes:
        parts: tensors whose channels follow one another; in each they lie slice by slice.
        slices: how many lie side by side.
    """

    parts: tuple
    slices: int

    @property
    def channels(self) -> tuple[int, ...]:
        """Of one slice, by part."""
        return tuple(part.shape[-1] // self.slices for part in self.parts)

    def map(self, function) -> "Blocks":
        """The same with ``function``, which keeps the shape, applied to each part."""
        return Blocks(tuple(function(part) for part in self.parts), self.slices)

    def joined(self):
        """The parts as one tensor."""
        return self.parts[0] if len(self.parts) == 1 else ops.concatenate(self.parts, axis=-1)

    def plain(self):
        """The feature map as (depth, height, width, channels)."""
        unfolded = [_unfold(part, self.slices) for part in self.parts]
        return unfolded[0] if len(unfolded) == 1 else ops.concatenate(unfolded, axis=-1)


@dataclass(frozen=True)
class Piece:
    """Some of the slices that every block sees.

    Attributes:
        tensor: (blocks, height, width, slices × channels).
        part: number of the part that it is of.
        numbers: of its slices, counted from the block's first.
    """

    tensor: object
    part: int
    numbers: tuple[int, ...]


def _unfold(x, slices):
    count, height, width, channels = x.shape
    if slices == 1:
        return x
    y = ops.transpose(ops.reshape(x, (count, height * width, slices, channels // slices)), (0, 2, 1, 3))
    return ops.reshape(y, (count * slices, height, width, channels // slices))


def gain(kernel, inputs: int, outputs: int, slices: int) -> int:
    """Values that the kernel which makes ``slices`` output slices at once holds more than the layer's, see ``band``."""
    along, taps = kernel[0], kernel[1] * kernel[2]
    return taps * inputs * outputs * ((slices + along - 1) * slices - along)


def best_slices(unit: Unit, shape, kernel, inputs: int, outputs: int, source: int = 1, room: float = math.inf) -> int:
    """How many slices a convolution should make at once, by what it computes and copies for each voxel.

    Args:
        unit: of the runtime.
        shape: (depth, height, width) of its output.
        kernel: (depth, height, width).
        inputs, outputs: channels.
        source: how many slices of its input lie side by side.
        room: values that its kernel may gain.
    """
    along, taps = kernel[0], kernel[1] * kernel[2]
    room = min(room, GAIN_PER_VOXEL * math.prod(shape))

    def cost(slices):
        span = slices + along - 1
        macs = taps * _filled(span * inputs, unit.inner) * _filled(slices * outputs, unit.outer) / slices
        copied = 0 if along == 1 else span * inputs / slices
        copied += outputs if slices > 1 else 0  # the next layer may want it slice by slice
        copied += inputs if slices != source and source > 1 else 0
        return macs + MACS_PER_BYTE * copied

    fitting = [n for n in (2, 4, 8, 16) if shape[0] % n == 0 and n * outputs <= unit.outer]
    fitting = [n for n in fitting if gain(kernel, inputs, outputs, n) <= room]
    return min([1, *(n for n in fitting if along > 1 or n == source)], key=cost)


def _filled(channels: int, multiple: int) -> int:
    return math.ceil(channels / multiple) * multiple


def windows(source: Blocks, before: int, after: int) -> list[Piece]:
    """What each block sees: itself, ``before`` slices of the block before it and ``after`` of the one behind it."""
    found = []
    for i, (part, channels) in enumerate(zip(source.parts, source.channels, strict=True)):
        last = (source.slices - before) * channels
        found += [
            Piece(_of_neighbour(part, last, before * channels, -1), i, tuple(range(-before, 0))),
            Piece(part, i, tuple(range(source.slices))),
            Piece(_of_neighbour(part, 0, after * channels, 1), i, tuple(range(source.slices, source.slices + after))),
        ]
    return [piece for piece in found if piece.tensor is not None]


def _of_neighbour(x, start: int, channels: int, step: int):
    """Channels of the block before (step -1) or behind (1), zeros where there is none; None if that is all of them."""
    count, height, width, _ = x.shape
    if count == 1 or channels == 0:
        return None
    moved = ops.slice(x, (max(step, 0), 0, 0, start), (count - 1, height, width, channels))
    return depth.pad(moved, max(-step, 0), max(step, 0))


def stacked(x, slices: int, before: int, after: int) -> Piece:
    """What each block sees, of a feature map slice by slice."""
    size, height, width, channels = x.shape
    count, span = size // slices, before + slices + after
    rows = count + (span - 1) // slices
    x = depth.pad(x, before, rows * slices - size - before)
    x = ops.reshape(x, (rows, slices * height, width, channels))
    pieces = [
        ops.slice(x, (i // slices, i % slices * height, 0, 0), (count, height, width, channels)) for i in range(span)
    ]
    return Piece(_side_by_side(pieces), 0, tuple(range(-before, slices + after)))


def _side_by_side(pieces: list):
    """Feature maps of one shape joined along channels."""
    *shape, channels = pieces[0].shape
    if channels > FEW_CHANNELS:
        return ops.concatenate(pieces, axis=-1)
    joined = ops.concatenate([ops.reshape(piece, (1, math.prod(shape), channels)) for piece in pieces], axis=0)
    return ops.reshape(ops.transpose(joined, (1, 0, 2)), (*shape, len(pieces) * channels))


def band(kernel, slices: int, numbers, before: int) -> np.ndarray:
    """The 2D kernel that makes ``slices`` output slices at once from input slices side by side.

    Args:
        kernel: (depth, height, width, inputs, outputs).
        slices: output slices.
        numbers: of the input slices, counted from the first output slice's.
        before: slices that the kernel sees before the output's.

    Returns:
        (height, width, len(numbers) × inputs, slices × outputs).
    """
    along, kh, kw, inputs, outputs = kernel.shape
    merged = np.zeros((kh, kw, len(numbers), inputs, slices, outputs), np.float32)
    for place, number in enumerate(numbers):
        for made in range(slices):
            tap = number - made + before
            if 0 <= tap < along:
                merged[:, :, place, :, made] = kernel[tap]
    return merged.reshape(kh, kw, len(numbers) * inputs, slices * outputs)
