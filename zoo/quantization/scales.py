"""Which weights of a kernel share a scale in the artifact, by layer type and granularity."""

from keras import layers, ops

from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.errors import unknown

GRANULARITIES = ("per-channel", "per-tensor")
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D, DepthwiseConv3D)
PRODUCTS = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense, *TRANSPOSED, *DEPTHWISE)
"""Layers with a ``kernel`` that the artifact holds as int8."""


def check_granularity(weights: str) -> None:
    """Require a granularity.

    Raises:
        ZooError: for another.
    """
    if weights not in GRANULARITIES:
        raise unknown("granularity of weights", weights, GRANULARITIES)


def output_axes(layer) -> tuple[int, ...]:
    """Axes of the layer's kernel that run over its output channels, from the end."""
    if isinstance(layer, DEPTHWISE):
        return (-2, -1)
    return (-2,) if isinstance(layer, TRANSPOSED) else (-1,)


def largest(layer, kernel, weights: str):
    """The largest magnitude among the weights that share a scale with each weight.

    The rewrite makes several tensors of some 3D kernels, each with scales of its own: one for each slice of a depthwise
    kernel, and one for each output residue of a transposed one.

    Args:
        layer: one of ``PRODUCTS``.
        kernel: its kernel.
        weights: "per-channel" or "per-tensor".

    Returns:
        A tensor that broadcasts to the kernel.
    """
    size = ops.abs(kernel)
    if isinstance(layer, TRANSPOSED) and all(rate == 1 for rate in layer.dilation_rate):
        return _by_residue(size, layer.strides, weights)
    kept = {axis % len(size.shape) for axis in output_axes(layer)} if weights == "per-channel" else set()
    if isinstance(layer, DepthwiseConv3D) and tuple(layer.kernel_size[1:]) != (1, 1):
        kept.add(0)
    return ops.max(size, axis=[axis for axis in range(len(size.shape)) if axis not in kept], keepdims=True)


def _by_residue(size, strides, weights):
    """Magnitudes of a transposed kernel (*spatial, out, in): taps a stride apart reach the same output residue.

    With a scale per channel, each residue is a channel of the artifact's sub-pixel convolution. With one per tensor,
    residues in the plane share that of their convolution; those along depth have one each.
    """
    spatial = size.shape[:-2]
    padded = ops.pad(size, [*((0, -n % s) for n, s in zip(spatial, strides, strict=True)), (0, 0), (0, 0)])
    split = [part for n, s in zip(padded.shape, strides, strict=False) for part in (n // s, s)]
    taps = ops.reshape(padded, (*split, *padded.shape[-2:]))
    reduced = [*range(0, len(split), 2), len(split) + 1]
    if weights == "per-tensor":
        reduced += [*range(3 if len(spatial) == 3 else 1, len(split), 2), len(split)]
    largest = ops.broadcast_to(ops.max(taps, axis=reduced, keepdims=True), taps.shape)
    return ops.reshape(largest, padded.shape)[tuple(slice(n) for n in spatial)]
