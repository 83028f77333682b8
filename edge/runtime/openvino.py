"""ONNX files on OpenVINO's processor kernels."""

import queue
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.runtime.onnx_runtime import onnx_model
from edge.runtime.tensors import as_stored, check_tensors, logits, not_loaded, not_run
from medseg.errors import InputError


def settings(threads: int) -> dict:
    """How OpenVINO compiles a network here: for one patch at a time, in the precision of the file.

    The precision is set, never inherited: on processors with bfloat16 OpenVINO's default runs float layers in that.

    Args:
        threads: processor threads that it may use.
    """
    return {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }


def compile_model(content: bytes, threads: int):
    """An ONNX model compiled for this processor.

    Args:
        content: of the ONNX file.
        threads: processor threads that it may use.

    Raises:
        ModuleNotFoundError: where OpenVINO is not installed.
        RuntimeError: if OpenVINO cannot read or compile it.
    """
    import openvino

    core = openvino.Core()
    return core.compile_model(core.read_model(content), "CPU", settings(threads))


class OpenVinoRunner:
    """An .onnx file on OpenVINO; threads may share it, each call has an inference request of its own."""

    def __init__(self, model: Path, manifest: Manifest, threads: int, content: bytes | None = None):
        content = onnx_model(model, "OpenVINO", content)
        try:
            self._compiled = compile_model(content, threads)
        except ImportError:
            raise InputError(
                f'{model}: needs OpenVINO, which is not installed; pip install "medseg-zoo[openvino]"'
            ) from None
        except (RuntimeError, MemoryError) as error:
            raise not_loaded(model, "OpenVINO", error) from None
        ends = (self._compiled.inputs, self._compiled.outputs)
        check_tensors(model, manifest, *([(_shape(port), port.element_type.to_dtype()) for port in e] for e in ends))
        self._manifest = manifest
        self._idle = queue.SimpleQueue()  # inference requests, each of which holds memory for one patch

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        values = as_stored(patch, self._manifest)
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            (scores,) = request.infer([values], share_inputs=True).values()
        except (RuntimeError, MemoryError) as error:
            raise not_run(self._manifest, "OpenVINO", error) from None
        self._idle.put(request)
        return logits(scores, self._manifest)


def _shape(port):
    return [int(size.get_length()) if size.is_static else "any" for size in port.partial_shape]
