"""Files in which others are packed, as ``fuzz_formats`` has the plain ones: DICOM, HDF5, ``.keras`` and ``.npz``."""

import contextlib
import importlib
import io
import json
import os
import random
import resource
import traceback
import zipfile
from pathlib import Path

from fuzz_formats import Format
from fuzz_mutations import mutate_bytes, mutate_json

from medseg.errors import InputError

_SECONDS_OF_HDF5 = 2
_DICOM = (
    "CT_small", "MR_small_jp2klossless", "MR_small_RLE", "MR_small_jpeg_ls_lossless", "rtstruct", "SC_rgb_rle",
)  # fmt: skip
_LAYERS = (
    {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4]}},
    {"class_name": "Dense", "config": {"name": "y", "units": 2, "activation": "relu"}},
)
_NETWORK = {"class_name": "Sequential", "config": {"name": "net", "layers": _LAYERS}}


def dicom_seeds() -> list[bytes]:
    """Images plain and compressed, and structures, of pydicom's own test files."""
    from pydicom.data import get_testdata_file

    return [Path(get_testdata_file(f"{name}.dcm", download=False)).read_bytes() for name in _DICOM]


def _read_dicom(path):
    """As an image, else as labels."""
    importlib.import_module("pydicom.pixels")  # so that it is imported where it is watched
    from imaging.io import files

    try:
        return files.read(path)
    except InputError as error:
        if "\n" in str(error) and "choose one by --series" not in str(error):
            raise
    with contextlib.suppress(InputError):
        files.read_labels(path)
    return None


def hdf5_seeds() -> list[bytes]:
    """A Keras 2 network of one layer."""
    import h5py
    import numpy as np

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(_NETWORK)
        group = file.create_group("model_weights/y")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group["kernel"], group["bias"] = np.zeros((4, 2), "f4"), np.zeros(2, "f4")
    return [buffer.getvalue()]


def _read_hdf5(path):
    """In a fork: the C library of HDF5 loops for ever or crashes on some files, which ``zoo.load`` survives.

    A fork that was killed counts as a file that was refused. No coverage guides this reader.
    """
    from zoo.legacy.reading import read_here

    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS_OF_HDF5, _SECONDS_OF_HDF5))
        status = 0
        try:
            read_here(path)
        except Exception as error:
            if not hasattr(error, "exit_status") and not isinstance(error, OSError | MemoryError):
                traceback.print_exc()
                status = 1
        os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) > 0:
        raise RuntimeError("the reader raised what the fork has printed")


def keras_seeds() -> list[bytes]:
    """A Keras 3 archive of one layer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.13.0"}))
        file.writestr("config.json", json.dumps(_NETWORK))
        file.writestr("model.weights.h5", hdf5_seeds()[0])
    return [buffer.getvalue()]


def _read_keras(path):
    from zoo.legacy.contents import check_config, check_sizes
    from zoo.legacy.reading import read_archive

    contents = read_archive(path)
    check_config(contents.config)
    check_sizes(contents.config, 0)


def npz_seeds() -> list[bytes]:
    """Weights in half precision, and kernels in int8."""
    import numpy as np

    seeds = []
    for arrays in (
        {"y/kernel:int8": np.ones((4, 2), "i1"), "y/kernel:scale": np.ones(2, "f4")},
        {"y/kernel": np.ones((3, 3, 2), "f2"), "y/bias": np.ones(2, "f2")},
    ):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        seeds.append(buffer.getvalue())
    return seeds


def _read_npz(path):
    from zoo.weights.storage import read_arrays

    return read_arrays(path)


def mutate_zip(content: bytes, chance: random.Random) -> bytes:
    """Two thirds of the changes inside one member, which is packed anew, one third in the bytes of the archive."""
    if chance.random() < 0.33:
        return mutate_bytes(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    mutate = mutate_json if name.endswith(".json") else mutate_bytes
    members[name] = mutate(members[name], chance)
    if chance.random() < 0.1:
        members[chance.choice(("../x", "/etc/x", name + "x", ""))] = members.pop(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for each, data in members.items():
            archive.writestr(each or "x", data)
    return buffer.getvalue()


CONTAINERS = {
    "dicom": Format("a.dcm", dicom_seeds, _read_dicom, mutate_bytes),
    "h5": Format("a.h5", hdf5_seeds, _read_hdf5, mutate_bytes),
    "keras": Format("a.keras", keras_seeds, _read_keras, mutate_zip),
    "npz": Format("a.npz", npz_seeds, _read_npz, mutate_zip),
}
