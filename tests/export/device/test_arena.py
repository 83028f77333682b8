"""Activation memory of a file against LiteRT's own planner, and what the export proposes where it does not fit."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_graphs import build, planned_by_litert

import zoo
from export.cli import main
from export.conversion.convert import convert
from export.device import arena, memory_advice
from export.device.arena import Buffer
from medseg.byte_sizes import spell_size

PATCH = (16, 16, 8)
ORIGIN = memory_advice.Origin("unet3d", {"width": 8, "depth": 2, "convolutions": 1})


@st.composite
def graphs(draw):
    """Random networks of element-wise operators, reshapes and concatenations on tensors of one row."""
    tensors, operators = {"in": (1, draw(st.integers(1, 300)))}, []
    for i in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["ABS", "ADD", "MUL", "SUB", "RESHAPE", "CONCATENATION"]))
        first = draw(st.sampled_from(sorted(tensors)))
        alike = sorted(n for n, shape in tensors.items() if shape == tensors[first])
        size = math.prod(tensors[first])
        if kind == "CONCATENATION":
            ranked = sorted(n for n, shape in tensors.items() if shape[:-1] == tensors[first][:-1])
            read = [first, draw(st.sampled_from(ranked))]
            shape = (*tensors[first][:-1], sum(tensors[n][-1] for n in read))
        elif kind == "RESHAPE":
            read, shape = [first], (1, size) if len(tensors[first]) == 3 else (1, 1, size)
        else:
            read = [first] if kind == "ABS" else [first, draw(st.sampled_from(alike))]
            shape = tensors[first]
        tensors[f"t{i}"] = shape
        operators.append((kind, read, f"t{i}"))
    last = f"t{len(operators) - 1}"
    # What nobody reads is an output too, as in every file that a converter writes.
    read = {name for _, names, _ in operators for name in names}
    return build(tensors, operators, ["in"], [n for n in tensors if n not in read or n == last])


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_the_plan_is_litert_s(data):
    assert arena.measure(data).size == planned_by_litert(data)


def test_an_input_that_lies_in_the_memory_of_another_is_not_overwritten_nor_is_the_next():
    """The sum's first input is a reshaped tensor that is read elsewhere too; its second one could be overwritten."""
    flat, deep = (1, 17), (1, 1, 17)
    operators = [
        ("ABS", ["in"], "t0"), ("RESHAPE", ["in"], "t1"), ("ABS", ["t0"], "t2"), ("RESHAPE", ["t0"], "t3"),
        ("ADD", ["t3", "t1"], "t4"), ("ABS", ["t4"], "t5"),
    ]  # fmt: skip
    tensors = {"in": flat, "t0": flat, "t1": deep, "t2": flat, "t3": deep, "t4": deep, "t5": deep}
    data = build(tensors, operators, ["in"], ["t2", "t5"])
    assert arena.measure(data).size == planned_by_litert(data)


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 10), st.one_of(st.integers(0, 5), st.just(math.inf))), max_size=15
    ),
    st.sampled_from([1, 16, 64]),
)
@settings(max_examples=100, deadline=None)
def test_a_plan_overlaps_nothing_that_is_alive_together(rows, alignment):
    buffers = [Buffer(str(i), size, first, first + more) for i, (size, first, more) in enumerate(rows)]
    offsets = arena.plan(buffers, alignment)
    assert all(offset % alignment == 0 for offset in offsets)
    for i, later in enumerate(buffers):
        for j, earlier in enumerate(buffers[:i]):
            together = later.first <= earlier.last and earlier.first <= later.last
            apart = offsets[i] + later.size <= offsets[j] or offsets[j] + earlier.size <= offsets[i]
            assert apart or not together or 0 in (later.size, earlier.size)


def buffers_of(data):
    """Those of all subgraphs of a TFLite file."""
    return [buffer for buffers, _ in arena._subgraphs(data) for buffer in buffers]


def test_lifetimes_and_the_operator_that_needs_most():
    data = build(
        {"in": (1, 100), "a": (1, 100), "wide": (1, 200), "out": (1, 200)},
        [("ABS", ["in"], "a"), ("CONCATENATION", ["a", "in"], "wide"), ("ABS", ["wide"], "out")],
        ["in"],
        ["out"],
    )
    lifetimes = {b.name: (b.size, b.first, b.last) for b in buffers_of(data)}
    assert lifetimes == {"in": (400, 0, math.inf), "a": (400, 0, 1), "wide": (800, 1, 2), "out": (800, 2, math.inf)}
    measured = arena.measure(data)
    assert (measured.alive, measured.operator) == (2000, "ABS out")
    assert measured.size >= 2000


