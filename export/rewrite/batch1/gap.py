"""A 3D convolution as one 2D convolution over the slices one below the other, with rows of zeros between them."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from export.rewrite.batch1.volume import Volume
from export.rewrite.rules.conv import Place, Window, conv2d, depthwise2d
from export.rewrite.rules.depth import same_padding


@dataclass(frozen=True)
class Block:
    """The rows that one slice takes in the image of all.

    Attributes:
        above: rows of zeros before the slice.
        below: rows of zeros after it.
        rows: of the block, a whole number of strides.
        outputs: rows of its output.
    """

    above: int
    below: int
    rows: int
    outputs: int


def out_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Length of a convolution's or pool's output along one axis."""
    if padding == "same":
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def block_of(height: int, kernel: int, stride: int, dilation: int, padding: str) -> Block:
    """The block in which no output row of one slice sees rows of another, for a 2D convolution over all of them.

    TensorFlow's "same" padding begins ``first`` rows above the image, and a slice alone would have begun ``top`` rows
    above it: the difference goes into the block.
    """
    outputs, span = out_size(height, kernel, stride, dilation, padding), (kernel - 1) * dilation + 1
    if padding == "valid":
        rows = -(-height // stride) * stride
        return Block(0, rows - height, rows, outputs)
    top, _ = same_padding(height, kernel, stride, dilation)
    first = max(span - stride, 0) // 2
    above = top - first
    rows = max(above + height + first, (outputs - 1) * stride - first + span - above)
    rows = -(-rows // stride) * stride
    return Block(above, rows - above - height, rows, outputs)


def gapped(volume: Volume, kernel, bias, place: Place, window: Window) -> Volume:
    """A 3D convolution with kernel (kd, kh, kw, in, out).

    The depth windows are slices of the view (1, depth, rows × width, channels), stacked along channels.
    """
    stacked, flat, channels = [], [], 0
    for member in volume.members:  # what is concatenated is windowed first: one copy less
        pieces, block = _windows(member, kernel.shape, window)
        inputs = slice(channels, channels + member.shape[3])
        stacked += [piece for _, piece in pieces]
        flat += [kernel[i][:, :, inputs] for i, _ in pieces]
        channels = inputs.stop
    if not pieces:
        return gapped(volume, np.zeros_like(kernel[:1]), bias, place.at("zero"), _thin(window))
    x = stacked[0] if len(stacked) == 1 else ops.concatenate(stacked, axis=-1)
    sizes = "-".join(str(member.shape[3]) for member in volume.members)
    part = place.at(f"{_which(pieces)}of{sizes}")
    y = conv2d(x, np.concatenate(flat, axis=2), bias, part, window.plane)
    return _cropped(volume, y, kernel.shape, window, block)


def gapped_depthwise(volume: Volume, kernel, bias, place: Place, window: Window) -> Volume:
    """A 3D convolution within each channel, kernel (kd, kh, kw, in, multiplier): the sum over the kernel's slices."""
    pieces, block = _windows(volume, kernel.shape, window)
    if not pieces:
        return gapped_depthwise(volume, np.zeros_like(kernel[:1]), bias, place.at("zero"), _thin(window))
    total = None
    for i, piece in pieces:
        added, part = (bias, f"slice{i}") if total is None else (None, f"slice{i}+")
        y = depthwise2d(piece, kernel[i], added, place.at(part), window.plane)
        total = y if total is None else ops.add(total, y)
    return _cropped(volume, total, kernel.shape, window, block)


def _which(pieces) -> str:
    return "taps" + "-".join(str(i) for i, _ in pieces)


def _thin(window):
    """For a kernel of depth 1 that reaches as many slices."""
    return Window(window.strides, (1, *window.dilation[1:]), "same")


def _axis(window, axis):
    return window.strides[axis], window.dilation[axis], window.padding


def _windows(volume, kernel, window):
    """(kernel index, image of the slices that it sees) of each slice of the kernel that sees any; and the block."""
    depth, height, width, channels = volume.shape
    stride, dilation, padding = _axis(window, 0)
    count = out_size(depth, kernel[0], stride, dilation, padding)
    before = same_padding(depth, kernel[0], stride, dilation)[0] if padding == "same" else 0
    starts = {i: i * dilation - before for i in range(kernel[0])}
    starts = {i: s for i, s in starts.items() if any(0 <= s + q * stride < depth for q in range(count))}
    if count == 1:  # a single image has no neighbours
        block = Block(0, 0, height, out_size(height, kernel[1], *_axis(window, 1)))
    else:
        block = block_of(height, kernel[1], *_axis(window, 1))
    if not starts:
        return [], block
    front = max(0, -min(starts.values()))
    blocks = max((s + front) // stride for s in starts.values()) + count
    behind = max(blocks * stride - front - depth, 0)
    if stride > 1:
        behind += -(depth + front + behind) % stride
    x, pixels = volume.rows(), block.rows * width
    if any((front, behind, block.above, block.below)):
        x = ops.pad(x, ((0, 0), (front, behind), (block.above * width, block.below * width), (0, 0)))
    if stride == 1:  # whole rows: an NPU reads them from where they lie
        x = ops.reshape(x, (1, x.shape[1] * block.rows, width, channels))
    else:
        x = ops.reshape(x, (1, x.shape[1] // stride, stride * pixels, channels))
    image = (1, count * block.rows, width, channels)
    windows = []
    for i, start in starts.items():
        first, phase = divmod(start + front, stride)
        if stride > 1:
            piece = ops.slice(x, (0, first, phase * pixels, 0), (1, count, pixels, channels))
            piece = ops.reshape(piece, image)
        else:
            piece = x if x.shape == image else ops.slice(x, (0, first * block.rows, 0, 0), image)
        windows.append((i, piece))
    return windows, block


def _cropped(volume, y, kernel, window, block) -> Volume:
    """The rows of each block that are outputs, as a feature map."""
    count = out_size(volume.shape[0], kernel[0], *_axis(window, 0))
    _, rows, width, channels = y.shape
    each = block.rows // window.strides[1] if count > 1 else block.outputs
    shape = (count, block.outputs, width, channels)

    def crop(parts):
        x = parts[0]
        if rows < count * each:  # "valid": the last block's window ends before the block does
            x = ops.pad(x, ((0, 0), (0, count * each - rows), (0, 0), (0, 0)))
        x = ops.reshape(x, (1, count, each * width, channels))
        return ops.slice(x, (0, 0, 0, 0), (1, count, block.outputs * width, channels))

    return Volume(shape, [y], None if rows == count * block.outputs else crop)
