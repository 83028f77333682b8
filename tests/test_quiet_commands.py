"""No log line of TensorFlow, absl, XNNPACK or CUDA and, where a file takes it down, no progress bar in any command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import write_dataset

ROOT = Path(__file__).parents[1]

# As a command does in a process of its own, for one after the other: TensorFlow is imported once.
CODE = """
import json, sys
from medseg.quiet import hide_native_logs
hide_native_logs()
from zoo.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    assert status == 0, (words, status)
"""


def run(*words, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The process that ran all commands, and the folder that it ran in."""
    here = tmp_path_factory.mktemp("quiet")
    write_dataset(here / "data", cases=5)
    run_options = ["--epochs", "1", "--steps-per-epoch", "1", "--batch", "1", "--cache", "cache"]
    commands = [
        ["plan", "data", "-o", "plan.json", "--max-params", "200k"],
        ["train", "data", "--plan", "plan.json", "--out", "run", *run_options],
        ["evaluate", "run"],
        ["export", "run", "--format", "tflite-float32", "--out", "artifacts", "--ship-anyway"],
        ["predict", "run", "data/imagesTr", "-o", "by_run"],
        ["predict", "artifacts/tflite-float32", "data/imagesTr", "-o", "by_artifact"],
        ["bench", "artifacts/tflite-float32", "--rounds", "1", "--warmup", "1"],
        ["data", "phantom", "-o", "phantoms", "--cases", "2"],
    ]
    return run("-c", CODE, json.dumps(commands), cwd=here), here


def test_nothing_but_our_own_words(ended):
    process, _ = ended
    assert process.returncode == 0, process.stderr
    said = [line for line in process.stderr.splitlines() if not line.startswith("network 'unet3d'")]
    # Our own words: that patients' data lie there from now on, which is said once.
    assert [line.partition(",")[0] for line in said] == ["cache: made for preprocessed scans"]
    for library in ("TensorFlow", "tensorflow", "oneDNN", "CUDA", "cuda", "absl"):
        assert library not in process.stdout


def test_run_and_artifact_segment_alike(ended):
    import numpy as np

    import imaging

    _, here = ended
    for file in sorted((here / "by_run").iterdir()):
        by_run, by_artifact = (imaging.read_labels(here / by / file.name).voxels for by in ("by_run", "by_artifact"))
        assert np.mean(by_run != by_artifact) < 0.01


def test_the_device_in_a_process_of_its_own(ended):
    _, here = ended
    words = ("-m", "edge", "predict", "artifacts/tflite-float32", "data/imagesTr/case_00.nii.gz", "-o", "one.nii.gz")
    process = run(*words, cwd=here)
    assert (process.returncode, process.stderr) == (0, "")
