"""Runs side by side: shared cases, statistics, what is written, and what cannot be compared."""

import json

import matplotlib.image
import numpy as np
import pytest
import scipy.stats

from medseg.errors import InputError, UsageError
from train.comparison.compare import compare
from train.comparison.results import read_scores
from zoo.cli import main

METRICS = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd")


def write_run(folder, dice, hd95=2.0, labels=("near",), **more):
    """A folder with scores: case name to Dice."""
    folder.mkdir(parents=True)
    rows = {
        name: {label: dict.fromkeys(METRICS, 0.5) | {"dice": value, "hd95": hd95} for label in labels}
        for name, value in dice.items()
    }
    (folder / "metrics.json").write_text(json.dumps({"cases": rows, **more}))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two runs that share twenty cases of ten patients, each with one more."""
    chance = np.random.default_rng(0)
    first = {f"p{n:02d}_{phase}": float(chance.uniform(0.7, 0.9)) for n in range(10) for phase in ("ED", "ES")}
    second = {name: value + float(chance.normal(0.03, 0.02)) for name, value in first.items()}
    a = write_run(tmp_path / "runs" / "a", first | {"extra_a": 0.1})
    b = write_run(tmp_path / "runs" / "b", second | {"extra_b": 0.1})
    return a, b, first, second


def test_shared_cases_alone_count(runs):
    a, b, first, second = runs
    comparison = compare([read_scores(a), read_scores(b)])
    assert comparison.cases == tuple(sorted(first))
    assert set(comparison.patients.values()) == {f"p{n:02d}" for n in range(10)}
    assert comparison.left_out == {str(a): 1, str(b): 1}
    change = np.array([second[name] - first[name] for name in sorted(first)])
    reference, row = comparison.rows
    assert reference.paired is None
    assert reference.mean.mean == pytest.approx(np.mean(list(first.values())))
    assert row.paired.p == pytest.approx(scipy.stats.wilcoxon(change).pvalue)
    assert row.paired.difference.mean == pytest.approx(change.mean())
    assert row.paired.difference.low < change.mean() < row.paired.difference.high
    assert row.p == row.paired.p  # a single comparison


def test_the_command_writes_table_page_and_plot(runs, tmp_path, capsys):
    a, b, *_ = runs
    page, picture = tmp_path / "compare.html", tmp_path / "compare.png"
    assert main(["compare", str(a), str(b), "--out", str(page)]) == 0
    said = capsys.readouterr().out
    assert "20 shared cases of 10 patients" in said
    assert "1 cases that others lack are left out" in said
    assert "reference" in said
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 1
    assert "<td>p00_ED</td>" in text
    assert "http" not in text
    assert main(["compare", str(a), str(b), "--out", str(picture), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"][1]["larger"] + printed["rows"][1]["smaller"] == 20
    assert matplotlib.image.imread(picture).std() > 0.02
    assert main(["compare", str(a), str(b), "--out", str(tmp_path / "compare.svg")]) == 0
    assert "<svg" in (tmp_path / "compare.svg").read_text()


def test_of_several_comparisons_p_is_adjusted(runs, tmp_path):
    a, b, first, _ = runs
    c = write_run(tmp_path / "runs" / "c", {name: value + 0.001 * n for n, (name, value) in enumerate(first.items())})
    rows = compare([read_scores(run) for run in (a, b, c)]).rows
    raw, adjusted = ([row.paired.p if kind else row.p for row in rows[1:]] for kind in (True, False))
    assert adjusted == pytest.approx(
        [min(1, 2 * min(raw)) if p == min(raw) else max(raw[1], 2 * min(raw)) for p in raw]
    )


def test_patients_of_the_scores_and_infinite_distances(tmp_path):
    patients = {"a": "x", "b": "x", "c": "y"}
    first = write_run(tmp_path / "one", {"a": 0.1, "b": 0.2, "c": 0.3}, hd95=float("inf"), patients=patients)
    second = write_run(tmp_path / "two", {"a": 0.2, "b": 0.3, "c": 0.4})
    comparison = compare([read_scores(first), read_scores(second)])
    assert comparison.patients == patients
    with pytest.raises(InputError, match="3 pairs, none of them finite"):
        compare([read_scores(first), read_scores(second)], "hd95")


def test_external_tests_of_runs(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path / name, {"a": 0.5})
        write_run(tmp_path / name / "external" / "north", {"b": 0.5})
    scores = [read_scores(tmp_path / name, "north") for name in ("one", "two")]
    assert compare(scores).cases == ("b",)
    assert scores[0].name == f"{tmp_path / 'one'} on north"
    with pytest.raises(InputError, match="no external test of the name 'west'; it was tested on north"):
        read_scores(tmp_path / "one", "west")


def test_what_cannot_be_compared(runs, tmp_path, capsys):
    a, b, *_ = runs
    elsewhere = write_run(tmp_path / "other", {"q": 0.5})
    liver = write_run(tmp_path / "liver", {"p00_ED": 0.5}, labels=("liver",))
    for words, status, says in (
        ([a, elsewhere], 1, "have no case in common; score them on the same folder or fold"),
        ([a, liver], 1, "share no label with dice"),
        ([a], 2, "1 run: expected two or more"),
        ([a, a], 2, "is given twice"),
        ([a, b, "--metric", "nope"], 2, "metric 'nope': expected one of dice"),
        ([a, b, "--out", "x.doc"], 2, "expected one of .html"),
        ([a, tmp_path / "none"], 1, "no such run folder"),
        ([a, tmp_path], 1, "holds no scores, metrics.json is missing"),
    ):
        assert main(["compare", *map(str, words)]) == status
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert says in lines[0]


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"cases": {}}',
        '{"cases": {"a": {}}}',
        '{"cases": {"a": {"x": {"iou": 1}}}}',
        '{"cases": {"a": {"x": {"dice": "1"}}}}',
        '{"cases": {"a": {"x": {"dice": 1}}, "b": {"y": {"dice": 1}}}}',
        '{"cases": {"a": {"x": {"dice": 1}}}, "patients": {"b": 1}}',
        "nonsense",
    ],
)
def test_files_that_hold_no_scores(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(InputError, match=r"metrics\.json: "):
        read_scores(tmp_path / "metrics.json")
    with pytest.raises(UsageError, match="expected two or more"):
        compare([])
