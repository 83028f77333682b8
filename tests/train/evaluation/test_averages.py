"""Means of scores over cases, and their table."""

import numpy as np
import pytest

from train.evaluation.averages import COLUMNS, mean_scores, means, table
from train.evaluation.report import ranked


def test_means_and_table():
    row = dict.fromkeys(("dice", "iou", "precision", "recall", "hd95", "assd", "nsd"), 0.5)
    cases = {"a": {"x": row}, "b": {"x": row | {"dice": 1.0, "hd95": np.inf}}}
    mean = mean_scores(cases)
    assert mean["x"]["dice"] == 0.75
    assert mean["x"]["hd95"] == np.inf
    lines = table({"fold": 2, "cases": cases, "mean": mean}).splitlines()
    assert lines[1].split()[:2] == ["x", "0.7500"]
    assert lines[-1].startswith("mean over 2 cases of fold 2")
    assert ranked(cases) == ("b", "a", "a")


def test_means_of_the_cases_that_hold_a_label():
    def row(dice, size):
        return dict.fromkeys(COLUMNS, dice) | {"reference_ml": size}

    cases = {
        "a": {"organ": row(0.8, 5.0), "lesion": row(0.6, 1.0)},
        "b": {"organ": row(0.9, 4.0), "lesion": row(1.0, 0.0)},
        "c": {"organ": row(1.0, 4.0), "lesion": row(0.2, 2.0)},
    }
    result = means(cases)
    assert result["mean"]["lesion"]["dice"] == pytest.approx(0.6)
    assert list(result["mean_present"]) == ["lesion"]
    assert result["mean_present"]["lesion"]["dice"] == pytest.approx(0.4)
    assert result["mean_present"]["lesion"]["cases"] == 2
    assert result["mean"] == mean_scores(cases)
    lines = table({"fold": 0, "cases": cases, **result}).splitlines()
    assert lines[3].startswith("  where present (2)")
    assert "0.4000" in lines[3]
    assert len(lines) == 5
    nowhere = mean_scores({"b": cases["b"]}, ignore_empty=True)
    assert np.isnan(nowhere["lesion"]["dice"])
