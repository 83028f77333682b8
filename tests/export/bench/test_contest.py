"""Turns, variants, failures and the pause of those whose turn it is not."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bench_runtimes import Pretenders

from export.bench.contest import contest
from export.bench.process import Worker, WorkerError
from imaging import InputError, UsageError

WORKER = Path(__file__).parents[3] / "export" / "bench" / "worker.py"


@pytest.fixture
def pretenders(tmp_path):
    return Pretenders(tmp_path)


def test_turns_and_what_is_counted(pretenders, tmp_path):
    progress = []
    outcome = contest(
        [pretenders("a", 2), pretenders("b", 20, threshold=5)],
        tmp_path / "work",
        rounds=2,
        warmup=1,
        progress=lambda *now: progress.append(now),
    )
    assert outcome.failures == {}
    a, b = outcome.results
    turn = ["a"] * 4 + ["b"] * 4
    assert pretenders.ran() == ["a", "b", *turn * 3, "a", "b"]  # first runs, three turns, the classes
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert (a.runs, b.runs) == (6, 6)
    assert 2 <= a.min_ms <= a.p10_ms <= a.median_ms <= a.p90_ms
    assert 20 <= b.min_ms <= b.median_ms
    assert b.first_ms >= 20
    assert a.runtime == "Pretender 1.2"
    assert a.size_bytes == (tmp_path / "input.npy").stat().st_size
    assert 5e6 < a.peak_bytes < 5e8
    positive = float(np.mean(pretenders.patch <= 0))
    assert (a.agreement, b.agreement) == (1.0, pytest.approx(positive))


def test_reference_is_what_agreement_counts(pretenders, tmp_path):
    reference = (pretenders.patch[..., 0] > 0).astype(np.uint8)
    reference[0] = 9
    outcome = contest([pretenders("a")], tmp_path / "work", rounds=1, warmup=0, reference=reference)
    assert outcome.results[0].agreement == pytest.approx(0.75)


def test_regions_are_where_their_own_logit_is_above_0(pretenders, tmp_path):
    """The first channel is 0 everywhere: no region, although it is the larger one where the second is below 0."""
    regions = dataclasses.replace(pretenders("a"), written=(1, 3))
    reference = np.where(pretenders.patch[..., 0] > 0, 3, 0)
    outcome = contest([regions], tmp_path / "work", rounds=1, warmup=0, reference=reference)
    assert outcome.results[0].agreement == 1.0


def test_the_fastest_variant_runs(pretenders, tmp_path):
    several = pretenders("several", {"slow": 30, "quick": 1, "broken": None})
    outcome = contest([several], tmp_path / "work", rounds=1, warmup=0)
    assert outcome.results[0].how == "quick"
    assert outcome.results[0].median_ms < 30


def test_each_number_of_threads(pretenders, tmp_path):
    outcome = contest([pretenders("a"), pretenders("b")], tmp_path / "work", threads=(1, 2), rounds=1, warmup=0)
    assert [(r.name, r.threads) for r in outcome.results] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_failures_are_named_and_the_others_run(pretenders, tmp_path):
    outcome = contest(
        [
            pretenders("refuses", refuses="cannot quantize a Foo layer"),
            pretenders("broken", {"one": None, "two": None}),
            pretenders("dies", dies=True),
            pretenders("runs"),
        ],
        tmp_path / "work",
        rounds=1,
        warmup=0,
    )
    assert [r.name for r in outcome.results] == ["runs"]
    assert outcome.failures["refuses"] == "cannot quantize a Foo layer"
    assert outcome.failures["broken"].startswith("one: RuntimeError: no kernel for it; two:")
    assert outcome.failures["dies"] == "its process ended with status 7: Killed by a bug"


def test_nobody_is_left(pretenders, tmp_path):
    with pytest.raises(InputError, match="refuses: so it is"):
        contest([pretenders("refuses", refuses="so it is")], tmp_path / "work")
    with pytest.raises(UsageError, match="nothing to time"):
        contest([], tmp_path)
    with pytest.raises(UsageError, match="0 rounds"):
        contest([pretenders("a")], tmp_path, rounds=0)
    with pytest.raises(InputError, match="given twice"):
        contest([pretenders("a"), pretenders("a")], tmp_path)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_spinning_thread_rests_while_others_run(pretenders, tmp_path):
    log = tmp_path / "spins.txt"
    worker = Worker(pretenders("spins", spins=str(log)), 1, tmp_path / "work")
    try:
        variant = worker.ask("prepare")["variants"][0]
        worker.ask("open", variant=variant)
        worker.ask("run", uncounted=0, counted=30)
        before = len(log.read_text().split())
        assert before > 3
        time.sleep(0.1)  # the stop arrives
        resting = len(log.read_text().split())
        time.sleep(0.3)
        assert len(log.read_text().split()) == resting
        worker.ask("run", uncounted=0, counted=30)
        assert len(log.read_text().split()) > resting
    finally:
        worker.close()
    with pytest.raises((WorkerError, ValueError)):
        worker.ask("memory")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends it")
def test_a_stopped_process_does_not_outlive_who_started_it(pretenders, tmp_path):
    job = {**pretenders("orphan").job, "threads": 1}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, str(WORKER), str(pretenders.runtime), str(tmp_path / "job.json")]
    code = (
        "import os, signal, subprocess\n"
        f"process = subprocess.Popen({command!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        'process.stdin.write(\'{"do": "memory"}\\n\')\n'
        "process.stdin.flush()\n"
        "process.stdout.readline()\n"
        "process.send_signal(signal.SIGSTOP)\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process = int(parent.stdout)
    left = Path(f"/proc/{process}/stat")
    for _ in range(100):
        if not left.exists() or left.read_text().split(") ")[1][0] == "Z":
            break
        time.sleep(0.1)
    else:
        os.kill(process, signal.SIGKILL)
        pytest.fail("it still waits")
