"""Flat cases are drawn as they lie: a letter in a PNG, and in a NIfTI file of the patient's axes, looks the same."""

import nibabel
import numpy as np
import pytest
from PIL import Image

import imaging
from export.artifact import overlay
from export.verify.fidelity import WorstCase
from train.evaluation.figures import draw_overlay

# Rows and columns of an F, all of whose turned and mirrored copies differ.
LETTER = np.zeros((24, 18), np.uint8)
LETTER[3:21, 3:6] = LETTER[3:6, 3:15] = LETTER[10:13, 3:11] = 200
STEPS = {".png": (1, 1), ".nii": (2, 0.5)}


def read(folder, suffix):
    """The letter, and its label map on the grid of the file."""
    path = folder / f"letter{suffix}"
    if suffix == ".png":
        Image.fromarray(LETTER).save(path)
    else:  # columns first, which run to the patient's left, and rows to the back
        affine = np.diag([-0.5, -2.0, 1.0, 1.0])
        affine[:3, 3] = 20, 30, 40
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(LETTER.T), affine), path)
    scan = imaging.read(path)
    return scan, (scan.voxels[..., 0] > 0).astype(int)


def outlines(axes):
    """Columns and rows between which each outline lies, rounded."""
    paths = [np.concatenate([path.vertices for path in part.get_paths()]) for part in axes.collections]
    return {(*np.rint(points.min(0)).astype(int), *np.rint(points.max(0)).astype(int)) for points in paths}


@pytest.mark.parametrize("suffix", STEPS)
def test_report(tmp_path, suffix):
    scan, labels = read(tmp_path, suffix)
    axes = draw_overlay(scan, labels, labels, ["background", "letter"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array() > 0, LETTER > 0)
    assert axes.images[0].origin == "upper"
    rows, columns = STEPS[suffix]
    assert axes.get_aspect() == pytest.approx(rows / columns)
    assert all(np.allclose(box, (2.5, 2.5, 14.5, 20.5), atol=0.51) for box in outlines(axes)), outlines(axes)


@pytest.mark.parametrize("suffix", STEPS)
def test_artifact(tmp_path, monkeypatch, suffix):
    from matplotlib.axes import Axes

    shown, plain = [], Axes.imshow

    def imshow(axes, image, **words):
        shown.append(image)
        return plain(axes, image, **words)

    monkeypatch.setattr(Axes, "imshow", imshow)
    scan, labels = read(tmp_path, suffix)
    classes = (imaging.labels.Label("background", 0), imaging.labels.Label("letter", 1))
    assert overlay.draw(WorstCase("letter", 0.0, scan, labels, labels, labels), classes).startswith(b"\x89PNG")
    np.testing.assert_array_equal(shown[0] > 0, LETTER[:, : 15 + overlay.MARGIN] > 0)
