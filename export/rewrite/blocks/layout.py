"""A 3D feature map with neighbouring slices side by side in the channels: how many, and the windows over it."""

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from export.rewrite.blocks.choice import FEW_CHANNELS
from export.rewrite.rules import depth


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


def regrouped(source: Blocks, slices: int) -> Blocks:
    """The same feature map with another number of slices side by side, one of which is a multiple of the other."""
    return Blocks(tuple(_regrouped(part, source.slices, slices) for part in source.parts), slices)


def _regrouped(x, before: int, after: int):
    if before == after:
        return x
    count, height, width, channels = x.shape
    if before > after:
        pieces, run = (count, height * width, before // after, channels // before * after), (0, 2, 1, 3)
    else:
        pieces, run = (count * before // after, after // before, height * width, channels), (0, 2, 1, 3)
    y = ops.transpose(ops.reshape(x, pieces), run)
    return ops.reshape(y, (count * before // after, height, width, channels // before * after))


def _unfold(x, slices):
    count, height, width, channels = x.shape
    if slices == 1:
        return x
    y = ops.transpose(ops.reshape(x, (count, height * width, slices, channels // slices)), (0, 2, 1, 3))
    return ops.reshape(y, (count * slices, height, width, channels // slices))


def windows(source: Blocks, before: int, after: int) -> list[Piece]:
    """What each block sees: itself, ``before`` slices of the block before it and ``after`` of the one behind it."""
    windows = []
    for i, (part, channels) in enumerate(zip(source.parts, source.channels, strict=True)):
        last = (source.slices - before) * channels
        windows += [
            Piece(_of_neighbour(part, last, before * channels, -1), i, tuple(range(-before, 0))),
            Piece(part, i, tuple(range(source.slices))),
            Piece(_of_neighbour(part, 0, after * channels, 1), i, tuple(range(source.slices, source.slices + after))),
        ]
    return [piece for piece in windows if piece.tensor is not None]


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
    # so few bytes of each pixel are sooner joined by a transposition than one by one
    joined = ops.concatenate([ops.reshape(piece, (1, math.prod(shape), channels)) for piece in pieces], axis=0)
    return ops.reshape(ops.transpose(joined, (1, 0, 2)), (*shape, len(pieces) * channels))


def gathered(x, slices: int, columns: int, kernel) -> Piece:
    """What each block of slices and columns sees but for its height, of a feature map of few channels.

    Args:
        x: (depth, height, width, channels).
        slices, columns: that a block makes.
        kernel: (depth, height, width), of padding "same".

    Returns:
        (depth / slices, height, width / columns, slices × columns × channels seen).
    """
    size, height, width, channels = x.shape
    across, span, seen = width // columns, slices + kernel[0] - 1, columns + kernel[2] - 1
    (before, _), (left, _) = (depth.same_padding(1, k, 1, 1) for k in (kernel[0], kernel[2]))
    count, rows, blocks = size // slices, -(-(size + kernel[0] - 1) // slices), -(-(width + kernel[2] - 1) // columns)
    right = blocks * columns - width - left
    # zeros beside each line are joined to it: runtimes are slow at padding many short ones
    lines = ops.reshape(depth.pad(x, before, rows * slices - size - before), (-1, width * channels))
    sides = [np.zeros((lines.shape[0], n * channels), np.float32) for n in (left, right) if n]
    lines = ops.concatenate([*sides[: left > 0], lines, *sides[left > 0 :]], axis=-1) if sides else lines
    planes = ops.reshape(lines, (-1, columns * channels))
    planes = ops.reshape(ops.transpose(planes, (1, 0)), (columns * channels, rows * slices * height, blocks))
    parts = [
        ops.slice(
            planes, (0, 0, start // columns), (min(columns, seen - start) * channels, rows * slices * height, across)
        )
        for start in range(0, seen, columns)
    ]
    area = height * across
    planes = ops.reshape(ops.concatenate(parts, axis=0), (seen * channels, rows, slices * area))
    windows = [
        ops.slice(planes, (0, i // slices, i % slices * area), (seen * channels, count, area)) for i in range(span)
    ]
    joined = ops.reshape(ops.concatenate(windows, axis=0), (span * seen * channels, count * area))
    shape = (count, height, across, span * seen * channels)
    return Piece(ops.reshape(ops.transpose(joined, (1, 0)), shape), 0, tuple(range(-before, span - before)))


def band(kernel, slices: int, numbers, before: int, columns: int = 1) -> np.ndarray:
    """The 2D kernel that makes ``slices`` output slices at once from input slices side by side.

    Args:
        kernel: (depth, height, width, inputs, outputs).
        slices: output slices.
        numbers: of the input slices, counted from the first output slice's.
        before: slices that the kernel sees before the output's.
        columns: output columns made at once too, by a stride of as many.

    Returns:
        (height, width + columns - 1, len(numbers) × inputs, columns × slices × outputs).
    """
    along, kh, kw, inputs, outputs = kernel.shape
    merged = np.zeros((kh, kw + columns - 1, len(numbers), inputs, columns, slices, outputs), np.float32)
    for place, number in enumerate(numbers):
        for made in range(slices):
            tap = number - made + before
            if 0 <= tap < along:
                for column in range(columns):
                    merged[:, column : column + kw, place, :, column, made] = kernel[tap]
    return merged.reshape(kh, kw + columns - 1, len(numbers) * inputs, columns * slices * outputs)
