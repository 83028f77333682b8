"""Full-integer TFLite with ranges of our own choice: the converter's calibrated model, edited, then quantized by it."""

from collections.abc import Iterator, Sequence

import numpy as np

from export.conversion.layer_errors import spell
from export.conversion.operators import ARITHMETIC_TFLITE
from export.conversion.release_memory import give_back
from export.conversion.tflite import failure, frozen, quiet
from export.errors import PrecisionError
from export.quantize.float_chains import Chain, with_ranges_to_quantize
from export.quantize.ranges import Histogram, Observer, carried, cover
from export.quantize.skip_connections import with_own_scales
from export.quantize.sparse_kernels import with_sparse_kernels
from export.quantize.tensor_batches import tensor_groups
from export.quantize.tflite_file import kinds_of, operators_of, packed, unpacked
from zoo.internals import tensorflow as internals

MOVES = frozenset({"PAD", "SLICE", "STRIDED_SLICE", "RESHAPE", "CONCATENATION", "MAX_POOL_2D", "TRANSPOSE", "SPLIT",
                   "SQUEEZE", "EXPAND_DIMS", "PACK", "UNPACK", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "GATHER",
                   "RESIZE_NEAREST_NEIGHBOR", "MIRROR_PAD", "TILE", "BROADCAST_TO"})  # fmt: skip


def calibrate(model, patch: np.ndarray) -> bytes:
    """A float TFLite file in which every activation has its extremes on ``patch`` written beside it.

    One patch marks what is quantized; TensorFlow's calibrator is far slower than LiteRT, which observes the others.

    Args:
        model: rewritten Keras model of fixed shape.
        patch: representative input of that shape.

    Raises:
        PrecisionError: if the model holds operations that TFLite does not have.
    """
    import tensorflow as tf

    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(model)])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter([[patch]])
        internals.calibrate_only(converter)
        try:
            calibrated = bytes(converter.convert())
        except internals.converter_error() as error:
            raise PrecisionError(f"tflite-int8: {failure(str(error))}") from None
    del converter
    give_back()
    return calibrated


def quantize(
    calibrated: bytes,
    float_outputs: Sequence[str] = (),
    per_channel: bool = True,
    sparse: bool = False,
    chains: Sequence[Chain] = (),
) -> bytes:
    """Quantize a calibrated file to int8, input and output too; skip connections keep a scale of their own.

    Args:
        calibrated: with a range for each activation.
        float_outputs: output tensors of the operators that stay float.
        per_channel: a scale for each output channel of the weights, else one for all of them.
        sparse: kernels of many zeros are stored without them.
        chains: activations that stay float too.
    """
    tensors = unpacked(calibrated).subgraphs[0].tensors
    floats = [*float_outputs, *(tensors[i].name.decode() for chain in chains for i in chain.outputs)]
    with quiet():
        marked = with_ranges_to_quantize(calibrated, chains)
        model = unpacked(internals.quantize_int8(marked, per_channel, floats))
    stored = {tensor.name.decode(): tensor.quantization for tensor in tensors}
    ranges = {n: (float(q.min[0]), float(q.max[0])) for n, q in stored.items() if q is not None and q.min is not None}
    kinds = kinds_of(model)
    model = with_own_scales(model, kinds, ranges)
    return packed(with_sparse_kernels(model, kinds) if sparse else model)


def histograms(calibrated: bytes, patches: Sequence[np.ndarray]) -> tuple[dict[str, Histogram], list[np.ndarray]]:
    """Values of each activation on ``patches``, and the float logits.

    Returns:
        Histograms by tensor name, without those that only move values, and the output for each patch.
    """
    graph = unpacked(calibrated).subgraphs[0]
    moved = {i for op in operators_of(calibrated) if op[0] in MOVES for i in op[2]}
    observers, indices = {}, []
    for i, tensor in enumerate(graph.tensors):
        stored = tensor.quantization
        if stored is not None and stored.min is not None and i not in moved:
            observers[tensor.name.decode()] = Observer(len(patches))
            indices.append(i)
    logits = [None] * len(patches)
    for which, values in traced(calibrated, [*indices, graph.outputs[0]], patches):
        for i, value in values.items():
            name = graph.tensors[i].name.decode()
            if name in observers:
                observers[name].add(value)
        if graph.outputs[0] in values:
            logits[which] = values[graph.outputs[0]]
    for name, observer in observers.items():
        if not np.isfinite([observer.low, observer.high]).all():
            raise PrecisionError(
                f"tflite-int8: {spell(name)} holds NaN or infinite values on calibration patches; check that the scans "
                "are prepared as in training"
            )
    return {name: observer.histogram() for name, observer in observers.items()}, logits


