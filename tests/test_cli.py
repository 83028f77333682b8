"""The front door: what it says, and with which status it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.cli import main

ROOT = Path(__file__).parents[1]


def zoo(*words):
    return subprocess.run([sys.executable, "-m", "zoo", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_lists_every_command():
    ended = zoo("--help")
    assert ended.returncode == 0
    names = ("models", "info", "weights", "data", "plan", "train", "evaluate", "export", "predict", "bench", "demo")
    for name in names:
        assert f"\n  {name} " in ended.stdout


def test_models_and_info_as_json():
    listed = json.loads(zoo("models", "unet*", "--tag", "3d", "--json").stdout)
    assert "unet3d" in [entry["name"] for entry in listed]
    assert all(entry["rank"] == 3 for entry in listed)
    info = json.loads(zoo("info", "unet3d", "--json").stdout)
    assert info["parameters"] < 1_500_000
    assert info["macs"] > 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("exprot",), 2, "did you mean export?"),
        (("info", "unet3"), 2, "unet3d"),
        (("models", "--tag", "edgy"), 2, "edge"),
        (("export", "no/run", "--format", "tflite-int9", "--out", "x"), 2, "did you mean tflite-int8?"),
        (("export", "no/run", "--format", "tflite-int8", "--out", "x"), 1, "not a finished run folder"),
        (("export", "no/run"), 2, "missing --format, --out"),
        (("train", "no/such/folder", "--out", "x"), 1, "no/such/folder"),
        (("plan", "no/such/folder"), 1, "no/such/folder"),
        (("predict", "no/artifact", "scan.nii.gz", "-o", "x.nii.gz"), 1, "no/artifact"),
    ],
)
def test_a_users_mistake_is_one_line(words, status, says, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    try:
        ended = main(list(words))
    except SystemExit as error:  # what argparse ends with
        ended = error.code
    said = capfd.readouterr().err
    assert ended == status, said
    assert says in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if "error:" in line]) == 1


def test_a_mistake_ends_the_process_in_one_line():
    ended = zoo("export", "no/run", "--format", "tflite-int8", "--out", "x")
    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if line] == [ended.stderr.strip()]
    assert "not a finished run folder" in ended.stderr


def test_no_command_shows_the_commands_and_fails():
    ended = zoo()
    assert ended.returncode == 2
    assert "export" in ended.stdout
