"""One contestant in a process of its own: loads a runtime of ``export/bench/runtimes/`` and answers requests.

    python worker.py RUNTIME.py JOB.json

Requests and replies are JSON, one a line, on standard input and output. Run as a script, maybe by an interpreter that
lacks this project and is older: standard library and NumPy only.
"""

import ctypes
import importlib.util
import json
import os
import resource
import signal
import sys
import time

import numpy as np

PR_SET_PDEATHSIG = 1


class Worker:
    """What the requests act on; a method each."""

    def __init__(self, runtime, job):
        self.job = job
        began = time.perf_counter()
        spec = importlib.util.spec_from_file_location("peer_runtime", runtime)
        self.runtime = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.runtime)
        self.import_ms = 1e3 * (time.perf_counter() - began)
        self.call = None

    def prepare(self):
        """Convert or quantize."""
        return {"variants": self.runtime.prepare(self.job)}

    def open(self, variant):
        """Get ready and run once: a cold start, the runtime imported before."""
        began = time.perf_counter()
        self.call = self.runtime.open_runner(self.job, variant)
        self.call()
        first_ms = 1e3 * (time.perf_counter() - began)
        describe = getattr(self.runtime, "describe", str)
        return {"first_ms": first_ms, "import_ms": self.import_ms, "runtime": describe()}

    def run(self, uncounted, counted):
        """Run; the uncounted runs bring caches and threads back after a pause."""
        for _ in range(uncounted):
            self.call()
        spent = []
        for _ in range(counted):
            began = time.perf_counter()
            self.call()
            spent.append(1e3 * (time.perf_counter() - began))
        return {"ms": spent}

    def logits(self, file):
        """Write what the network gives."""
        np.save(file, np.asarray(self.call(), np.float32))
        return {}

    def memory(self):
        """The most that this process held at once."""
        return {"peak_bytes": peak_bytes()}


def peak_bytes():
    """Largest resident set of this process so far.

    Linux' ru_maxrss may be that of the process that started this one, VmHWM is not.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def end_with_parent():
    """Have Linux end this process when the one that started it dies: a stopped process would wait for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main():
    """Answer requests until standard input ends."""
    end_with_parent()
    runtime, job_file = sys.argv[1:]
    # The folder of this script must not shadow anything, and what a runtime prints must not be taken for a reply.
    sys.path.pop(0)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    if job.get("project"):
        sys.path.append(job["project"])
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(runtime, job)
            reply = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # whatever a runtime raises is told as its failure
            lines = [text.strip() for text in str(error).splitlines() if text.strip()]
            message = lines[0] if lines else "no message"
            reply = {"error": message if isinstance(error, ValueError) else f"{type(error).__name__}: {message}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
