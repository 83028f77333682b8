"""Many people at once on one ``zoo review``: no work lost or kept twice, nobody overwritten unasked.

    python benchmarks/review/review_load.py
    python benchmarks/review/review_load.py --clients 50 --seconds 30 --pause 1

Each client is a program that visits cases one after another, as the page does: worklist, case, label, drafts, then a
correction, a label sent in one call, or a decision. Every label carries a number of its own in its voxels. Half of the
clients share a name with one other, as windows of one person do. After ``--seconds`` the server is asked what it holds,
and that is compared with what it acknowledged. Prints the times of the answers and what was wrong; status 1 if anything
was.
"""

import argparse
import collections
import gzip
import http.client
import itertools
import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import nibabel
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "review")]
SHAPE = (36, 48, 40)
BITS = 40  # of the number that a label carries
AFFINE = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.3, 0.2, 0.1), [-18.0, -24.0, -20.0])
NUMBERS = itertools.count(1)


def main() -> int:
    """Run the load; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--artifact", default="unet3d-hippocampus", help="artifact folder, or the name of a shipped one"
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that a client thinks before each request")
    args = parser.parse_args()
    from page_browser import Server
    from review_load_checks import check

    with tempfile.TemporaryDirectory(prefix="medseg-review-") as folder:
        scans = make_scans(Path(folder) / "scans", args.cases)
        server = Server(scans, args.artifact)
        try:
            idle = processor_seconds(server.process.pid)
            clients = run(server.address, args.clients, args.seconds, args.pause)
            busy = processor_seconds(server.process.pid) - idle
            wrong = check(server.address, clients, scans.with_name("scans-review") / "final")
        finally:
            server.stop()
    show(clients, args.seconds, busy, wrong)
    return 1 if wrong else 0


def make_scans(folder: Path, cases: int) -> Path:
    """Scans of noise, each with a label that the folder holds: version 1 of its case."""
    generator = np.random.default_rng(0)
    for number in range(cases):
        for kind, voxels in (("images", generator.integers(0, 900, SHAPE)), ("labels", np.zeros(SHAPE))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            image = nibabel.Nifti1Image(voxels.astype(np.int16), AFFINE)
            nibabel.save(image, folder / kind / f"case{number:02d}.nii.gz")
    return folder


@dataclass
class Client:
    """A program that works on cases, and what the server has acknowledged to it.

    Attributes:
        address: of the server.
        name: that it sends.
        value: of the class that it draws with.
        answers: (kind of request, status, seconds) of each.
        sent: (case, number in the voxels) of each label that was sent.
        saved: (case, version, number in the voxels) of each correction.
        drafts: (case, its mark, mark of the draft that it replaced, number in the voxels) of each acknowledged draft.
        decided: (case, version, action) of each decision.
        fault: what ended it before its time.
    """

    address: str
    name: str
    value: int = 1
    answers: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    saved: list = field(default_factory=list)
    drafts: list = field(default_factory=list)
    decided: list = field(default_factory=list)
    fault: str = ""

    def work(self, end: float, pause: float, seed: int) -> None:
        """Visit cases until the clock shows ``end``."""
        self.random, self.pause = random.Random(seed), pause
        self.line = http.client.HTTPConnection(self.address.split("/")[2], timeout=60)
        try:
            while time.monotonic() < end:
                self.visit()
        except Exception as error:  # the end of a thread would not be seen
            self.fault = f"{self.name}: {type(error).__name__}: {error}"
        finally:
            self.line.close()

    def ask(self, kind: str, method: str, path: str, body=None, headers=()):
        """A request; returns status and body, JSON where it is."""
        if self.pause:
            thinks = self.random.expovariate(1 / self.pause)
            time.sleep(thinks)
            if thinks > 3:  # the server ends connections that are idle for 5 s
                self.line.close()
        body = json.dumps(body) if isinstance(body, dict) else body
        began = time.perf_counter()
        self.line.request(method, path, body, {"X-User": quote(self.name), "Accept-Encoding": "gzip", **dict(headers)})
        answer = self.line.getresponse()
        content = answer.read()
        self.answers.append((kind, answer.status, time.perf_counter() - began))
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(content) if is_json else content

    def visit(self) -> None:
        """Open a case, draw, and save or decide."""
        _, worklist = self.ask("worklist", "GET", "/api/cases?sort=need&limit=500")
        case = self.random.choice(worklist["cases"])["id"]
        path = f"/api/cases/{case}"
        self.ask("presence", "POST", f"{path}/presence", {"open": True})
        _, detail = self.ask("case", "GET", path)
        version = detail["version"]
        self.ask("label", "GET", f"{path}/label.nii?version={version}")
        step = self.random.random()
        if step < 0.6:
            self.correct(case, path, detail)
        elif step < 0.8:
            number, content = self.new_label(case)
            status, answer = self.ask("send", "PUT", f"{path}/label", content, {"If-Match": f'"{version}"'}.items())
            if status == 200:
                self.saved.append((case, answer["version"], number))
        else:
            action = self.random.choice(("accept", "reject", "reopen"))
            decision = {"action": action, "version": version, "reason": "load"}
            status, _ = self.ask("decide", "POST", f"{path}/decision", decision)
            if status == 200:
                self.decided.append((case, version, action))
        self.ask("presence", "POST", f"{path}/presence", {"open": False})

    def correct(self, case, path, detail) -> None:
        """Save drafts, numbered on from the kept one, and make a version of the last.

        Where another window saved one meanwhile, this one's next draft replaces it, as a person may choose.
        """
        version, window = detail["version"], secrets.token_hex(8)
        kept = next((draft for draft in detail["drafts"] if draft["user"] == self.name), {"seq": 0, "window": ""})
        acknowledged = None
        for _ in range(self.random.randint(1, 3)):
            order, seen = kept["seq"] + 1, f"{kept['window']}/{kept['seq']}"
            number, content = self.new_label(case)
            query = f"base={version}&seq={order}&window={window}&seen={quote(seen)}"
            status, answer = self.ask("draft", "PUT", f"{path}/draft?{query}", content)
            if status == 200:
                kept, acknowledged = {"seq": order, "window": window}, (f"{window}/{order}", number)
                self.drafts.append((case, acknowledged[0], seen, number))
            else:
                kept = {key: answer.get(key, kept[key]) for key in kept}
        if acknowledged is None:
            return
        mark, number = acknowledged
        decision = {"action": "correct", "version": version, "seconds": 1, "reason": "load", "draft": mark}
        status, answer = self.ask("decide", "POST", f"{path}/decision", decision)
        if status == 200:
            self.saved.append((case, answer["version"], number))

    def new_label(self, case) -> tuple[int, bytes]:
        """A label that no other request carries: its number, and the file."""
        number = next(NUMBERS)
        self.sent.append((case, number))
        voxels = np.zeros(SHAPE, np.int16)
        voxels.flat[:BITS] = [self.value * (number >> bit & 1) for bit in range(BITS)]
        return number, gzip.compress(nibabel.Nifti1Image(voxels, AFFINE).to_bytes(), 1)


def number_in(content: bytes) -> int:
    """The number that a label file carries."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    voxels = np.asarray(nibabel.Nifti1Image.from_bytes(content).dataobj)
    return sum(int(bit != 0) << place for place, bit in enumerate(voxels.flat[:BITS]))


