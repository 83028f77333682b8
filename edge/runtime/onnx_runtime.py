"""ONNX files on ONNX Runtime."""

from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.runtime.onnx_file import external_tensor
from edge.runtime.tensors import as_stored, check_tensors, logits, not_loaded, not_run
from medseg.errors import InputError
from medseg.limits import max_bytes
from medseg.untrusted import read_limited


class OnnxRunner:
    """An .onnx file on ONNX Runtime's processor kernels; its sessions are made for calls from several threads."""

    def __init__(self, model: Path, manifest: Manifest, threads: int, content: bytes | None = None):
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
        # Processors without VNNI saturate products with weights of 8 bits: there these become uint8, which do not.
        options.add_session_config_entry("session.x64quantprecision", "1")
        content = onnx_model(model, "ONNX Runtime", content)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors share no base class but Exception
            raise not_loaded(model, "ONNX Runtime", error) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_tensors(model, manifest, *([(d.shape, _onnx_dtype(d.type)) for d in ds] for ds in (inputs, outputs)))
        self._manifest = manifest
        self._input, self._output = inputs[0].name, outputs[0].name

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        values = as_stored(patch, self._manifest)
        try:
            (scores,) = self._session.run([self._output], {self._input: values})
        except Exception as error:  # onnxruntime's own errors share no base class but Exception
            raise not_run(self._manifest, "ONNX Runtime", error) from None
        if scores.shape != self._manifest.output.shape:
            raise InputError(
                f"{self._manifest.name}: the network answers with shape {scores.shape}, the manifest says "
                f"{self._manifest.output.shape}; export it again"
            )
        return logits(scores, self._manifest)


def onnx_model(model, runtime: str, content: bytes | None = None) -> bytes:
    """The content of an ONNX file, all of which the manifest's checksum covers; None reads it."""
    if content is None:
        content = read_limited(model, max_bytes(), "a model")
    try:
        name = external_tensor(content)
    except ValueError as error:
        raise not_loaded(model, runtime, error) from None
    if name is not None:
        raise InputError(
            f"{model}: keeps the values of {name!r} in another file, which no checksum covers; save it as one file: "
            "onnx.save(model, path, save_as_external_data=False)"
        )
    return content


def _onnx_dtype(name):
    """NumPy's type for one of ONNX Runtime's, such as "tensor(uint8)"."""
    inner = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(inner, inner))
