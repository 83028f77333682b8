"""Limits of an ONNX network as Clip, and what a quantizer in the place of one must not let through."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.quantize import quantization
from export.quantize.native.clips import bounds, with_clips
from export.quantize.native.graph import constants

FLOAT, SHAPE = TensorProto.FLOAT, (1, 4, 6, 6)
NUMBERS = {"low": -1.0, "high": 2.0, "higher": 3.0}


def model_of(*nodes, numbers=NUMBERS):
    """A network of (kind, inputs, output) from "image" to the last output; numbers by name are constants."""
    values = [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in numbers.items()]
    made = [helper.make_node(kind, inputs, [output], output) for kind, inputs, output in nodes]
    image = helper.make_tensor_value_info("image", FLOAT, SHAPE)
    result = helper.make_tensor_value_info(nodes[-1][2], FLOAT, None)
    graph = helper.make_graph(made, "network", [image], [result], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def run(model, image):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def image(seed=0):
    return np.random.default_rng(seed).normal(scale=3, size=SHAPE).astype("float32")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([("Min", ["image", "high"], "y")], [(-np.inf, 2.0)]),
        ([("Max", ["low", "image"], "y")], [(-1.0, np.inf)]),
        ([("Min", ["image", "high"], "x"), ("Max", ["x", "low"], "y")], [(-1.0, 2.0)]),
        ([("Relu", ["image"], "x"), ("Min", ["x", "high"], "y")], [(0.0, 2.0)]),
        ([("Clip", ["image", "low", "high"], "x"), ("Clip", ["x", "", "higher"], "y")], [(-1.0, 2.0)]),
        ([("Min", ["image", "low"], "x"), ("Max", ["x", "high"], "y")], [(-np.inf, -1.0), (2.0, np.inf)]),  # both stay
        ([("Max", ["image", "image"], "y")], []),
    ],
)
def test_limits_become_one_clip(nodes, expected):
    model = model_of(*nodes)
    before = run(model, image())
    changed = with_clips(model)
    onnx.checker.check_model(changed, full_check=True)
    clips = [node for node in changed.graph.node if node.op_type == "Clip"]
    assert [bounds(node, constants(changed)) for node in clips] == expected
    np.testing.assert_array_equal(run(changed, image()), before)


def test_a_value_that_is_read_elsewhere_keeps_its_limit():
    nodes = [("Min", ["image", "high"], "x"), ("Max", ["x", "low"], "y"), ("Sub", ["x", "y"], "z")]
    model = model_of(*nodes)
    before = run(model, image())
    changed = with_clips(model)
    assert [node.op_type for node in changed.graph.node] == ["Clip", "Clip", "Sub"]
    np.testing.assert_array_equal(run(changed, image()), before)


@pytest.mark.parametrize("network", [quantization.OnnxNetwork, quantization.OpenVinoNetwork])
@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_an_activation_of_the_logits_stays(network, activation):
    """The quantizer that takes its place is not dropped, where that of other logits is."""
    kernel = np.random.default_rng(0).normal(size=(3, 4, 1, 1))
    limits = ["low", "high"] if activation == "Clip" else []
    model = model_of(
        ("Conv", ["image", "kernel"], "x"), (activation, ["x", *limits], "y"), numbers=NUMBERS | {"kernel": kernel}
    )
    images = [image(seed) for seed in range(3)]
    made = network(model, images)
    quantized = made.quantize("minmax")
    for logits, patch in zip(made.run(quantized, images), images, strict=True):
        expected = run(model, patch)
        assert np.sqrt(np.mean((logits - expected) ** 2)) < 0.05 * expected.std()
