"""A patch of real numbers as the tensors of a model file, and its answer as logits; what every runtime shares."""

import numpy as np

from edge.manifest import Manifest, Tensor
from medseg.errors import InputError


def quantise(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Real numbers as the tensor stores them: ``round(x / scale) + zero_point``, held within the type's range.

    Args:
        values: float32, any shape.
        tensor: how they are stored.
    """
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    stored = values * np.float32(1 / tensor.scale)
    np.rint(stored, out=stored)
    stored += tensor.zero_point
    np.clip(stored, limits.min, limits.max, out=stored)
    return stored.astype(dtype)


def dequantise(stored: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What the tensor stores as real numbers, float32: ``(q - zero_point) * scale``."""
    if stored.dtype.kind == "f":
        return stored.astype(np.float32, copy=False)
    values = np.subtract(stored, tensor.zero_point, dtype=np.float32)
    values *= np.float32(tensor.scale)
    return values


def as_stored(patch: np.ndarray, manifest: Manifest) -> np.ndarray:
    """A patch as the input tensor: quantised, in the file's layout, which holds its values in the same order."""
    expected = (*manifest.patch, manifest.recipe.patch_channels)
    if patch.shape != expected:
        raise InputError(f"patch of shape {patch.shape}: {manifest.name} takes {expected}")
    return quantise(patch, manifest.input).reshape(manifest.input.shape)


def logits(stored: np.ndarray, manifest: Manifest) -> np.ndarray:
    """What the output tensor holds as logits float32 (*patch, K)."""
    if manifest.form:
        stored = stored.reshape(*manifest.patch, -1)
    elif not manifest.folded:
        stored = stored[0]
    return dequantise(stored, manifest.output)


def check_tensors(model, manifest: Manifest, inputs, outputs) -> None:
    """Require one input and one output of the manifest's shape and type; a dimension without a number may be any."""
    for which, tensors, tensor in (("input", inputs, manifest.input), ("output", outputs, manifest.output)):
        if len(tensors) != 1:
            raise InputError(f"{model}: {len(tensors)} {which} tensors, expected 1; export it again")
        shape, dtype = tensors[0]
        same = len(shape) == len(tensor.shape) and all(
            not isinstance(n, int | np.integer) or n == m for n, m in zip(shape, tensor.shape, strict=True)
        )
        if not same or dtype != np.dtype(tensor.dtype):
            shape = tuple(int(n) if isinstance(n, int | np.integer) else "any" for n in shape)
            raise InputError(
                f"{model}: {which} of shape {shape} and type {dtype}, the manifest says {tensor.shape} and "
                f"{tensor.dtype}; export it again"
            )


def not_run(manifest: Manifest, runtime: str, error: Exception) -> InputError:
    """The error for a model that a runtime fails to run."""
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return InputError(f"{manifest.name}: {runtime} cannot run it ({reason[:200]}); export it again")


def not_loaded(model, runtime: str, error: Exception) -> InputError:
    """The error for a model file that a runtime cannot load."""
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return InputError(f"{model}: {runtime} cannot load it ({reason}); export it again")
