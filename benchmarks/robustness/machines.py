"""The tests that compute, as on other processors: a line of passes and failures for each.

    python benchmarks/robustness/machines.py
    python benchmarks/robustness/machines.py --only AVX2 --only "oneDNN off" tests/train/hardware/test_fused.py

What a processor lacks is taken away by the switches of oneDNN and XLA, by a filter of the system (without_amx.py) and,
where the processor lets a program answer CPUID, from every library at once (lesser_processor.py). With the switches
alone, the kernels of TensorFlow itself and of LiteRT ask the processor and stay; a machine with AVX2 only has no
bfloat16 either, for which TensorFlow would still ask oneDNN and be refused, so that these tests are left out there.

Without files those tests run whose outcome rests on what the processor computes: losses, metrics, layers, steps and
fitting; rewrite, conversion, quantization and the gate; the device's runtimes; and the whole job once, from a folder
to a segmentation. Some minutes for each machine on two cores. Left out are those that would say the same on any
processor: reading and writing of scans, datasets and pictures, planning, command lines, cache, cohort, reports, cards
and archives move files and text; the DICOM node, review and servers talk; isolation, signatures and trust compare
bytes; and on tests/imaging, which is NumPy, SciPy and OpenCV, the switches have no bearing. ``make test`` runs all of
them on the machine as it is. Prints a Markdown table, then the tests that failed. Exits with 1 if one did.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from lesser_processor import LEVELS, can_pass

ROOT = Path(__file__).parents[2]
PARTS = (
    "tests/zoo/losses",
    "tests/zoo/test_metrics.py",
    "tests/zoo/test_sigmoid.py",
    "tests/zoo/test_voxel_weights.py",
    "tests/zoo/blocks",
    "tests/zoo/quantization",
    "tests/train/hardware/test_fused.py",
    "tests/train/hardware/test_precision.py",
    "tests/train/fitting/test_fit.py",
    "tests/train/fitting/test_quantization_aware.py",
    "tests/train/fitting/test_step_time.py",
    "tests/train/input/test_augmentation.py",
    "tests/export/rewrite",
    "tests/export/conversion",
    "tests/export/quantize",
    "tests/export/verify",
    "tests/edge/runtime",
    "tests/edge/trust/test_vector.py",
    "tests/test_end_to_end.py",
)
# As make test does, a process on each core; a machine of one thread or four has that many in each.
TWO = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True)
class Machine:
    """A processor to pass for.

    Attributes:
        name: in the table.
        environment: variables that take things away.
        prefix: of the command.
        words: further words for pytest.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def machines() -> tuple[Machine, ...]:
    """Those that this one can pass for."""
    avx2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
    candidates = [
        Machine(
            "one thread", dict.fromkeys(THREADS, "1")
        ),  # the processor as it is: make test takes one thread a process
        Machine("oneDNN off", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
        Machine("AVX2", avx2, words=("-k", "not bfloat16")),
        Machine("AVX-512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "XLA_FLAGS": "--xla_cpu_max_isa=AVX512"}),
        Machine("four threads", dict.fromkeys(THREADS, "4")),
    ]
    if "amx_tile" in flags():
        candidates.append(
            Machine(
                "without AMX", prefix=(sys.executable, str(ROOT / "benchmarks" / "quantization" / "without_amx.py"))
            )
        )
    if can_pass():
        lesser = (sys.executable, str(ROOT / "benchmarks" / "robustness" / "lesser_processor.py"))
        candidates += [Machine(f"{level} without VNNI", prefix=(*lesser, level)) for level in LEVELS]
    return tuple(candidates)


def flags() -> list[str]:
    """What the processor can do, as Linux on x86-64 lists it; elsewhere nothing is known."""
    return _listed("flags").split()


def processor() -> str:
    """The processor's name, its newest vector instructions and how many cores there are."""
    newest = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if name in flags()]
    return f"{_listed('model name') or platform.processor()}, {os.cpu_count()} cores, {' '.join(newest)}"


def _listed(name) -> str:
    place = Path("/proc/cpuinfo")
    lines = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def main() -> int:
    """Run the tests once for each machine, print the table; returns the exit status."""
    known = {machine.name: machine for machine in machines()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, help="test files or folders")
    parser.add_argument("--only", action="append", choices=known, help="machine to pass for; may be repeated")
    args = parser.parse_args()
    print(f"{processor()}\n")
    print("| machine | passed | failed | skipped | minutes |\n|---|---:|---:|---:|---:|", flush=True)
    failures = {}
    for name in args.only or known:
        began = time.monotonic()
        results = run(known[name], args.parts)
        counts = [sum(result == kind for result in results.values()) for kind in ("passed", "failed", "skipped")]
        print(f"| {name} | {' | '.join(map(str, counts))} | {(time.monotonic() - began) / 60:.1f} |", flush=True)
        failures[name] = [test for test, result in results.items() if result == "failed"]
    for name, tests in failures.items():
        for test in tests:
            print(f"\n{name}: {test}", end="")
    print()
    return 1 if any(failures.values()) else 0


def run(machine: Machine, parts) -> dict[str, str]:
    """Results by test: "passed", "failed" or "skipped"."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            *machine.prefix,
            sys.executable,
            "-m",
            "pytest",
            *TWO,
            *parts,
            f"--junitxml={report}",
            *machine.words,
        ]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **machine.environment}, stdout=subprocess.PIPE, text=True, check=False
        )
        if ended.returncode not in (0, 1) or not report.is_file():  # 1: tests failed
            return {f"pytest ended with status {ended.returncode}: {ended.stdout.strip()[-300:]}": "failed"}
        cases = list(ElementTree.parse(report).iter("testcase"))
    return {f"{case.get('classname')}.{case.get('name')}": _result(case) for case in cases}


def _result(case):
    kinds = {child.tag for child in case}
    return "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"


if __name__ == "__main__":
    sys.exit(main())
