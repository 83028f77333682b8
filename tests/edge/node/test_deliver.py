"""Results on their way to the archive: by DICOM, by STOW, with storage commitment, and nothing removed before."""

import io
import threading
from dataclasses import replace
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer

import pydicom
import pytest
from node_parts import Orthanc, files_of, free_port, phantom, scan_sent, states, until
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from edge.node.config import Destination
from edge.node.deliveries import Delivery
from edge.node.retention import tidy
from edge.node.sending import send
from edge.node.service import Node


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


@pytest.mark.parametrize("syntaxes", [(ExplicitVRLittleEndian,), (ImplicitVRLittleEndian,)])
def test_what_arrives_is_what_was_written_in_the_syntax_that_the_archive_takes(tmp_path, syntaxes):
    path = files_of(phantom(tmp_path / "scan"))[3]
    written = pydicom.dcmread(path)
    taken = []

    def take(event):
        taken.append(event.encoded_dataset())
        return 0

    archive = AE("ARCHIVE")
    archive.add_supported_context(written.SOPClassUID, list(syntaxes))
    port = free_port()
    server = archive.start_server(("127.0.0.1", port), False, evt_handlers=[(evt.EVT_C_STORE, take)])
    try:
        where = Destination("archive", title="ARCHIVE", host="127.0.0.1", port=port)
        delivery = Delivery(1, 1, "mr", path.name, written.SOPClassUID, written.SOPInstanceUID, 0)
        assert list(send(where, "MEDSEG", path.parent, [delivery])) == [(delivery, None)]
    finally:
        server.shutdown()
    (content,) = taken
    arrived = pydicom.dcmread(io.BytesIO(content))
    assert arrived.file_meta.TransferSyntaxUID == syntaxes[0]
    assert arrived == written
    if syntaxes[0] == written.file_meta.TransferSyntaxUID:
        assert path.read_bytes().endswith(content[-len(written.PixelData) - 200 :])
