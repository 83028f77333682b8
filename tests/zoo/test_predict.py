"""``zoo predict`` from run folders: what ``zoo evaluate`` finds, named and reported as ``zoo-edge predict`` does."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from tiny import make_plan, write_dataset

import imaging
from export.source.source import open_source
from imaging.adopted import adopted_postprocessing
from imaging.cleaning import ClassCleaning, Postprocessing, apply
from medseg import record
from train.evaluation.ensemble import ensemble_segmenter
from train.evaluation.evaluate import evaluate
from train.evaluation.postprocess import Decision
from train.fitting.fit import network
from train.fitting.folds import open_folds
from train.fitting.run import create_run, open_run
from train.planning.plan import Network
from zoo.cli import main


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), flip=True)


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """A folder of three runs, the folds of one plan, whose networks have the weights of different seeds."""
    folder = tmp_path_factory.mktemp("runs") / "all"
    plan = make_plan(dataset)
    plan = dataclasses.replace(plan, network=Network("unet3d", {"width": 2, "depth": 2}))
    for fold in range(len(plan.folds)):
        run = create_run(folder / f"fold_{fold}", plan, fold, str(dataset.folder), (), ())
        seeded = dataclasses.replace(plan, training=dataclasses.replace(plan.training, seed=fold))
        network(seeded).save(run.model_file)
    chosen = Postprocessing((ClassCleaning("near", largest=True), ClassCleaning("far", largest=True)))
    decision = Decision(chosen, 6, {"near": 0.5, "far": 0.5}, {"near": 0.6, "far": 0.6}, 2)
    summary = {"folds": [0, 1], "postprocessing": record.to_dict(decision)}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_a_run_segments_as_its_evaluation_does(runs, dataset, tmp_path, capsys):
    run = open_run(runs / "fold_2")  # the summary is of folds 0 and 1
    metrics = evaluate(run, dataset, keep=True)
    cases = [dataset.case(name) for name in metrics["cases"]]
    out = tmp_path / "found"
    assert main(["predict", str(run.folder), *(str(case.images[0]) for case in cases), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    for case in cases:
        written = imaging.read_labels(out / f"{case.name}.nii.gz")
        expected = imaging.read_labels(run.folder / "predictions" / f"{case.name}.nii.gz")
        np.testing.assert_array_equal(written.voxels, expected.voxels)
        assert len(np.unique(written.voxels)) > 1
        np.testing.assert_allclose(written.affine, imaging.read(case.images[0]).affine)
        assert f"{out}/{case.name}.nii.gz written" in said
    assert "near" in said
    assert "ml" in said


def test_folds_segment_together_and_clean_up(runs, dataset, tmp_path, capsys):
    case = dataset.cases[0]
    scan = imaging.read(case.images[0])
    for words, folds in (((), (0, 1, 2)), (("--fold", "0,2"), (0, 2))):
        out = tmp_path / f"{len(folds)}.nii.gz"
        assert main(["predict", str(runs), str(case.images[0]), "-o", str(out), "--json", *words]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["format"] == f"Keras, mean of {len(folds)} networks"
        members = open_folds(runs, folds)
        alone = ensemble_segmenter(members)(scan)
        chosen = Postprocessing((ClassCleaning("near", largest=True), ClassCleaning("far", largest=True)))
        cleaned = apply(alone, chosen, members[0].plan.labels, scan.spacing)
        numbers = imaging.read_labels(out).voxels[..., 0]
        np.testing.assert_array_equal(numbers, np.array([0, 1, 5])[cleaned])
        assert report["scans"][0]["voxels"] == {"near": int((numbers == 1).sum()), "far": int((numbers == 5).sum())}
        assert not np.array_equal(alone, cleaned)


def test_a_fold_alone_cleans_up_as_its_artifact_does(runs, dataset, tmp_path):
    case = dataset.cases[0]
    scan = imaging.read(case.images[0])
    shutil.copytree(runs, tmp_path / "all")
    folder = tmp_path / "all" / "fold_0"
    (member,) = open_folds(folder.parent, (0,))
    alone = ensemble_segmenter((member,))(scan)
    most = int(np.bincount(alone.ravel())[1:].argmax()) + 1
    chosen = {"classes": [{"label": member.plan.labels[most].name, "min_volume_mm3": 1e9}]}
    summary = {"folds": [0], "postprocessing": {"chosen": chosen}}
    (folder.parent / "summary.json").write_text(json.dumps(summary))
    cleaned = apply(alone, open_source(folder).postprocessing, member.plan.labels, scan.spacing)
    assert not np.array_equal(alone, cleaned)
    flipped = ensemble_segmenter((member,), mirror=True)(scan)
    for words, expected in (((), cleaned), (("--mirror",), flipped)):  # nothing was adopted of flipped predictions
        out = tmp_path / f"{len(words)}.nii.gz"
        assert main(["predict", str(folder), str(case.images[0]), "-o", str(out), *words]) == 0
        np.testing.assert_array_equal(imaging.read_labels(out).voxels[..., 0], np.array([0, 1, 5])[expected])


def test_a_summary_that_is_none_is_named(runs, dataset, tmp_path, capsys):
    shutil.copytree(runs, tmp_path / "all")
    for content in ({"folds": [0]}, {"folds": [0], "postprocessing": 3}, {"folds": [0], "postprocessing": {}}):
        (tmp_path / "all" / "summary.json").write_text(json.dumps(content))
        with pytest.raises(imaging.InputError, match=r"summary.json: holds no postprocessing"):
            adopted_postprocessing(tmp_path / "all" / "fold_0")
    assert (
        main(["predict", str(tmp_path / "all" / "fold_0"), str(dataset.cases[0].images[0]), "-o", str(tmp_path)]) == 1
    )
    assert "summary.json: holds no postprocessing" in capsys.readouterr().err


def test_mirroring(runs, dataset, tmp_path, capsys):
    run, scan = open_run(runs / "fold_0"), dataset.cases[1].images[0]
    plan = dataclasses.replace(run.plan, training=dataclasses.replace(run.plan.training, mirror=(0, 2)))
    mirrored = create_run(tmp_path / "run", plan, 0, str(dataset.folder), (), ())
    run.model().save(mirrored.model_file)
    out = tmp_path / "found.nii.gz"
    assert main(["predict", str(mirrored.folder), str(scan), "-o", str(out), "--mirror"]) == 0
    expected = ensemble_segmenter((mirrored,), mirror=True)(imaging.read(scan))
    np.testing.assert_array_equal(imaging.read_labels(out).voxels[..., 0], np.array([0, 1, 5])[expected])


def test_one_bad_scan_does_not_stop_the_others(runs, dataset, tmp_path, capsys):
    (tmp_path / "scans").mkdir()
    for case in dataset.cases[:2]:
        (tmp_path / "scans" / case.images[0].name).write_bytes(case.images[0].read_bytes())
    (tmp_path / "scans" / "broken.nii.gz").write_bytes(b"no scan")
    assert main(["predict", str(runs / "fold_0"), str(tmp_path / "scans"), "-o", str(tmp_path / "out")]) == 1
    assert "1 of 3 scans could not be segmented" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("{runs}/fold_0", "--fold", "1"), 2, "--fold 1: of a cross-validated run"),
        (("{runs}", "--fold", "7"), 2, "fold 7"),
        (("{runs}", "--runtime", "litert"), 2, "--runtime litert: of an artifact"),
        (("unet3d-hippocampus", "--fold", "1"), 2, "--fold: of a run folder; unet3d-hippocampus is none"),
        (("{runs}/fold_0", "--mirror", "1"), 2, "--mirror 1: axes are of an artifact"),
        (("{runs}/fold_0", "--roi", "threshold:1"), 2, "--roi threshold:1: of an artifact"),
        (("{runs}/fold_0", "--save", "entropy"), 2, "--save entropy: a run gives no probabilities"),
    ],
)
def test_mistakes(runs, dataset, tmp_path, capsys, words, status, says):
    words = [word.format(runs=runs) for word in words]
    words[1:1] = [str(dataset.cases[0].images[0]), "-o", str(tmp_path / "out.nii.gz")]
    assert main(["predict", *words]) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_run_that_has_not_ended(runs, dataset, tmp_path, capsys):
    run = open_run(runs / "fold_0")
    create_run(tmp_path / "run", run.plan, 0, str(dataset.folder), (), ())
    words = ["predict", str(tmp_path / "run"), str(dataset.cases[0].images[0]), "-o", str(tmp_path / "o.nii.gz")]
    assert main(words) == 1
    assert "its training has not finished" in capsys.readouterr().err
