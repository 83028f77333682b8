"""A node with its neighbours for tests: a quick artifact, a phantom series, Orthanc, ports that are free."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from dicom_files import uid, write_series
from edge_artifacts import ROOT, VOLUME, Tensor, build_onnx, graded_scan, write_artifact
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage
from servers import program

SHAPE = (10, 18, 16)  # slices, rows, columns
SECONDS = 30.0


def quick_artifact(folder) -> Path:
    """An artifact that answers in closed form, and opens without TensorFlow."""
    shape = (1, 8, 16, 12, 1)
    build_onnx(folder / "graded.onnx", shape)
    tensors = [
        Tensor(name, dims, "float32", 0.0, 0) for name, dims in zip("xy", (shape, (*shape[:-1], 3)), strict=True)
    ]
    return write_artifact(
        folder / "graded", (folder / "graded.onnx").read_bytes(), tensors, VOLUME, False, "onnx-float32"
    )


def phantom(folder, seed=0, **tags) -> Path:
    """A series whose intensities the quick artifact tells apart."""
    voxels = graded_scan(SHAPE, seed).astype(np.uint16)
    tags = {"name": f"series {seed}", "StudyInstanceUID": uid("study", seed), **tags}
    return write_series(folder, voxels, **tags)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


def until(answer, seconds=SECONDS):
    """The first true answer, asked again and again."""
    end = time.monotonic() + seconds
    while not (value := answer()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return value


def listens(port) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def config_text(folder, artifact, ports, **lines) -> str:
    """A configuration that sends to an Orthanc.

    Args:
        folder: of the node.
        artifact: its folder.
        ports: of the node and of the archive.
        lines: further lines by table.
    """
    node, archive = ports
    tables = {
        "node": f'folder = "{folder}"\nfree_mb = 1\nthreads = 1',
        "dicom": f"port = {node}\nquiet_seconds = 0.4",
        "http": "port = 0",
        "retry": "first_seconds = 0.2\nlongest_seconds = 0.5\nattempts = 200",
        "[caller]": 'title = "SCANNER"\naddresses = ["127.0.0.0/8"]',
        "[destination]": f'name = "archive"\ntitle = "ARCHIVE"\nhost = "127.0.0.1"\nport = {archive}',
        "[rule]": f'name = "graded"\nartifact = "{artifact}"\nmodality = "MR"\ndestinations = ["archive"]',
    }
    overridden = {**tables, **{name: f"{tables.get(name, '')}\n{text}" for name, text in lines.items()}}
    return "\n".join(f"[{name}]\n{text}" for name, text in overridden.items())


@contextlib.contextmanager
def serving(config: Path):
    """``zoo-edge serve`` in a process; it is killed at the end unless it has ended."""
    words = [sys.executable, "-P", "-m", "edge", "serve", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(config.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(words, stderr=log, stdout=log, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)


def scan_sent(port, folder, *options, called="MEDSEG", calling="SCANNER") -> subprocess.CompletedProcess:
    """A series sent by dcmtk's storescu."""
    words = [
        program("storescu"),
        *options,
        "-aet",
        calling,
        "-aec",
        called,
        "+sd",
        "+r",
        "127.0.0.1",
        str(port),
        folder,
    ]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=SECONDS)


class Orthanc:
    """An archive, as Debian packs it.

    Args:
        folder: for its files.
        port: of DICOM.
        modalities: that it may call: name to title, host and port.
    """

    def __init__(self, folder, port, modalities=None):
        self.folder, self.port, self.http = Path(folder), port, free_port()
        self.folder.mkdir(exist_ok=True)
        settings = {
            "StorageDirectory": str(self.folder), "IndexDirectory": str(self.folder), "HttpPort": self.http,
            "DicomPort": port, "DicomAet": "ARCHIVE", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True, "DicomCheckCalledAet": True, "Plugins": [], "HttpThreadsCount": 2,
            "DicomModalities": modalities or {}, "SaveJobs": False, "StableAge": 1,
        }  # fmt: skip
        self.file = self.folder / "orthanc.json"
        self.file.write_text(json.dumps(settings))
        self.process = None

    def start(self):
        """Start it and wait until it answers."""
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([str(program("Orthanc")), str(self.file)], stdout=log, stderr=log)
        until(lambda: listens(self.http) and listens(self.port))
        return self

    def stop(self):
        """End it; what it has stays on its disk."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)

    def ask(self, path, data=None):
        """The answer of its REST interface."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

    def instances(self) -> dict[str, list[bytes]]:
        """The DICOM files that it holds, by modality."""
        held = {}
        for name in self.ask("/instances"):
            with contextlib.suppress(urllib.error.HTTPError):
                modality = self.ask(f"/instances/{name}/simplified-tags")["Modality"]
                held.setdefault(modality, []).append(self.ask(f"/instances/{name}/file"))
        return held

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


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
