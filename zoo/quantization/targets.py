"""What an int8 format asks of a network that is trained for it: where its runtime quantizes, bits of the weights."""

from zoo.errors import ZooError, unknown
from zoo.quantization.fake import BITS

FORMATS = {"tflite-int8": "tflite", "onnx-int8": "onnx", "openvino-int8": "onnx"}
"""Name of a format of ``zoo export`` to the ``runtime`` of ``prepare``.

OpenVINO files differ in two places from what is prepared for "onnx": logits are not rounded, and what is joined with a
skip connection may have another scale, by which the kernel that reads it is multiplied before it is rounded.
"""


def target(name: str, bits: int = 0) -> tuple[str, int]:
    """Runtime and bits of the weights of a format, as ``prepare`` takes them.

    Args:
        name: one of ``FORMATS``.
        bits: 0 for the format's own: 8 in TFLite, 7 in ONNX and OpenVINO files, which then are right on every
            processor. 8 for ONNX and OpenVINO files that are exported with ``--processor amx``.

    Raises:
        ZooError: for another format, or bits that it does not have.
    """
    if name not in FORMATS:
        raise unknown("int8 format", name, FORMATS)
    accepted = BITS[FORMATS[name]]
    if bits not in (0, *accepted):
        expected = " or ".join(str(number) for number in accepted)
        raise ZooError(f"weights of {bits} bits: {name} has {expected}; 0 stands for {accepted[0]}")
    return FORMATS[name], bits or accepted[0]
