"""Artifacts in the forms of batch 1: what a device makes of them, which form a target gets, and what is refused."""

import json

import keras
import numpy as np
import pytest
from export_rewriting import network
from export_running import patches, run
from keras import layers

import edge
import export
import imaging
import zoo
from export import ethos, fitting
from export.artifact import export_run
from export.cli import main
from export.errors import FormatError
from export.form_choice import candidates, first_form
from export.formats import FORMATS
from export.rewrite import RewriteError
from imaging import record
from imaging.cases import CaseFiles, Cases

PATCH = (8, 16, 8)
OPTIONS = {"width": 8, "depth": 2, "convolutions": 1}
TARGETS = ["ethos-u55", "ethos-u65", "ethos-u85"]


def small(x):
    """Two levels with all kinds of layers that have a rule of their own in each form."""
    skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(6, 3, padding="same", use_bias=False)(x)))
    up = layers.Conv3DTranspose(6, 2, strides=2)(layers.Conv3D(8, 3, padding="same")(layers.MaxPooling3D(2)(skip)))
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling3D(keepdims=True)(up))
    return layers.Conv3D(3, 1)(layers.Concatenate()([skip, layers.Multiply()([up, gate])]))


@pytest.fixture(scope="module")
def source():
    """(network, patches, logits of the first by Keras)."""
    shape = (4, 8, 6, 2)
    model, found = network(small, shape), patches(shape)
    return model, found, np.asarray(model(found[0][None], training=False))[0]


@pytest.mark.parametrize("form", ["height", "channels"])
@pytest.mark.parametrize("name", ["tflite-float32", "onnx-float32", "tflite-int8", "onnx-int8"])
def test_the_device_runtime_reads_every_form(source, name, form, tmp_path):
    model, found, expected = source
    converted = export.convert(model, name, calibration=found if FORMATS[name].quantized else (), form=form)
    assert (converted.form, converted.folded) == (form, False)
    assert converted.input.shape == {"height": (1, 32, 6, 2), "channels": (1, 4, 8, 12)}[form]
    logits = run(converted, tmp_path, found[0])
    assert logits.shape == expected.shape
    if FORMATS[name].quantized:
        assert np.mean(logits.argmax(-1) == expected.argmax(-1)) > 0.9
        assert {op.precision for op in converted.operators if op.macs} == {"int8"}
        assert converted.agreement["minmax"] > 0.9  # by voxel, whatever the layout
    else:
        np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_the_batch_form_by_name(source):
    model, _, _ = source
    assert export.convert(model, "onnx-float32", form="batch").folded
    assert not export.convert(model, "onnx-float32").folded


def test_what_a_patch_needs_is_measured_in_the_same_form(source):
    model, found, _ = source
    converted = export.convert(model, "tflite-int8", calibration=found, form="channels", npu=True)
    again = fitting._convert(model, converted, (4, 8, 6))
    assert (again.form, again.npu) == ("channels", True)
    assert fitting.activation_bytes(again) == fitting.activation_bytes(converted)


def test_wrong_forms(source, tmp_path, capsys):
    model, _, _ = source
    with pytest.raises(FormatError, match="form 'depth' is unknown: accepted are batch, height, channels"):
        export.convert(model, "tflite-float32", form="depth")
    flat = network(lambda x: layers.Conv2D(2, 3)(x), (8, 8, 1))
    with pytest.raises(FormatError, match="form height: holds for 3D networks, network takes 2 axes; leave it out"):
        export.convert(flat, "tflite-float32", form="height")
    command = ["export", "run", "--format", "tflite-int8", "--out", str(tmp_path / "out"), "--form", "width"]
    assert main(command) == 2
    assert "form 'width' is unknown" in capsys.readouterr().err


def test_candidates():
    int8, target = FORMATS["tflite-int8"], ethos.find_target("ethos-u55-128")
    assert candidates(None, target, int8, PATCH)[0] == "channels"
    assert candidates(None, ethos.find_target("ethos-u85"), int8, PATCH)[0] == "height"
    assert candidates("batch", target, int8, PATCH) == ("batch",)
    assert candidates(None, target, FORMATS["tflite-float32"], PATCH) == (None,)
    assert candidates(None, target, int8, (8, 8)) == (None,)
    assert candidates(None, None, int8, PATCH) == (None,)


def test_the_next_form_where_one_cannot_express_a_layer():
    said = []

    def make(form):
        if form != "batch":
            raise RewriteError(f"no rule in {form}")
        return form

    assert first_form(("channels", "height", "batch"), make, "tflite-int8", said.append) == "batch"
    assert "no rule in channels; falling back to the form 'height'" in " ".join(said)
    with pytest.raises(RewriteError, match="no rule in height"):
        first_form(("channels", "height"), make, "tflite-int8", said.append)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What a finished training leaves, with untrained weights."""
    folder = tmp_path_factory.mktemp("run")
    image = folder / "scan.nii.gz"
    voxels = np.random.default_rng(0).normal(size=(*PATCH, 1)).astype(np.float32)
    imaging.write(image, imaging.Scan(voxels, np.eye(4)))
    recipe = imaging.Recipe(rank=3, channels=1, spacing=(1.0, 1.0, 1.0))
    plan = {
        "dataset": "Noise", "network": {"name": "unet3d", "options": OPTIONS}, "recipe": record.to_dict(recipe),
        "patch": PATCH, "overlap": 0.5, "channels": ["noise"], "training": {"seed": 0},
        "labels": [{"name": "background", "value": 0}, {"name": "rest", "value": 1}],
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    record.save(folder / "cases.json", Cases((CaseFiles("scan", (str(image),), None),), ()))
    zoo.get("unet3d", (*PATCH, 1), **OPTIONS).save(folder / "model.keras")
    return folder


def test_an_artifact_for_an_npu_says_its_form_and_runs_on_the_device(run_folder, tmp_path):
    pytest.importorskip("ethosu")
    said = []
    (folder,) = export_run(
        run_folder, ["tflite-int8"], tmp_path / "out", verify=False, target="ethos-u55", max_arena=2**20,
        calibration="minmax", tell=said.append,
    )  # fmt: skip
    manifest = edge.load_manifest(folder)
    assert (manifest.form, manifest.folded) == ("channels", False)
    assert manifest.input.shape == (1, 8, 16, 8)
    assert "- Form: width folded into channels, batch 1" in (folder / "CARD.md").read_text()
    assert "tflite-int8: 3D layers in the form 'channels'" in said
    scan = imaging.read(run_folder / "scan.nii.gz")
    model = keras.saving.load_model(run_folder / "model.keras")
    found = edge.load(folder).predict(scan).labels.voxels
    expected = np.asarray(model(scan.voxels[None], training=False))[0].argmax(-1)
    assert found.shape == scan.voxels.shape
    assert np.mean(found[..., 0] == expected) > 0.9


@pytest.mark.parametrize("name", TARGETS)
def test_every_operator_of_the_form_for_a_target_is_on_the_npu(name):
    pytest.importorskip("ethosu")
    target = ethos.find_target(name)
    noise = np.random.default_rng(0).normal(size=(*PATCH, 1)).astype(np.float32)
    model = zoo.get("attention_unet3d", (*PATCH, 1), **OPTIONS)
    made = {
        form: export.convert(model, "tflite-int8", PATCH, [noise], npu=True, form=form)
        for form in (ethos.preferred_forms(target)[0], "batch")
    }
    best, batch = (ethos.compile_tflite(converted.data, target).report for converted in made.values())
    assert best.cpu == batch.cpu == ()
    assert best.operators < batch.operators
