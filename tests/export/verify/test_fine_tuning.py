"""A run fine-tuned for int8 against the run that it started from, and for the exported format."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
from export_runs import ball_network, write_run

import edge
from export.artifact.folder import export_checked, export_run
from export.errors import FidelityError
from export.options import export_options
from export.source.fine_tuned import rounding_warning, target_of
from export.source.source import open_source
from export.verify import fine_tuning as finetuning
from export.verify.fine_tuning import check_finetune, export_finetuned
from imaging.cleaning import ClassCleaning, Postprocessing
from medseg.errors import InputError, UsageError


@pytest.fixture
def tuned(tmp_path):
    """A run whose network finds half of each ball, fine-tuned from one that finds the balls."""
    run = write_run(tmp_path / "tuned", network=ball_network(threshold=0.9))
    ball_network().save(run / "reference.keras")
    plan = json.loads((run / "plan.json").read_text())
    plan["training"] |= {"quantize": "per-tensor", "start": str(tmp_path / "balls" / "run")}
    (run / "plan.json").write_text(json.dumps(plan))
    return run


def test_fine_tuned_run_is_compared_with_what_it_started_from(tuned, tmp_path):
    with pytest.raises(FidelityError, match=r"verdict fail.*--allow-float 8; or fine-tune longer: zoo finetune"):
        export_run(
            tuned, ["tflite-int8"], tmp_path / "out", calibration="minmax", equalise=False, tell=lambda line: None
        )
    shutil.copyfile(tuned / "reference.keras", tuned / "model.keras")
    (folder,) = export_run(
        tuned, ["tflite-int8"], tmp_path / "out", calibration="minmax", weights="per-tensor", tell=lambda line: None
    )
    source = edge.load_manifest(folder).source
    assert (source["weights"], source["finetuned_for"]) == ("per-tensor", "per-tensor")
    assert (source["finetuned_format"], source["finetuned_bits"]) == ("tflite-int8", 8)
    card = (folder / "CARD.md").read_text()
    assert "One scale for all weights of a tensor" in card
    assert "Fine-tuned for tflite-int8 with weights of 8 bits (quantization-aware, weights per-tensor)" in card


def failing(run, monkeypatch):
    """Have every verification fail but those of other runs than ``run``; what was said."""
    from export.verify import verification

    compare, said = verification.compare, []

    def wrapped(network, artifact, cases, *args, **kwargs):
        if str(run) in cases[0].images[0]:
            raise FidelityError("tflite-int8: verdict fail")
        return compare(network, artifact, cases, *args, **kwargs)

    monkeypatch.setattr(verification, "compare", wrapped)
    return said


def test_export_that_loses_too_much_is_fine_tuned(tmp_path, monkeypatch):
    run = write_run(tmp_path / "balls")
    second_run = write_run(tmp_path / "other")
    said, commands = failing(tmp_path / "balls", monkeypatch), []

    def train(command, **options):
        commands.append(command)
        shutil.copytree(second_run, tmp_path / "run-int8", dirs_exist_ok=True)
        return type("Ended", (), {"returncode": 0})

    monkeypatch.setattr(finetuning, "subprocess", SimpleNamespace(run=train))
    options = export_options(["tflite-int8"], calibration="minmax", equalise=False)

    def export(finetune=None):
        return export_finetuned(export_checked, run, options, tmp_path / "out", finetune, said.append)

    with pytest.raises(FidelityError, match=rf"zoo finetune {run} --out {run}-int8"):
        export()
    (folder,) = export(tmp_path / "run-int8")
    assert commands[0][1:5] == ["-P", "-m", "train", "finetune"]
    words = ["--format", "tflite-int8", "--weights", "per-channel"]
    assert commands[0][5:] == [str(run), "--out", str(tmp_path / "run-int8"), *words]
    assert edge.load_manifest(folder).fidelity
    assert any("fine-tuning for int8, as allowed" in line for line in said)
    ended = SimpleNamespace(run=lambda *a, **k: SimpleNamespace(returncode=1))
    monkeypatch.setattr(finetuning, "subprocess", ended)
    with pytest.raises(InputError, match="fine-tuning failed"):
        export(tmp_path / "none")


def test_a_fine_tuned_network_is_verified_on_the_cases_and_cleaned_up_as_asked(tmp_path, monkeypatch):
    """What was decided of the run after its training holds for the network fine-tuned from it."""
    run, elsewhere = write_run(tmp_path / "balls"), open_source(write_run(tmp_path / "elsewhere"))
    cleaning = Postprocessing((ClassCleaning(run_label(run), largest=True),))
    origin = dataclasses.replace(
        open_source(run), validation=elsewhere.validation, postprocessing=cleaning, provenance={"verified_on": "there"}
    )
    monkeypatch.setattr(finetuning, "_finetuned", lambda *a: open_source(write_run(tmp_path / "tuned")))
    exported = []

    def export(source, options, out, tell):
        exported.append(source)
        if len(exported) == 1:
            raise FidelityError("tflite-int8: verdict fail")
        return [out]

    options = export_options(["tflite-int8"])
    export_finetuned(export, origin, options, tmp_path / "out", tmp_path / "tuned-int8", lambda line: None)
    assert exported[1].model_file.is_relative_to(tmp_path / "tuned")
    assert exported[1].validation == elsewhere.validation
    assert exported[1].postprocessing == cleaning
    assert exported[1].provenance["verified_on"] == "there"


def run_label(run):
    return open_source(run).labels[1].name


def test_fine_tuning_is_refused_where_it_cannot_help(tuned, tmp_path):
    run = write_run(tmp_path / "balls")
    with pytest.raises(UsageError, match="int8 formats, not for onnx-float32"):
        check_finetune(run, ["onnx-float32"], tmp_path / "x")
    with pytest.raises(UsageError, match="a saved model has none"):
        check_finetune(tmp_path, ["onnx-int8"], tmp_path / "x")
    check_finetune(run, ["tflite-int8"], tuned)
    with pytest.raises(UsageError, match="was not started from"):
        check_finetune(tuned, ["tflite-int8"], tuned)
    with pytest.raises(UsageError, match="fine-tuned for tflite-int8 with weights of 8 bits, expected onnx-int8"):
        check_finetune(run, ["onnx-int8"], tuned)
    with pytest.raises(UsageError, match="tflite-int8 and onnx-int8 round in different ways"):
        check_finetune(run, ["tflite-int8", "onnx-int8", "onnx-float32"], tmp_path / "x")
    check_finetune(run, ["openvino-int8", "onnx-int8"], tmp_path / "x")


def test_fine_tuning_is_for_the_format_that_failed(tmp_path, monkeypatch):
    run = write_run(tmp_path / "balls")
    commands = []

    def train(command, **options):
        commands.append(command)
        return SimpleNamespace(returncode=1)

    def export(*_):
        raise FidelityError("verdict fail")

    monkeypatch.setattr(finetuning, "subprocess", SimpleNamespace(run=train))
    for processor, words in ((None, []), ("amx", ["--weight-bits", "8"])):
        options = export_options(["openvino-int8"], processor=processor)
        with pytest.raises(InputError, match=" ".join(["--format openvino-int8 --weights per-channel", *words])):
            export_finetuned(export, run, options, tmp_path / "out", tmp_path / "tuned", lambda line: None)
        assert commands.pop()[8:] == ["--format", "openvino-int8", "--weights", "per-channel", *words]


@pytest.mark.parametrize(
    ("training", "kept", "processor", "silent"),
    [
        ({}, ("tflite-int8", 8), None, "tflite-int8"),
        ({"quantize_format": "onnx-int8"}, ("onnx-int8", 7), "any", "openvino-int8"),
        ({"quantize_format": "openvino-int8", "quantize_bits": 8}, ("openvino-int8", 8), "amx", "onnx-int8"),
    ],
)
def test_network_that_rounds_otherwise_than_the_format_is_told(training, kept, processor, silent):
    name, bits = target_of(training)
    assert (name, bits) == kept
    source = {"finetuned_for": "per-channel", "finetuned_format": name, "finetuned_bits": bits}
    assert rounding_warning(source, [silent, "onnx-float32", "tflite-int16"], processor) is None
    untrained_format = "onnx-int8" if name == "tflite-int8" else "tflite-int8"
    expected = f"{untrained_format}: the run was fine-tuned for {name} with weights of {bits} bits"
    assert rounding_warning(source, [silent, untrained_format], processor).startswith(expected)
    assert rounding_warning({}, [untrained_format], processor) is None
