"""Rules for pooling, padding and cropping."""

from keras import layers, ops

from export.rewrite.registry import rule

_KINDS = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


@rule(layers.MaxPooling3D)
def max_pooling_3d(layer, args, kwargs, emission):
    """MaxPooling3D: MaxPooling2D in the plane, then the maximum over slices."""
    return pool(args[0], "max", layer.pool_size, layer.strides, layer.padding)


@rule(layers.AveragePooling3D)
def average_pooling_3d(layer, args, kwargs, emission):
    """AveragePooling3D: AveragePooling2D in the plane, then the mean over slices."""
    return pool(args[0], "average", layer.pool_size, layer.strides, layer.padding)


def pool(x, kind: str, size, strides, padding: str):
    """3D pooling of a folded feature map: in the plane, then along depth.

    A "same" window that the border clips is still a box, so the mean over it, which counts only voxels inside, is the
    mean along depth of the means in the plane.

    Args:
        x: (depth, height, width, channels).
        kind: "max" or "average".
        size: window per axis.
        strides: per axis.
        padding: "same" or "valid".
    """
    (kd, kh, kw), (sd, sh, sw) = size, strides
    if (kh, kw, sh, sw) != (1, 1, 1, 1):
        x = _pool2d(x, kind, (kh, kw), (sh, sw), padding)
    return _pool_depth(x, kind, kd, sd, padding)


def _pool2d(x, kind, size, strides, padding):
    return _KINDS[kind](size, strides=strides, padding=padding, dtype="float32")(x)


def _pool_depth(x, kind, kernel, stride, padding):
    """Pool along depth by a 2D pool over an image of depth rows and height × width columns."""
    if (kernel, stride) == (1, 1):
        return x
    size, height, width, channels = x.shape
    if kernel == stride and size % stride == 0:
        # one image a window: a runtime pools it without a stride along the long axis
        x = ops.reshape(x, (size // stride, stride, height * width, channels))
        y = _pool2d(x, kind, (kernel, 1), (kernel, 1), "valid")
        return ops.reshape(y, (size // stride, height, width, channels))
    y = _pool2d(ops.reshape(x, (1, size, height * width, channels)), kind, (kernel, 1), (stride, 1), padding)
    return ops.reshape(y, (y.shape[1], height, width, channels))


def _whole(x):
    """A folded feature map as one image, for pooling over all of it."""
    size, height, width, channels = x.shape
    return ops.reshape(x, (1, size * height, width, channels))


@rule(layers.GlobalAveragePooling3D)
def global_average_pooling_3d(layer, args, kwargs, emission):
    """GlobalAveragePooling3D over depth, height and width; (1, channels), or (1, 1, 1, channels) with keepdims."""
    return ops.mean(_whole(args[0]), axis=(1, 2), keepdims=layer.keepdims)


@rule(layers.GlobalMaxPooling3D)
def global_max_pooling_3d(layer, args, kwargs, emission):
    """GlobalMaxPooling3D over depth, height and width; (1, channels), or (1, 1, 1, channels) with keepdims."""
    return ops.max(_whole(args[0]), axis=(1, 2), keepdims=layer.keepdims)


@rule(layers.AdaptiveAveragePooling3D)
def adaptive_average_pooling_3d(layer, args, kwargs, emission):
    """AdaptiveAveragePooling3D, axis by axis."""
    return _adaptive(args[0], ops.mean, layer.output_size)


@rule(layers.AdaptiveMaxPooling3D)
def adaptive_max_pooling_3d(layer, args, kwargs, emission):
    """AdaptiveMaxPooling3D, axis by axis."""
    return _adaptive(args[0], ops.max, layer.output_size)


def _adaptive(x, reduce, sizes):
    """Output i of n along an axis is the pool of inputs floor(i × size / n) to ceil((i + 1) × size / n)."""
    for axis, count in enumerate(sizes):
        size = x.shape[axis]
        if count == size:
            continue
        parts = []
        for i in range(count):
            start, stop = i * size // count, -(-(i + 1) * size // count)
            place = [slice(None)] * axis + [slice(start, stop)]
            parts.append(reduce(x[tuple(place)], axis=axis, keepdims=True))
        x = parts[0] if count == 1 else ops.concatenate(parts, axis=axis)
    return x


@rule(layers.ZeroPadding3D)
def zero_padding_3d(layer, args, kwargs, emission):
    """ZeroPadding3D."""
    return pad(args[0], layer.padding)


def pad(x, padding):
    """Zeros (before, after) along depth, height and width of a folded feature map."""
    return ops.pad(x, (*(tuple(pair) for pair in padding), (0, 0))) if any(map(any, padding)) else x


@rule(layers.Cropping3D)
def cropping_3d(layer, args, kwargs, emission):
    """Cropping3D."""
    x = args[0]
    start = [pair[0] for pair in layer.cropping]
    size = [n - sum(pair) for n, pair in zip(x.shape[:3], layer.cropping, strict=True)]
    if min(size) < 1:
        raise ValueError(f"crops {layer.cropping} from a feature map of {tuple(x.shape[:3])}")
    return ops.slice(x, (*start, 0), (*size, x.shape[-1]))
