"""A process with the device's packages loaded, which forks a child for each command and reports how that ended.

Run as a script: a request is a JSON line on standard input, ``{"command": [...], "folder": ...}``, a reply a JSON line
on standard output. The child runs in ``folder`` under a limit of memory, and an audit hook notes what no reader should
do: connections, other programs, files opened for writing elsewhere than below ``folder``.
"""

import importlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time

PRELOADED = (
    "numpy", "scipy.ndimage", "nibabel", "cv2", "h5py", "ai_edge_litert.interpreter", "onnxruntime", "edge.cli",
    "edge.runtime.segmenter", "edge.cases", "pydicom.pixels",
    "SimpleITK", "tifffile", "zoo.cli", "zoo.legacy", "train.cli",
)  # fmt: skip
# Beyond what the packages take: a child that asks for more gets MemoryError rather than the machine's memory.
SPARE_BYTES = 1 << 30
WALL_SECONDS = 40
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request", "http.client.connect")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")


def main() -> None:
    """Answer requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=replies, flush=True)


def answer(command, folder) -> dict:
    """Run a command in a child: status, standard error, seconds of processor time, peak memory in bytes, misdeeds."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as misdeeds:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                os.chdir(folder)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(errors.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                limit()
                watch(os.path.realpath(folder), misdeeds.fileno())
                status = run(command)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        state, usage = wait(child)
        errors.seek(0)
        misdeeds.seek(0)
        return {
            "status": os.waitstatus_to_exitcode(state),
            "said": errors.read().decode("utf-8", "replace"),
            "seconds": usage.ru_utime + usage.ru_stime,
            "peak": usage.ru_maxrss * 1024,
            "misdeeds": misdeeds.read().decode("utf-8", "replace").splitlines(),
        }


def run(command) -> int:
    """The exit status of ``zoo-edge ...``, ``zoo ...`` or ``call MODULE FUNCTION ARGUMENTS``."""
    program, *words = command
    if program == "call":
        from medseg.command import run as run_command

        return run_command(_Call(*words))
    return importlib.import_module({"zoo-edge": "edge.cli", "zoo": "zoo.cli"}[program]).main(words)


class _Call:
    """A Python function where the command line has no word for it, called as a command is."""

    prog = "call"

    def __init__(self, module, function, *words):
        self._call = lambda args: getattr(importlib.import_module(module), function)(*words) and 0

    def parse_args(self, argv):
        """What ``argparse`` would return."""
        import argparse

        return argparse.Namespace(handler=self._call)


def limit() -> None:
    """Hold this process to ``SPARE_BYTES`` more addresses than it has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + SPARE_BYTES, taken + SPARE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watch(folder, notes) -> None:
    """Note network, programs and files opened for writing outside ``folder``."""
    own = (folder + os.sep, os.path.realpath(tempfile.gettempdir()) + os.sep + "medseg", os.devnull, "/dev/tty")

    def hook(event, args):
        said = None
        if event == "subprocess.Popen" and "zoo.legacy.reading" in str(args[1]):
            return  # HDF5 is read in a process of its own
        if event in _NETWORK or event in _PROGRAMS:
            said = f"{event} {args!r}"
        elif event == "open" and isinstance(args[0], str | bytes) and isinstance(args[2], int):
            path = os.path.realpath(os.fsdecode(args[0]))
            # The folder itself is opened to write a file that never gets a name (O_TMPFILE).
            inside = path == folder or path.startswith(own)
            if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not inside:
                said = f"open {path}"
        if said is not None:
            os.write(notes, (said[:300] + "\n").encode("utf-8", "replace"))

    sys.addaudithook(hook)


def wait(child):
    """State and usage of an ended child, which is killed if it hangs."""
    handle = os.pidfd_open(child)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if not poll.poll(WALL_SECONDS * 1000):
        os.kill(child, signal.SIGKILL)
        time.sleep(0)
    os.close(handle)
    _, state, usage = os.wait4(child, 0)
    return state, usage


if __name__ == "__main__":
    main()
