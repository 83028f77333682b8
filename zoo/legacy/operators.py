"""TensorFlow operators inside Keras 2 networks (``TFOpLambda`` layers, from ``x + y`` or ``tf.concat``), as layers."""

import keras

from zoo.legacy.errors import LoadError

_ACTIVATIONS = {
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.elu": "elu",
    "nn.selu": "selu",
    "nn.silu": "silu",
    "nn.swish": "silu",
    "nn.sigmoid": "sigmoid",
    "math.sigmoid": "sigmoid",
    "sigmoid": "sigmoid",
    "nn.tanh": "tanh",
    "math.tanh": "tanh",
    "nn.softplus": "softplus",
    "math.softplus": "softplus",
}
_ADD = ("math.add", "__operators__.add")
_SUBTRACT = ("math.subtract",)
_MULTIPLY = ("math.multiply",)
_DIVIDE = ("math.truediv", "math.divide")


def operator(name: str, function: str, arguments: list, options: dict):
    """The Keras 3 layer for one call of a TensorFlow operator, and what to call it on.

    Args:
        name: name of the new layer.
        function: the operator as Keras 2 wrote it, such as "math.add".
        arguments: its positional arguments: Keras tensors, numbers or lists of tensors.
        options: its keyword arguments, likewise.

    Returns:
        ``(layer, inputs)``.

    Raises:
        LoadError: if no layer does the same.
    """
    options = {key: value for key, value in options.items() if key != "name" and value is not None}
    layer, inputs = _match(name, function, arguments, options)
    if layer is None:
        raise LoadError(
            f"layer '{name}' calls the TensorFlow operator tf.{function} (with {_shown(arguments, options)}), for "
            "which there is no Keras 3 layer here; expected + - * of two tensors or with a number, division by a "
            "number, concat, pad, image.resize, softmax and plain activations; replace it by a Keras layer in the "
            "environment that made the model"
        )
    return layer, inputs


def _match(name, function, arguments, options):
    if function in _ACTIVATIONS and not options:
        return keras.layers.Activation(_ACTIVATIONS[function], name=name), arguments[0]
    if function == "nn.softmax":
        return keras.layers.Softmax(axis=options.get("axis", -1), name=name), arguments[0]
    if function == "nn.leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=options.get("alpha", 0.2), name=name), arguments[0]
    if function == "concat":
        return keras.layers.Concatenate(axis=options.get("axis", -1), name=name), arguments[0]
    if function == "image.resize":
        return _resize(name, arguments, options)
    if function in ("pad", "compat.v1.pad"):
        return _pad(name, arguments, options)
    operands = [*arguments, *([options["y"]] if "y" in options else [])]
    if len(operands) == 2 and set(options) <= {"y"}:
        return _arithmetic(name, function, *operands)
    return None, None


def _arithmetic(name, function, x, y):
    if _is_tensor(x) and _is_tensor(y):
        merge = {
            _ADD: keras.layers.Add,
            _SUBTRACT: keras.layers.Subtract,
            _MULTIPLY: keras.layers.Multiply,
        }
        kind = next((layer for names, layer in merge.items() if function in names), None)
        return (kind(name=name), [x, y]) if kind else (None, None)
    tensor, number, number_first = (y, x, True) if _is_tensor(y) else (x, y, False)
    if not isinstance(number, int | float):
        return None, None
    if function in _ADD:
        scale, offset = 1.0, number
    elif function in _SUBTRACT:
        scale, offset = (-1.0, number) if number_first else (1.0, -number)
    elif function in _MULTIPLY:
        scale, offset = number, 0.0
    elif function in _DIVIDE and not number_first:
        scale, offset = 1.0 / number, 0.0
    else:
        return None, None
    return keras.layers.Rescaling(scale, offset, name=name), tensor


def _resize(name, arguments, options):
    size = options.pop("size", arguments[1] if len(arguments) > 1 else None)
    method = options.pop("method", "bilinear")
    plain = isinstance(size, list | tuple) and all(isinstance(s, int) for s in size)
    if not plain or method not in ("bilinear", "nearest", "bicubic") or any(options.values()):
        return None, None
    return keras.layers.Resizing(*size, interpolation=method, name=name), arguments[0]


def _pad(name, arguments, options):
    paddings = options.pop("paddings", arguments[1] if len(arguments) > 1 else None)
    if options.pop("mode", "CONSTANT") != "CONSTANT" or any(options.values()) or not isinstance(paddings, list):
        return None, None
    first, *spatial, last = paddings
    kinds = {1: keras.layers.ZeroPadding1D, 2: keras.layers.ZeroPadding2D, 3: keras.layers.ZeroPadding3D}
    if any(first) or any(last) or len(spatial) not in kinds:
        return None, None
    padding = tuple(tuple(pair) for pair in spatial)
    return kinds[len(spatial)](padding[0] if len(padding) == 1 else padding, name=name), arguments[0]


def _is_tensor(value) -> bool:
    return isinstance(value, keras.KerasTensor)


def _shown(arguments, options) -> str:
    shown = ["tensor" if _is_tensor(a) else "tensors" if isinstance(a, list) else repr(a) for a in arguments]
    shown += [f"{key}={'tensor' if _is_tensor(value) else value!r}" for key, value in options.items()]
    return ", ".join(shown) or "no arguments"
