"""Manifests and ONNX files that ask for what no scanner needs: one line each, before memory is taken."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edge
from edge.manifest import load_manifest, sha256
from edge.runtime.onnx_file import external_tensor
from imaging import InputError, Scan


@pytest.fixture
def artifact(artifacts, tmp_path):
    return shutil.copytree(artifacts["folded-int8"], tmp_path / "artifact")


def rewrite(artifact, change):
    path = artifact / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["recipe"].update(spacing=[1e-300] * 3), r"recipe spacing .*: expected mm, 1e-06 to 1000"),
        (lambda m: m["recipe"].update(spacing=[1e300] * 3), "recipe spacing"),
        (
            lambda m: m["recipe"].update(spacing=[float("nan"), 1, 1]),
            r"spacing\[0\]: expected a finite number, got nan",
        ),
        (
            lambda m: m["recipe"]["normalise"].update(mean=[float("nan")]),
            r"mean\[0\]: expected a finite number, got nan",
        ),
        (
            lambda m: m["recipe"]["normalise"].update(std=[float("inf")]),
            r"std\[0\]: expected a finite number, got inf",
        ),
        (lambda m: m["recipe"]["normalise"].update(std=[10**400]), r"std\[0\]: expected a finite number, got inf"),
        (lambda m: m.update(overlap=float("nan")), "overlap: expected a finite number, got nan"),
        (lambda m: m["recipe"].update(channels=10**12), "recipe channels 1000000000000: expected 1 to 1024"),
        (lambda m: m.update(patch=[30000, 30000, 1]), "a patch and its scores would take"),
        (lambda m: m.update(patch=[10**18] * 3), "a patch and its scores would take"),
        (lambda m: m["input"].update(scale=1e-320), "input.scale 1e-320: a tensor of int8 needs a positive one"),
        (lambda m: m["input"].update(zero_point=10**9), "input.zero_point 1000000000: expected a value of int8"),
        (lambda m: m.update(labels=[{"name": str(i), "value": i} for i in range(300)]), "300 labels: expected at"),
        (lambda m: m["labels"][1].update(name="\x1b[2J"), "labels: .* is no name"),
        (lambda m: m.update(name="x" * 10**6), "name: 'xxx.* is no name"),
        (lambda m: m.update(patch="x" * 10**6), "patch: expected a list, got 'xxx"),
        (lambda m: m.update({f"field{i}": 0 for i in range(10_000)}), "unknown field field0, .*, \\.\\.\\.; expected"),
    ],
)
def test_absurd_values(artifact, change, message):
    rewrite(artifact, change)
    with pytest.raises(InputError, match=message) as raised:
        load_manifest(artifact)
    assert str(artifact / "manifest.json") in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_a_model_file_that_is_a_link_out_of_the_folder(artifact, tmp_path):
    (artifact / "model.tflite").rename(tmp_path / "elsewhere")
    (artifact / "model.tflite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"model\.tflite: is a link out of its folder"):
        load_manifest(artifact)


def test_a_spacing_that_would_fill_the_memory_is_refused_before_it_does(artifact):
    rewrite(artifact, lambda m: m["recipe"].update(spacing=[0.001] * 3))
    segmenter = edge.load(artifact)
    with pytest.raises(InputError, match=r"resampled to \(20000, 20000, 20000\) of 0\.001 x .* would take"):
        segmenter.predict(Scan(np.zeros((20, 20, 20, 1), np.float32), np.eye(4)))


def test_a_deviation_that_float32_cannot_divide_by(artifact):
    rewrite(artifact, lambda m: m["recipe"]["normalise"].update(mean=[0.0], std=[1e-10]))
    scan = Scan(np.full((20, 20, 20, 1), 1e30, np.float32), np.eye(4))
    with pytest.raises(InputError, match="numbers of it that float32 cannot hold"), np.errstate(all="ignore"):
        edge.load(artifact).predict(scan)


def model_of(tensor=None, nodes=()):
    nodes = nodes or [helper.make_node("Add", ["x", "w"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], [] if tensor is None else [tensor])
    return helper.make_model(graph)


def external(name):
    tensor = numpy_helper.from_array(np.ones(2, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")
    return tensor


def test_external_values_are_found_wherever_a_tensor_may_stand():
    inside = numpy_helper.from_array(np.ones(2, np.float32), "w")
    assert external_tensor(model_of(inside).SerializeToString()) is None
    assert external_tensor(model_of(external("w")).SerializeToString()) == "w"
    constant = helper.make_node("Constant", [], ["y"], value=external("in a node"))
    assert external_tensor(model_of(nodes=[constant]).SerializeToString()) == "in a node"
    branch = helper.make_graph([constant], "branch", [], [])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    assert external_tensor(model_of(nodes=[choice]).SerializeToString()) == "in a node"
    function = helper.make_function("own", "f", [], ["y"], [constant], [helper.make_opsetid("", 17)])
    model = model_of(inside)
    model.functions.append(function)
    assert external_tensor(model.SerializeToString()) == "in a node"
    sparse = helper.make_sparse_tensor(external("sparse"), numpy_helper.from_array(np.array([0])), [2])
    model = model_of(inside)
    model.graph.sparse_initializer.append(sparse)
    assert external_tensor(model.SerializeToString()) == "sparse"


def test_a_file_that_is_no_protocol_buffer():
    content = model_of(numpy_helper.from_array(np.ones(2, np.float32), "w")).SerializeToString()
    for broken in (content[:-3], b"\xff" * 20, b"\x07"):
        with pytest.raises(ValueError, match=r"truncated|ten bytes|unknown kind"):
            external_tensor(broken)


def test_an_artifact_whose_values_lie_in_another_file(artifacts, tmp_path):
    artifact = shutil.copytree(artifacts["onnx-native-float"], tmp_path / "artifact")
    path = artifact / "model.onnx"
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    rewrite(artifact, lambda m: m.update(sha256=sha256(path)))
    with pytest.raises(InputError, match=r"model\.onnx: keeps the values of '\w+' in another file"):
        edge.load(artifact)
