"""What a model file announces, checked before Keras sees it: its classes, and sizes that its weights can have."""

import contextlib
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path

from medseg.errors import InputError
from medseg.limits import check_bytes
from medseg.untrusted import check_regular, shown
from zoo.legacy.allowed import check_classes, layers_of
from zoo.legacy.errors import LoadError
from zoo.legacy.reading import Contents, read_archive, read_hdf5
from zoo.legacy.saved_model_metadata import root_entry

# Each layer that Keras builds takes some 100 KB; the largest networks of the zoo name 3,000 classes.
MAX_CLASSES = 50_000
# Numbers that a network may have beside those in its file: states of random generators, counters.
SPARE_NUMBERS = 10**6
_NETWORKS = ("Functional", "Model", "Sequential")
_SQUARED = {"num_classes"}  # of a metric that counts pairs of classes
_SIZES = {
    "depth_multiplier", "filters", "input_dim", "kernel_size", "key_dim", "num_classes", "num_heads", "num_thresholds",
    "output_dim", "units",
}  # fmt: skip


def check_file(path, custom_objects: Container[str] = ()) -> Contents:
    """Read what a ``.keras`` or ``.h5`` file announces and require that it is safe to build.

    Args:
        path: of the file.
        custom_objects: names that the caller passes classes or functions for.

    Raises:
        LoadError: if the file is damaged, names a class that does more than compute, or announces more than it holds.
    """
    path = Path(path)
    with _named(path):
        check_regular(path)
        if path.suffix == ".keras":
            archive = read_archive(path)
            check_config(archive.config, custom_objects)
            contents = replace(archive, numbers=read_hdf5(path).numbers)
        else:
            contents = read_hdf5(path)
            check_config(contents.config, custom_objects)
        check_sizes(contents.config, contents.numbers)
    return contents


def check_saved_model(folder, custom_objects: Container[str] = ()) -> Contents:
    """The same of a SavedModel folder of Keras 2.

    Args:
        folder: with ``saved_model.pb``, which is not read: the network is in ``keras_metadata.pb``.
        custom_objects: names that the caller passes classes or functions for.

    Raises:
        LoadError: as ``check_file`` does.
    """
    folder = Path(folder)
    with _named(folder):
        config, size = root_entry(folder), 0
        for path in sorted((folder / "variables").glob("*")):
            check_regular(path)
            size += path.stat().st_size
        check_bytes(folder, size, "its weights")
        check_config(config, custom_objects)
        check_sizes(config, size)  # a number has a byte at least
    return Contents(config, size)


def check_config(config, custom_objects: Container[str] = ()) -> None:
    """Require a configuration to be a network, and to name only classes that compute.

    Args:
        config: as JSON types.
        custom_objects: names that the caller passes classes or functions for.

    Raises:
        LoadError: naming the layer.
    """
    count = layers_of(config)
    if count > MAX_CLASSES:
        raise LoadError(f"names {count} layers and their parts, expected at most {MAX_CLASSES}; is it a network?")
    _check_networks(config)
    check_classes(config, custom_objects)


@contextlib.contextmanager
def _named(path) -> Iterator[None]:
    """Errors as a ``LoadError`` that names the file."""
    try:
        yield
    except (InputError, LoadError) as error:
        raise LoadError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    except MemoryError:
        raise LoadError(f"{path}: is too large for this machine's memory") from None
    except OSError as error:
        raise LoadError(f"{path}: cannot be read ({error.strerror or error})") from None


def _check_networks(config) -> None:
    """A network lists its layers, each with a class and a configuration of its own."""
    waiting = [config]
    while waiting:
        entry = waiting.pop()
        if not isinstance(entry, dict) or entry.get("class_name") not in _NETWORKS:
            continue
        inner = entry.get("config")
        layers = inner.get("layers") if isinstance(inner, dict) else inner
        if not isinstance(layers, list):
            raise LoadError(f"its network {shown(entry.get('name'))} has no list of layers, the file is damaged")
        for layer in layers:
            if not isinstance(layer, dict) or not {"class_name", "config"} <= layer.keys():
                raise LoadError(f"its layer {shown(layer)} has no class and configuration, the file is damaged")
            if entry["class_name"] != "Sequential" and not isinstance(layer.get("name"), str):
                raise LoadError(f"its layer {shown(layer)} has no name, the file is damaged")
        waiting.extend(layers)


def check_sizes(config, numbers: int) -> None:
    """Require sizes that the file's weights can have: a layer of so many units has at least as many weights.

    Args:
        config: as JSON types.
        numbers: how many the arrays in the file hold together.

    Raises:
        LoadError: naming the layer.
    """
    numbers, waiting = numbers + SPARE_NUMBERS, [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in value.keys() & _SIZES:
                if _product(value[key]) ** (2 if key in _SQUARED else 1) > numbers:
                    size = shown(value[key])
                    raise LoadError(f"{shown(value.get('name'))} has {key}={size}; the file holds fewer numbers")
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _product(value) -> int:
    if isinstance(value, list):
        product = 1
        for item in value:
            product *= max(1, _product(item))
        return product
    return value if isinstance(value, int) else 0
