"""An artifact folder on LiteRT or ONNX Runtime; loaded in a worker, see ``export/bench/runtimes``."""

from importlib import metadata
from pathlib import Path

import numpy as np

from edge.manifest import load_manifest
from edge.runtime.runner import open_runner as open_artifact
from edge.trust.opening import read_artifact

_used = "ai-edge-litert"


def prepare(job):
    """Nothing: an artifact is ready."""
    manifest, _ = _read(job)
    return [{"how": "", "files": [str(Path(job["artifact"]) / manifest.model)]}]


def open_runner(job, variant):
    """A call that runs the patch."""
    global _used
    manifest, content = _read(job)
    _used = "onnxruntime" if manifest.format.startswith("onnx-") else "ai-edge-litert"
    runner = open_artifact(variant["files"][0], manifest, job["threads"], content=content)
    patch = np.load(job["input"])
    return lambda: runner.run(patch)


def _read(job):
    """Manifest and, where a signature is asked for, the model that it covers; else the model has been checked."""
    if job["trust"] is not None:
        return read_artifact(job["artifact"], job["trust"])
    return load_manifest(job["artifact"], verify=False), None


def describe():
    """The runtime and its version."""
    return {"onnxruntime": "ONNX Runtime", "ai-edge-litert": "LiteRT"}[_used] + f" {metadata.version(_used)}"
