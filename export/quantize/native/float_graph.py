"""The float network in fewer and fuller operators, before it is quantized; what it computes stays the same."""

import numpy as np

from export.quantize.native.graph import (
    ACTIVATIONS,
    attributes,
    constants,
    consumers,
    set_constant,
    set_nodes,
    shapes,
)

# Products of bytes that VNNI and AMX add up at once.
RUN = 4


def fuller(model):
    """A copy whose transposed convolutions hold their biases, and whose first convolution computes runs of voxels.

    Args:
        model: from ``onnx_int8.prepare``.

    Returns:
        ``onnx.ModelProto`` with the shapes of its tensors.
    """
    import onnx

    changed = type(model)()
    changed.CopyFrom(model)
    _hold_biases(changed)
    _compute_runs(changed)
    return onnx.shape_inference.infer_shapes(changed)


def _hold_biases(model) -> None:
    """Move what is added to each channel after a transposed convolution into it: else it is rounded twice."""
    values, users, sizes = constants(model), consumers(model), shapes(model)
    held = {}
    for node in model.graph.node:
        after = users.get(node.output[0], [])
        if node.op_type != "ConvTranspose" or len(node.input) > 2 or [user.op_type for user in after] != ["Add"]:
            continue
        (name,) = (name for name in after[0].input if name != node.output[0])
        shape = sizes[node.output[0]]
        bias = values.get(name)
        if bias is None or not _by_channel(bias.shape, shape):
            continue
        flat = np.broadcast_to(bias.reshape(-1), shape[1:2]).astype(np.float32)
        node.input.append(set_constant(model, f"{node.output[0]}_bias", flat))
        held[id(after[0])] = node.output[0] = after[0].output[0]
    set_nodes(model, [node for node in model.graph.node if id(node) not in held])


def _by_channel(shape, whole) -> bool:
    """Whether a constant has one value for each channel (axis 1) of a tensor, or one for all."""
    aligned = (1,) * (len(whole) - len(shape)) + tuple(shape)
    return len(aligned) == len(whole) and all(n == 1 or axis == 1 for axis, n in enumerate(aligned))


def _compute_runs(model) -> None:
    """Let a first convolution of one channel take runs of voxels as channels, and give runs of voxels.

    A matrix unit multiplies four bytes at once, three of which would be zeros. Runs along the last axis are channels
    in memory already, where channels lie innermost: the reshapes move nothing. The kernel holds zeros.
    """
    from onnx import helper

    values, users, sizes = constants(model), consumers(model), shapes(model)
    nodes = []
    after = {}
    for node in model.graph.node:
        follower = users.get(node.output[0], [None])[0]
        if not _takes_runs(node, model, values, users, sizes):
            nodes += [node, *after.pop(id(node), ())]
            continue
        name, source, rank = node.name or node.output[0], node.input[0], len(sizes[node.input[0]])
        last, first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
        result, whole = follower.output[0], sizes[node.output[0]]
        inner = sizes[source][2:]
        split = set_constant(model, f"{name}_split", np.array([1, *inner[:-1], inner[-1] // RUN, RUN], np.int64))
        joined = set_constant(model, f"{name}_joined", np.array([1, *whole[2:], whole[1]], np.int64))
        kernel, reach = _kernel_of_runs(values[node.input[1]])
        pads = [*attributes(node).get("pads", [0] * 2 * (rank - 2))]
        pads[rank - 3] = pads[-1] = reach
        biases = [np.tile(values[bias], RUN) for bias in node.input[2:]]
        inputs = [set_constant(model, f"{name}_{i}", each) for i, each in enumerate((kernel, *biases))]
        nodes += [
            helper.make_node("Reshape", [source, split], [f"{name}_runs"], f"{name}_runs"),
            helper.make_node("Transpose", [f"{name}_runs"], [f"{name}_first"], f"{name}_first", perm=first),
            helper.make_node(
                "Conv",
                [f"{name}_first", *inputs],
                [node.output[0]],
                node.name,
                kernel_shape=kernel.shape[2:],
                pads=pads,
            ),
        ]
        follower.output[0] = f"{result}_runs"
        after[id(follower)] = (
            helper.make_node("Transpose", [f"{result}_runs"], [f"{result}_last"], f"{name}_last", perm=last),
            helper.make_node("Reshape", [f"{result}_last", joined], [f"{result}_joined"], f"{name}_joined"),
            helper.make_node("Transpose", [f"{result}_joined"], [result], f"{name}_whole", perm=first),
        )
        stale = [value for value in model.graph.value_info if value.name in (node.output[0], f"{result}_runs")]
        for value in stale:
            model.graph.value_info.remove(value)
    set_nodes(model, nodes)


def _takes_runs(node, model, values, users, sizes) -> bool:
    """Whether it is a convolution of one channel along whose last axis runs fit, with a fused activation after it."""
    if node.op_type != "Conv" or not all(name in values for name in node.input[1:]):
        return False
    source, kernel = sizes.get(node.input[0], ()), values[node.input[1]]
    given = attributes(node)
    rank = kernel.ndim - 2
    pads = given.get("pads", [0] * 2 * rank)
    after = users.get(node.output[0], [])
    return (
        kernel.shape[1] == 1
        and given.get("group", 1) == 1
        and given.get("auto_pad", b"NOTSET") == b"NOTSET"
        and {*given.get("strides", [1]), *given.get("dilations", [1])} == {1}
        and pads[rank - 1] == pads[-1]
        and 2 * pads[-1] + 1 == kernel.shape[-1]
        and len(source) == rank + 2
        and source[:2] == (1, 1)
        and source[-1] > 0
        and source[-1] % RUN == 0
        and [user.op_type for user in after] in ([kind] for kind in ACTIVATIONS)
        and not {node.output[0], after[0].output[0]} & {output.name for output in model.graph.output}
    )


def _kernel_of_runs(kernel: np.ndarray) -> tuple[np.ndarray, int]:
    """A kernel (out, 1, ..., taps) as one from runs to runs (RUN · out, RUN, ..., runs), and how many runs it reaches.

    Output channels are ordered by voxel of the run, then by channel.
    """
    taps = kernel.shape[-1]
    centre = taps // 2
    reach = -(-centre // RUN)
    wide = np.zeros((RUN, kernel.shape[0], RUN, *kernel.shape[2:-1], 2 * reach + 1), kernel.dtype)
    for voxel in range(RUN):
        for tap in range(taps):
            run, place = divmod(voxel + tap - centre, RUN)
            wide[voxel, :, place, ..., run + reach] = kernel[:, 0, ..., tap]
    return wide.reshape(-1, *wide.shape[2:]), reach
