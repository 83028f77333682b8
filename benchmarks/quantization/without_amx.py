"""Run a command as on a processor without AMX: no runtime may use the matrix unit, all keep AVX-512 VNNI.

    python benchmarks/quantization/without_amx.py \\
        python benchmarks/device/peers.py artifacts/hippocampus-fold0 --model runs/hippo

Linux lets a program use AMX only after it has asked for it (arch_prctl, ARCH_REQ_XCOMP_PERM); LiteRT's XNNPACK, ONNX
Runtime, OpenVINO, oneDNN in TensorFlow and PyTorch all ask, and take their AVX-512 kernels when they are refused. A
seccomp filter, which the command and all that it starts inherit, refuses. Linux on x86-64 only.
"""

import ctypes
import os
import platform
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ARCH_PRCTL, ARCH_REQ_XCOMP_PERM = 158, 0x1023
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: a word of seccomp_data, comparison, end
NUMBER, FIRST_ARGUMENT = 0, 16  # offsets in seccomp_data
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 95  # the latter with errno EOPNOTSUPP, as a processor without AMX answers


class Instruction(ctypes.Structure):
    """``struct sock_filter`` of linux/filter.h."""

    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction))]


def refuse_amx() -> None:
    """Refuse this process, and all that it starts, the use of AMX; for good.

    Raises:
        OSError: if the system takes no filter.
    """
    steps = (
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, ARCH_PRCTL),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 0, 1, ARCH_REQ_XCOMP_PERM),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    program = Program(len(steps), (Instruction * len(steps))(*(Instruction(*step) for step in steps)))
    system = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)):
        if system.prctl(*call):
            raise OSError(ctypes.get_errno(), f"the filter was not taken: {os.strerror(ctypes.get_errno())}")


def main():
    """Become the command."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        sys.exit("without_amx: error: this needs Linux on x86-64")
    refuse_amx()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"without_amx: error: {sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
