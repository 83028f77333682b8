"""The end of ``zoo demo``: its table, picture and page."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imaging
from imaging.scan import Scan
from zoo.commands import demo, demo_report

ROOT = Path(__file__).parents[2]
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
