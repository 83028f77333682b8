"""Open saved models of Keras 3 and of Keras 2, also those with layers and losses of tensorflow-addons."""

import re
import warnings
from pathlib import Path

from zoo.legacy.contents import check_file, check_saved_model
from zoo.legacy.errors import LoadError

__all__ = ["LoadError", "load"]

_EXPECTED = "expected a .keras file, a Keras .h5 (.hdf5) file or a SavedModel folder"


def load(path, custom_objects: dict | None = None, compile: bool = True):
    """Open a saved model as a Keras 3 model that predicts the same.

    The file may come from a stranger: no code in it is run, it reads no other file, and it gets no more memory than
    the weights that it holds ask for (``zoo.legacy.allowed``, ``zoo.legacy.contents``).

    Files of Keras 2 are rebuilt layer by layer: ``Addons>InstanceNormalization`` and ``Addons>GroupNormalization``
    become ``keras.layers.GroupNormalization``, the scale of ``Addons>WeightNormalization`` is folded into the kernel
    of the layer that it wrapped, and simple TensorFlow operators become layers. The model is compiled as it was where
    Keras 3 can do that; what had to be mapped or left out is told in a warning. A SavedModel needs TensorFlow.

    Args:
        path: a ``.keras`` or ``.h5`` file, or a SavedModel folder.
        custom_objects: Keras 3 classes (or functions) by the names in the file, for layers that Keras does not have.
        compile: restore loss, optimizer and metrics where Keras 3 can.

    Returns:
        A ``keras.Model`` of Keras 3 layers.

    Raises:
        LoadError: if there is no such file, it names a class that does more than compute, claims more than it holds or
            cannot be opened; the message names the layer and the mend.

    Example:
        model = zoo.load("unet_2021.h5")
    """
    path = Path(path)
    if not path.exists():
        raise LoadError(f"{path}: no such file; {_EXPECTED}")
    try:
        return _open(path, dict(custom_objects or {}), compile)
    except LoadError as error:
        raise LoadError(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}") from error


def _open(path: Path, custom_objects: dict, compile: bool):
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise LoadError(f"a folder without saved_model.pb; {_EXPECTED}")
        contents = check_saved_model(path, custom_objects)
    elif path.suffix in (".keras", ".h5", ".hdf5"):
        contents = check_file(path, custom_objects)
    else:
        raise LoadError(f"a file of kind '{path.suffix}'; {_EXPECTED}")
    if not contents.config:
        raise LoadError(
            "holds weights without a network; build the network in Keras 3 and call its load_weights with this file"
        )
    # Until here the file has been looked at without Keras, which takes seconds to import.
    from zoo.legacy.budget import weights_within

    with weights_within(contents.numbers):
        if contents.version is not None and not contents.version.startswith(("1.", "2.")):
            return _open_keras3(path, custom_objects, compile)
        return _rebuilt(path, custom_objects, compile)


def _rebuilt(path: Path, custom_objects: dict, compile: bool):
    """A model of Keras 2."""
    import keras

    from zoo.legacy.archive import read_archive
    from zoo.legacy.hdf5 import read_hdf5
    from zoo.legacy.saved_model import read_saved_model

    read = read_saved_model if path.is_dir() else read_archive if path.suffix == ".keras" else read_hdf5
    try:
        with keras.saving.custom_object_scope(custom_objects):
            root, training = read(path, custom_objects)
            notes = _compiled(root.layer, training if compile else None, custom_objects)
    except LoadError:
        raise
    except Exception as error:  # what a damaged configuration makes of layers and their weights is of many types
        raise LoadError(
            f"its network cannot be rebuilt, the file is damaged ({type(error).__name__}: {_first_line(error)})"
        ) from error
    if notes:
        warnings.warn(f"{path}: {'. '.join(notes)}.", stacklevel=4)
    return root.layer


def _open_keras3(path: Path, custom_objects: dict, compile: bool):
    import keras

    import zoo.models  # noqa: F401  (registers the layers that a saved network may hold)

    try:
        return keras.saving.load_model(path, custom_objects=custom_objects, compile=compile, safe_mode=True)
    except LoadError:
        raise
    except Exception as error:  # what a damaged configuration makes Keras raise is of many types
        unknown = re.search(r"(?:Could not locate \w+|Unknown \w+:) '([^']+)'", str(error))
        if unknown is None:
            raise LoadError(f"Keras cannot open it: {_first_line(error)}") from error
        name = unknown[1]
        raise LoadError(
            f"holds '{name}', which Keras does not have; pass custom_objects={{'{name}': the class or function}}"
        ) from error


def _first_line(error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _compiled(model, training: dict | None, custom_objects: dict) -> list[str]:
    from zoo.legacy.training import compile_as

    return compile_as(model, training, custom_objects) if training else []