@pytest.fixture(scope="module")
def network():
    """A small 3D network of the registry."""
    return zoo.get(ORIGIN.network, (*PATCH, 1), **ORIGIN.options)


@pytest.fixture(scope="module")
def converted(network):
    """Its float file."""
    return convert(network, "tflite-float32", PATCH)


def test_a_network_s_plan_is_litert_s(converted):
    assert arena.measure(converted.data).size == planned_by_litert(converted.data)


def test_quantized_transposed_convolutions_keep_accumulators(network):
    noise = np.random.default_rng(0).normal(size=(*PATCH, 1)).astype(np.float32)
    data = convert(network, "tflite-int8", PATCH, [noise], npu=True).data
    buffers = buffers_of(data)
    scratch = [b for b in buffers if b.name.startswith("scratch")]
    assert {(b.size, b.first == b.last) for b in scratch} == {(4 * 8 * 16 * 8 * 8, True)}
    activations = [b for b in buffers if b not in scratch]
    offsets = arena.plan(activations)
    assert max(o + b.size for o, b in zip(offsets, activations, strict=True)) == planned_by_litert(data)


def test_what_fits_is_accepted(network, converted):
    memory_advice.check(network, converted, PATCH, arena.measure(converted.data).size, tell=pytest.fail)


def test_what_does_not_fit_is_refused_with_a_patch_and_a_width_that_do(network, converted):
    limit = arena.measure(converted.data).size * 6 // 10
    said = []
    with pytest.raises(arena.ArenaError) as caught:
        memory_advice.check(network, converted, PATCH, limit, ORIGIN, tell=said.append)
    message = str(caught.value)
    assert f"expected at most {spell_size(limit)}" in message
    assert "looking for a patch and a width" in said[0]
    patch = tuple(int(n) for n in re.search(r"--patch ([\d ]+) needs", message)[1].split())
    assert math.prod(patch) < math.prod(PATCH)
    smaller = memory_advice.resized(network, patch, ORIGIN)
    assert arena.measure(convert(smaller, "tflite-float32", patch).data).size <= limit
    width = int(re.search(r"width (\d+) needs", message)[1])
    narrow = zoo.get("unet3d", width=width, depth=2, convolutions=1)
    assert arena.measure(convert(narrow, "tflite-float32", PATCH).data).size <= limit


@pytest.mark.parametrize("origin", [ORIGIN, memory_advice.Origin()], ids=["registry", "of one's own"])
def test_another_patch_is_the_same_network(network, origin):
    whole = np.random.default_rng(0).normal(size=(1, 8, 24, 16, 1)).astype(np.float32)
    again = memory_advice.resized(network, (8, 24, 16), origin)
    assert again.inputs[0].shape == (None, 8, 24, 16, 1)
    expected = zoo.get(ORIGIN.network, **ORIGIN.options)
    expected.set_weights(network.get_weights())
    np.testing.assert_allclose(again(whole), expected(whole), atol=1e-5)
    assert memory_advice.resized(network, PATCH, origin) is network


def test_nothing_fits_in_a_byte(network, converted):
    with pytest.raises(arena.ArenaError, match="no smaller patch and no narrower network was found that fits"):
        memory_advice.check(network, converted, PATCH, 1, tell=lambda line: None)


def test_patches_shrink_in_proportion_and_divide():
    sizes = list(memory_advice._shrunk((40, 56, 40), (8, 8, 8)))
    assert sizes[0] == (32, 48, 32)
    assert sizes[-1] == (8, 8, 8)
    assert all(size % 8 == 0 for patch in sizes for size in patch)
    assert [math.prod(p) for p in sizes] == sorted((math.prod(p) for p in sizes), reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-arena", "lots"], "memory 'lots': expected bytes"),
        (["--max-arena", "1MB", "--format", "onnx-int8"], "max-arena: holds for TFLite files"),
    ],
)
def test_wrong_requests(tmp_path, capsys, arguments, message):
    given = ["export", str(tmp_path / "run"), "--out", str(tmp_path / "out"), *arguments]
    assert main(given if "--format" in given else [*given, "--format", "tflite-int8"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
