import json
import subprocess
import sys

import numpy as np
import pytest
from dataset_folders import scan_3d, write_flat, write_msd

import imaging
from imaging.scan import Scan
from medseg import record
from train.cli import COMMANDS, build_parser, main
from train.planning.plan import Plan


def test_plan_writes_a_plan_and_tells_the_next_command(tmp_path, capsys):
    folder = write_msd(tmp_path / "balls", cases=6)
    out = tmp_path / "plan.json"
    assert main(["plan", str(folder), "-o", str(out), "--folds", "3"]) == 0
    printed = capsys.readouterr().out
    assert "Balls: 6 labelled cases, median 20×24×16" in printed
    assert printed.splitlines()[-1] == f"Next: zoo train {folder} --plan {out} --fold 0 --out runs/balls"
    plan = record.load(out, Plan)
    assert plan.patch == (20, 24, 16)
    assert len(plan.folds) == 3
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["plan.json"]


def test_explain_while_planning_and_afterwards(tmp_path, capsys):
    folder, out = write_msd(tmp_path / "balls", cases=3), tmp_path / "plan.json"
    assert main(["plan", str(folder), "-o", str(out), "--folds", "3", "--explain"]) == 0
    first = capsys.readouterr().out
    assert main(["plan", str(out), "--explain"]) == 0
    again = capsys.readouterr().out
    for text in (first, again):
        assert "the median of every axis" in text
        assert "not axis 1, where back always lies before front and a flip would swap them" in text


def test_overrides(tmp_path):
    folder, out = write_msd(tmp_path / "balls", cases=3), tmp_path / "plan.json"
    options = [
        "--folds",
        "3",
        "--patch",
        "16x16x8",
        "--spacing",
        "1,1,2.5",
        "--batch",
        "3",
        "--epochs",
        "9",
        "--no-mirror",
    ]
    assert main(["plan", str(folder), "-o", str(out), *options]) == 0
    plan = record.load(out, Plan)
    assert plan.patch == (16, 16, 8)
    assert plan.recipe.spacing == (1.0, 1.0, 2.5)
    assert (plan.training.batch, plan.training.epochs, plan.training.mirror) == (3, 9, ())


