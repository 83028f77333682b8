"""Fuzzing the node's DICOM service: what a scanner sends, mutated, at the level of the wire and of the data set.

    python benchmarks/dicom/fuzz_node.py --seconds 600 --corpus corpus-node

Records what a C-STORE of pydicom's test files sends, then replays it with bytes changed, cut, doubled and moved, to a
``zoo-edge serve`` in a process of its own. After every tenth replay the node must answer a C-ECHO within 10 s. Status 1
if it does not, ends, or logs a traceback; the last replays are then kept in the corpus folder.
"""

import argparse
import contextlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import pydicom
from node_load import free_port
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from medseg.process import environment, module_command

FILES = ("CT_small", "MR_small", "MR_small_RLE", "MR_small_jp2klossless")
KEPT = 20


def main() -> int:
    """Fuzz; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=Path("corpus-node"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medseg-fuzz-node-") as folder:
        return run(args, Path(folder))


def run(args, folder) -> int:
    """Start the node, record, replay."""
    port, log = free_port(), folder / "log"
    process = start(folder, port, log)
    seeds = [recorded(name, port) for name in FILES]
    chance, replays, last = random.Random(args.seed), 0, deque(maxlen=KEPT)
    end = time.monotonic() + args.seconds
    problem = ""
    while time.monotonic() < end and not problem:
        first, rest = chance.choice(seeds)
        if chance.random() < 0.3:
            first = mutated(first, chance)
        else:
            rest = mutated(rest, chance)
        last.append(first + rest)
        replay(port, first, rest)
        replays += 1
        if process.poll() is not None:
            problem = f"the node ended with status {process.returncode}"
        elif replays % 10 == 0 and not echoes(port):
            problem = "the node does not answer a C-ECHO"
        elif "Traceback" in log.read_text(errors="replace"):
            problem = "a traceback:\n" + log.read_text(errors="replace")[-3000:]
    process.terminate()
    process.wait()
    print(f"{replays} replays in {args.seconds:.0f} s: {problem or 'no crash, hang or traceback'}")
    if problem:
        args.corpus.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(last):
            (args.corpus / f"{number:02d}.bin").write_bytes(content)
    return 1 if problem else 0


def start(folder, port, log):
    """The node."""
    config = folder / "node.toml"
    config.write_text(
        f"[node]\nfolder = 'state'\nfree_mb = 1\n[dicom]\nport = {port}\nany_caller = true\nquiet_seconds = 1\n"
        "associations = 64\n[http]\nport = 0\n[[rule]]\nname = 'a'\nartifact = 'unet3d-hippocampus'\n"
    )
    with open(log, "ab") as file:
        process = subprocess.Popen(module_command("edge", "serve", config), stderr=file, env=environment())
    while not echoes(port):
        if process.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.2)
    return process


def recorded(name, port) -> tuple[bytes, bytes]:
    """What a C-STORE of a file sends: the request for an association, and all after it."""
    chunks: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=proxy, args=(server, port, chunks), daemon=True)
        thread.start()
        dataset = pydicom.dcmread(get_testdata_file(f"{name}.dcm", download=False))
        entity = AE("SCANNER")
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        link = entity.associate("127.0.0.1", server.getsockname()[1], ae_title="MEDSEG")
        link.send_c_store(dataset)
        link.release()
        thread.join(10)
    whole = b"".join(chunks)
    size = 6 + int.from_bytes(whole[2:6], "big")
    return whole[:size], whole[size:]


def proxy(server, port, chunks):
    """Pass both directions on, and keep what the client sends."""
    client, _ = server.accept()
    node = socket.create_connection(("127.0.0.1", port))

    def back():
        while data := node.recv(2**16):
            client.sendall(data)

    threading.Thread(target=back, daemon=True).start()
    while data := client.recv(2**16):
        chunks.append(data)
        node.sendall(data)
    node.close()


def mutated(content: bytes, chance) -> bytes:
    """One to eight changes."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(max(1, len(data) if chance.random() < 0.5 else min(len(data), 400)))
        kind = chance.randrange(6)
        if kind == 0:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            data[place : place + 4] = chance.choice([b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"])
        elif kind == 2:
            del data[place : place + chance.randint(1, 40)]
        elif kind == 3:
            data[place:place] = data[place : place + chance.randint(1, 40)]
        elif kind == 4:
            data[place:place] = chance.randbytes(chance.randint(1, 40))
        elif chance.random() < 0.3:
            del data[place:]
    return bytes(data)


def replay(port, first, rest) -> None:
    """Send what was recorded; whatever the node answers is right."""
    # The node may well close the connection.
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as link:
        link.sendall(first)
        link.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            link.recv(2**16)
        link.sendall(rest)
        with contextlib.suppress(TimeoutError):
            link.recv(2**16)


def echoes(port) -> bool:
    """Whether the node answers."""
    entity = AE("SCANNER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 10
    entity.add_requested_context(Verification)
    link = entity.associate("127.0.0.1", port, ae_title="MEDSEG")
    if not link.is_established:
        return False
    status = link.send_c_echo()
    link.release()
    return status.get("Status") == 0


if __name__ == "__main__":
    sys.exit(main())
