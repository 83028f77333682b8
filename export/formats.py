"""The formats that an artifact can have, what each is for, and how to name one."""

from dataclasses import dataclass

from export.errors import FormatError
from medseg.errors import expected_one_of


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        name: as given to ``--format``.
        runtime: "tflite" (LiteRT), "onnx" (ONNX Runtime) or "openvino" (OpenVINO, which reads ONNX files).
        weights: precision of the weights.
        activations: precision of the activations.
        purpose: what it is for, one line.
    """

    name: str
    runtime: str
    weights: str
    activations: str
    purpose: str

    @property
    def quantized(self) -> bool:
        """Whether calibration cases are needed."""
        return self.activations in ("int8", "int16")

    @property
    def file(self) -> str:
        """File name of the model in the artifact folder."""
        return "model.tflite" if self.runtime == "tflite" else "model.onnx"


FORMATS = {
    f.name: f
    for f in (
        Format("tflite-float32", "tflite", "float32", "float32", "LiteRT, the reference on a device"),
        Format("tflite-float16", "tflite", "float16", "float32", "LiteRT, half the file, float arithmetic"),
        Format("tflite-dynamic", "tflite", "int8", "float32", "LiteRT, a quarter of the file without calibration"),
        Format("tflite-int16", "tflite", "int8", "int16", "LiteRT, all integer where int8 is too coarse; slower"),
        Format("tflite-int8", "tflite", "int8", "int8", "LiteRT, all integer: the fastest and smallest; NPUs"),
        Format("onnx-float32", "onnx", "float32", "float32", "ONNX Runtime and other ONNX tools, the reference"),
        Format("onnx-float16", "onnx", "float16", "float16", "ONNX Runtime on GPUs and NPUs, half the file"),
        Format("onnx-int8", "onnx", "int8", "int8", "ONNX Runtime, QDQ, int8 weights and uint8 activations"),
        Format("openvino-float32", "openvino", "float32", "float32", "OpenVINO, an ONNX file with native 3D layers"),
        Format("openvino-int8", "openvino", "int8", "int8", "OpenVINO, QDQ of native 3D layers: quick on x86"),
    )
}


def find_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        FormatError: for an unknown name, with the nearest known one.
    """
    if name in FORMATS:
        return FORMATS[name]
    raise FormatError(f"format {name!r} is unknown: {expected_one_of(name, FORMATS)}")
