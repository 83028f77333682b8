"""The report of an artifact: what it says is what was measured, and it holds everything itself."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from export_runs import write_run

import edge
from export.artifact.folder import export_run
from export.artifact.overlay import draw
from export.artifact.report import by_precision
from export.conversion.operators import Operator
from export.device import latency
from export.quantize import calibration as calibrate
from export.source.source import open_source
from export.verify.fidelity import WorstCase
from imaging.labels import Label
from imaging.scan import Scan

FORMATS = ("tflite-int8", "onnx-float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run folder, and artifact folders by format."""
    run = write_run(tmp_path_factory.mktemp("report"))
    folders = export_run(run, FORMATS, tmp_path_factory.mktemp("out"), tell=lambda line: None)
    return run, dict(zip(FORMATS, folders, strict=True))


def read(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=lambda name: 1 / 0)


class Page(HTMLParser):
    """Addresses that a page loads, and its headings."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.heads, self._in = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in = tag
        self.loads += [value for name, value in attrs if name in ("src", "href", "data", "action")]

    def handle_data(self, data):
        if self._in == "h2":
            self.heads.append(data)
            self._in = None


def test_json_says_what_manifest_and_file_say(made):
    run, folders = made
    manifest, report = edge.load_manifest(folders["tflite-int8"]), read(folders["tflite-int8"])
    assert report["sha256"] == manifest.sha256
    assert report["size_bytes"] == (folders["tflite-int8"] / manifest.model).stat().st_size
    assert report["int8_share"] == 1.0
    assert sum(row["share"] for row in report["operators"]) == pytest.approx(1)
    counts = {kind: sum(by.values()) for kind, by in manifest.operators.items()}
    assert {row["kind"]: row["count"] for row in report["operators"]} == counts
    assert report["memory"] == manifest.source["arena"]
    assert report["fidelity"]["verdict"] == "99.9 %"
    assert [case["name"] for case in report["fidelity"]["cases"]] == manifest.fidelity["cases"]
    means = np.mean([case["labels"]["ball"]["artifact"]["dice"] for case in report["fidelity"]["cases"]])
    assert means == pytest.approx(manifest.fidelity["labels"]["ball"]["dice_artifact"])
    assert report["fidelity"]["argmax_agreement"] == pytest.approx(1 - manifest.fidelity["argmax_changed"])
    assert len(report["layer_errors"]) == 2
    assert report["calibration"]["cases"] == [case.name for case in open_source(run).training]
    assert report["calibration"]["method"] in report["calibration"]["agreement"]
    assert "keras" in report["versions"]["export"]
    assert report["next"].startswith("zoo-edge predict")


def test_calibration_hash_is_that_of_cases_and_patches(made):
    run, folders = made
    source = open_source(run)
    patches = calibrate.patches(source, source.training)
    expected = calibrate.fingerprint(source.training, patches)
    assert edge.load_manifest(folders["tflite-int8"]).source["calibration_sha256"] == expected
    assert read(folders["tflite-int8"])["calibration"]["sha256"] == expected
    assert expected in (folders["tflite-int8"] / "CARD.md").read_text(encoding="utf-8")
    assert "calibration_sha256" not in edge.load_manifest(folders["onnx-float32"]).source
    patches[0][0, 0, 0] += 1e-3
    assert calibrate.fingerprint(source.training, patches) != expected
    assert calibrate.fingerprint(source.training[:1], calibrate.patches(source, source.training)) != expected


def test_page_holds_everything_itself(made):
    text = (made[1]["tflite-int8"] / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [address[:22] for address in page.loads] == ["data:image/png;base64,"]
    assert "http" not in text
    assert "@import" not in text
    assert base64.b64decode(page.loads[0].partition(",")[2]).startswith(b"\x89PNG")
    expected = ["Fidelity", "Worst case", "All cases", "Operators", "Latency", "Memory", "Calibration",
                "Quantization error by layer", "Versions", "Next"]  # fmt: skip
    assert page.heads == expected
    assert all(text.count(f"<td>{case.name}</td>") >= 1 for case in open_source(made[0]).validation)


def test_float_onnx_has_neither_arena_nor_calibration(made):
    report = read(made[1]["onnx-float32"])
    assert report["memory"] is None
    assert report["calibration"] == {
        "cases": [], "sha256": None, "method": None, "agreement": {}, "equalised": 0, "float_layers": [],
    }  # fmt: skip
    assert report["layer_errors"] == []


def test_latency_by_thread_count(made):
    runs = read(made[1]["tflite-int8"])["latency"]["runs"]
    assert [row["threads"] for row in runs] == [n for n in (1, 2, 4, 8) if n <= latency.cores()]
    assert all(0 < row["min_ms"] <= row["median_ms"] for row in runs)
    double, single = latency.by_threads(made[1]["onnx-float32"], counts=(2, 1), seconds=0.01)
    assert (double.threads, single.threads) == (2, 1)
    assert 1 <= single.rounds <= 20


def test_unverified_artifact_says_so(made, tmp_path):
    (folder,) = export_run(made[0], ["tflite-float32"], tmp_path, verify=False, tell=lambda line: None)
    assert read(folder)["fidelity"] is None
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Not verified" in text
    assert "Worst case" not in Page(text).heads


def test_infinite_distances_are_null(tmp_path, made, monkeypatch):
    from export.verify import verification

    compare = verification.compare

    def with_nothing(network, artifact, *rest, **more):
        return compare(network, lambda scan: 0 * artifact(scan), *rest, **more)

    monkeypatch.setattr(verification, "compare", with_nothing)
    (folder,) = export_run(made[0], ["tflite-float32"], tmp_path, max_drop=1.0, tell=lambda line: None)
    scores = read(folder)["fidelity"]["cases"][0]["labels"]["ball"]
    assert scores["artifact"] == {"dice": 0.0, "hd95": None, "nsd": 0.0, "volume": 0.0}
    assert scores["network"]["hd95"] < 5
    assert read(folder)["fidelity"]["labels"]["ball"]["hd95_artifact"] is None


def test_operators_by_precision():
    shares = by_precision(
        [Operator("Conv", "a", "int8", 30), Operator("Conv", "b", "int8", 60), Operator("Conv", "c", "float32", 10),
         Operator("Add", "d", "int8", 0)]
    )  # fmt: skip
    assert [(row["kind"], row["precision"], row["count"], row["share"]) for row in shares] == [
        ("Add", "int8", 1, 0.0), ("Conv", "float32", 1, 0.1), ("Conv", "int8", 2, 0.9),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(20, 30), (12, 16, 9), (20, 30, 1)])
@pytest.mark.parametrize("empty", [False, True])
def test_overlay_shows_all_three(shape, empty):
    import cv2

    labels = (Label("background", 0), Label("one", 1), Label("five", 5))
    rng = np.random.default_rng(0)
    maps = []
    for shift in (0, 1, 2):
        values = np.zeros(shape, np.uint8)
        if not empty:
            values[4 + shift : 9 + shift, 3:9] = 1
            values[4 + shift : 9 + shift, 11:14] = 5
        maps.append(values)
    scan = Scan(rng.normal(size=(*shape, 1)).astype("float32"), np.diag([1.0, 1.5, 2.0, 1.0]))
    png = draw(WorstCase("a", 0.1, scan, *maps), labels)
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    wide = picture.shape[1] > 2 * picture.shape[0]
    assert wide == (len(shape) == 3 and shape[2] > 1)  # a volume of one slice has one view
    height = picture.shape[0] * 8 // 10  # without the legend
    vivid = (picture[:height].max(-1).astype(int) - picture[:height].min(-1)) > 60
    assert vivid.any() != empty


def test_names_cannot_break_the_page(made):
    from export.artifact.report_sections import sections

    facts = read(made[1]["tflite-int8"])
    facts["fidelity"]["cases"][0]["name"] = facts["fidelity"]["worst_case"] = "<script>alert(1)</script>"
    text = "".join(sections(facts, b"png"))
    assert "<script>" not in text
    assert len(re.findall("&lt;script&gt;alert", text)) >= 2
