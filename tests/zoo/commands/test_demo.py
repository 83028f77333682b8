"""The end of ``zoo demo``: its table, picture and page."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imaging
from imaging.scan import Scan
from medseg.errors import InputError
from zoo.commands import demo, demo_folder, demo_report

ROOT = Path(__file__).parents[3]
ROWS = [
    demo.Row("best single threshold", {"body": 0.41, "cap": 0.06}),
    demo.Row("x", {"body": 0.9, "cap": 0.8}, 1.5, 20),
]


@pytest.fixture
def scan(tmp_path):
    image = np.zeros((20, 24, 10, 1), np.float32)
    image[5:15, 6:18, 2:8] = 100
    labels = np.zeros(image.shape, np.uint8)
    labels[5:10, 6:18, 2:8] = 1
    labels[10:15, 6:18, 2:8] = 2
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    imaging.write(tmp_path / "scan.nii.gz", Scan(image, affine))
    imaging.write(tmp_path / "labels.nii.gz", Scan(labels, affine))
    return tmp_path


def test_table_shows_what_there_is():
    lines = demo.format_table(ROWS).splitlines()
    assert lines[0].split() == ["Dice", "body", "Dice", "cap", "MB", "ms"]
    assert lines[1].split()[-2:] == ["0.4100", "0.0600"]
    assert lines[2].split()[1:] == ["0.9000", "0.8000", "1.50", "20.0"]


def test_picture_and_page(scan):
    picture = demo_report.overview(
        scan / "scan.nii.gz", scan / "labels.nii.gz", {"int8": scan / "labels.nii.gz"}, scan / "overview.png"
    )
    pixels = imaging.read(picture).voxels
    assert pixels.shape[-1] in (3, 4)
    orange = np.array([int(demo_report.COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    assert (np.abs(pixels[..., :3] - orange).sum(-1) < 30).any()  # outlines are drawn

    run = scan / "run"
    run.mkdir()
    (run / "progress.png").write_bytes(picture.read_bytes())
    card = scan / "artifacts" / "tflite-int8" / "CARD.md"
    card.parent.mkdir(parents=True)
    card.write_text("# <card>", encoding="utf-8")
    page = demo_report.report(ROWS, picture, run, scan / "artifacts", 90.0, scan / "report.html").read_text("utf-8")
    assert "1.5 minutes" in page
    assert "<td>0.4100</td>" in page
    assert "&lt;card&gt;" in page
    embedded = re.findall(r"base64,([A-Za-z0-9+/=]+)", page)
    assert [base64.b64decode(e) for e in embedded] == [picture.read_bytes()] * 2
    assert "http" not in page


def test_a_foreign_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    assert demo.main(["demo", "--out", str(tmp_path)]) == 1
    assert "give another --out" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["tensorflow", "keras", "keras.layers"])
def test_the_device_process_cannot_import_tensorflow(name):
    code = demo.DEVICE.split("from edge.cli")[0] + f"import {name}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "is blocked" in ended.stderr


def made(folder):
    """A folder as a demo leaves it, of two files."""
    demo_folder.make_room(folder)
    (folder / "phantoms" / "imagesTr").mkdir(parents=True)
    for name in ("phantoms/imagesTr/a.nii.gz", "plan.json"):
        (folder / name).write_text("made", encoding="utf-8")
    demo_folder.mark(folder, demo.MADE)
    return folder


def test_a_demo_made_anew_removes_the_last_one(tmp_path):
    demo_folder.make_room(made(tmp_path / "demo"))
    assert [path.name for path in (tmp_path / "demo").rglob("*")] == [demo_folder.MARK]


@pytest.mark.parametrize("name", ["notes.txt", "phantoms/mine.nii.gz", "plan.json", "run/plan.json", "link"])
def test_what_no_demo_wrote_is_neither_removed_nor_overwritten(tmp_path, capsys, name):
    folder, elsewhere = made(tmp_path / "demo"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "scan").write_text("mine", encoding="utf-8")
    if name == "link":
        (folder / name).symlink_to(elsewhere)
    else:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine, and longer", encoding="utf-8")
    before = sorted(folder.rglob("*"))
    assert demo.main(["demo", "--out", str(folder)]) == 1
    assert f"{folder}: holds {name}, which zoo demo did not write" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    assert (elsewhere / "scan").exists()


def test_a_folder_of_phantoms_without_a_mark_is_left_alone(tmp_path, capsys):
    (tmp_path / "phantoms").mkdir()
    (tmp_path / "phantoms" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert demo.main(["demo", "--out", str(tmp_path)]) == 1
    assert "give another --out" in capsys.readouterr().err
    assert (tmp_path / "phantoms" / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_a_mark_does_not_reach_outside_its_folder(tmp_path):
    folder, outside = made(tmp_path / "demo"), tmp_path / "scan"
    outside.write_text("mine", encoding="utf-8")
    about = outside.stat()
    files = {"../scan": [about.st_size, about.st_mtime_ns]}
    (folder / demo_folder.MARK).write_text(json.dumps({"files": files}), encoding="utf-8")
    with pytest.raises(InputError, match="phantoms/imagesTr/a"):
        demo_folder.make_room(folder)
    assert outside.exists()


def test_a_demo_that_was_stopped_can_be_made_anew(tmp_path, monkeypatch):
    def stopped(*words):
        (tmp_path / "demo" / "phantoms").mkdir(exist_ok=True)
        (tmp_path / "demo" / "phantoms" / "dataset.json").write_text("{}", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_zoo", stopped)
    for _ in range(2):
        assert demo.main(["demo", "--out", str(tmp_path / "demo")]) == 130
