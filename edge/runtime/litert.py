"""TFLite files on LiteRT."""

import math
import threading
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.runtime.tensors import as_stored, check_tensors, logits, not_loaded, not_run
from medseg.archives import read_gzip, unpack_gzip
from medseg.errors import InputError
from medseg.limits import check_bytes
from medseg.untrusted import check_regular


class LiteRTRunner:
    """A .tflite file on LiteRT with its XNNPACK kernels; compressed by gzip if its name ends in .gz."""

    def __init__(self, model: Path, manifest: Manifest, threads: int, content: bytes | None = None):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise InputError(
                f"{model}: needs LiteRT, which cannot be imported ({error}); pip install ai-edge-litert"
            ) from None
        try:
            self._interpreter = Interpreter(**_lite_rt_model(model, content), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise not_loaded(model, "LiteRT", error) from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        check_tensors(model, manifest, *([(d["shape"], np.dtype(d["dtype"])) for d in ds] for ds in (inputs, outputs)))
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
        values = as_stored(patch, self._manifest)
        try:
            # An interpreter has one input and one output tensor, and its invocation lets other Python threads run.
            with self._one_at_a_time:
                self._interpreter.set_tensor(self._input, values)
                self._interpreter.invoke()
                stored = self._interpreter.get_tensor(self._output)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise not_run(self._manifest, "LiteRT", error) from None
        return logits(stored, self._manifest)


def _lite_rt_model(model, content):
    """How LiteRT is told the model: a plain file by its path, which it maps, any other by its content."""
    if model.suffix == ".gz":
        return {"model_content": read_gzip(model) if content is None else unpack_gzip(model, content)}
    if content is not None:
        return {"model_content": content}
    check_regular(model)
    check_bytes(model, model.stat().st_size, "the model")
    return {"model_path": str(model)}
