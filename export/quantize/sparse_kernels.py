"""Kernels of an int8 TFLite file that hold many zeros, stored without them.

A convolution that makes several voxels at once has a kernel that is zero where an output does not see an input. TFLite
keeps such a tensor as blocks of input channels that are not zero, and an operator before the convolution, DENSIFY,
fills it up; XNNPACK does so once, when the file is opened, so that only the file is smaller.
"""

import copy

import numpy as np

from export.quantize.tflite_file import insert_before

# Place of the kernel among the inputs.
KERNEL = {"CONV_2D": 1}
BLOCKS = (64, 32, 16, 8)
# Share of a kernel's bytes that must be saved.
WORTH = 0.1


def with_sparse_kernels(model, kinds):
    """Store kernels of many zeros as blocks.

    Args:
        model: int8 file as ``ModelT``; changed in place.
        kinds: operator type of each of its operator codes.

    Returns:
        The same model.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    users = [int(i) for op in graph.operators for i in op.inputs]
    for operator in [op for op in graph.operators if kinds[op.opcodeIndex] in KERNEL]:
        place = KERNEL[kinds[operator.opcodeIndex]]
        kernel = graph.tensors[operator.inputs[place]]
        if kernel.type != schema.TensorType.INT8 or users.count(operator.inputs[place]) > 1:
            continue
        values = _values(model, kernel)
        if values is None:
            continue
        candidates = [(size, *_blocks(values, size)) for size in BLOCKS if values.shape[-1] % size == 0]
        if not candidates:
            continue
        size, data, segments, indices = min(
            candidates, key=lambda candidate: sum(part.nbytes for part in candidate[1:])
        )
        if data.nbytes + segments.nbytes + indices.nbytes > (1 - WORTH) * values.nbytes:
            continue
        dense = copy.deepcopy(kernel)
        dense.buffer = 0
        graph.tensors.append(dense)
        kernel.name = kernel.name + b"_blocks"
        kernel.sparsity = _sparsity(schema, values.shape, size, segments, indices)
        model.buffers[kernel.buffer].data = np.frombuffer(data.tobytes(), np.uint8)
        insert_before(model, kinds, operator, int(operator.inputs[place]), "DENSIFY", 1, schema.DensifyOptionsT())
    return model


def _values(model, tensor) -> np.ndarray | None:
    """Values of an int8 constant, or None."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.sparsity is not None:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.int8).reshape(tensor.shape)


def _blocks(values, size):
    """The blocks of ``size`` input channels that are not zero; where each row of them begins; their places in it."""
    rows = values.reshape(-1, values.shape[-1] // size, size)
    filled = rows.any(axis=-1)
    segments = np.concatenate([[0], np.cumsum(filled.sum(axis=-1))])
    return rows[filled], _smallest(segments), _smallest(np.nonzero(filled)[1])


def _smallest(numbers):
    limit = numbers.max(initial=0)
    return numbers.astype(np.uint8 if limit < 2**8 else np.uint16 if limit < 2**16 else np.int32)


def _sparsity(schema, shape, size, segments, indices):
    """TFLite's description: outputs, height and width are whole, input channels are blocks that are listed."""
    *outer, inputs = (int(n) for n in shape)
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = [0, 1, 2, 3, 4], [3]
    sparsity.dimMetadata = [_whole(schema, n) for n in outer]
    listed = schema.DimensionMetadataT()
    listed.format, listed.denseSize = schema.DimensionType.SPARSE_CSR, inputs // size
    listed.arraySegmentsType, listed.arraySegments = _vector(schema, segments)
    listed.arrayIndicesType, listed.arrayIndices = _vector(schema, indices)
    sparsity.dimMetadata += [listed, _whole(schema, size)]
    return sparsity


def _whole(schema, size):
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, size
    return dimension


def _vector(schema, numbers):
    name = {1: "Uint8Vector", 2: "Uint16Vector", 4: "Int32Vector"}[numbers.itemsize]
    vector = getattr(schema, f"{name}T")()
    vector.values = numbers
    return getattr(schema.SparseIndexVector, name), vector
