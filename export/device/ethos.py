"""A fully quantized TFLite file compiled for an Arm Ethos-U NPU by Arm's Vela, and what its report says."""

import csv
import importlib.util
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from export.errors import FormatError
from medseg.errors import InputError, UsageError, expected_one_of
from medseg.process import module_command

CONFIG = "Arm/vela.ini"  # ships with Vela


class EthosError(InputError):
    """An artifact cannot be compiled for the NPU, or not with every operator on it."""


@dataclass(frozen=True)
class Target:
    """An NPU and the system around it, in Vela's words.

    Attributes:
        accelerator: NPU and its MACs a cycle.
        system: clock and memories, of Vela's own ``vela.ini``.
        memory: what lies in which memory, of the same file.
    """

    accelerator: str
    system: str
    memory: str


# Vela's own defaults.
SYSTEMS = {
    "ethos-u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
MACS = {"ethos-u55": (256, 128, 64, 32), "ethos-u65": (512, 256), "ethos-u85": (512, 128, 256, 1024, 2048)}


@dataclass(frozen=True)
class Report:
    """What Vela says of a compiled file; every figure is its estimate, none is measured on hardware.

    Attributes:
        target: NPU, system and memory mode.
        vela: version of the compiler.
        file: name of the compiled file in the artifact folder.
        npu: operators on the NPU by type; activations fused into others are counted as Vela counts them.
        cpu: operators left to the processor, each with its type, its output's name and Vela's reason.
        memory_bytes: by memory, what is used of it: "sram", "dram", "on_chip_flash", "off_chip_flash".
        feature_maps: the memory that holds the activations, of the same names.
        weights: the memory that holds the weights.
        clock_hz: of the NPU.
        cycles: for one patch.
        seconds: for one patch.
        macs: multiply-accumulates that the NPU does for one patch.
    """

    target: Target
    vela: str
    file: str
    npu: dict[str, int] = field(default_factory=dict)
    cpu: tuple[str, ...] = ()
    memory_bytes: dict[str, int] = field(default_factory=dict)
    feature_maps: str = ""
    weights: str = ""
    clock_hz: float = 0.0
    cycles: int = 0
    seconds: float = 0.0
    macs: int = 0

    @property
    def operators(self) -> int:
        """Operators on the NPU."""
        return sum(self.npu.values())

    @property
    def activation_bytes(self) -> int:
        """Memory that holds the activations; the weights as well, where they lie in the same one."""
        return self.memory_bytes.get(self.feature_maps, 0)


@dataclass(frozen=True)
class Compiled:
    """A file for the NPU's driver, and the report on it."""

    data: bytes
    report: Report


def find_target(name: str) -> Target:
    """The target called "ethos-u55", "ethos-u65" or "ethos-u85", or one of those with its MACs: "ethos-u55-128".

    Raises:
        UsageError: for an unknown name, with the nearest known one.
    """
    names = {family: (family, macs[0]) for family, macs in MACS.items()}
    names |= {f"{family}-{n}": (family, n) for family, macs in MACS.items() for n in sorted(macs)}
    if name not in names:
        raise UsageError(f"target {name!r} is unknown: {expected_one_of(name, names)}")
    family, macs = names[name]
    return Target(f"{family}-{macs}", *SYSTEMS[family])


def check_formats(formats) -> None:
    """Require an int8 TFLite file among the formats.

    Raises:
        FormatError: if there is none.
    """
    if "tflite-int8" not in formats:
        raise FormatError(f"target: an Ethos-U takes tflite-int8, not {', '.join(formats)}; add --format tflite-int8")


def require_vela() -> None:
    """Require Arm's compiler.

    Raises:
        InputError: if it is not installed; the message says how to.
    """
    if importlib.util.find_spec("ethosu") is None:
        raise InputError('target: needs Arm\'s compiler Vela, which is not installed; pip install "medseg-zoo[ethos]"')


def compile_tflite(data: bytes, target: Target, allow_cpu: bool = False) -> Compiled:
    """Compile a fully quantized TFLite file.

    Args:
        data: the flatbuffer.
        target: what for.
        allow_cpu: accept operators that the NPU does not have and the processor beside it must run.

    Returns:
        The compiled file and Vela's report on it.

    Raises:
        InputError: Vela is not installed.
        EthosError: it refuses the file, or leaves operators to the processor and ``allow_cpu`` is not set.
    """
    require_vela()
    with tempfile.TemporaryDirectory() as folder:
        said = _run_vela(data, target, Path(folder))
        (summary,) = _rows(next(Path(folder).glob("model_summary_*.csv")))
        layers = _rows(Path(folder) / "model_per-layer.csv")
        compiled = (Path(folder) / "model_vela.tflite").read_bytes()
    report = _report(target, summary, layers, said)
    if report.cpu and not allow_cpu:
        shown = "; ".join(report.cpu[:8]) + (f"; and {len(report.cpu) - 8} more" if len(report.cpu) > 8 else "")
        number = f"{len(report.cpu)} operator{'s' * (len(report.cpu) > 1)}"
        raise EthosError(
            f"{target.accelerator}: {number} would fall to the processor: {shown}; change these layers, or accept it "
            "with --allow-cpu"
        )
    return Compiled(compiled, report)


def _run_vela(data, target, folder) -> str:
    """Run Vela as a process of its own, since its core may abort; returns what it printed."""
    model = folder / "model.tflite"
    model.write_bytes(data)
    command = module_command(
        "ethosu.vela", model, "--output-dir", folder, "--config", CONFIG, "--accelerator-config", target.accelerator,
        "--system-config", target.system, "--memory-mode", target.memory, "--verbose-performance",
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder)
    if done.returncode or not (folder / "model_vela.tflite").is_file():
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"it ended with status {done.returncode}"
        raise EthosError(f"{target.accelerator}: Vela cannot compile the file ({reason})")
    return done.stdout


def _rows(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _report(target, summary, layers, said) -> Report:
    def whole(name) -> int:
        return round(float(summary[name]))

    memories = ("sram", "dram", "on_chip_flash", "off_chip_flash")
    used = {name: round(float(summary[f"{name}_memory_used"]) * 1024) for name in memories}
    on_npu = [row for row in layers if row["Target"] == "NPU"]
    return Report(
        target=target,
        vela=metadata.version("ethos-u-vela"),
        file=f"model.{target.accelerator}.tflite",
        npu=dict(sorted(Counter(row["NNG Operator"] for row in on_npu).items())),
        cpu=_on_cpu(layers, said),
        memory_bytes={name: size for name, size in used.items() if size},
        feature_maps=_memory(summary["feature_map_storage_area"]),
        weights=_memory(summary["weights_storage_area"]),
        clock_hz=float(summary["core_clock"]),
        cycles=whole("cycles_total") if on_npu else 0,
        seconds=float(summary["inference_time"]) if on_npu else 0.0,
        macs=whole("nn_macs") if on_npu else 0,
    )


def _memory(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def _on_cpu(layers, said) -> tuple[str, ...]:
    """The operators on the processor in words, with the reason that Vela gave."""
    causes = re.findall(r"operator: (\w+), ofm: '([^']*)'\nReason: (.*)", said)
    reasons = {output: (kind, reason) for kind, output, reason in causes}
    words = []
    for row in layers:
        if row["Target"] == "CPU":
            kind, reason = reasons.get(row["Name"], (row["Original Operator"], "no reason given"))
            words.append(f"{kind} {row['Name']} ({reason.strip()})")
    return tuple(words)


def describe(report: dict) -> list[str]:
    """Lines of Markdown on a report, for the artifact's card.

    Args:
        report: as the manifest holds it.
    """
    target = report["target"]
    names = {"sram": "SRAM", "dram": "DRAM", "on_chip_flash": "on-chip flash", "off_chip_flash": "off-chip flash"}
    memories = ", ".join(f"{size / 2**20:.2f} MB {names[name]}" for name, size in report["memory_bytes"].items())
    kinds = ", ".join(f"{number} {kind}" for kind, number in report["npu"].items())
    total = sum(report["npu"].values())
    return [
        "## Arm Ethos-U",
        "",
        f"`{report['file']}` is the same network compiled by Vela {report['vela']} for {target['accelerator']} "
        f"({target['system']}, {target['memory']}). All figures are Vela's estimates for one patch.",
        "",
        f"- Operators on the NPU: {total}" + (f" ({kinds})" if kinds else ""),
        f"- Operators on the processor: {'; '.join(report['cpu']) or 'none'}",
        f"- Memory: {memories}; activations in {names.get(report['feature_maps'], report['feature_maps'])}, weights in "
        f"{names.get(report['weights'], report['weights'])}",
        f"- Time: {report['cycles']:,} cycles, {report['seconds'] * 1e3:.1f} ms at {report['clock_hz'] / 1e6:g} MHz",
    ]
