"""Clients fill no disk: sessions and scans that they send are limited in number, age and space."""

import threading
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan
from review_phantoms import OBLIQUE, SHAPE, label_file

from review import room as rooms
from review.errors import NoRoomError, TooLargeError, TooManyError, UnknownError
from review.monailabel import sessions as module
from review.monailabel.sessions import BUSY_S, Sessions
from review.room import Room, UploadRoom

SCAN = [("scan.nii.gz", bytes(1000))]


class Clock:
    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def _sessions(folder, clock, **limits):
    return Sessions(folder / "sessions", replace(Room(free_bytes=0), **limits), clock)


def _folders(folder):
    return {path.name for path in (folder / "sessions").iterdir()}


@pytest.mark.parametrize(
    ("limits", "error", "words"),
    [({"sessions": 3}, TooManyError, "--sessions"), ({"session_bytes": 3500}, NoRoomError, "--session-space")],
)
def test_longest_unused_session_makes_room(tmp_path, clock, limits, error, words):
    kept = _sessions(tmp_path, clock, **limits)
    names = [kept.add(SCAN).name for _ in range(3)]
    with pytest.raises(error, match=words):
        kept.add(SCAN)
    assert _folders(tmp_path) == set(names)
    for name in (names[1], names[2], names[0]):
        clock.now += BUSY_S
        kept.get(name)
    new = kept.add(SCAN).name
    assert _folders(tmp_path) == {names[0], names[2], new}
    with pytest.raises(UnknownError, match="expired"):
        kept.get(names[1])


def test_session_that_is_read_stays(tmp_path, clock):
    kept = _sessions(tmp_path, clock, sessions=1)
    name = kept.add(SCAN).name
    with kept.used(name) as (_, scan):
        clock.now += 10 * 24 * 3600
        kept.forget()
        with pytest.raises(TooManyError):
            kept.add(SCAN)
        with open(scan, "rb") as file:
            assert file.read() == SCAN[0][1]
    kept.forget()
    assert _folders(tmp_path) == set()


def test_session_ends_with_its_age_however_often_it_is_used(tmp_path, clock):
    kept = _sessions(tmp_path, clock, session_idle_s=100, session_age_s=1000)
    name = kept.add(SCAN).name
    for _ in range(20):
        clock.now += 50
        kept.get(name)
    clock.now += 1
    with pytest.raises(UnknownError):
        kept.get(name)
    assert kept.add(SCAN, expiry=1001).expiry == 100  # longer than a session lives: the server's own number
    assert kept.add(SCAN, expiry=999).expiry == 999


def test_sessions_go_without_being_asked_for(tmp_path, clock, monkeypatch):
    slept = threading.Semaphore(0)
    monkeypatch.setattr(module.time, "sleep", lambda _: slept.acquire(timeout=20))
    earlier = set(threading.enumerate())
    kept = _sessions(tmp_path, clock)
    kept.add(SCAN, expiry=5)
    clock.now += 10
    (thread,) = {thread for thread in threading.enumerate() if thread.name == "sessions"} - earlier
    slept.release()
    thread.join(20)
    assert not thread.is_alive()
    assert _folders(tmp_path) == set()


def test_session_larger_than_all_may_be(tmp_path, clock):
    kept = _sessions(tmp_path, clock, session_bytes=999)
    with pytest.raises(TooLargeError, match="--session-space"):
        kept.add(SCAN)


def test_session_that_cannot_be_written_leaves_nothing(tmp_path, clock, monkeypatch):
    kept = _sessions(tmp_path, clock, sessions=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        kept.add(SCAN)
    monkeypatch.undo()
    assert _folders(tmp_path) == set()
    assert kept.add(SCAN).image == "scan.nii.gz"  # nor a place among them


def test_uploads_that_come_at_once_share_the_room(tmp_path):
    uploads = UploadRoom(tmp_path, Room(uploads=3, upload_bytes=250, free_bytes=0))
    (tmp_path / "kept.nii.gz").write_bytes(bytes(100))
    with uploads.taken(100):
        with pytest.raises(NoRoomError, match="--upload-space"), uploads.taken(51):
            pass
        with uploads.taken(50), pytest.raises(NoRoomError, match="--uploads"), uploads.taken(0):
            pass
    with uploads.taken(150):
        pass


def _full(monkeypatch, free):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(rooms.shutil, "disk_usage", lambda _: usage)


def test_nearly_full_disk_takes_corrections_and_no_scans(client, tmp_path, monkeypatch):
    path = tmp_path / "new.nii.gz"
    nibabel.save(nibabel.Nifti1Image(graded_scan(SHAPE, 5), OBLIQUE), path)
    file = ("new.nii.gz", path.read_bytes())
    _full(monkeypatch, Room().free_bytes)
    for method, place, key in (
        ("put", "/session/", "files"),
        ("post", "/api/cases", "file"),
        ("put", "/datastore/image", "file"),
        ("post", "/infer/graded", "file"),
    ):
        answer = getattr(client, method)(place, files={key: file})
        assert answer.status_code == 507
        assert "--keep-free" in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
    assert client.get("/api/cases/new").status_code == 404
    labels = label_file(np.zeros(SHAPE))
    assert client.put("/api/cases/case_a/draft?base=1&seq=1", content=labels).status_code == 200
    monkeypatch.undo()
    assert client.put("/session/", files={"files": file}).status_code == 200
    assert client.post("/api/cases", files={"file": file}).status_code == 201


def test_more_uploads_than_may_be_sent(segmented, client, tmp_path, monkeypatch):
    monkeypatch.setattr(segmented.upload_room, "_room", Room(uploads=1))
    path = tmp_path / "new.nii.gz"
    nibabel.save(nibabel.Nifti1Image(graded_scan(SHAPE, 5), OBLIQUE), path)
    content = path.read_bytes()
    assert client.post("/api/cases", files={"file": ("one.nii.gz", content)}).status_code == 201
    answer = client.post("/api/cases", files={"file": ("two.nii.gz", content)})
    assert answer.status_code == 507
    assert "--uploads" in answer.json()["error"]


def test_options_set_the_limits():
    from review.cli import build_parser

    words = "--sessions 2 --session-space 1MB --session-hours 0.5 --uploads 0 --upload-space 2GB --keep-free 0"
    args = build_parser().parse_args(["review", "scans", *words.split()])
    assert rooms.room_of(args) == Room(2, 2**20, 1800, 24 * 3600, 0, 2**31, 0)
    assert rooms.room_of(build_parser().parse_args(["review", "scans"])) == Room()
