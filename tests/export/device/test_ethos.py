"""Compiling for Arm Ethos-U with Vela: what lands on the NPU, what does not, and what the artifact says of it."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest
from export_runs import write_noise_run
from tflite_graphs import build

import edge
import zoo
from export.artifact.folder import export_run
from export.cli import main
from export.conversion.convert import convert
from export.device import ethos
from medseg import record
from medseg.errors import InputError, UsageError

PATCH = (16, 16, 8)
OPTIONS = {"width": 8, "depth": 2, "convolutions": 1}


@pytest.fixture(scope="module")
def quantized():
    """A small rewritten 3D network, int8."""
    noise = np.random.default_rng(0).normal(size=(*PATCH, 1)).astype(np.float32)
    return convert(zoo.get("unet3d", **OPTIONS), "tflite-int8", PATCH, [noise], npu=True)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_noise_run(tmp_path_factory.mktemp("run"), PATCH, OPTIONS)


@pytest.mark.parametrize("name", ["ethos-u55", "ethos-u65", "ethos-u85"])
def test_every_operator_of_a_rewritten_network_is_on_the_npu(quantized, name):
    report = ethos.compile_tflite(quantized.data, ethos.find_target(name)).report
    assert report.cpu == ()
    assert report.npu["Conv2D"] >= 8
    assert report.operators == sum(report.npu.values())
    assert report.cycles > 0
    assert report.seconds == pytest.approx(report.cycles / report.clock_hz)
    macs = sum(operator.macs for operator in quantized.operators)
    assert macs / 2 < report.macs < 4 * macs
    smallest = 16 * 16 * 8 * 8  # one feature map at full size
    assert report.activation_bytes >= smallest
    assert report.feature_maps == ("sram" if name == "ethos-u55" else "dram")


def test_a_compiled_file_holds_the_npu_s_commands(quantized):
    compiled = ethos.compile_tflite(quantized.data, ethos.find_target("ethos-u55-128"))
    assert compiled.data[4:8] == b"TFL3"
    assert b"ethos-u" in compiled.data
    assert compiled.report.target.accelerator == "ethos-u55-128"
    assert compiled.report.file == "model.ethos-u55-128.tflite"


def test_what_falls_to_the_processor_is_named_with_the_reason():
    data = build(
        {"in": (1, 8, 8, 4), "plain": (1, 8, 8, 4), "soft": (1, 8, 8, 4)},
        [("ABS", ["in"], "plain"), ("LOG_SOFTMAX", ["plain"], "soft")],
        ["in"],
        ["soft"],
        np.int8,
    )
    target = ethos.find_target("ethos-u55")
    with pytest.raises(
        ethos.EthosError, match=r"1 operator would fall .*LOG_SOFTMAX soft \(Unsupported opType\).*--allow-cpu"
    ):
        ethos.compile_tflite(data, target)
    report = ethos.compile_tflite(data, target, allow_cpu=True).report
    assert report.cpu == ("LOG_SOFTMAX soft (Unsupported opType)",)
    assert report.npu == {"Abs": 1}


def test_a_float_file_is_refused():
    data = build({"in": (1, 8, 8, 4), "out": (1, 8, 8, 4)}, [("ABS", ["in"], "out")], ["in"], ["out"])
    with pytest.raises(ethos.EthosError, match=r"ABS out .*Float32"):
        ethos.compile_tflite(data, ethos.find_target("ethos-u85"))
    report = ethos.compile_tflite(data, ethos.find_target("ethos-u85"), allow_cpu=True).report
    assert (report.operators, report.cycles, report.macs) == (0, 0, 0)


def test_no_model_at_all():
    with pytest.raises(ethos.EthosError, match=r"ethos-u55-256: Vela cannot compile the file \(.+\)"):
        ethos.compile_tflite(b"not a flatbuffer", ethos.find_target("ethos-u55"))


def test_targets():
    assert ethos.find_target("ethos-u65").accelerator == "ethos-u65-512"
    assert ethos.find_target("ethos-u85-2048").accelerator == "ethos-u85-2048"
    with pytest.raises(UsageError, match=r"did you mean ethos-u55-256\?"):
        ethos.find_target("ethos-u55-265")


def test_without_vela_the_extra_is_named(monkeypatch, tmp_path, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ethosu" else find_spec(name))
    with pytest.raises(InputError, match=r'pip install "medseg-zoo\[ethos\]"'):
        ethos.compile_tflite(b"", ethos.find_target("ethos-u55"))
    arguments = ["export", "run", "--format", "tflite-int8", "--out", str(tmp_path / "out"), "--target", "ethos-u55"]
    assert main(arguments) == 1
    assert "medseg-zoo[ethos]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tflite-int8", "--target", "ethos-u95"], "target 'ethos-u95' is unknown"),
        (["--format", "onnx-int8", "--target", "ethos-u55"], "an Ethos-U takes tflite-int8, not onnx-int8"),
        (["--format", "tflite-int8", "--allow-cpu"], "--allow-cpu: goes with --target"),
    ],
)
def test_wrong_requests(tmp_path, capsys, arguments, message):
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_artifact_says_what_vela_said(run_folder, tmp_path):
    (folder,) = export_run(
        run_folder, ["tflite-int8"], tmp_path / "out", verify=False, target="ethos-u55", max_arena=2**20, tell=str
    )
    manifest = edge.manifest.load_manifest(folder)
    report = manifest.source["ethos"]
    assert (report["cpu"], report["target"]["accelerator"]) == ([], "ethos-u55-256")
    assert (folder / report["file"]).read_bytes()[4:8] == b"TFL3"
    assert manifest.source["arena"]["size"] >= 16 * 16 * 8 * 8
    card = (folder / "CARD.md").read_text()
    assert f"- Operators on the NPU: {sum(report['npu'].values())}" in card
    assert f"{report['cycles']:,} cycles" in card
    assert "- Operators on the processor: none" in card


def test_what_the_npu_plans_is_held_to_the_limit(run_folder, tmp_path):
    with pytest.raises(InputError, match=r"expected at most 30 KB; --patch [\d ]+ needs \d+ KB"):
        export_run(
            run_folder, ["tflite-int8"], tmp_path / "out", verify=False, target="ethos-u55", max_arena=30 * 1024,
            layout="batch", tell=str,
        )  # fmt: skip
    assert not list(tmp_path.rglob("*"))


def test_a_report_survives_the_manifest(quantized):
    report = ethos.compile_tflite(quantized.data, ethos.find_target("ethos-u85")).report
    again = record.from_dict(ethos.Report, json.loads(json.dumps(record.to_dict(report))))
    assert again == report
    assert dataclasses.replace(again, cpu=("X",)) != report
