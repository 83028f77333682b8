"""Memory and time of ``zoo-edge predict`` on a whole CT against its number of voxels.

    python benchmarks/device/whole_ct.py
    python benchmarks/device/whole_ct.py --slices 50 100 200 400 --artifact artifacts/ct/tflite-int8 --threads 2

Writes a synthetic CT (air, a body, an organ; 512×512, int16 NIfTI, not compressed) of every number of slices and
segments it in a process of its own, whose largest resident memory (ru_maxrss) and time it prints as a Markdown table,
with the time for a million voxels, which stays the same where time is linear. Without ``--artifact`` the network is one
multiplication a voxel (ONNX, 3 classes, patch 64×64×64), so that the time is that of everything around a network.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from edge.manifest import Manifest, Tensor
from imaging.labels import Label
from imaging.recipe import Clip, Normalise, Recipe
from medseg import record

PATCH, LIMIT_GB = (64, 64, 64), 1.5
CHILD = "import sys; from edge.cli import main; import resource; code = main(sys.argv[1:]); print(resource.getrusage("
CHILD += "resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"


def main():
    """Segment every size, print the table; exit with 1 if the largest takes more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", help="artifact folder of a 3D network of one channel")
    parser.add_argument("--slices", type=int, nargs="+", default=(100, 200, 400))
    parser.add_argument("--plane", type=int, default=512, help="voxels along each axis of a slice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where there is room (default: the temporary folder)")
    args = parser.parse_args()
    most = 0.0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        artifact = args.artifact or pointwise(Path(folder) / "artifact")
        print("| slices | million voxels | resident, GB | seconds | seconds a million |\n" + "|---" * 5 + "|")
        for slices in args.slices:
            scan, out = Path(folder) / "ct.nii", Path(folder) / "seg.nii.gz"
            write_ct(scan, (args.plane, args.plane, slices))
            began = time.perf_counter()
            words = ["predict", str(artifact), str(scan), "-o", str(out), "--threads", str(args.threads), "--json"]
            done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - began
            gigabytes = int(done.stdout.split()[-1]) * 1024 / 1e9
            most = max(most, gigabytes)
            million = args.plane**2 * slices / 1e6
            print(
                f"| {slices} | {million:.1f} | {gigabytes:.2f} | {seconds:.1f} | {seconds / million:.3f} |", flush=True
            )
    if most > LIMIT_GB:
        sys.exit(f"{most:.2f} GB resident, expected at most {LIMIT_GB}")


def write_ct(path: Path, shape) -> None:
    """A body of soft tissue with a brighter organ, in air that noise does not reach below the clip."""
    random = np.random.default_rng(0)
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    body, organ = x**2 / 0.64 + y**2 / 0.36 < 1, (x - 0.2) ** 2 + y**2 < 0.04
    plane = np.where(body, 40, -1000) + np.where(organ, 120, 0)
    noise = random.normal(0, 15, (*shape[:2], 8)).astype(np.int16)
    voxels = np.empty(shape, np.int16, order="F")
    for k in range(shape[2]):
        voxels[..., k] = plane + noise[..., k % 8] * body
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-0.8, -0.8, 1.0, 1.0])), path)


def pointwise(folder: Path) -> Path:
    """An artifact whose three classes are air, tissue and organ by intensity alone."""
    from onnx import TensorProto, helper, numpy_helper, save

    shape = (1, *PATCH, 1)
    weights = [
        numpy_helper.from_array(np.array([[0, 4, 8]], np.float32), "kernel"),
        numpy_helper.from_array(np.array([0, 2, -1], np.float32), "bias"),
    ]
    nodes = [helper.make_node("MatMul", ["x", "kernel"], ["p"]), helper.make_node("Add", ["p", "bias"], ["y"])]
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, (*shape[:-1], c))] for n, c in (("x", 1), ("y", 3))]
    model = helper.make_model(
        helper.make_graph(nodes, "pointwise", *ends, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    folder.mkdir()
    save(model, folder / "model.onnx")
    labels = (Label("background", 0), Label("tissue", 1), Label("organ", 2))
    recipe = Recipe(
        3, orientation="RAS", clip=Clip("value", -200, 300), normalise=Normalise("fixed", (50.0,), (100.0,))
    )
    sha = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    tensors = Tensor("x", shape, "float32"), Tensor("y", (*shape[:-1], 3), "float32")
    facts = ("pointwise", "onnx-float32", "model.onnx", sha, recipe, PATCH, 0.5, labels, ("CT",), False, *tensors)
    record.save(folder / "manifest.json", Manifest(*facts))
    return folder


if __name__ == "__main__":
    main()
