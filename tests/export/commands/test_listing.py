"""What ``zoo export --list`` says a format costs: measured where there is an artifact, and never invented."""

import hashlib
import json

import pytest
from export_runs import write_run

from export.commands import listing
from export.commands.listing import FIGURES, REFERENCE, figures, listed, table
from export.formats import FORMATS
from medseg.errors import InputError
from zoo.cli import main

# They came after the last run of benchmarks/quantization/format_figures.py, which times all of them.
UNMEASURED = {"openvino-float32", "openvino-int8"}
MEASURED = {
    "network": "balls",
    "patch": [8, 8, 8],
    "threads": 2,
    "machine": "a machine",
    "formats": {
        "tflite-float32": {"size_bytes": 4000, "median_ms": 10.0, "min_ms": 9.0, "drop": 0.0, "verdict": "99.9 %"},
        "tflite-int8": {"size_bytes": 1000, "median_ms": 2.5, "min_ms": 2.0, "drop": 0.001, "verdict": "99.9 %"},
        "onnx-int8": {"size_bytes": 1200, "median_ms": 4.0, "min_ms": 3.0, "drop": 0.002, "verdict": "99 %"},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("listing"))


def write_artifact(folder, name, size, ms):
    """An artifact folder with just what the list reads."""
    (folder / "model.bin").parent.mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(size))
    tensor = {"name": "x", "shape": [1, 8, 8, 8, 1], "dtype": "float32"}
    manifest = {
        "name": name, "format": folder.name, "model": "model.bin", "recipe": {"rank": 3},
        "sha256": hashlib.sha256(bytes(size)).hexdigest(),
        "patch": [8, 8, 8], "overlap": 0.5, "labels": [{"name": "b", "value": 0}, {"name": "c", "value": 1}],
        "channels": ["image"], "folded": False, "input": tensor, "output": tensor | {"shape": [1, 8, 8, 8, 2]},
        "fidelity": {"verdict": "99.9 %", "labels": {"c": {"dice_drop": 0.003}}}, "schema": 1,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    runs = [{"threads": 1, "median_ms": 2 * ms}, {"threads": 2, "median_ms": ms}]
    (folder / "report.json").write_text(json.dumps({"latency": {"runs": runs}}))


def test_relative_figures_are_those_of_the_file():
    rows = {row["name"]: row for row in listed(measured=MEASURED)}
    assert list(rows) == list(FORMATS)
    assert rows["tflite-int8"]["relative"] == {"size": 0.25, "ms": 0.25, "drop": 0.001}
    assert rows["onnx-float32"]["relative"] is None
    assert all(row["size_bytes"] is None for row in rows.values())
    text = table(list(rows.values()), MEASURED)
    assert "25%  0.25x  +0.0010" in text
    assert "balls, patch 8 × 8 × 8, 2 threads, a machine" in text


def test_nothing_is_said_that_nobody_measured():
    rows = listed(measured={})
    assert all(row["relative"] is None and row["ms"] is None for row in rows)
    text = table(rows, {})
    assert "not been measured" in text
    assert "%" not in text


def test_artifacts_of_the_run_and_estimates_from_them(run, tmp_path):
    write_artifact(tmp_path / "tflite-int8", "balls-balls", 3000, 5.0)
    rows = {row["name"]: row for row in listed(run, tmp_path, MEASURED)}
    real, guess = rows["tflite-int8"], rows["onnx-int8"]
    assert (real["size_bytes"], real["ms"], real["threads"], real["estimated"]) == (3000, 5.0, 2, False)
    assert (real["verdict"], real["drop"]) == ("99.9 %", 0.003)
    assert (guess["size_bytes"], guess["ms"], guess["estimated"]) == (3600, pytest.approx(8.0), True)
    assert guess["verdict"] is None
    assert rows[REFERENCE]["size_bytes"] == 12000
    assert rows["onnx-float32"]["size_bytes"] is None
    text = table(list(rows.values()), MEASURED)
    assert "~0.00" in text
    assert "~8.0" in text


def test_artifacts_of_another_network_are_refused(run, tmp_path):
    write_artifact(tmp_path / "tflite-int8", "cubes-unet3d", 3000, 5.0)
    with pytest.raises(InputError, match="was made of cubes-unet3d, not of balls-balls"):
        listed(run, tmp_path, MEASURED)
    with pytest.raises(InputError, match="not a finished run"):
        listed(tmp_path, tmp_path, MEASURED)


def test_artifacts_beside_the_run_are_found(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path)
    runs = tmp_path / "runs"
    runs.mkdir()
    run = run.rename(runs / "mine")
    write_artifact(tmp_path / "artifacts" / "mine" / "onnx-int8", "balls-balls", 1200, 4.0)
    monkeypatch.setattr(listing, "figures", dict)
    assert main(["export", str(run), "--list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["onnx-int8"]["size_bytes"] == 1200
    assert rows["tflite-int8"]["size_bytes"] is None
    assert main(["export", "--list"]) == 0
    assert "the fastest and smallest" in capsys.readouterr().out


def test_shipped_figures_are_complete_where_there_are_any():
    kept = figures()
    if not FIGURES.is_file():
        assert kept == {}
        return
    assert set(kept["formats"]) <= set(FORMATS)
    assert all(row["median_ms"] > 0 and row["size_bytes"] > 0 for row in kept["formats"].values())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"latency": null}',
        '{"latency": {"runs": 3}}',
        '{"latency": {"runs": [{"threads": 1}]}}',
        '{"latency": {"runs": [{"threads": 1, "median_ms": "fast"}]}}',
        '{"latency": {"runs": [{"threads": 1, "median_ms": NaN}]}}',
    ],
)
def test_a_damaged_report_is_one_line(run, tmp_path, capsys, content):
    write_artifact(tmp_path / "tflite-int8", "balls-balls", 3000, 5.0)
    report = tmp_path / "tflite-int8" / "report.json"
    report.write_text(content)
    assert main(["export", str(run), "--list", "--out", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"zoo: error: {report}: ")
    assert message.endswith("; export tflite-int8 again\n")
    assert message.count("\n") == 1


@pytest.mark.parametrize("labels", [3, {"c": 3}, {"c": {}}, {"c": {"dice_drop": "none"}}])
def test_damaged_scores_in_a_manifest_are_one_line(run, tmp_path, labels):
    write_artifact(tmp_path / "tflite-int8", "balls-balls", 3000, 5.0)
    path = tmp_path / "tflite-int8" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"fidelity": {"labels": labels}}))
    with pytest.raises(InputError, match=r"manifest.json: expected fidelity.labels, .*; export tflite-int8 again"):
        listed(run, tmp_path, MEASURED)


def test_a_report_that_timed_nothing(run, tmp_path):
    write_artifact(tmp_path / "tflite-int8", "balls-balls", 3000, 5.0)
    (tmp_path / "tflite-int8" / "report.json").write_text('{"latency": {"runs": []}}')
    rows = {row["name"]: row for row in listed(run, tmp_path, MEASURED)}
    assert (rows["tflite-int8"]["ms"], rows["tflite-int8"]["threads"]) == (None, None)
