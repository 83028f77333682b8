"""A command that may not use AMX: Linux refuses it the tiles, and nothing else."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "quantization" / "without_amx.py"
ASK = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
def arch_prctl(code, value):
    return ctypes.get_errno() if libc.syscall(158, code, value) else 0
shadow = ctypes.c_ulong()
print(arch_prctl(0x1023, 18), arch_prctl(0x1003, ctypes.byref(shadow)))
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="AMX is of x86-64")
def test_the_tiles_are_refused_and_the_rest_is_as_before():
    ended = subprocess.run([sys.executable, SCRIPT, sys.executable, "-c", ASK, "7"], capture_output=True, text=True)
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout.split() == ["95", "0"]


def test_a_command_that_is_not_there():
    ended = subprocess.run([sys.executable, SCRIPT, "no-such-command"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
