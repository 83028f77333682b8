"""Which arithmetic a training uses on this machine."""

import dataclasses
from pathlib import Path

from train.planning.plan import Plan

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def resolved(plan: Plan) -> Plan:
    """``plan`` with precision "auto" replaced by what is fastest here and loses no accuracy.

    bfloat16 has float32's range, so it needs no loss scaling. It is chosen where the hardware multiplies matrices of
    it: processors with AMX (Intel since Sapphire Rapids) and graphics cards; elsewhere it would be emulated, slowly.
    """
    if plan.training.precision != "auto":
        return plan
    precision = "mixed_bfloat16" if _multiplies_bfloat16() else "float32"
    return dataclasses.replace(plan, training=dataclasses.replace(plan.training, precision=precision))


def _multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return True
    return cpuinfo.is_file() and " amx_bf16 " in cpuinfo.read_text(encoding="utf-8")
