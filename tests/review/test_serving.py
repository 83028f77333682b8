"""The command itself: a real server, killed in the middle, and many clients at once."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import quote

import numpy as np
import pytest
import requests
from edge_artifacts import ROOT
from review_phantoms import SHAPE, label_file, read_nifti, wait_for, write_scans

CLIENTS = 50


class Server:
    """``zoo review`` as a process of its own, at a free port."""

    def __init__(self, folder, *words):
        command = [sys.executable, "-P", "-m", "zoo", "review", str(folder), "--no-browser", "--port", "0", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.first = self.process.stdout.readline()
        address = re.search(r"https?://\S+?/", self.first)
        if address is None:
            raise AssertionError(self.first + self.process.stdout.read())
        self.address = address[0].rstrip("/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()

    def get(self, path, **more):
        return requests.get(self.address + path, timeout=30, **more)

    def put(self, path, content, user):
        return requests.put(self.address + path, data=content, headers={"X-User": quote(user)}, timeout=30)

    def post(self, path, data, user="Anna"):
        return requests.post(self.address + path, json=data, headers={"X-User": quote(user)}, timeout=30)

    def wait_until_segmented(self, count):
        wait_for(lambda: self.get("/api/cases").json()["counts"].get("segmented", 0) == count, 60)


@pytest.fixture
def folder(tmp_path):
    write_scans(tmp_path / "scans")
    return tmp_path / "scans"


def test_killed_server_keeps_what_it_acknowledged(folder, artifact):
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    random, kept = np.random.default_rng(0), {}
    with Server(folder, "--artifact", str(artifact)) as server:
        server.wait_until_segmented(3)
        for seq in range(1, 6):
            for case in ("case_a", "case_b"):
                labels = random.choice([0, 7, 300], SHAPE)
                answer = server.put(f"/api/cases/{case}/draft?base=1&seq={seq}", label_file(labels), "Änna")
                assert answer.status_code == 200
                kept[case] = labels
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(20)
    with Server(folder, "--artifact", str(artifact)) as server:
        for case, labels in kept.items():
            draft = server.get(f"/api/cases/{case}/draft", headers={"X-User": quote("Änna")})
            assert draft.headers["x-seq"] == "5"
            assert np.array_equal(read_nifti(draft.content)[0], labels)
        done = server.post("/api/cases/case_a/decision", {"action": "correct", "version": 1}, "Änna").json()
        assert done["case"]["user"] == "Änna"
        saved = server.get("/api/cases/case_a/label.nii")
        assert np.array_equal(read_nifti(saved.content)[0], kept["case_a"])
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


def test_fifty_clients_lose_nothing(folder, artifact):
    with Server(folder, "--artifact", str(artifact)) as server:
        server.wait_until_segmented(3)

        def work(number):
            user, case = f"user {number}", ("case_a", "case_b", "case_c")[number % 3]
            labels = np.zeros(SHAPE, int)
            labels.flat[number] = 7
            statuses = [server.get("/api/cases").status_code]
            statuses += [
                server.put(f"/api/cases/{case}/draft?base=1&seq={seq}", label_file(labels), user).status_code
                for seq in (1, 2)
            ]
            kept = server.get(f"/api/cases/{case}/draft", headers={"X-User": user})
            return statuses, np.array_equal(read_nifti(kept.content)[0], labels), kept.headers["x-seq"]

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(work, range(CLIENTS)))
        assert results == [([200, 200, 200], True, "2")] * CLIENTS
        # One of all that correct the same version wins; the others are told and keep their drafts.
        numbers = [number for number in range(CLIENTS) if number % 3 == 0]
        decision = {"action": "correct", "version": 1}
        with concurrent.futures.ThreadPoolExecutor(len(numbers)) as pool:
            path = "/api/cases/case_a/decision"
            done = list(pool.map(lambda n: server.post(path, decision, f"user {n}").status_code, numbers))
        assert sorted(done) == [200] + [412] * (len(numbers) - 1)
        assert len(server.get("/api/cases/case_a").json()["drafts"]) == len(numbers) - 1


def test_second_server_and_port_in_use_are_told(folder, artifact, tmp_path):
    with Server(folder, "--artifact", str(artifact)) as server:
        command = [
            sys.executable,
            "-P",
            "-m",
            "zoo",
            "review",
            str(folder),
            "--artifact",
            str(artifact),
            "--no-browser",
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        port = server.address.rsplit(":", 1)[1]
        for words, reason in (
            (["--port", "0"], "another process is writing it"),
            (["--port", port, "--work", str(tmp_path / "work")], "is in use"),
        ):
            ended = subprocess.run([*command, *words], capture_output=True, text=True, env=environment, check=False)
            assert ended.returncode == 1
            assert reason in ended.stderr
            assert ended.stderr.count("\n") == 1
        assert json.loads(server.get("/api/info").text)["name"] == "scans"
