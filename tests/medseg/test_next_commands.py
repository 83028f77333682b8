"""Commands that a message or a "Next:" line holds can be copied, whatever the user's folder is called."""

import ast
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from dataset_folders import write_flat, write_msd
from edge_artifacts import VOLUME, build_onnx, write_artifact

from edge.cli import main as edge_main
from edge.manifest import Tensor
from zoo.cli import main

ROOT = Path(__file__).parents[2]
PACKAGES = ("medseg", "imaging", "edge", "zoo", "train", "export", "review")
NAME = "my scans (1) & Bob's $x"
# What stands before a value that would be a word of a command.
BEFORE_A_VALUE = re.compile(r"\bzoo(-edge)? (weights )?[a-z]+( -\S+)* $|\bzoo(-edge)? [^;]*--[a-z-]+ $")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset whose folder is called as no shell takes it without quotes."""
    return write_msd(tmp_path_factory.mktemp("data") / NAME, cases=3)


@pytest.fixture
def artifact(tmp_path):
    shape = (8, 16, 12, 1)
    build_onnx(tmp_path / "model.onnx", shape)
    tensors = [Tensor("x", shape, "float32", 0.0, 0), Tensor("y", (*shape[:-1], 3), "float32", 0.0, 0)]
    return write_artifact(
        tmp_path / NAME, (tmp_path / "model.onnx").read_bytes(), tensors, VOLUME, True, "onnx-float32"
    )


def next_words(capsys):
    """The words of the "Next:" line, as a shell takes it apart."""
    printed = capsys.readouterr().out.rstrip("\n")
    line = printed.splitlines()[-1]
    assert line.startswith("Next: "), printed
    return shlex.split(line.removeprefix("Next: "))


def test_after_a_plan(folder, tmp_path, capsys):
    out = tmp_path / "a plan.json"
    assert main(["plan", str(folder), "-o", str(out), "--folds", "3"]) == 0
    expected = ["zoo", "train", str(folder), "--plan", str(out), "--fold", "0", "--out", f"runs/{NAME}"]
    assert next_words(capsys) == expected


def test_options_that_are_repeated(tmp_path, capsys):
    write_flat(tmp_path / NAME, ["a", "b", "c"])
    (tmp_path / NAME / "images").rename(tmp_path / NAME / "scans $1")
    assert main(["plan", str(tmp_path / NAME), "--check", "--folds", "3", "--images", "scans $1"]) == 0
    assert next_words(capsys) == ["zoo", "plan", str(tmp_path / NAME), "--images", "scans $1", "-o", "plan.json"]


def test_after_a_look_at_a_dataset(folder, tmp_path, capsys):
    assert main(["inspect", str(folder), "-o", str(tmp_path / "page.html")]) == 0
    words = next_words(capsys)
    assert words[0] == "zoo"
    assert words[2] == str(folder)


def test_after_phantoms_were_made(tmp_path, capsys):
    assert main(["data", "phantom", "-o", str(tmp_path / NAME), "--cases", "1"]) == 0
    assert next_words(capsys) == ["zoo", "plan", str(tmp_path / NAME), "-o", "plan.json"]


@pytest.mark.parametrize("action", ["info", "verify"])
def test_of_an_artifact(artifact, capsys, action):
    assert edge_main([action, str(artifact)]) == 0
    assert next_words(capsys) == ["zoo-edge", "predict", str(artifact), "SCAN", "-o", "OUT"]


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (["compare", "FOLDER", "FOLDER"], ["zoo", "evaluate", "FOLDER"]),
        (["review", "FOLDER", "--audit", "a.csv"], ["zoo", "review", "FOLDER", "--artifact", "ARTIFACT"]),
    ],
)
def test_in_a_message(folder, capsys, words, mend):
    words, mend = ([str(folder) if word == "FOLDER" else word for word in each] for each in (words, mend))
    assert main(words) == 1
    said = capsys.readouterr().err
    command = said[said.rindex(f"{mend[0]} {mend[1]} ") :]
    assert shlex.split(command)[: len(mend)] == mend


def test_no_command_is_written_around_a_value():
    """``medseg.command.command_line`` quotes values; text around them does not."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    unquoted = [f"{path.relative_to(ROOT)}: {text}" for path in files for text in texts_before_values(path)]
    assert [line for line in unquoted if BEFORE_A_VALUE.search(line)] == []


def texts_before_values(path):
    """What stands before each value of each f-string in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for before, value in pairwise(node.values) if isinstance(node, ast.JoinedStr) else ():
            if isinstance(before, ast.Constant) and isinstance(value, ast.FormattedValue):
                yield before.value
