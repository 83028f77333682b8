"""A network's proposal, alone and corrected by strokes."""

import cv2
import numpy as np
import pytest
from edge_artifacts import LABELS, graded_scan, values_of

import edge
from edge.annotate import annotate
from imaging import InputError, Scan
from imaging.classical.seeds.strokes import Stroke
from zoo.commands.annotate import main


@pytest.fixture(scope="module")
def segmenter(artifacts):
    return edge.load(artifacts["native-float"])


def test_without_strokes_it_is_the_network(segmenter):
    scan = Scan(graded_scan((8, 16, 12))[..., None], np.diag([1.0, 1.0, 2.0, 1.0]))
    annotation = annotate(segmenter, scan)
    np.testing.assert_array_equal(annotation.labels.voxels[..., 0], values_of(scan.voxels[..., 0]))
    np.testing.assert_array_equal(annotation.labels.affine, scan.affine)
    probabilities = segmenter.predict(
        scan, options=edge.runtime.options.Options(outputs=edge.runtime.options.Outputs(probabilities=True))
    ).probabilities.voxels
    expected = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(-1) / np.log(len(LABELS))
    np.testing.assert_allclose(annotation.uncertainty.voxels[..., 0], expected, atol=1e-4)


def test_a_stroke_corrects_its_surroundings(segmenter):
    voxels = np.zeros((20, 24, 22), np.float32)
    voxels[5:15, 6:18, 5:16] = 1.0
    noise = np.random.default_rng(0).normal(0, 0.08, voxels.shape)  # far from the limits of the classes
    scan = Scan((voxels + noise).astype(np.float32)[..., None], np.eye(4))
    before = annotate(segmenter, scan).labels.voxels[..., 0]
    after = annotate(segmenter, scan, [Stroke("point", 300, ((10.0, 12.0, 10.0),))]).labels.voxels[..., 0]
    block = voxels > 0
    assert set(np.unique(before[block])) == {7}
    assert np.mean(after[block] == 300) > 0.9
    assert np.mean(after[~block] == before[~block]) > 0.99
    with pytest.raises(InputError, match="label 5 is none of the proposal's; expected 0, 7, 300"):
        annotate(segmenter, scan, [Stroke("point", 5, ((4.0, 6.0, 5.0),))])


def test_grey_that_is_stored_as_colour_is_taken_as_predict_takes_it(artifacts, tmp_path):
    grey = graded_scan((40, 50)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "scan.png"), np.repeat(grey[..., None], 3, axis=-1))
    out = tmp_path / "labels.png"
    assert (
        main(["annotate", str(tmp_path / "scan.png"), "--artifact", str(artifacts["flat-int8"]), "-o", str(out)]) == 0
    )
    np.testing.assert_array_equal(cv2.imread(str(out), cv2.IMREAD_UNCHANGED), values_of(grey))
