"""Several folds: training in turn, cross-validated summary, ensemble."""

import dataclasses
import json
import os
import shutil

import keras
import nibabel
import numpy as np
import pytest
from tiny import STILL, make_plan, write_dataset

import imaging
from imaging.cleaning import ClassCleaning, Postprocessing
from medseg import record
from medseg.errors import InputError, UsageError
from train.cli import main
from train.data.dataset import open_dataset
from train.evaluation.averages import COLUMNS
from train.evaluation.cross_report import mean_table, postprocessing
from train.evaluation.cross_validation import cross_validate, deviations, load_decision, summary_table
from train.evaluation.ensemble import ensemble_segmenter, evaluate_ensemble, unseen_cases
from train.evaluation.evaluate import evaluate
from train.evaluation.postprocess import Decision
from train.evaluation.segmenting import patch_predictor
from train.fitting.folds import fit_folds, fold_numbers, open_folds
from train.fitting.run import create_run


@pytest.fixture(scope="module")
def out(dataset, tmp_path_factory):
    """All folds, trained and summed up from the command line."""
    folder = tmp_path_factory.mktemp("runs")
    plan = make_plan(dataset, epochs=1, steps_per_epoch=2, augmentation=STILL)
    record.save(folder / "plan.json", plan)
    cache = ["--cache", str(folder / "cache")]
    command = ["train", str(dataset.folder), "--plan", str(folder / "plan.json"), "--out", str(folder / "all"), *cache]
    assert main([*command, "--fold", "2,0"]) == 0
    assert json.loads((folder / "all" / "summary.json").read_text())["folds"] == [0, 2]
    before = (folder / "all" / "fold_0" / "model.keras").stat().st_mtime_ns
    assert main([*command, "--fold", "all"]) == 1
    assert main([*command, "--fold", "all", "--resume"]) == 0
    assert (folder / "all" / "fold_0" / "model.keras").stat().st_mtime_ns == before
    return folder / "all"


def test_the_summary_covers_every_case_once(out, dataset):
    summary = json.loads((out / "summary.json").read_text())
    assert summary["folds"] == [0, 1, 2]
    assert sorted(summary["cases"]) == [case.name for case in dataset.cases]
    for run in open_folds(out):
        metrics = json.loads((run.folder / "metrics.json").read_text())
        assert {name for name, fold in summary["fold_of"].items() if fold == run.fold} == set(metrics["cases"])
        assert summary["mean_of_fold"][str(run.fold)] == metrics["mean"]
        assert all(summary["cases"][name] == scores for name, scores in metrics["cases"].items())
    dice = [scores["far"]["dice"] for scores in summary["cases"].values()]
    assert summary["mean"]["far"]["dice"] == pytest.approx(np.mean(dice))
    assert summary["std"]["far"]["dice"] == pytest.approx(np.std(dice))
    text = summary_table(summary)
    assert f"{np.mean(dice):.4f} ± {np.std(dice):.4f}" in text
    assert "over 6 cases of folds 0, 1, 2" in text
    assert "postprocessing: " in text


def test_the_postprocessing_that_was_chosen_gives_the_scores_in_the_summary(out, dataset):
    decision = load_decision(out)
    summary = json.loads((out / "summary.json").read_text())
    for name in ("near", "far"):
        assert decision.dice_before[name] == pytest.approx(summary["mean"][name]["dice"])
        after = (summary["postprocessed"] or summary)["mean"][name]["dice"]
        assert decision.dice_after[name] == pytest.approx(after)
    run = open_folds(out, (0,))[0]
    for name in run.plan.folds[0]:
        predicted = nibabel.load(run.folder / "predictions" / f"{name}.nii.gz")
        assert set(np.unique(predicted.dataobj)) <= {0, 1, 5}
        np.testing.assert_allclose(predicted.affine, nibabel.load(dataset.case(name).images[0]).affine)


