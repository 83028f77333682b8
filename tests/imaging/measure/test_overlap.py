"""Overlap metrics, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from imaging import InputError
from imaging.measure.overlap import dice, false_negative_rate, false_positive_rate, iou, mcc, precision, recall

PAIRS = [
    (dice, metrics.f1_score),
    (iou, metrics.jaccard_score),
    (precision, metrics.precision_score),
    (recall, metrics.recall_score),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("density", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(50,), (9, 11), (5, 6, 7)])
def test_agrees_with_scikit_learn(ours, theirs, density, shape):
    rng = np.random.default_rng(int(density * 100))
    for _ in range(5):
        p, r = rng.random(shape) < density, rng.random(shape) < density
        p.flat[0] = r.flat[1] = True
        assert ours(p, r) == pytest.approx(theirs(r.ravel(), p.ravel()))


@pytest.mark.parametrize("score", [dice, iou, precision, recall])
def test_empty_masks(score):
    empty, full = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    assert score(empty, empty) == 1.0
    assert score(empty, full) == 0.0
    assert score(full, empty) == 0.0
    assert score(full, full) == 1.0


def test_known_values():
    p, r = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 1], bool)
    assert dice(p, r) == pytest.approx(4 / 7)
    assert iou(p, r) == pytest.approx(2 / 5)
    assert precision(p, r) == pytest.approx(2 / 3)
    assert recall(p, r) == pytest.approx(1 / 2)


def test_integer_masks_count_as_true():
    assert dice(np.array([2, 0]), np.array([1, 0])) == 1.0


@pytest.mark.parametrize("score", [dice, iou, precision, recall])
def test_shapes_must_agree(score):
    with pytest.raises(InputError, match=r"prediction of shape \(3,\): the reference has \(1, 3\)"):
        score(np.ones(3, bool), np.ones((1, 3), bool))


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_rates_and_correlation_are_those_of_scikit_learn(density):
    rng = np.random.default_rng(3)
    p, r = rng.random((9, 8)) < density, rng.random((9, 8)) < density
    (tn, fp), (fn, tp) = metrics.confusion_matrix(r.ravel(), p.ravel())
    assert false_positive_rate(p, r) == pytest.approx(fp / (fp + tn))
    assert false_negative_rate(p, r) == pytest.approx(fn / (fn + tp))
    assert mcc(p, r) == pytest.approx(metrics.matthews_corrcoef(r.ravel(), p.ravel()))
    assert mcc(~r, r) == pytest.approx(-1)


def test_rates_and_correlation_without_voxels():
    empty, full = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    assert (false_positive_rate(full, empty), false_positive_rate(full, full)) == (1, 0)
    assert (false_negative_rate(empty, full), false_negative_rate(full, empty)) == (1, 0)
    assert (mcc(empty, empty), mcc(full, full), mcc(full, empty), mcc(empty, full)) == (1, 1, 0, 0)


@pytest.mark.parametrize("score", [dice, iou, precision, recall])
def test_an_empty_reference_left_out(score):
    empty, full = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    assert np.isnan(score(empty, empty, ignore_empty=True))
    assert np.isnan(score(full, empty, ignore_empty=True))
    assert score(empty, full, ignore_empty=True) == 0
    assert score(full, full, ignore_empty=True) == 1
