"""What an int8 tensor would hold, as floats, with gradients that pass straight through the rounding.

Jacob et al., CVPR 2018, arXiv:1712.05877; straight-through gradients: Bengio et al. 2013, arXiv:1308.3432.
"""

from keras import ops

LEVELS = 256
LARGEST = {8: 127, 7: 64}
"""Largest magnitude of a symmetric weight by its bits."""

BITS = {"tflite": (8,), "onnx": (7, 8)}
"""Bits that a runtime's weights may have, its own first: 7 saturate on no processor, 8 on those without VNNI."""


def fake_quantize(x, low, high, levels: int = LEVELS):
    """An activation as an integer tensor with one scale and zero point would hold it.

    The same for int8 (TFLite) and uint8 (ONNX), whose zero points differ by 128. Zero is held exactly.

    Args:
        x: float tensor of any shape.
        low: smallest value of the range, at most 0.
        high: largest value of the range, at least 0; an empty range (both 0) leaves ``x`` as it is.
        levels: number of values that the integer type has.

    Returns:
        A tensor of the same shape; its gradient is 1 where ``x`` lies in the range, else 0.
    """
    scale = (high - low) / (levels - 1)
    known = scale > 0
    scale = ops.where(known, scale, ops.ones_like(scale))
    zero = ops.round(-low / scale)
    inside = ops.clip(x, -zero * scale, (levels - 1 - zero) * scale)
    held = _straight_through(inside, ops.round(inside / scale) * scale)
    return ops.where(known, held, x)


def fake_quantize_kernel(kernel, largest, levels: int = LARGEST[8]):
    """Weights as int8 would hold them: symmetric, no zero point.

    Args:
        kernel: float tensor.
        largest: largest magnitude of the weights that share a scale, of a shape that broadcasts.
        levels: largest integer that a weight becomes.

    Returns:
        A tensor of the kernel's shape; its gradient is 1.
    """
    scale = ops.stop_gradient(largest) / levels
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    return _straight_through(kernel, ops.clip(ops.round(kernel / scale), -levels, levels) * scale)


def _straight_through(x, held):
    """The values of ``held``, bit for bit, with the gradient of ``x``."""
    return ops.stop_gradient(held) + (x - ops.stop_gradient(x))