def test_the_summary_has_means_of_the_cases_that_hold_a_label(out, dataset, tmp_path):
    shutil.copytree(out, tmp_path / "all")
    runs = open_folds(tmp_path / "all")
    path = runs[0].result_file("metrics.json")
    metrics = json.loads(path.read_text())
    absent = runs[0].plan.folds[0][0]
    metrics["cases"][absent]["far"] |= {"reference_ml": 0.0, "dice": 0.0}
    path.write_text(json.dumps(metrics))
    summary = cross_validate(runs, dataset, tmp_path, reuse=True)
    assert json.loads((tmp_path / "summary.json").read_text())["mean_present"] == summary["mean_present"]
    assert set(summary["mean_present"]) == {"far"}
    present = summary["mean_present"]["far"]
    others = [rows["far"]["dice"] for name, rows in summary["cases"].items() if name != absent]
    assert (present["cases"], len(others)) == (5, 5)
    assert present["dice"] == pytest.approx(np.mean(others))
    line = next(line for line in summary_table(summary).splitlines() if line.startswith("  where present (5)"))
    assert float(line.split()[3]) == pytest.approx(present["dice"], abs=5e-5)
    assert f"<td>far  where present (5)</td><td>{present['dice']:.4f}</td>" in mean_table(summary)


def test_scores_are_made_again_where_a_held_back_case_changed(out, dataset, tmp_path, capsys):
    shutil.copytree(out, tmp_path / "all")
    runs = open_folds(tmp_path / "all")
    data = open_dataset(shutil.copytree(dataset.folder, tmp_path / "data"))
    scored = []

    def score(run, *given, **options):
        scored.append(run.fold)
        return evaluate(run, *given, **options)

    before = cross_validate(runs, data, reuse=True, progress=True, score=score)
    assert scored == []
    case = data.case(runs[1].plan.folds[1][0])
    labels, state = imaging.read_labels(case.label), os.stat(case.label)
    imaging.write(case.label, dataclasses.replace(labels, voxels=np.roll(labels.voxels, 5, axis=1)))
    os.utime(case.label, ns=(state.st_atime_ns, state.st_mtime_ns))
    after = cross_validate(runs, data, reuse=True, progress=True, score=score)
    assert scored == [1]
    message = capsys.readouterr().err
    assert (
        f"{runs[1].folder}: 1 of 2 held-back cases changed since it was scored, such as {case.name}; it is" in message
    )
    assert {name for name in before["cases"] if before["cases"][name] != after["cases"][name]} == {case.name}
    cross_validate(runs, data, reuse=True, score=score)
    assert scored == [1]
    path = runs[0].result_file("metrics.json")
    metrics = json.loads(path.read_text())
    del metrics["content"]  # of an older version
    path.write_text(json.dumps(metrics))
    cross_validate(runs, data, reuse=True, score=score)
    assert scored == [1, 0]


def test_the_report_shows_folds_classes_cases_and_why(out, dataset):
    page = (out / "report.html").read_text()
    summary = json.loads((out / "summary.json").read_text())
    assert page.count("data:image/png;base64,") == 2 + 3  # boxes, calibration, three cases
    assert "http" not in page
    for fold, means in summary["mean_of_fold"].items():
        for label, row in means.items():
            assert f"<td>{fold} (2 cases)</td><td>{label}</td><td>{row['dice']:.4f}</td>" in page
    for case in dataset.cases:
        assert page.count(f"<td>{case.name}</td>") == 2  # a line for each label
    decision = load_decision(out)
    assert f"Of {decision.tried} ways per class" in page
    for label, before in decision.dice_before.items():
        assert f"<td>{before:.4f}</td><td>{decision.dice_after[label]:.4f}</td>" in page
    assert f"zoo evaluate {out} {dataset.folder} --mirror" in page
    voxels = {label: sum(row[0] for row in table) for label, table in summary["calibration"].items()}
    assert set(voxels.values()) == {6 * 14 * 18 * 13}


