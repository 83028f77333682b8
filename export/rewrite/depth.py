"""What happens along the depth axis of a folded feature map (depth, height, width, channels)."""

from keras import ops


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after an axis for TensorFlow's "same" padding."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def take(x, start: int, stop: int, step: int = 1):
    """Slices ``start:stop:step`` of a folded feature map."""
    if (start, stop, step) == (0, x.shape[0], 1):
        return x
    if step == 1:
        return ops.slice(x, (start, 0, 0, 0), (stop - start, *x.shape[1:]))
    return x[start:stop:step]


def pad(x, before: int, after: int, value: float = 0.0):
    """Constant slices before and after a folded feature map."""
    if before == 0 and after == 0:
        return x
    return ops.pad(x, ((before, after), (0, 0), (0, 0), (0, 0)), constant_values=value if value else None)


def shifted(x, start: int, count: int, step: int = 1):
    """Slices start, start + step, ... (``count`` of them); those outside the feature map are zero."""
    last = start + (count - 1) * step
    if step > 1 and (start < 0 or last >= x.shape[0]):
        before, after = max(-start, 0), max(last + 1 - x.shape[0], 0)
        return take(pad(x, before, after), start + before, last + before + 1, step)
    lo, hi = max(start, 0), min(last + 1, x.shape[0])
    if hi <= lo:
        return ops.zeros((count, *x.shape[1:]))
    return pad(take(x, lo, hi, step), lo - start, last + 1 - hi if step == 1 else 0)


def windows(x, kernel: int, stride: int, dilation: int, padding: str) -> list:
    """The ``kernel`` depth-shifted copies that a 3D window of that depth sees, each (out_depth, h, w, c)."""
    size = x.shape[0]
    if padding == "same":
        before, _ = same_padding(size, kernel, stride, dilation)
        count = -(-size // stride)
    else:
        before, count = 0, (size - (kernel - 1) * dilation - 1) // stride + 1
    return [shifted(x, i * dilation - before, count, stride) for i in range(kernel)]


def interleave(parts: list):
    """Slice q of part r becomes slice q * len(parts) + r: joined along height, then read as slices.

    In row-major order the height axis follows the depth axis, so the join and the reshape are the interleaving and no
    five-dimensional tensor appears.
    """
    if len(parts) == 1:
        return parts[0]
    depth, height, width, channels = parts[0].shape
    return ops.reshape(ops.concatenate(parts, axis=1), (depth * len(parts), height, width, channels))
