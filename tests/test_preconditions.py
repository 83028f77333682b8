"""Wrong words at every command: told in one line before any scan is read, as reading a dataset takes minutes.

The images and labels of the dataset here cannot be read, and a command that tries says so instead.
"""

import json

import pytest
from tiny import make_plan, write_dataset

from medseg import record
from zoo.cli import main


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A dataset that cannot be read, its plan, and what lies in the way of results."""
    top = tmp_path_factory.mktemp("words")
    dataset = write_dataset(top / "data", cases=6)
    plan = make_plan(dataset)
    record.save(top / "plan.json", record.from_dict(type(plan), _with_unet(record.to_dict(plan))))
    for image in (top / "data").rglob("*.nii.gz"):
        image.write_bytes(b"unreadable")
    (top / "file").write_text("in the way", encoding="utf-8")
    (top / "run").mkdir()
    (top / "run" / "plan.json").write_bytes((top / "plan.json").read_bytes())
    (top / "run" / "run.json").write_text(json.dumps({"fold": 0, "dataset": str(top / "data")}), encoding="utf-8")
    (top / "run" / "cases.json").write_text(json.dumps({"training": [], "validation": []}), encoding="utf-8")
    (top / "run" / "model.keras").write_bytes(b"unreadable")
    (top / "strokes.json").write_text('{"strokes": [{"label": 1, "point": [0, 0, 0]}]}', encoding="utf-8")
    (top / "other").mkdir()
    (top / "taken" / "tflite-int8").mkdir(parents=True)
    (top / "taken" / "tflite-int8" / "notes.txt").write_text("in the way", encoding="utf-8")
    return top


def _with_unet(plan):
    plan["network"] = {"name": "unet3d", "options": {}}
    plan["patch"] = [16, 16, 16]
    return plan


WORDS = [
    # plan
    ("plan data -o new.json --model nope", 2, "unknown model 'nope'"),
    ("plan data -o new.json --folds 1", 2, "folds: expected at least 2, got 1"),
    ("plan data -o new.json --overlap 2", 2, "overlap is 2"),
    ("plan data -o new.json --batch 0", 2, "training.batch is 0"),
    ("plan data -o new.json --epochs 0", 2, "training.epochs is 0"),
    ("plan data -o new.json --minutes 0", 2, "training.minutes is 0"),
    ("plan data -o new.json --minutes 1 --epochs 1", 2, "--minutes and --epochs exclude each other"),
    ("plan data -o new.json --seed -1", 2, "training.seed is -1"),
    ("plan data -o new.json --patch 16x16x16 --spacing 1x1", 2, "--patch: 3 axes; --spacing: 2 axes"),
    ("plan data -o new.json --model unet3d --patch 16x16", 2, "--patch: 2 axes; --model unet3d: 3 axes"),
    ("plan data -o new.json --threads 0", 2, "--threads 0"),
    ("plan data -o new.json --groups (", 2, "nor a regular expression"),
    ("plan data -o file", 2, "holds something else than a plan"),
    ("plan data -o run", 2, "is a folder"),
    ("plan data -o file/plan.json", 1, "cannot be written"),
    ("plan data --plan plan.json", 2, "--plan goes with --check"),
    ("plan data --check --plan file", 1, "file"),
    ("plan data -o new.json --size 16x16x16", 2, "--size 16×16×16: resizes flat images, expected 2 sizes"),
    ("plan data -o new.json --patch 15x15x15 --model unet3d", 2, "must divide by the network's strides"),
    ("plan data -o new.json --folds 7", 1, "cannot make 7 folds"),
    # train
    *(
        (f"train data {plan}--out new {words}", 2, says)
        for plan in ("", "--plan plan.json ")
        for words, says in (
            ("--model nope", "unknown model 'nope'"),
            ("--loss nope", "training.loss 'nope'"),
            ("--from nope", "nope: no such run folder or file"),
            ("--augment nope=0.5", "augmentation 'nope'"),
            ("--augment noise=5", "augmentation noise=5"),
            ("--fold 9", "fold 9"),
            ("--fold one", "--fold one"),
            ("--freeze nolayer", "training.freeze 'nolayer': fits no layer"),
            ("--learning-rate inf", "training.learning_rate is inf"),
            ("--minutes inf", "training.minutes is inf"),
        )
    ),
    ("train data --out new --optimizer nope", 2, "training.optimizer 'nope'"),
    ("train data --out new --precision nope", 2, "training.precision 'nope'"),
    ("train data --out new --schedule nope", 2, "training.schedule 'nope'"),
    ("train data --out new --epochs 0", 2, "training.epochs is 0"),
    ("train data --out new --steps-per-epoch 0", 2, "training.steps_per_epoch is 0"),
    ("train data --out new --minutes -1", 2, "training.minutes is -1"),
    ("train data --out new --minutes 1 --epochs 1", 2, "--minutes and --epochs exclude each other"),
    ("train data --out new --batch 0", 2, "training.batch is 0"),
    ("train data --out new --learning-rate 0", 2, "training.learning_rate is 0"),
    ("train data --out new --accumulate 0", 2, "training.accumulate is 0"),
    ("train data --out new --class-weights 1,2", 2, "training.class_weights"),
    ("train data --out new --patience 3 --fold none", 2, "training.patience 3"),
    ("train data --out new --patience -3", 2, "training.patience is -3"),
    ("train data --out new --groups (", 2, "nor a regular expression"),
    ("train data --out new --devices 99", 2, "--devices 99"),
    ("train data --out new --model attention_unet3d --deep-supervision --seed -1", 2, "training.seed is -1"),
    ("train data --out new --configuration all --plan plan.json", 2, "--plan plan.json: is of one configuration"),
    ("train data --out new --configuration all --model unet", 2, "--model unet: is of one configuration"),
    ("train data --out new --configuration all --from run", 2, "--from run: is of one configuration"),
    ("train data --out new --configuration all --fold none", 2, "--fold none: no case would be held back"),
    ("train data --out new --configuration all --fold 7", 2, "fold 7: the plan has folds 0 to 4"),
    ("train data --out new --configuration all --folds 3 --fold 3", 2, "fold 3: the plan has folds 0 to 2"),
    ("train data --out new --configuration all --minutes -1", 2, "training.minutes is -1"),
    ("train nope --out new --configuration all", 1, "nope"),
    ("train --out new --configuration all", 2, "new: will hold them; give the dataset folder"),
    ("train --resume --out new --configuration all", 2, "new: holds no configurations to resume"),
    ("train data --out run --configuration all", 1, "run: holds a run of one configuration"),
    ("train data --out file/run --configuration all", 1, "cannot be written"),
    ("train data --out new --folds 1", 2, "--folds 1: expected 2 or more"),
    ("train data --out new --folds 3 --plan plan.json", 2, "--folds 3: is of a plan that is made"),
    ("train data --out run", 1, "holds a run already"),
    ("train data --out run --fold all", 1, "holds a single run"),
    ("train data --out file/run", 1, "cannot be written"),
    ("train data --out new --cache file/cache", 1, "cannot be written"),
    ("train data --out new --from unet-nuclei --model unet3d", 1, "unet-nuclei: none of its"),
    ("train data --out new --plan plan.json --groups none", 2, "--groups none: is of a plan that is made"),
    ("train data --out new --plan plan.json --instances", 2, "--instances: is of a plan that is made"),
    ("train data --out new --folds 7", 1, "cannot make 7 folds"),
    ("train data --out new --configuration all --folds 7", 1, "cannot make 7 folds"),
    # finetune
    ("finetune nope --out new", 1, "not a run folder"),
    ("finetune run --out new --weights nope", 2, "'nope'"),
    ("finetune run --out new --epochs 0", 2, "training.epochs is 0"),
    ("finetune run --out new --learning-rate 0", 2, "training.learning_rate is 0"),
    ("finetune run --out run", 1, "holds a run already"),
    ("finetune run --out file/run", 1, "cannot be written"),
    # evaluate
    ("evaluate nope", 1, "not a run folder"),
    ("evaluate run --fold 9", 2, "fold 9"),
    ("evaluate run --ensemble", 2, "is a single run"),
    ("evaluate run data --sites nope.csv", 2, "--sites: of an external test"),
    ("evaluate run data --out new --fold 0", 2, "--out: of an external test"),
    ("evaluate run other --fold 0", 2, "--fold 0: other is another folder than"),
    ("evaluate run --threads 0", 2, "--threads 0"),
    ("compare nope run", 1, "nope: no such run folder"),
    ("compare run run", 1, "run: holds no scores"),
    # export
    ("export run --format nope --out new", 2, "nope"),
    ("export run --format tflite-int8 --out taken", 1, "exists and is no artifact folder"),
    ("export run --format tflite-int8 --out file/art", 1, "cannot be written"),
    ("export run --format tflite-int8 --out new --threads 0", 2, "--threads 0"),
    ("export run --format tflite-int8 --out new --patch 0 16 16", 2, "--patch 0 16 16"),
    ("export run --format tflite-int8 --out new --max-drop -1", 2, "max-drop -1: expected 0 to 1"),
    ("export run --format tflite-int8 --out new --max-drop 2", 2, "2 % are 0.02"),
    ("export run --format tflite-int8 --out new --max-drop nan", 2, "max-drop nan"),
    ("export run --format tflite-int8 --out new --calibration nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --weights nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --processor nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --form nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --max-arena nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --target nope", 2, "nope"),
    ("export run --format tflite-int8 --out new --finetune file/run", 1, "--finetune file/run: cannot be written"),
    ("export nope --format tflite-int8 --out new", 1, "not a finished run folder"),
    # predict
    ("predict nope data/imagesTr -o new", 1, "nope: no such folder"),
    ("predict hc18 data/imagesTr -o new", 2, "mobile_unet-hc18 or unet-hc18"),
    ("predict unet3d-hippocampus data/imagesTr -o file", 2, "is a file"),
    ("predict unet3d-hippocampus data/imagesTr -o file/new", 1, "cannot be written"),
    ("predict unet3d-hippocampus data/imagesTr/case_00.nii.gz -o new.png", 2, ".nii"),
    ("predict unet3d-hippocampus data/imagesTr -o new --threads 0", 2, "0"),
    ("predict unet3d-hippocampus data/imagesTr -o new --report file/a.json", 1, "--report file/a.json: cannot be"),
    (
        "predict unet3d-hippocampus data/imagesTr -o new --roi unet-nuclei",
        2,
        "--roi unet-nuclei: takes scans of 2 axes",
    ),
    ("predict unet3d-hippocampus data/imagesTr -o new --scheduler nope", 2, "--scheduler nope: expected an address"),
    # segment, filter, annotate
    ("segment random-walker data/imagesTr/case_00.nii.gz -o new.nii.gz", 2, "needs seeds"),
    ("segment otsu data/imagesTr/case_00.nii.gz -o new.nii.gz --seeds strokes.json", 2, "takes no seeds"),
    ("segment atlas data/imagesTr/case_00.nii.gz -o new.nii.gz", 2, "needs labelled scans"),
    ("segment otsu data/imagesTr/case_00.nii.gz -o new.nii.gz --atlases data", 2, "takes no atlases"),
    ("filter clahe data/imagesTr/case_00.nii.gz -o file/new.nii.gz", 1, "--out file/new.nii.gz: cannot be written"),
    ("annotate data/imagesTr/case_00.nii.gz nope.json -o new.nii.gz", 1, "nope.json: no such file"),
    ("annotate data/imagesTr/case_00.nii.gz strokes.json -o file/new.nii.gz", 1, "cannot be written"),
    ("annotate data/imagesTr/case_00.nii.gz strokes.json -o new.txt", 1, "new.txt: its suffix"),
    ("annotate data/imagesTr/case_00.nii.gz strokes.json -o new.nii.gz --param nope=2", 2, "unknown parameter 'nope'"),
    ("annotate data/imagesTr/case_00.nii.gz strokes.json -o new.nii.gz --artifact nope", 1, "nope: no such folder"),
    (
        "annotate data/imagesTr/case_00.nii.gz strokes.json -o new.nii.gz --labels nope.nii.gz",
        1,
        "nope.nii.gz: no such",
    ),
    (
        "annotate data/imagesTr/case_00.nii.gz strokes.json -o new.nii.gz --method grabcut --unsure new2.nii.gz",
        2,
        "grabcut has no probabilities",
    ),
    # review, demo, cache
    ("review data --artifact nope --no-browser", 1, "nope: no such folder"),
    ("review data --artifact unet3d-hippocampus --start nope --no-browser", 2, "--start nope: expected a finished run"),
    ("review data --artifact unet3d-hippocampus --epochs 0 --improve", 2, "--epochs 0: expected at least 1"),
    ("demo --minutes 0 --out new", 2, "--minutes 0: expected more than 0"),
    ("demo --minutes nan --out new", 2, "--minutes nan"),
    ("demo --cases 0 --out new", 2, "--cases 0: expected at least 5"),
    ("cache list --cache nope", 1, "--cache nope: no such folder"),
    # bench
    ("bench nope", 1, "nope: no such folder"),
    ("bench hc18", 2, "mobile_unet-hc18 or unet-hc18"),
    ("bench --peer nope --model run", 2, "peer 'nope'"),
    ("bench --peers --model nope", 1, "--model nope"),
    ("bench unet3d-hippocampus --plot new.txt", 2, "new.txt"),
    ("bench unet3d-hippocampus --rounds 0", 2, "0"),
    # data
    ("data nope -o new", 2, "unknown dataset 'nope'"),
    ("data hippocampus -o new --sha256 nope", 2, "--sha256 nope"),
    ("data phantom -o new --cases 0", 2, "0 cases"),
    ("data phantom -o new --unseen -1", 2, "-1 unseen"),
    ("data phantom -o data", 1, "holds a dataset already"),
    # weights, info, models
    ("weights show nope", 2, "unknown set of weights 'nope'"),
    ("weights show hc18", 2, "mobile_unet-hc18 or unet-hc18"),
    ("weights pack run --name x --about file --artifact new --scores run --out new --storage nope", 2, "'nope'"),
    ("info nope", 2, "unknown model 'nope'"),
    ("models --tag nope", 2, "unknown tag 'nope'"),
]


@pytest.mark.parametrize(("words", "status", "says"), WORDS, ids=[words for words, _, _ in WORDS])
def test_wrong_words_are_told_before_a_scan_is_read(folders, monkeypatch, capfd, words, status, says):
    monkeypatch.chdir(folders)
    before = sorted(folders.rglob("*"))
    try:
        ended = main(words.split(" "))
    except SystemExit as exit:  # argparse
        ended = exit.code
    said = capfd.readouterr().err
    assert (ended, said.count("error:")) == (status, 1), said
    assert says in said
    assert "Traceback" not in said
    assert sorted(folders.rglob("*")) == before
    assert (folders / "file").read_text(encoding="utf-8") == "in the way"
