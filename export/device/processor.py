"""What an int8 artifact is made for: the matrix product of the processor that it will run on."""

import platform
from pathlib import Path

from export.errors import FormatError

# What a product computes at once, if that is wide enough to make several voxels at once for it: (input channels of a
# tap, output channels, zeros of a kernel need not be stored); measured by
# benchmarks/quantization/rewrite_forms.py. LiteRT has
# kernels for AMX; ONNX Runtime runs its AVX-512 ones there too, on windows that it gathers without filling them up.
PROCESSORS = {
    "amx": {"tflite": (64, 64, True), "onnx": (4, 32, False)},
    "x86": {"tflite": (8, 16, False), "onnx": (4, 32, False)},
    "any": {"tflite": None, "onnx": None},
}


def check_processor(name: str | None) -> None:
    """Require the name of a kind of processor, or None.

    Raises:
        FormatError: for another.
    """
    if name is not None and name not in PROCESSORS:
        raise FormatError(f"processor {name!r} is unknown: expected one of {', '.join(PROCESSORS)}")


def this_processor() -> str:
    """The kind of processor of this machine."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "any"
    try:
        return "amx" if "amx_int8" in Path("/proc/cpuinfo").read_text().split() else "x86"
    except OSError:  # not Linux, which alone lets programs use AMX on request
        return "x86"


def matrix_unit(processor: str, runtime: str):
    """What the runtime's int8 matrix product computes at once, see ``export.rewrite.Layout``; None if that is narrow.

    Args:
        processor: one of ``PROCESSORS``.
        runtime: "tflite" or "onnx".
    """
    from export.rewrite.blocks.choice import Unit

    sizes = PROCESSORS[processor][runtime]
    return None if sizes is None else Unit(*sizes)
