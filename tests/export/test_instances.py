"""Objects told apart, from a folder of pictures to numbers out of an int8 file."""

import dataclasses

import numpy as np
import pytest
from objects import write_objects

import edge
import imaging
from edge.cli import main as edge_main
from export.artifact.folder import export_run
from imaging.measure.detection import score_objects
from train.data.dataset import open_dataset
from train.evaluation.averages import table
from train.evaluation.evaluate import evaluate
from train.fitting.fit import fit
from train.planning.plan import Augmentation, Network
from train.planning.planner import make_plan


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("cells")
    dataset = open_dataset(write_objects(place / "data", count=8, size=64))
    network = Network("unet", {"widths": [8, 16, 24], "depth": 3})
    plan = make_plan(dataset, folds=4, batch=4, epochs=2, steps_per_epoch=70, learning_rate=0.01, precision="float32")
    training = dataclasses.replace(plan.training, augmentation=Augmentation(rotation_chance=0, scale_chance=0))
    plan = dataclasses.replace(plan, network=network, training=training)
    run = fit(plan, dataset, place / "run", cache=place / "cache", verbose=False)
    return dataset, run, evaluate(run, dataset, keep=True)


def test_training_evaluation_export_and_device(trained, tmp_path, capsys):
    dataset, run, metrics = trained
    row = metrics["mean"]["object"]
    assert row["ap50"] > 0.5
    assert table(metrics).split()[1:5] == ["ap", "ap50", "ap75", "pq"]
    name = run.plan.folds[0][0]
    kept = imaging.read_labels(run.folder / "predictions" / f"{name}.png", instances=True).voxels[..., 0]
    (folder,) = export_run(run.folder, ["tflite-int8"], tmp_path / "artifacts", ship_anyway=True)
    segmenter = edge.load(folder, 1)
    assert segmenter.manifest.instances == run.plan.instances
    objects = segmenter.manifest.fidelity["objects"]
    assert objects["ap_network"] == pytest.approx(row["ap"], abs=0.02)
    numbers = segmenter.predict(imaging.read(dataset.case(name).images[0])).labels.voxels[..., 0]
    assert score_objects(numbers, kept)["f1"] > 0.7
    assert edge_main(["info", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "cut by a watershed of depth 0.1" in printed
    assert f"{objects['ap_artifact']:.4f}, network {objects['ap_network']:.4f}" in printed
    assert edge_main(["verify", str(folder)]) == 0


def test_the_run_itself_predicts_the_same(trained, tmp_path):
    from zoo.cli import main

    dataset, run, _ = trained
    image = dataset.case(run.plan.folds[0][0]).images[0]
    assert main(["predict", str(run.folder), str(image), "-o", str(tmp_path / "found.png"), "--save", "instances"]) == 0
    numbers = imaging.read_labels(tmp_path / "found.png", instances=True).voxels[..., 0]
    kept = imaging.read_labels(run.folder / "predictions" / image.name, instances=True).voxels[..., 0]
    np.testing.assert_array_equal(numbers, kept)
    assert (tmp_path / "found_instances.csv").is_file()
