"""Integer ONNX (QDQ) with ranges of our own choice, by ONNX Runtime's quantizer."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from export.conversion.tflite import quiet
from export.quantize.native.clips import clip_integers, with_clips
from export.quantize.onnx_data_movement import MOVES, movement_in_integers
from export.quantize.onnx_tensor_values import activations, observed, session, traced
from export.quantize.ranges import Histogram, carried, cover


def prepare(model):
    """The float model as ONNX Runtime's quantizer wants it: shapes inferred, constants folded, limits as Clip.

    Args:
        model: float32 ``onnx.ModelProto`` with one input.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, quiet():
        source, prepared = (str(Path(folder) / f"{name}.onnx") for name in ("float", "prepared"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        return with_clips(onnx.shape_inference.infer_shapes(onnx.load(prepared)))


def histograms(prepared, patches: Sequence[np.ndarray]) -> tuple[dict[str, Histogram], list[np.ndarray]]:
    """Values of each activation on ``patches``, and the float logits.

    Returns:
        Histograms by tensor name, without those that only move values, and the output for each patch.
    """
    moved = {name for node in prepared.graph.node if node.op_type in MOVES for name in node.output}
    return observed(prepared, [name for name in activations(prepared) if name not in moved], patches)


def quantize(
    prepared,
    histograms_of: dict[str, Histogram],
    method: str,
    float_nodes: Sequence[str] = (),
    per_channel: bool = True,
    movement: bool = True,
    weight_bits: int = 7,
    join: Callable[[dict], dict] = dict,
):
    """Quantize to int8 weights and uint8 activations, as QDQ.

    Unsigned activations are what x86 dot-product instructions (VNNI) take without a correction. Processors without
    VNNI add pairs of their products in 16 bits (VPMADDUBSW), in ONNX Runtime as in OpenVINO: with weights of 8 bits
    such a sum saturates where both are large, with 7 bits none can.

    Args:
        prepared: from ``prepare``.
        histograms_of: from ``histograms``.
        method: which ranges they give; the logits keep their extremes.
        float_nodes: names of the nodes that stay float.
        per_channel: a scale for each output channel of the weights, else one for all of them.
        movement: do data movement on integers, where ONNX Runtime would not, and clip them where that is left to do.
        weight_bits: 7, right on every processor, or 8 for those with VNNI.
        join: takes ranges by tensor name and returns those that are used.

    Returns:
        ``onnx.ModelProto`` with float32 input and output.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    last = {output.name for output in prepared.graph.output}
    ranges = join({name: cover(h, "minmax" if name in last else method) for name, h in histograms_of.items()})
    moves = [(list(n.input), list(n.output)) for n in prepared.graph.node if n.op_type in MOVES]
    data = {name: (np.float32(low), np.float32(high)) for name, (low, high) in carried(ranges, moves).items()}
    model = type(prepared)()
    model.CopyFrom(prepared)
    with quiet():
        quantizer = QDQQuantizer(
            model,
            per_channel=per_channel,
            reduce_range=weight_bits == 7,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[],
            nodes_to_exclude=list(float_nodes),
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry}),
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    if movement:
        clip_integers(quantizer.model.model, prepared)
        movement_in_integers(quantizer.model.model)
    return quantizer.model.model


def logits(model, patches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The output for each patch, by the integer kernels that the device runs."""
    opened = session(model, fused=True)
    image = opened.get_inputs()[0].name
    for patch in patches:
        yield opened.run(None, {image: np.asarray(patch, np.float32)})[0]


def paired(prepared, quantized, patches: Sequence[np.ndarray]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Each convolution and matrix product in both models, patch by patch.

    Yields:
        (node name, type, its float values, its values in the quantized model), a fused activation included.
    """
    from onnx import numpy_helper

    nodes = _products(prepared)
    constants = {i.name: numpy_helper.to_array(i) for i in quantized.graph.initializer}
    made = {name for node in quantized.graph.node for name in node.output}
    sizes = activations(prepared)
    sizes = {tensor: sizes[tensor] for tensor in nodes}
    integer = {t: f"{t}_QuantizeLinear_Output" if f"{t}_QuantizeLinear_Output" in made else t for t in nodes}
    scales = {n.output[0]: n for n in quantized.graph.node if n.op_type == "QuantizeLinear"}
    clips = (n for n in quantized.graph.node if n.op_type == "Clip" and n.input[0] in scales)
    scales |= {n.output[0]: scales[n.input[0]] for n in clips}
    pairs = zip(
        traced(prepared, sizes, patches),
        traced(quantized, {integer[t]: size for t, size in sizes.items()}, patches),
        strict=True,
    )
    for (_, floats), (_, integers) in pairs:
        for tensor, value in floats.items():
            value_there = integers[integer[tensor]]
            if value_there.dtype.kind in "iu":
                scale, zero = (constants[name] for name in scales[integer[tensor]].input[1:3])
                value_there = (value_there.astype(np.float32) - zero.astype(np.float32)) * scale
            yield *nodes[tensor], value, value_there


def _products(model) -> dict[str, tuple[str, str]]:
    """Node name and type of each product by the tensor that holds its values after a fused activation."""
    from export.conversion.operators import ARITHMETIC_ONNX

    consumers: dict[str, list] = {}
    for node in model.graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    products = {}
    for node in model.graph.node:
        if node.op_type in ARITHMETIC_ONNX:
            users = consumers.get(node.output[0], [])
            fused = len(users) == 1 and users[0].op_type in ("Relu", "Clip")
            products[users[0].output[0] if fused else node.output[0]] = (node.name, node.op_type)
    return products
