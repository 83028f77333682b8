"""What goes wrong between scanner and archive: nothing that was taken is lost, no wrong result is sent."""

import contextlib
import errno
import io
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pydicom
import pytest
from dicom_files import image
from node_parts import Orthanc, config_text, free_port, phantom, quick_artifact, scan_sent, until
from pydicom.uid import JPEG2000Lossless, RLELossless
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from edge.node import instances, jobs, receive
from edge.node.config import Retry, read_config
from edge.node.database import Database
from edge.node.instances import parse
from edge.node.retention import tidy
from edge.node.routing import Facts, fitting
from edge.node.service import Node
from medseg.errors import InputError


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return quick_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def config_of(tmp_path, artifact):
    """A function from lines of the configuration to what it reads as."""

    def read(ports=None, **lines):
        ports = ports or (free_port(), free_port())
        path = tmp_path / "node.toml"
        path.write_text(config_text(tmp_path / "state", artifact, ports, **lines))
        return read_config(path)

    return read


@contextlib.contextmanager
def association(config):
    """An association from a scanner that speaks pynetdicom."""
    entity = AE("SCANNER")
    entity.add_requested_context(MRImageStorage)
    link = entity.associate("127.0.0.1", config.dicom.port, ae_title="MEDSEG")
    assert link.is_established
    try:
        yield link
    finally:
        if link.is_established:
            link.release()


def files_of(folder):
    return sorted(folder.glob("*.dcm"))


def states(node, table="jobs"):
    return [row["state"] for row in node.database.rows(f"select state from {table}")]


def test_truncated_instances_are_refused():
    whole = io.BytesIO()
    image(np.arange(400, dtype=np.uint16).reshape(20, 20)).save_as(whole, enforce_file_format=True)
    content = whole.getvalue()
    assert parse(content).content == content
    for size in (200, 500, len(content) - 801, len(content) - 400, len(content) - 1):
        with pytest.raises(InputError, match=r"truncated|has no"):
            parse(content[:size])


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_truncated_compressed_instances_are_refused(syntax):
    pixels = np.random.default_rng(0).integers(0, 999, (3, 64, 64)).astype(np.uint16)
    whole = io.BytesIO()
    image(pixels, sop_class="1.2.840.10008.5.1.4.1.1.4.1", syntax=syntax).save_as(whole, enforce_file_format=True)
    content = whole.getvalue()
    assert parse(content).content == content
    for size in (len(content) - 9, len(content) - 300):
        with pytest.raises(InputError, match=r"truncated|has no"):
            parse(content[:size])


def test_a_full_disk_refuses_and_leaves_nothing(config_of, tmp_path, monkeypatch):
    config, first = config_of(), files_of(phantom(tmp_path / "scan"))[0]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Node(config) as node, association(config) as link:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            assert link.send_c_store(pydicom.dcmread(first)).Status == receive.NO_RESOURCES
        with monkeypatch.context() as patched:
            patched.setattr(receive, "has_room", lambda *_: False)
            assert link.send_c_store(pydicom.dcmread(first)).Status == receive.NO_RESOURCES
        with monkeypatch.context() as patched:
            patched.setattr(
                instances.Database, "change", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk is full"))
            )
            assert link.send_c_store(pydicom.dcmread(first)).Status == receive.NO_RESOURCES
        assert not node.database.rows("select * from instances")
        assert not list((tmp_path / "state" / "received").rglob("*.tmp"))
        assert link.send_c_store(pydicom.dcmread(first)).Status == receive.SUCCESS
        (row,) = node.database.rows("select * from instances")
        assert parse((config.node.folder / row["file"]).read_bytes()).uid == pydicom.dcmread(first).SOPInstanceUID


def test_an_aborted_transfer_gives_no_result_until_it_is_sent_again(config_of, tmp_path):
    config, files = config_of(), files_of(phantom(tmp_path / "scan"))
    with Node(config) as node:
        with association(config) as link:
            for file in files[:6]:
                assert link.send_c_store(pydicom.dcmread(file)).Status == 0
            link.abort()
        until(lambda: states(node, "series") == ["parked"])
        (row,) = node.database.rows("select * from series")
        assert row["reason"] == "its transfer broke off after 6 instances; send it again"
        assert states(node) == []
        assert scan_sent(config.dicom.port, tmp_path / "scan").returncode == 0
        until(lambda: states(node) == ["done"])
        assert len(node.database.rows("select * from instances")) == len(files)


