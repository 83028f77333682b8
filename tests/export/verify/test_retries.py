"""What is tried, said and recorded where int8 loses too much, and how the calibration method gets into the artifact."""

import pytest
from export_runs import write_run

import edge
from export.artifact.folder import export_run
from export.commands.export import add_export
from export.conversion.converted import Converted
from export.conversion.layer_errors import spell
from export.errors import FidelityError, FormatError
from export.formats import find_format
from export.verify import verification
from export.verify.retries import attempt, check_allowed
from medseg import command
from medseg.errors import UsageError


def converted(method, floats, equalised=0, agreement=0.0):
    names = tuple(f"layer{i}" for i in range(floats))
    how = {"method": method, "float_layers": names, "equalised": equalised, "agreement": {method: agreement}}
    return Converted(find_format("onnx-int8"), b"", None, None, True, [], **how)


def tries(enough, allowed, equalise=False, better=True):
    """Numbers of float layers tried when ``enough`` of them are needed; the result; what was said.

    Equalisation is worth as much as two float layers, and agrees ``better`` with calibration patches, or not.
    """
    counts, said = [], []

    def make(method, floats, equalised):
        counts.append((method, floats, equalised) if equalise in (None, True) else (method, floats))

        def write():
            if floats + 2 * equalised < enough:
                raise FidelityError("onnx-int8: verdict fail")
            return "folder"

        return converted("percentile", floats, 7 * equalised, 0.9 + (0.05 if better else -0.05) * equalised), write

    try:
        folder = attempt(make, "auto", allowed, said.append, equalise)
    except FidelityError:
        folder = None
    return counts, folder, said


def test_int8_that_passes_is_not_tried_again():
    assert tries(0, 8) == ([("auto", 0)], "folder", [])


def test_float_layers_double_and_the_method_stays():
    counts, folder, said = tries(3, 6)
    assert counts == [("auto", 0), ("percentile", 1), ("percentile", 2), ("percentile", 4)]
    assert folder == "folder"
    assert "verdict fail; trying with layers in float, as allowed" in said[0]
    assert said[-1] == "onnx-int8: 4 layers stay float: layer0, layer1, layer2, layer3"


def test_no_more_than_allowed():
    assert [n for _, n in tries(99, 6)[0]] == [0, 1, 2, 4, 6]
    assert tries(99, 6)[1] is None
    assert [n for _, n in tries(99, 0)[0]] == [0]


def test_equalised_before_layers_become_float():
    plain, equalised = ("auto", 0, False), ("auto", 0, True)
    assert tries(0, 8, None)[0] == [plain]
    counts, folder, said = tries(2, 8, None)
    assert (counts, folder) == ([plain, equalised], "folder")
    assert "trying with channels equalised" in said[0]
    assert said[1] == "onnx-int8: 7 channels equalised, by scales moved between layers"
    assert tries(3, 8, None)[0] == [plain, equalised, ("percentile", 1, True)]
    assert tries(2, 8, True)[0] == [equalised]
    assert tries(9, 0, None)[:2] == ([plain, equalised], None)


def test_equalisation_that_does_not_agree_better_is_left_out():
    counts, _, said = tries(1, 8, None, better=False)
    assert counts == [("auto", 0, False), ("auto", 0, True), ("percentile", 1, False)]
    assert "no more than without" in said[2]


def test_allowance_is_checked():
    with pytest.raises(FormatError, match="int8 formats"):
        check_allowed(["onnx-float32"], 1)
    with pytest.raises(UsageError, match="0 or more"):
        check_allowed(["onnx-int8"], -1)
    with pytest.raises(FormatError, match="equalise: holds for int8 formats"):
        check_allowed(["onnx-float32"], 0, True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("attempts"))


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8"])
def test_artifact_tells_calibration_and_worst_layers(run, tmp_path, name):
    said = []
    (folder,) = export_run(run, [name], tmp_path, tell=said.append)
    source = edge.load_manifest(folder).source
    assert set(source["calibration_agreement"]) == {"minmax", "percentile", "mse"}
    assert source["calibration_method"] in source["calibration_agreement"]
    assert source["float_layers"] == []
    assert [set(error) for error in source["layer_errors"]] == [{"name", "kind", "sqnr"}] * 2
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert "Layers of largest error" in card
    assert f"by {source['calibration_method']}" in card
    assert any("calibrated by" in line for line in said)


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8"])
def test_float_layers_are_recorded(run, tmp_path, name, monkeypatch):
    monkeypatch.setattr(verification, "compare", failing(verification.compare))
    (folder,) = export_run(run, [name], tmp_path, allow_float=1, calibration="minmax", tell=lambda line: None)
    source = edge.load_manifest(folder).source
    assert source["calibration_method"] == "minmax"
    assert len(source["float_layers"]) == 1
    assert 0 < source["int8_share"] < 1
    assert f"Float layers, as was allowed: `{spell(source['float_layers'][0])}`" in (folder / "CARD.md").read_text()


def failing(compare):
    """``compare`` that refuses what it is given first."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise FidelityError("verdict fail")
        return compare(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calibration", "entropy"], "expected one of auto, minmax, percentile, mse"),
        (["--allow-float", "2", "--no-verify"], "leave out --no-verify"),
        (["--allow-float", "-2"], "0 or more"),
    ],
)
def test_command_line_refuses(run, tmp_path, capsys, words, message):
    import argparse

    parser = argparse.ArgumentParser()
    add_export(parser.add_subparsers())
    status = command.run(parser, ["export", str(run), "--format", "onnx-int8", "--out", str(tmp_path), *words])
    assert status == 2
    assert message in capsys.readouterr().err
