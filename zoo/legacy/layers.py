"""One layer of a Keras 2 configuration, as a Keras 3 layer."""

import inspect

import keras

from zoo.legacy.allowed import LAYERS, REFUSED, refused
from zoo.legacy.errors import LoadError

# Arguments that Keras 2 wrote and Keras 3 does not take, with the values at which they change nothing (None: any).
_WITHOUT_EFFECT = {
    "groups": (1,),  # of transposed, depthwise and separable convolutions
    "kernel_initializer": None,  # of depthwise and separable convolutions, which have their own; used before training
    "kernel_regularizer": (None,),
    "kernel_constraint": (None,),
    "noise_shape": (None,),
    "fused": None,
    "renorm": (False, None),
    "renorm_clipping": None,
    "renorm_momentum": None,
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "batch_input_shape": None,
    "autocast": (True, None),
    "ragged": (False, None),
    "implementation": None,
    "time_major": (False,),
    "query_shape": None,  # of attention: what it was built for
    "key_shape": None,
    "value_shape": None,
}
_RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
_NORMALISATIONS = ("Addons>InstanceNormalization", "Addons>GroupNormalization")
_ACTIVATIONS = {
    "Addons>mish": "mish",
    "Addons>tanhshrink": "tanh_shrink",
    "Addons>hardshrink": "hard_shrink",
    "Addons>softshrink": "soft_shrink",
}
WEIGHT_NORMALIZATION = "Addons>WeightNormalization"


def make_layer(kind: str, config: dict, custom_objects: dict):
    """Build a layer from its Keras 2 class name and configuration.

    ``Addons>InstanceNormalization`` and ``Addons>GroupNormalization`` become ``keras.layers.GroupNormalization``, which
    is defined alike.

    Args:
        kind: class name, with its package if it was registered (``"Addons>GroupNormalization"``).
        config: its configuration, as JSON types.
        custom_objects: classes of the user's, by class name; they go first and get their configuration as it is.

    Returns:
        A ``keras.layers.Layer``.

    Raises:
        LoadError: for an unknown class, or an argument that Keras 3 does not have and that would change the result.
    """
    name = config.get("name", kind)
    custom = keras.saving.get_registered_object(kind, custom_objects)
    if custom is not None:
        return custom.from_config(dict(config))
    config = plain(config)
    if kind in _NORMALISATIONS:
        if kind.endswith("InstanceNormalization"):
            config["groups"] = -1
        kind = "GroupNormalization"
    if kind in REFUSED:
        raise refused(name, kind)
    cls = getattr(keras.layers, kind, None) if kind in LAYERS else None
    if cls is None:
        raise LoadError(
            f"layer '{name}' is of class '{kind}', which Keras 3 does not have; pass "
            f"custom_objects={{'{kind}': a Keras 3 layer class that takes the same configuration}}"
        )
    trainable = config.pop("trainable", True)
    if "layer" in config:  # TimeDistributed, Bidirectional
        config["layer"] = make_layer(kind_of(config["layer"]), config["layer"]["config"], custom_objects)
    try:
        layer = cls(**_accepted(cls, kind, name, config))
    except (TypeError, ValueError) as error:
        raise LoadError(f"layer '{name}' of class '{kind}' cannot be built by Keras 3: {error}") from error
    layer.trainable = trainable
    return layer


def kind_of(entry: dict) -> str:
    """The class name of a layer entry; Keras 2.13 and later keep the registered name beside it."""
    return entry.get("registered_name") or entry["class_name"]


def plain(value):
    """``value`` with Keras 2's wrappings undone: encoded tuples, dtype policies, the dtype of initializers."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return _ACTIVATIONS.get(value, value)
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__tuple__":
        return [plain(item) for item in value["items"]]
    if value.get("class_name") == "TensorShape":
        return plain(value["items"])
    if value.get("class_name") in ("Policy", "PolicyV1", "DTypePolicy"):
        return value["config"]["name"]
    entries = {key: plain(item) for key, item in value.items()}
    known = getattr(keras.initializers, str(entries.get("class_name")), None)
    if known is not None and isinstance(entries.get("config"), dict):
        entries["config"].pop("dtype", None)  # TensorFlow 1 wrote it; the layer's own decides
    return entries


def _accepted(cls, kind: str, name: str, config: dict) -> dict:
    arguments = _arguments(cls)
    accepted = {}
    for key, value in config.items():
        key = _RENAMED.get((kind, key), key)
        if key == "axis" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        if key in arguments:
            accepted[key] = value
        elif key not in _WITHOUT_EFFECT or (_WITHOUT_EFFECT[key] is not None and value not in _WITHOUT_EFFECT[key]):
            raise LoadError(
                f"layer '{name}' of class '{kind}' has {key}={value!r}, which Keras 3 cannot do; pass "
                f"custom_objects={{'{kind}': a Keras 3 layer class that can}}"
            )
    return accepted


def _arguments(cls) -> set[str]:
    """What the constructor takes, and those of its bases as long as it passes keyword arguments on to them."""
    names = set()
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        names |= set(parameters)
        if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters.values()) or base is keras.layers.Layer:
            break
    return names - {"self", "args", "kwargs"}
