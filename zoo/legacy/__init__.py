"""Open saved models of Keras 3 and of Keras 2, also those with layers and losses of tensorflow-addons."""

import re
import warnings
from pathlib import Path

from zoo.legacy.errors import LoadError

__all__ = ["LoadError", "load"]

_ACCEPTED = "accepted are a .keras file, a Keras .h5 (.hdf5) file and a SavedModel folder"


def load(path, custom_objects: dict | None = None):
    """Open a saved model as a Keras 3 model that predicts the same.

    Files of Keras 2 are rebuilt layer by layer: ``Addons>InstanceNormalization`` and ``Addons>GroupNormalization``
    become ``keras.layers.GroupNormalization``, the scale of ``Addons>WeightNormalization`` is folded into the kernel
    of the layer that it wrapped, and simple TensorFlow operators become layers. The model is compiled as it was where
    Keras 3 can do that; what had to be mapped or left out is told in a warning. A SavedModel needs TensorFlow.

    Args:
        path: a ``.keras`` or ``.h5`` file, or a SavedModel folder.
        custom_objects: Keras 3 classes (or functions) by the names in the file, for layers that Keras does not have.

    Returns:
        A ``keras.Model`` of Keras 3 layers.

    Raises:
        LoadError: if there is no such file, or it cannot be opened; the message names the layer and the mend.

    Example:
        model = zoo.load("unet_2021.h5")
    """
    path = Path(path)
    if not path.exists():
        raise LoadError(f"{path}: no such file; {_ACCEPTED}")
    try:
        return _open(path, dict(custom_objects or {}))
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from error


def _open(path: Path, custom_objects: dict):
    import keras

    from zoo.legacy.archive import archive_version, read_archive
    from zoo.legacy.hdf5 import hdf5_version, read_hdf5
    from zoo.legacy.saved_model import read_saved_model

    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise LoadError(f"a folder without saved_model.pb; {_ACCEPTED}")
        read, version = read_saved_model, None
    elif path.suffix == ".keras":
        read, version = read_archive, archive_version(path)
    elif path.suffix in (".h5", ".hdf5"):
        read, version = read_hdf5, hdf5_version(path)
    else:
        raise LoadError(f"a file of kind '{path.suffix}'; {_ACCEPTED}")
    if version is not None and not version.startswith(("1.", "2.")):
        return _open_keras3(path, custom_objects)
    with keras.saving.custom_object_scope(custom_objects):
        root, training = read(path, custom_objects)
        notes = _compiled(root.layer, training, custom_objects)
    if notes:
        warnings.warn(f"{path}: {'. '.join(notes)}.", stacklevel=3)
    return root.layer


def _open_keras3(path: Path, custom_objects: dict):
    import keras

    try:
        return keras.saving.load_model(path, custom_objects=custom_objects)
    except (TypeError, ValueError, KeyError, OSError) as error:
        unknown = re.search(r"(?:Could not locate \w+|Unknown \w+:) '([^']+)'", str(error))
        if unknown is None:
            raise LoadError(f"Keras cannot open it: {error}") from error
        name = unknown[1]
        raise LoadError(
            f"holds '{name}', which Keras does not have; pass custom_objects={{'{name}': the class or function}}"
        ) from error


def _compiled(model, training: dict | None, custom_objects: dict) -> list[str]:
    from zoo.legacy.training import compile_as

    return compile_as(model, training, custom_objects) if training else []