def logits(data: bytes, patches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The output for each patch, real values."""
    last = unpacked(data).subgraphs[0].outputs[0]
    for _, values in traced(data, [last], patches):
        yield values[last]


def paired(calibrated: bytes, quantized: bytes, patches: Sequence[np.ndarray]) -> Iterator:
    """Each convolution and matrix product in both files, patch by patch.

    Yields:
        (output name in the calibrated file, kind, its float values, its values in the quantized file).
    """
    before, after = products(calibrated), products(quantized)
    if [kind for kind, *_ in before] != [kind for kind, *_ in after]:
        raise PrecisionError("tflite-int8: quantizing changed the operators, so that errors cannot be told by layer")
    pairs = zip(
        traced(calibrated, [i for *_, i in before], patches),
        traced(quantized, [i for *_, i in after], patches),
        strict=True,
    )
    names = {i: (name, kind) for kind, name, i in before}
    for (_, floats), (_, integers) in pairs:
        for (i, value), integer in zip(floats.items(), integers.values(), strict=True):
            yield *names[i], value, integer


def with_ranges(calibrated: bytes, histograms_of: dict[str, Histogram], method: str) -> bytes:
    """A calibrated file with the ranges that ``method`` gives instead of the extremes; the logits keep theirs."""
    model = unpacked(calibrated)
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    last = {names[i] for i in graph.outputs}
    ranges = {name: cover(h, "minmax" if name in last else method) for name, h in histograms_of.items()}
    moves = [
        ([names[i] for i in inputs if i >= 0], [names[i] for i in outputs])
        for kind, inputs, outputs in operators_of(calibrated)
        if kind in MOVES
    ]
    for name, (low, high) in carried(ranges, moves).items():
        stored = graph.tensors[names.index(name)].quantization
        if stored is not None and stored.min is not None:
            stored.min, stored.max = [low], [high]
    return packed(model)


def traced(data: bytes, indices: Sequence[int], patches: Sequence[np.ndarray]) -> Iterator:
    """Run a file and read tensors from within it, as many at once as ``tensor_groups`` puts together.

    Args:
        data: a TFLite file.
        indices: of tensors.
        patches: real inputs, float32.

    Yields:
        (number of the patch, {tensor index: its real values}).
    """
    from ai_edge_litert.interpreter import Interpreter

    graph = unpacked(data).subgraphs[0]
    sizes = {i: 4 * int(np.prod(graph.tensors[i].shape)) for i in dict.fromkeys(indices)}
    for group in tensor_groups(sizes):
        model = unpacked(data)
        model.subgraphs[0].outputs = group
        model.signatureDefs = []
        interpreter = Interpreter(model_content=packed(model), num_threads=2)
        interpreter.allocate_tensors()
        image = interpreter.get_input_details()[0]
        details = dict(zip(group, interpreter.get_output_details(), strict=True))
        for which, patch in enumerate(patches):
            interpreter.set_tensor(image["index"], _stored(patch, image))
            interpreter.invoke()
            yield which, {i: _real(interpreter.get_tensor(d["index"]), d) for i, d in details.items()}


def _stored(patch, details):
    scale, zero = details["quantization"]
    if not scale:
        return patch.astype(np.float32)
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(patch / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def _real(values, details):
    scale, zero = details["quantization"]
    return values.astype(np.float32) if not scale else (values.astype(np.float32) - zero) * np.float32(scale)


def products(data: bytes) -> list[tuple[str, str, int]]:
    """(kind, output name, output tensor) of each convolution and matrix product, in the order of execution."""
    tensors = unpacked(data).subgraphs[0].tensors
    return [
        (kind, tensors[outputs[0]].name.decode(), outputs[0])
        for kind, _, outputs in operators_of(data)
        if kind in ARITHMETIC_TFLITE
    ]
