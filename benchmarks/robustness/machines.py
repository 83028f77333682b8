"""The tests that compute, as on other processors: a line of passes and failures for each.

    python benchmarks/robustness/machines.py
    python benchmarks/robustness/machines.py --only AVX2 --only "without AMX" tests/train/test_train_fused.py

What a processor lacks is taken away by the switches of oneDNN and XLA, by a filter of the system (without_amx.py) and,
where the processor lets a program answer CPUID, from every library at once (lesser_processor.py). With the switches
alone, the kernels of TensorFlow itself and of LiteRT ask the processor and stay; a machine with AVX2 only has no
bfloat16 either, for which TensorFlow would still ask oneDNN and be refused, so that these tests are left out there.
Without files, all of tests/train, tests/zoo, tests/export and tests/edge run and the whole job, once each:
hours. Prints a Markdown table, then the tests that failed. Exits with 1 if one did.
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
PARTS = ("tests/train", "tests/zoo", "tests/export", "tests/edge", "tests/test_end_to_end.py")
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
        Machine("as it is"),
        Machine("AVX2", avx2, words=("-k", "not bfloat16")),
        Machine("AVX-512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "XLA_FLAGS": "--xla_cpu_max_isa=AVX512"}),
        Machine("oneDNN off", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
        Machine("one thread", dict.fromkeys(THREADS, "1")),
        Machine("four threads", dict.fromkeys(THREADS, "4")),
    ]
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        candidates.append(
            Machine(
                "without AMX", prefix=(sys.executable, str(ROOT / "benchmarks" / "quantization" / "without_amx.py"))
            )
        )
    if can_pass():
        lesser = (sys.executable, str(ROOT / "benchmarks" / "robustness" / "lesser_processor.py"))
        candidates += [Machine(f"{level} without VNNI", prefix=(*lesser, level)) for level in LEVELS]
    return tuple(candidates)


def main() -> int:
    """Run the tests once for each machine, print the table; returns the exit status."""
    known = {machine.name: machine for machine in machines()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, help="test files or folders")
    parser.add_argument("--only", action="append", choices=known, help="machine to pass for; may be repeated")
    args = parser.parse_args()
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
        command = [*machine.prefix, sys.executable, "-m", "pytest", *parts, f"--junitxml={report}", *machine.words]
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
