"""What a scanner sends: what is damaged or cannot be kept is refused, what breaks off gives no result."""

import errno
import io
import os
import socket
import sqlite3
import ssl
import subprocess
import time

import numpy as np
import pydicom
import pytest
from dicom_files import image
from node_parts import association, files_of, phantom, scan_sent, states, until
from pydicom.uid import JPEG2000Lossless, RLELossless
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from edge.node import instances, receive
from edge.node.instances import parse
from edge.node.service import Node
from medseg.errors import InputError


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


def test_the_end_of_a_transfer_is_kept_before_the_sender_is_told_of_it(config_of, tmp_path, monkeypatch):
    """Else a node that is killed in between takes the series for broken off, and nobody sends it again."""
    config, first = config_of(), files_of(phantom(tmp_path / "scan"))[0]
    released = instances.released

    def slowly(database, series):
        time.sleep(0.5)
        released(database, series)

    monkeypatch.setattr(instances, "released", slowly)
    with Node(config) as node, association(config) as link:
        assert link.send_c_store(pydicom.dcmread(first)).Status == receive.SUCCESS
        link.release()
        assert node.database.row("select released from series")["released"] == 1


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
