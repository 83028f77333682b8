"""OpenVINO on the network with its own 3D convolutions: float32, bfloat16, or int8 by NNCF; loaded in a worker."""

import os

import numpy as np
import openvino

HINTS = {"float32": {"INFERENCE_PRECISION_HINT": "f32"}, "bfloat16": {"INFERENCE_PRECISION_HINT": "bf16"}, "int8": {}}


def prepare(job):
    """The network in OpenVINO's own format; int8 is quantized by NNCF with its defaults."""
    model = openvino.convert_model(job["onnx"])
    if job["precision"] == "int8":
        import nncf

        patches = np.load(job["calibration"])
        shape = tuple(model.inputs[0].shape)
        data = nncf.Dataset([patch.reshape(shape) for patch in patches])
        model = nncf.quantize(model, data, subset_size=len(patches))
    file = os.path.join(job["work"], "model.xml")
    openvino.save_model(model, file, compress_to_fp16=False)
    return [{"how": "", "files": [file, file.replace(".xml", ".bin")]}]


def open_runner(job, variant):
    """A call that runs the patch."""
    settings = {
        "INFERENCE_NUM_THREADS": job["threads"],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        **HINTS[job["precision"]],
    }
    compiled = openvino.Core().compile_model(variant["files"][0], "CPU", settings)
    patch = np.load(job["input"])
    feed = patch.reshape(tuple(compiled.inputs[0].shape))
    result = compiled.outputs[0]
    return lambda: compiled(feed, share_inputs=True)[result].reshape(*patch.shape[:-1], -1)


def describe():
    """The runtime and its version."""
    return f"OpenVINO {openvino.__version__.split('-')[0]}"
