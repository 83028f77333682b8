"""What a conversion gives: a model file in memory, and what is known of it."""

from dataclasses import dataclass, field

from edge.manifest import Tensor
from export.conversion.layer_errors import LayerError
from export.conversion.operators import Operator
from export.formats import Format


@dataclass(frozen=True)
class Converted:
    """A model file in memory.

    Attributes:
        format: its format.
        data: the bytes of the file.
        input: its input tensor.
        output: its output tensor.
        folded: depth is the batch axis of both (rewritten 3D network).
        layout: of a 3D network rewritten with batch 1, "height" or "channels"; else empty.
        operators: read back from ``data``.
        method: calibration method of an int8 file.
        agreement: share of the voxels of calibration patches that keep the float network's class, by method tried.
        layer_errors: of an int8 file, worst first.
        float_layers: names of those layers of an int8 file that stayed float, as was asked.
        equalised: channels of an int8 file whose scale was moved between layers, as was asked.
        npu: made of operators that NPUs have.
        weights: scales of the weights of an int8 file.
        processor: that an int8 file is made for, see ``export.device.processor``; else empty.
        opset: of an ONNX file.
        dynamic: batch and spatial axes of an ONNX file may have any size.
    """

    format: Format
    data: bytes
    input: Tensor
    output: Tensor
    folded: bool
    operators: list[Operator]
    layout: str = ""
    method: str = ""
    agreement: dict[str, float] = field(default_factory=dict)
    layer_errors: tuple[LayerError, ...] = ()
    float_layers: tuple[str, ...] = ()
    equalised: int = 0
    npu: bool = False
    weights: str = "per-channel"
    processor: str = ""
    opset: int = 0
    dynamic: bool = False
