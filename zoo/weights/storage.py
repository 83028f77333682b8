"""Weights in an ``.npz`` file: half precision, or kernels in int8.

``float16``: an array a weight, named by its path. ``int8``: kernels with several output channels as
``<path>:int8`` and ``<path>:scale``, a float32 scale for each index of the last axis; everything else as float16.
"""

from pathlib import Path

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
        OSError, ValueError: as ``numpy.load`` does.
    """
    import numpy as np

    with np.load(Path(path)) as archive:
        stored = {name: archive[name] for name in archive.files}
    found = {}
    for name, values in stored.items():
        path, _, part = name.partition(":")
        if part == "int8":
            found[path] = values * stored[f"{path}:scale"]
        elif not part:
            found[path] = values
    return found


def _integers(name, values):
    import numpy as np

    step = np.abs(values).max(axis=tuple(range(values.ndim - 1))) / 127
    whole = np.round(values / np.where(step > 0, step, 1))
    return {f"{name}:int8": whole.astype("int8"), f"{name}:scale": step}
