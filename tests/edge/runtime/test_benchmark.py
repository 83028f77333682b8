"""The order of runs, what is counted, and a comparison of real artifacts."""

import time

import pytest

from edge import compare, interleave
from edge.runtime.benchmark import Timing, table
from imaging import InputError, UsageError


def test_runs_take_turns():
    seen = []

    def opener(name):
        def open_():
            seen.append(f"open {name}")
            return lambda: seen.append(name)

        return open_

    progress = []
    timings = interleave({n: opener(n) for n in "AB"}, rounds=2, warmup=1, progress=lambda *now: progress.append(now))
    assert seen == ["open A", "A", "open B", "B", *"ABABAB"]
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert [t.name for t in timings] == ["A", "B"]
    assert all(t.rounds == 2 for t in timings)


def test_what_is_counted(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    durations = iter([5.0, 9.0, 9.0, 1.0, 4.0, 2.0, 3.0])  # first run, two of warm-up, four that count

    def open_():
        now[0] += 10
        return run

    def run():
        now[0] += next(durations)

    (timing,) = interleave({"it": open_}, rounds=4, warmup=2)
    assert timing == Timing("it", median_ms=2500, min_ms=1000, cold_start_ms=15000, rounds=4)


def test_runs_that_are_not_counted_begin_each_turn(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    durations = iter([5.0, 9.0, 4.0, 9.0, 2.0])  # first run, then one that is not counted before each that is

    def run():
        now[0] += next(durations)

    (timing,) = interleave({"it": lambda: run}, rounds=2, warmup=0, uncounted=1)
    assert (timing.median_ms, timing.min_ms, timing.rounds) == (3000, 2000, 2)


def test_unusable_arguments():
    with pytest.raises(UsageError, match="nothing to time"):
        interleave({})
    with pytest.raises(UsageError, match="0 rounds after 3 of warm-up"):
        interleave({"a": lambda: print}, rounds=0)


def test_artifacts_beside_each_other(artifacts):
    folders = [artifacts["native-float"], artifacts["folded-int8"], artifacts["onnx-folded-uint8"]]
    timings = compare(folders, threads=1, rounds=3, warmup=1)
    assert [t.name for t in timings] == [str(folder) for folder in folders]
    for timing, folder in zip(timings, folders, strict=True):
        assert 0 < timing.min_ms <= timing.median_ms
        assert timing.size_bytes == next(folder.glob("model.*")).stat().st_size
    with pytest.raises(InputError, match="is given twice"):
        compare([folders[0], folders[0]])


def test_table():
    lines = table([Timing("a", 20.0, 15.5, 130.0, 9, 5_500_000), Timing("long name", 5.0, 4.0, 60.0, 9)]).split("\n")
    assert lines[1].split() == ["a", "5.50", "20.00", "15.50", "130.0", "1.00x"]
    assert lines[2].split() == ["long", "name", "0.00", "5.00", "4.00", "60.0", "4.00x"]
    assert len({len(line) for line in lines}) == 1
