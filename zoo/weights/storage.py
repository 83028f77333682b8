"""Weights in an ``.npz`` file: half precision, or kernels in int8.

``float16``: an array a weight, named by its path. ``int8``: kernels with several output channels as
``<path>:int8`` and ``<path>:scale``, a float32 scale for each index of the last axis; everything else as float16.
"""

import math
import zipfile

from medseg.archives import check_zip
from medseg.errors import InputError
from medseg.untrusted import open_regular
from zoo.errors import ZooError, unknown

KINDS = ("float16", "int8")


def write_arrays(file, arrays: dict, kind: str = "float16") -> None:
    """Write weights to an open file.

    Args:
        file: binary file or path.
        arrays: path to float32 array.
        kind: one of ``KINDS``.

    Raises:
        ZooError: for an unknown kind or a value beyond half precision.
    """
    import numpy as np

    if kind not in KINDS:
        raise unknown("storage of weights", kind, KINDS)
    stored = {}
    for name, values in arrays.items():
        values = np.asarray(values, dtype="float32")
        if np.abs(values).max(initial=0) > np.finfo("float16").max:
            raise ZooError(f"{name}: values up to {np.abs(values).max():.3g} do not fit half precision")
        if kind == "int8" and values.ndim > 1 and values.shape[-1] > 1:
            stored |= _integers(name, values)
        else:
            stored[name] = values.astype("float16")
    np.savez_compressed(file, **stored)


def read_arrays(path) -> dict:
    """Weights of an ``.npz`` file by path, float16 or float32; ``int8`` ones are multiplied out.

    Raises:
        ZooError: if the file is damaged, holds Python objects, or claims more than it has.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            check_zip(archive, path)
            stored = {name.removesuffix(".npy"): _array(archive, name) for name in archive.namelist()}
            return _multiplied_out(stored)
    except InputError as error:
        raise ZooError(str(error)) from None
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # what a damaged file makes zipfile and NumPy raise is of many types
        raise ZooError(f"{path}: cannot be read as weights ({type(error).__name__}: {_first_line(error)})") from None


def _array(archive, name):
    """One array; NumPy makes room for what its header claims before it reads on."""
    import numpy as np

    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.kind not in "biuf":
            raise ValueError(f"{name} holds values of type {dtype}, expected numbers")
        size = archive.getinfo(name).file_size
        if math.prod(shape) * dtype.itemsize > size:
            raise ValueError(f"{name} claims shape {shape} of {dtype}, it has {size} bytes")
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _multiplied_out(stored) -> dict:
    products = {}
    for name, values in stored.items():
        path, _, part = name.partition(":")
        if part == "int8":
            scale = stored[f"{path}:scale"]
            if scale.shape != values.shape[-1:]:  # NumPy would make a table of the two, however large
                raise ValueError(f"{path}: has scales of shape {scale.shape}, expected {values.shape[-1:]}")
            products[path] = values * scale
        elif not part:
            products[path] = values
    return products


def _first_line(error) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:300]


def _integers(name, values):
    import numpy as np

    step = np.abs(values).max(axis=tuple(range(values.ndim - 1))) / 127
    whole = np.round(values / np.where(step > 0, step, 1))
    return {f"{name}:int8": whole.astype("int8"), f"{name}:scale": step}
