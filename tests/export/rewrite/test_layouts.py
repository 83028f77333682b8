"""Artifacts in the layouts of batch 1: what a device makes of them, which layout a target gets, and what is refused."""

from types import SimpleNamespace as Namespace

import keras
import numpy as np
import pytest
from export_rewriting import network
from export_running import patches, run
from export_runs import write_noise_run
from keras import layers

import edge
import export
import imaging
import zoo
from export.artifact.folder import export_run
from export.cli import main
from export.device import ethos, layout_choice, memory_advice
from export.device.layout_choice import choose
from export.errors import FormatError
from export.formats import FORMATS
from export.rewrite import RewriteError
from zoo.building import option_names

PATCH = (8, 16, 8)
OPTIONS = {"width": 8, "depth": 2, "convolutions": 1}
TARGETS = ["ethos-u55", "ethos-u65", "ethos-u85"]


def small(x):
    """Two levels with all kinds of layers that have a rule of their own in each layout."""
    skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(6, 3, padding="same", use_bias=False)(x)))
    up = layers.Conv3DTranspose(6, 2, strides=2)(layers.Conv3D(8, 3, padding="same")(layers.MaxPooling3D(2)(skip)))
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling3D(keepdims=True)(up))
    return layers.Conv3D(3, 1)(layers.Concatenate()([skip, layers.Multiply()([up, gate])]))


@pytest.fixture(scope="module")
def source():
    """(network, patches, logits of the first by Keras)."""
    shape = (4, 8, 6, 2)
    model, images = network(small, shape), patches(shape)
    return model, images, np.asarray(model(images[0][None], training=False))[0]


@pytest.mark.parametrize("layout", ["height", "channels"])
@pytest.mark.parametrize("name", ["tflite-float32", "onnx-float32", "tflite-int8", "onnx-int8"])
def test_the_device_runtime_reads_every_form(source, name, layout, tmp_path):
    model, images, expected = source
    converted = export.convert(model, name, calibration=images if FORMATS[name].quantized else (), layout=layout)
    assert (converted.layout, converted.folded) == (layout, False)
    assert converted.input.shape == {"height": (1, 32, 6, 2), "channels": (1, 4, 8, 12)}[layout]
    logits = run(converted, tmp_path, images[0])
    assert logits.shape == expected.shape
    if FORMATS[name].quantized:
        assert np.mean(logits.argmax(-1) == expected.argmax(-1)) > 0.9
        assert {op.precision for op in converted.operators if op.macs} == {"int8"}
        assert converted.agreement["minmax"] > 0.9  # by voxel, whatever the layout
    else:
        np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_the_batch_form_by_name(source):
    model, _, _ = source
    assert export.convert(model, "onnx-float32", layout="batch").folded
    assert not export.convert(model, "onnx-float32").folded


def test_what_a_patch_needs_is_measured_in_the_same_form(source):
    model, images, _ = source
    converted = export.convert(model, "tflite-int8", calibration=images, layout="channels", npu=True)
    again = memory_advice._convert(model, converted, (4, 8, 6))
    assert (again.layout, again.npu) == ("channels", True)
    assert memory_advice.activation_bytes(again) == memory_advice.activation_bytes(converted)


def test_wrong_forms(source, tmp_path, capsys):
    model, _, _ = source
    with pytest.raises(FormatError, match="layout 'depth' is unknown: expected one of batch, height, channels"):
        export.convert(model, "tflite-float32", layout="depth")
    flat = network(lambda x: layers.Conv2D(2, 3)(x), (8, 8, 1))
    with pytest.raises(FormatError, match="layout height: holds for 3D networks, network takes 2 axes; leave it out"):
        export.convert(flat, "tflite-float32", layout="height")
    command = ["export", "run", "--format", "tflite-int8", "--out", str(tmp_path / "out"), "--layout", "width"]
    assert main(command) == 2
    assert "layout 'width' is unknown" in capsys.readouterr().err


