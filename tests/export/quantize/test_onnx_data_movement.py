"""Data movement on integers leaves every output of ONNX Runtime as it was, bit by bit."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.quantize.onnx_data_movement import MOVEMENT, movement_in_integers

FLOAT = TensorProto.FLOAT


class Graph:
    """Builds a QDQ model: every value is quantized with a scale and dequantized again."""

    def __init__(self, shape):
        self.nodes, self.constants = [], []
        self.shape = shape
        self.value = self.quantized("image", 0.05, 7)

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def quantized(self, name, scale, zero):
        """The name of a value after Q and DQ."""
        scale = self.constant(f"{name}_scale", np.float32(scale))
        zero = self.constant(f"{name}_zero", np.uint8(zero))
        self.nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_q"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", scale, zero], [f"{name}_dq"]))
        return f"{name}_dq"

    def move(self, kind, inputs=(), *, scale=0.05, zero=7, of=None, **attributes):
        """Append an operator and the quantization of its output."""
        name = f"{kind}_{len(self.nodes)}"
        inputs = [
            self.constant(f"{name}_{i}", value) if isinstance(value, np.ndarray) else value
            for i, value in enumerate(inputs)
        ]
        of = [self.value] if of is None else of
        self.nodes.append(helper.make_node(kind, [*of, *inputs], [name], name=name, **attributes))
        self.value = self.quantized(name, scale, zero)
        return self.value

    def model(self):
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Identity", [self.value], ["result"])],
            "movement",
            [helper.make_tensor_value_info("image", FLOAT, self.shape)],
            [helper.make_tensor_value_info("result", FLOAT, None)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, optimise):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    # beyond both ends of what 8 bits hold
    image = np.random.default_rng(0).uniform(-2, 14, shape).astype("float32")
    return session.run(None, {"image": image})[0]


def assert_same(graph):
    """The number of nodes that went, after checking that every bit stayed."""
    model = graph.model()
    count = len(model.graph.node)
    before = [run(model, optimise) for optimise in (False, True)]
    moved = movement_in_integers(model)
    for expected, optimise in zip(before, (False, True), strict=True):
        np.testing.assert_array_equal(run(moved, optimise), expected)
    return count - len(moved.graph.node)


def ints(*values):
    return np.array(values, np.int64)


MOVES = {
    "Pad": lambda g: g.move("Pad", [ints(0, 0, 1, 0, 0, 0, 1, 2)]),
    "Pad with an explicit zero": lambda g: g.move("Pad", [ints(0, 0, 1, 0, 0, 0, 1, 2), np.zeros((), np.float32)]),
    "Slice": lambda g: g.move("Slice", [ints(1), ints(4), ints(2), ints(1)]),
    "Concat": lambda g: g.move("Concat", of=[g.value, g.value], axis=2),
    "Reshape": lambda g: g.move("Reshape", [ints(1, 4, 16, 1)]),
    "Transpose": lambda g: g.move("Transpose", perm=[0, 2, 3, 1]),
    "DepthToSpace": lambda g: g.move("DepthToSpace", blocksize=2),
    "Squeeze": lambda g: g.move("Squeeze", [ints(0)]),
    "Unsqueeze": lambda g: g.move("Unsqueeze", [ints(0)]),
}


@pytest.mark.parametrize("kind", MOVES)
def test_one_movement(kind):
    graph = Graph((1, 4, 4, 4))
    MOVES[kind](graph)
    assert assert_same(graph) == 2  # its dequantization and its quantization


def test_every_movement_is_tested():
    assert {name.split()[0] for name in MOVES} | {"Split"} == MOVEMENT


def test_a_chain_becomes_integers_from_end_to_end():
    graph = Graph((1, 4, 4, 4))
    for kind in ("Pad", "Transpose", "Slice", "Concat"):
        MOVES[kind](graph)
    assert assert_same(graph) == 8
    kinds = [node.op_type for node in movement_in_integers(graph.model()).graph.node]
    assert kinds == ["QuantizeLinear", "Pad", "Transpose", "Slice", "Concat", "DequantizeLinear", "Identity"]


def test_split_into_two():
    graph = Graph((1, 4, 4, 4))
    source = graph.value
    sizes = graph.constant("sizes", ints(1, 3))
    graph.nodes.append(helper.make_node("Split", [source, sizes], ["one", "three"], axis=1, name="split"))
    narrow, wide = graph.quantized("one", 0.05, 7), graph.quantized("three", 0.05, 7)
    graph.move("Concat", of=[wide, narrow], axis=1)
    assert assert_same(graph) == 1 + 2 + 2 + 1


def test_another_scale_is_left_alone():
    for change in ({"scale": 0.06}, {"zero": 8}):
        graph = Graph((1, 4, 4, 4))
        graph.move("Transpose", perm=[0, 2, 3, 1], **change)
        assert assert_same(graph) == 0
    graph = Graph((1, 4, 4, 4))
    rescaled = graph.move("Relu", scale=0.02, zero=0)
    graph.move("Concat", of=["image_dq", rescaled], axis=1)
    assert assert_same(graph) == 0


def test_padding_with_another_number_or_by_reflection_is_left_alone():
    graph = Graph((1, 4, 4, 4))
    graph.move("Pad", [ints(0, 0, 1, 0, 0, 0, 1, 2), np.full((), 0.5, np.float32)])
    assert assert_same(graph) == 0
    graph = Graph((1, 4, 4, 4))
    graph.move("Pad", [ints(0, 0, 1, 0, 0, 0, 1, 2)], mode="reflect")
    assert assert_same(graph) == 0


def test_a_value_that_something_else_reads_stays():
    graph = Graph((1, 4, 4, 4))
    graph.move("Transpose", perm=[0, 2, 3, 1])
    name = graph.nodes[-3].output[0]  # the float value between the transposition and its quantization
    graph.move("Add", of=[graph.value, name])
    assert assert_same(graph) == 0


def test_a_shared_source_keeps_its_dequantization_for_the_others():
    graph = Graph((1, 4, 4, 4))
    moved = graph.move("Transpose", perm=[0, 1, 3, 2])
    graph.move("Add", of=["image_dq", moved])
    assert assert_same(graph) == 1  # only the quantization after the transposition
