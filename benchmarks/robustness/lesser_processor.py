"""Run a command as on an older processor: no runtime finds VNNI, and with ``avx2`` none finds AVX-512 either.

    python benchmarks/robustness/lesser_processor.py avx2 python -m pytest tests/export
    python benchmarks/robustness/lesser_processor.py avx512 zoo-edge bench artifacts/hippocampus

``avx2`` passes for an AMD Zen 3 or an Intel Haswell to Coffee Lake, ``avx512`` for a Skylake server. TensorFlow,
XNNPACK, ONNX Runtime, OpenVINO and PyTorch all ask the instruction CPUID what there is; lesser_processor.c answers it,
for the command and all that it starts. Linux on x86-64 whose processor can make CPUID fault ("cpuid_fault" in
/proc/cpuinfo), with a C compiler. /proc/cpuinfo itself still lists everything.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

LEVELS = ("avx2", "avx512")
SOURCE = Path(__file__).with_suffix(".c")


def can_pass() -> bool:
    """Whether this machine can pass for a lesser one."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    return "cpuid_fault" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()


def main() -> int:
    """Run the command; returns its exit status."""
    if len(sys.argv) < 3 or sys.argv[1] not in LEVELS:
        sys.exit(__doc__)
    if not can_pass():
        sys.exit("expected Linux on x86-64 with cpuid_fault in /proc/cpuinfo; run it on another machine")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lesser_processor.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        environment = os.environ | {"LD_PRELOAD": str(library), "LESSER_PROCESSOR": sys.argv[1]}
        return subprocess.run(sys.argv[2:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
