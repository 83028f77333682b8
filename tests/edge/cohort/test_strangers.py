"""What strangers can put in a cohort's way: services that are no scheduler, records, names of files."""

import csv
import io
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.cases import Case
from edge.cohort import cluster
from edge.cohort.cluster import connected
from edge.cohort.records import keep_report, report_if_done, task_of, write_table
from medseg.errors import InputError

ANSWERS = {
    "nothing": b"",
    "noise": b"\xff" * 1000,
    "a web server's words": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a claim of 10^12 frames": struct.pack("<QQ", 2**40, 2**40),
    "a claim of a terabyte": struct.pack("<QQQ", 24, 1, 2**40),
    "no MessagePack": struct.pack("<QQQ", 21, 1, 5) + b"\xc1\xff\xff\xff\xff",
    "a number": struct.pack("<QQQ", 17, 1, 1) + b"\x05",
}


@pytest.fixture
def service():
    """Starts a service that sends some bytes to whoever comes and then says nothing; returns its address."""
    opened = []

    def start(answer, holds=True):
        server = socket.socket()
        opened.append(server)
        server.bind(("127.0.0.1", 0))
        server.listen()

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                    connection.sendall(answer)
                except OSError:
                    return
                if holds:
                    opened.append(connection)
                else:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_service_that_is_no_scheduler(service, monkeypatch, answer):
    monkeypatch.setattr(cluster, "_SECONDS", 2)
    with pytest.raises(InputError) as raised, connected(service(ANSWERS[answer]), 1):
        pass
    assert "cannot be reached" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_service_that_hangs_up_is_told_in_one_line(service, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii").write_bytes(b"")
    words = ["predict", "unet3d-hippocampus", tmp_path / "scans", "--cohort", "-o", tmp_path / "out", "--scheduler"]
    ended = subprocess.run(
        [sys.executable, "-m", "edge", *words, service(b"", holds=False)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(cluster.__file__).parents[2],
    )
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "Traceback" not in ended.stderr


@pytest.fixture
def task(tmp_path):
    """A case whose result stands, and its report."""
    (tmp_path / "a.nii").write_bytes(b"scan")
    (tmp_path / "out.nii").write_bytes(b"labels")
    task = task_of(
        Case((tmp_path / "a.nii",), tmp_path / "out.nii"), {"labels": tmp_path / "out.nii"}, "work", tmp_path
    )
    keep_report(task, {"scan": "a", "voxels": {"x": 1}, "volumes_ml": {"x": 1.0}, "areas_mm2": {}})
    assert report_if_done(task)["scan"] == "a"
    return task


@pytest.mark.parametrize(
    "change",
    [
        {"report": {}},
        {"report": 5},
        {"report": {"scan": "a", "voxels": 5, "volumes_ml": {}, "areas_mm2": {}}},
        {"report": {"scan": 5, "voxels": {}, "volumes_ml": {}, "areas_mm2": {}}},
        {"report": {"scan": "a", "voxels": {}, "volumes_ml": {}, "areas_mm2": {}, "flags": 5}},
        {"report": {"scan": "a", "voxels": {}, "volumes_ml": {}, "areas_mm2": {}, "quality": 5}},
        {"outputs": 5},
        {"outputs": {}},
        {"inputs": None},
        {"work": None},
    ],
)
def test_a_record_that_was_changed_is_none(task, change):
    record = json.loads(task.record.read_text())
    task.record.write_text(json.dumps(record | change))
    assert report_if_done(task) is None


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"[]", b" " * 20_000_000])
def test_a_record_that_is_no_record(task, content):
    task.record.write_bytes(content)
    assert report_if_done(task) is None


def test_names_that_a_spreadsheet_would_compute(tmp_path):
    name = '=HYPERLINK("http://x","y")'
    write_table(tmp_path / "table.csv", [{"scan": name, "error": "@x\nerror: y"}])
    (row,) = csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text()))
    assert row["scan"] == f"'{name}"
    assert row["error"].startswith("'@")
