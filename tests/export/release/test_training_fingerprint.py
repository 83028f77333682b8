"""An artifact that was exported without its training scans learns what they look like."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

import edge
import imaging
from edge.manifest import MANIFEST, load_manifest
from edge.shipped import locate
from edge.trust import vector
from edge.trust.signature import SIGNATURE
from export.release.training_fingerprint import add_fingerprint
from export.verify import training_scans
from imaging.io.cases import CaseFiles
from medseg import record
from medseg.errors import InputError
from zoo.commands.weights import main
from zoo.weights.card_text import card_text
from zoo.weights.reading import read_card


def picture(seed):
    """A bright ring on a dark ground, a bar below it."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 30, (60, 80)).astype(np.uint8)
    centre = (40 + int(random.integers(-4, 5)), 26 + int(random.integers(-4, 5)))
    cv2.ellipse(image, centre, (20, 15), 0, 0, 360, 200, 3)
    image[54:] = 120
    return image


@pytest.fixture
def dataset(tmp_path):
    """Eight pictures with labels."""
    for seed in range(8):
        for folder, values in (("images", picture(seed)), ("labels", np.full((60, 80), 255 * (seed > 3), np.uint8))):
            (tmp_path / "rings" / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "rings" / folder / f"case_{seed}.png"), values)
    return tmp_path / "rings"


@pytest.fixture
def artifact(tmp_path):
    """A shipped artifact as it would be without fingerprint, test vector and a word on them."""
    folder = shutil.copytree(locate("mobile_unet-hc18"), tmp_path / "artifact")
    manifest = load_manifest(folder)
    files = tuple(name for name in manifest.files if name != vector.NAME)
    record.save(folder / MANIFEST, dataclasses.replace(manifest, training=None, files=files))
    (folder / vector.NAME).unlink(missing_ok=True)
    card = (folder / "CARD.md").read_text(encoding="utf-8").splitlines(keepends=True)
    unwanted = ("- Flags", "`test_vector", "`zoo-edge verify")
    (folder / "CARD.md").write_text("".join(line for line in card if not line.startswith(unwanted)), encoding="utf-8")
    return folder


def cases_of(dataset):
    return [CaseFiles(path.stem, (str(path),)) for path in sorted((dataset / "images").iterdir())]


def test_the_command_adds_fingerprint_and_vector(artifact, dataset, capsys):
    before = load_manifest(artifact)
    assert main(["weights", "fingerprint", str(artifact), str(dataset)]) == 0
    assert "knows 8 scans of rings" in capsys.readouterr().out
    segmenter = edge.load(artifact)
    manifest = segmenter.manifest
    unchanged = dataclasses.replace(manifest, training=before.training, files=before.files)
    assert unchanged == before, "nothing else changes"
    assert (manifest.training.cases, manifest.training.quality) == (8, None)
    assert {vector.NAME, "CARD.md", manifest.model} <= set(manifest.files)
    assert vector.compare(segmenter, vector.read(artifact / vector.NAME)).equal
    image = picture(50)
    like = segmenter.predict(imaging.Scan(image[..., None].astype(np.float32), np.eye(4)))
    assert "likeness over turned" in like.features
    noisy = image + np.random.default_rng(0).normal(0, 60, image.shape)
    unlike = segmenter.predict(imaging.Scan(noisy[..., None].astype(np.float32), np.eye(4)))
    assert any(flag.startswith("unlike training: texture") for flag in unlike.flags)
    assert not any(flag.startswith("unlike training: texture") for flag in like.flags)


def test_a_set_says_in_its_card_what_was_done(dataset, tmp_path):
    folder = tmp_path / "mobile_unet-hc18"
    shutil.copytree(locate("mobile_unet-hc18").parent, folder)
    before = read_card(folder / "card.json")
    for _ in range(2):
        assert main(["weights", "fingerprint", str(folder), str(dataset)]) == 0
    card = read_card(folder / "card.json")
    line = "zoo weights fingerprint OUT/mobile_unet-hc18 rings"
    assert card == dataclasses.replace(before, commands=(*before.commands, line))
    assert (folder / "CARD.md").read_text(encoding="utf-8") == card_text(card)
    manifest = load_manifest(folder / "tflite-int8")  # compares the model's sum, too
    assert (manifest.training.cases, manifest.sha256) == (8, card.artifact["sha256"])


def test_the_card_tells_it_once(artifact, dataset):
    for _ in range(2):
        add_fingerprint(artifact, cases_of(dataset), tell=lambda line: None)
    text = (artifact / "CARD.md").read_text(encoding="utf-8")
    assert text.count("- Flags: tells scans unlike 8 of the training's kind (docs") == 1
    assert text.count("`test_vector.npz` holds") == 1
    assert text.rstrip().endswith(
        "Not a medical device. Results must be checked by a qualified person before any clinical use."
    )


def test_what_cannot_be_done_leaves_the_artifact_alone(artifact, dataset):
    before = {path.name: path.read_bytes() for path in artifact.iterdir()}
    with pytest.raises(InputError, match="got 5 scans, expected at least 6"):
        add_fingerprint(artifact, cases_of(dataset)[:5], tell=lambda line: None)
    (dataset / "images" / "case_3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"case_3\.png"):
        add_fingerprint(artifact, cases_of(dataset), tell=lambda line: None)
    assert {path.name: path.read_bytes() for path in artifact.iterdir()} == before
    (artifact / SIGNATURE).write_text("{}")
    with pytest.raises(InputError, match="is signed"):
        add_fingerprint(artifact, cases_of(dataset), tell=lambda line: None)


def test_scans_that_are_too_few_are_not_segmented(artifact, dataset, monkeypatch):
    def read(case, source):
        raise AssertionError(case.name)

    monkeypatch.setattr(training_scans, "_read", read)
    cases = cases_of(dataset)
    for number in (0, 3, 5):
        (dataset / "images" / f"case_{number}.png").unlink()
    with pytest.raises(InputError, match="at least 6 scans that are there"):
        add_fingerprint(artifact, cases, tell=lambda line: None)
