"""The device needs no TensorFlow: in processes of their own, where TensorFlow and Keras cannot be imported."""

import json
import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from edge_artifacts import ROOT, graded_scan, values_of

from edge.cli import COMMANDS

BLOCKED = """
import importlib.abc, sys

NAMES = ("tensorflow", "keras", "tf_keras", "jax", "torch", "tf2onnx", "zoo", "train", "export")

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in NAMES:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""

OTHER_COMMANDS = {f"edge.commands.{name}" for name in COMMANDS if name != "predict"}


def python(code, *arguments):
    """Run Python code in a process of its own that says nothing on standard error; returns its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", ["folded-int8", "onnx-folded-uint8"])
def test_predict_without_tensorflow(artifacts, tmp_path, name):
    scan, out = tmp_path / "scan.nii.gz", tmp_path / "seg.nii.gz"
    nibabel.save(nibabel.Nifti1Image(graded_scan((11, 18, 12)), np.eye(4)), scan)
    code = BLOCKED + "import edge.cli; sys.exit(edge.cli.main(sys.argv[1:]))"
    python(code, "predict", str(artifacts[name]), str(scan), "-o", str(out))
    np.testing.assert_array_equal(np.asarray(nibabel.load(out).dataobj), values_of(graded_scan((11, 18, 12))))


def test_what_predict_imports(artifacts, tmp_path):
    scan, out = tmp_path / "scan.nii.gz", tmp_path / "seg.nii.gz"
    nibabel.save(nibabel.Nifti1Image(graded_scan((11, 18, 12)), np.eye(4)), scan)
    code = """
import json, sys
import edge.cli
assert edge.cli.main(sys.argv[1:] + ["--json"]) == 0
print("modules", json.dumps(sorted(sys.modules)))
"""
    printed = python(code, "predict", str(artifacts["folded-int8"]), str(scan), "-o", str(out))
    modules = set(json.loads(printed.split("modules ")[1]))
    packages = {name.split(".")[0] for name in modules}
    assert {"ai_edge_litert", "numpy", "nibabel"} <= packages
    assert not packages & {"tensorflow", "keras", "onnxruntime", "cv2", "matplotlib", "zoo", "train", "export"}
    # What nibabel, a progress bar on a terminal and the other sub-commands would load.
    assert not packages & {"pydicom", "requests", "tqdm", "skimage", "fastapi"}
    assert not {name for name in modules if name.startswith("edge.commands.")} & OTHER_COMMANDS


def test_import_edge_loads_nothing_heavy():
    code = "import sys, edge; print(len(edge.__all__), [n for n in sys.modules if n.split('.')[0] in sys.argv[1:]])"
    heavy = ["numpy", "scipy", "nibabel", "cv2", "ai_edge_litert", "onnxruntime", "tensorflow", "keras", "argparse"]
    assert python(code, *heavy).strip().endswith("[]")


def test_every_public_name_is_there():
    import edge

    assert dir(edge) == edge.__all__
    for name in edge.__all__:
        assert getattr(edge, name) is not None
    with pytest.raises(AttributeError, match="module 'edge' has no attribute 'nothing'"):
        _ = edge.nothing


def test_module_entry_point(artifacts):
    done = subprocess.run(
        [sys.executable, "-m", "edge", "info", str(artifacts["folded-int8"])],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert "core = 7" in done.stdout
    done = subprocess.run([sys.executable, "-m", "edge", "info", "absent"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m edge: error: absent: no such folder")
