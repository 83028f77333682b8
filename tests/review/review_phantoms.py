"""Oblique phantoms, and a network whose answer is known in closed form, for the tests of the review."""

import gzip
import time

import nibabel
import numpy as np
from edge_artifacts import VOLUME, Tensor, build_onnx, graded_scan, write_artifact

SHAPE = (20, 24, 12)
# 30 degrees about two axes, voxels of 0.8 x 1.1 x 2.5 mm: what a label loses if it is taken for straight.
TURN = nibabel.eulerangles.euler2mat(0.5, 0.3, 0.0) @ np.diag([0.8, 1.1, 2.5])
OBLIQUE = nibabel.affines.from_matvec(TURN, [-31.5, 12.25, 40.0])


def build_artifact(folder, name="graded"):
    """An artifact folder; its labels are those of ``edge_artifacts``."""
    folder.mkdir(parents=True, exist_ok=True)
    path, shape = folder / f"{name}.onnx", (1, 8, 16, 12, 1)
    quantization = build_onnx(path, shape)
    tensors = [
        Tensor(tensor, dims, "float32", *values)
        for tensor, dims, values in zip("xy", (shape, (*shape[:-1], 3)), quantization, strict=True)
    ]
    return write_artifact(folder / name, path.read_bytes(), tensors, VOLUME, False, "onnx-float32")


def write_scans(folder, names=("case_a", "case_b", "case_c")):
    """Phantoms as NIfTI; name to voxels."""
    folder.mkdir(parents=True, exist_ok=True)
    voxels = {}
    for seed, name in enumerate(names):
        voxels[name] = graded_scan(SHAPE, seed)
        nibabel.save(nibabel.Nifti1Image(voxels[name], OBLIQUE), folder / f"{name}.nii.gz")
    return voxels


def label_file(voxels, affine=OBLIQUE, compressed=True) -> bytes:
    """A label map as nibabel writes it."""
    content = nibabel.Nifti1Image(voxels.astype(np.int16), affine).to_bytes()
    return gzip.compress(content) if compressed else content


def read_nifti(content: bytes):
    """Voxels and affine as nibabel reads them."""
    image = nibabel.Nifti1Image.from_bytes(content)
    return np.asarray(image.dataobj), image.affine


def wait_for(happened, seconds=20.0):
    """Wait until a function returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = happened()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
