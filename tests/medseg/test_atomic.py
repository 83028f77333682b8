"""Folders that replace one another, with each call of the system failing in turn."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from medseg import atomic

CONTENT = {"old": "1", "new": "2"}


@pytest.fixture
def folders(tmp_path):
    for name, text in CONTENT.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    return tmp_path / "new", tmp_path / "old"


def without_exchange(monkeypatch):
    """As on a system that cannot exchange two names at once."""
    monkeypatch.setattr(atomic, "exchange", lambda first, second: False)


def failing(monkeypatch, which):
    """Let the calls of ``os.replace`` with the numbers ``which`` fail, as on a full or vanished disk."""
    without_exchange(monkeypatch)
    calls, replace = [], os.replace

    def replaced(source, target):
        calls.append(source)
        if len(calls) in which:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    return calls


@pytest.mark.parametrize("exchanges", [True, False])
def test_the_new_folder_replaces_the_old_one(folders, monkeypatch, exchanges):
    if not exchanges:
        without_exchange(monkeypatch)
    atomic.replace_folder(*folders)
    assert (folders[1] / "file").read_text() == "2"
    assert [path.name for path in folders[1].parent.iterdir()] == ["old"]


def test_where_nothing_stood(folders):
    target = folders[0].parent / "third"
    atomic.replace_folder(folders[0], target)
    assert (target / "file").read_text() == "2"


@pytest.mark.parametrize("which", [(1,), (2,)])
def test_a_rename_that_fails_leaves_the_old_folder_where_it_was(folders, monkeypatch, which):
    failing(monkeypatch, which)
    with pytest.raises(OSError, match="Input/output error"):
        atomic.replace_folder(*folders)
    assert {path.name: (path / "file").read_text() for path in folders[0].parent.iterdir()} == CONTENT


def test_an_old_folder_that_cannot_be_moved_back_is_named(folders, monkeypatch):
    failing(monkeypatch, (2, 3))
    with pytest.raises(OSError, match=r"what was there is .*old\.before-\d+ now") as caught:
        atomic.replace_folder(*folders)
    place = Path(str(caught.value).split("what was there is ")[1].removesuffix(" now"))
    assert (place / "file").read_text() == "1"


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_whichever_call_fails_one_of_the_two_stands(folders, monkeypatch, exchanges, number, error):
    new, target = folders
    calls = []

    def counted(call):
        def wrapped(*arguments, **options):
            calls.append(call)
            if len(calls) == number:
                raise error
            return call(*arguments, **options)

        return wrapped

    if not exchanges:
        without_exchange(monkeypatch)
    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(shutil, "rmtree", counted(shutil.rmtree))
    try:
        atomic.replace_folder(new, target)
        finished = True
    except (OSError, KeyboardInterrupt):
        finished = False
    standing = (target / "file").read_text()
    assert standing == CONTENT["new"] if finished else standing in CONTENT.values()
    if standing == CONTENT["old"]:
        assert (new / "file").read_text() == CONTENT["new"]


def test_names_are_exchanged_at_once(folders):
    new, target = folders
    done = atomic.exchange(new, target)
    contents = {path.name: (path / "file").read_text() for path in target.parent.iterdir()}
    assert contents == ({"old": "2", "new": "1"} if done else CONTENT)
    assert not atomic.exchange(new, target.parent / "absent")


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "replace") if call == "replace" else (type(path), call)), full)
    with pytest.raises(atomic.InputError, match="No space left"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
