"""The node under load: series from several associations at once, killed at random moments if asked.

    python benchmarks/dicom/node_load.py --series 200 --slices 40 --associations 8
    python benchmarks/dicom/node_load.py --series 40 --slices 40 --associations 8 --size 192
    python benchmarks/dicom/node_load.py --series 20 --slices 20 --kills 5

Makes phantom series, segments them with the bare runtime (read, predict, SEG and report to disk), then sends them to a
``zoo-edge serve``. Prints what was lost or came twice, the throughput of both and the node's memory. Status 1 if
anything was lost, twice or wrong. The scanner is dcmtk's storescu, the archive that gets the results its storescp.
"""

import argparse
import contextlib
import hashlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.sop_class import MRImageStorage

import edge
from edge.dicom import dicom_bytes, dicom_objects, origin_of
from imaging.io.dicom import choose, find_series, read_series
from medseg.process import environment, module_command
from medseg.quiet import native_logs_hidden

MOST_ATTEMPTS = 20  # to send a series, and as many more for each SIGKILL


def main() -> int:
    """Run the load; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="unet3d-hippocampus")
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument(
        "--size", type=int, default=64, help="rows and columns of a slice, a multiple of 8 (default: 64)"
    )
    parser.add_argument("--associations", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs of the node, at random moments")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not shutil.which("storescu") or not shutil.which("storescp"):
        parser.error("expected storescu and storescp, which Debian's package dcmtk brings")
    with tempfile.TemporaryDirectory(prefix="medseg-load-") as folder:
        return run(args, Path(folder))


def run(args, folder) -> int:
    """Make the series, measure the bare runtime, then the node."""
    series = [phantom(folder / "scans" / f"{n:04d}", n, args.slices, args.size) for n in range(args.series)]
    expected, bare = bare_runtime(args, series, folder / "bare")
    sink = Sink(folder / "sink")
    node = Node(args, folder, sink.port)
    node.start()
    ended = threading.Event()
    killer = threading.Thread(target=kill_at_random, args=(args, node, ended))
    killer.start()
    began = time.perf_counter()
    with ThreadPoolExecutor(args.associations) as pool:
        list(pool.map(lambda files: send(files, node.port, MOST_ATTEMPTS + 20 * args.kills), series))
    sent = time.perf_counter() - began
    node.keep_alive_until(lambda: sink.count() >= 2 * args.series, 60 + 20 * bare)
    spent = time.perf_counter() - began
    ended.set()
    killer.join()
    time.sleep(2)  # what would come twice has time to come
    node.stop()
    held = sink.stop()
    lost = set(expected) - set(held)
    wrong = set(held) - set(expected)
    slices = f"{args.slices} slices of {args.size}x{args.size}"
    print(f"{args.series} series of {slices}, {args.associations} associations, {node.killed} SIGKILLs")
    print(f"results lost {len(lost)}, not those of the bare runtime {len(wrong)}")
    again = held.total() - len(held)
    print(f"results sent again {again} (a SIGKILL between sending and recording does that)")
    print(f"bare runtime {args.series / bare:.2f} series/s, node {args.series / spent:.2f} series/s "
          f"({100 * bare / spent:.0f} %); all were sent after {sent:.1f} s")  # fmt: skip
    quarters = (
        [node.memory[int(share * (len(node.memory) - 1))] for share in (0.25, 0.5, 0.75, 1)] if node.memory else []
    )
    print("memory of the node after each quarter, MB: " + ", ".join(f"{value:.0f}" for value in quarters))
    return 1 if lost or wrong or (again and not node.killed) else 0


def phantom(folder, number, slices, size) -> list[Path]:
    """A series of blobs, a file a slice of ``size`` x ``size`` pixels of 1 mm."""
    folder.mkdir(parents=True)
    random_numbers = np.random.default_rng(number)
    coarse = random_numbers.integers(0, 900, (slices // 4 + 1, 8, 8))
    voxels = coarse.repeat(4, 0).repeat(size // 8, 1).repeat(size // 8, 2)[:slices].astype(np.uint16)
    files = []
    for index, plane in enumerate(voxels):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = MRImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"load {number} {index}"])
        dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        for keyword, value in {
            "SOPClassUID": MRImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "MR",
            "StudyInstanceUID": generate_uid(entropy_srcs=["study", str(number)]),
            "SeriesInstanceUID": generate_uid(entropy_srcs=["series", str(number)]),
            "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame", str(number)]), "PatientID": f"P{number}",
            "PatientName": "Load", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "20240101",
            "StudyTime": "120000", "StudyID": "1", "AccessionNumber": "", "ReferringPhysicianName": "",
            "SeriesNumber": 1, "InstanceNumber": index + 1, "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
            "PositionReferenceIndicator": "", "Rows": size, "Columns": size, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
            "PixelRepresentation": 0, "PixelSpacing": [1, 1], "SliceThickness": 1,
            "ImagePositionPatient": [0, 0, index], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        }.items():  # fmt: skip
            setattr(dataset, keyword, value)
        dataset.PixelData = plane.tobytes()
        dataset["PixelData"].VR = "OW"
        files.append(folder / f"{index:03d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def bare_runtime(args, series, out):
    """SOP Instance UIDs of the results with digests of their pixels, and the seconds that they took without a node."""
    with native_logs_hidden():
        segmenter = edge.load(args.artifact, args.threads)
    out.mkdir()
    expected, began = {}, time.perf_counter()
    for number, files in enumerate(series):
        volume = choose(find_series(files))
        scan = read_series(volume)
        labels = segmenter.predict(scan).labels
        for kind, datasets in dicom_objects(labels, volume, origin_of(segmenter.manifest), ("seg", "sr")).items():
            content = dicom_bytes(datasets[0])
            (out / f"{number}-{kind}.dcm").write_bytes(content)
            expected[identity(datasets[0])] = True
    return expected, time.perf_counter() - began


def identity(dataset) -> tuple[str, str]:
    """A result's unique identifier and the digest of its pixels."""
    return str(dataset.SOPInstanceUID), hashlib.sha256(dataset.get("PixelData") or b"").hexdigest()


