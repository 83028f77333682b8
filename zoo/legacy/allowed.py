"""Which classes a model file may name: those that only compute. No Keras is needed to say so.

Keras builds whatever class a configuration names. Most compute; some run a graph or code from a file (``TFSMLayer``,
``Lambda``), some read a file by its path into the model (``StringLookup``).
"""

import sys
from collections.abc import Container, Iterator

from zoo.legacy.errors import LoadError

# The classes of keras.layers that hold numbers and nothing else.
# fmt: off
LAYERS = frozenset((
    "Activation", "ActivityRegularization", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "Add",
    "AdditiveAttention", "AlphaDropout", "Attention", "Average", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D", "BatchNormalization", "Bidirectional", "CenterCrop",
    "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose",
    "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Convolution1D", "Convolution1DTranspose", "Convolution2D",
    "Convolution2DTranspose", "Convolution3D", "Convolution3DTranspose", "Cropping1D", "Cropping2D", "Cropping3D",
    "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten",
    "GRU", "GRUCell", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D",
    "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNormalization", "GroupQueryAttention", "Identity", "InputLayer", "LSTM", "LSTMCell", "LayerNormalization",
    "LeakyReLU", "Masking", "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization",
    "RNN", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation",
    "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing", "SeparableConv1D", "SeparableConv2D",
    "SeparableConvolution1D", "SeparableConvolution2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization", "StackedRNNCells", "Subtract",
    "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D",
))
# fmt: on
_LOOKUP = "reads a vocabulary from a file of this machine"
_FOREIGN = "holds the code of another framework"
# Said in so many words; any other class that is not in LAYERS is refused as well.
REFUSED = {
    "Lambda": "holds Python code, which is not run from a file",
    "TFSMLayer": "runs the graph of a SavedModel, which can read and write files",
    "StringLookup": _LOOKUP,
    "IntegerLookup": _LOOKUP,
    "TextVectorization": _LOOKUP,
    "TorchModuleWrapper": _FOREIGN,
    "JaxLayer": _FOREIGN,
    "FlaxLayer": _FOREIGN,
    "__lambda__": "holds Python code, which is not run from a file",
    "__typespec__": "names a TensorFlow type",
}
# Parts of Keras that hold no layers; "engine" was Keras 2's name for its models.
_COMPUTING_PARTS = (
    "activations", "constraints", "dtype_policies", "engine", "initializers", "losses", "metrics", "models", "ops",
    "optimizers", "quantizers", "random", "regularizers",
)  # fmt: skip
_AT_THE_TOP = ("Functional", "Sequential", "Model", "DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap")
# What is registered by these names is the zoo's own, or rebuilt here (tensorflow-addons).
_OWN_NAMES = ("medseg>", "Addons>")


def check_classes(config, custom_objects: Container[str] = ()) -> None:
    """Require every class and function that a configuration names to be one that only computes.

    Allowed are the layers in ``LAYERS``, what else Keras needs to compute and to train, the zoo's own classes, and what
    the caller has registered with Keras or passes.

    Args:
        config: of a model, as JSON types; of Keras 2 or 3.
        custom_objects: names that the caller passes classes or functions for.

    Raises:
        LoadError: naming the layer, its class and the reason.
    """
    for entry, owner in _entries(config):
        kind, module, registered = (entry.get(key) for key in ("class_name", "module", "registered_name"))
        names = [name for name in (registered, kind) if isinstance(name, str)]
        if kind == "function" and isinstance(entry.get("config"), str):
            names.append(entry["config"])
        if any(name in custom_objects or name.startswith(_OWN_NAMES) or _is_registered(name) for name in names):
            continue
        for name in names:
            plain_name = name.rpartition(">")[2]
            if plain_name in REFUSED:
                raise refused(owner, plain_name)
        if module is not None and not _computes(kind, module):
            _refuse_other(kind, module, entry, owner)


def layers_of(config) -> int:
    """How many classes a configuration names, which bounds its layers."""
    return sum(1 for _ in _entries(config))


def _entries(config) -> Iterator[tuple[dict, str]]:
    """Everything that names a class, with the name of the layer that it belongs to; without recursion."""
    waiting = [(config, "")]
    while waiting:
        value, owner = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                inner = value.get("config")
                name = value.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
                owner = name if isinstance(name, str) else owner
                yield value, owner
            waiting.extend((item, owner) for item in value.values())
        elif isinstance(value, list):
            waiting.extend((item, owner) for item in value)


def _computes(kind, module) -> bool:
    """Whether a class or function of a module of Keras only computes."""
    if not isinstance(module, str):
        return False
    if module == "builtins":  # where Keras says that a function's name suffices
        return True
    package, *parts = [part for part in module.split(".") if part != "src"]
    if package != "keras":
        return False
    if not parts:
        return kind in _AT_THE_TOP
    return kind in LAYERS if parts[0] == "layers" else parts[0] in _COMPUTING_PARTS


def _refuse_other(kind, module, entry, owner):
    name = entry["config"] if kind == "function" and isinstance(entry.get("config"), str) else kind
    if not isinstance(module, str) or module.partition(".")[0] != "keras":
        raise LoadError(
            f"holds '{name}', which Keras does not have; pass custom_objects={{'{name}': the class or function}}"
        )
    raise refused(owner, name)


def refused(owner: str, kind: str) -> LoadError:
    """The error for a layer named ``owner`` of a class that does more than compute."""
    layer = f"layer '{owner}'" if owner else "the model"
    a = "a Lambda layer: it" if kind == "Lambda" else f"of class '{kind}', which"
    return LoadError(
        f"{layer} is {a} {REFUSED.get(kind, 'does more than compute')}; replace it by a Keras layer in the environment "
        f"that made the model, or, if you trust the file, pass custom_objects={{'{kind}': the class}}"
    )


def _is_registered(name) -> bool:
    """Whether the caller has registered a class or function by that name; without Keras there is none."""
    keras = sys.modules.get("keras")
    return keras is not None and keras.saving.get_registered_object(name) is not None
