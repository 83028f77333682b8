"""``--format best``: who is converted, who is left out, and who stays."""

import json

import pytest
from edge_artifacts import VOLUME, build_onnx, write_artifact

from edge.manifest import Tensor, load_manifest
from edge.runtime.benchmark import Timing
from export.device import quickest
from export.errors import FidelityError
from medseg.errors import InputError, UsageError

# A patch a hundred times as large takes longer on every machine.
SHAPES = {"tflite-int8": (1, 64, 64, 48, 1), "onnx-int8": (1, 8, 16, 12, 1)}


def export(formats, out):
    """Artifacts of closed forms; OpenVINO's loses too much."""
    (name,) = formats
    if name == "openvino-int8":
        raise FidelityError("openvino-int8: loses 0.2 Dice")
    shape = SHAPES[name]
    model = out / "model.onnx"
    quantization = build_onnx(model, shape)
    tensors = [Tensor(t, (*shape[:-1], c), "float32", *q) for t, c, q in zip("xy", (1, 3), quantization, strict=True)]
    return [write_artifact(out / name, model.read_bytes(), tensors, VOLUME, False, "onnx-float32")]


def test_the_quickest_stays(tmp_path):
    lines = []
    (folder,) = quickest.export_quickest(export, list(quickest.CANDIDATES), tmp_path / "a" / "out", 1, lines.append)
    assert folder == tmp_path / "a" / "out" / "onnx-int8"
    assert [path.name for path in (tmp_path / "a" / "out").iterdir()] == ["onnx-int8"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    least = load_manifest(folder).source["quickest_of"]
    assert list(least) == ["tflite-int8", "onnx-int8"]
    assert least["onnx-int8"] < least["tflite-int8"]
    assert lines[0] == "openvino-int8: left out: openvino-int8: loses 0.2 Dice"
    assert lines[1].startswith("best: onnx-int8 is the quickest on this machine with 1 threads (tflite-int8 ")


def test_what_a_busy_machine_adds_does_not_count(tmp_path, monkeypatch):
    def compare(folders, threads, rounds, uncounted):
        assert uncounted == 1
        return [Timing(str(folder), *figures, 1.0, rounds) for folder, figures in zip(folders, spent, strict=True)]

    spent = [(9.0, 8.0), (12.0, 7.0)]  # median and least
    monkeypatch.setattr(quickest, "compare", compare)
    (folder,) = quickest.export_quickest(export, ["tflite-int8", "onnx-int8"], tmp_path, tell=lambda line: None)
    assert folder.name == "onnx-int8"


def test_none_passes(tmp_path):
    with pytest.raises(FidelityError, match="loses"):
        quickest.export_quickest(export, ["openvino-int8"], tmp_path / "out", tell=lambda line: None)
    with pytest.raises(InputError, match="no runtime for an int8 format is installed"):
        quickest.export_quickest(export, [], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_is_not_an_artifact_stays(tmp_path):
    (tmp_path / "onnx-int8").mkdir()
    (tmp_path / "onnx-int8" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is no artifact folder"):
        quickest.export_quickest(export, ["onnx-int8"], tmp_path, tell=lambda line: None)
    assert (tmp_path / "onnx-int8" / "notes.txt").read_text() == "mine"


def test_best_stands_alone():
    formats, best = quickest.expand(["best"])
    assert best
    assert set(formats) <= set(quickest.CANDIDATES)
    assert "tflite-int8" in formats
    assert quickest.expand(["onnx-float32"]) == (["onnx-float32"], False)
    with pytest.raises(UsageError, match="best is one of the int8 formats; give it alone"):
        quickest.expand(["best", "onnx-int8"])


def test_on_the_command_line(tmp_path, capfd):
    from export_runs import write_run

    from export.cli import main

    run = write_run(tmp_path / "run")
    words = ["export", str(run), "--format", "best", "--out", str(tmp_path / "out"), "--threads", "1", "--json"]
    assert main(words) == 0
    out, err = capfd.readouterr()
    (folder,) = json.loads(out)
    assert folder.split("/")[-1] in quickest.CANDIDATES
    assert "is the quickest on this machine" in err
    assert len(list((tmp_path / "out").iterdir())) == 1
