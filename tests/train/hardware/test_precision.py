"""Automatic precision."""

import dataclasses

import pytest

from imaging.recipe import Recipe
from train.hardware import precision
from train.planning.plan import Network, Plan, Training


def plan(kind):
    return Plan("x", (), ("a",), Recipe(3), Network("unet3d"), (8, 8, 8), 0.5, Training(precision=kind), ())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu amx_bf16 avx512f", True), ("flags : fpu avx512_bf16 avx2", False), ("", False)],
)
def test_processor_flags_decide(tmp_path, flags, expected):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(flags + "\n", encoding="utf-8")
    assert precision._multiplies_bfloat16(cpuinfo) is expected


def test_only_auto_is_replaced(monkeypatch):
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda: True)
    assert precision.resolved(plan("auto")).training.precision == "mixed_bfloat16"
    assert precision.resolved(plan("float32")) == plan("float32")
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda: False)
    found = precision.resolved(plan("auto"))
    assert found == dataclasses.replace(plan("auto"), training=Training(precision="float32"))
