"""Networks that tell objects apart, on the device: numbers in the scan's own geometry, their table and pictures."""

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from edge_artifacts import FLAT, VOLUME
from objects import balls, pairs

import imaging
from edge.cli import build_parser
from edge.commands.predict import check_together
from edge.commands.scans import segment_scans
from edge.manifest import Manifest, Tensor
from edge.measure import of_classes
from edge.runtime.options import Options, Outputs
from edge.runtime.segmenter import Segmenter
from imaging import Label, Region, Scan
from imaging.instances import Decoding, distance_levels
from imaging.measure.detection import panoptic_quality


class Known:
    """A network that reads its answer from the image: intensity is the level of the distance."""

    def run(self, patch):
        share = np.clip(patch[..., 0] / 255, 0.0, 1.0)
        depth = np.clip(share, 1e-3, 1 - 1e-3)
        return np.stack([40 * (share - 1e-3), np.log(depth / (1 - depth))], -1).astype(np.float32)


def segmenter(recipe, patch, **changes):
    shape = (1, *patch)
    manifest = Manifest(
        name="cells",
        format="tflite-float32",
        model="model.tflite",
        sha256="",
        recipe=recipe,
        patch=patch,
        overlap=0.5,
        labels=(Label("background", 0), Label("cell", 1)),
        channels=("image",),
        folded=False,
        input=Tensor("in", (*shape, 1), "float32"),
        output=Tensor("out", (*shape, 2), "float32"),
        regions=(Region("cell", (1,), 1),),
        instances=Decoding(),
    )
    return Segmenter(dataclasses.replace(manifest, **changes), Known())


def scan_of(objects, affine=None, spacing=None):
    levels = distance_levels(objects, spacing or (1.0,) * objects.ndim)
    return Scan(levels[..., None].astype(np.float32), np.eye(4) if affine is None else affine)


def test_numbers_of_a_picture_larger_than_a_patch():
    objects = pairs((100, 84), 1, count=5)
    numbers = segmenter(FLAT, (64, 64)).predict(scan_of(objects)).labels.voxels[..., 0]
    quality = panoptic_quality(numbers, objects)
    assert (quality.matched, quality.missed, quality.false) == (objects.max(), 0, 0)
    assert quality.segmentation > 0.97
    assert sorted(np.unique(numbers)) == list(range(objects.max() + 1))


def test_numbers_of_a_volume_lie_in_its_own_geometry():
    objects = pairs((54, 54, 30), 2, count=4)
    affine = np.array([[0, 0, -1.0, 40], [1, 0, 0, -9], [0, -1, 0, 3], [0, 0, 0, 1]])
    segmentation = segmenter(VOLUME, (32, 32, 32)).predict(scan_of(objects, affine))
    quality = panoptic_quality(segmentation.labels.voxels[..., 0], objects)
    assert (quality.missed, quality.false) == (0, 0)
    np.testing.assert_array_equal(segmentation.labels.affine, affine)
    assert segmentation.volumes_ml["cell"] == pytest.approx(np.count_nonzero(objects) / 1000, rel=0.03)


def test_a_finer_grid_than_the_network_and_flips():
    objects = balls((60, 60), [(30, 20), (30, 38)], [(11, 10), (11, 9)])
    recipe = dataclasses.replace(FLAT, spacing=(2.0, 2.0))
    flat = segmenter(recipe, (32, 32))
    for options in (Options(), Options(mirror=(0, 1)), Options(outputs=Outputs(probabilities=True, entropy=True))):
        segmentation = flat.predict(scan_of(objects), options=options)
        assert panoptic_quality(segmentation.labels.voxels[..., 0], objects).matched == 2
    assert segmentation.probabilities.channels == 1


def test_their_class_where_values_of_classes_are_wanted():
    objects = pairs((64, 64), 0)
    flat = segmenter(
        FLAT, (64, 64), labels=(Label("background", 0), Label("cell", 7)), regions=(Region("cell", (7,), 7),)
    )
    classes = of_classes(flat.predict(scan_of(objects)).labels, flat.manifest)
    assert sorted(np.unique(classes.voxels)) == [0, 7]


def test_files_of_the_command(tmp_path, capsys):
    objects = pairs((64, 64), 3, count=4)
    source = scan_of(objects)
    imaging.write(tmp_path / "in" / "a.png", source)
    imaging.write(tmp_path / "in" / "b.png", dataclasses.replace(source, voxels=source.voxels * 0))
    words = ["predict", "cells", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]
    args = build_parser().parse_args(words)
    check_together(args)
    outputs = Outputs(instances=True, boxes=True, overlay=True, measurements=True)
    segment_scans(segmenter(FLAT, (64, 64)), args, Options(outputs=outputs))
    reports = json.loads(capsys.readouterr().out)["scans"]
    assert [report["objects"] for report in reports] == [objects.max(), 0]
    stored = [cv2.imread(str(tmp_path / "out" / name), -1) for name in ("a.png", "b.png")]
    assert all(array.dtype == np.uint16 for array in stored)
    assert panoptic_quality(stored[0].astype(int), objects).matched == objects.max()
    assert not stored[1].any()
    assert not (tmp_path / "out" / "a_instances.png").exists()
    with open(tmp_path / "out" / "a_instances.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == list(range(1, objects.max() + 1))
    for row in rows:
        mask = stored[0] == int(row["number"])
        assert int(row["voxels"]) == mask.sum()
        assert float(row["mean_intensity_0"]) == pytest.approx(source.voxels[..., 0][mask].mean())
    with open(tmp_path / "out" / "a_measurements.csv", encoding="utf-8") as file:
        assert int(next(csv.DictReader(file))["voxels"]) == (stored[0] > 0).sum()
