"""ONNX Runtime on the network with its own 3D convolutions, float or its own static int8; loaded in a worker."""

import os

import numpy as np
import onnxruntime


def prepare(job):
    """The float file as it is, or quantized as ONNX Runtime's guide says, with unsigned and with signed activations."""
    if job["precision"] == "float32":
        return [{"how": "", "files": [job["onnx"]]}]
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = os.path.join(job["work"], "prepared.onnx")
    quant_pre_process(job["onnx"], prepared, skip_symbolic_shape=True)
    variants = []
    for name, activations in (("uint8 activations", QuantType.QUInt8), ("int8 activations", QuantType.QInt8)):
        file = os.path.join(job["work"], name.split()[0] + ".onnx")
        quantize_static(
            prepared,
            file,
            _Reader(job),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
        )
        variants.append({"how": f"QDQ, {name}", "files": [file]})
    return variants


def open_runner(job, variant):
    """A call that runs the patch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(variant["files"][0], options, providers=["CPUExecutionProvider"])
    source, result = session.get_inputs()[0], session.get_outputs()[0].name
    patch = np.load(job["input"])
    feed = {source.name: patch.reshape(source.shape)}
    return lambda: session.run([result], feed)[0].reshape(*patch.shape[:-1], -1)


def describe():
    """The runtime and its version."""
    return f"ONNX Runtime {onnxruntime.__version__}"


class _Reader:
    """Calibration patches as ONNX Runtime's quantizer asks for them: one feed at a time, None at the end."""

    def __init__(self, job):
        session = onnxruntime.InferenceSession(job["onnx"], providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        self._feeds = iter([{source.name: p.reshape(source.shape)} for p in np.load(job["calibration"])])

    def get_next(self):
        """The next feed."""
        return next(self._feeds, None)
