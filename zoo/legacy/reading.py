"""What a model file holds: its configuration, and how many numbers its weights are.

HDF5 is read by a C library that some damaged files make loop for ever or crash. It is therefore read once in a process
of its own before anybody else opens it: such a file costs that process its life, not ours.
"""

import contextlib
import io
import json
import math
import os
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from medseg.archives import check_zip
from medseg.errors import InputError
from medseg.process import code_command, environment
from medseg.untrusted import MAX_JSON_BYTES, open_regular, parse_json
from zoo.legacy.errors import LoadError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Processor time of the other process once it has started; a network of a thousand layers takes a second.
SECONDS, BYTES_A_SECOND = 3, 5 * 2**20
_CODE = "import sys; from zoo.legacy.reading import main; main(sys.argv[1])"


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


def read_archive(path) -> Contents:
    """Configuration and version of a ``.keras`` file; its weights are not read.

    Raises:
        LoadError, InputError: if the file is damaged or a bomb, or a member would lie outside.
    """
    with _archive(path) as archive:
        config = _json_member(archive, CONFIG)
        version = _json_member(archive, METADATA).get("keras_version")
    return Contents(config, 0, version if isinstance(version, str) else None)


def read_hdf5(path) -> Contents:
    """Read an ``.h5`` file, or the weights in a ``.keras`` file, whole in a process of its own.

    Returns:
        Of a ``.keras`` file how many numbers there are, of an ``.h5`` file also what its attributes say.

    Raises:
        LoadError: if the file is damaged or claims more than it holds.
    """
    command = code_command(_CODE, Path(path).absolute())
    ended = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if ended.returncode:
        raise LoadError("not readable as HDF5, the file is damaged: its reader crashed or did not come to an end")
    answer = json.loads(ended.stdout)
    if "error" in answer:
        raise LoadError(answer["error"].replace(str(Path(path).absolute()), str(path)))
    attributes = answer["attributes"]
    config = parse_json(attributes["model_config"], "model_config") if "model_config" in attributes else {}
    if not isinstance(config, dict):
        raise LoadError("its model_config holds no object; is it whole?")
    if "training_config" in attributes:
        config = {**config, "training_config": parse_json(attributes["training_config"], "training_config")}
    return Contents(config, answer["numbers"], attributes.get("keras_version"))


def main(path: str) -> None:
    """What the other process does: print what the file holds, or why that cannot be said."""
    with contextlib.suppress(ImportError):  # where there is no such limit, the file may take its time
        import resource

        seconds = math.ceil(time.process_time()) + SECONDS + os.path.getsize(path) // BYTES_A_SECOND
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        numbers, attributes = read_here(Path(path))
        answer = {"numbers": numbers, "attributes": attributes}
    except (InputError, LoadError) as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "is too large for this machine's memory"}
    except OSError as error:
        answer = {"error": f"cannot be read ({error.strerror or error})"}
    sys.stdout.write(json.dumps(answer))


def read_here(path: Path) -> tuple[int, dict[str, str]]:
    """The same in this process: how many numbers the file holds, and its attributes that are text.

    Raises:
        LoadError, InputError, MemoryError, OSError: as they come.
    """
    if path.suffix != ".keras":
        return _hdf5(path, path, path.stat().st_size)
    with _archive(path) as archive:
        if WEIGHTS not in archive.namelist():
            return 0, {}
        member = archive.getinfo(WEIGHTS)
        with archive.open(member) as weights:
            # Unpacked first, as a zip member can only be read on, and HDF5 is read to and fro.
            return _hdf5(io.BytesIO(weights.read()), f"{path}: {WEIGHTS}", member.file_size)


@contextlib.contextmanager
def _archive(path):
    """An open zip file whose members are no bombs and stay inside."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            check_zip(archive, path)
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                    raise LoadError(f"holds a file '{name[:60]}', which would lie outside; get the file again")
            yield archive
    except (InputError, LoadError):
        raise
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        # What a zip file can be beside damaged: without a member, of an unknown compression, or encrypted.
        raise LoadError(f"not readable as a Keras archive ({_first_line(error)}); is it whole?") from None


def _json_member(archive, name) -> dict:
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise LoadError(f"its {name} has {archive.getinfo(name).file_size} bytes, expected at most {MAX_JSON_BYTES}")
    data = parse_json(archive.read(name), name)
    if not isinstance(data, dict):
        raise LoadError(f"its {name} holds no object; is it whole?")
    return data


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
    from zoo.legacy.hdf5_check import attribute_bytes

    attribute = attributes.get_id(key)
    return attribute.shape == () and attribute.dtype.kind in "OS" and attribute_bytes(attribute) <= MAX_JSON_BYTES


def _text(attributes, key) -> str:
    value = attributes[key]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _first_line(error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
