"""The runtimes behind one call: a patch of real numbers in, logits out.

The runtimes are imported when a model is opened. Whatever the file stores (int8, uint8, float), callers see float32.
Threads may share an opened model. LiteRT then computes one patch at a time, ONNX Runtime and OpenVINO several at once;
who wants LiteRT to compute several at once opens the model once for each thread.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Protocol

import numpy as np

from edge.manifest import Manifest
from medseg.errors import UsageError
from medseg.untrusted import shown

MOST_THREADS = 1024  # more than any machine has use for; LiteRT keeps their number in 32 bits

# By the first word of a format: the runtimes that open its files, the one that it is made for first.
RUNTIMES_OF = {
    "tflite": ("litert",),
    "onnx": ("onnxruntime", "openvino"),
    "openvino": ("openvino", "onnxruntime"),
}
_RUNNERS = {
    "litert": ("ai_edge_litert", "edge.runtime.litert", "LiteRTRunner"),
    "onnxruntime": ("onnxruntime", "edge.runtime.onnx_runtime", "OnnxRunner"),
    "openvino": ("openvino", "edge.runtime.openvino", "OpenVinoRunner"),
}


class Runner(Protocol):
    """An opened model, which several threads may call at the same time."""

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""


def open_runner(
    model, manifest: Manifest, threads: int = 2, runtime: str = "auto", content: bytes | None = None
) -> Runner:
    """Open a model file.

    Args:
        model: path of the model file.
        manifest: its manifest.
        threads: processor threads that the runtime may use.
        runtime: "litert", "onnxruntime" or "openvino"; "auto" for the one that the format is made for, or, where that
            is not installed, another that reads the file and is.
        content: of the model file, where the caller has read and checked it; the file is then not opened.

    Returns:
        A runner.

    Raises:
        InputError: if the runtime is not installed, cannot load the file, or the file's tensors are not those of the
            manifest.
        UsageError: if ``threads`` is no integer from 1 to ``MOST_THREADS``, or the runtime does not read files of
            this format.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 < threads <= MOST_THREADS:
        raise UsageError(f"threads {shown(threads)}: expected a whole number from 1 to {MOST_THREADS}")
    _, module, name = _RUNNERS[choose_runtime(manifest.format, runtime)]
    return getattr(importlib.import_module(module), name)(Path(model), manifest, threads, content)


def choose_runtime(format: str, runtime: str = "auto") -> str:
    """The runtime that opens files of a format here.

    Args:
        format: of the artifact, for example "onnx-int8".
        runtime: as for ``open_runner``.

    Raises:
        UsageError: for a runtime that does not read such files.
    """
    able = RUNTIMES_OF[format.partition("-")[0]]
    if runtime == "auto":
        installed = [name for name in able if importlib.util.find_spec(_RUNNERS[name][0]) is not None]
        return (installed or able)[0]
    if runtime not in able:
        raise UsageError(f"runtime {runtime!r}: expected {' or '.join(able)} for a file of format {format}, or auto")
    return runtime
