"""Runtimes made up for the tests of ``zoo bench``: what they do and how long is known."""

import json
from pathlib import Path

import numpy as np

from export.bench.process import Contestant

SOURCE = """
import os, threading, time
import numpy as np

def prepare(job):
    if job.get("refuses"):
        raise ValueError(job["refuses"])
    return [{"how": how, "ms": ms, "files": [job["input"]]} for how, ms in job["variants"].items()]

def open_runner(job, variant):
    if variant["ms"] is None:
        raise RuntimeError("no kernel for it\\nand more lines")
    if job.get("dies"):
        print("what a runtime prints")
        os.write(2, b"first line\\nKilled by a bug\\n")
        os._exit(7)
    patch = np.load(job["input"])
    if job.get("spins"):
        threading.Thread(target=spin, args=(job["spins"],), daemon=True).start()
    def call():
        print("a runtime that prints")
        time.sleep(variant["ms"] / 1000)
        with open(job["log"], "a") as log:
            log.write(job["name"] + "\\\\n")
        return np.concatenate([0 * patch, patch - job.get("threshold", 0)], axis=-1)
    return call

def spin(file):
    with open(file, "a") as log:
        while True:
            log.write(repr(time.monotonic()) + "\\\\n")
            log.flush()
            time.sleep(0.001)

def describe():
    return "Pretender 1.2"
""".replace("\\\\n", "\\n")


class Pretenders:
    """Contestants that share a patch (4, 4, 4, 1) and a log of who ran."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.runtime, self.log = folder / "pretender.py", folder / "log.txt"
        self.runtime.write_text(SOURCE, encoding="utf-8")
        self.patch = np.random.default_rng(0).standard_normal((4, 4, 4, 1), np.float32)
        np.save(folder / "input.npy", self.patch)

    def __call__(self, name: str, ms=1.0, **job) -> Contestant:
        """One whose run takes ``ms``, or with a dict several variants of it."""
        variants = ms if isinstance(ms, dict) else {"": ms}
        job |= {"name": name, "variants": variants, "input": str(self.folder / "input.npy"), "log": str(self.log)}
        return Contestant(name, self.runtime, json.loads(json.dumps(job)), peer=True)

    def ran(self) -> list[str]:
        """Names in the order of the runs."""
        return self.log.read_text(encoding="utf-8").split()
