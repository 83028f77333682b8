"""The two runtimes behind one call: a patch of real numbers in, logits out.

The runtimes are imported when a model is opened. Whatever the file stores (int8, uint8, float), callers see float32.
Threads may share an opened model. LiteRT then computes one patch at a time, ONNX Runtime several at once; who wants
LiteRT to compute several at once opens the model once for each thread.
"""

import math
import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from edge.manifest import Manifest, Tensor
from edge.onnx_file import external_tensor
from medseg.archives import read_gzip
from medseg.errors import InputError, UsageError
from medseg.limits import check_bytes, max_bytes
from medseg.untrusted import check_regular, read_limited


class Runner(Protocol):
    """An opened model, which several threads may call at the same time."""

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""


def open_runner(model, manifest: Manifest, threads: int = 2) -> Runner:
    """Open a model file with the runtime that its format asks for.

    Args:
        model: path of the model file.
        manifest: its manifest.
        threads: processor threads that the runtime may use.

    Returns:
        A runner.

    Raises:
        InputError: if the runtime is not installed, cannot load the file, or the file's tensors are not those of the
            manifest.
        UsageError: if ``threads`` is not a positive integer.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise UsageError(f"threads {threads!r}: accepted is a whole number of at least 1")
    kind = OnnxRunner if manifest.format.startswith("onnx-") else LiteRTRunner
    return kind(Path(model), manifest, threads)


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


class LiteRTRunner:
    """A .tflite file on LiteRT with its XNNPACK kernels; compressed by gzip if its name ends in .gz."""

    def __init__(self, model: Path, manifest: Manifest, threads: int):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise InputError(
                f"{model}: needs LiteRT, which cannot be imported ({error}); pip install ai-edge-litert"
            ) from None
        try:
            self._interpreter = Interpreter(**_lite_rt_model(model), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise _not_loaded(model, "LiteRT", error) from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _check_tensors(model, manifest, *([(d["shape"], np.dtype(d["dtype"])) for d in ds] for ds in (inputs, outputs)))
        for which, tensor, (scale, zero_point) in (
            ("input", manifest.input, inputs[0]["quantization"]),
            ("output", manifest.output, outputs[0]["quantization"]),
        ):
            if not math.isclose(scale, tensor.scale, rel_tol=1e-5) or zero_point != tensor.zero_point:
                raise InputError(
                    f"{model}: {which} with scale {scale:g} and zero point {zero_point}, the manifest says "
                    f"{tensor.scale:g} and {tensor.zero_point}; export it again"
                )
        self._manifest = manifest
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._one_at_a_time = threading.Lock()

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        values = _stored(patch, self._manifest)
        try:
            # An interpreter has one input and one output tensor, and its invocation lets other Python threads run.
            with self._one_at_a_time:
                self._interpreter.set_tensor(self._input, values)
                self._interpreter.invoke()
                stored = self._interpreter.get_tensor(self._output)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise _not_run(self._manifest, "LiteRT", error) from None
        return _logits(stored, self._manifest)


class OnnxRunner:
    """An .onnx file on ONNX Runtime's processor kernels; its sessions are made for calls from several threads."""

    def __init__(self, model: Path, manifest: Manifest, threads: int):
        try:
            import onnxruntime
        except ImportError:
            raise InputError(
                f'{model}: needs ONNX Runtime, which is not installed; pip install "medseg-zoo[onnx]"'
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Else its threads go on spinning for tens of milliseconds after a run, at the cost of whatever runs next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        content = _onnx_model(model)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors share no base class but Exception
            raise _not_loaded(model, "ONNX Runtime", error) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_tensors(model, manifest, *([(d.shape, _onnx_dtype(d.type)) for d in ds] for ds in (inputs, outputs)))
        self._manifest = manifest
        self._input, self._output = inputs[0].name, outputs[0].name

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        stored = _stored(patch, self._manifest)
        try:
            (scores,) = self._session.run([self._output], {self._input: stored})
        except Exception as error:  # onnxruntime's own errors share no base class but Exception
            raise _not_run(self._manifest, "ONNX Runtime", error) from None
        if scores.shape != self._manifest.output.shape:
            raise InputError(
                f"{self._manifest.name}: the network answers with shape {scores.shape}, the manifest says "
                f"{self._manifest.output.shape}; export it again"
            )
        return _logits(scores, self._manifest)


def _stored(patch, manifest):
    """A patch as the input tensor: quantised, in the file's layout, which holds its values in the same order."""
    expected = (*manifest.patch, manifest.recipe.channels)
    if patch.shape != expected:
        raise InputError(f"patch of shape {patch.shape}: {manifest.name} takes {expected}")
    return quantise(patch, manifest.input).reshape(manifest.input.shape)


def _logits(stored, manifest):
    if manifest.form:
        stored = stored.reshape(*manifest.patch, -1)
    elif not manifest.folded:
        stored = stored[0]
    return dequantise(stored, manifest.output)


def _lite_rt_model(model):
    """How LiteRT is told the model: a plain file by its path, which it maps, a compressed one by its contents."""
    if model.suffix == ".gz":
        return {"model_content": read_gzip(model)}
    check_regular(model)
    check_bytes(model, model.stat().st_size, "the model")
    return {"model_path": str(model)}


def _onnx_model(model) -> bytes:
    """The content of an ONNX file, all of which the manifest's checksum covers."""
    content = read_limited(model, max_bytes(), "a model")
    try:
        name = external_tensor(content)
    except ValueError as error:
        raise _not_loaded(model, "ONNX Runtime", error) from None
    if name is not None:
        raise InputError(
            f"{model}: keeps the values of {name!r} in another file, which no checksum covers; save it as one file: "
            "onnx.save(model, path, save_as_external_data=False)"
        )
    return content


def _check_tensors(model, manifest, inputs, outputs):
    """Require one input and one output of the manifest's shape and type; a dimension without a number may be any."""
    for which, found, tensor in (("input", inputs, manifest.input), ("output", outputs, manifest.output)):
        if len(found) != 1:
            raise InputError(f"{model}: {len(found)} {which} tensors, accepted is 1; export it again")
        shape, dtype = found[0]
        same = len(shape) == len(tensor.shape) and all(
            not isinstance(n, int | np.integer) or n == m for n, m in zip(shape, tensor.shape, strict=True)
        )
        if not same or dtype != np.dtype(tensor.dtype):
            shape = tuple(int(n) if isinstance(n, int | np.integer) else "any" for n in shape)
            raise InputError(
                f"{model}: {which} of shape {shape} and type {dtype}, the manifest says {tensor.shape} and "
                f"{tensor.dtype}; export it again"
            )


def _onnx_dtype(name):
    """NumPy's type for one of ONNX Runtime's, such as "tensor(uint8)"."""
    inner = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(inner, inner))


def _not_run(manifest, runtime, error):
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return InputError(f"{manifest.name}: {runtime} cannot run it ({reason[:200]}); export it again")


def _not_loaded(model, runtime, error):
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return InputError(f"{model}: {runtime} cannot load it ({reason}); export it again")
