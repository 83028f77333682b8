"""Networks with layers of their own, quantized for OpenVINO: exact changes of the float graph, few steps between."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.runtime.openvino import compile_model
from export.quantize import quantization
from export.quantize.native.float_graph import RUN, fuller
from export.quantize.native.graph import constants
from export.quantize.native.integer_graph import settle
from export.quantize.native.joins import fit, shared
from export.quantize.ranges import Histogram

FLOAT = TensorProto.FLOAT
SKIP, UP = "Relu_1_runs", "Add_6"
"""In ``u_net``, made fuller: what is joined, before the skip connection is put together from its runs."""


class Graph:
    """Builds a float ONNX network with random weights."""

    def __init__(self, shape):
        self.random, self.shape = np.random.default_rng(0), shape
        self.nodes, self.constants = [], []

    def constant(self, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), f"constant_{len(self.constants)}"))
        return self.constants[-1].name

    def weights(self, *shape):
        return self.constant((self.random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype("float32"))

    def add(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def convolution(self, x, outputs, inputs, kernel=(3, 3, 3), pads=None, **attributes):
        pads = [n // 2 for n in kernel] * 2 if pads is None else pads
        names = self.weights(outputs, inputs, *kernel), self.weights(outputs)
        return self.add("Conv", x, *names, kernel_shape=kernel, pads=pads, **attributes)

    def model(self, result):
        self.nodes[-1].output[0] = result
        ends = [helper.make_tensor_value_info("image", FLOAT, self.shape)]
        graph = helper.make_graph(
            self.nodes, "network", ends, [helper.make_tensor_value_info(result, FLOAT, None)], self.constants
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def run(model, *, seed=1):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image(session.get_inputs()[0].shape, seed)})[0]


def image(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def kinds(model):
    return [node.op_type for node in model.graph.node]


def u_net():
    """A level of which the up-sampled half reaches six times as far as the skip connection."""
    graph = Graph((1, 1, 4, 6, 8))
    skip = graph.add("Relu", graph.convolution("image", 8, 1))
    deep = graph.add("MaxPool", skip, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    deep = graph.add("Relu", graph.convolution(deep, 16, 8))
    kernel = graph.constant(6 * graph.random.normal(size=(16, 8, 2, 2, 2)).astype("float32"))
    up = graph.add("ConvTranspose", deep, kernel, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    up = graph.add("Add", up, graph.weights(1, 8, 1, 1, 1))
    x = graph.add("Concat", skip, up, axis=1)
    x = graph.add("Relu", graph.convolution(x, 8, 16))
    graph.add("Transpose", graph.convolution(x, 3, 8, (1, 1, 1)), perm=[0, 2, 3, 4, 1])
    return graph.model("result")


@pytest.fixture(scope="module")
def network():
    return quantization.OpenVinoNetwork(u_net(), [image((1, 1, 4, 6, 8), seed) for seed in range(3)])


@pytest.mark.parametrize(
    ("shape", "kernel", "pads"),
    [
        ((4, 5, 8), (3, 3, 3), None),
        ((6, 12), (5, 9), (0, 4, 1, 4)),  # wider than a run on both sides, another border on the other axis
        ((6, 4), (3, 1), None),
    ],
)
@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_a_first_convolution_on_runs_of_voxels_computes_the_same(shape, kernel, pads, activation):
    graph = Graph((1, 1, *shape))
    x = graph.convolution("image", 5, 1, kernel, pads)
    limits = (graph.constant(np.float32(0)), graph.constant(np.float32(0.5))) if activation == "Clip" else ()
    graph.add("MaxPool", graph.add(activation, x, *limits), kernel_shape=[1] * len(shape))
    model = graph.model("result")
    changed = fuller(model)
    onnx.checker.check_model(changed, full_check=True)
    (convolution,) = (node for node in changed.graph.node if node.op_type == "Conv")
    assert constants(changed)[convolution.input[1]].shape[:2] == (5 * RUN, RUN)
    np.testing.assert_allclose(run(changed), run(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "outputs", "options"),
    [
        ((1, 1, 8, 6), 4, {}),
        ((1, 2, 8, 8), 4, {}),
        ((1, 1, 8, 8), 4, {"strides": [2, 2]}),
        ((1, 1, 8, 8), 4, {"dilations": [2, 2], "pads": [2] * 4}),
        ((1, 1, 8, 8), 4, {"pads": [1, 0, 1, 0]}),
    ],
)
def test_other_first_convolutions_stay(shape, outputs, options):
    graph = Graph(shape)
    graph.add("Softplus", graph.add("Relu", graph.convolution("image", outputs, shape[1], (3, 3), **options)))
    model = graph.model("result")
    assert kinds(fuller(model)) == kinds(model)


@pytest.mark.parametrize(
    ("bias", "held"),
    [((1, 3, 1, 1), True), ((3, 1, 1), True), ((1,), True), ((1, 1, 8, 8), False), ((8,), False)],
)
def test_biases_of_transposed_convolutions(bias, held):
    graph = Graph((1, 2, 4, 4))
    x = graph.add("ConvTranspose", "image", graph.weights(2, 3, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    graph.add("Sigmoid", graph.add("Add", x, graph.weights(*bias)))
    model = graph.model("result")
    changed = fuller(model)
    assert ("Add" not in kinds(changed)) == held
    np.testing.assert_allclose(run(changed), run(model), rtol=1e-5, atol=1e-5)


def test_what_is_joined_is_scaled_to_reach_alike():
    model = fuller(u_net())
    before = run(model)
    histograms = {SKIP: Histogram(0.0, 2.0, np.ones(2048)), UP: Histogram(-12.0, 12.0, np.ones(2048))}
    assert fit(model, histograms) == 1
    assert histograms[SKIP].high == 2.0
    assert histograms[UP].high == pytest.approx(2.0, rel=1e-3)
    np.testing.assert_allclose(run(model), before, rtol=1e-4, atol=1e-4)


def test_what_is_read_elsewhere_is_not_scaled():
    graph = Graph((1, 2, 4, 4))
    left, right = (graph.add("Relu", graph.convolution("image", 2, 2, (3, 3))) for _ in range(2))
    both = graph.convolution(graph.add("Concat", left, right, axis=1), 2, 4, (3, 3))
    graph.add("Sum", both, left, right)
    model = graph.model("result")
    histograms = {left: Histogram(0.0, 1.0, np.ones(2048)), right: Histogram(0.0, 9.0, np.ones(2048))}
    before = model.SerializeToString()
    assert fit(model, histograms) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("skip", "up", "expected"),
    [
        ((0.0, 4.0), (-4.0, 2.0), (-4.0 * 128 / 127, 4.0)),  # symmetric, as int8 from -128 to 127
        ((0.0, 2.0), (-4.0, 1.0), (-4.0, 4.0 * 127 / 128)),
        ((0.0, 4.0), (-0.5, 3.0), (-0.5, 4.0)),  # hardly below zero: with a zero point
        ((0.0, 4.0), (0.0, 3.0), (0.0, 4.0)),
        ((0.0, 4.0), (-1.0, 1.5), None),  # narrower than half: each its own
    ],
)
def test_ranges_of_what_is_joined(skip, up, expected):
    model = fuller(u_net())
    ranges = shared(model, {SKIP: skip, UP: up, "image": (-1.0, 2.0)})
    assert ranges["image"] == (-1.0, 2.0)
    assert ranges[SKIP] == pytest.approx(expected or skip)
    assert ranges[UP] == pytest.approx(expected or up)


def test_nothing_is_quantized_twice(network):
    """One step for the image and one for each product but the last, whose sums are the logits."""
    model = network.quantize("minmax")
    onnx.checker.check_model(model, full_check=True)
    steps = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    products = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    assert len(products) == 5
    assert len(steps) == len(products)
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    assert made[model.graph.output[0].name] == "Transpose"
    zeros = {node.input[0]: constants(model)[node.input[2]] for node in steps}
    assert {zero.dtype for zero in zeros.values()} == {np.dtype(np.uint8)}


def test_symmetric_activations_are_signed_for_processors_with_amx_alone():
    """Without AMX OpenVINO computes wrong sums of signed tensors that were joined."""
    patches = [image((1, 1, 4, 6, 8), seed) for seed in range(3)]
    model = quantization.OpenVinoNetwork(u_net(), patches, weight_bits=8).quantize("minmax")
    steps = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    zeros = {node.input[0]: constants(model)[node.input[2]] for node in steps}
    assert {name for name, zero in zeros.items() if zero.dtype == np.int8 and zero == 0} == {SKIP, UP}


def test_openvino_computes_what_the_float_network_does(network):
    patches = [image((1, 1, 4, 6, 8), seed) for seed in range(3)]
    quantized, plain = network.quantize("mse"), u_net()
    compiled = compile_model(quantized.SerializeToString(), 1)
    for seed, patch in enumerate(patches):
        (integers,) = compiled([patch]).values()
        floats = run(plain, seed=seed)
        np.testing.assert_allclose(network.logits[seed], floats, rtol=1e-4, atol=1e-4)
        assert np.std(integers - floats) < 0.03 * np.std(floats)


def test_a_relu_stays_where_its_range_is_another():
    """A quantizer whose zero is its least value clips as ReLU does, and takes its place; one below lets values by."""
    graph = Graph((1, 2, 4, 4))
    x = graph.add("Relu", graph.convolution("image", 2, 2, (3, 3)))
    graph.convolution(x, 2, 2, (3, 3))
    prepared = graph.model("result")
    for zero, relus in ((0, 0), (100, 1)):
        quantized = type(prepared)()
        quantized.CopyFrom(prepared)
        nodes = [type(node).FromString(node.SerializeToString()) for node in prepared.graph.node]
        nodes[0].output[0] = x
        step = [x, "scale", "zero"], ["q"]
        nodes[1] = helper.make_node("QuantizeLinear", *step)
        nodes.insert(2, helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]))
        nodes[3].input[0] = "dq"
        del quantized.graph.node[:]
        quantized.graph.node.extend(nodes)
        quantized.graph.initializer.extend(
            [numpy_helper.from_array(np.float32(0.02), "scale"), numpy_helper.from_array(np.uint8(zero), "zero")]
        )
        settled = settle(quantized, prepared)
        assert kinds(settled).count("Relu") == relus
        np.testing.assert_allclose(run(settled), run(prepared), atol=0.1)
