"""Rules for pooling."""

from keras import layers, ops

from export.rewrite.graph import RewriteError, rule


def _pool2d(kind, x, size, strides, padding):
    return kind(size, strides=strides, padding=padding, dtype="float32")(x)


@rule(layers.MaxPooling3D)
def max_pooling_3d(layer, args, kwargs, emission):
    """MaxPooling3D: MaxPooling2D in the plane, then the maximum over slices."""
    (kd, kh, kw), (sd, sh, sw) = layer.pool_size, layer.strides
    y = _pool2d(layers.MaxPooling2D, args[0], (kh, kw), (sh, sw), layer.padding)
    return _pool_depth(y, kd, sd, layer.padding, layers.MaxPooling2D)


@rule(layers.AveragePooling3D)
def average_pooling_3d(layer, args, kwargs, emission):
    """AveragePooling3D: AveragePooling2D in the plane, then the mean over slices."""
    (kd, kh, kw), (sd, sh, sw) = layer.pool_size, layer.strides
    y = _pool2d(layers.AveragePooling2D, args[0], (kh, kw), (sh, sw), layer.padding)
    return _pool_depth(y, kd, sd, layer.padding, layers.AveragePooling2D)


def _pool_depth(x, kernel, stride, padding, kind):
    """Pool along depth by a 2D pool over an image of depth rows and height × width columns."""
    if (kernel, stride) == (1, 1):
        return x
    size, height, width, channels = x.shape
    if kernel == stride and size % stride == 0:
        # one image a window: a runtime pools it without a stride along the long axis
        x = ops.reshape(x, (size // stride, stride, height * width, channels))
        y = _pool2d(kind, x, (kernel, 1), (kernel, 1), "valid")
        return ops.reshape(y, (size // stride, height, width, channels))
    x = ops.reshape(x, (1, size, height * width, channels))
    y = _pool2d(kind, x, (kernel, 1), (stride, 1), padding)
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


@rule(layers.ZeroPadding3D)
def zero_padding_3d(layer, args, kwargs, emission):
    """ZeroPadding3D."""
    return ops.pad(args[0], (*(tuple(pair) for pair in layer.padding), (0, 0)))


@rule(layers.Cropping3D)
def cropping_3d(layer, args, kwargs, emission):
    """Cropping3D."""
    x = args[0]
    start = [pair[0] for pair in layer.cropping]
    size = [n - sum(pair) for n, pair in zip(x.shape[:3], layer.cropping, strict=True)]
    if min(size) < 1:
        raise RewriteError(f"layer {layer.name}: crops {layer.cropping} from a feature map of {tuple(x.shape[:3])}")
    return ops.slice(x, (*start, 0), (*size, x.shape[-1]))
