"""What a model file holds, read before Keras sees it: its configuration, and how many numbers its weights are."""

import contextlib
import io
import os
import zipfile
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from medseg.archives import check_zip
from medseg.errors import InputError
from medseg.limits import check_bytes
from medseg.untrusted import MAX_JSON_BYTES, check_regular, open_regular, parse_json, shown
from zoo.legacy.allowed import check_classes, layers_of
from zoo.legacy.errors import LoadError
from zoo.legacy.saved_model_metadata import root_entry

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
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


@dataclass(frozen=True)
class Contents:
    """What was read of a model file.

    Attributes:
        config: of the model, empty where the file holds none.
        numbers: how many the arrays in the file hold together.
        version: of the Keras that wrote it; None if the file does not say.
    """

    config: dict = field(default_factory=dict)
    numbers: int = 0
    version: str | None = None


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
        contents = _of_archive(path) if path.suffix == ".keras" else _of_hdf5(path)
        check_config(contents.config, contents.numbers, custom_objects)
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
        check_config(config, size, custom_objects)  # a number has a byte at least
    return Contents(config, size)


def check_config(config, numbers: int, custom_objects: Container[str] = ()) -> None:
    """Require a configuration to name only classes that compute, and sizes that the file's weights can have.

    Args:
        config: as JSON types.
        numbers: how many the arrays in the file hold together.
        custom_objects: names that the caller passes classes or functions for.

    Raises:
        LoadError: naming the layer.
    """
    count = layers_of(config)
    if count > MAX_CLASSES:
        raise LoadError(f"names {count} layers and their parts, expected at most {MAX_CLASSES}; is it a network?")
    _check_networks(config)
    check_classes(config, custom_objects)
    _check_sizes(config, numbers + SPARE_NUMBERS)


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


def _of_archive(path) -> Contents:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            check_zip(archive, path)
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                    raise LoadError(f"holds a file '{name[:60]}', which would lie outside; get the file again")
            config = _json_member(archive, CONFIG)
            version = _json_member(archive, METADATA).get("keras_version")
            numbers = _numbers(archive, path) if WEIGHTS in archive.namelist() else 0
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        # What a zip file can be beside damaged: without a member, of an unknown compression, or encrypted.
        raise LoadError(f"not readable as a Keras archive ({_first_line(error)}); is it whole?") from None
    except ValueError as error:
        if isinstance(error, InputError | LoadError):
            raise
        raise LoadError(f"not readable as a Keras archive ({_first_line(error)}); is it whole?") from None
    return Contents(config, numbers, version if isinstance(version, str) else None)


def _json_member(archive, name) -> dict:
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise LoadError(f"its {name} has {archive.getinfo(name).file_size} bytes, expected at most {MAX_JSON_BYTES}")
    data = parse_json(archive.read(name), name)
    if not isinstance(data, dict):
        raise LoadError(f"its {name} holds no object; is it whole?")
    return data


def _numbers(archive, path) -> int:
    member = archive.getinfo(WEIGHTS)
    with archive.open(member) as weights:
        # Stored as it is, which Keras does, the member can be read from any place; else it is unpacked first.
        content = weights if member.compress_type == zipfile.ZIP_STORED else io.BytesIO(weights.read())
        return _hdf5(content, f"{path}: {WEIGHTS}", member.file_size)[0]


def _of_hdf5(path) -> Contents:
    numbers, attributes = _hdf5(path, path, os.path.getsize(path))
    config = parse_json(attributes["model_config"], "model_config") if "model_config" in attributes else {}
    if not isinstance(config, dict):
        raise LoadError("its model_config holds no object; is it whole?")
    training = attributes.get("training_config")
    if training is not None:
        config = {**config, "training_config": parse_json(training, "training_config")}
    return Contents(config, numbers, attributes.get("keras_version"))


def _hdf5(content, name, size) -> tuple[int, dict[str, str]]:
    """How many numbers the file holds, and its attributes that are text."""
    import h5py

    from zoo.legacy.hdf5_check import check_hdf5

    try:
        with h5py.File(content, "r") as file:
            numbers = check_hdf5(file, name, size)
            return numbers, {key: _text(file.attrs, key) for key in file.attrs if _is_text(file.attrs, key)}
    except (InputError, LoadError):
        raise
    except Exception as error:  # what a damaged file makes h5py raise is of many types
        raise LoadError(f"not readable as HDF5 ({_first_line(error)}); is it whole?") from None


def _is_text(attributes, key) -> bool:
    attribute = attributes.get_id(key)
    return attribute.shape == () and attribute.dtype.kind in "OS" and attribute.get_storage_size() <= MAX_JSON_BYTES


def _text(attributes, key) -> str:
    value = attributes[key]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


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


def _check_sizes(config, numbers) -> None:
    """A layer of so many units has at least as many weights."""
    waiting = [config]
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


def _first_line(error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
