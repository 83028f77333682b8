"""An option that means nothing without another, or with another, is refused in one line before anything is opened."""

import pytest

from edge.cli import main as edge_main
from zoo.cli import main as zoo_main

PREDICT = "predict nowhere absent.nii.gz -o labels.nii.gz"
EXPORT = "export nowhere --format tflite-float32 --out artifacts"
ROWS = [
    (f"{PREDICT} --roi-margin 10", "--roi-margin: is around what --roi finds; give --roi too"),
    (f"{PREDICT} --roi-margin 0", "--roi-margin: is around"),
    (f"{PREDICT} --labelmap", "--labelmap: is of DICOM objects; add --write seg"),
    (f"{PREDICT} --codes codes.json --labelmap", "--codes, --labelmap: is of DICOM objects"),
    (f"{PREDICT} --write nifti --codes codes.json", "--codes: is of DICOM objects"),
    ("predict nowhere series -o out --write rtstruct --labelmap", "--labelmap: is of a DICOM SEG; add seg to --write"),
    ("predict nowhere scans -o out --scheduler tcp://host:8786 --jobs 1", "--jobs: is of processes on this machine"),
]
ZOO_ROWS = [
    (f"{PREDICT} --fold 0 --code", "--fold, --code: of a run folder; nowhere is none"),
    (
        "export --list --threads 2 --calibration auto",
        "--calibration, --threads: of an export; leave it out",
    ),
    ("export nowhere --list --format tflite-int8", "--format: of an export"),
    (f"{EXPORT} --calibration mse", "calibration: holds for int8 formats, not for tflite-float32; leave it out"),
    (f"{EXPORT} --processor amx", "processor: holds for int8 formats, not for tflite-float32; leave it out"),
    (f"{EXPORT} --no-verify --max-drop 0.1", "--max-drop: is of the verification; leave out --no-verify"),
    ("evaluate nowhere --threads 2", "--threads: of an artifact; nowhere is a run"),
    ("evaluate data --method otsu --threads 2", "--threads: of an artifact; leave it out with --method"),
    ("evaluate data --method otsu --code", "--code: of a run; --method takes one dataset folder and no run"),
    ("evaluate data --method otsu --clicks 5", "--clicks: of methods that take seeds; otsu takes none"),
    ("plan plan.json --model unet --folds 5", "--model, --folds: of a dataset folder; plan.json is a file"),
    ("plan data --check --epochs 3 -o other.json", "--out, --epochs: of making a plan; leave it out with --check"),
    ("plan data --check --minutes 3", "--minutes: of making a plan; leave it out with --check"),
    ("plan data --check --plan plan.json --seed 0", "--seed: plan.json says that already"),
    ("plan data --threads 2", "--threads: of --target-ms and --max-ram; give one of them too"),
    ("segment otsu --list -o labels.nii.gz", "--out: of a segmentation; leave it out with --list"),
    ("segment otsu absent.nii.gz --list", "absent.nii.gz: --list segments nothing; leave one of the two out"),
    (
        "review scans --audit audit.csv --port 8008 --keep-free 1GB",
        "--port, --keep-free: of a review; --audit runs none",
    ),
    ("review scans --improve --host 127.0.0.1", "--host: of the server; leave it out with --improve"),
]


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        *((edge_main, *row) for row in ROWS),
        *((zoo_main, *row) for row in ROWS + ZOO_ROWS),
    ],
)
def test_an_option_without_effect_is_refused(tmp_path, monkeypatch, capsys, main, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text("no plan, and nobody looks")
    assert main(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_of_a_run_too(tmp_path, capsys):
    (tmp_path / "plan.json").write_text("no plan, and nobody looks")
    words = ["predict", str(tmp_path), "absent.nii.gz", "-o", str(tmp_path / "labels.nii.gz"), "--roi-margin", "5"]
    assert zoo_main(words) == 2
    assert "--roi-margin: is around what --roi finds" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["serve node.toml --check --verbose", "stream nowhere camera:0 --live"])
def test_an_option_that_says_what_holds_anyway_is_taken(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert edge_main(words.split()) == 1
    absent = words.split()[1]
    assert f"{absent}: " in capsys.readouterr().err
