"""The same artifact and scan on this machine and on emulated ARM64: does every voxel get the same label?

    python benchmarks/device/arm64.py --artifact ARTIFACT --scan SCAN --work FOLDER

What it does, all of it below FOLDER, which may be kept for the next time (a Debian machine, no root needed):
1. Fetches with apt-get, with package lists of its own, qemu-user of Debian 13 for this machine (7.2, of Debian 12,
   crashes in ai-edge-litert; 10.0 does not) and Python, the C and the C++ library for arm64, from the mirror that this
   machine uses, and unpacks them; nothing is installed.
2. `pip download`s the aarch64 wheels of NumPy and of the runtimes, and unpacks them.
3. Segments SCAN with ARTIFACT here, keeping every patch as the model file takes it.
4. Runs the model file on those patches with the ARM64 Python under qemu, one process a runtime.
5. Puts the answers through the same post-processing, and compares: labels of all voxels, and stored output values.

TFLite artifacts run on ai-edge-litert, ONNX artifacts on ONNX Runtime and those of OpenVINO on OpenVINO, each of the
version installed here, and must give the same labels. TFLite artifacts also run on tflite-runtime 2.14, for
information: it rounds in fixed point where XNNPACK rounds in float, on whatever processor. Emulation says nothing of
speed.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
from arm64_packages import fetch_packages, fetch_wheel, metadata_version, run

INFER = Path(__file__).resolve().with_name("arm64_infer.py")
SYSTEM = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
NUMPY = "numpy==1.26.4"  # tflite-runtime is built for NumPy 1


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A runtime to emulate.

    Attributes:
        module: what the ARM64 Python imports.
        requirement: what pip fetches.
        same: the version is the one installed here, so that every label must agree.
    """

    module: str
    requirement: str
    same: bool = True


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What one runtime gave under emulation, against this machine's."""

    runtime: str
    same_version: bool
    voxels: int
    labels_differ: int
    values: int
    values_differ: int
    largest_difference: int


def runtimes(format: str) -> list[Runtime]:
    """The runtimes for a format's model file."""
    if format.startswith("onnx"):
        return [Runtime("onnxruntime", f"onnxruntime=={metadata.version('onnxruntime')}")]
    if format.startswith("openvino"):
        version = ".".join(metadata.version("openvino").split(".")[:3])
        return [Runtime("openvino", f"openvino=={version}")]
    litert = Runtime("ai_edge_litert", f"ai-edge-litert=={metadata.version('ai-edge-litert')}")
    return [litert, Runtime("tflite_runtime", "tflite-runtime==2.14.0", same=False)]


class Recorder:
    """Stands before a runner and keeps every patch and its answer as the model file stores them."""

    def __init__(self, runner, manifest):
        self.runner, self.manifest, self.patches, self.answers = runner, manifest, [], []

    def run(self, patch):
        """As the runner's."""
        from edge.runtime.tensors import quantise

        given, answer = self.manifest.input, self.manifest.output
        self.patches.append(quantise(patch, given).reshape(given.shape))
        logits = self.runner.run(patch)
        self.answers.append(quantise(logits, answer).reshape(answer.shape))
        return logits


class Replay:
    """Stands for a runner: gives stored answers, one a call."""

    def __init__(self, answers, manifest):
        self.answers, self.manifest = iter(answers), manifest

    def run(self, patch):
        """As a runner's; ``patch`` is the one that the next answer is for."""
        from edge.runtime.tensors import dequantise

        logits = dequantise(next(self.answers), self.manifest.output)
        return logits.reshape(*self.manifest.patch, -1)


def emulate(work: Path, runtime: Runtime, model: Path, patches: Path):
    """Run a model file under emulation.

    Returns:
        Its stored answers, and the runtime with its version and the machine that it saw.
    """
    host = run(["dpkg", "--print-architecture"]).strip()
    qemu = fetch_packages(work, host, "trixie", ["qemu-user"]) / "usr/bin/qemu-aarch64"
    root = fetch_packages(work, "arm64", "bookworm", SYSTEM)
    (python,) = (root / "usr/bin").glob("python3.[0-9]*")
    version = python.name.removeprefix("python")
    places = [fetch_wheel(work, requirement, version) for requirement in (NUMPY, runtime.requirement)]
    answer = work / f"{runtime.module}.npy"
    answer.unlink(missing_ok=True)
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PYTHONHOME": str(root / "usr"),
        "LC_ALL": "C.UTF-8",
    }
    command = [qemu, "-L", root, python, "-S", INFER, runtime.module, model, patches, answer]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode or not answer.exists():
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"status {done.returncode}"]
        sys.exit(f"{runtime.requirement} under {qemu.name}: failed: {said[0]}")
    machine, _, reported = done.stdout.strip().splitlines()[-1].partition(" ")
    return np.load(answer), f"{runtime.module} {reported or metadata_version(places[-1])}, {machine}"


def compare(name, same, labels, reference, answers, expected) -> Agreement:
    """Count what differs in labels and in stored output values."""
    difference = np.abs(np.asarray(answers, np.float64) - np.asarray(expected, np.float64))
    return Agreement(
        name, same, reference.size, int(np.count_nonzero(labels != reference)), difference.size,
        int(np.count_nonzero(difference)), float(difference.max()),
    )  # fmt: skip


def main() -> int:
    """Fetch, run both, print the table; 1 if the same version of a runtime gives another label."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, action="append", required=True, help="artifact folder; repeatable")
    parser.add_argument("--scan", required=True, help="a scan that it segments")
    parser.add_argument("--work", type=Path, required=True, help="folder for packages, about 700 MB")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import edge
    import imaging
    from edge.runtime.segmenter import Segmenter

    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for artifact in args.artifact:
        here = edge.load(artifact, threads=1)
        manifest = here.manifest
        recorder = Recorder(here.runner, manifest)
        scan = imaging.read(args.scan)
        reference = Segmenter(manifest, recorder).predict(scan).labels.voxels
        patches, model = args.work / "patches.npy", artifact / manifest.model
        np.save(patches, np.stack(recorder.patches))
        for runtime in runtimes(manifest.format):
            answers, name = emulate(args.work.resolve(), runtime, model.resolve(), patches.resolve())
            labels = Segmenter(manifest, Replay(answers, manifest)).predict(scan).labels.voxels
            expected = np.stack(recorder.answers)
            rows.append((manifest.format, compare(name, runtime.same, labels, reference, answers, expected)))
    print(f"Reference: this machine ({os.uname().machine}), ai-edge-litert {metadata.version('ai-edge-litert')}, "
          f"onnxruntime {metadata.version('onnxruntime')}\n")  # fmt: skip
    print("| artifact | emulated | voxels | labels that differ | output values | that differ | largest difference |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for format, row in rows:
        print(f"| {format} | {row.runtime} | {row.voxels} | {row.labels_differ} | {row.values} | {row.values_differ} "
              f"| {row.largest_difference:g} |")  # fmt: skip
    return int(any(row.labels_differ and row.same_version for _, row in rows))


if __name__ == "__main__":
    sys.exit(main())
