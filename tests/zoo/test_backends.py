"""Networks and losses on JAX against TensorFlow, each in a process of its own."""

import importlib.util
from pathlib import Path

import pytest

import zoo

_spec = importlib.util.spec_from_file_location(
    "zoo_backends", Path(__file__).parents[2] / "benchmarks" / "networks" / "zoo_backends.py"
)
benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(benchmark)


def test_jax_equals_tensorflow(tmp_path):
    pytest.importorskip("jax", reason='pip install "medseg-zoo[test]" brings jax')
    names = zoo.list_models(tag="cnn")
    expected, computed = benchmark.run_all(["tensorflow", "jax"], names, tmp_path)
    assert set(computed) == set(expected) > set(names)
    differences = {key: benchmark.difference(computed[key], expected[key]) for key in expected}
    assert {key: d for key, d in differences.items() if not d < benchmark.TOLERANCE} == {}
