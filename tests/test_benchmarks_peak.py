"""The measure of the int8 peak: a cut-out operator computes what the file does, and the shares add up."""

from dataclasses import replace

import numpy as np
import one_operator
import peak_share
import pytest
from ai_edge_litert.interpreter import Interpreter
from tflite_graphs import build


def run(data, feeds):
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), feeds, strict=True):
        interpreter.set_tensor(details["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_operators_cut_out_compute_what_the_file_does():
    shape = (1, 2, 3, 4)
    data = build(
        {"a": shape, "b": shape, "sum": shape, "pair": (1, 2, 3, 8)},
        [("ADD", ["a", "b"], "sum"), ("CONCATENATION", ["sum", "a"], "pair")],
        ["a", "b"],
        ["pair"],
        np.int8,
    )
    random = np.random.default_rng(0)
    a, b = (random.integers(-60, 60, shape, np.int8) for _ in range(2))
    add, concatenation = one_operator.cuts(data)
    assert (add.kind, add.name, add.shape) == ("ADD", "sum", shape)
    # the tensors of a cut keep the file's order: a before sum
    np.testing.assert_array_equal(run(concatenation.data, [run(add.data, [a, b]), a]), run(data, [a, b]))


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
def test_products_multiply(kind):
    made = one_operator.product(64, 32, 16, kind)
    assert made.macs == 64 * 32 * 16
    x = np.zeros((1, 64, 1, 32) if kind == "CONV_2D" else (64, 32), np.int8)
    random = np.random.default_rng(0)
    x += random.integers(-128, 128, x.shape, np.int8)
    weights = np.random.default_rng(0).integers(-127, 128, (16, 1, 1, 32) if kind == "CONV_2D" else (16, 32), np.int8)
    real = 0.05 * 0.01 * x.reshape(64, 32).astype(float) @ weights.reshape(16, 32).T.astype(float)
    expected = np.clip(np.rint(real / 0.5), -128, 127)
    assert np.abs(run(made.data, [x]).reshape(64, 16) - expected).max() <= 1


def test_times_in_turn_count_what_the_clock_says():
    now = iter(range(10**9))
    made = one_operator.product(8, 8, 8)
    assert one_operator.timed({"it": made.data}, 1, 2, lambda: next(now)) == {"it": 1000.0}


def test_the_shares_add_up():
    conv = replace(one_operator.convolution((2, 4, 4, 3), (3, 3), 16), ms=2.0, name="net/conv")
    assert conv.macs == 2 * 4 * 4 * 16 * 9 * 3
    assert conv.shape == (2, 4, 4, 16)
    assert conv.filled(64) == 2 * 4 * 4 * 9 * 64 * 64
    assert conv.filled(0) == conv.macs
    pad = one_operator.Cut("net/pad", "PAD", (2, 4, 4, 3), 0, b"", None, 0.5)
    peak = one_operator.Cut("8 x 8 x 8", "CONV_2D", (8, 8), 10**6, b"", None, 0.001)
    text = peak_share.report(4.0, [conv, pad], [peak], conv.macs, 64)
    assert "Peak 1000 GMAC/s" in text
    where = text[text.index("| where the time goes") :].split("\n")[2:]
    parts = [float(line.split("|")[2]) for line in where]
    assert sum(parts[:-1]) == pytest.approx(parts[-1], abs=0.03)
    assert parts[-2] == pytest.approx(1.5)
    assert parts[-1] == 4.0