@pytest.fixture
def reckoned(monkeypatch):
    """Vela's figures by layout instead of a compiler: seconds, bytes of activations."""
    figures = {"batch": (3.0, 100), "height": (2.0, 300), "channels": (1.0, 200)}

    def convert(model, name, patch, calibration, *, npu, layout):
        if figures[layout] is None:
            raise RewriteError(f"no rule in {layout}")
        return Namespace(data=layout)

    def compile_tflite(layout, target, allow_cpu):
        seconds, size = figures[layout]
        return Namespace(report=Namespace(seconds=seconds, activation_bytes=size, cpu=()))

    monkeypatch.setattr(layout_choice, "convert", convert)
    monkeypatch.setattr(ethos, "compile_tflite", compile_tflite)
    return figures


def test_the_form_for_a_target_is_what_vela_reckons_quickest(source, reckoned):
    model, said, int8, npu = source[0], [], FORMATS["tflite-int8"], ethos.find_target("ethos-u55-128")
    assert choose(model, int8, PATCH, None, npu, tell=said.append) == "channels"
    assert "for ethos-u55-128: channels 1000.0 ms, height 2000.0 ms, batch 3000.0 ms" in said[-1]
    assert choose(model, int8, PATCH, None, npu, max_arena=150, tell=said.append) == "batch"
    reckoned["channels"] = None
    assert choose(model, int8, PATCH, None, npu, tell=said.append) == "height"
    assert "tflite-int8: not in the layout 'channels': no rule in channels" in said
    reckoned.update(dict.fromkeys(reckoned))
    with pytest.raises(RewriteError, match="no rule in"):
        choose(model, int8, PATCH, None, npu, tell=said.append)


def test_no_form_is_measured_where_none_is_to_be_chosen(source):
    model, int8, npu = source[0], FORMATS["tflite-int8"], ethos.find_target("ethos-u55")
    assert choose(model, int8, PATCH, "batch", npu) == "batch"
    assert choose(model, FORMATS["tflite-float32"], PATCH, None, npu) is None
    assert choose(model, int8, (8, 8), None, npu) is None
    assert choose(model, int8, PATCH, None, None) is None


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_noise_run(tmp_path_factory.mktemp("run"), PATCH, OPTIONS)


def test_an_artifact_for_an_npu_says_its_form_and_runs_on_the_device(run_folder, tmp_path):
    pytest.importorskip("ethosu")
    said = []
    (folder,) = export_run(
        run_folder, ["tflite-int8"], tmp_path / "out", verify=False, target="ethos-u55", max_arena=2**20,
        calibration="minmax", tell=said.append, ship_anyway=True,
    )  # fmt: skip
    manifest = edge.load_manifest(folder)
    assert (manifest.form, manifest.folded) == ("channels", False)
    assert manifest.input.shape == (1, 8, 16, 8)
    assert "- Layout: width folded into channels, batch 1" in (folder / "CARD.md").read_text()
    assert any(
        line.startswith("tflite-int8: layout 'channels', by what Vela reckons for ethos-u55-256") for line in said
    )
    scan = imaging.read(run_folder / "scan.nii.gz")
    model = keras.saving.load_model(run_folder / "model.keras")
    labels = edge.load(folder).predict(scan).labels.voxels
    expected = np.asarray(model(scan.voxels[None], training=False))[0].argmax(-1)
    assert labels.shape == scan.voxels.shape
    assert np.mean(labels[..., 0] == expected) > 0.9


@pytest.mark.parametrize(("name", "layout"), [("mobile_unet3d", "height"), ("attention_unet3d", "channels")])
def test_every_operator_is_on_every_npu(name, layout):
    pytest.importorskip("ethosu")
    noise = np.random.default_rng(0).normal(size=(*PATCH, 1)).astype(np.float32)
    options = {key: value for key, value in OPTIONS.items() if key in option_names(name)}
    model = zoo.get(name, (*PATCH, 1), **options)
    data = export.convert(model, "tflite-int8", PATCH, [noise], npu=True, layout=layout).data
    for target in TARGETS:
        report = ethos.compile_tflite(data, ethos.find_target(target)).report
        assert report.cpu == ()
        assert report.operators > 0
