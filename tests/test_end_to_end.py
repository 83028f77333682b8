"""The whole job on small scans of known geometry: plan, train, evaluate, export, predict without TensorFlow, bench."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import scan_of_slices, write_flat, write_msd

import edge
import imaging
from medseg.record import to_dict
from zoo.cli import main
from zoo.commands.demo import DEVICE

ROOT = Path(__file__).parents[1]
INT8 = ("tflite-int8", "onnx-int8")
FORMATS = (*INT8, "tflite-float16", "onnx-float32")


def zoo(*words):
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module", params=["3d", "2d", "slices"])
def made(request, tmp_path_factory):
    """(dataset folder, run folder, artifacts folder) of a short training."""
    here = tmp_path_factory.mktemp(request.param)
    data = here / "data"
    if request.param == "3d":
        write_msd(data, cases=6)
    elif request.param == "slices":
        write_msd(data, cases=6, make=scan_of_slices)
    else:
        write_flat(data, [f"{n:03d}_a" for n in range(6)])
    plan = here / "plan.json"
    zoo("plan", data, "-o", plan)
    content = json.loads(plan.read_text(encoding="utf-8"))
    content["network"]["options"] = {**content["network"]["options"], "width": 4}
    plan.write_text(json.dumps(content), encoding="utf-8")
    run = here / "run"
    zoo(
        "train", data, "--plan", plan, "--fold", 0, "--epochs", 5, "--steps-per-epoch", 20,
        "--batch", 8 if request.param == "slices" else 2,  # a slice shows less than a volume
        "--learning-rate", 0.01, "--out", run, "--cache", here / "cache",
    )  # fmt: skip
    zoo("evaluate", run, data, "--fold", 0)
    # What a float format does with a network is the same for every kind of scan.
    formats = [word for name in (FORMATS if request.param == "3d" else INT8) for word in ("--format", name)]
    zoo("export", run, *formats, "--out", here / "artifacts", "--max-drop", 0.05)
    return data, run, here / "artifacts"


def test_it_learnt(made):
    mean = json.loads((made[1] / "metrics.json").read_text(encoding="utf-8"))["mean"]
    assert max(scores["dice"] for scores in mean.values()) > 0.6


def exported(made):
    return [name for name in FORMATS if (made[2] / name).is_dir()]


def test_the_manifests_tell_the_truth(made):
    names = exported(made)
    assert set(names) >= set(INT8)
    for name in names:
        check_manifest(made, name)


def check_manifest(made, name):
    manifest = edge.manifest.load_manifest(made[2] / name)
    cases = json.loads((made[1] / "cases.json").read_text(encoding="utf-8"))
    training = {case["name"] for case in cases["training"]}
    validation = {case["name"] for case in cases["validation"]}
    assert not training & validation
    assert set(manifest.fidelity["cases"]) == validation
    arithmetic = [kind for kind in manifest.operators if "CONV" in kind.upper()]
    assert arithmetic
    if name.endswith("int8"):
        assert set(manifest.calibration) <= training
        assert manifest.calibration
        assert all(set(manifest.operators[kind]) == {"int8"} for kind in arithmetic)
        assert manifest.source["int8_share"] == 1.0
    else:
        assert manifest.calibration == ()
    metrics = json.loads((made[1] / "metrics.json").read_text(encoding="utf-8"))
    adopted = json.loads((made[1] / "postprocessing.json").read_text(encoding="utf-8"))["chosen"]
    assert to_dict(manifest.postprocessing) == {"classes": tuple(adopted["classes"])}
    for label, scores in (metrics["postprocessed"] or metrics)["mean"].items():
        assert manifest.fidelity["labels"][label]["dice_network"] == pytest.approx(scores["dice"], abs=1e-6)


@pytest.mark.parametrize("name", INT8)
def test_predict_in_a_process_without_tensorflow(made, tmp_path, name):
    """What the device writes scores exactly as the export verified, so place, orientation and labels are right."""
    cases = json.loads((made[1] / "cases.json").read_text(encoding="utf-8"))["validation"]
    manifest = edge.manifest.load_manifest(made[2] / name)
    dice = {label.name: [] for label in manifest.labels[1:]}
    words = ["predict", str(made[2] / name), *(case["images"][0] for case in cases), "-o", str(tmp_path), "--json"]
    ended = subprocess.run(
        [sys.executable, "-c", DEVICE, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for case in cases:
        out = tmp_path / Path(case["images"][0]).name
        segmentation, reference = imaging.read_labels(out), imaging.read_labels(case["label"])
        np.testing.assert_allclose(segmentation.affine, reference.affine, atol=1e-5)
        assert segmentation.voxels.shape == reference.voxels.shape
        for label in manifest.labels[1:]:
            predicted, labelled = segmentation.voxels == label.value, reference.voxels == label.value
            dice[label.name].append(2 * np.sum(predicted & labelled) / (np.sum(predicted) + np.sum(labelled)))
    for label, values in dice.items():
        assert np.mean(values) == pytest.approx(manifest.fidelity["labels"][label]["dice_artifact"], abs=1e-6)
    assert max(np.mean(values) for values in dice.values()) > 0.5


def test_int8_is_small(made):
    sizes = {name: sum(f.stat().st_size for f in (made[2] / name).glob("model.*")) for name in exported(made)}
    trained = (made[1] / "model.keras").stat().st_size
    assert sizes["tflite-int8"] < trained / 2
    if len(sizes) > len(INT8):
        assert sizes["tflite-int8"] < sizes["tflite-float16"] < sizes["onnx-float32"]


def test_bench(made, capsys):
    zoo("bench", *(made[2] / name for name in exported(made)), "--rounds", 2, "--json")
    timings = json.loads(capsys.readouterr().out)["artifacts"]
    assert [Path(t["name"]).name for t in timings] == exported(made)
    assert all(t["median_ms"] > 0 for t in timings)


def test_three_lines_that_a_keras_user_expects(tmp_path, monkeypatch):
    import train
    import zoo

    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    folder = write_msd(tmp_path / "data", cases=6)
    model = zoo.get("unet3d", classes=3, width=2)
    model.compile(optimizer="adam", loss=zoo.losses.DiceCE(), metrics=[zoo.metrics.Dice(3)])
    history = model.fit(train.pipeline(folder).take(4), epochs=2, verbose=0).history
    assert len(history["loss"]) == 2
    assert history["loss"][1] < history["loss"][0]
    assert all(0 <= value <= 1 for name, values in history.items() if "dice" in name for value in values)
