"""Scripts and folders of users that are called like our packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medseg import process

ROOT = Path(__file__).parents[3]


def write(folder, **files):
    """Files by name and source; a double underscore in a name stands for a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def run(folder, *words):
    """A process in ``folder`` that can import the packages, as where they are installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("train", "import zoo\nimport train\nprint(train.pipeline.__module__, zoo.get.__module__)"),
        ("export", "import zoo, export\nprint(type(export.FORMATS['onnx-int8']).__module__, zoo.get.__module__)"),
        ("edge", "import imaging, edge\nprint(edge.load.__module__, imaging.read.__module__)"),
        ("imaging", "import edge, imaging\nprint(imaging.read.__module__, edge.load.__module__)"),
        ("zoo", "import train, zoo\nprint(train.pipeline.__module__, zoo.get.__module__)"),
    ],
)
def test_a_script_called_like_a_package_gets_the_package(tmp_path, script, lines):
    write(tmp_path, **{script: lines})
    ended = run(tmp_path, f"{script}.py")
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    assert all(word.split(".")[0] in ("zoo", "train", "export", "edge", "imaging") for word in ended.stdout.split())


def test_a_script_that_was_imported_in_place_of_a_package_is_told_so(tmp_path):
    write(tmp_path, train="import train\nimport zoo\nprint(train.pipeline)")
    ended = run(tmp_path, "train.py")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: {tmp_path / 'train.py'}: 'import train' found this script instead of medseg-zoo's package "
        "train; rename the script, or put 'import zoo' before 'import train'"
    )


def test_a_file_beside_the_script_is_named_and_stays_the_users(tmp_path):
    write(tmp_path, main="import zoo\nimport train\nprint(train.mine, zoo.list_models()[0])", train="mine = 'own'")
    ended = run(tmp_path, "main.py")
    assert ended.stdout == "own attention_unet\n"
    assert f"{tmp_path / 'train.py'} hides medseg-zoo's package train" in ended.stderr.splitlines()[0]


@pytest.mark.parametrize("first", ["", "import imaging\n"])
def test_a_file_in_the_way_of_what_a_package_needs_is_named(tmp_path, first):
    write(tmp_path, main=f"{first}import edge", imaging="mine = 1")
    ended = run(tmp_path, "main.py")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: {tmp_path / 'imaging.py'} stands in the way of medseg-zoo's package imaging, which edge needs; "
        "rename it"
    )


def test_a_folder_of_data_is_no_package(tmp_path):
    for name in ("train", "export"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.nii.gz").touch()
    write(tmp_path, main="import zoo, train, export\nprint(train.pipeline.__module__, export.FORMATS is not None)")
    # An editable install finds a package after all folders of the path, where a folder without __init__.py is taken.
    finder = (
        "import importlib.machinery, importlib.util, sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        folder = {str(ROOT)!r} + '/' + name\n"
        "        if name in ('medseg', 'imaging', 'edge', 'zoo', 'train', 'export'):\n"
        "            return importlib.util.spec_from_file_location(\n"
        "                name, folder + '/__init__.py', submodule_search_locations=[folder])\n"
        "sys.meta_path.insert(sys.meta_path.index(importlib.machinery.PathFinder) + 1, Finder)\n"
        "sys.path.insert(0, '')\n"
    )
    code = finder + (tmp_path / "main.py").read_text(encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stdout == "train.input.pipeline True\n", ended.stderr


def test_python_m_never_runs_what_lies_in_the_current_folder(tmp_path):
    write(tmp_path, train="raise SystemExit('mine')", export__cli="", export____init__="raise SystemExit('mine')")
    ended = run(tmp_path, "-m", "zoo", "train", "--help")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: zoo train")
    assert not ended.stderr


def test_our_own_processes_never_run_what_lies_in_the_current_folder(tmp_path):
    write(tmp_path, zoo="raise SystemExit('mine')", train="raise SystemExit('mine')")
    for command in (process.module_command("zoo", "--help"), process.code_command("import zoo.cli; zoo.cli.main([])")):
        ended = subprocess.run(command, cwd=tmp_path, env=process.environment(), capture_output=True, text=True)
        assert ended.stdout.startswith("usage: zoo COMMAND"), ended.stderr
