"""A user's mistakes with ``zoo export``: one clear line, exit status 1 or 2, no artifact folder left behind."""

import errno
import json
import os
from pathlib import Path

import keras
import pytest
from export_runs import ball_network, write_run
from keras import layers

import imaging
from export.artifact import folder as artifact
from export.conversion.convert import convert_checked
from imaging.scan import Scan
from zoo.cli import main

RECIPE = {"rank": 3, "channels": 1, "normalise": {"kind": "fixed", "mean": [0.0], "std": [1.0]}}


@keras.saving.register_keras_serializable("bad_input")
class Negative(layers.Layer):
    """A layer without a rule whose call decides by its values, which cannot be followed."""

    def call(self, x):
        return -x if bool(keras.ops.all(x > 0)) else x

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def network(body, shape=(None, None, None, 1)):
    image = keras.Input(shape)
    return keras.Model(image, body(image), name="net")


def plain(image):
    return layers.Conv3D(2, 1)(layers.Conv3D(4, 3, padding="same")(image))


def pooled(image):
    skip = layers.Conv3D(4, 3, padding="same")(image)
    return layers.Conv3D(2, 1)(layers.Concatenate()([layers.UpSampling3D(2)(layers.MaxPooling3D(2)(skip)), skip]))


def refused(words, tmp_path, capfd, *expected):
    """The line that is told; nothing is left behind."""
    out = tmp_path / "out"
    status = main(["export", *map(str, words), "--out", str(out)])
    said = capfd.readouterr().err
    assert status in (1, 2)
    assert "Traceback" not in said
    errors = [line for line in said.splitlines() if "error:" in line]
    assert len(errors) == 1, said
    for part in expected:
        assert part in errors[0]
    assert not out.exists() or not os.listdir(out)
    assert not list(tmp_path.rglob("*.tmp"))
    return status


def saved(tmp_path, body=plain, shape=(None, None, None, 1), cases=2):
    """A saved model of an unknown origin with its recipe and scans; the words for ``zoo export``."""
    network(body, shape).save(tmp_path / "net.keras")
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE), encoding="utf-8")
    run = write_run(tmp_path, training=cases, validation=0)
    scans = tmp_path / "calibration"
    scans.mkdir()
    for path in sorted((run.parent / "scans").glob("training_?.nii.gz")):
        path.rename(scans / path.name)
    return tmp_path / "net.keras", "--recipe", tmp_path / "recipe.json", "--calibration-folder", scans, "--no-verify"


def test_unsupported_layers_all_at_once(tmp_path, capfd):
    run = write_run(tmp_path, network=network(lambda image: plain(Negative(name="b")(Negative(name="a")(image)))))
    expected = ("cannot be rewritten", "layer a (Negative)", "layer b (Negative)", "export.rule")
    refused([run, "--format", "tflite-int8"], tmp_path, capfd, *expected)


def test_sizes_that_are_open(tmp_path, capfd):
    words = saved(tmp_path)
    refused([*words, "--format", "tflite-int8"], tmp_path, capfd, "is open", "give --patch")


def test_sizes_that_do_not_fit(tmp_path, capfd):
    run = write_run(tmp_path, network=network(pooled))
    refused([run, "--format", "tflite-int8", "--patch", 8, 7, 8], tmp_path, capfd, "(8, 7, 8)", "use (8, 8, 8)")
    refused([run, "--format", "tflite-int8", "--patch", 8, 8], tmp_path, capfd, "(8, 8)")
    refused(
        [run, "--format", "tflite-int8", "--patch", 0, 8, 8],
        tmp_path,
        capfd,
        "--patch 0 8 8: expected sizes of at least 1",
    )


def test_calibration_of_the_wrong_shape(tmp_path, capfd):
    words = saved(tmp_path, shape=(8, 8, 8, 1))
    scan = imaging.read(words[4] / "training_1.nii.gz")
    imaging.write(words[4] / "training_1.nii.gz", Scan(scan.voxels.repeat(2, axis=-1), scan.affine))
    refused([*words, "--format", "tflite-int8"], tmp_path, capfd, "training_1", "expected 3 axes")


def test_calibration_out_of_range(tmp_path, capfd):
    words = saved(tmp_path, shape=(8, 8, 8, 1), cases=3)
    scan = imaging.read(words[4] / "training_1.nii.gz")
    imaging.write(words[4] / "training_1.nii.gz", Scan(scan.voxels * 1e5, scan.affine))
    refused([*words, "--format", "tflite-int8"], tmp_path, capfd, "calibration patch", "as in training")


def test_no_cases_to_calibrate_or_verify(tmp_path, capfd):
    run = write_run(tmp_path / "a", training=0, validation=0)
    refused([run, "--format", "tflite-int8"], tmp_path, capfd, "no training cases")
    words = saved(tmp_path / "b", shape=(8, 8, 8, 1)) if (tmp_path / "b").mkdir() is None else ()
    for path in words[4].iterdir():
        path.unlink()
    refused([*words, "--format", "tflite-int8"], tmp_path, capfd, str(words[4]))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--format", "tflite-int4"), ("tflite-int4", "tflite-int8")),
        (("--format", "onnx-int8", "--max-arena", "1MB"), ("TFLite",)),
        (("--format", "onnx-int8", "--target", "ethos-u55"), ("tflite-int8",)),
        (("--format", "tflite-float32", "--allow-float", "2"), ("int8",)),
        (("--format", "onnx-int8", "--dynamic"), ("depth as the batch",)),
    ],
)
def test_format_that_the_network_cannot_have(tmp_path, capfd, words, expected):
    run = write_run(tmp_path)
    assert refused([run, *words], tmp_path, capfd, *expected) == 2


def test_runtime_without_the_operation(tmp_path, capfd):
    run = write_run(tmp_path, network=network(lambda image: keras.ops.erfinv(plain(image))))
    refused([run, "--format", "onnx-float32"], tmp_path, capfd, "Erfinv", "ONNX does not have")


def test_a_full_disk(tmp_path, capfd, monkeypatch):
    run = write_run(tmp_path)
    write = Path.write_bytes

    def full(self, data):
        if "model." in self.name or "report" in self.name:
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    refused([run, "--format", "tflite-float32"], tmp_path, capfd, "No space left on device", "cannot be written")


def test_a_disk_that_is_full_at_the_last_file(tmp_path, capfd, monkeypatch):
    run = write_run(tmp_path)
    write = Path.write_bytes

    def full(self, data):
        if "report.html" in self.name:
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    refused([run, "--format", "tflite-float32"], tmp_path, capfd, "No space left on device", "cannot be written")


def test_accuracy_that_is_lost(tmp_path, capfd, monkeypatch):
    worse = ball_network(threshold=0.6)
    monkeypatch.setattr(artifact, "convert_checked", lambda model, *args: convert_checked(worse, *args))
    run = write_run(tmp_path)
    words = [run, "--format", "tflite-int8", "--calibration", "minmax"]
    advice = (
        "leave --calibration to auto; or leave some layers in float with --allow-float 8; or fine-tune for tflite-int8"
    )
    refused(words, tmp_path, capfd, "verdict fail: mean Dice of ball falls from", "expected at least 99%", advice)
    refused([*words, "--max-drop", 0.001], tmp_path, capfd, "mean Dice drops by", "(expected at most 0.001)")
    refused([*words, "--allow-float", 1], tmp_path, capfd, "leave more layers in float with --allow-float 8")