def send(files, port, attempts) -> None:
    """Send a series with dcmtk's storescu as a scanner does: again from the start until all of it is acknowledged.

    Raises:
        RuntimeError: if the node refuses it ``attempts`` times.
    """
    command = ["storescu", "-aet", "SCANNER", "-aec", "MEDSEG", "+sd", "127.0.0.1", str(port), str(files[0].parent)]
    for _ in range(attempts):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(f"{files[0].parent}: not accepted {attempts} times; storescu said {ended.stderr[-500:]!r}")


class Sink:
    """An archive that keeps all that it is sent, each time anew: dcmtk's storescp."""

    def __init__(self, folder):
        self.folder, self.port, self.read = folder, free_port(), {}
        folder.mkdir()
        command = ["storescp", "-aet", "SINK", "-od", str(folder), "--unique-filenames", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count(self) -> int:
        """How many results there are, each counted once however often it came."""
        for path in set(self.folder.iterdir()) - self.read.keys():
            with contextlib.suppress(InvalidDicomError, EOFError):  # it is just being written
                self.read[path] = identity(dcmread(path))
        return len(set(self.read.values()))

    def stop(self) -> Counter:
        """End it; how often each result came."""
        self.process.kill()
        self.process.wait()
        return Counter(identity(dcmread(path)) for path in self.folder.iterdir())


class Node:
    """The process of ``zoo-edge serve``, started again when it was killed."""

    def __init__(self, args, folder, sink_port):
        self.port, self.folder, self.killed, self.memory = free_port(), folder, 0, []
        self.process = None
        self.config = folder / "node.toml"
        self.config.write_text(f"""
[node]
folder = "state"
workers = {args.workers}
threads = {args.threads}
free_mb = 1
[dicom]
port = {self.port}
quiet_seconds = 2
any_caller = true
associations = 64
[http]
port = 0
[retry]
first_seconds = 0.5
longest_seconds = 2
attempts = 1000
[[destination]]
name = "sink"
title = "SINK"
host = "127.0.0.1"
port = {sink_port}
[[rule]]
name = "load"
artifact = "{args.artifact}"
destinations = ["sink"]
""")

    def start(self):
        """Start it and wait until it listens."""
        words = module_command("edge", "serve", self.config)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, stderr=log, env=environment())
        while True:
            with socket.socket() as link:
                if link.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                sys.exit((self.folder / "log").read_text())
            time.sleep(0.1)

    def kill(self):
        """SIGKILL, and start again."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.killed += 1
        self.start()

    def keep_alive_until(self, done, seconds):
        """Wait, and look at its memory meanwhile."""
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            try:
                fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
                self.memory.append(int(fields[1]) * 4096 / 2**20)
            except (OSError, IndexError):
                pass
            time.sleep(0.25)

    def stop(self):
        """End it as an init system does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def kill_at_random(args, node, ended):
    """The SIGKILLs, until there was the last or all is done."""
    moments = random.Random(args.seed)
    for _ in range(args.kills):
        if ended.wait(moments.uniform(0.5, 6)):
            return
        node.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