def run(address: str, count: int, seconds: float, pause: float) -> list[Client]:
    """Let clients work at once; returns them with what they saw."""
    value = wait_for_labels(address)
    names = [f"reader {number // 2 if number < count // 2 else number} ✚" for number in range(count)]
    clients = [Client(address, name, value) for name in names]
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=client.work, args=(end, pause, seed)) for seed, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients


def wait_for_labels(address: str) -> int:
    """Wait until every case has its first version; returns the value of a class."""
    reader = reader_of(address)
    while not all(case["version"] for case in reader.ask("worklist", "GET", "/api/cases")[1]["cases"]):
        time.sleep(0.2)
    value = reader.ask("info", "GET", "/api/info")[1]["labels"][1]["value"]
    reader.line.close()
    return value


def reader_of(address: str) -> Client:
    """A client that looks on."""
    reader = Client(address, "reader")
    reader.random, reader.pause = random.Random(0), 0.0
    reader.line = http.client.HTTPConnection(address.split("/")[2], timeout=60)
    return reader


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(clients, seconds, busy, wrong) -> None:
    """Print the times of the answers, and what was wrong."""
    kinds = collections.defaultdict(list)
    for client in clients:
        for kind, _, spent in client.answers:
            kinds[kind].append(1000 * spent)
    print("| requests | number | median, ms | 95th percentile, ms | longest, ms |")
    print("|---|---|---|---|---|")
    everything = [spent for client in clients for _, _, spent in client.answers]
    for kind, times in [*sorted(kinds.items()), ("all", [1000 * spent for spent in everything])]:
        if len(times) > 1:
            high = statistics.quantiles(times, n=20)[-1]
            print(f"| {kind} | {len(times)} | {statistics.median(times):.0f} | {high:.0f} | {max(times):.0f} |")
    print(f"processor of the server: {1000 * busy / len(everything):.1f} ms a request")
    refused = sum(status in (409, 412) for client in clients for _, status, _ in client.answers)
    saved = sum(len(client.saved) for client in clients)
    print(
        f"{len(clients)} clients, {seconds:.0f} s: {saved} versions saved, {refused} requests told: another was first"
    )
    print("\n".join(wrong[:20]) or "nothing lost, nothing kept twice, nobody overwritten")


if __name__ == "__main__":
    sys.exit(main())
