"""All metrics of a case."""

import numpy as np
import pytest

from imaging import InputError, Label, score_case
from imaging.measure import overlap, surface

LABELS = (Label("background", 0), Label("anterior", 1), Label("posterior", 7))


def case(rank, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (8,) * rank), rng.integers(0, 3, (8,) * rank)


@pytest.mark.parametrize("rank", [2, 3])
def test_every_metric_is_the_one_of_its_module(rank):
    prediction, reference = case(rank)
    spacing = (0.5, 1.0, 2.0)[:rank]
    scores = score_case(prediction, reference, LABELS, spacing, tolerance_mm=0.7)
    assert list(scores) == ["anterior", "posterior"]
    for index, name in ((1, "anterior"), (2, "posterior")):
        p, r, of_label = prediction == index, reference == index, scores[name]
        for metric in ("dice", "iou", "precision", "recall"):
            assert of_label[metric] == getattr(overlap, metric)(p, r)
        for metric in ("hd95", "assd"):
            assert of_label[metric] == pytest.approx(getattr(surface, metric)(p, r, spacing))
        assert of_label["nsd"] == pytest.approx(surface.nsd(p, r, spacing, 0.7))
        assert of_label["volume_difference"] == pytest.approx((p.sum() - r.sum()) / r.sum())
        keys = ("volume_ml", "reference_ml") if rank == 3 else ("area_mm2", "reference_mm2")
        unit = np.prod(spacing) / (1000 if rank == 3 else 1)
        assert [of_label[k] for k in keys] == pytest.approx([p.sum() * unit, r.sum() * unit])
        assert {type(v) for v in of_label.values()} == {float}


def test_absent_classes():
    empty = np.zeros((4, 4, 4), np.uint8)
    scores = score_case(empty, empty, LABELS, (1, 1, 1))["anterior"]
    assert (scores["dice"], scores["hd95"], scores["nsd"], scores["volume_ml"]) == (1, 0, 1, 0)
    single = empty.copy()
    single[0, 0, 0] = 1
    scores = score_case(empty, single, LABELS, (1, 1, 1))["anterior"]
    assert (scores["dice"], scores["hd95"], scores["assd"], scores["nsd"]) == (0, np.inf, np.inf, 0)


def test_wrong_arguments():
    prediction, reference = case(3)
    with pytest.raises(InputError, match="the reference has"):
        score_case(prediction, reference[1:], LABELS, (1, 1, 1))
    with pytest.raises(InputError, match="prediction holds class indices 0 to 2; expected 0 to 1"):
        score_case(prediction, reference, LABELS[:2], (1, 1, 1))
    with pytest.raises(InputError, match="reference holds class indices -1"):
        score_case(prediction, reference - 1, LABELS, (1, 1, 1))