def test_what_was_adopted_is_told_in_words():
    row = dict.fromkeys(COLUMNS, 0.5)
    chosen = Postprocessing((ClassCleaning("near", largest=True, fill_holes=True),))
    decision = Decision(chosen, 6, {"near": 0.5, "far": 0.7}, {"near": 0.62, "far": 0.7}, 12)
    described = postprocessing({"postprocessing": record.to_dict(decision)})
    assert (
        "<td>near</td><td>largest part only, holes filled</td><td>0.5000</td><td>0.6200</td><td>+0.1200</td>"
        in described
    )
    assert "<td>far</td><td>none</td><td>0.7000</td><td>0.7000</td><td>+0.0000</td>" in described
    means = {"near": row}
    cleaned = {"mean": {"near": row | {"dice": 0.62}}, "std": means}
    table = mean_table({"mean": means, "std": means, "postprocessed": cleaned})
    assert "<td>near cleaned</td><td>0.6200 ± 0.5000</td>" in table


def test_evaluate_from_the_command_line(out, capsys):
    """Without a dataset folder: the one that was trained on."""
    assert main(["evaluate", str(out), "--fold", "0,1", "--no-report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folds"] == [0, 1]
    assert json.loads((out / "summary.json").read_text())["folds"] == [0, 1, 2]
    assert main(["evaluate", str(out), "--ensemble"]) == 1
    assert "each of its labelled cases trained one of the folds 0, 1, 2" in capsys.readouterr().err
    assert main(["evaluate", str(out / "fold_0"), "--fold", "all"]) == 2
    assert "is a single run" in capsys.readouterr().err
    assert main(["evaluate", str(out), "--fold", "x,y"]) == 2
    assert "expected all, none, a number, or numbers" in capsys.readouterr().err


def test_the_ensemble_is_the_mean_of_probabilities_on_cases_that_no_fold_knows(out, tmp_path, capsys):
    copies = write_dataset(tmp_path / "copies", cases=2)  # the same images at another place
    assert main(["evaluate", str(out), str(copies.folder), "--ensemble"]) == 1
    assert "each of its labelled cases trained one of the folds" in capsys.readouterr().err
    elsewhere = write_dataset(tmp_path / "data", cases=2, shape=(14, 18, 14))  # cases of the same names, other images
    assert main(["evaluate", str(out), str(elsewhere.folder), "--ensemble", "--fold", "0,1"]) == 0
    assert "mean over 2 cases by the ensemble of folds 0, 1" in capsys.readouterr().out
    runs = open_folds(out, (0, 1))
    metrics = evaluate_ensemble(runs, elsewhere, postprocessing=load_decision(out).chosen)
    assert json.loads((out / "ensemble.json").read_text()) == metrics
    models = [run.model() for run in runs]
    patch = np.random.default_rng(0).normal(size=(16, 16, 8, 1)).astype(np.float32)
    expected = np.mean([keras.ops.softmax(model(patch[None]))[0] for model in models], axis=0)
    np.testing.assert_allclose(patch_predictor(models)(patch), expected, atol=1e-5)
    np.testing.assert_array_equal(patch_predictor(models[:1])(patch), patch_predictor(models[0])(patch))
    import imaging

    scan = imaging.read(list(elsewhere.cases[0].images))
    assert ensemble_segmenter(runs)(scan).shape == scan.shape
    assert unseen_cases(runs, elsewhere) == elsewhere.cases


def test_scores_of_an_ensemble_are_not_lost_to_those_of_another_folder_or_other_folds(out, tmp_path, capsys):
    (out / "ensemble.json").unlink(missing_ok=True)
    first, second = (write_dataset(tmp_path / name, cases=1, shape=shape) for name, shape in
                (("one", (14, 18, 14)), ("two", (14, 18, 15))))  # fmt: skip
    ensemble = ["evaluate", str(out), str(first.folder), "--ensemble", "--fold", "0,1"]
    assert main(ensemble) == 0
    kept = (out / "ensemble.json").read_bytes()
    for words in ([*ensemble[:2], str(second.folder), *ensemble[3:]], ensemble[:4]):
        assert main(words) == 1
        message = capsys.readouterr().err
        assert f"{out / 'ensemble.json'}: holds scores of " in message
        assert "give another --out" in message
        assert (out / "ensemble.json").read_bytes() == kept
        second_place = tmp_path / "other" / str(len(words))
        assert main([*words, "--out", str(second_place)]) == 0
        assert json.loads((second_place / "ensemble.json").read_text())["cases"].keys() == {"case_00"}
        assert (out / "ensemble.json").read_bytes() == kept
    assert main(ensemble) == 0  # the same question again
    (out / "ensemble.json").write_text('{"folds": [0, 1]}')  # of before the folder was written into it
    assert main(ensemble) == 1
    assert "holds scores of something else" in capsys.readouterr().err


def test_two_runs_of_one_fold_are_refused(out, dataset):
    run = open_folds(out, (0,))[0]
    with pytest.raises(InputError, match="was held back by another run too"):
        cross_validate([run, run], dataset, reuse=True)


def test_deviation_of_an_infinite_distance():
    cases = {"a": {"x": {"hd95": np.inf, "dice": 0.0}}, "b": {"x": {"hd95": 1.0, "dice": 1.0}}}
    assert deviations(cases) == {"x": {"hd95": np.inf, "dice": 0.5}}


def test_fold_numbers(dataset):
    plan = make_plan(dataset)
    assert fold_numbers("all", plan) == (0, 1, 2)
    assert fold_numbers("2,0,2", plan) == (2, 0)
    assert fold_numbers("none", plan) == (None,)
    with pytest.raises(UsageError, match="fold 3: the plan has folds 0 to 2"):
        fold_numbers("0,3", plan)


def test_folders_that_do_not_fit(dataset, tmp_path):
    with pytest.raises(InputError, match="holds no fold_0"):
        open_folds(tmp_path)
    plan = make_plan(dataset)
    create_run(tmp_path / "fold_0", plan, 0, "data", (), ())
    create_run(tmp_path / "fold_1", make_plan(dataset, epochs=9), 1, "data", (), ())
    with pytest.raises(InputError, match="fold_1: its plan differs"):
        open_folds(tmp_path)
    with pytest.raises(InputError, match="holds a single run"):
        fit_folds(plan, dataset, tmp_path / "fold_0", (0, 1))


def test_without_a_fold_every_case_is_trained_on(out, dataset, tmp_path, capsys):
    command = [
        "train",
        str(dataset.folder),
        "--plan",
        str(out.parent / "plan.json"),
        "--cache",
        str(tmp_path / "cache"),
    ]
    assert main([*command, "--out", str(tmp_path / "run"), "--fold", "none"]) == 0
    assert f"zoo export {tmp_path / 'run'}" in capsys.readouterr().out
    cases = json.loads((tmp_path / "run" / "cases.json").read_text())
    assert sorted(case["name"] for case in cases["training"]) == [case.name for case in dataset.cases]
    assert cases["validation"] == []
    history = (tmp_path / "run" / "history.csv").read_text()
    assert "val_loss" not in history
    assert len(history.splitlines()) == 2
    assert main(["evaluate", str(tmp_path / "run")]) == 1
    assert "trained on every case" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "run"), "--fold", "0", "--no-report"]) == 0
    assert "which the network was trained on" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "stale"), "--fold", "none", "--patience", "2"]) == 2
    assert "training.patience 2: without a fold" in capsys.readouterr().err
    assert not (tmp_path / "stale").exists()


def test_the_export_of_such_a_run_verifies_on_cases_that_do_not_calibrate(dataset, out, tmp_path):
    from export.source.source import open_source

    files = {name: (out / "fold_0" / name).read_bytes() for name in ("plan.json", "run.json", "model.keras")}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cases = json.loads((out / "fold_0" / "cases.json").read_text())
    (tmp_path / "cases.json").write_text(
        json.dumps({"training": cases["training"] + cases["validation"], "validation": []})
    )
    source = open_source(tmp_path)
    assert len(source.validation) == 2
    assert len(source.training) + len(source.validation) == len(dataset.cases)
    assert not set(source.training) & set(source.validation)
