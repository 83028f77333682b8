"""Every set of weights that is shipped: whole, within its size, true to its card, and of use on the device."""

import json
import os
import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest

import edge
import zoo
from zoo import weights
from zoo.weights.card_text import card_text
from zoo.weights.reading import read_card

FOLDER = Path(weights.__file__).parent
CARDS = weights.list_weights()
SETS = [pytest.param(card, id=card.folder) for card in CARDS]
ROOT = Path(__file__).parents[3]


def files(card):
    return [path for path in (FOLDER / card.folder).rglob("*") if path.is_file()]


def test_all_together_at_most_twelve_megabytes():
    assert sum(path.stat().st_size for card in CARDS for path in files(card)) <= 12e6


def test_no_folder_without_a_card():
    assert {p.name for p in FOLDER.iterdir() if p.is_dir()} - {"__pycache__"} == {c.folder for c in CARDS}


@pytest.mark.parametrize("card", SETS)
def test_the_card_is_complete(card):
    for name in ("data", "source", "licence", "attribution", "split", "scores", "storage", "artifact", "parameters"):
        assert getattr(card, name), name
    for name in ("epochs", "plan", "versions", "commands", "use", "limits"):
        assert getattr(card, name), name
    assert card.bytes == (FOLDER / card.folder / weights.WEIGHTS).stat().st_size
    assert (FOLDER / card.folder / "CARD.md").read_text(encoding="utf-8") == card_text(card)
    assert set(card.scores["mean"]) == set(card.classes[1:]) == set(card.storage["labels"])
    for row in card.storage["labels"].values():
        assert abs(row["dice_float32"] - row["dice_stored"]) < 0.001
    notice = (FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    assert card.folder in notice
    assert card.licence in notice


@pytest.mark.parametrize("card", SETS)
def test_nothing_names_a_place_on_the_machine_that_made_it(card):
    for path in files(card):
        if path.suffix in (".json", ".md"):
            places = re.findall(r"(?:^|[\s'\"`=(,])~?/\w+/\S*", path.read_text(encoding="utf-8"))
            assert not places, path


@pytest.mark.parametrize("card", SETS)
def test_the_network_loads_and_answers_as_its_artifact_does(card):
    model = zoo.get(card.entry, weights=card.name)
    assert model.count_params() == card.parameters
    assert model.output_shape[-1] == len(card.classes)
    segmenter = edge.load(weights.artifact(card.entry, card.name), threads=1)
    drawn = np.random.default_rng(0).standard_normal((*card.plan["patch"], len(card.channels)), np.float32)
    unit = segmenter.manifest.recipe.normalise.kind == "unit"  # then nothing lies beyond 0 and 1
    patch = np.clip(0.5 + 0.2 * drawn, 0, 1) if unit else drawn
    logits = np.asarray(model(patch[None], training=False)[0])
    assert np.isfinite(logits).all()
    if tuple(card.plan["patch"]) == segmenter.manifest.patch:
        pair = logits, segmenter.runner.run(patch)
        classes = [each > 0 if segmenter.manifest.instances else each.argmax(-1) for each in pair]
        assert np.mean(classes[0] == classes[1]) > 0.9


@pytest.mark.parametrize("card", SETS)
def test_the_artifact_agrees_with_the_card(card):
    folder = weights.artifact(card.entry, card.name)
    manifest = edge.load_manifest(card.folder)  # by its name; this compares the sha256 with the file as well
    assert manifest == edge.load_manifest(folder)
    assert manifest.sha256 == card.artifact["sha256"]
    assert (folder / manifest.model).stat().st_size == card.artifact["bytes"]
    assert tuple(label.name for label in manifest.labels) == card.classes
    assert [vars(label) for label in manifest.labels] == card.plan["labels"]
    assert manifest.channels == card.channels
    assert manifest.source["seed"] == card.seed
    assert manifest.source["parameters"] == card.parameters


@pytest.mark.parametrize("card", SETS[:1])
def test_the_device_segments_by_name_where_there_is_no_keras(card, tmp_path):
    import imaging

    rank = len(card.plan["patch"])
    scan, out = tmp_path / ("s.nii.gz" if rank == 3 else "s.png"), tmp_path / ("o.nii.gz" if rank == 3 else "o.png")
    voxels = np.random.default_rng(0).integers(0, 255, (*card.plan["patch"], len(card.channels))).astype("uint8")
    imaging.write(scan, imaging.Scan(voxels, np.eye(4)))
    code = (
        "import sys\nfor n in ('keras', 'tensorflow', 'zoo', 'train', 'export'): sys.modules[n] = None\n"
        "from edge.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, "predict", card.folder, str(scan), "-o", str(out), "--threads", "1"]
    ended = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    assert imaging.read_labels(out).voxels.shape[:rank] == tuple(card.plan["patch"])


def test_the_list_names_every_set_and_what_to_type():
    said = subprocess.run(
        [sys.executable, "-m", "zoo", "models", "--weights"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for card in CARDS:
        assert card.folder in said
        assert card.licence in said
    if CARDS:
        assert f"zoo-edge predict {CARDS[0].folder} SCAN" in said
        assert str(FOLDER) in said


@pytest.mark.parametrize("card", SETS)
def test_what_is_known_of_a_network_names_its_sets(card, capsys):
    from zoo.cli import main

    assert main(["info", card.entry, "--json"]) == 0
    assert card.name in json.loads(capsys.readouterr().out)["weights"]


def test_a_wheel_holds_every_file(tmp_path):
    """By the patterns of setup.cfg, as setuptools reads them."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = config["options.package_data"]["zoo"].split()
    packed = {path for pattern in patterns for path in (ROOT / "zoo").glob(pattern)}
    assert FOLDER / "NOTICE.md" in packed
    assert {path for card in CARDS for path in files(card)} <= packed
    assert not [path for path in packed if path.suffix == ".pyc" or path.name.startswith(".")]


@pytest.mark.parametrize("card", SETS)
def test_the_files_are_what_they_are_called(card):
    folder = FOLDER / card.folder
    assert zipfile.is_zipfile(folder / weights.WEIGHTS)
    assert read_card(folder / "card.json") == card
    assert json.loads((folder / "card.json").read_text(encoding="utf-8"))["name"] == card.name


@pytest.mark.parametrize("card", SETS)
def test_both_names_of_a_set_mean_the_same(card, capsys):
    from train.fitting.warm_start import check_source, source_weights
    from zoo.cli import main

    assert weights.find_card(card.entry, card.folder) == weights.find_card(card.entry, card.name) == card
    assert weights.artifact(card.entry, card.folder) == weights.artifact(card.entry, card.name)
    assert weights.set_folder(card.entry, card.folder) == weights.set_folder(card.entry, card.name)
    assert edge.shipped.locate(card.folder) == weights.artifact(card.entry, card.name)
    check_source(card.folder)
    check_source(card.name, card.entry)
    by_folder, by_name = (source_weights(name, card.entry) for name in (card.folder, card.name))
    assert by_folder.keys() == by_name.keys()
    assert all(np.array_equal(by_folder[path], by_name[path]) for path in by_name)
    alike = sorted(namesake.folder for namesake in CARDS if namesake.name == card.name)
    assert main(["weights", "show", card.name]) == (0 if len(alike) == 1 else 2)
    said = capsys.readouterr()
    if len(alike) == 1:
        assert card.folder in said.out
        assert edge.shipped.locate(card.name) == edge.shipped.locate(card.folder)
    else:
        assert said.err.count("\n") == 1
        assert " or ".join(alike) in said.err
        with pytest.raises(ValueError, match=" or ".join(alike)):
            check_source(card.name)
