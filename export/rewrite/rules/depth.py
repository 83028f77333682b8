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
    # Every step-th slice as a row block of longer slices: NPUs (Ethos-U) have no strided slice along the first axis.
    depth, height, width, channels = x.shape
    count = -(-(stop - start) // step)
    phase = max(start + count * step - depth, 0)
    if phase > start:
        x, phase = pad(x, 0, phase), 0
    blocks = ops.reshape(take(x, start - phase, start - phase + count * step), (count, step * height, width, channels))
    return ops.slice(blocks, (0, phase * height, 0, 0), (count, height, width, channels))


def pad(x, before: int, after: int, value: float = 0.0):
    """Constant slices before and after a folded feature map."""
    if before == 0 and after == 0:
        return x
    return ops.pad(x, ((before, after), (0, 0), (0, 0), (0, 0)), constant_values=value if value else None)


def shifted(x, start: int, count: int, step: int = 1):
    """Slices start, start + step, ... (``count`` of them), zero outside the feature map; None if all are."""
    inside = [i for i in range(count) if 0 <= start + i * step < x.shape[0]]
    if not inside:
        return None
    lo, hi = start + inside[0] * step, start + inside[-1] * step + 1
    return pad(take(x, lo, hi, step), inside[0], count - 1 - inside[-1])


def windows(x, kernel: int, stride: int, dilation: int, padding: str) -> list:
    """The ``kernel`` depth-shifted copies that a 3D window of that depth sees, each (out_depth, h, w, c) or None."""
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
