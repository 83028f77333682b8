"""Slices and transpositions of any rank by a few axes, since runtimes have kernels for no more than four to six."""

import math

from keras import ops


def transpose(x, order):
    """``ops.transpose`` as steps of four axes at most; each brings a run of axes to its place.

    Args:
        x: tensor of fixed shape.
        order: for each axis of the result the axis of ``x``.
    """
    current, target = list(range(len(x.shape))), [axis % len(x.shape) for axis in order]
    sizes = tuple(x.shape)
    for place in range(len(target)):
        start = current.index(target[place])
        if start == place:
            continue
        stop = start + 1
        while stop < len(current) and current[stop] == target[place + stop - start]:
            stop += 1
        parts = [current[:place], current[place:start], current[start:stop], current[stop:]]
        x = ops.transpose(ops.reshape(x, [math.prod(sizes[axis] for axis in part) for part in parts]), (0, 2, 1, 3))
        current = parts[0] + parts[2] + parts[1] + parts[3]
    return ops.reshape(x, [sizes[axis] for axis in target])


def get_item(x, shape, key):
    """``x[key]`` for a tensor ``x`` that has the values of one of ``shape``, with the axes left whole joined.

    Args:
        x: tensor of as many values as ``shape``.
        shape: that the key is for.
        key: integers, slices, None and Ellipsis.

    Returns:
        (the tensor, flat or in any shape of the same values; its shape), or None for other keys.
    """
    selected = _by_axis(key if isinstance(key, tuple | list) else (key,), len(shape))
    if selected is None:
        return None
    merged, slices, result, axis = [], [], [], 0
    for index in selected:
        if index is None:
            result.append(1)
            continue
        size, axis = shape[axis], axis + 1
        if isinstance(index, int):
            index = index % size
            merged, slices = [*merged, size], [*slices, slice(index, index + 1)]
            continue
        result.append(len(range(*index.indices(size))))
        whole = index.indices(size) == (0, size, 1)
        if whole and slices and slices[-1] == slice(None):
            merged[-1] *= size
        else:
            merged, slices = [*merged, size], [*slices, slice(None) if whole else index]
    if any(index != slice(None) for index in slices):
        x = ops.reshape(x, merged)[tuple(slices)]
    return x, tuple(result)


def _by_axis(key, rank):
    """The key with its Ellipsis written out, or None if it holds more than integers, slices and None."""
    if not all(index is None or index is Ellipsis or isinstance(index, int | slice) for index in key):
        return None
    taken = sum(index is not None and index is not Ellipsis for index in key)
    if not any(index is Ellipsis for index in key):
        key = (*key, Ellipsis)
    spread = []
    for index in key:
        spread += [slice(None)] * (rank - taken) if index is Ellipsis else [index]
    return spread
