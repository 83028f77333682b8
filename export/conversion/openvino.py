"""What OpenVINO makes of an ONNX model here: its precisions, read back after compiling, and its answers."""

from collections.abc import Iterator, Sequence

import numpy as np

from edge.runtime.openvino import compile_model
from export.errors import PrecisionError

# OpenVINO's own names of the layers that multiply and add.
ARITHMETIC = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


def precisions(model) -> list[tuple[str, str, str]]:
    """The arithmetic layers of a model as OpenVINO runs them here.

    Args:
        model: ``onnx.ModelProto``.

    Returns:
        (name, type, precision) of each, for example ("conv_1", "Convolution", "u8").
    """
    compiled = compile_model(model.SerializeToString(), threads=1)
    facts = [(op.get_friendly_name(), op.get_rt_info()) for op in compiled.get_runtime_model().get_ops()]
    rows = [(name, info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for name, info in facts]
    return [row for row in rows if row[1] in ARITHMETIC]


def check_integer(model, floats: int = 0) -> None:
    """Refuse an int8 model of which OpenVINO, after its own fusions, runs a product in float.

    Args:
        model: QDQ ``onnx.ModelProto``.
        floats: number of layers that were allowed to stay float.

    Raises:
        PrecisionError: naming the layers.
    """
    layers = precisions(model)
    wrong = [f"{name} ({kind}, {precision})" for name, kind, precision in layers if precision not in ("i8", "u8")]
    if len(wrong) > floats or not layers:
        names = ", ".join(wrong[:8]) or "no convolution at all"
        raise PrecisionError(
            f"openvino-int8: expected every product in int8, OpenVINO runs in float: {names}; export onnx-int8, or "
            "allow layers in float"
        )


def logits(model, patches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The output of a model for each patch, on OpenVINO."""
    request = compile_model(model.SerializeToString(), threads=2).create_infer_request()
    for patch in patches:
        (scores,) = request.infer([np.asarray(patch, np.float32)]).values()
        yield scores
