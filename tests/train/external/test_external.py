"""The external test from the command line: runs, folds together, artifacts without TensorFlow, and wrong folders."""

import dataclasses
import json
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from tiny import make_plan, write_dataset

import imaging
from export.artifact.folder import export_run
from imaging.measure.intervals import bootstrap_mean
from imaging.recipe import Normalise
from medseg import record
from medseg.errors import InputError
from train.data.dataset import open_dataset
from train.evaluation.ensemble import ensemble_segmenter
from train.external.score import Candidate, prepare
from train.fitting.run import create_run, open_run
from train.planning.plan import Network
from zoo.cli import main


def knows_the_boxes(plan):
    """A network of the zoo's plain kind whose weights tell the three intensities apart; it misses at the rims."""
    import keras

    image = keras.Input((*plan.patch, 1))
    x = keras.layers.Conv3D(3, 3, padding="same", name="mean")(image)
    model = keras.Model(image, keras.layers.Conv3D(3, 1, name="logits")(x), name="boxes")
    kernel = np.zeros((3, 3, 3, 1, 3), np.float32)
    kernel[1, 1, 1] = 1.0
    model.get_layer("mean").set_weights([kernel, np.zeros(3, np.float32)])
    # Of the lines m x - m²/2 that of the nearest mean m is the highest.
    means = np.array([0.0, 0.4, 0.8], np.float32)
    last = np.zeros((1, 1, 1, 3, 3), np.float32)
    last[..., 0, :] = means
    model.get_layer("logits").set_weights([last, -(means**2) / 2])
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs of one plan that trained on every case and on a fold, and an external folder of four patients."""
    top = tmp_path_factory.mktemp("external")
    dataset = write_dataset(top / "data")
    plan = make_plan(dataset)
    recipe = dataclasses.replace(plan.recipe, normalise=Normalise("fixed", (100.0,), (100.0,)))
    fingerprint = _fingerprint(dataset)
    plan = dataclasses.replace(plan, recipe=recipe, network=Network("unet3d"), fingerprint=fingerprint)
    for name, fold in (("every", None), ("all/fold_0", 0), ("all/fold_1", 1)):
        held = () if fold is None else plan.folds[fold]
        parts = [[c for c in dataset.cases if (c.name in held) is inside] for inside in (False, True)]
        run = create_run(top / name, plan, fold, str(dataset.folder), *parts)
        knows_the_boxes(plan).save(run.model_file)
    write_dataset(top / "hospital", cases=10)
    _keep(top / "hospital", [f"case_{number:02d}" for number in (6, 7, 8, 9)])
    lines = ["case,site,patient", *(f"case_{n:02d},{'north' if n < 8 else 'south'},p{n % 3}" for n in (6, 7, 8, 9))]
    (top / "sites.csv").write_text("\n".join(lines))
    return top


def _fingerprint(dataset):
    from train.planning.fingerprint import fingerprint
    from train.planning.inspection import inspect

    return fingerprint(dataset, inspect(dataset).facts)


def _keep(folder, names):
    """Leave only these cases in a folder of ``write_dataset``."""
    about = json.loads((folder / "dataset.json").read_text())
    about["training"] = [e for e in about["training"] if e["image"].split("/")[-1].removesuffix(".nii.gz") in names]
    (folder / "dataset.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def result(folders):
    """The scores of the run that was trained on every case."""
    command = ["evaluate", str(folders / "every"), str(folders / "hospital"), "--sites", str(folders / "sites.csv")]
    assert main(command) == 0
    return json.loads((folders / "every" / "external" / "hospital" / "metrics.json").read_text())


def test_a_run_on_every_case_is_scored_elsewhere(folders, result):
    assert sorted(result["cases"]) == [f"case_{number:02d}" for number in (6, 7, 8, 9)]
    run, dataset = open_run(folders / "every"), open_dataset(folders / "hospital")
    case = dataset.case("case_07")
    indices = ensemble_segmenter((run,))(imaging.read(case.images[0]))
    label = nibabel.load(case.label).get_fdata()
    for value, index, name in ((1, 1, "near"), (5, 2, "far")):
        expected = (
            2 * ((indices == index) & (label == value)).sum() / ((indices == index).sum() + (label == value).sum())
        )
        assert result["cases"]["case_07"][name]["dice"] == pytest.approx(expected)
        assert 0.5 < expected < 1
    assert not (folders / "every" / "metrics.json").exists()


def test_intervals_are_by_patient_and_by_site(result):
    patients = {"case_06": "p0", "case_07": "p1", "case_08": "p2", "case_09": "p0"}
    assert result["patients"] == patients
    dice = {name: rows["near"]["dice"] for name, rows in result["cases"].items()}
    expected = bootstrap_mean(list(dice.values()), [patients[name] for name in dice])
    assert result["interval"]["near"]["dice"] == [expected.low, expected.high]
    assert set(result["by"]) == {"site"}
    north = result["by"]["site"]["north"]
    assert (north["cases"], north["patients"]) == (2, 2)
    assert north["mean"]["near"]["dice"] == pytest.approx(np.mean([dice["case_06"], dice["case_07"]]))


def test_the_report_shows_scans_here_and_in_training(folders, result):
    page = (folders / "every" / "external" / "hospital" / "report.html").read_text()
    row = result["mean"]["near"]["dice"], *result["interval"]["near"]["dice"]
    assert "{:.4f} ({:.4f} to {:.4f})".format(*row) in page
    assert "<th>training</th><th>here</th>" in page
    trained, here = (result[name]["intensity"][0]["mean"] for name in ("trained", "fingerprint"))
    assert trained != here
    assert f"<td>{trained:g} ± " in page
    assert f"<td>{here:g} ± " in page
    assert "north (2 cases, 2 patients)" in page
    assert "3 patients (the column patient)" in page
    assert "http" not in page


def test_folds_are_tested_together_with_what_was_adopted(folders, capsys):
    everything = {"classes": [{"label": "far", "min_volume_mm3": 1e9}]}
    decision = {"chosen": everything, "tried": 1, "cases": 6, "dice_before": {}, "dice_after": {}}
    summary = folders / "all" / "summary.json"
    summary.write_text(json.dumps({"folds": [0, 1], "postprocessing": _decision(decision)}))
    assert main(["evaluate", str(folders / "all"), str(folders / "hospital"), "--json", "--no-report"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == "mean of 2 networks"
    assert printed["mean"]["far"]["dice"] == 0
    assert printed["mean"]["near"]["dice"] > 0.5
    summary.unlink()


def _decision(values):
    from imaging.cleaning import Postprocessing
    from train.evaluation.postprocess import Decision

    chosen = record.from_dict(Postprocessing, values["chosen"])
    return record.to_dict(Decision(chosen, 6, {"near": 0.5, "far": 0.5}, {"near": 0.5, "far": 0.5}, 2))


def test_an_artifact_is_tested_without_tensorflow(folders, result, tmp_path):
    (artifact,) = export_run(
        folders / "every", ["onnx-float32"], tmp_path / "art", verify=False, tell=lambda line: None
    )
    command = ["evaluate", str(artifact), str(folders / "hospital"), "--out", str(tmp_path / "scores")]
    code = (
        f"import sys; from zoo.cli import main; assert main({command!r}) == 0; "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "percentile intervals" in ended.stdout
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    for name, rows in metrics["cases"].items():
        assert rows["near"]["dice"] == pytest.approx(result["cases"][name]["near"]["dice"], abs=1e-3)
    assert not set(artifact.iterdir()) & {artifact / "metrics.json", artifact / "external"}
    assert main(["evaluate", str(artifact)]) == 2
    assert main(["evaluate", str(artifact), str(folders / "hospital"), "--mirror"]) == 2


def test_training_cases_are_left_out_also_as_copies(folders, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(folders / "data", mixed)
    dataset = open_dataset(mixed)
    run = open_run(folders / "all" / "fold_0")
    candidate = Candidate(
        "n", "k", None, run.plan.labels, run.plan.channels, run.plan.recipe, trained_on=(run.folder / "cases.json",)
    )
    assert [case.name for case in prepare(candidate, dataset).cases] == list(run.plan.folds[0])
    whole = dataclasses.replace(candidate, trained_on=(folders / "every" / "cases.json",))
    with pytest.raises(InputError, match="each of its 6 labelled cases trained n"):
        prepare(whole, dataset)


def test_the_folder_trained_on_is_scored_by_folds_wherever_it_lies(folders, tmp_path, capsys):
    run = folders / "every"
    assert main(["evaluate", str(run), str(folders / "data")]) == 1
    assert "was trained on every case" in capsys.readouterr().err
    moved = shutil.copytree(folders / "all" / "fold_0", tmp_path / "run")
    origin = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps(origin | {"dataset": str(tmp_path / "gone")}))
    assert main(["evaluate", str(moved), str(folders / "data"), "--no-report"]) == 0
    assert (moved / "metrics.json").is_file()


def _renamed(about):
    about["labels"] = {"0": "background", "1": "liver", "5": "tumour"}


def _more_channels(about):
    about["modality"] = about["channel_names"] = {"0": "MRI", "1": "MRI 2"}
    for entry in about["training"]:
        entry["image"] = [entry["image"], entry["image"]]


@pytest.mark.parametrize(
    ("change", "says"),
    [(_renamed, "its labels are 0 background, 1 liver, 5 tumour"), (_more_channels, "its channels are MRI, MRI 2")],
)
def test_another_task_is_refused_before_any_scan_is_read(folders, tmp_path, capsys, change, says):
    shutil.copytree(folders / "hospital", tmp_path / "other")
    about = json.loads((tmp_path / "other" / "dataset.json").read_text())
    change(about)
    (tmp_path / "other" / "dataset.json").write_text(json.dumps(about))
    for image in (tmp_path / "other").rglob("*.nii.gz"):
        image.write_bytes(b"unreadable")
    assert main(["evaluate", str(folders / "every"), str(tmp_path / "other")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert says in lines[-1]
    assert "expected the same" in lines[-1]
    assert not (folders / "every" / "external" / "other").exists()


def test_a_scan_that_cannot_be_read_is_named_before_any_is_segmented(folders, tmp_path, capsys):
    shutil.copytree(folders / "hospital", tmp_path / "broken")
    (tmp_path / "broken" / "imagesTr" / "case_08.nii.gz").write_bytes(b"unreadable")
    assert main(["evaluate", str(folders / "every"), str(tmp_path / "broken"), "--json"]) == 1
    assert "case_08.nii.gz" in capsys.readouterr().err


def test_scores_of_another_folder_stay(folders, result, tmp_path, capsys):
    out = folders / "every" / "external" / "hospital"
    shutil.copytree(folders / "hospital", tmp_path / "hospital")
    before = (out / "metrics.json").read_bytes()
    assert main(["evaluate", str(folders / "every"), str(tmp_path / "hospital")]) == 1
    assert "holds scores of" in capsys.readouterr().err
    assert (out / "metrics.json").read_bytes() == before
    assert main(["evaluate", str(folders / "all"), str(folders / "hospital"), "--out", str(out)]) == 1
    assert "metrics.json: holds scores of kind 'trained network', these are of 'mean of " in capsys.readouterr().err
    assert (out / "metrics.json").read_bytes() == before
    negated = shutil.copytree(folders / "every", tmp_path / "every", ignore=shutil.ignore_patterns("external"))
    network = open_run(negated).model()
    network.get_layer("logits").set_weights([-weight for weight in network.get_layer("logits").get_weights()])
    network.save(negated / "model.keras")
    assert main(["evaluate", str(negated), str(folders / "hospital"), "--out", str(out)]) == 1
    assert "metrics.json: holds scores of weights '" in capsys.readouterr().err
    assert (out / "metrics.json").read_bytes() == before


def test_options_of_an_external_test_need_one(folders, capsys):
    assert main(["evaluate", str(folders / "all" / "fold_0"), "--sites", "sites.csv"]) == 2
    assert "--sites: of an external test" in capsys.readouterr().err


def test_an_export_is_verified_on_a_folder(folders, tmp_path, capsys):
    hospital, run = str(folders / "hospital"), str(folders / "every")
    command = ["export", run, "--format", "onnx-float32", "--out", str(tmp_path / "out"), "--verify-on"]
    assert main([*command, hospital]) == 0
    assert "verifying on 4 validation cases" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "out" / "onnx-float32" / "manifest.json").read_text())
    assert manifest["source"]["verified_on"] == "hospital"
    assert manifest["fidelity"]["labels"]["near"]["cases"] == 4
    assert (
        "- Verified on: the labelled scans of hospital" in (tmp_path / "out" / "onnx-float32" / "CARD.md").read_text()
    )
    assert main([*command, hospital, "--no-verify"]) == 2
    assert "leave out --no-verify" in capsys.readouterr().err
    assert main([*command, str(folders / "data")]) == 1
    assert "each of its 6 labelled cases trained" in capsys.readouterr().err
