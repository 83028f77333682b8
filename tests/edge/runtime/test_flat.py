"""Pictures and flat NIfTI, NRRD and MetaImage files through one 2D network whose answer tells up from down."""

import json
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest
import SimpleITK
from edge_artifacts import FLAT, LABELS, write_artifact
from edge_scans import fails

import edge
from edge.cli import main
from edge.manifest import Tensor
from edge.trust.fingerprint import Fingerprint, Range
from medseg import record

LETTER = np.zeros((14, 20), np.uint8)
LETTER[2:12, 4:6] = LETTER[2:4, 4:14] = LETTER[6:8, 4:10] = 3
# The network marks what is bright two columns to the right and one row below.
EXPECTED = np.zeros((14, 20), int)
EXPECTED[:-1, :-2] = 7 * (LETTER[1:, 2:] > 0)


def build_shifting(path, shape=(1, 16, 24, 1)):
    """An ONNX network of two classes: whether the voxel one row below and two columns to the right is above 1."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    numbers = {"starts": [1, 2], "ends": [99, 99], "axes": [1, 2], "pads": [0, 0, 0, 0, 0, 1, 2, 0]}
    weights = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    weights.append(numpy_helper.from_array(np.array([[0, 1]], np.float32), "kernel"))
    weights.append(numpy_helper.from_array(np.array([0, -1], np.float32), "bias"))
    nodes = [
        helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["cut"]),
        helper.make_node("Pad", ["cut", "pads"], ["moved"]),
        helper.make_node("MatMul", ["moved", "kernel"], ["p"]),
        helper.make_node("Add", ["p", "bias"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "shifting",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (*shape[:-1], 2))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return Tensor("x", shape, "float32"), Tensor("y", (*shape[:-1], 2), "float32")


@pytest.fixture
def shifting(tmp_path, monkeypatch):
    """Function from the recipe's orientation to an artifact."""
    monkeypatch.chdir(tmp_path)

    def make(orientation, name="shifting"):
        tensors = build_shifting(tmp_path / "model.onnx")
        content, recipe = (tmp_path / "model.onnx").read_bytes(), replace(FLAT, orientation=orientation)
        return write_artifact(tmp_path / name, content, tensors, recipe, False, "onnx-float32", labels=LABELS)

    return make


def save_nifti(path, voxels, affine):
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


AFFINES = {
    "columns to the left, rows to the back": (np.diag([-0.5, -0.7, 1.0, 1.0]), lambda picture: picture.T),
    "columns to the right, rows to the front": (
        np.array([[0.5, 0, 0, -30], [0, 0.7, 0, 12], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        lambda picture: picture.T[::-1, ::-1],
    ),
    "rows to the feet, columns to the back": (
        np.array([[0, 0, 1, 5.0], [0, -0.5, 0, 0], [-0.7, 0, 0, 0], [0, 0, 0, 1]]),
        lambda picture: picture,
    ),
}


def test_a_picture(shifting):
    cv2.imwrite("letter.png", LETTER)
    assert main(["predict", str(shifting("picture")), "letter.png", "-o", "out.png"]) == 0
    np.testing.assert_array_equal(cv2.imread("out.png", cv2.IMREAD_UNCHANGED), EXPECTED)


@pytest.mark.parametrize("name", AFFINES)
def test_a_nifti_of_the_same_letter_gets_the_same_labels_in_its_own_geometry(shifting, name):
    affine, stored = AFFINES[name]
    save_nifti("letter.nii.gz", np.ascontiguousarray(stored(LETTER)), affine)
    cv2.imwrite("letter.png", LETTER)
    artifact = str(shifting("picture"))
    for scan, out in (("letter.nii.gz", "out.nii.gz"), ("letter.png", "picture.png")):
        assert main(["predict", artifact, scan, "-o", out, "--save", "overlay,probabilities"]) == 0
    written = nibabel.load("out.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), stored(EXPECTED))
    np.testing.assert_array_equal(written.affine, nibabel.load("letter.nii.gz").affine)
    chances = np.asarray(nibabel.load("out_probabilities.nii.gz").dataobj)[:, :, 0, 1]
    np.testing.assert_array_equal(chances > 0.5, stored(EXPECTED) > 0)
    np.testing.assert_array_equal(cv2.imread("out_overlay.png"), cv2.imread("picture_overlay.png"))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_other_formats(shifting, suffix):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(LETTER), f"letter{suffix}")
    assert main(["predict", str(shifting("picture")), f"letter{suffix}", "-o", f"out{suffix}"]) == 0
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(f"out{suffix}")), EXPECTED)


def test_what_does_not_say_how_it_lies_is_refused_in_one_line(shifting, capfd):
    save_nifti("letter.nii", LETTER.T, np.eye(4))
    words = ["predict", shifting("picture"), "letter.nii", "-o", "out.nii"]
    fails(capfd, words, 1, "letter.nii: scan of shape (20, 14): its header does not say which way its axes run")
    cv2.imwrite("letter.png", LETTER)
    words = ["predict", shifting("stored", "other"), "letter.png", "-o", "out.png"]
    fails(capfd, words, 1, "letter.png", "expected a header that does not say which way the axes run")


@pytest.mark.parametrize(("measured", "orientation"), [("fine detail", "picture"), ("spacing, smallest", None)])
def test_an_artifact_of_before_that_was_trained_without_pixel_sizes_saw_pictures(shifting, measured, orientation):
    artifact = shifting(None)
    manifest = replace(edge.load_manifest(artifact), training=Fingerprint(9, {measured: Range(0.1, 0.9)}))
    record.save(artifact / "manifest.json", manifest)
    assert json.loads((artifact / "manifest.json").read_text())["recipe"]["orientation"] is None
    assert edge.load_manifest(artifact).recipe.orientation == orientation