def test_json(tmp_path, capsys):
    folder = write_msd(tmp_path / "balls", cases=3)
    assert main(["plan", str(folder), "-o", str(tmp_path / "p.json"), "--folds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["patch"] == [20, 24, 16]
    assert main(["plan", str(folder), "--check", "--folds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_check_prints_every_problem_and_fails(tmp_path, capsys):
    folder = write_msd(tmp_path / "balls", cases=4)
    image, label = scan_3d(2)
    imaging.write(folder / "imagesTr" / "case_002.nii.gz", Scan(np.full_like(image.voxels, 5), image.affine))
    imaging.write(folder / "labelsTr" / "case_003.nii.gz", Scan(np.zeros_like(label.voxels), label.affine))
    assert main(["plan", str(folder), "--check", "--folds", "2"]) == 1
    printed = capsys.readouterr().out
    assert "case_002.nii.gz: is constant, every voxel is 5" in printed
    assert "case_003.nii.gz: marks nothing, every voxel is background (warning)" in printed
    assert "2 problems found" in printed
    assert not list(tmp_path.glob("*.json"))


def test_check_against_an_edited_plan(tmp_path, capsys):
    folder, out = write_msd(tmp_path / "balls", cases=4), tmp_path / "plan.json"
    assert main(["plan", str(folder), "-o", str(out), "--folds", "2"]) == 0
    edited = json.loads(out.read_text())
    edited["patch"] = [20, 24, 15]
    out.write_text(json.dumps(edited))
    assert main(["plan", str(folder), "--check", "--plan", str(out)]) == 1
    assert "use (20, 24, 16)" in capsys.readouterr().out


def test_labels_and_groups(tmp_path, capsys):
    folder = tmp_path / "heart"
    names = [f"{site}{patient}-{view}" for site in "ab" for patient in "12" for view in "xy"]
    write_flat(folder, names, labels_folder="labels_endo")
    write_flat(folder, names[:4], labels_folder="labels_epi")
    out = str(tmp_path / "plan.json")
    assert main(["plan", str(folder), "-o", out]) == 2
    assert "choose with --labels labels_endo" in capsys.readouterr().err
    options = ["--labels", "labels_epi", "--group-pattern", "^..", "--folds", "2"]
    assert main(["plan", str(folder), "-o", out, *options]) == 0
    printed = capsys.readouterr().out
    assert "note: 4 of 8 images have no label in labels_epi/ and are left out" in printed
    assert f"zoo train {folder} --labels labels_epi --plan" in printed
    plan = record.load(out, Plan)
    assert plan.labels_folder == "labels_epi"
    assert sorted(plan.folds) == [("a1-x", "a1-y"), ("a2-x", "a2-y")]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["plan", "nowhere"], 1, "nowhere: no such folder"),
        (["plan", "{balls}", "--folds", "9"], 1, "cannot make 9 folds; ask for --folds 3"),
        (["plan", "{balls}", "--model", "unet3e"], 2, "unknown model 'unet3e'. Did you mean 'unet3d'"),
        (["plan", "{balls}", "--model", "unet", "--configuration", "3d"], 2, "configuration 3d: expected a 3D network"),
        (["plan", "{balls}", "--plan", "p.json"], 2, "--plan goes with --check"),
        (["data", "phantom", "--url", "http://x"], 2, "phantoms are made, not fetched"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, monkeypatch, options, status, message):
    monkeypatch.chdir(tmp_path)
    folder = write_msd(tmp_path / "balls", cases=3)
    assert main([option.format(balls=folder) for option in options]) == status
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["balls"]


def test_a_plan_that_cannot_be_written(tmp_path, capsys):
    folder = write_msd(tmp_path / "balls", cases=3)
    (tmp_path / "file").write_text("")
    assert main(["plan", str(folder), "--folds", "3", "-o", str(tmp_path / "file" / "plan.json")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_phantoms(tmp_path, capsys):
    out = tmp_path / "set"
    assert main(["data", "phantom", "-o", str(out), "--cases", "3", "--unseen", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["cases"] == 3
    assert 0 < made["best_threshold_dice"]["cap"] < made["best_threshold_dice"]["body"] < 0.9
    assert main(["data", "phantom", "-o", str(out)]) == 1
    assert "holds a dataset already" in capsys.readouterr().err


def test_data_lists_what_there_is(capsys):
    assert main(["data"]) == 0
    assert "MSD Task04: anterior and posterior hippocampus in MR" in capsys.readouterr().out


def test_every_command_has_help():
    text = build_parser().format_help()
    for command in COMMANDS:
        assert command in text


def test_python_m_train_imports_no_framework_to_plan(tmp_path):
    folder = write_msd(tmp_path / "balls", cases=3)
    code = (
        "import sys; from train.cli import main; "
        f"status = main(['plan', {str(folder)!r}, '-o', {str(tmp_path / 'p.json')!r}, '--folds', '3']); "
        "sys.exit(status or int('keras' in sys.modules or 'tensorflow' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_package_names_are_the_functions_even_after_their_modules_were_imported():
    import train.planning.split

    assert train.split is sys.modules["train.planning.split"].split
    assert callable(train.make_plan)
    assert callable(train.open_dataset)
    with pytest.raises(AttributeError):
        _ = train.nothing


def test_folders_by_any_name_are_kept_in_the_plan(tmp_path, capsys):
    folder = tmp_path / "set"
    write_flat(folder, [f"{patient}_{phase}" for patient in ("A0S9V9", "B2C4K8", "C0W2J4") for phase in ("ED", "ES")])
    (folder / "images").rename(folder / "scans")
    (folder / "labels").rename(folder / "truth")
    out = tmp_path / "plan.json"
    words = ["plan", str(folder), "--images", "scans", "--labels", "truth", "--folds", "3", "-o", str(out), "--explain"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"Next: zoo train {folder} --images scans --labels truth --plan" in said
    assert "names that differ in their last part alone (ED, ES) are of one patient" in said
    plan = record.load(out, Plan)
    assert (plan.images_folder, plan.labels_folder) == ("scans", "truth")
    assert [len({name[:6] for name in fold}) for fold in plan.folds] == [1, 1, 1]
    assert main(["plan", str(folder), "--check", "--plan", str(out)]) == 0
    assert main([*words, "--groups", "none"]) == 0
    assert "each case is a group, as the user said" in capsys.readouterr().out