def test_a_sender_may_pause_within_its_association(config_of, tmp_path):
    config, files = config_of(), files_of(phantom(tmp_path / "scan"))
    with Node(config) as node, association(config) as link:
        for number, file in enumerate(files):
            if number == 5:
                time.sleep(3 * config.dicom.quiet_seconds)
            assert link.send_c_store(pydicom.dcmread(file)).Status == 0
        assert states(node, "series") == ["open"]
        link.release()
        until(lambda: states(node) == ["done"])
        assert states(node, "series") == ["complete"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_transfer_that_a_malformed_message_ends_is_broken_off(config_of, tmp_path):
    config, files = config_of(), files_of(phantom(tmp_path / "scan"))
    command_without_a_field = bytes.fromhex("040000000006000000020103")
    with Node(config) as node, association(config) as link:
        assert link.send_c_store(pydicom.dcmread(files[0])).Status == 0
        link.dul.socket.socket.sendall(command_without_a_field)
        until(lambda: states(node, "series") == ["parked"])
        assert states(node) == []


def test_closed_connections_take_no_places(config_of, tmp_path):
    config = config_of(dicom="associations = 2")
    with Node(config) as node:
        for _ in range(8):
            socket.create_connection(("127.0.0.1", config.dicom.port)).close()
        sent = until(lambda: scan_sent(config.dicom.port, phantom(tmp_path / "scan")).returncode == 0, 10)
        assert sent
        assert len(node.database.rows("select * from instances")) == 10


def test_an_instance_belongs_to_one_series(config_of, tmp_path):
    config, first = config_of(), files_of(phantom(tmp_path / "scan"))[0]
    with Node(config) as node, association(config) as link:
        dataset = pydicom.dcmread(first)
        assert link.send_c_store(dataset).Status == receive.SUCCESS
        dataset.SeriesInstanceUID = "1.2.3"
        assert link.send_c_store(dataset).Status == receive.NOT_UNDERSTOOD
        assert len(states(node, "series")) == 1


def test_a_count_completes_a_series_at_once(config_of, tmp_path):
    config = config_of(dicom='count = "NumberOfSeriesRelatedInstances"')
    scans = phantom(tmp_path / "scan", NumberOfSeriesRelatedInstances=10)
    short = phantom(tmp_path / "short", seed=1, NumberOfSeriesRelatedInstances=11)
    with Node(config) as node:
        assert scan_sent(config.dicom.port, scans).returncode == 0
        assert scan_sent(config.dicom.port, short).returncode == 0
        until(lambda: states(node, "series") == ["complete", "parked"])
        reasons = [row["reason"] for row in node.database.rows("select reason from series order by state desc")]
        assert "has 10 of 11 instances; send it again" in reasons
        until(lambda: states(node) == ["done"])


def test_a_series_with_a_gap_is_parked_with_its_reason(config_of, tmp_path):
    config, scans = config_of(), phantom(tmp_path / "scan")
    files_of(scans)[4].unlink()
    with Node(config) as node:
        assert scan_sent(config.dicom.port, scans).returncode == 0
        until(lambda: states(node) == ["parked"])
        (row,) = node.database.rows("select * from jobs")
        assert "missing" in row["reason"]
        assert states(node, "deliveries") == []
        assert jobs.try_again(node.database, row["id"])
        assert not jobs.try_again(node.database, row["id"] + 1)


def test_no_rule_fits(config_of, tmp_path):
    config = config_of()
    with Node(config) as node:
        assert scan_sent(config.dicom.port, phantom(tmp_path / "scan", Modality="CT")).returncode == 0
        until(lambda: states(node, "series") == ["parked"])
    rule = config.rule[0]
    assert fitting([rule], Facts("mr")) == (rule,)
    assert fitting([rule], Facts("CT")) == ()


def test_a_job_that_ends_the_node_is_parked_in_the_end(tmp_path):
    database, retry = Database(tmp_path), Retry(attempts=3)
    number = jobs.add_upload(database, "a", "rule", tmp_path / "a.nii")
    for attempt in (1, 2, 3):
        assert jobs.claim(database).attempts == attempt
        assert jobs.claim(database) is None
        jobs.recover(database, retry)
    row = database.row("select * from jobs where id = ?", number)
    assert (row["state"], row["reason"]) == ("parked", "the node ended 3 times while working on it")


def test_failures_back_off_and_are_parked(tmp_path):
    database = Database(tmp_path)
    jobs.add_upload(database, "a", "rule", tmp_path / "a.nii")
    retry = Retry(first_seconds=0.01, longest_seconds=0.01, attempts=2)
    assert not jobs.fail(database, jobs.claim(database), "OSError", retry)
    job = until(lambda: jobs.claim(database))
    assert jobs.fail(database, job, "OSError", retry)
    assert jobs.claim(database) is None


def test_nothing_is_removed_before_it_was_delivered(config_of, tmp_path):
    ports = free_port(), free_port()
    config, scans = config_of(ports), phantom(tmp_path / "scan")
    folder = config.node.folder
    with Node(config) as node:
        assert scan_sent(ports[0], scans).returncode == 0
        until(lambda: node.database.row("select 1 from deliveries where attempts > 1"))
        assert tidy(node.database, folder, 0) == 0
        assert len(list((folder / "received").rglob("*.dcm"))) == 10
        with Orthanc(tmp_path / "archive", ports[1]) as archive:
            until(lambda: states(node, "deliveries") == ["done", "done"])
            assert tidy(node.database, folder, 1) == 0
            assert tidy(node.database, folder, 0) == 2
            assert not list((folder / "received").rglob("*.dcm"))
            assert not list((folder / "results").rglob("*"))
            # Sent again it gives the result that there is already; a part of it gives none.
            assert scan_sent(ports[0], files_of(scans)[0]).returncode == 0
            until(lambda: states(node, "series") == ["parked"])
            assert scan_sent(ports[0], scans).returncode == 0
            until(lambda: states(node, "series") == ["complete"])
            assert states(node) == ["done"]
            assert {kind: len(held) for kind, held in archive.instances().items()} == {"SEG": 1, "SR": 1}


def test_storage_commitment(config_of, tmp_path):
    ports = free_port(), free_port()
    config = config_of(ports, **{"[caller]": f'[[caller]]\ntitle = "ARCHIVE"\nhost = "127.0.0.1"\nport = {ports[1]}'})
    node_entry = {"node": {"AET": "MEDSEG", "Host": "127.0.0.1", "Port": ports[0]}}
    first, second = files_of(phantom(tmp_path / "scan"))[:2]
    with Orthanc(tmp_path / "archive", ports[1], node_entry) as archive, Node(config):
        kept = archive.ask("/instances", first.read_bytes())["ID"]
        strange = archive.ask("/instances", second.read_bytes())["ID"]
        archive.ask("/modalities/node/store", kept.encode())
        for name, expected in ((kept, "Success"), (strange, "Failure")):
            body = f'{{"Resources": ["{name}"]}}'.encode()
            asked = archive.ask("/modalities/node/storage-commitment", body)
            until(lambda path=asked["Path"]: archive.ask(path)["Status"] != "Pending")
            assert archive.ask(asked["Path"])["Status"] == expected


def test_tls(config_of, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem",
         "-out", tmp_path / "cert.pem", "-days", "1", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    config = config_of(dicom='certificate = "cert.pem"\nkey = "key.pem"')
    scans = phantom(tmp_path / "scan")
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    with Node(config) as node:
        with socket.create_connection(("127.0.0.1", config.dicom.port)):  # a caller that says nothing holds up nobody
            entity = AE("SCANNER")
            entity.add_requested_context(MRImageStorage)
            link = entity.associate("127.0.0.1", config.dicom.port, ae_title="MEDSEG", tls_args=(context, "localhost"))
            assert link.is_established
            assert link.send_c_store(pydicom.dcmread(files_of(scans)[0])).Status == 0
            link.release()
        assert scan_sent(config.dicom.port, scans).returncode != 0
        assert len(node.database.rows("select * from instances")) == 1


TAKEN, BROKEN = [], [True]


def answer_stow(handler):
    """Take instances as PS3.18 10.5 says, after being out of order once."""
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    if BROKEN:
        BROKEN.pop()
        handler.send_response(503)
    else:
        head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        TAKEN.extend((handler.path, handler.headers["Authorization"], part) for part in parts)
        handler.send_response(200)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def test_results_by_stow(config_of, tmp_path):
    answers = {"do_POST": answer_stow, "log_message": lambda *_: None}
    server = HTTPServer(("127.0.0.1", 0), type("Stow", (BaseHTTPRequestHandler,), answers))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("a-token-of-letters\n")
    web = f'name = "web"\nkind = "stow"\nurl = "http://127.0.0.1:{server.server_port}/dicom-web/"\ntoken_file = "token"'
    config = config_of(**{"[destination]": f"[[destination]]\n{web}", "[rule]": 'write = ["seg"]'})
    config = replace(config, rule=(replace(config.rule[0], destinations=("web",)),))
    with Node(config) as node:
        assert scan_sent(config.dicom.port, phantom(tmp_path / "scan")).returncode == 0
        until(lambda: states(node, "deliveries") == ["done"])
        assert node.database.row("select attempts from deliveries")["attempts"] == 1
    server.shutdown()
    ((path, token, part),) = TAKEN
    assert (path, token) == ("/dicom-web/studies", "Bearer a-token-of-letters")
    assert part.get_content_type() == "application/dicom"
    assert pydicom.dcmread(io.BytesIO(part.get_payload(decode=True))).Modality == "SEG"


def test_two_nodes_on_one_folder(config_of, tmp_path):
    with Node(config_of()):
        config_of()  # other ports, the same folder
        code = "import sys; from edge.node import Node, read_config; Node(read_config(sys.argv[1])).__enter__()"
        ended = subprocess.run([sys.executable, "-c", code, tmp_path / "node.toml"], capture_output=True, text=True)
    assert "another process is writing it" in ended.stderr


def test_port_in_use(config_of, tmp_path):
    first = config_of()
    second = replace(first, node=replace(first.node, folder=tmp_path / "second"))
    with Node(first), pytest.raises(InputError, match=r"dicom.port: cannot listen on 127.0.0.1 port \d+ .*in use"):
        Node(second).__enter__()
