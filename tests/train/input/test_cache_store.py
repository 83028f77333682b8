"""The cache in use: listed, cleared, kept to a limit, filled by two processes at once, on a disk that is full."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import make_plan, write_dataset

from medseg.errors import InputError, UsageError
from train.cli import main
from train.input import cache_store
from train.input.cache import cache_cases

HERE = Path(__file__).parents[1]
DAY_S = 86400

# Prepares all cases of a dataset; "wait" keeps the process, and so what it uses, until its input ends.
FILL = """
import sys
from pathlib import Path
from tiny import make_plan
from train.input.cache import cache_cases
from train.data.dataset import open_dataset

dataset, cache, *words = sys.argv[1:]
dataset = open_dataset(dataset)
if words == ["small"]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    cached = cache_cases(dataset.cases, make_plan(dataset).recipe, dataset.labels, Path(cache))
except ValueError as error:
    sys.exit(str(error))
print(len(cached), flush=True)
if words == ["wait"]:
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), cases=3)


@pytest.fixture
def store(data, tmp_path):
    """A cache of three cases, used now, a day ago and two days ago."""
    stored = fill(data, tmp_path / "cache")
    release()
    for days, case in enumerate(stored):
        age(case.folder, days)
    return tmp_path / "cache"


def fill(data, root):
    return cache_cases(data.cases, make_plan(data).recipe, data.labels, root)


def release():
    """Let go of what this process holds, as if it had ended."""
    while cache_store._held:
        os.close(cache_store._held.pop())


def age(folder, days):
    then = time.time() - days * DAY_S - 10
    os.utime(folder, (then, then))


def start(data, root, *words):
    command = [sys.executable, "-c", FILL, str(data.folder), str(root), *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def names(root):
    return {entry.folder.name for entry in cache_store.entries(root)}


def test_the_user_is_told_once_whose_data_lie_where(data, tmp_path, capsys):
    fill(data, tmp_path / "cache")
    said = capsys.readouterr().err
    assert said.count("patients' data") == said.count("\n") == 1
    assert str(tmp_path / "cache") in said
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    tag = (tmp_path / "cache" / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")  # of bford.info/cachedir
    fill(data, tmp_path / "cache")
    assert not capsys.readouterr().err


def test_list_and_clear(store, capsys):
    assert main(["cache", "list", "--cache", str(store), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["entries"]
    assert {row["key"] for row in listed} == names(store)
    assert all(row["bytes"] > 10_000 and row["finished"] for row in listed)
    assert main(["cache", "list", "--cache", str(store)]) == 0
    assert capsys.readouterr().out.endswith(f"Next: zoo cache clear --older-than 30 --cache {store}\n")
    assert main(["cache", "clear", "--cache", str(store), "--older-than", "0.5"]) == 0
    assert "removed 2 preprocessed scans" in capsys.readouterr().out
    assert names(store) == {listed[0]["key"]}
    assert main(["cache", "clear", "--cache", str(store), "--all"]) == 0
    assert main(["cache", "list", "--cache", str(store)]) == 0
    assert "0 preprocessed scans" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--all", "--older-than", "3"], ["--older-than", "-1"]])
def test_clear_has_to_be_told_what(store, capsys, words):
    assert main(["cache", "clear", "--cache", str(store), *words]) == 2
    assert len(names(store)) == 3


def test_nothing_of_the_users_is_removed(store):
    mine = [store / "thesis.txt", store / ("0" * 32) / "scan.nii.gz", store / "results" / "image.npy"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (store / ("1" * 32)).symlink_to(store / "results")
    cache_store.clear(store)
    assert not names(store)
    assert all(path.read_text() == "mine" for path in mine)


def test_beyond_the_limit_what_was_used_longest_ago_goes(store, data, monkeypatch):
    sizes = [entry.size for entry in cache_store.entries(store)]
    newest = cache_store.entries(store)[0].folder.name
    monkeypatch.setenv("MEDSEG_CACHE_LIMIT", str(sizes[0] + 10))
    assert len(cache_store.tidy(store)) == 2
    assert names(store) == {newest}
    assert len(fill(data, store)) == 3  # what is in use stays, whatever the limit
    assert len(names(store)) == 3
    release()
    monkeypatch.setenv("MEDSEG_CACHE_LIMIT", "much")
    with pytest.raises(UsageError, match="MEDSEG_CACHE_LIMIT"):
        fill(data, store)


def test_what_killed_runs_left_is_swept_and_what_is_being_written_is_not(store, data):
    left, written = store / f".{'a' * 32}.x1.tmp", store / f".{'b' * 32}.x2.tmp"
    for folder in (left, written):
        folder.mkdir()
        (folder / "image.npy").write_bytes(b"half")
    age(left, 1)
    fill(data, store)
    assert not left.exists()
    assert written.exists()


def test_what_a_living_process_uses_is_not_removed(data, tmp_path):
    process = start(data, tmp_path / "cache", "wait")
    try:
        assert process.stdout.readline() == "3\n"
        assert cache_store.clear(tmp_path / "cache") == []
    finally:
        process.communicate()
    assert len(cache_store.clear(tmp_path / "cache")) == 3
    assert not list((tmp_path / "cache").glob(".use.*"))


def test_two_processes_fill_one_cache(data, tmp_path):
    processes = [start(data, tmp_path / "cache") for _ in range(2)]
    ended = [process.communicate(timeout=100) for process in processes]
    assert [out for out, _ in ended] == ["3\n", "3\n"], ended
    assert sum("patients' data" in said for _, said in ended) == 1
    assert len(names(tmp_path / "cache")) == 3
    assert not list((tmp_path / "cache").glob("*.tmp"))
    for case in fill(data, tmp_path / "cache"):
        assert case.image().shape[:-1] == case.label().shape == case.shape


def test_a_disk_without_room_is_told_and_leaves_nothing_half_done(data, tmp_path):
    _, said = start(data, tmp_path / "cache", "small").communicate(timeout=100)
    assert "the cache of preprocessed cases cannot be used (a file was not written whole" in said
    assert not names(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.tmp"))


@pytest.mark.parametrize("call", range(5))
def test_every_write_that_fails_is_told_and_leaves_nothing_half_done(data, tmp_path, monkeypatch, call):
    calls = []

    def full(name):
        original = getattr(*name)

        def called(*arguments, **options):
            calls.append(name[1])
            if len(calls) == call + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments, **options)

        monkeypatch.setattr(*name, called)

    full((np, "save"))
    full((os, "replace"))
    with pytest.raises(InputError, match=r"No space left.*MEDSEG_CACHE"):
        cache_cases(data.cases[:1], make_plan(data).recipe, data.labels, tmp_path / "cache")
    assert calls == ["save"] * 4 + ["replace"] * (call == 4) if call >= 3 else len(calls) == call + 1
    assert not cache_store.entries(tmp_path / "cache")
    monkeypatch.undo()
    assert len(fill(data, tmp_path / "cache")) == 3


def test_a_folder_that_is_no_cache_is_not_cleared(tmp_path, capsys):
    """Whatever its files are called."""
    (tmp_path / ("0" * 32)).mkdir()
    (tmp_path / ".use.mine").write_text("the user's")
    for words in (["list"], ["clear", "--all"]):
        assert main(["cache", *words, "--cache", str(tmp_path)]) == 1
        assert "is no cache of preprocessed scans, CACHEDIR.TAG is missing" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".use.mine", "0" * 32]
